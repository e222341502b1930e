//! The router's process; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    router::cli::main()
}

//! The `sandbox` program; everything is in the library.

fn main() -> std::process::ExitCode {
    sandbox::cli::main()
}

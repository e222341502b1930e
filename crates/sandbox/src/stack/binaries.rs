//! Finds the programs that were built together with the running one.

use std::{
    env,
    path::{Path, PathBuf},
};

use super::StackError;

/// `$ROUTER_BIN` (or `$SERVER_BIN`) when it is set, else the program beside the running executable.
pub(super) fn find(name: &'static str, variable: &'static str) -> Result<PathBuf, StackError> {
    let expected = match env::var_os(variable).filter(|value| !value.is_empty()) {
        Some(path) => PathBuf::from(path),
        None => beside(&env::current_exe().unwrap_or_default(), name),
    };
    if expected.is_file() { Ok(expected) } else { Err(StackError::NoBinary { name, variable, expected }) }
}

/// The router's path, for a shell.
pub(crate) fn router() -> Result<String, StackError> {
    Ok(find("router", "ROUTER_BIN")?.to_string_lossy().into_owned())
}

/// Tests run from `target/*/deps`, one folder below the programs.
fn beside(executable: &Path, name: &str) -> PathBuf {
    let folder = executable.parent().unwrap_or(Path::new("."));
    let folder = if folder.ends_with("deps") || folder.ends_with("examples") {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    };
    folder.join(format!("{name}{}", env::consts::EXE_SUFFIX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_looked_for_where_cargo_puts_them() {
        for (executable, expected) in [
            ("/target/debug/sandbox", "/target/debug/router"),
            ("/target/release/deps/simulator-0123", "/target/release/router"),
            ("/usr/local/bin/sandbox", "/usr/local/bin/router"),
        ] {
            assert_eq!(beside(Path::new(executable), "router"), Path::new(expected));
        }
    }
}

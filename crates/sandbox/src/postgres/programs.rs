//! Where PostgreSQL's programs are, and as whom they can be run: they refuse to work for root.

use std::{
    env,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

/// What to say where PostgreSQL is missing.
pub const HOW_TO_INSTALL: &str = "install it with `apt-get install postgresql` (its service need not run), or name the folder of initdb in POSTGRES_BIN";

const NEEDED: [&str; 5] = ["initdb", "postgres", "createdb", "psql", "pg_isready"];
/// Each holds folders by version with `bin` in them.
const INSTALLED: [&str; 3] = ["/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt"];

/// Why there can be no private PostgreSQL here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    #[error("initdb and postgres are neither on the path nor in /usr/lib/postgresql/*/bin")]
    NotInstalled,
    #[error("{0} names no folder with {1} in it")]
    Incomplete(String, &'static str),
    #[error("root may not run postgresql, and there is no user postgres or nobody to run it")]
    NoUser,
}

/// The programs of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    pub folder: PathBuf,
}

/// As whom the programs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// `$POSTGRES_BIN` when it is set, else the newest installed version, else the path.
pub(super) fn find() -> Result<Programs, Unavailable> {
    if let Some(folder) = env::var_os("POSTGRES_BIN").filter(|value| !value.is_empty()) {
        let folder = PathBuf::from(folder);
        return match missing(&folder) {
            None => Ok(Programs { folder }),
            Some(program) => Err(Unavailable::Incomplete("POSTGRES_BIN".to_owned(), program)),
        };
    }
    let path = env::var_os("PATH").unwrap_or_default();
    INSTALLED
        .iter()
        .filter_map(|folder| newest(Path::new(folder)))
        .chain(env::split_paths(&path))
        .find(|folder| missing(folder).is_none())
        .map(|folder| Programs { folder })
        .ok_or(Unavailable::NotInstalled)
}

fn missing(folder: &Path) -> Option<&'static str> {
    NEEDED.into_iter().find(|program| !folder.join(program).is_file())
}

fn newest(parent: &Path) -> Option<PathBuf> {
    let versions = std::fs::read_dir(parent).ok()?.filter_map(|entry| {
        let folder = entry.ok()?.path();
        let version = version(folder.file_name()?.to_str()?)?;
        let programs = folder.join("bin");
        missing(&programs).is_none().then_some((version, programs))
    });
    versions.max().map(|(_, programs)| programs)
}

/// `15`, `9.6` or `postgresql@17`, for comparison.
fn version(name: &str) -> Option<(u32, u32)> {
    let (major, minor) = match name.strip_prefix("postgresql@").unwrap_or(name).split_once('.') {
        Some((major, minor)) => (major, minor.parse().ok()?),
        None => (name.strip_prefix("postgresql@").unwrap_or(name), 0),
    };
    Some((major.parse().ok()?, minor))
}

/// `None` when this process may run the programs itself.
pub(super) fn account() -> Result<Option<Account>, Unavailable> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| user(&users, name))
        .map(Some)
        .ok_or(Unavailable::NoUser)
}

fn user(passwd: &str, name: &str) -> Option<Account> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    // After the name and the password (passwd(5)).
    let mut numbers = line.split(':').skip(2);
    Some(Account { uid: numbers.next()?.parse().ok()?, gid: numbers.next()?.parse().ok()? })
}

/// Root's other groups are left behind as well. A group of its own, so that Ctrl-C does not reach it.
pub(super) fn as_account(command: &mut Command, account: Option<Account>) {
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
    command.process_group(0);
}

/// The usual folder for temporary files, unless only root may go there and the programs run as somebody else.
pub(super) fn reachable_temp_dir(somebody_else: bool) -> PathBuf {
    let usual = env::temp_dir();
    if somebody_else && !super::reachable(&usual) { PathBuf::from("/tmp") } else { usual }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(version("15") > version("9.6") && version("postgresql@17") > version("15"));
        assert_eq!(version("common"), None);
    }

    #[test]
    fn users_are_read_by_their_whole_name() {
        let passwd =
            "root:x:0:0::/root:/bin/sh\npostgres2:x:7:7::/:/bin/sh\npostgres:x:101:104:a,b:/:/bin/sh\n";
        assert_eq!(user(passwd, "postgres"), Some(Account { uid: 101, gid: 104 }));
        assert_eq!(user(passwd, "nobody"), None);
    }
}

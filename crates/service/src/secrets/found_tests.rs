//! What is read of folders with real files in them.

use std::os::unix::fs::{PermissionsExt, symlink};

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;

fn write(folder: &TempDir, path: &str, content: impl AsRef<[u8]>) {
    let path = folder.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn shown(found: &Found) -> Vec<String> {
    found.values.iter().map(|(id, value)| format!("{id}={}", value.expose_secret())).collect()
}

fn problems(found: &Found) -> Vec<String> {
    found.unreadable.iter().map(ToString::to_string).collect()
}

#[test]
fn folders_of_docker_and_plain_folders_are_read_alike() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "WHATSAPP_ACCESS_TOKEN", "flat\n");
    write(&folder, "support/access-token", "named\r\n");
    write(&folder, "support/empty", " \n");
    write(&folder, "support/.hidden", "x");
    write(&folder, "support/access-token~", "an editor's copy");
    write(&folder, "support/deeper/key", "x");
    write(&folder, "kubernetes.io/serviceaccount/token", "not ours");
    let found = read(folder.path());
    assert_eq!(shown(&found), ["WHATSAPP_ACCESS_TOKEN=flat", "support/access-token=named"]);
    assert_eq!(problems(&found), [""; 0]);
    let folders = ["", "kubernetes.io", "support"].map(|name| folder.path().join(name));
    assert_eq!(found.folders.len(), folders.len());
    assert!(folders.iter().all(|folder| found.folders.contains(folder)));
}

#[test]
fn a_missing_folder_and_a_file_in_its_place_have_no_secrets() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "file", "x");
    for path in ["missing", "missing/deeper", "file", "file/below"] {
        let found = read(&folder.path().join(path));
        assert!(found.values.is_empty() && found.folders.is_empty(), "{path}");
    }
}

#[test]
fn a_mount_of_kubernetes_is_read_through_its_link() {
    let folder = tempfile::tempdir().unwrap();
    // One Secret as a mount in the folder; its keys are links into what is swapped.
    write(&folder, "support/..2026_01/access-token", "token");
    write(&folder, "support/..2026_01/new-key", "no link yet");
    symlink("..2026_01", folder.path().join("support/..data")).unwrap();
    symlink("..data/access-token", folder.path().join("support/access-token")).unwrap();
    symlink("..data/gone", folder.path().join("support/gone")).unwrap();
    let found = read(folder.path());
    assert_eq!(shown(&found), ["support/access-token=token", "support/new-key=no link yet"]);
}

#[test]
fn a_projected_volume_has_folders_behind_one_link() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "..2026_01/support/access-token", "token");
    write(&folder, "..2026_01/flat", "flat");
    write(&folder, "orders/signing-secret", "a mount within the mount");
    symlink("..2026_01", folder.path().join("..data")).unwrap();
    symlink("..data/support", folder.path().join("support")).unwrap();
    symlink("..data/flat", folder.path().join("flat")).unwrap();
    let found = read(folder.path());
    assert_eq!(
        shown(&found),
        ["flat=flat", "orders/signing-secret=a mount within the mount", "support/access-token=token"]
    );
}

#[test]
fn what_cannot_be_read_is_named_with_what_to_do_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "good/key", "x");
    write(&folder, "bad/binary", [b'h', b'i', 0xff, 0xfe]);
    write(&folder, "bad/long", "hi".repeat(40_000));
    symlink("loop", folder.path().join("bad/loop")).unwrap();
    symlink("gone", folder.path().join("bad/nowhere")).unwrap();
    symlink("..gone", folder.path().join("..data")).unwrap();
    // A link that leads nowhere makes the whole folder unreadable, and only this folder.
    let found = read(folder.path());
    assert!(problems(&found)[0].contains("..data leads nowhere"), "{:?}", problems(&found));
    assert!(found.unreadable[0].concerns(&SecretId::new("any", "key")));
    fs::remove_file(folder.path().join("..data")).unwrap();
    let found = read(folder.path());
    assert_eq!(shown(&found), ["good/key=x"]);
    let problems = problems(&found);
    for (problem, says) in problems.iter().zip(["not UTF-8", "longer than 64 KiB", "symbolic link"]) {
        assert!(problem.contains("/bad/") && problem.contains(says) && !problem.contains("hi"), "{problem}");
    }
    assert_eq!(problems.len(), 3);
    assert!(found.unreadable[0].concerns(&SecretId::new("bad", "binary")));
    assert!(!found.unreadable[0].concerns(&SecretId::new("bad", "other")));
}

#[test]
fn a_pipe_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let status = std::process::Command::new("mkfifo").arg(folder.path().join("pipe")).status().unwrap();
    assert!(status.success());
    assert!(read(folder.path()).values.is_empty());
}

#[test]
fn a_folder_of_everything_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..=MOST_FILES {
        write(&folder, &format!("many/{number}"), "x");
    }
    write(&folder, "support/key", "x");
    let found = read(folder.path());
    assert_eq!(shown(&found), ["support/key=x"]);
    assert!(problems(&found)[0].contains("no folder of secrets"));
}

/// Root may read everything, so there is nothing to see then; the reading of the message is tested all the same.
#[test]
fn without_permission_it_is_said_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "support/key", "x");
    let set = |path: &str, mode| {
        fs::set_permissions(folder.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    set("support/key", 0o000);
    let found = read(folder.path());
    if found.values.is_empty() {
        assert!(problems(&found)[0].contains("let the user"), "{:?}", problems(&found));
        set("support/key", 0o400);
        set("support", 0o000);
        let found = read(folder.path());
        assert!(found.unreadable.iter().any(|unreadable| unreadable.scope == Scope::Name("support".into())));
        set("support", 0o700);
    }
    let said = reason(&io::ErrorKind::PermissionDenied.into());
    assert!(said.contains("let the user that this process runs as read it"), "{said}");
}

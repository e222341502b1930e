//! Secrets in real folders that change while they are watched.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use secrecy::{ExposeSecret, SecretString};
use service::{
    metrics::Metrics,
    secrets::{Alias, SecretNames, SecretOptions, Secrets, Variables, watch},
};
use tempfile::TempDir;
use tokio::sync::watch::Receiver;

/// Only bounds how long a test that fails takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// Polling never helps a test that is about events.
const NEVER: Duration = Duration::from_secs(3_600);
const GRACE: Duration = Duration::from_secs(600);

const NAMES: SecretNames = SecretNames {
    prefix: "ROUTER_SECRET_",
    short: "WHATSAPP_",
    aliases: &[Alias { name: "default", key: "access-token", variables: &["WHATSAPP_ACCESS_TOKEN"] }],
};

struct Mount {
    folder: TempDir,
    swaps: usize,
}

impl Mount {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), swaps: 0 }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// As the kubelet does it: a new folder beside the old one, a link renamed over the link, the old folder removed.
    fn swap(&mut self, name: &str, keys: &[(&str, String)]) {
        self.swaps += 1;
        let folder = self.path(name);
        let (link, new_link) = (folder.join("..data"), folder.join("..data_tmp"));
        let data = format!("..2026_{:06}", self.swaps);
        fs::create_dir_all(folder.join(&data)).unwrap();
        for (key, value) in keys {
            fs::write(folder.join(&data).join(key), value).unwrap();
        }
        let old = fs::read_link(&link).ok();
        symlink(&data, &new_link).unwrap();
        fs::rename(&new_link, &link).unwrap();
        for (key, _) in keys {
            if fs::symlink_metadata(folder.join(key)).is_err() {
                symlink(Path::new("..data").join(key), folder.join(key)).unwrap();
            }
        }
        if let Some(old) = old {
            fs::remove_dir_all(folder.join(old)).unwrap();
        }
    }

    fn watch(&self, poll: Duration, grace: Duration) -> (Receiver<Secrets>, Metrics) {
        let metrics = Metrics::new("test", "1", "r");
        let variables = Variables::new(NAMES, [("WHATSAPP_ACCESS_TOKEN", "variable")]);
        let options = SecretOptions { folder: self.path("secrets"), poll, grace, variables };
        (watch(options, &metrics), metrics)
    }
}

fn plain(secret: &SecretString) -> String {
    secret.expose_secret().to_owned()
}

fn get(secrets: &Secrets, name: &str, key: &str) -> Option<String> {
    secrets.get(name, key).as_ref().map(plain)
}

/// Waits until the secret has this value, or is gone.
async fn becomes(secrets: &mut Receiver<Secrets>, name: &str, key: &str, value: Option<&str>) {
    let fits = |secrets: &Secrets| get(secrets, name, key).as_deref() == value;
    let found = tokio::time::timeout(PATIENCE, secrets.wait_for(fits)).await.map(|result| result.is_ok());
    assert_eq!(found, Ok(true), "{name}/{key} is not {value:?}, but {:?}", get(&secrets.borrow(), name, key));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_that_is_swapped_together_is_read_together() {
    let mut mount = Mount::new();
    let pair = |round: usize| {
        // Long values take longer to write, and to read.
        let filler = "x".repeat(if round.is_multiple_of(2) { 10 } else { 20_000 });
        [("access-token", format!("{round}-{filler}")), ("app-secret", format!("{round}-{filler}"))]
    };
    mount.swap("secrets/support", &pair(0));
    let (mut secrets, _metrics) = mount.watch(NEVER, Duration::ZERO);
    let mut reader = secrets.clone();
    let reading = tokio::spawn(async move {
        let mut seen = 0;
        loop {
            let now = reader.borrow_and_update().clone();
            let [token, secret] = ["access-token", "app-secret"].map(|key| get(&now, "support", key));
            assert!(token.is_some(), "a secret that is always there was missing for a moment");
            assert_eq!(token, secret, "two keys of one secret are of different times");
            seen += 1;
            if token.is_some_and(|token| token.starts_with("last")) || reader.changed().await.is_err() {
                return seen;
            }
        }
    });
    let begin = Instant::now();
    for round in 1..400 {
        mount.swap("secrets/support", &pair(round));
        tokio::time::sleep(Duration::from_millis([0, 1, 7, 130][round % 4 * usize::from(round % 16 < 8)]))
            .await;
    }
    mount.swap("secrets/support", &[("access-token", "last".into()), ("app-secret", "last".into())]);
    let swapped = Instant::now();
    becomes(&mut secrets, "support", "access-token", Some("last")).await;
    eprintln!("400 swaps in {:?}; the last one was seen after {:?}", begin.elapsed(), swapped.elapsed());
    assert!(reading.await.unwrap() > 2, "the changes in between were seen, too");
}

#[tokio::test]
async fn a_folder_may_appear_vanish_and_come_back() {
    let mount = Mount::new();
    let (mut secrets, _metrics) = mount.watch(NEVER, GRACE);
    assert_eq!(get(&secrets.borrow(), "default", "access-token").as_deref(), Some("variable"));
    for value in ["first", "second"] {
        mount.write("secrets/WHATSAPP_ACCESS_TOKEN", value);
        becomes(&mut secrets, "default", "access-token", Some(value)).await;
        mount.write("secrets/orders/signing-secret", value);
        becomes(&mut secrets, "orders", "signing-secret", Some(value)).await;
        fs::remove_dir_all(mount.path("secrets/orders")).unwrap();
        becomes(&mut secrets, "orders", "signing-secret", None).await;
        fs::remove_dir_all(mount.path("secrets")).unwrap();
        becomes(&mut secrets, "default", "access-token", Some("variable")).await;
    }
    let valid: Vec<_> = secrets.borrow().valid("default", "access-token").iter().map(plain).collect();
    assert_eq!(valid, ["variable", "second", "first"]);
}

#[tokio::test]
async fn a_folder_that_is_a_link_may_be_replaced() {
    let mount = Mount::new();
    for version in ["one", "two"] {
        mount.write(&format!("{version}/support/app-secret"), version);
    }
    symlink("one", mount.path("secrets")).unwrap();
    let (mut secrets, _metrics) = mount.watch(NEVER, GRACE);
    becomes(&mut secrets, "support", "app-secret", Some("one")).await;
    symlink("two", mount.path("next")).unwrap();
    fs::rename(mount.path("next"), mount.path("secrets")).unwrap();
    becomes(&mut secrets, "support", "app-secret", Some("two")).await;
    // What is looked at is the new folder.
    mount.write("two/support/app-secret", "three");
    becomes(&mut secrets, "support", "app-secret", Some("three")).await;
}

#[tokio::test]
async fn a_file_that_is_written_over_is_read_again() {
    let mount = Mount::new();
    mount.write("secrets/support/app-secret", "one\n");
    let (mut secrets, _metrics) = mount.watch(NEVER, GRACE);
    for value in ["two", "three"] {
        mount.write("secrets/support/app-secret", &format!("{value}\n"));
        becomes(&mut secrets, "support", "app-secret", Some(value)).await;
    }
    fs::write(mount.path("secrets/support/app-secret.tmp"), "four").unwrap();
    fs::rename(mount.path("secrets/support/app-secret.tmp"), mount.path("secrets/support/app-secret"))
        .unwrap();
    becomes(&mut secrets, "support", "app-secret", Some("four")).await;
    mount.write("secrets/support/app-secret", " \n");
    becomes(&mut secrets, "support", "app-secret", None).await;
}

#[tokio::test]
async fn polling_finds_what_no_event_tells() {
    let mount = Mount::new();
    // A link to a link: the second one changes in a folder that nobody looks at.
    for version in ["one", "two"] {
        mount.write(&format!("elsewhere/{version}/app-secret"), version);
    }
    symlink("one", mount.path("elsewhere/current")).unwrap();
    fs::create_dir(mount.path("secrets")).unwrap();
    symlink(mount.path("elsewhere/current"), mount.path("secrets/support")).unwrap();
    let (mut secrets, _metrics) = mount.watch(Duration::from_millis(300), GRACE);
    becomes(&mut secrets, "support", "app-secret", Some("one")).await;
    symlink("two", mount.path("elsewhere/next")).unwrap();
    fs::rename(mount.path("elsewhere/next"), mount.path("elsewhere/current")).unwrap();
    becomes(&mut secrets, "support", "app-secret", Some("two")).await;
}

#[tokio::test]
async fn what_cannot_be_read_any_more_stays_as_it_was_and_is_counted() {
    let mount = Mount::new();
    mount.write("secrets/support/app-secret", "kept");
    mount.write("secrets/orders/signing-secret", "one");
    let (mut secrets, metrics) = mount.watch(NEVER, GRACE);
    let file = mount.path("secrets/support/app-secret");
    // A loop is unreadable for everybody, lost permissions for everybody but root.
    fs::remove_file(&file).unwrap();
    symlink("app-secret", &file).unwrap();
    fs::set_permissions(mount.path("secrets/orders"), fs::Permissions::from_mode(0o755)).unwrap();
    mount.write("secrets/orders/signing-secret", "two");
    becomes(&mut secrets, "orders", "signing-secret", Some("two")).await;
    assert_eq!(get(&secrets.borrow(), "support", "app-secret").as_deref(), Some("kept"));
    let text = metrics.encode();
    assert!(text.contains("test_secrets_unreadable 1\n"), "{text}");
    assert!(!text.contains("test_secret_reloads_total{result=\"unreadable\"} 0\n"), "{text}");
    fs::remove_file(&file).unwrap();
    mount.write("secrets/support/app-secret", "new");
    becomes(&mut secrets, "support", "app-secret", Some("new")).await;
    assert!(metrics.encode().contains("test_secrets_unreadable 0\n"));
    assert!(metrics.encode().contains("test_secrets_age_seconds 0."));
}

#[tokio::test]
async fn the_grace_time_ends_by_itself() {
    let mount = Mount::new();
    mount.write("secrets/support/app-secret", "old");
    let (mut secrets, _metrics) = mount.watch(NEVER, Duration::from_secs(3));
    mount.write("secrets/support/app-secret", "new");
    becomes(&mut secrets, "support", "app-secret", Some("new")).await;
    let valid = |secrets: &Secrets| -> Vec<String> {
        secrets.valid("support", "app-secret").iter().map(plain).collect()
    };
    assert_eq!(valid(&secrets.borrow_and_update()), ["new", "old"]);
    let changed = tokio::time::timeout(PATIENCE, secrets.changed()).await;
    assert!(matches!(changed, Ok(Ok(()))));
    assert_eq!(valid(&secrets.borrow()), ["new"]);
}

#[tokio::test]
async fn nothing_is_said_when_nothing_changed() {
    let mount = Mount::new();
    mount.write("secrets/support/app-secret", "same");
    let (mut secrets, metrics) = mount.watch(Duration::from_millis(50), GRACE);
    secrets.borrow_and_update();
    mount.write("secrets/support/app-secret", "same\n");
    let many = |text: &str| {
        let line =
            text.lines().find(|line| line.starts_with("test_secret_reloads_total{result=\"unchanged\"}"));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).is_some_and(|count| count >= 5.0)
    };
    let begin = Instant::now();
    while !many(&metrics.encode()) {
        assert!(begin.elapsed() < PATIENCE, "{}", metrics.encode());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(secrets.has_changed().ok(), Some(false));
}

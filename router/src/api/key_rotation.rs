//! The keys of the API change while the router runs: a key that was taken out of the file opens nothing any more, and
//! one that was added does. There may be several, so replaced ones need no grace time.

use service::secrets::Secrets;
use tokio::sync::watch;

use super::Access;
use crate::settings::{api_keys, secrets::API_KEYS};

/// Ends when nothing changes any more.
pub async fn follow_keys(access: Access, mut secrets: watch::Receiver<Secrets>) {
    let mut said = None;
    loop {
        let now = secrets.borrow_and_update().clone();
        let problem = apply(&access, &now).err();
        // Once, and not with every other secret that changes.
        if let Some(problem) = problem.as_ref().filter(|_| said != problem) {
            tracing::error!("ROUTER_API_KEYS {problem}; the keys before it stay in use");
        }
        said = problem;
        if secrets.changed().await.is_err() {
            return;
        }
    }
}

/// The error says what keeps the new ones from being keys; nobody is locked out by a slip of the pen.
fn apply(access: &Access, secrets: &Secrets) -> Result<(), String> {
    let keys = match secrets.get(API_KEYS.name, API_KEYS.key) {
        None => Vec::new(),
        Some(secret) => api_keys(&secret)?,
    };
    if access.set_keys(&keys) {
        tracing::info!(count = keys.len(), "the keys of the API changed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderMap;

    use super::*;

    const OLD: &str = "old-key-of-sixteen-letters";
    const NEW: &str = "new-key-of-sixteen-letters";

    fn opens(access: &Access, key: &str) -> bool {
        let headers = HeaderMap::from_iter([("x-api-key".parse().unwrap(), key.parse().unwrap())]);
        access.check(&headers).is_ok()
    }

    #[test]
    fn what_the_file_has_now_counts_and_nothing_else() {
        let access = Access::new(&[OLD.into()]);
        for (file, old, new) in [
            (Some("old-key-of-sixteen-letters"), true, false),
            (Some("old-key-of-sixteen-letters,new-key-of-sixteen-letters"), true, true),
            (Some("new-key-of-sixteen-letters\n"), false, true),
            // Not a list of keys: as before.
            (Some("short"), false, true),
            (None, false, false),
        ] {
            let secrets = Secrets::from_pairs(file.map(|value| (API_KEYS.name, API_KEYS.key, value)));
            assert_eq!(apply(&access, &secrets).is_err(), file == Some("short"));
            assert_eq!((opens(&access, OLD), opens(&access, NEW)), (old, new), "{file:?}");
        }
    }

    #[tokio::test]
    async fn changes_are_followed() {
        let pair = |value| Secrets::from_pairs([(API_KEYS.name, API_KEYS.key, value)]);
        let (sender, receiver) = watch::channel(pair(OLD));
        let access = Access::new(&[]);
        let following = tokio::spawn(follow_keys(access.clone(), receiver));
        sender.send_replace(pair(NEW));
        drop(sender);
        following.await.unwrap();
        assert!(opens(&access, NEW) && !opens(&access, OLD));
    }
}

//! The products at work, with everything going wrong that the dashboard and the alerts are there to show.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{ObserveError, objects, prometheus::Target};
use crate::{
    postgres::Cluster,
    simulator::{BusinessNumber, Faults, Signing, StatusOptions},
    stack::{Output, Stack},
};

const SHOP: &str = "106540352242922";
/// A number whose token Meta refuses.
const STALE: &str = "206540352242922";
/// A number that is nobody's.
const STRANGE: &str = "306540352242922";
const PATIENCE: Duration = Duration::from_secs(5);
/// Messages that may wait in a queue.
const MOST_WAITING: usize = 100;
/// What the router's clients see as one burst of a few seconds: over several scrapes, since a rate needs two.
const BURST: Duration = Duration::from_secs(4);

/// A router on SQLite with objects in files, and, where PostgreSQL is installed, two routers on that.
pub(super) struct Scene {
    main: Stack,
    postgres: Option<Shared>,
    objects: TempDir,
    _secrets: TempDir,
    /// Every message has a number of its own.
    said: u32,
}

struct Shared {
    stack: Stack,
    cluster: Arc<Cluster>,
}

impl Scene {
    pub(super) async fn open() -> Result<Self, ObserveError> {
        let folder =
            || tempfile::tempdir().map_err(|error| ObserveError::Files("make a folder".to_owned(), error));
        let (objects, secrets) = (folder()?, folder()?);
        write(objects.path(), "channels.yaml", &objects::channels(SHOP, STALE))?;
        let stale = secrets.path().join("stale");
        std::fs::create_dir(&stale)
            .map_err(|error| ObserveError::Files("make a folder".to_owned(), error))?;
        write(&stale, "access-token", "a-token-that-was-revoked")?;
        let main = Stack::builder()
            .output(Output::Captured)
            .config_dir(objects.path())
            .simulator(|options| {
                let number = |id: &str| BusinessNumber {
                    phone_number_id: id.to_owned(),
                    display_phone_number: "+1 555 078 3881".to_owned(),
                    verified_name: "Corner Bakery".to_owned(),
                };
                options.numbers = vec![number(SHOP), number(STALE)];
            })
            .router_env("SECRETS_DIR", secrets.path().to_string_lossy())
            .router_env("QUEUE_MAX_ITEMS", MOST_WAITING.to_string())
            .router_env("SEND_UNCERTAIN_WAIT", "1s")
            .router_env("WHATSAPP_STOPPED_CHANNEL_WAIT", "1s")
            .router_env("LOG_LEVEL", "error")
            .server_env("LOG_LEVEL", "error")
            .start()
            .await?;
        let server = main.server_url().unwrap_or_default();
        let routes = objects::routes(server, &main.simulator().backend_url());
        write(objects.path(), "routes.yaml", &routes)?;
        let postgres = if Cluster::available().is_ok() { Some(Shared::open().await?) } else { None };
        Ok(Self { main, postgres, objects, _secrets: secrets, said: 0 })
    }

    pub(super) fn has_postgres(&self) -> bool {
        self.postgres.is_some()
    }

    pub(super) fn targets(&self) -> Vec<Target> {
        let target = |job, url: &str| Target { job, address: url.trim_start_matches("http://").to_owned() };
        let mut targets = vec![target("router", self.main.router_url())];
        targets.extend(self.main.server_url().map(|url| target("server", url)));
        if let Some(Shared { stack, .. }) = &self.postgres {
            targets
                .extend((0..stack.router_count()).map(|index| target("router", stack.router_url_at(index))));
        }
        targets
    }

    /// Everything, one after the other; it takes less than a minute.
    pub(super) async fn play(&mut self) -> Result<(), ObserveError> {
        self.chat(BURST).await?;
        self.strangers().await?;
        self.bad_graph().await?;
        self.bad_backend().await?;
        self.database_away().await?;
        self.chat(BURST).await
    }

    /// People write and are answered, also through the number that can't send.
    async fn chat(&mut self, time: Duration) -> Result<(), ObserveError> {
        let until = tokio::time::Instant::now() + time;
        while tokio::time::Instant::now() < until {
            for index in 0..3 {
                self.say(SHOP, index, "ask").await?;
            }
            if let Some(shared) = &self.postgres {
                shared.say(self.said).await;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        self.say(STALE, 90, "ask").await?;
        Ok(())
    }

    /// What is not for us, not from Meta, not for any rule, or known already; and a broken file of objects.
    async fn strangers(&mut self) -> Result<(), ObserveError> {
        write(self.objects.path(), "broken.yaml", "kind: [")?;
        for round in 0..4 {
            for signing in [Signing::WrongSecret, Signing::Unsigned, Signing::Verbatim("sha256=?".to_owned())]
            {
                for _ in 0..25 {
                    self.main.simulator().inject(self.body(SHOP, 1, "ask"), signing.clone()).await?;
                }
            }
            self.say(STRANGE, 2, "ask").await?;
            self.say(SHOP, 3 + round, "nobody takes this").await?;
            let again = self.body(SHOP, 8, "ask");
            self.said += 1;
            for _ in 0..2 {
                self.main.simulator().post_webhook(again.clone(), PATIENCE).await?;
            }
            self.chat(Duration::from_secs(1)).await?;
        }
        Ok(())
    }

    /// Limits, refusals, lost answers: one reply can't be delivered, once and never again.
    async fn bad_graph(&mut self) -> Result<(), ObserveError> {
        let simulator = self.main.shared_simulator();
        simulator.set_faults(faults(json!({"graph": {"errors": [
            {"code": 131_026, "count": 1}, {"code": 131_053, "count": 2, "as_status": true},
        ]}}))?);
        self.chat(Duration::from_secs(2)).await?;
        simulator.set_faults(faults(json!({"webhooks": {"no_statuses": true}}))?);
        self.chat(Duration::from_secs(1)).await?;
        simulator.set_faults(faults(json!({
            "graph": {
                "errors": [{"code": 131_056, "count": 2}, {"code": 131_000, "count": 2}],
                "resets": {"count": 2},
                "lost_answers": {"count": 3},
            },
            "webhooks": {"no_statuses": true},
        }))?);
        self.chat(BURST).await?;
        simulator.set_faults(Faults::default());
        // More to one person than a pair may have, and more to all than the number may have.
        for index in 0..30 {
            self.say(SHOP, 20 + index / 10, "ask").await?;
        }
        simulator.set_faults(faults(json!({"graph": {"errors": [{"code": 130_429, "count": 1}]}}))?);
        self.chat(BURST).await
    }

    /// One message is refused for good, then the backend fails until the inbox is full.
    async fn bad_backend(&mut self) -> Result<(), ObserveError> {
        let simulator = self.main.shared_simulator();
        simulator.set_faults(faults(json!({"backend": {"errors": {"status": 422, "count": 1}}}))?);
        self.say(SHOP, 30, "flaky").await?;
        self.chat(Duration::from_secs(2)).await?;
        simulator.set_faults(faults(json!({"backend": {"errors": {"status": 500}}}))?);
        for index in 0..10 {
            self.say(SHOP, 31 + index, "flaky").await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for _ in 0..4 {
            for index in 0..MOST_WAITING as u32 / 2 {
                self.say(SHOP, 100 + index, "flaky").await?;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        simulator.set_faults(Faults::default());
        self.chat(BURST).await
    }

    /// PostgreSQL goes away for a while, and one of its routers for good.
    async fn database_away(&mut self) -> Result<(), ObserveError> {
        let Some(shared) = &mut self.postgres else { return Ok(()) };
        let cluster = Arc::clone(&shared.cluster);
        tokio::task::spawn_blocking(move || cluster.stop()).await??;
        for number in 0..16 {
            shared.say(10_000 + number).await;
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        let cluster = Arc::clone(&shared.cluster);
        tokio::task::spawn_blocking(move || cluster.start_again()).await??;
        shared.stack.kill_router_at(1).await?;
        Ok(())
    }

    /// One message, whatever the router answers.
    async fn say(&mut self, number: &str, person: u32, text: &str) -> Result<(), ObserveError> {
        let body = self.body(number, person, text);
        self.said += 1;
        self.main.simulator().post_webhook(body, PATIENCE).await?;
        Ok(())
    }

    fn body(&self, number: &str, person: u32, text: &str) -> String {
        webhook(number, person, self.said, text)
    }

    /// What the services show of themselves now.
    pub(super) async fn metrics(&self) -> Result<Vec<(String, String)>, ObserveError> {
        let client = crate::simulator::http_client()
            .map_err(|error| ObserveError::Ask("metrics".to_owned(), error))?;
        let mut shown = Vec::new();
        for (index, target) in self.targets().into_iter().enumerate() {
            let name = format!("{} {}", target.job, index + 1);
            // One of them was killed.
            let Ok(answer) = client.get(format!("http://{}/metrics", target.address)).send().await else {
                continue;
            };
            let text = answer.text().await.map_err(|error| ObserveError::Ask("metrics".to_owned(), error))?;
            shown.push((name, text));
        }
        Ok(shown)
    }

    pub(super) async fn close(self) -> Result<(), ObserveError> {
        self.main.shutdown().await?;
        if let Some(shared) = self.postgres {
            shared.stack.shutdown().await?;
        }
        Ok(())
    }
}

impl Shared {
    async fn open() -> Result<Self, ObserveError> {
        let cluster = Arc::new(tokio::task::spawn_blocking(Cluster::start).await??);
        let stack = Stack::builder()
            .output(Output::Captured)
            .routers(2)
            .without_server()
            .database(cluster.new_database()?)
            .simulator(|options| {
                options.statuses = StatusOptions { delivered: None, ..StatusOptions::default() }
            })
            .router_env("LOG_LEVEL", "error")
            .start()
            .await?;
        Ok(Self { stack, cluster })
    }

    /// Whatever comes of it: the database may be away, and so may the router whose turn it is.
    async fn say(&self, number: u32) {
        let body = webhook(SHOP, number % 5, number, "hello");
        let _ = self.stack.simulator().post_webhook(body, PATIENCE).await;
    }
}

fn webhook(number: &str, person: u32, message: u32, text: &str) -> String {
    let from = format!("1555010{person:04}");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let message = json!({
        "from": from, "id": format!("wamid.{message}"), "timestamp": now.to_string(),
        "type": "text", "text": {"body": text},
    });
    let value = json!({
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550783881", "phone_number_id": number},
        "messages": [message],
    });
    json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": "messages", "value": value}]}]})
        .to_string()
}

fn faults(document: Value) -> Result<Faults, ObserveError> {
    serde_json::from_value(document).map_err(|error| ObserveError::Answer(error.to_string()))
}

/// The file is there as a whole or not at all.
fn write(folder: &Path, name: &str, text: &str) -> Result<(), ObserveError> {
    let failed = |error| ObserveError::Files(format!("write {name}"), error);
    let new = folder.join(format!(".{name}.new"));
    std::fs::write(&new, text).map_err(failed)?;
    std::fs::rename(&new, folder.join(name)).map_err(failed)
}

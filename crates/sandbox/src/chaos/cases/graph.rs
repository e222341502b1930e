//! Graph loses answers, refuses, limits, breaks, and forgets who we are.

use std::time::{Duration, Instant};

use rand::RngExt;
use serde_json::json;

use super::super::{
    ChaosError, Context, Row,
    history::Policy,
    scene::{PATIENCE, Scene, Setup},
    traffic::Manner,
};
use crate::simulator::NewCredentials;

/// Statuses say that the message went out, so hardly any has to be repeated.
pub(super) async fn lost_answers(context: Context) -> Result<Row, ChaosError> {
    // Longer than a status takes on a busy machine.
    let env = vec![("SEND_UNCERTAIN_WAIT", "4s".to_owned())];
    let mut scene = Scene::open(&context, Setup { env, ..Setup::default() }).await?;
    scene.faults(json!({"graph": {"lost_answers": {"rate": 0.1}}}))?;
    scene.faults += 1;
    tokio::time::sleep(context.seconds(8.0, 2.0)).await;
    scene.close(&context).await
}

/// Nothing says so: what is in doubt is repeated, in its place.
pub(super) async fn lost_answers_without_statuses(context: Context) -> Result<Row, ChaosError> {
    let mut scene = Scene::open(&context, Setup::default()).await?;
    scene.faults(json!({"graph": {"lost_answers": {"rate": 0.05}}, "webhooks": {"no_statuses": true}}))?;
    scene.faults += 1;
    tokio::time::sleep(context.seconds(8.0, 2.0)).await;
    scene.close(&context).await
}

/// Nothing says so, and the route would rather be silent than repeat: what is in doubt becomes a dead letter, the rest goes on.
pub(super) async fn never_repeat(context: Context) -> Result<Row, ChaosError> {
    let env = vec![("SEND_AMBIGUOUS", "never-repeat".to_owned())];
    let setup = Setup { env, policy: Policy::NeverRepeat, may_die: true, ..Setup::default() };
    let mut scene = Scene::open(&context, setup).await?;
    scene.faults(json!({"graph": {"lost_answers": {"rate": 0.05}}, "webhooks": {"no_statuses": true}}))?;
    scene.faults += 1;
    tokio::time::sleep(context.seconds(8.0, 2.0)).await;
    scene.kill(0).await?;
    scene.start(0).await?;
    scene.close(&context).await
}

/// The number, the app and the pair have had enough for a moment.
pub(super) async fn limits(context: Context) -> Result<Row, ChaosError> {
    let mut scene = Scene::open(&context, slow()).await?;
    for code in [130_429, 4, 80_007, 131_056] {
        scene.wait(300, 800).await;
        let error = json!({"code": code, "count": 6, "retry_after": 1});
        scene.faults(json!({"graph": {"errors": [error]}}))?;
        scene.faults += 1;
        tokio::time::sleep(context.seconds(3.0, 1.5)).await;
    }
    scene.close(&context).await
}

/// Errors that leave a doubt, and connections that break before anything was taken.
pub(super) async fn errors(context: Context) -> Result<Row, ChaosError> {
    let mut scene = Scene::open(&context, slow()).await?;
    for faults in [
        json!({"graph": {"errors": [{"code": 131_000, "http_status": 500, "rate": 0.05}]}}),
        json!({"graph": {"errors": [{"code": 2, "http_status": 503, "rate": 0.05}]}}),
        json!({"graph": {"resets": {"rate": 0.05}}}),
        json!({"graph": {"latency_ms": 300, "resets": {"rate": 0.02}, "lost_answers": {"rate": 0.02}}}),
    ] {
        scene.faults(faults)?;
        scene.faults += 1;
        tokio::time::sleep(context.seconds(4.0, 1.0)).await;
    }
    scene.close(&context).await
}

/// Meta takes the token away: nothing goes out and everything is kept, until the new one is in its file. Nobody starts
/// or calls anything.
pub(super) async fn token(context: Context) -> Result<Row, ChaosError> {
    let secrets = tempfile::tempdir().map_err(ChaosError::Files)?;
    let env = vec![("SECRETS_DIR", secrets.path().display().to_string())];
    let mut scene = Scene::open(&context, Setup { env, ..slow() }).await?;
    let mut slowest = Duration::ZERO;
    for round in 0..context.times(2, 1) {
        scene.more(20).await;
        let token = format!("EAAB-token-{round}-{:016x}", scene.rng.random::<u64>());
        let new = NewCredentials { access_token: Some(token.as_str().into()), ..NewCredentials::default() };
        scene.stack.simulator().set_credentials(new);
        scene.faults += 1;
        // What was under way with the old one may still be counted.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let taken = scene.stack.simulator().taken_count();
        scene.more(20).await;
        tokio::time::sleep(context.seconds(5.0, 2.0)).await;
        if scene.stack.simulator().taken_count() != taken {
            return Err(ChaosError::Nothing("a message went out with a token that was revoked".to_owned()));
        }
        let waiting = scene.recorder.accepted_count().saturating_sub(taken);
        let new_file = secrets.path().join(".new");
        std::fs::write(&new_file, &token)
            .and_then(|()| std::fs::rename(&new_file, secrets.path().join("access-token")))
            .map_err(ChaosError::Files)?;
        let replaced = Instant::now();
        let enough = scene.stack.simulator().wait_for_messages(taken + 1, PATIENCE).await;
        if enough.is_err() {
            return Err(ChaosError::Nothing(format!(
                "the new token was never used; {waiting} messages waited for it"
            )));
        }
        slowest = slowest.max(replaced.elapsed());
        scene.more(40).await;
    }
    scene.note = format!("new token in use after {slowest:.1?}");
    scene.close(&context).await
}

/// Channels stand still in these cases; what gathers has to be sent afterwards.
fn slow() -> Setup {
    Setup { manner: Manner { gap: Duration::from_millis(250), ..Manner::default() }, ..Setup::default() }
}

//! Meta says things twice, at once, together with what it said before, and again after a day.

use serde_json::json;

use super::super::{
    ChaosError, Context, Row,
    scene::{Scene, Setup},
    traffic::Manner,
};

pub(super) async fn again(context: Context) -> Result<Row, ChaosError> {
    let manner = Manner { twice: 0.3, together: 0.3, at_once: 3, ..Manner::default() };
    let mut scene = Scene::open(&context, Setup { manner, ..Setup::default() }).await?;
    scene.faults(json!({"webhooks": {
        "duplicate": {"rate": 0.3}, "rebatch": {"rate": 0.3}, "reorder": 4, "statuses_before_messages": true}}))?;
    tokio::time::sleep(context.seconds(6.0, 1.5)).await;
    scene.settle().await?;
    let today = scene.traffic.redeliver(context.seed).await;
    // A day later everything comes once more.
    scene.stack.set_router_env("ROUTER_TEST_CLOCK_AHEAD", "1d");
    scene.kill(0).await?;
    scene.start(0).await?;
    let tomorrow = scene.traffic.redeliver(context.seed + 1).await;
    scene.note = format!("{} messages delivered again", today + tomorrow);
    scene.close(&context).await
}

//! The backend is away, slow, wrong, or late.

use serde_json::json;

use super::super::{
    ChaosError, Context, Row,
    scene::{Scene, Setup},
};

/// The server is killed with traffic going on, and started again.
pub(super) async fn down(context: Context) -> Result<Row, ChaosError> {
    let mut scene = Scene::open(&context, Setup::default()).await?;
    for _ in 0..context.times(3, 1) {
        scene.wait(300, 900).await;
        scene.stack.kill_server().await?;
        scene.faults += 1;
        tokio::time::sleep(context.seconds(5.0, 1.0)).await;
        scene.stack.start_server().await?;
    }
    scene.more(50).await;
    scene.close(&context).await
}

pub(super) async fn bad(context: Context) -> Result<Row, ChaosError> {
    let mut scene = Scene::open(&context, Setup { server: false, ..Setup::default() }).await?;
    for faults in [
        json!({"backend": {"errors": [{"status": 503, "rate": 0.1}, {"status": 500, "rate": 0.02}]}}),
        json!({"backend": {"latency_ms": 400, "garbage": {"rate": 0.02}}}),
        json!({"backend": {"late": {"ms": 4_000, "rate": 0.02}, "resets": {"rate": 0.05}}}),
        json!({"backend": {"errors": [{"status": 429, "rate": 0.1, "retry_after": 1}]}}),
    ] {
        scene.faults(faults)?;
        scene.faults += 1;
        tokio::time::sleep(context.seconds(4.0, 1.0)).await;
    }
    scene.close(&context).await
}

//! Routers are killed while people write.

use std::time::Duration;

use rand::RngExt;

use super::super::{
    ChaosError, Context, Row,
    history::Cause,
    recorder::unix_millis,
    scene::{LEASE, Scene, Setup},
};

/// kill -9 at any moment, sometimes before it is even ready again.
pub(super) async fn at_random(context: Context) -> Result<Row, ChaosError> {
    let mut scene = Scene::open(&context, Setup::default()).await?;
    for _ in 0..context.times(70, 6) {
        scene.wait(10, 350).await;
        scene.kill(0).await?;
        if scene.rng.random_bool(0.2) {
            let soon = Duration::from_millis(scene.rng.random_range(0..120));
            // Dropped before it is ready, it is killed.
            if tokio::time::timeout(soon, scene.stack.start_router_at(0)).await.is_err() {
                scene.recorder.excuse_now(Cause::Killed);
                scene.faults += 1;
            }
        }
        if scene.stack.router_pid_at(0).is_none() {
            scene.start(0).await?;
        }
    }
    scene.close(&context).await
}

/// Three on one database: one is killed every few seconds, another is stopped for longer than its lease and goes on.
pub(super) async fn three_routers(context: Context) -> Result<Row, ChaosError> {
    let mut scene = Scene::open(&context, Setup { routers: 3, ..Setup::default() }).await?;
    let pause = LEASE + Duration::from_millis(1_500);
    for round in 0..context.times(6, 1) {
        let (killed, paused) = (round % 3, (round + 1) % 3);
        scene.wait(300, 800).await;
        scene.stack.pause_router_at(paused)?;
        let from = unix_millis();
        scene.wait(100, 700).await;
        scene.kill(killed).await?;
        scene.wait(200, 1_000).await;
        scene.start(killed).await?;
        let since = Duration::from_millis(unix_millis() - from);
        tokio::time::sleep(pause.saturating_sub(since)).await;
        scene.stack.continue_router_at(paused)?;
        scene.recorder.excuse(Cause::Paused, from, unix_millis());
        scene.faults += 1;
    }
    scene.close(&context).await
}

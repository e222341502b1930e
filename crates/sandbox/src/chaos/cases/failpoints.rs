//! The router kills itself at every named step of a message's way.

use std::time::{Duration, Instant};

use super::super::{
    ChaosError, Context, Row,
    history::Cause,
    scene::{Scene, Setup},
};

const NAMES: [&str; 8] = [
    "accept_before_commit",
    "accept_after_commit",
    "after_claim",
    "after_backend_answer",
    "before_graph_call",
    "after_graph_call",
    "before_completion",
    "after_completion",
];
const VARIABLE: &str = "ROUTER_TEST_FAILPOINTS";
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn all(context: Context) -> Result<Row, ChaosError> {
    let mut scene = Scene::open(&context, Setup::default()).await?;
    let times = context.times(6, 1);
    // Of each step that is passed; the rarer, the more is under way when it strikes.
    let probability = if context.short { "0.2" } else { "0.05" };
    for name in NAMES {
        scene.stack.set_router_env(VARIABLE, &format!("{name}={probability}"));
        if scene.stack.router_pid_at(0).is_some() {
            scene.kill(0).await?;
        }
        for _ in 0..times {
            if scene.stack.router_pid_at(0).is_none() {
                scene.start(0).await?;
            }
            let begin = Instant::now();
            while scene.stack.router_ended_at(0).is_none() {
                if begin.elapsed() > PATIENCE {
                    return Err(ChaosError::Nothing(format!("the failpoint {name} never struck")));
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            scene.recorder.excuse_now(Cause::Killed);
            scene.faults += 1;
        }
    }
    scene.stack.unset_router_env(VARIABLE);
    scene.start(0).await?;
    scene.more(50).await;
    scene.close(&context).await
}

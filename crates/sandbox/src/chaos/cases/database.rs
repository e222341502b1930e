//! PostgreSQL goes away and comes back.

use std::{sync::Arc, time::Duration};

use super::super::{
    ChaosError, Context, Row,
    history::Cause,
    recorder::unix_millis,
    scene::{LEASE, Scene, Setup},
};
use crate::proxy::Mode;

/// In good order, and killed with all its processes.
pub(super) async fn restarts(context: Context) -> Result<Row, ChaosError> {
    let mut scene = Scene::open(&context, Setup { routers: 2, ..Setup::default() }).await?;
    for round in 0..context.times(6, 2) {
        scene.wait(800, 1_800).await;
        let Some(cluster) = scene.cluster.clone() else { continue };
        let from = unix_millis();
        let away = Duration::from_millis(300 * (round as u64 % 3));
        tokio::task::spawn_blocking(move || restart(&cluster, round % 2 == 1, away)).await??;
        scene.recorder.excuse(Cause::DatabaseAway, from, unix_millis());
        scene.faults += 1;
    }
    scene.more(50).await;
    scene.close(&context).await
}

fn restart(
    cluster: &Arc<crate::postgres::Cluster>,
    kill: bool,
    away: Duration,
) -> Result<(), crate::postgres::PostgresError> {
    if kill {
        cluster.kill();
    } else {
        cluster.stop()?;
    }
    std::thread::sleep(away);
    cluster.start_again()
}

/// The line to it is delayed, stalls, swallows, breaks and half-closes, for less and for more than a lease.
pub(super) async fn cut_off(context: Context) -> Result<Row, ChaosError> {
    let mut scene = Scene::open(&context, Setup { routers: 2, proxy: true, ..Setup::default() }).await?;
    let longer_than_a_lease = LEASE + Duration::from_secs(2);
    let cuts = [
        (Mode::Delay(Duration::from_millis(150)), Duration::from_secs(3)),
        (Mode::Stall, Duration::from_secs(1)),
        (Mode::Stall, longer_than_a_lease),
        (Mode::BlackHole, Duration::from_secs(1)),
        (Mode::BlackHole, longer_than_a_lease),
        (Mode::Reset, Duration::from_millis(500)),
        (Mode::Reset, longer_than_a_lease),
        (Mode::HalfClose, Duration::from_secs(1)),
        (Mode::HalfClose, longer_than_a_lease),
    ];
    for _ in 0..context.times(1, 1) {
        for (mode, time) in cuts {
            scene.wait(300, 1_200).await;
            scene.cut(mode, time).await;
        }
    }
    scene.more(50).await;
    scene.close(&context).await
}

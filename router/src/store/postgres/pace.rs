//! Divides the limits of channels among the routers that use them.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    jobs::Scope,
    lanes::clock,
    session::{Failure, Session},
};
use crate::{
    clock::micros,
    store::{
        PaceAsk, SHARES_HOLD, SeenKey,
        fair_share::{fair_shares, grant},
    },
};

const LOCK: &str = "SELECT pg_advisory_xact_lock(1467118931, $1)";
const FORGET: &str = concat!("DELETE FROM pace_share WHERE channel = $1 AND expires_at <= ", clock!());
const SHARES: &str = "SELECT kind, owner, share, demand FROM pace_share WHERE channel = $1";
const KEEP: &str = concat!(
    "INSERT INTO pace_share (channel, kind, owner, share, demand, expires_at)
     SELECT $1, u.kind, $2, u.share, u.demand, ",
    clock!(),
    " + $3::bigint FROM UNNEST($4::text[], $5::bigint[], $6::bigint[]) u(kind, share, demand)
     ON CONFLICT (channel, kind, owner) DO UPDATE SET share = excluded.share, demand = excluded.demand,
         expires_at = excluded.expires_at"
);

/// What a router holds and would like to hold.
#[derive(Clone, Copy)]
struct Held {
    share: u32,
    demand: u32,
}

/// In the order of `asks`.
pub(super) async fn share(scope: &Scope<'_>, asks: &[PaceAsk]) -> Result<Vec<u32>, Failure> {
    // Sorted, so that two routers never wait for each other in a circle.
    let mut by_channel: BTreeMap<&Arc<str>, Vec<(usize, &PaceAsk)>> = BTreeMap::new();
    for (place, ask) in asks.iter().enumerate() {
        by_channel.entry(&ask.channel).or_default().push((place, ask));
    }
    let mut shares = vec![0; asks.len()];
    for (channel, asks) in by_channel {
        let channel = &**channel;
        let SeenKey(hash) = SeenKey::new(&["pace", channel]);
        let lock = i32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
        let mut pipe = scope.session.pipe();
        pipe.push(LOCK, vec![&lock]).await;
        pipe.push(FORGET, vec![&channel]).await;
        pipe.answers().await?;
        let held = held(scope.session, channel).await?;
        let (mut kinds, mut granted, mut demands) = (Vec::new(), Vec::new(), Vec::new());
        for (place, ask) in asks {
            let kind = ask.kind.as_str();
            let mut routers = held.get(kind).cloned().unwrap_or_default();
            routers.insert(scope.shared.owner.clone(), Held { share: 0, demand: ask.demand });
            let wanted: Vec<u32> = routers.values().map(|router| router.demand).collect();
            let fair = fair_shares(ask.limit, &wanted);
            let ours = routers.keys().position(|owner| *owner == scope.shared.owner);
            let fair = ours.and_then(|ours| fair.get(ours)).copied().unwrap_or_default();
            let others = routers.values().fold(0_u32, |sum, router| sum.saturating_add(router.share));
            shares[place] = grant(fair, ask.limit, others);
            kinds.push(kind);
            granted.push(i64::from(shares[place]));
            demands.push(i64::from(ask.demand));
        }
        let holds = scope.shared.lease_micros().min(micros(SHARES_HOLD));
        let params: super::session::Params<'_> =
            vec![&channel, &scope.shared.owner, &holds, &kinds, &granted, &demands];
        scope.session.execute(KEEP, &params).await?;
    }
    Ok(shares)
}

/// By kind, then by router: the order is the same for all of them.
async fn held(session: &Session, channel: &str) -> Result<BTreeMap<String, BTreeMap<String, Held>>, Failure> {
    let mut held: BTreeMap<String, BTreeMap<String, Held>> = BTreeMap::new();
    for row in session.query(SHARES, &[&channel]).await? {
        let number = |column| -> Result<u32, Failure> {
            Ok(u32::try_from(row.try_get::<_, i64>(column)?).unwrap_or_default())
        };
        let router = Held { share: number(2)?, demand: number(3)? };
        held.entry(row.try_get(0)?).or_default().insert(row.try_get(1)?, router);
    }
    Ok(held)
}

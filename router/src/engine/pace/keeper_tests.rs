use secrecy::SecretString;
use whatsapp::client::Number;

use super::*;
use crate::{pacing::Limits, routing::Channel, store::Stopped};

const SECOND: Duration = Duration::from_secs(1);

fn channel() -> ChannelPace {
    let channel = Channel {
        name: Arc::from("support"),
        number: Number::new("1", "v25.0", &SecretString::from("token")).unwrap(),
        app_secrets: Vec::new(),
        verify_token: SecretString::from("verify"),
        limits: Limits::default(),
    };
    ChannelPace::new(&channel, true, Arc::default())
}

fn stopped_until(probe_at: Micros) -> ChannelState {
    let stopped = Stopped {
        since: 5,
        probe_at,
        reason: "token_invalid".to_owned(),
        error: "Graph error 190".to_owned(),
    };
    ChannelState { channel: Arc::from("support"), stopped: Some(stopped), ..ChannelState::default() }
}

fn at(now: Instant, wall: Micros) -> Moment {
    Moment { at_start: false, wall, now, jitter: 1.0 }
}

#[test]
fn what_others_were_told_counts_here() {
    let (channel, now) = (channel(), Instant::now());
    let mut state = channel.lock();
    let known =
        ChannelState { throughput: Some(1_000), slowed_until: Some(9_000_000), ..ChannelState::default() };
    take_over(&mut state, Some(&known), at(now, 4_000_000));
    assert_eq!((state.announced, state.slowed_until), (Some(1_000), Some(now + 5 * SECOND)));
    take_over(&mut state, None, at(now, 4_000_000));
    assert_eq!(state.announced, Some(1_000), "what is not known is no news");
}

#[test]
fn the_router_that_found_the_stop_probes_and_the_others_follow_what_comes_of_it() {
    let (channel, now) = (channel(), Instant::now());
    let mut state = channel.lock();
    take_over(&mut state, Some(&stopped_until(30_000_000)), at(now, 0));
    assert_eq!(state.closed_until(now), Some(now + 36 * SECOND), "after the other's probe");
    assert_eq!(state.gate.stopped().map(|stop| stop.since), Some(5));
    take_over(&mut state, Some(&stopped_until(60_000_000)), at(now + 31 * SECOND, 31_000_000));
    assert_eq!(state.closed_until(now), Some(now + 66 * SECOND), "that probe failed");
    take_over(&mut state, None, at(now + 61 * SECOND, 61_000_000));
    assert_eq!(state.closed_until(now), None, "that one succeeded");
}

#[test]
fn ones_own_note_changes_nothing_when_it_comes_back() {
    let (channel, now) = (channel(), Instant::now());
    let mut state = channel.lock();
    state.gate.stop(5, now + 30 * SECOND, "token_invalid", "Graph error 190");
    take_over(&mut state, Some(&stopped_until(30_000_000)), at(now, 0));
    assert_eq!(state.closed_until(now), Some(now + 30 * SECOND));
}

#[test]
fn a_start_is_a_reason_to_look_at_once() {
    let (channel, now) = (channel(), Instant::now());
    let mut state = channel.lock();
    take_over(&mut state, Some(&stopped_until(30_000_000)), Moment { at_start: true, ..at(now, 0) });
    assert_eq!((state.closed_until(now), state.trouble_until(now)), (None, Some(now)));
}

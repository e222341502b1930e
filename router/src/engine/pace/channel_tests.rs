use secrecy::SecretString;
use whatsapp::{client::Number, error::GraphError};

use super::*;

const STOPPED_WAIT: Duration = Duration::from_secs(3_600);

fn with_token(token: &str) -> Number {
    Number::new("1", "v25.0", &SecretString::from(token)).unwrap()
}

fn channel(throughput: u32, is_shared: bool) -> Arc<ChannelPace> {
    let channel = Channel {
        name: Arc::from("support"),
        number: with_token("token"),
        app_secrets: Vec::new(),
        verify_token: SecretString::from("verify"),
        limits: Limits { throughput, stopped_wait: STOPPED_WAIT, ..Limits::default() },
    };
    Arc::new(ChannelPace::new(&channel, is_shared, Arc::default()))
}

async fn admit(channel: &Arc<ChannelPace>) -> Result<Permit, Refused> {
    channel.admit(PaceKind::UserInitiated, 2, std::future::pending(), |_| {}).await
}

fn sent() -> Result<Sent, SendError> {
    Ok(Sent { wamid: "wamid.1".to_owned(), message_status: None, api_version: None })
}

fn rejected(code: i64) -> Result<Sent, SendError> {
    let error = Box::new(GraphError::from_json(&format!(r#"{{"code":{code}}}"#)).unwrap());
    Err(SendError::Rejected { http_status: 400, error, retry_after: None })
}

#[tokio::test]
async fn whoever_waits_gets_room_in_the_order_of_coming_and_too_many_are_sent_away() {
    let channel = channel(2, false);
    for _ in 0..2 {
        admit(&channel).await.unwrap().answered(&with_token("token"), &sent());
    }
    let (order, mut came) = tokio::sync::mpsc::unbounded_channel();
    let mut waiting = Vec::new();
    for number in 0..2 {
        let (its, order) = (channel.clone(), order.clone());
        waiting.push(tokio::spawn(async move {
            let permit = admit(&its).await.unwrap();
            order.send(number).unwrap();
            permit.answered(&with_token("token"), &sent());
        }));
        while channel.waiting(PaceKind::UserInitiated) <= number {
            tokio::task::yield_now().await;
        }
    }
    assert!(
        matches!(admit(&channel).await, Err(Refused::Crowded { wait }) if wait >= Duration::from_secs(1))
    );
    for task in waiting {
        task.await.unwrap();
    }
    assert_eq!((came.recv().await, came.recv().await), (Some(0), Some(1)));
}

#[tokio::test]
async fn a_send_that_was_not_made_gives_its_room_back() {
    let channel = channel(1, false);
    for _ in 0..3 {
        admit(&channel)
            .await
            .unwrap()
            .answered(&with_token("token"), &Err(SendError::NotSent(String::new())));
    }
    drop(admit(&channel).await.unwrap());
    assert_eq!(
        channel.lock().windows[0].used(Instant::now()),
        1,
        "without an answer it may have been counted"
    );
}

#[tokio::test]
async fn a_stop_turns_everybody_away_until_one_send_has_found_out() {
    let channel = channel(2, false);
    let (first, late) = (admit(&channel).await.unwrap(), admit(&channel).await.unwrap());
    let waiting = tokio::spawn({
        let channel = channel.clone();
        async move { admit(&channel).await.map(drop) }
    });
    while channel.waiting(PaceKind::UserInitiated) == 0 {
        tokio::task::yield_now().await;
    }
    let effects = first.answered(&with_token("token"), &rejected(190));
    assert!(effects.stopped.is_some_and(|stop| stop.is_new && stop.wait == STOPPED_WAIT));
    assert!(matches!(waiting.await.unwrap(), Err(Refused::Closed { .. })));

    assert!(!late.answered(&with_token("token"), &sent()).opened, "it began before");
    assert!(channel.closed_until(Instant::now()).is_some());

    channel.lock().gate.recheck(Instant::now());
    let probe = admit(&channel).await.unwrap();
    assert!(matches!(admit(&channel).await, Err(Refused::Closed { .. })), "one at a time");
    assert!(probe.answered(&with_token("token"), &rejected(190)).stopped.is_some_and(|stop| !stop.is_new));

    channel.lock().gate.recheck(Instant::now());
    let effects = admit(&channel).await.unwrap().answered(&with_token("token"), &sent());
    assert!(effects.opened && channel.closed_until(Instant::now()).is_none());
}

#[tokio::test]
async fn too_many_sends_halve_the_rate_and_are_told_once() {
    let channel = channel(100, false);
    let two = (admit(&channel).await.unwrap(), admit(&channel).await.unwrap());
    let effects = two.0.answered(&with_token("token"), &rejected(130_429));
    assert!(effects.slowed.is_some() && effects.held.is_some());
    let effects = two.1.answered(&with_token("token"), &rejected(130_429));
    assert!(effects.slowed.is_none() && effects.held.is_none());
    let limits = channel.view();
    assert_eq!((limits.kinds[0].limit, limits.kinds[0].used), (50, 2));
    assert!(limits.slowed_until.is_some() && limits.held_until.is_some());
}

#[tokio::test]
async fn without_a_share_nothing_is_sent_and_a_grant_lets_it_go() {
    let channel = channel(100, true);
    let waiting = tokio::spawn({
        let channel = channel.clone();
        async move { admit(&channel).await.map(drop) }
    });
    while channel.waiting(PaceKind::UserInitiated) == 0 {
        tokio::task::yield_now().await;
    }
    let now = Instant::now();
    let earlier = now.checked_sub(Duration::from_secs(5)).unwrap();
    for share in channel.lock().shares.as_mut().unwrap() {
        share.grant(5, now, earlier, Duration::from_secs(60));
    }
    channel.wake();
    waiting.await.unwrap().unwrap();
    assert_eq!((channel.view().kinds[0].limit, channel.view().kinds[0].share), (100, 5));
    assert!(channel.take_demand(PaceKind::Throughput) >= 1);
}

#[tokio::test]
async fn messages_that_come_in_use_the_throughput_up() {
    let channel = channel(3, false);
    assert!(channel.received(3), "the number itself is not known yet");
    assert_eq!(channel.view().kinds[0].remaining, 0);
    assert_eq!(channel.view().kinds[2].used, 0);
}

#[tokio::test]
async fn another_credential_is_tried_at_once_and_what_was_said_of_the_old_one_is_forgotten() {
    let pace = channel(80, false);
    let configured = |token: &str, throughput| Channel {
        name: Arc::from("support"),
        number: with_token(token),
        app_secrets: Vec::new(),
        verify_token: SecretString::from("verify"),
        limits: Limits { throughput, stopped_wait: STOPPED_WAIT, ..Limits::default() },
    };
    let (first, late) = (admit(&pace).await.unwrap(), admit(&pace).await.unwrap());
    assert!(first.answered(&with_token("token"), &rejected(190)).stopped.is_some());
    assert!(!pace.configure(&configured("token", 80)), "the same again mends nothing");
    assert!(matches!(admit(&pace).await, Err(Refused::Closed { .. })));
    assert!(pace.configure(&configured("new", 80)));
    let probe = admit(&pace).await.unwrap();
    assert!(late.answered(&with_token("token"), &rejected(190)).stopped.is_none());
    assert!(
        probe.answered(&with_token("token"), &rejected(190)).stopped.is_none(),
        "it went out before the change"
    );
    let probe = admit(&pace).await.unwrap();
    assert!(probe.answered(&with_token("new"), &sent()).opened);
    assert_eq!(pace.view().kinds[0].used, 4, "all of it went out in this second");
    pace.configure(&configured("new", 4));
    assert_eq!((pace.view().kinds[0].used, pace.view().kinds[0].remaining), (4, 0), "and stays counted");
}

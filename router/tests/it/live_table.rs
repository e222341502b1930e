//! The table is replaced while messages flow: nothing is lost, doubled or reordered by it, and every change counts from
//! the next message on.

mod rig;

use std::{collections::HashMap, sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use service::signing::{self, Signer};

use self::rig::{ONE, Rig, TWO, channel, prefix, route, rule};
use crate::harness::{PATIENCE, echoed, now};
use router::routing::{Backend, DeadLetter, Debounce, MarkRead, Rule, Table};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The table of the given number: both channels or one, one backend or several, one rule or two.
fn variant(rig: &Rig, number: usize) -> Table {
    let token = &rig.meta.options().access_token;
    let throughput = [100_000, 500, 3_000][number % 3];
    let mut channels = vec![channel("one", ONE, token, throughput)];
    let mut names = vec!["one"];
    if number % 4 != 3 {
        channels.push(channel("two", TWO, token, throughput));
        names.push("two");
    }
    let rules = match number % 5 {
        0 => vec![rule("r", "default", vec![(rig.backend(), 1)])],
        1 => vec![rule("r", "default", vec![(rig.backend(), 1), (rig.other_backend(), 1)])],
        2 => vec![
            Rule {
                matchers: vec![prefix("1"), prefix("2")],
                ..rule("r", "low", vec![(rig.other_backend(), 1)])
            },
            rule("r", "default", vec![(rig.backend(), 2)]),
        ],
        3 => vec![rule("r", "default", vec![(rig.backend(), 0), (rig.other_backend(), 5)])],
        _ => vec![rule("s", "renamed", vec![(rig.other_backend(), 3), (rig.backend(), 1)])],
    };
    Table::new(channels, vec![route("r", &names, rules)]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_swapped_under_load_and_nothing_is_lost_doubled_or_reordered() {
    const PEOPLE: usize = 24;
    const EACH: usize = 25;
    let rig = Arc::new(Rig::start().await);
    rig.table.store(variant(&rig, 0));
    let swapping = tokio::spawn({
        let rig = rig.clone();
        async move {
            for number in 0..400 {
                rig.table.store(variant(&rig, number));
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            rig.table.store(variant(&rig, 1));
        }
    });
    let mut writing = Vec::new();
    for person in 0..PEOPLE {
        let rig = rig.clone();
        writing.push(tokio::spawn(async move {
            let number = if person % 2 == 0 { ONE } else { TWO };
            let from = format!("1555010{person:04}");
            for turn in 0..EACH {
                // While the channel is not there Meta is told that the number is none of ours; it is for us to wait.
                while !rig.webhook(number, &from, &format!("wamid.{person}.{turn}"), &turn.to_string()).await
                {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }));
    }
    for task in writing {
        task.await.unwrap();
    }
    swapping.await.unwrap();
    let replies = rig.replies(PEOPLE * EACH).await;
    assert_eq!(replies.len(), PEOPLE * EACH, "each once");
    let mut by_person: HashMap<(String, String), Vec<String>> = HashMap::new();
    for reply in &replies {
        let key = (reply.phone_number_id.clone(), reply.to.clone());
        by_person.entry(key).or_default().push(echoed(&reply.text).to_owned());
    }
    let in_order: Vec<String> = (0..EACH).map(|turn| turn.to_string()).collect();
    assert_eq!(by_person.len(), PEOPLE);
    for (person, said) in &by_person {
        assert_eq!(said, &in_order, "{person:?}");
    }
    let asked = (rig.meta.backend_requests().len(), rig.other.backend_requests().len());
    assert!(asked.0 > 0 && asked.1 > 0, "both backends were asked: {asked:?}");
    let ledger = rig.settled().await;
    for name in ["one", "two"] {
        let expected = i64::try_from(PEOPLE / 2 * EACH).unwrap();
        assert_eq!(
            (ledger[name].accepted, ledger[name].answered, ledger[name].sent),
            (expected, expected, expected)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_credential_is_tried_at_once_and_work_of_a_channel_that_is_gone_waits_until_it_is_back() {
    let rig = Rig::start().await;
    let right = rig.meta.options().access_token.clone();
    let wrong = SecretString::from("revoked-token");
    // The first channel works all the while, so that the queue as a whole is never held back. The other one would not be
    // tried again by itself before the test has lost its patience.
    let table = |token_of_two: Option<&SecretString>| {
        let mut channels = vec![channel("one", ONE, &right, 1_000)];
        let mut names = vec!["one"];
        if let Some(token) = token_of_two {
            let mut two = channel("two", TWO, token, 1_000);
            two.limits.stopped_wait = Duration::from_secs(3_600);
            channels.push(two);
            names.push("two");
        }
        let rules = vec![rule("r", "default", vec![(rig.backend(), 1)])];
        Table::new(channels, vec![route("r", &names, rules)]).unwrap()
    };
    let is_stopped = |rig: &Rig| {
        rig.engine.limits_view().iter().any(|channel| &*channel.channel == "two" && channel.stopped.is_some())
    };
    let said = async |count: usize| -> Vec<String> {
        let replies = rig.replies(count).await;
        assert!(replies.iter().all(|reply| reply.phone_number_id == TWO));
        replies.iter().map(|reply| echoed(&reply.text).to_owned()).collect()
    };

    rig.table.store(table(Some(&wrong)));
    assert!(rig.webhook(TWO, "15550100001", "wamid.1", "first").await);
    rig.until("the channel stops for its credential", is_stopped).await;
    assert!(rig.webhook(TWO, "15550100002", "wamid.2", "second").await);
    rig.table.store(table(Some(&right)));
    let mut both = said(2).await;
    both.sort();
    assert_eq!(both, ["first", "second"]);

    rig.table.store(table(Some(&wrong)));
    assert!(rig.webhook(TWO, "15550100001", "wamid.3", "third").await);
    rig.until("the channel stops again", is_stopped).await;
    rig.table.store(table(None));
    rig.until("the channel is gone from the limits", |rig| rig.engine.limits_view().len() == 1).await;
    assert!(!rig.webhook(TWO, "15550100001", "wamid.4", "fourth").await, "none of ours");
    assert_eq!((rig.store.depth().outbox, rig.store.depth().dead_letters), (1, 0), "it waits");
    rig.table.store(table(Some(&right)));
    assert_eq!(said(3).await[2], "third");
    assert!(rig.webhook(TWO, "15550100001", "wamid.4", "fourth").await);
    assert_eq!(said(4).await[3], "fourth");
    assert_eq!(rig.settled().await["two"].sent, 4);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_has_its_own_backend_policy_and_signature() {
    let rig = Rig::start().await;
    let token = rig.meta.options().access_token.clone();
    let signer = Signer::new(&[SecretString::from(SECRET)]).unwrap();
    let orders = Rule {
        matchers: vec![prefix("order")],
        mark_read: MarkRead::OnReply,
        signer: Some(signer.clone()),
        ..rule("shop", "orders", vec![(rig.other_backend(), 1)])
    };
    let mut burst = rule("shop", "burst", vec![(rig.backend(), 1)]);
    burst.matchers = vec![prefix("and")];
    burst.delivery.debounce = Some(Debounce { quiet: Duration::from_secs(30), max: Duration::from_secs(60) });
    burst.mark_read = MarkRead::OnReceive;
    let mut dropped = rule(
        "shop",
        "dropped",
        vec![(Backend::at(&format!("{}/nowhere", rig.meta.url()).parse().unwrap()), 1)],
    );
    dropped.matchers = vec![prefix("drop")];
    dropped.delivery.dead_letter = DeadLetter::Drop;
    let channels = vec![channel("one", ONE, &token, 1_000)];
    let rules = vec![orders, burst, dropped];
    rig.table.store(Table::new(channels, vec![route("shop", &["one"], rules)]).unwrap());

    let person = "15550100001";
    for (wamid, text) in [
        ("wamid.1", "order 1"),
        ("wamid.2", "nobody takes this"),
        ("wamid.3", "drop it"),
        ("wamid.4", "and"),
        ("wamid.5", "and more"),
        ("wamid.6", "order 2"),
    ] {
        assert!(rig.webhook(ONE, person, wamid, text).await);
    }
    let replies = rig.replies(3).await;
    let said: Vec<_> = replies.iter().map(|reply| echoed(&reply.text)).collect();
    assert_eq!(said, ["order 1", "and\nand more", "order 2"], "the burst ends where another rule takes over");

    let calls = rig.other.backend_requests();
    assert_eq!(calls.len(), 2);
    for call in &calls {
        let header = |name: &str| call.headers.get(name).map(String::as_str);
        assert_eq!(header(signing::ID), call.idempotency_key.as_deref());
        let at: i64 = header(signing::TIMESTAMP).unwrap().parse().unwrap();
        assert!(
            header(signing::SIGNATURE).unwrap().starts_with("v1,") && at.unsigned_abs().abs_diff(now()) < 60
        );
    }
    let unsigned = rig.meta.backend_requests();
    assert!(unsigned.iter().all(|call| !call.headers.contains_key(signing::SIGNATURE)));

    let read = |rig: &Rig| -> Vec<String> {
        let calls = rig.meta.calls();
        let marks = calls.iter().filter(|call| call.request["status"] == "read" && call.status == Some(200));
        let mut ids: Vec<_> =
            marks.filter_map(|call| call.request["message_id"].as_str().map(str::to_owned)).collect();
        ids.sort();
        ids
    };
    rig.until("messages are shown as read", |rig| read(rig) == ["wamid.1", "wamid.4", "wamid.5", "wamid.6"])
        .await;

    let ledger = rig.settled().await;
    let one = &ledger["one"];
    assert_eq!((one.accepted, one.answered, one.not_to_be_answered, one.inbox_dead), (6, 4, 2, 0), "{one:?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_is_over_the_bytes_that_were_sent() {
    let rig = Rig::start().await;
    let secret = SecretString::from(SECRET);
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", server.local_addr().unwrap());
    let signed = Rule {
        signer: Some(Signer::new(std::slice::from_ref(&secret)).unwrap()),
        ..rule("r", "default", vec![(Backend::at(&base.parse().unwrap()), 1)])
    };
    let channels = vec![channel("one", ONE, &rig.meta.options().access_token, 1_000)];
    rig.table.store(Table::new(channels, vec![route("r", &["one"], vec![signed])]).unwrap());
    let taking = tokio::spawn(take_one(server));
    assert!(rig.webhook(ONE, "15550100001", "wamid.1", "hällo").await);
    let (headers, body) = tokio::time::timeout(PATIENCE, taking).await.unwrap().unwrap();
    let header = |name: &str| headers.get(name).map(String::as_str);
    let (id, at, signature) = (header(signing::ID), header(signing::TIMESTAMP), header(signing::SIGNATURE));
    let verifier = Signer::new(&[SecretString::from(secret.expose_secret())]).unwrap();
    let present = i64::try_from(now()).unwrap();
    assert_eq!(verifier.verify(id, at, signature, &body, present), Ok(()));
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["text"], "hällo");
    assert_eq!(rig.replies(1).await[0].text, "yes");
    rig.stop().await;
}

/// One request, by hand, so that its bytes are known.
async fn take_one(server: tokio::net::TcpListener) -> (HashMap<String, String>, Vec<u8>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (mut stream, _) = server.accept().await.unwrap();
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 4_096];
        let count = stream.read(&mut part).await.unwrap();
        bytes.extend_from_slice(&part[..count]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let headers: HashMap<String, String> = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let length: usize = headers["content-length"].parse().unwrap();
        if bytes.len() >= end + 4 + length {
            let answer = r#"{"reply":"yes"}"#;
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{answer}",
                answer.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            return (headers, bytes[end + 4..].to_vec());
        }
    }
}

use bytes::Bytes;
use secrecy::SecretString;
use service::metrics::Metrics;
use whatsapp::{
    client::{Number, SendError, Sent},
    error::GraphError,
};

use super::*;
use crate::{
    metrics::RouterMetrics,
    pacing::Limits,
    store::{NewEvent, PaceKind, SeenKey},
};

const FIRST: &str = "106540352242922";
const SECOND: &str = "206540352242922";

fn number(phone_number_id: &str) -> Number {
    Number::new(phone_number_id, "v25.0", &SecretString::from("token")).unwrap()
}

fn channel(name: &str, phone_number_id: &str) -> Channel {
    Channel {
        name: Arc::from(name),
        number: number(phone_number_id),
        app_secrets: Vec::new(),
        verify_token: SecretString::from("verify"),
        limits: Limits::default(),
    }
}

fn pace() -> (Pace, mpsc::UnboundedReceiver<News>) {
    let table = Table::new(vec![channel("one", FIRST), channel("two", SECOND)], Vec::new()).unwrap();
    Pace::new(&table, false, RouterMetrics::new(&Metrics::new("whatsapp_router", "1", "r")).pace)
}

/// The answer to one send through this channel.
async fn send(pace: &Pace, name: &str, answer: &Result<Sent, SendError>) -> bool {
    let channel = pace.known(name).unwrap();
    channel.lock().gate.recheck(Instant::now());
    let own = number(&channel.phone_number_id);
    let admitted = channel.admit(PaceKind::UserInitiated, 1, std::future::pending(), |_| {}).await;
    pace.report(&channel, admitted.unwrap().answered(&own, answer), answer.as_ref().err())
}

fn revoked() -> Result<Sent, SendError> {
    let error = Box::new(GraphError::from_json(r#"{"code":190}"#).unwrap());
    Err(SendError::Rejected { http_status: 401, error, retry_after: None })
}

fn taken() -> Result<Sent, SendError> {
    Ok(Sent { wamid: "wamid.1".to_owned(), message_status: None, api_version: None })
}

#[tokio::test]
async fn the_queue_is_held_only_when_no_channel_can_send() {
    let (pace, mut news) = pace();
    assert_eq!(pace.all_closed_until(), None);
    assert!(!send(&pace, "one", &revoked()).await);
    assert_eq!(pace.all_closed_until(), None, "the other one sends");
    assert!(!send(&pace, "two", &revoked()).await);
    assert!(pace.all_closed_until().unwrap() > Instant::now());
    pace.known("one").unwrap().lock().gate.recheck(Instant::now());
    assert!(pace.all_closed_until().unwrap() <= Instant::now(), "a probe is due");
    assert!(send(&pace, "one", &taken()).await, "those who wait can go on");
    assert_eq!(pace.all_closed_until(), None);
    assert!(!send(&pace, "one", &taken()).await);

    let mut told = Vec::new();
    while let Ok((channel, news)) = news.try_recv() {
        told.push((channel.to_string(), matches!(news, ChannelNews::Sends)));
    }
    let expected = [("one", false), ("two", false), ("one", true)];
    assert_eq!(told, expected.map(|(name, sends)| (name.to_owned(), sends)));
}

fn delivery(body: &str) -> Delivery {
    let webhook = whatsapp::webhook::parse(body.as_bytes()).unwrap();
    let table = Table::new(vec![channel("one", FIRST), channel("two", SECOND)], Vec::new()).unwrap();
    crate::intake::plan(webhook, Bytes::from(body.to_owned()), &table, 0).delivery
}

fn message(phone_number_id: &str, display: &str) -> Delivery {
    delivery(&format!(
        r#"{{"object":"whatsapp_business_account","entry":[{{"id":"1","changes":[{{"field":"messages","value":{{
            "metadata":{{"display_phone_number":"{display}","phone_number_id":"{phone_number_id}"}},
            "messages":[{{"from":"491","id":"wamid.1","timestamp":"1","type":"text","text":{{"body":"hi"}}}}]}}}}]}}]}}"#
    ))
}

fn upgrade(display: &str) -> Delivery {
    let raw = format!(r#"{{"display_phone_number":"{display}","event":"THROUGHPUT_UPGRADE"}}"#);
    let event =
        NewEvent { seen_key: SeenKey::new(&["x"]), channel: None, field: quality::FIELD.to_owned(), raw };
    let mut delivery = message(FIRST, "");
    delivery.messages.clear();
    delivery.events.push(event);
    delivery
}

#[test]
fn a_number_is_learned_from_its_messages_and_an_upgrade_is_of_that_number() {
    let (pace, mut news) = pace();
    let limit = |name: &str| pace.known(name).unwrap().view().kinds[0].limit;
    pace.received(&upgrade("+1 555-078-3881"));
    assert_eq!((limit("one"), limit("two")), (80, 80), "whose number that is nobody knows yet");
    pace.received(&message(SECOND, "1 555 078 3881"));
    assert_eq!(pace.known("two").unwrap().view().kinds[0].used, 1);
    pace.received(&message(FIRST, "15550000000"));
    pace.received(&upgrade("+1 555-078-3881"));
    pace.received(&upgrade("+1 555-078-3881"));
    assert_eq!((limit("one"), limit("two")), (80, 1_000));
    let (channel, told) = news.try_recv().unwrap();
    assert_eq!((&*channel, told), ("two", ChannelNews::Throughput(1_000)));
    assert!(news.try_recv().is_err(), "told once");
}

#[tokio::test]
async fn channels_come_and_go_with_the_table() {
    let (pace, _news) = pace();
    assert!(!send(&pace, "one", &revoked()).await);
    assert!(!send(&pace, "two", &taken()).await);
    let table = Table::new(vec![channel("one", SECOND), channel("three", FIRST)], Vec::new()).unwrap();
    assert!(pace.follow(&table).is_empty());
    assert!(pace.known("two").is_none() && pace.known("three").is_some());
    let one = pace.known("one").unwrap().view();
    assert_eq!((&*one.phone_number_id, one.stopped), (SECOND, None), "another number begins anew");
}

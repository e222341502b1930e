//! The number of series depends on the configuration, never on how many people write.

use std::{collections::BTreeSet, ops::Range, time::Duration};

use reqwest::Method;
use sandbox::{simulator::Signing, stack::Stack};
use serde_json::{Value, json};

use crate::{
    api_client::{KEY, call, with_keys},
    harness::{PATIENCE, envelope, faults, idle, text_message, value, webhook},
};

const FEW: u32 = 10;
const MANY: u32 = 10_000;
/// In one webhook; Meta's own limit is 1,000.
const BATCH: usize = 200;

fn number(person: u32) -> String {
    format!("49151777{person:05}")
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_people_make_no_more_series_than_ten() {
    let stack = with_keys()
        // Statuses in batches, as Meta sends them when there are many.
        .simulator(|simulator| simulator.statuses.window = Duration::from_millis(500))
        .router_env("LOG_LEVEL", "warn")
        .server_env("LOG_LEVEL", "warn")
        .start()
        .await
        .unwrap();
    everything(&stack, 0..FEW).await;
    let few = shown(&stack, FEW).await;
    everything(&stack, FEW..MANY).await;
    let many = shown(&stack, MANY).await;
    for (few, many) in few.iter().zip(&many) {
        let (few, many) = (series(few), series(many));
        let new: Vec<_> = many.difference(&few).collect();
        assert!(new.is_empty(), "{} series became {}: {new:#?}", few.len(), many.len());
        assert!(few.len() > 50, "the metrics are there: {few:?}");
    }
    let received = "whatsapp_router_messages_received_total{channel=\"default\",type=\"text\"} ";
    let count = many[0].lines().find_map(|line| line.strip_prefix(received)?.parse::<u32>().ok());
    assert_eq!(count, Some(MANY), "each of them wrote");
    let leak = many.iter().flat_map(|text| text.lines()).find(|line| line.contains("49151777"));
    assert_eq!(leak, None);
}

/// All that people and strangers do, in the same way whoever they are.
async fn everything(stack: &Stack, people: Range<u32>) {
    let refused = json!({"graph": {"errors": [
        {"code": 131_026, "count": 2}, {"code": 131_047, "count": 2}, {"code": 131_026, "count": 2, "as_status": true},
        {"code": 131_000, "count": 2}]}});
    stack.simulator().set_faults(faults(refused));
    let people: Vec<_> = people.collect();
    for batch in people.chunks(BATCH) {
        let messages: Vec<Value> = batch
            .iter()
            .map(|&person| text_message(&number(person), &format!("wamid.{person}"), "hello"))
            .collect();
        let body = envelope(&[value(json!({"messages": messages}))]);
        while stack.webhook(body.clone()).await.unwrap().status != 200 {}
    }
    for &person in people.iter().rev().take(FEW as usize) {
        let from = number(person);
        let again = webhook(&[(&from, &format!("wamid.{person}"), "hello")]);
        stack.webhook(again.clone()).await.unwrap();
        let image = json!({"from": from, "id": format!("wamid.image.{person}"), "timestamp": "1700000000", "type": "image", "image": {"id": "1"}});
        stack.webhook(envelope(&[value(json!({"messages": [image]}))])).await.unwrap();
        let status = json!({"id": format!("wamid.gone.{person}"), "status": "read", "recipient_id": from, "timestamp": "1700000000"});
        stack.webhook(envelope(&[value(json!({"statuses": [status]}))])).await.unwrap();
        stack.webhook(again.replace(crate::harness::PHONE_NUMBER_ID, &from)).await.unwrap();
        for signing in [Signing::WrongSecret, Signing::Unsigned] {
            stack.simulator().inject(again.clone(), signing).await.unwrap();
        }
        for path in [
            format!("/api/v1/messages?contact={from}"),
            format!("/api/v1/messages/{from}"),
            format!("/rate-limit/stats/{from}"),
            format!("/{from}"),
        ] {
            call(stack, Method::GET, &path, &[("x-api-key", KEY)], None).await;
        }
        let send = json!({"to": from, "type": "text", "text": {"body": "hello"}});
        let headers = [("x-api-key", KEY), ("content-type", "application/json")];
        call(stack, Method::POST, "/api/v1/messages?force=true", &headers, Some(&send)).await;
        let at_the_server = reqwest::get(format!("{}/{from}", stack.server_url().unwrap())).await.unwrap();
        assert_eq!(at_the_server.status(), 404);
    }
    idle(stack).await;
}

/// The router's and the server's, once the account and the times of last messages are among them, which are looked up
/// every few seconds.
async fn shown(stack: &Stack, people: u32) -> [String; 2] {
    let ask = async |url: &str| reqwest::get(format!("{url}/metrics")).await.unwrap().text().await.unwrap();
    let looked_up = async {
        loop {
            let text = ask(stack.router_url()).await;
            let has = |name: &str| text.lines().any(|line| line.starts_with(name));
            // Everybody's text, the images, and nothing twice.
            let accepted = if people == FEW { people + FEW } else { people + 2 * FEW };
            let account = format!(
                "whatsapp_router_ledger_messages{{channel=\"default\",term=\"accepted\"}} {accepted}"
            );
            if has(&account) && has("whatsapp_router_channel_last_message_timestamp_seconds{") {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let router = tokio::time::timeout(PATIENCE, looked_up).await.expect("the account is shown");
    // The first look is counted in the second.
    ask(stack.server_url().unwrap()).await;
    [router, ask(stack.server_url().unwrap()).await]
}

/// Names and labels, without values.
fn series(text: &str) -> BTreeSet<&str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit_once(' ')).map(|(series, _)| series).collect()
}

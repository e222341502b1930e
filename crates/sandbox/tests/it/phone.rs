//! The phone page's API, as the page uses it.

use std::time::Duration;

use reqwest::{Method, Response, header};
use serde_json::{Value, json};

use crate::harness::{AMARA, Bench, NUMBER, ZOE};

/// Reads events until one fits; answers all that came, that one last.
async fn events_until(stream: &mut Response, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
    let (mut text, mut events) = (String::new(), Vec::new());
    loop {
        let chunk =
            tokio::time::timeout(Duration::from_secs(20), stream.chunk()).await.unwrap().unwrap().unwrap();
        text.push_str(std::str::from_utf8(&chunk).unwrap());
        while let Some((frame, rest)) = text.split_once("\n\n") {
            let event: Option<Value> =
                frame.strip_prefix("data: ").map(|data| serde_json::from_str(data).unwrap());
            text = rest.to_owned();
            let Some(event) = event else { continue };
            events.push(event);
            if events.last().is_some_and(&fits) {
                return events;
            }
        }
    }
}

#[tokio::test]
async fn a_conversation_as_the_page_sees_it() {
    let bench = Bench::new().await;
    let mut stream = bench.client.get(bench.url("/phone/events")).send().await.unwrap();
    assert_eq!(stream.headers()[header::CONTENT_TYPE], "text/event-stream");
    events_until(&mut stream, |event| event["type"] == "hello").await;

    let (status, said) =
        bench.call(Method::POST, "/phone/messages", &json!({"wa_id": ZOE, "text": "Grüße"})).await;
    assert_eq!(status, 200);
    let events = events_until(&mut stream, |event| event["type"] == "typing").await;
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(kinds, ["message", "status", "webhook", "status", "typing"]);
    assert_eq!(events[0]["message"]["id"], said["id"]);
    assert_eq!(events[0]["message"]["direction"], "out");
    assert_eq!((&events[1]["status"], &events[3]["status"]), (&json!("sent"), &json!("delivered")));
    let webhook = &events[2];
    assert_eq!((&webhook["status"], &webhook["attempt"]), (&json!(200), &json!(1)));
    assert_eq!(webhook["body"]["object"], "whatsapp_business_account");
    assert_eq!((&events[4]["wa_id"], &events[4]["on"]), (&json!(ZOE), &json!(true)));

    let reply = bench.send_text(ZOE, "hello", "").await;
    let events = events_until(&mut stream, |event| event["status"] == "delivered").await;
    assert_eq!(events[0]["message"]["id"], json!(reply));
    assert_eq!((&events[1]["type"], &events[1]["on"]), (&json!("typing"), &json!(false)));
    assert_eq!((&events[2]["type"], &events[2]["method"]), (&json!("graph"), &json!("POST")));
    assert_eq!(events[2]["response"]["messages"][0]["id"], json!(reply));

    let state = bench.get("/phone/state").await;
    assert_eq!(state["business"]["phone_number_id"], NUMBER);
    let contacts = state["contacts"].as_array().unwrap();
    let zoe = contacts.iter().find(|contact| contact["wa_id"] == ZOE).unwrap();
    assert_eq!(zoe["typing"], json!(false));
    let texts: Vec<&Value> =
        zoe["messages"].as_array().unwrap().iter().map(|message| &message["text"]).collect();
    assert_eq!(texts, [&json!("Grüße"), &json!("hello")]);
}

#[tokio::test]
async fn the_business_can_read_and_type() {
    let bench = Bench::new().await;
    let id = bench.simulator.say(AMARA, "hello").unwrap();
    bench.router.wait_for("messages", 1).await;
    let mut stream = bench.client.get(bench.url("/phone/events")).send().await.unwrap();
    let body = json!({"messaging_product": "whatsapp", "status": "read", "message_id": id,
        "typing_indicator": {"type": "text"}});
    let answer = bench.send(&body).await.unwrap();
    assert_eq!(answer.text().await.unwrap(), r#"{"success":true}"#);
    let events = events_until(&mut stream, |event| event["type"] == "graph").await;
    assert!(events.iter().any(|event| event["type"] == "status" && event["status"] == "read"), "{events:?}");
    assert!(bench.simulator.contacts().iter().any(|contact| contact.wa_id == AMARA && contact.typing));
    assert!(bench.simulator.messages().is_empty());
}

#[tokio::test]
async fn people_can_be_added_and_mistakes_are_explained() {
    let bench = Bench::new().await;
    let (status, added) = bench.call(Method::POST, "/phone/contacts", &json!({"name": "Ines"})).await;
    assert_eq!((status, &added["name"]), (201, &json!("Ines")));
    assert!(added["wa_id"].as_str().unwrap().starts_with("12025550"));
    for (path, body, status, named) in [
        ("/phone/contacts", json!({"name": "Ines", "wa_id": AMARA}), 400, AMARA),
        ("/phone/contacts", json!({"nam": "Ines"}), 400, "nam"),
        ("/phone/messages", json!({"wa_id": "1999", "text": "a"}), 400, "add the contact"),
        ("/phone/messages", json!({"wa_id": AMARA, "text": " "}), 400, "empty"),
        ("/phone/messages", json!({"wa_id": AMARA}), 400, "text"),
        ("/phone/open", json!({"wa_id": "1999"}), 404, "add the contact"),
        ("/phone/nothing", json!({}), 404, "nothing"),
        ("/phone/state", json!({}), 405, "method"),
    ] {
        let (got, problem) = bench.call(Method::POST, path, &body).await;
        assert_eq!(got, status, "{path} {body}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(named), "{path} {body}: {problem}");
        assert!(problem["code"].is_string());
    }
}

#[tokio::test]
async fn pages_of_other_sites_are_kept_out() {
    let bench = Bench::new().await;
    let own = bench.simulator.url().to_owned();
    for (origin, status) in [("https://example.com", 403), ("null", 403), (own.as_str(), 200)] {
        let request = bench.client.post(bench.url("/phone/messages")).header(header::ORIGIN, origin);
        let body = json!({"wa_id": AMARA, "text": "hello"}).to_string();
        assert_eq!(request.body(body).send().await.unwrap().status(), status, "{origin}");
    }
}

#[tokio::test]
async fn the_page_loads_only_from_here() {
    let bench = Bench::new().await;
    let page = bench.client.get(bench.url("/")).send().await.unwrap();
    assert_eq!(page.status(), 200);
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    let html = page.text().await.unwrap();
    for part in html.split(['"', '\'']).filter(|part| part.ends_with(".js") || part.ends_with(".css")) {
        let file = bench.client.get(bench.url(&format!("/{}", part.trim_start_matches(['.', '/'])))).send();
        assert_eq!(file.await.unwrap().status(), 200, "{part}");
    }
    assert_eq!(bench.client.get(bench.url("/nothing.js")).send().await.unwrap().status(), 404);
}

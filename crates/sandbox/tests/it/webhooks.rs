//! The webhook side: signatures, redelivery, order, statuses, the handshake.

use std::{collections::HashSet, time::Duration};

use reqwest::Method;
use sandbox::simulator::{DeliveryStatus, Simulator, SimulatorOptions};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::harness::{AMARA, Bench, SECRET, ZOE, eventually};

#[tokio::test]
async fn webhooks_are_signed_over_their_exact_bytes() {
    let bench = Bench::new().await;
    let id = bench.simulator.say(ZOE, "Grüße 👋").unwrap();
    let messages = bench.router.wait_for("messages", 1).await;
    assert_eq!(messages[0]["id"], json!(id));
    assert_eq!(messages[0]["text"]["body"], "Grüße 👋");
    let received = &bench.router.received()[0];
    assert!(received.body.is_ascii());
    let secrets = [SecretString::from(SECRET)];
    let signature = received.signature.as_deref();
    assert_eq!(whatsapp::signature::verify(&secrets, &received.body, signature), Ok(0));
    let contact = &received.json()["entry"][0]["changes"][0]["value"]["contacts"][0];
    assert_eq!((&contact["profile"]["name"], &contact["wa_id"]), (&json!("Zoë Lindqvist"), &json!(ZOE)));
    assert!(contact["user_id"].as_str().unwrap().starts_with("GB."));
}

#[tokio::test]
async fn the_library_that_the_router_uses_reads_them() {
    let bench = Bench::new().await;
    bench.simulator.say(AMARA, "hello").unwrap();
    bench.send_text(AMARA, "welcome", "out-1").await;
    bench.router.wait_for("messages", 1).await;
    bench.router.wait_for("statuses", 2).await;
    for received in bench.router.received() {
        let webhook = whatsapp::webhook::parse(&received.body).unwrap();
        assert_eq!(webhook.items.len(), 1);
        let item = &webhook.items[0];
        assert_eq!(item.phone_number_id.as_deref(), Some("106540352242922"));
        let understood = match &item.kind {
            whatsapp::webhook::ItemKind::Message(message) => message.text() == Some("hello"),
            whatsapp::webhook::ItemKind::Status(_) => true,
            _ => false,
        };
        assert!(understood, "{}", item.raw);
    }
}

#[tokio::test]
async fn a_refused_webhook_comes_again_until_it_is_accepted() {
    let bench = Bench::new().await;
    bench.router.fail("stubborn", 503, 2);
    // Meta counts every answer but 200 as a failure.
    bench.router.fail("stubborn", 204, 1);
    let id = bench.simulator.say(AMARA, "stubborn").unwrap();
    bench.router.wait_for("messages", 1).await;
    let received = bench.router.received();
    let answers: Vec<u16> = received.iter().map(|received| received.answered).collect();
    assert_eq!(answers, [503, 503, 204, 200]);
    assert_eq!(received.iter().map(|received| &received.body).collect::<HashSet<_>>().len(), 1);
    eventually("the person sees two ticks", || {
        let contacts = bench.simulator.contacts();
        let message = contacts.iter().flat_map(|contact| &contact.messages).find(|message| message.id == id);
        message.is_some_and(|message| message.status == DeliveryStatus::Delivered)
    })
    .await;
    let records = bench.get("/webhooks").await;
    let record = &records["items"][0];
    assert_eq!((&record["status"], &record["attempts"]), (&json!(200), &json!(4)));
}

#[tokio::test]
async fn one_contact_s_webhooks_keep_their_order_and_hold_up_nobody_else() {
    let bench = Bench::new().await;
    bench.router.fail("amara 0", 503, 3);
    for n in 0..5 {
        bench.simulator.say(AMARA, &format!("amara {n}")).unwrap();
    }
    bench.simulator.say(ZOE, "zoe").unwrap();
    let messages = bench.router.wait_for("messages", 6).await;
    let texts: Vec<&str> = messages.iter().filter_map(|message| message["text"]["body"].as_str()).collect();
    let amara: Vec<&str> = texts.iter().copied().filter(|text| text.starts_with("amara")).collect();
    assert_eq!(amara, ["amara 0", "amara 1", "amara 2", "amara 3", "amara 4"]);
    let place = |text| texts.iter().position(|other| *other == text);
    assert!(place("zoe") < place("amara 4"), "{texts:?}");
}

#[tokio::test]
async fn statuses_follow_a_message_and_carry_its_callback_data() {
    let bench = Bench::new().await;
    let id = bench.send_text(AMARA, "hello", "out-7").await;
    let statuses = bench.router.wait_for("statuses", 2).await;
    let seen: Vec<&str> = statuses.iter().filter_map(|status| status["status"].as_str()).collect();
    assert_eq!(seen, ["sent", "delivered"]);
    for status in &statuses {
        assert_eq!((&status["id"], &status["recipient_id"]), (&json!(id), &json!(AMARA)));
        assert_eq!(status["biz_opaque_callback_data"], "out-7");
        assert!(status["timestamp"].is_string());
        assert!(status.get("conversation").is_none());
        assert_eq!(status["pricing"]["category"], "service");
    }
    let (status, read) = bench.call(Method::POST, "/phone/open", &json!({ "wa_id": AMARA })).await;
    assert_eq!((status, read), (200, json!({ "read": [id] })));
    let statuses = bench.router.wait_for("statuses", 3).await;
    assert_eq!(statuses[2]["status"], "read");
    // The chat is open: what comes now is read at once.
    bench.send_text(AMARA, "still there?", "out-8").await;
    let statuses = bench.router.wait_for("statuses", 6).await;
    assert_eq!(statuses[5]["status"], "read");
    assert_eq!(statuses[5]["biz_opaque_callback_data"], "out-8");
}

#[tokio::test]
async fn statuses_can_travel_in_batches() {
    let bench = Bench::with(|options| {
        options.statuses.window = Duration::from_millis(50);
        options.statuses.max_items = 10;
    })
    .await;
    for n in 0..20 {
        bench.send_text(AMARA, &n.to_string(), &n.to_string()).await;
    }
    let statuses = bench.router.wait_for("statuses", 40).await;
    let unique: HashSet<String> =
        statuses.iter().map(|status| format!("{} {}", status["id"], status["status"])).collect();
    assert_eq!(unique.len(), 40);
    let sizes: Vec<usize> =
        bench.router.received().iter().map(|received| received.items("statuses").len()).collect();
    assert!(sizes.iter().all(|size| *size <= 10), "{sizes:?}");
    assert!(sizes.len() < 40, "{sizes:?}");
}

#[tokio::test]
async fn the_handshake_says_what_went_wrong() {
    let bench = Bench::new().await;
    assert!(bench.simulator.handshake().await.ok);
    assert_eq!(bench.get("/phone/state").await["handshake"]["ok"], json!(true));
    let options = SimulatorOptions {
        router_webhook_url: Some(bench.router.webhook_url()),
        verify_token: "another".into(),
        ..SimulatorOptions::default()
    };
    let stranger = Simulator::start(options).await.unwrap();
    let refused = stranger.handshake().await;
    assert!(!refused.ok && refused.detail.contains("403"), "{refused:?}");
    let alone = Simulator::start(SimulatorOptions::default()).await.unwrap();
    assert!(!alone.handshake().await.ok);
}

#[tokio::test]
async fn webhooks_of_one_s_own_can_be_injected() {
    let bench = Bench::new().await;
    bench.router.fail("\"marker\"", 418, 1);
    let body = json!({"object": "marker", "text": "ä"});
    let (status, answer) = bench.call(Method::POST, "/webhooks", &body).await;
    assert_eq!((status, &answer["status"]), (200, &json!(418)));
    bench.call(Method::POST, "/webhooks?unsigned", &body).await;
    bench.call(Method::POST, "/webhooks?secret=wrong", &body).await;
    let received = bench.router.received();
    let secrets = [SecretString::from(SECRET)];
    let verified: Vec<bool> = received
        .iter()
        .map(|one| whatsapp::signature::verify(&secrets, &one.body, one.signature.as_deref()).is_ok())
        .collect();
    assert_eq!(verified, [true, false, false]);
    assert_eq!((received[1].signature.is_none(), received[2].signature.is_some()), (true, true));
    assert_eq!(received[0].body, body.to_string().into_bytes());
}

#[tokio::test]
async fn other_types_travel_as_they_are_given() {
    let bench = Bench::new().await;
    let reply = json!({
        "type": "interactive", "context": {"id": "wamid.X", "from": "15550783881"},
        "interactive": {"type": "button_reply", "button_reply": {"id": "a", "title": "Yes"}},
    });
    bench.simulator.say_message(AMARA, reply.clone()).unwrap();
    let message = &bench.router.wait_for("messages", 1).await[0];
    assert_eq!(message["interactive"], reply["interactive"]);
    assert_eq!((&message["context"], &message["from"]), (&reply["context"], &json!(AMARA)));
    assert!(bench.simulator.say_message(AMARA, json!({"type": "image"})).is_err());
    assert!(bench.simulator.say_message(AMARA, Value::Null).is_err());
}

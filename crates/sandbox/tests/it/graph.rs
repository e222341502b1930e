//! The Graph side: what it refuses, what it takes, and the objects around messages.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{AMARA, Bench, NUMBER, TOKEN, read, text_message};

#[tokio::test]
async fn refusals_are_meta_s() {
    let bench = Bench::new().await;
    let messages = format!("/v25.0/{NUMBER}/messages");
    let good = text_message(AMARA, "hello", "").to_string();
    let long = text_message(AMARA, &"x".repeat(4097), "").to_string();
    let cases = [
        (messages.as_str(), "{".to_owned(), 400, 100, None, "JSON"),
        (&messages, "{}".to_owned(), 400, 100, None, "messaging_product"),
        (&messages, r#"{"messaging_product":"whatsapp"}"#.to_owned(), 400, 100, None, "to"),
        (&messages, text_message("x", "a", "").to_string(), 400, 131_009, None, "'to'"),
        (&messages, text_message(AMARA, "", "").to_string(), 400, 100, None, "body"),
        (&messages, long, 400, 100, None, "4096"),
        (&messages, text_message(AMARA, "a", &"x".repeat(513)).to_string(), 400, 100, None, "biz_opaque"),
        ("/v25.0/999/messages", good.clone(), 400, 100, Some(33), "999"),
        ("/v99.0/999/messages", good.clone(), 400, 2500, None, "/v99.0/999/messages"),
    ];
    for (path, body, status, code, subcode, named) in cases {
        let (got, answer) = bench.graph(Method::POST, path, &body).await;
        let error = &answer["error"];
        assert_eq!((got, error["code"].as_i64()), (status, Some(code)), "{body}: {answer}");
        assert_eq!(error["error_subcode"].as_i64(), subcode, "{answer}");
        assert!(error["fbtrace_id"].as_str().is_some_and(|id| id.len() > 10), "{answer}");
        let words = format!("{} {}", error["message"], error["error_data"]["details"]);
        assert!(words.contains(named), "{body}: {answer}");
    }
    assert!(bench.simulator.messages().is_empty());
}

#[tokio::test]
async fn a_missing_or_wrong_token_is_401() {
    let bench = Bench::new().await;
    let url = bench.url(&format!("/v25.0/{NUMBER}/messages"));
    for request in [bench.client.post(&url), bench.client.post(&url).bearer_auth("wrong")] {
        let answer = request.body(text_message(AMARA, "hello", "").to_string()).send().await.unwrap();
        let (status, body) = read(answer).await;
        assert_eq!((status, body["error"]["code"].as_i64()), (401, Some(190)));
        assert_eq!(body["error"]["type"], "OAuthException");
    }
}

#[tokio::test]
async fn credentials_change_while_it_runs() {
    let bench = Bench::new().await;
    let body = json!({"access_token": "fresh-token", "app_secret": "fresh-secret"});
    let (status, answer) = bench.call(Method::PUT, "/credentials", &body).await;
    assert_eq!((status, answer), (200, json!({"changed": ["access_token", "app_secret"]})));
    let url = bench.url(&format!("/v25.0/{NUMBER}/messages"));
    for (token, expected) in [(TOKEN, 401), ("fresh-token", 200)] {
        let request = bench.client.post(&url).bearer_auth(token);
        let answer = request.body(text_message(AMARA, "hello", "").to_string()).send().await.unwrap();
        assert_eq!(answer.status(), expected, "{token}");
    }
    assert_eq!(bench.simulator.sign(b"{}"), whatsapp::signature::sign(&"fresh-secret".into(), b"{}"));
    let (status, answer) = bench.call(Method::PUT, "/credentials", &json!({"token": "x"})).await;
    assert_eq!((status, answer["code"].as_str()), (400, Some("invalid_body")));
}

#[tokio::test]
async fn a_message_is_taken_and_recorded_in_order() {
    let bench = Bench::new().await;
    let answer = bench.send(&text_message("+1 202 555 0143", "first", "out-1")).await.unwrap();
    assert_eq!(answer.headers()["facebook-api-version"], "v25.0");
    let (status, body) = read(answer).await;
    assert_eq!(status, 200);
    assert_eq!(body["messaging_product"], "whatsapp");
    assert_eq!(body["contacts"], json!([{"input": "+1 202 555 0143", "wa_id": AMARA}]));
    let id = body["messages"][0]["id"].as_str().unwrap();
    assert!(id.starts_with("wamid.HBgL"), "{id}");
    bench.send_text(AMARA, "second", "out-2").await;
    bench.send_text("447700900461", "third", "out-3").await;

    let all = bench.get("/graph/messages").await;
    let texts: Vec<&str> =
        all["items"].as_array().unwrap().iter().filter_map(|item| item["text"].as_str()).collect();
    assert_eq!(texts, ["first", "second", "third"]);
    let first = &all["items"][0];
    assert_eq!(first["wamid"], id);
    assert_eq!((&first["callback_data"], &first["answer"]), (&json!("out-1"), &json!("sent")));
    assert_eq!(first["raw"]["type"], "text");
    let of_amara = bench.get("/graph/messages?contact=%2B1%20202%20555%200143&after=1").await;
    assert_eq!(of_amara["items"].as_array().unwrap().len(), 1);
    assert_eq!(of_amara["items"][0]["text"], "second");
    let (status, _) = bench.call(Method::DELETE, "/graph/messages", &Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(bench.get("/graph/messages").await, json!({"items": []}));
}

#[tokio::test]
async fn a_business_scoped_user_id_reaches_the_same_person() {
    let bench = Bench::new().await;
    let amara = bench.simulator.contacts().into_iter().find(|contact| contact.wa_id == AMARA).unwrap();
    let body =
        json!({"messaging_product": "whatsapp", "recipient": amara.user_id, "text": {"body": "hello"}});
    let (status, answer) = read(bench.send(&body).await.unwrap()).await;
    assert_eq!(status, 200);
    assert_eq!(answer["contacts"][0]["user_id"], json!(amara.user_id));
    let chats = bench.simulator.contacts();
    let chat = chats.iter().find(|contact| contact.wa_id == AMARA).unwrap();
    assert_eq!(chat.messages[0].text, "hello");
    let statuses = bench.router.wait_for("statuses", 1).await;
    assert_eq!(statuses[0]["recipient_user_id"], json!(amara.user_id));
}

#[tokio::test]
async fn expired_versions_are_served_by_the_oldest() {
    let bench = Bench::new().await;
    let url = bench.url(&format!("/v12.0/{NUMBER}"));
    let answer = bench.client.get(url).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["facebook-api-version"], "v21.0");
}

#[tokio::test]
async fn the_number_has_the_fields_that_are_asked_for() {
    let bench = Bench::with(|options| options.throughput_level = "HIGH".to_owned()).await;
    let (_, some) =
        bench.graph(Method::GET, &format!("/v25.0/{NUMBER}?fields=throughput,verified_name"), "").await;
    assert_eq!(
        some,
        json!({"throughput": {"level": "HIGH"}, "verified_name": "Corner Bakery", "id": NUMBER})
    );
    let (_, all) = bench.graph(Method::GET, &format!("/v25.0/{NUMBER}"), "").await;
    assert_eq!(all["quality_rating"], "GREEN");
    assert_eq!(all["display_phone_number"], "+1 555 078 3881");
}

#[tokio::test]
async fn media_come_back_as_they_were_given() {
    let bench = Bench::new().await;
    let part = |head: &str, content: &[u8]| {
        [b"--edge\r\ncontent-disposition: form-data; ", head.as_bytes(), b"\r\n\r\n", content, b"\r\n"]
            .concat()
    };
    let form = [
        part("name=\"messaging_product\"", b"whatsapp"),
        part("name=\"type\"", b"image/png"),
        part("name=\"file\"; filename=\"a.png\"\r\ncontent-type: image/png", b"\x89PNG"),
        b"--edge--\r\n".to_vec(),
    ];
    let request = bench.client.post(bench.url(&format!("/v25.0/{NUMBER}/media"))).bearer_auth(TOKEN);
    let request = request.header("content-type", "multipart/form-data; boundary=edge").body(form.concat());
    let answer = request.send().await.unwrap();
    let (status, body) = read(answer).await;
    assert_eq!(status, 200, "{body}");
    let (_, described) =
        bench.graph(Method::GET, &format!("/v25.0/{}", body["id"].as_str().unwrap()), "").await;
    assert_eq!((&described["mime_type"], &described["file_size"]), (&json!("image/png"), &json!(4)));
    assert_eq!(described["sha256"], "0f4636c78f65d3639ece5a064b5ae753e3408614a14fb18ab4d7540d2c248543");
    let link = described["url"].as_str().unwrap();
    assert_eq!(bench.client.get(link).send().await.unwrap().status(), 401);
    let downloaded = bench.client.get(link).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(downloaded.headers()["content-type"], "image/png");
    assert_eq!(downloaded.bytes().await.unwrap().as_ref(), b"\x89PNG");
}

#[tokio::test]
async fn templates_and_subscriptions_belong_to_the_account() {
    let bench = Bench::new().await;
    let waba = &bench.simulator.options().waba_id;
    let templates = format!("/v25.0/{waba}/message_templates");
    let (status, refused) = bench.graph(Method::POST, &templates, r#"{"name":"hello"}"#).await;
    assert_eq!((status, refused["error"]["code"].as_i64()), (400, Some(100)));
    let template = r#"{"name":"hello","language":"en","category":"UTILITY","components":[]}"#;
    let (_, created) = bench.graph(Method::POST, &templates, template).await;
    assert_eq!(created["status"], "APPROVED");
    let (_, listed) = bench.graph(Method::GET, &templates, "").await;
    assert_eq!(listed["data"][0]["name"], "hello");
    let (_, subscribed) = bench.graph(Method::POST, &format!("/v25.0/{waba}/subscribed_apps"), "").await;
    assert_eq!(subscribed, json!({"success": true}));
}

#[tokio::test]
async fn tokens_are_never_shown() {
    let bench = Bench::new().await;
    bench.send_text(AMARA, "hello", "").await;
    let url = bench.url(&format!("/v25.0/{NUMBER}?access_token={TOKEN}"));
    bench.client.get(url).send().await.unwrap();
    let calls = bench.get("/graph/calls").await;
    assert_eq!(calls["items"].as_array().unwrap().len(), 2);
    assert!(!calls.to_string().contains(TOKEN), "{calls}");
    assert_eq!(calls["items"][0]["status"], 200);
}

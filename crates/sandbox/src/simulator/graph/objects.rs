//! The objects around messages: phone numbers, the business account, its templates. Small, but answered as Graph does.

use bytes::Bytes;
use hyper::{HeaderMap, Method, Uri};
use serde_json::{Map, Value, json};

use super::{Outcome, error::GraphError, media};
use crate::simulator::{http, shared::Shared};

pub(super) async fn call(
    shared: &Shared,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    segments: &[&str],
    body: &Bytes,
) -> Outcome {
    let waba = |id: &str| id == shared.options.waba_id;
    let answer = match (method, segments) {
        (&Method::GET, [id]) if let Some(number) = shared.number(id) => {
            Ok(number_fields(shared, number, http::query(uri, "fields").as_deref()))
        }
        (&Method::POST, [id, "media"]) if shared.number(id).is_some() => {
            media::upload(shared, headers, body).await
        }
        (&Method::GET, [id]) if let Some(found) = media::describe(shared, headers, id) => Ok(found),
        (&Method::DELETE, [id]) if media::delete(shared, id) => Ok(json!({"success": true})),
        (&Method::GET, [id]) if waba(id) => Ok(json!({"id": id, "name": "Sandbox", "timezone_id": "1"})),
        (&Method::GET, [id, "phone_numbers"]) if waba(id) => {
            let numbers: Vec<Value> =
                (0..shared.options.numbers.len()).map(|number| number_fields(shared, number, None)).collect();
            Ok(json!({"data": numbers}))
        }
        (&Method::GET, [id, "subscribed_apps"]) if waba(id) => {
            Ok(json!({"data": [{"whatsapp_business_api_data": {"id": "1", "name": "Sandbox"}}]}))
        }
        (&Method::POST | &Method::DELETE, [id, "subscribed_apps"]) if waba(id) => {
            Ok(json!({"success": true}))
        }
        (&Method::GET, [id, "message_templates"]) if waba(id) => {
            let templates = shared.templates.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            Ok(json!({"data": *templates}))
        }
        (&Method::POST, [id, "message_templates"]) if waba(id) => create_template(shared, body),
        (_, [id, ..]) => Err(GraphError::unknown_object(id)),
        (_, []) => Err(GraphError::unknown_object("")),
    };
    match answer {
        Ok(answer) => Outcome::json(&answer),
        Err(error) => Outcome::Error(error),
    }
}

/// The fields asked for, or those that Graph gives by itself; `id` is always there.
fn number_fields(shared: &Shared, number: usize, fields: Option<&str>) -> Value {
    const BY_DEFAULT: &str =
        "verified_name,code_verification_status,display_phone_number,quality_rating,platform_type,throughput";
    let number = &shared.options.numbers[number];
    let mut answer = Map::new();
    for field in fields.unwrap_or(BY_DEFAULT).split(',') {
        let value = match field.trim() {
            "verified_name" => json!(number.verified_name),
            "display_phone_number" => json!(number.display_phone_number),
            "quality_rating" => json!("GREEN"),
            "throughput" => json!({"level": shared.options.throughput_level}),
            "platform_type" => json!("CLOUD_API"),
            "code_verification_status" => json!("VERIFIED"),
            "name_status" => json!("APPROVED"),
            "status" => json!("CONNECTED"),
            _ => continue,
        };
        answer.insert(field.trim().to_owned(), value);
    }
    answer.insert("id".to_owned(), json!(number.phone_number_id));
    Value::Object(answer)
}

fn create_template(shared: &Shared, body: &[u8]) -> Result<Value, GraphError> {
    let mut template: Value = serde_json::from_slice(body).map_err(|_| GraphError::malformed_json())?;
    for field in ["name", "language", "category"] {
        if template[field].as_str().is_none_or(str::is_empty) {
            return Err(GraphError::required(field));
        }
    }
    let mut templates = shared.templates.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let id = (1_000_000_000_000_000 + templates.len()).to_string();
    template["id"] = json!(id);
    template["status"] = json!("APPROVED");
    let answer = json!({"id": id, "status": "APPROVED", "category": template["category"]});
    templates.push(template);
    Ok(answer)
}

//! The webhook's body as it came: documented as JSON, but neither read nor parsed before its signature is checked.

use poem::{Body, Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions, Object,
    registry::{MetaMediaType, MetaRequest, MetaSchemaRef, Registry},
    types::{Any, Example, Type},
};
use serde_json::{Value, json};

/// The unread body.
#[derive(Debug)]
pub(super) struct SignedBody(pub(super) Body);

/// A webhook of the WhatsApp Business Platform. Fields beyond these are kept as they come.
#[derive(Debug, Object)]
#[oai(example)]
struct WebhookEnvelope {
    /// `whatsapp_business_account`; anything else is ignored.
    object: String,
    /// One for each WhatsApp business account, with `changes` of the form `{"field", "value"}`.
    entry: Vec<Any<Value>>,
}

impl Example for WebhookEnvelope {
    fn example() -> Self {
        let entry = json!({
            "id": "102290129340398",
            "changes": [{
                "field": "messages",
                "value": {
                    "messaging_product": "whatsapp",
                    "metadata": {"display_phone_number": "15550783881", "phone_number_id": "106540352242922"},
                    "contacts": [{"profile": {"name": "Ada"}, "wa_id": "15550100001"}],
                    "messages": [{
                        "from": "15550100001",
                        "id": "wamid.HBgLMTU1NTAxMDAwMDEVAgASGBQzQTZCOUE1RjQ3RTY2QzA0RDgyRgA=",
                        "timestamp": "1760000000",
                        "type": "text",
                        "text": {"body": "hello there"}
                    }]
                }
            }]
        });
        Self { object: "whatsapp_business_account".to_owned(), entry: vec![Any(entry)] }
    }
}

impl<'a> ApiExtractor<'a> for SignedBody {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        WebhookEnvelope::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let schema: MetaSchemaRef = WebhookEnvelope::schema_ref();
        let content = vec![MetaMediaType { content_type: "application/json; charset=utf-8", schema }];
        Some(MetaRequest { description: None, content, required: true })
    }

    async fn from_request(
        _request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<Self::ParamType>,
    ) -> poem::Result<Self> {
        Ok(Self(body.take()?))
    }
}

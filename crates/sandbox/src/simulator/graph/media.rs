//! Media: kept in memory, described and downloaded like Meta's, with the token.

use std::sync::PoisonError;

use bytes::Bytes;
use hyper::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::error::GraphError;
use crate::simulator::{
    http::{self, Reply},
    shared::Shared,
};

/// Meta takes documents of up to 100 MB; a sandbox keeps them in memory and takes less.
pub(crate) const LARGEST: usize = 16 * 1024 * 1024;
const KEPT: usize = 200;

#[derive(Debug, Clone)]
pub(crate) struct StoredMedia {
    bytes: Bytes,
    mime_type: String,
    sha256: String,
}

/// `multipart/form-data` with `messaging_product`, `file` and (optionally) `type`.
pub(super) async fn upload(shared: &Shared, headers: &HeaderMap, body: &Bytes) -> Result<Value, GraphError> {
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(content_type).map_err(|_| GraphError::required("file"))?;
    let whole = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(body.clone())]);
    let mut form = multer::Multipart::new(whole, boundary);
    let (mut product, mut file, mut mime_type) = (None, None, None);
    let broken = |_| GraphError::parameter("The multipart body is not valid");
    while let Some(field) = form.next_field().await.map_err(broken)? {
        match field.name() {
            Some("messaging_product") => product = Some(field.text().await.map_err(broken)?),
            Some("type") => mime_type = Some(field.text().await.map_err(broken)?),
            Some("file") => {
                mime_type = mime_type.or_else(|| field.content_type().map(ToString::to_string));
                file = Some(field.bytes().await.map_err(broken)?);
            }
            _ => {}
        }
    }
    if product.as_deref() != Some("whatsapp") {
        return Err(GraphError::required("messaging_product"));
    }
    let bytes = file.ok_or_else(|| GraphError::required("file"))?;
    let mime_type =
        mime_type.filter(|kind| kind.contains('/')).ok_or_else(|| GraphError::required("type"))?;
    Ok(json!({"id": store(shared, bytes, mime_type)?}))
}

fn store(shared: &Shared, bytes: Bytes, mime_type: String) -> Result<String, GraphError> {
    let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let id = (1_000_000_000_000_000 + u64::from(rand::random::<u32>())).to_string();
    let mut media = shared.media.lock().unwrap_or_else(PoisonError::into_inner);
    if media.len() >= KEPT {
        return Err(GraphError::parameter("The sandbox keeps no more media, delete some"));
    }
    media.insert(id.clone(), StoredMedia { bytes, mime_type, sha256 });
    Ok(id)
}

/// The url leads back to the address by which the caller reached the sandbox.
pub(super) fn describe(shared: &Shared, headers: &HeaderMap, id: &str) -> Option<Value> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let base = host.map_or_else(|| shared.url.clone(), |host| format!("http://{host}"));
    let media = shared.media.lock().unwrap_or_else(PoisonError::into_inner);
    let found = media.get(id)?;
    Some(json!({
        "messaging_product": "whatsapp", "id": id, "url": format!("{base}/media/{id}"),
        "mime_type": found.mime_type, "sha256": found.sha256, "file_size": found.bytes.len(),
    }))
}

pub(super) fn delete(shared: &Shared, id: &str) -> bool {
    shared.media.lock().unwrap_or_else(PoisonError::into_inner).remove(id).is_some()
}

/// What `url` in the description leads to.
pub(crate) fn download(shared: &Shared, headers: &HeaderMap, id: &str) -> Reply {
    if !shared.credentials.allow(http::bearer(headers)) {
        return http::problem(StatusCode::UNAUTHORIZED, "unauthorized", "media needs the access token");
    }
    let found = shared.media.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
    let Some(found) = found else {
        return http::problem(
            StatusCode::NOT_FOUND,
            "not_found",
            "there is no such media, ask for its url again",
        );
    };
    let mut reply = http::bytes(StatusCode::OK, "application/octet-stream", found.bytes);
    if let Ok(mime_type) = header::HeaderValue::try_from(found.mime_type) {
        reply.headers_mut().insert(header::CONTENT_TYPE, mime_type);
    }
    reply
}

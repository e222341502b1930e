//! Hands a batch to the collector, by OTLP over HTTP or gRPC. A gRPC call with one message each way is an HTTP/2 request
//! whose body has a frame of five bytes in front, and whose trailers say how it ended.

use std::{error::Error, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use reqwest::{
    Body, Client, Response, StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE},
};
use secrecy::ExposeSecret;
use url::Url;

use super::{
    settings::{Endpoint, Protocol},
    tracer::TelemetryError,
};

const GRPC_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A collector's answer is a few bytes.
const LARGEST_ANSWER: usize = 64 * 1024;

/// Why a batch was not taken. Shows no header.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) why: String,
    /// The same batch may be taken later.
    pub(super) later: bool,
}

/// A connection to the collector.
#[derive(Debug)]
pub(super) struct Exporter {
    http: Client,
    url: Url,
    protocol: Protocol,
    headers: HeaderMap,
}

impl Exporter {
    pub(super) fn new(endpoint: &Endpoint) -> Result<Self, TelemetryError> {
        // Where the process has one of its own already, that one stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .timeout(endpoint.timeout)
            .connect_timeout(CONNECT_TIMEOUT.min(endpoint.timeout))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("whatsapp-router/", env!("CARGO_PKG_VERSION")));
        if let Some(file) = &endpoint.certificate {
            let unreadable = |why: String| TelemetryError::Certificate { file: file.clone(), why };
            let pem = std::fs::read(file).map_err(|error| unreadable(error.to_string()))?;
            let authorities = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|error| unreadable(root_cause(&error)))?;
            builder = builder.tls_certs_only(authorities);
        } else if endpoint.url.scheme() == "http" {
            // Nothing is verified: a machine without a list of authorities is no reason not to start.
            builder = builder.tls_certs_only([]);
        }
        let mut url = endpoint.url.clone();
        if endpoint.protocol == Protocol::Grpc {
            url.set_path(GRPC_PATH);
            builder = builder.http2_prior_knowledge();
        } else {
            builder = builder.http1_only();
        }
        let http = builder.build().map_err(|error| TelemetryError::Client(root_cause(&error)))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &endpoint.headers {
            // Both were looked at when the settings were read.
            let value = HeaderValue::try_from(value.expose_secret());
            if let (Ok(name), Ok(mut value)) = (HeaderName::try_from(name), value) {
                value.set_sensitive(true);
                headers.append(name, value);
            }
        }
        Ok(Self { http, url, protocol: endpoint.protocol, headers })
    }

    /// Sends the body of a request, as the envelope has made it for the same protocol. Gives the number of spans that the collector did not want.
    pub(super) async fn send(&self, body: Bytes) -> Result<u64, Refused> {
        let kind = match self.protocol {
            Protocol::Http => "application/x-protobuf",
            Protocol::Grpc => "application/grpc",
        };
        let mut call =
            self.http.post(self.url.clone()).headers(self.headers.clone()).header(CONTENT_TYPE, kind);
        if self.protocol == Protocol::Grpc {
            call = call.header(TE, "trailers");
        }
        let response = call.body(body).send().await.map_err(|error| no_answer(&error.without_url()))?;
        match self.protocol {
            Protocol::Http => of_http(response).await,
            Protocol::Grpc => of_grpc(response).await,
        }
    }
}

async fn of_http(response: Response) -> Result<u64, Refused> {
    let status = response.status();
    if status.is_success() {
        let (_, answer) = read(response).await?;
        return Ok(rejected(&answer));
    }
    let later = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    );
    Err(Refused { why: format!("HTTP {}", status.as_u16()), later })
}

async fn of_grpc(response: Response) -> Result<u64, Refused> {
    let status = response.status();
    if !status.is_success() {
        return Err(Refused {
            why: format!("HTTP {}, which is no answer of gRPC", status.as_u16()),
            later: true,
        });
    }
    // A call that failed at once has its status in the head.
    let head = response.headers().clone();
    let (trailers, answer) = read(response).await?;
    let ended = trailers.get("grpc-status").or_else(|| head.get("grpc-status"));
    match ended.and_then(|status| status.to_str().ok()?.parse::<u32>().ok()) {
        Some(0) => Ok(rejected(answer.get(5..).unwrap_or_default())),
        // Cancelled, deadline exceeded, resource exhausted, aborted, out of range, unavailable, data loss: the
        // specification of OTLP says to try these again.
        Some(code) => Err(Refused {
            why: format!("gRPC status {code}"),
            later: matches!(code, 1 | 4 | 8 | 10 | 11 | 14 | 15),
        }),
        None => Err(Refused { why: "no gRPC status".to_owned(), later: true }),
    }
}

async fn read(response: Response) -> Result<(HeaderMap, Bytes), Refused> {
    let body = Limited::new(Body::from(response), LARGEST_ANSWER);
    let body = body.collect().await.map_err(|error| Refused { why: root_cause(&*error), later: true })?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    Ok((trailers, body.to_bytes()))
}

/// `partial_success.rejected_spans` of an `ExportTraceServiceResponse`; 0 for whatever can't be read.
fn rejected(answer: &[u8]) -> u64 {
    let partial = |answer| {
        let (tag, rest) = varint(answer)?;
        let (length, rest) = varint(rest)?;
        let message = rest.get(..usize::try_from(length).ok()?)?;
        let (first, rest) = varint(message)?;
        // Field 1 of kind "length-delimited", and in it field 1 of kind "varint".
        if tag == 0x0a && first == 0x08 { varint(rest).map(|(rejected, _)| rejected) } else { None }
    };
    partial(answer).unwrap_or(0)
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * index).min(63);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

fn no_answer(error: &reqwest::Error) -> Refused {
    Refused { why: root_cause(error), later: true }
}

/// The innermost message, which says what happened.
fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceResponse,
    };
    use prost::Message as _;

    use super::*;

    #[test]
    fn what_the_collector_did_not_want_is_read() {
        for (count, words) in [(0, ""), (0, "a warning"), (3, ""), (300, "too old")] {
            let partial =
                ExportTracePartialSuccess { rejected_spans: count, error_message: words.to_owned() };
            let answer = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
            assert_eq!(rejected(&answer), u64::try_from(count).unwrap(), "{count} {words}");
        }
        assert_eq!(rejected(&ExportTraceServiceResponse { partial_success: None }.encode_to_vec()), 0);
        for nonsense in [&[0xff; 20][..], b"\x0a", b"\x0a\x05\x08", b"no protobuf"] {
            assert_eq!(rejected(nonsense), 0);
        }
    }
}

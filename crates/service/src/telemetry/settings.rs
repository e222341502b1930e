//! The standard's variables (OpenTelemetry, "SDK environment variables" and "OTLP exporter"), as far as they are about
//! traces.

use std::{path::PathBuf, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{Sampler, resource::pairs};
use crate::settings::Env;

/// How spans are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `grpc`
    Grpc,
    /// `http/protobuf`
    Http,
}

impl Protocol {
    /// As the standard writes it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http/protobuf",
        }
    }
}

/// Where spans go, and what the collector wants to see.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) url: Url,
    pub(super) protocol: Protocol,
    pub(super) headers: Vec<(String, SecretString)>,
    pub(super) timeout: Duration,
    /// Authorities in PEM to trust in place of the system's.
    pub(super) certificate: Option<PathBuf>,
}

/// How many spans wait for how long (`OTEL_BSP_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Batching {
    pub(super) delay: Duration,
    pub(super) queue: usize,
    pub(super) batch: usize,
}

/// What the variables say.
#[derive(Debug, Clone)]
pub struct TelemetrySettings {
    /// None: nothing is traced.
    pub(super) endpoint: Option<Endpoint>,
    pub(super) sampler: Sampler,
    pub(super) batching: Batching,
    pub(super) service_name: Option<String>,
    pub(super) attributes: Vec<(String, String)>,
    /// Variables of the standard that are set and do nothing here.
    pub(super) unsupported: Vec<String>,
}

impl TelemetrySettings {
    /// Reads `OTEL_*`. Without an endpoint nothing is traced; what is wrong is a problem all the same.
    pub fn read(env: &mut Env) -> Option<Self> {
        let endpoint = read_endpoint(env);
        let disabled = env
            .var("OTEL_SDK_DISABLED", "`true`: nothing is traced, whatever else is set")
            .default("false")
            .boolean();
        let exporter = env
            .var("OTEL_TRACES_EXPORTER", "`otlp`, or `none`: nothing is traced")
            .default("otlp")
            .parse_with(|name| match name {
                "otlp" => Ok(true),
                "none" => Ok(false),
                _ => Err("is neither otlp nor none".to_owned()),
            });
        let sampler = read_sampler(env);
        let service_name = env
            .var("OTEL_SERVICE_NAME", "what traces call this service")
            .default_in_words("the service's own name");
        let service_name: Option<String> = service_name.parse();
        let attributes = env
            .var(
                "OTEL_RESOURCE_ATTRIBUTES",
                "what else traces say of this process: `key=value,key=value`, such as `k8s.pod.name=router-0`",
            )
            .parse_with(pairs)
            .unwrap_or_default();
        let batching = read_batching(env);
        let unsupported = unsupported(env);
        let on = !disabled? && exporter?;
        Some(Self {
            endpoint: endpoint?.filter(|_| on),
            sampler: sampler?,
            batching: batching?,
            service_name,
            attributes,
            unsupported,
        })
    }

    /// True when there is somewhere to send spans to.
    pub fn is_on(&self) -> bool {
        self.endpoint.is_some()
    }
}

/// To be called when everything was read. That metrics and logs are not to be sent is what happens anyway.
fn unsupported(env: &Env) -> Vec<String> {
    let mut names = env.unasked("OTEL_");
    names.retain(|name| {
        let of_others = matches!(name.as_str(), "OTEL_METRICS_EXPORTER" | "OTEL_LOGS_EXPORTER");
        !(of_others && env.is(name, "none"))
    });
    names
}

/// The inner None is an endpoint that is not set; the outer one, a problem.
fn read_endpoint(env: &mut Env) -> Option<Option<Endpoint>> {
    let of_all = env
        .var(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "OpenTelemetry collector that traces are sent to, such as `http://collector:4318`; without one nothing is \
             traced",
        )
        .parse_with(parse_url);
    let of_traces = env
        .var("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "the same for traces alone; over HTTP the whole address")
        .parse_with(parse_url);
    let protocol = either(
        env,
        ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"],
        "`grpc` or `http/protobuf`",
        Some("grpc if the port is 4317, else http/protobuf"),
        |text| match text {
            "grpc" => Ok(Protocol::Grpc),
            "http/protobuf" => Ok(Protocol::Http),
            _ => Err("is neither grpc nor http/protobuf".to_owned()),
        },
    );
    let timeout = either(
        env,
        ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"],
        "how long the collector may take to answer, in milliseconds",
        Some("10000"),
        milliseconds,
    );
    let certificate = either(
        env,
        ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"],
        "file with the authorities to trust in place of the system's (PEM)",
        None,
        |text| Ok(PathBuf::from(text)),
    );
    let mut headers = None;
    for name in ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"] {
        let read = env
            .var(name, "what the collector wants to see in every request: `key=value,key=value`")
            .secret()
            .hint("write key=value,key=value, with %2C for a comma within a value")
            .parse_with(parse_headers);
        headers = headers.or(read);
    }
    let protocol_of = |url: &Url| {
        protocol.unwrap_or(if url.port() == Some(4317) { Protocol::Grpc } else { Protocol::Http })
    };
    let url = match (of_traces, of_all) {
        (Some(url), _) => Some(url),
        (None, Some(url)) if protocol_of(&url) == Protocol::Http => Some(below(url)),
        (None, of_all) => of_all,
    };
    let Some(url) = url else { return Some(None) };
    let timeout = timeout.unwrap_or(Duration::from_secs(10));
    let protocol = protocol_of(&url);
    Some(Some(Endpoint { url, protocol, headers: headers.unwrap_or_default(), timeout, certificate }))
}

/// The first of two variables of the same meaning that is set; the first is for traces alone.
fn either<T>(
    env: &mut Env,
    names: [&'static str; 2],
    meaning: &'static str,
    default: Option<&'static str>,
    parse: fn(&str) -> Result<T, String>,
) -> Option<T> {
    let [for_traces, for_all] = names;
    let special = env.var(for_traces, format!("{meaning}; for traces alone")).parse_with(parse);
    let mut general = env.var(for_all, meaning);
    if let Some(default) = default {
        general = general.default_in_words(default);
    }
    let general = general.parse_with(parse);
    special.or(general)
}

fn read_sampler(env: &mut Env) -> Option<Sampler> {
    let ratio = env
        .var(
            "OTEL_TRACES_SAMPLER_ARG",
            "for the samplers `traceidratio`: the share of all traces, from 0 to 1",
        )
        .default("1")
        .parse_with(|text| {
            let ratio: f64 = text.parse().map_err(|_| "is not a number from 0 to 1")?;
            if (0.0..=1.0).contains(&ratio) { Ok(ratio) } else { Err("is not from 0 to 1".to_owned()) }
        });
    let name = env
        .var(
            "OTEL_TRACES_SAMPLER",
            "which traces are written down: `always_on`, `always_off`, `traceidratio`, or one of them with \
             `parentbased_` in front. What failed is, in any case but `always_off`",
        )
        .default(Sampler::DEFAULT)
        .parse_with(|name| {
            Sampler::named(name, ratio.unwrap_or(1.0)).ok_or_else(|| "is not a sampler".to_owned())
        });
    ratio.and(name)
}

fn read_batching(env: &mut Env) -> Option<Batching> {
    let count = |text: &str| match text.parse() {
        Ok(0) | Err(_) => Err("is not a whole number from 1 on".to_owned()),
        Ok(count) => Ok(count),
    };
    let delay = env
        .var("OTEL_BSP_SCHEDULE_DELAY", "how long a span waits for others to be sent with, in milliseconds")
        .default("5000")
        .parse_with(milliseconds);
    let queue = env
        .var("OTEL_BSP_MAX_QUEUE_SIZE", "spans that may wait; more are dropped and counted")
        .default("16384")
        .parse_with(count);
    let batch = env
        .var("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "spans in one request, at most")
        .default("512")
        .parse_with(count);
    Some(Batching { delay: delay?, queue: queue?, batch: batch? })
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("is not a whole number of milliseconds".to_owned()),
        Ok(milliseconds) => Ok(Duration::from_millis(milliseconds)),
    }
}

fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is not an address ({error})"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("is not an address that begins with http:// or https://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a password in it, which belongs into OTEL_EXPORTER_OTLP_HEADERS".to_owned());
    }
    Ok(url)
}

fn parse_headers(text: &str) -> Result<Vec<(String, SecretString)>, String> {
    let headers: Vec<_> =
        pairs(text)?.into_iter().map(|(name, value)| (name, SecretString::from(value))).collect();
    for (name, value) in &headers {
        let named = reqwest::header::HeaderName::try_from(name).is_ok();
        if !named || reqwest::header::HeaderValue::try_from(value.expose_secret()).is_err() {
            return Err("can't stand in a header".to_owned());
        }
    }
    Ok(headers)
}

/// OTLP over HTTP has a path of its own below the address for all signals.
fn below(mut url: Url) -> Url {
    let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<TelemetrySettings, Vec<String>> {
        let mut env = Env::from_pairs(pairs.iter().copied());
        let settings = TelemetrySettings::read(&mut env);
        env.finish_with(settings)
            .map_err(|problems| problems.iter().map(|problem| problem.name.clone()).collect())
    }

    fn target(pairs: &[(&str, &str)]) -> Option<(String, Protocol)> {
        read(pairs).unwrap().endpoint.map(|endpoint| (endpoint.url.to_string(), endpoint.protocol))
    }

    const ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

    #[test]
    fn the_endpoint_decides_where_and_the_port_how_unless_it_is_said() {
        let http = |url: &str| Some((url.to_owned(), Protocol::Http));
        let grpc = |url: &str| Some((url.to_owned(), Protocol::Grpc));
        for (pairs, expected) in [
            (&[][..], None),
            (&[(ALL, "http://c:4318")], http("http://c:4318/v1/traces")),
            (&[(ALL, "http://c:4318/otlp/")], http("http://c:4318/otlp/v1/traces")),
            (&[(ALL, "http://c:4317")], grpc("http://c:4317/")),
            (&[(ALL, "https://c"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], grpc("https://c/")),
            (
                &[(ALL, "http://c:4317"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")],
                http("http://c:4317/v1/traces"),
            ),
            (&[(ALL, "http://c:4318"), (TRACES, "http://d/x")], http("http://d/x")),
            (
                &[
                    (TRACES, "http://d"),
                    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
                    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
                ],
                grpc("http://d/"),
            ),
            (&[(ALL, "http://c"), ("OTEL_SDK_DISABLED", "true")], None),
            (&[(ALL, "http://c"), ("OTEL_TRACES_EXPORTER", "none")], None),
        ] {
            assert_eq!(target(pairs), expected, "{pairs:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_all_at_once_and_without_secrets() {
        let wrong = [
            (ALL, "collector:4317"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "topsecret"),
            ("OTEL_TRACES_EXPORTER", "console"),
            ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
            ("OTEL_TRACES_SAMPLER", "sometimes"),
            ("OTEL_RESOURCE_ATTRIBUTES", "a"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ];
        let mut env = Env::from_pairs(wrong);
        assert!(TelemetrySettings::read(&mut env).is_none());
        let problems = env.finish().unwrap_err();
        assert!(!problems.to_string().contains("topsecret"), "{problems}");
        let mut named: Vec<_> = problems.iter().map(|problem| problem.name.as_str()).collect();
        let mut expected: Vec<_> = wrong.iter().map(|(name, _)| *name).collect();
        named.sort_unstable();
        expected.sort_unstable();
        assert_eq!(named, expected);
        assert!(read(&[(ALL, "http://user:pass@c:4318")]).is_err());
    }

    #[test]
    fn what_has_no_effect_is_known_by_its_name() {
        let settings = read(&[
            (ALL, "http://c"),
            ("OTEL_TRACES_SAMPLR", "always_off"),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "otlp"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_PROPAGATORS", " "),
            ("OTEL_SERVICE_NAME", "mine"),
            ("OTHER", "1"),
        ]);
        let unsupported = settings.unwrap().unsupported;
        assert_eq!(
            unsupported,
            ["OTEL_EXPORTER_OTLP_COMPRESSION", "OTEL_LOGS_EXPORTER", "OTEL_TRACES_SAMPLR"]
        );
    }

    #[test]
    fn headers_are_read_and_not_shown() {
        let settings = read(&[
            (ALL, "http://c"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc,x-tenant=t"),
        ])
        .unwrap();
        let headers = settings.endpoint.clone().unwrap().headers;
        assert_eq!(headers[0].0, "authorization");
        assert_eq!(headers[0].1.expose_secret(), "Bearer abc");
        assert!(!format!("{settings:?}").contains("abc"));
    }
}

//! Every name of OpenTelemetry's semantic conventions that is used, version 1.44. HTTP is stable; messaging and database
//! are not yet, so that a renaming of theirs has this one place.
//!
//! What differs from them, because nobody's number, name, text or token may stand in a span, and because every message
//! has a dozen spans:
//! - `url.path` is the template of the path: the path itself wherever that has no parameter. Of a path that is served
//!   by nothing there is none.
//! - `url.full` is the address with the template of its path; user, password and query are left out.
//! - `url.scheme` is that of the connection: what stands before us and ends TLS is not asked.
//! - `server.address` of what is served is the address that is listened on, and is left out where that is all of them:
//!   the `Host` header is a stranger's text, and so are `user_agent.original` and `client.address`.
//! - `error.type` of a client's call is our word for what it means, the same as in metrics and dead letters, also where
//!   there is a status; of what is served it is the status, as the conventions have it.
//! - `network.protocol.version` of a client's call is left out: it is always 1.1.
//! - `http.request.resend_count` leaves out attempts that found out that their channel is stopped.

/// Where the conventions of this version are described; sent along with every span.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";

pub const SERVICE_NAME: &str = "service.name";
pub const SERVICE_VERSION: &str = "service.version";
pub const SERVICE_INSTANCE_ID: &str = "service.instance.id";

pub const ERROR_TYPE: &str = "error.type";

pub const HTTP_REQUEST_METHOD: &str = "http.request.method";
pub const HTTP_REQUEST_RESEND_COUNT: &str = "http.request.resend_count";
pub const HTTP_RESPONSE_STATUS_CODE: &str = "http.response.status_code";
pub const HTTP_ROUTE: &str = "http.route";
pub const URL_FULL: &str = "url.full";
pub const URL_PATH: &str = "url.path";
pub const URL_SCHEME: &str = "url.scheme";
pub const URL_TEMPLATE: &str = "url.template";
pub const SERVER_ADDRESS: &str = "server.address";
pub const SERVER_PORT: &str = "server.port";
pub const NETWORK_PROTOCOL_VERSION: &str = "network.protocol.version";

pub const DB_SYSTEM_NAME: &str = "db.system.name";
pub const DB_OPERATION_NAME: &str = "db.operation.name";

pub const MESSAGING_SYSTEM: &str = "messaging.system";
pub const MESSAGING_OPERATION_NAME: &str = "messaging.operation.name";
pub const MESSAGING_OPERATION_TYPE: &str = "messaging.operation.type";
pub const MESSAGING_DESTINATION_NAME: &str = "messaging.destination.name";
pub const MESSAGING_MESSAGE_ID: &str = "messaging.message.id";
pub const MESSAGING_MESSAGE_CONVERSATION_ID: &str = "messaging.message.conversation_id";
pub const MESSAGING_BATCH_MESSAGE_COUNT: &str = "messaging.batch.message_count";

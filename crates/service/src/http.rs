//! The HTTP side of a service: the one edge around its endpoints, the one shape of its errors, its listeners
//! and its documentation.

pub mod body;
pub mod docs;
pub mod edge;
pub mod listener;
mod patience;
pub mod problem;
pub mod request_id;
pub mod routes;
pub mod settings;

pub use docs::Docs;
pub use edge::{Edge, RequestFacts, RequestTrace, Trust};
pub use listener::{BindError, Listener, serve};
pub use problem::Problem;
pub use request_id::RequestId;
pub use routes::Routes;
pub use settings::HttpSettings;

//! The backend's side of the house: `POST /process`, and what its answer means.

mod answer;
mod client;
mod request;

pub use self::{
    answer::{Answer, Unreadable, read_answer},
    client::{BackendClient, BackendError, Post},
    request::{Call, Part},
};

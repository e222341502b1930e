//! What a simulator is told when it starts; the defaults suit a test on one machine.

use std::{net::SocketAddr, time::Duration};

use secrecy::SecretString;

use super::{statuses::StatusOptions, webhooks::post};

/// One business phone number that the simulated WhatsApp Business Account owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusinessNumber {
    /// Graph's id of the number; the path of `POST /{id}/messages`.
    pub phone_number_id: String,
    /// As people see it, e.g. `+1 555 078 3881`.
    pub display_phone_number: String,
    pub verified_name: String,
}

impl BusinessNumber {
    /// The digits alone, which is how webhooks spell the number.
    pub(crate) fn digits(&self) -> String {
        digits(&self.display_phone_number)
    }
}

/// A person who is there from the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub name: String,
    /// Digits with country code.
    pub wa_id: String,
}

/// How failed webhooks are sent again. Meta goes on for seven days; here the waits are short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryOptions {
    pub first: Duration,
    pub max: Duration,
}

/// What is remembered of each message that the Graph side takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recording {
    /// Everything, for people and tests.
    Full,
    /// Nothing but counters and the observer: for load.
    Counters,
}

/// The addresses that the phone page links to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links {
    pub router: Option<String>,
    pub server: Option<String>,
}

/// Everything a simulator can be told. `SimulatorOptions::default()` is ready for a test.
#[derive(Debug, Clone)]
pub struct SimulatorOptions {
    /// Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Full address of the router's `/webhook`; can be set later through the handle.
    pub router_webhook_url: Option<String>,
    pub app_secret: SecretString,
    pub verify_token: SecretString,
    pub access_token: SecretString,
    pub waba_id: String,
    /// The first one is the business that the phone page talks to.
    pub numbers: Vec<BusinessNumber>,
    /// `STANDARD` (80 messages a second), `HIGH` (1000) or `NOT_APPLICABLE`, as `?fields=throughput` answers.
    pub throughput_level: String,
    pub people: Vec<Person>,
    pub statuses: StatusOptions,
    /// Webhook posts under way at the same time; Meta delivers concurrently.
    pub webhook_concurrency: usize,
    /// How long a router may take to answer one.
    pub webhook_timeout: Duration,
    pub retry: RetryOptions,
    pub recording: Recording,
    /// Remember the bodies that others inject, for [`Simulator::injected`](super::Simulator::injected).
    pub keep_injected: bool,
    pub links: Links,
}

impl Default for SimulatorOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            router_webhook_url: None,
            app_secret: "sandbox-app-secret".into(),
            verify_token: "sandbox-verify-token".into(),
            access_token: "sandbox-access-token".into(),
            waba_id: "102290129340398".to_owned(),
            numbers: vec![BusinessNumber {
                phone_number_id: "106540352242922".to_owned(),
                display_phone_number: "+1 555 078 3881".to_owned(),
                verified_name: "Corner Bakery".to_owned(),
            }],
            throughput_level: "STANDARD".to_owned(),
            people: starting_people(),
            statuses: StatusOptions::default(),
            webhook_concurrency: 16,
            webhook_timeout: post::TIMEOUT,
            retry: RetryOptions { first: Duration::from_millis(200), max: Duration::from_secs(5) },
            recording: Recording::Full,
            keep_injected: false,
            links: Links::default(),
        }
    }
}

/// Invented people with numbers that the authorities keep free for fiction.
fn starting_people() -> Vec<Person> {
    [("Amara Okafor", "12025550143"), ("Zoë Lindqvist", "447700900461"), ("Mateo Rivas", "12025550178")]
        .into_iter()
        .map(|(name, wa_id)| Person { name: name.to_owned(), wa_id: wa_id.to_owned() })
        .collect()
}

/// Keeps the digits of a phone number: `+1 (202) 555-0143` → `12025550143`.
pub(crate) fn digits(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).collect()
}

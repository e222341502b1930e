//! The router from outside: the real binaries as processes, over real sockets, against the simulator of Meta.
//!
//! The programs are taken from beside the test (`target/debug`), so build them first: `make test` does.

#![expect(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "a test that fails says where")]

mod abuse;
mod ambiguity;
mod api_access;
mod api_client;
mod api_dead_letters;
mod api_lists;
mod api_monitoring;
mod api_send;
mod bounds;
mod channel_conditions;
mod chaos;
mod check_webhook;
mod collector;
mod config_files;
mod crashes;
mod debounce;
mod failures;
mod harness;
mod live_table;
mod load;
mod migration;
mod pacing;
mod privacy;
mod searched;
mod secrets;
mod series;
mod startup;
mod story;
mod takeover;
mod traces;
mod watchdog;
mod webhook_table;
mod whole_way;

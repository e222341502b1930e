//! Settings come from the environment. The reader collects every problem instead of stopping at the first, and
//! remembers what it was asked for, so that the reference in the documentation is made by the code that reads.
//!
//! Read everything first and put it together afterwards. A `?` between two reads would hide the problems (and
//! the documentation) of the second:
//! ```
//! # use service::settings::{Env, Problems};
//! # use std::net::SocketAddr;
//! struct Settings { listen: SocketAddr, docs: bool }
//!
//! fn read(env: &mut Env) -> Option<Settings> {
//!     let listen = env.var("ROUTER_LISTEN", "address to listen on").default("0.0.0.0:8000").parse();
//!     let docs = env.var("DOCS", "serve the documentation").default("on").boolean();
//!     Some(Settings { listen: listen?, docs: docs? })
//! }
//!
//! let mut env = Env::from_pairs([("ROUTER_LISTEN", "nowhere")]);
//! let settings = read(&mut env);
//! assert!(env.finish_with(settings).is_err());
//! ```

mod env;
mod mounted;
mod problems;
mod reference;
mod values;
mod variable;

pub use env::Env;
pub use problems::{EXIT_CONFIG, Problems, SettingProblem};
pub use reference::{SettingDoc, to_markdown};
pub use values::{DurationSetting, ListenAddress, format_duration, parse_boolean, parse_duration};
pub use variable::Variable;

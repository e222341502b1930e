//! What is logged, and changing it. Only where operators have a listener of their own: whoever may change it can fill a
//! disk.

use poem_openapi::{ApiResponse, Object, payload::Json, types::Example};

use crate::{http::Problem, logging::LogControl};

/// What is logged.
#[derive(Debug, PartialEq, Eq, Object)]
#[oai(example)]
pub struct LogLevel {
    /// `error`, `warn`, `info`, `debug`, `trace` or `off`, also by module: `info,router=debug`. As `LOG_LEVEL` is
    /// written.
    pub level: String,
}

impl Example for LogLevel {
    fn example() -> Self {
        Self { level: "info,router=debug".to_owned() }
    }
}

#[derive(ApiResponse)]
pub(super) enum LogLevelAnswer {
    /// What is logged now.
    #[oai(status = 200)]
    Ok(Json<LogLevel>),
    /// It is no level, or levels by module (`invalid_request`). Nothing has changed.
    #[oai(status = 400, content_type = "application/problem+json")]
    Invalid(Json<Problem>),
    /// Operators have no listener of their own: set `ADMIN_LISTEN`.
    #[oai(status = 404, content_type = "application/problem+json")]
    NotHere(Json<Problem>),
}

impl LogLevelAnswer {
    pub(super) fn now(control: Option<&LogControl>) -> Self {
        match control {
            Some(control) => Self::Ok(Json(LogLevel { level: control.levels() })),
            None => {
                let detail = "this is only on the listener for operators; set ADMIN_LISTEN to have one";
                Self::NotHere(Json(Problem::not_found(detail)))
            }
        }
    }

    pub(super) fn changed(control: Option<&LogControl>, wanted: &LogLevel) -> Self {
        match control.map(|control| control.set(&wanted.level)) {
            Some(Err(why)) => {
                Self::Invalid(Json(Problem::bad_request(format!("level {why}")).with_field("level")))
            }
            Some(Ok(())) | None => Self::now(control),
        }
    }
}

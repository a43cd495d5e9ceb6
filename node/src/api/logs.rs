//! `GET /v1/log` and `POST /v1/log`: how much a running peer logs, for who looks for something now. Five levels and no filters: what is asked for
//! over a socket stays simple. It is audited, and forgotten when the peer ends.

use std::sync::{Mutex, PoisonError};

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::events::{Kind, Level};
use super::problem::Problem;
use super::routes::{Shared, malformed};
use super::watcher::say;
use crate::store::audit;

/// What may be asked for.
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// Makes the program log from that level on.
type SetLevel = Box<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// How much is logged now, and the way to change it.
pub struct LogLevel {
    now: Mutex<String>,
    set: SetLevel,
}

impl std::fmt::Debug for LogLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogLevel").field("now", &self.now).finish_non_exhaustive()
    }
}

impl LogLevel {
    /// `started` is what `--log` said.
    #[must_use]
    pub fn new(started: String, set: SetLevel) -> Self {
        Self { now: Mutex::new(started), set }
    }

    fn now(&self) -> String {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, level: &str) -> Result<(), String> {
        // Held over both: two who change it at once leave what is said to be true.
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        (self.set)(level)?;
        level.clone_into(&mut now);
        Ok(())
    }
}

/// `POST /v1/log`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    level: String,
}

const FORM: &str = "{\"level\": \"error\" | \"warn\" | \"info\" | \"debug\" | \"trace\"}";

pub(super) async fn level(State(shared): State<Shared>) -> Result<Json<Value>, Problem> {
    let log = shared.log.as_ref().ok_or_else(fixed)?;
    Ok(Json(json!({ "level": log.now(), "levels": LEVELS })))
}

pub(super) async fn change(
    State(shared): State<Shared>,
    wish: Result<Json<Wish>, JsonRejection>,
) -> Result<Json<Value>, Problem> {
    let Json(Wish { level }) = wish.map_err(|error| malformed(&error, FORM))?;
    let log = shared.log.as_ref().ok_or_else(fixed)?;
    if !LEVELS.contains(&level.as_str()) {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "no such level", FORM));
    }
    log.change(&level).map_err(|error| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error, "start the peer again with --log LEVEL")
    })?;
    shared.audit.note(audit::Kind::Control, json!({ "action": "log", "level": level }));
    say(&shared.board, Kind::Control, Level::Info, None, &format!("logs from level {level} on, as asked"));
    Ok(Json(json!({ "level": level })))
}

fn fixed() -> Problem {
    Problem::new(StatusCode::CONFLICT, "this program's log cannot be changed", "start the peer again with --log LEVEL")
}

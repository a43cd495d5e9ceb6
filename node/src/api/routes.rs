//! What may be asked, and who answers. Everything reads the [`Board`]; what is to change goes to the driver's bounded queue.

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::header::{CONTENT_TYPE, SET_COOKIE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};

use super::answers::{Desk, confusion, generate, predict};
use super::bases::{Bases, busy};
use super::board::Board;
use super::events::{Kind, Level};
use super::guard::{self, Caller, Guard};
use super::history::Columns;
use super::lives;
use super::logs::{self, LogLevel};
use super::past::{self, Histograms, Past, Text};
use super::problem::Problem;
use super::snapshot::{Phase, Snapshot};
use super::stream::{STREAMS_MAX, Seen, events};
use super::watcher::say;
use super::weights::{Described, Model, Picture};
use super::{metrics, pages};
use crate::driver::Control;
use crate::store::audit::{self, Audit};
use crate::text::escape;

/// Largest body of a request, bytes.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;

/// What every route may need.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) board: Arc<Board>,
    pub(super) control: mpsc::Sender<Control>,
    pub(super) audit: Audit,
    pub(super) guard: Arc<Guard>,
    pub(super) registry: Arc<Registry>,
    pub(super) model: Arc<Model>,
    pub(super) bases: Bases,
    pub(super) desk: Desk,
    pub(super) past: Arc<Past>,
    pub(super) log: Option<Arc<LogLevel>>,
    pub(super) streams: Arc<Semaphore>,
}

impl Shared {
    pub(super) fn streams() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(STREAMS_MAX))
    }
}

/// All routes behind the guard.
pub(super) fn router(shared: Shared) -> Router {
    let guard = Arc::clone(&shared.guard);
    Router::new()
        .route("/", get(pages::index))
        .route("/{*name}", get(pages::asset))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(scrape))
        .route("/v1/status", get(status))
        .route("/v1/history", get(history))
        .route("/v1/events", get(stream))
        .route("/v1/model", get(model))
        .route("/v1/model/{index}", get(picture))
        .route("/v1/model/{index}/past", get(histograms))
        .route("/v1/texts", get(texts))
        .route("/v1/confusion", get(confusion))
        .route("/v1/deltas", get(deltas))
        .route("/v1/log", get(logs::level))
        .route("/v1/log", post(logs::change))
        .route("/v1/predict", post(predict))
        .route("/v1/generate", post(generate))
        .route("/v1/control", post(control))
        .route("/v1/session", post(session))
        .method_not_allowed_fallback(other_method)
        .with_state(shared)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(guard, guard::layer))
}

/// The path is there, and is asked in another way.
async fn other_method(method: Method) -> Problem {
    let error = format!("{method} is no way to ask this");
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        error,
        "docs/dashboard.md lists the interface: what is read by GET, what acts by POST",
    )
}

/// The process lives and answers.
async fn healthz() -> &'static str {
    "ok\n"
}

/// The learner is there and the peer has begun, or is past it.
async fn readyz(State(shared): State<Shared>) -> Response {
    match shared.board.status().phase {
        Phase::Starting | Phase::Joining => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "training has not begun", "wait").into_response()
        }
        Phase::Leaving | Phase::Stopped => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the peer is leaving", "ask another one").into_response()
        }
        Phase::Training | Phase::Paused | Phase::Done => "ok\n".into_response(),
    }
}

async fn scrape(State(shared): State<Shared>) -> Response {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = prometheus_client::encoding::text::encode(&mut text, &shared.registry);
    ([(CONTENT_TYPE, metrics::CONTENT)], text).into_response()
}

async fn status(State(shared): State<Shared>) -> Json<Snapshot> {
    Json(Snapshot::clone(&shared.board.status()))
}

async fn history(State(shared): State<Shared>) -> Json<Columns> {
    Json(shared.board.history())
}

/// `?after=ID`, for who keeps no event stream's memory.
#[derive(Debug, Default, Deserialize)]
struct After {
    after: Option<String>,
}

async fn stream(
    State(shared): State<Shared>,
    query: Result<Query<After>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let hint = "after=ID, the id of an event, or its number";
    let wrong = |error: String| Problem::new(StatusCode::BAD_REQUEST, error, hint);
    let Query(After { after }) = query.map_err(|error| wrong(error.body_text()))?;
    let unknown = |text: &String| wrong(format!("after={:?} is no id of an event", escape(text, 80)));
    let after = after.map(|text| Seen::parse(&text).ok_or_else(|| unknown(&text))).transpose()?;
    let last = headers.get("last-event-id").and_then(|value| Seen::parse(value.to_str().ok()?));
    let Ok(place) = Arc::clone(&shared.streams).try_acquire_owned() else {
        let error = format!("{STREAMS_MAX} event streams are open already");
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, error, "close one, or poll /v1/status"));
    };
    Ok(events(shared.board, last.or(after).unwrap_or_default(), place).into_response())
}

/// `GET /v1/model`
#[derive(Debug, Serialize)]
struct ModelNow {
    base_hash: String,
    heard: String,
    samples: u64,
    steps: u64,
    epoch: u32,
    parameters: usize,
    tensors: Vec<Described>,
    /// Optimizer steps of this peer with the one whose gradient this is; null while none is known.
    gradient_steps: Option<u64>,
    /// What is noted of the past, for who finds nothing of it.
    noted: Noted,
}

/// Limits of `GET /v1/model/{index}/past` and `GET /v1/texts`.
#[derive(Debug, Serialize)]
struct Noted {
    parameters_max: usize,
    tensors_max: usize,
}

async fn model(State(shared): State<Shared>) -> Result<Response, Problem> {
    let copied = shared.bases.fresh().await?;
    let (shown, model) = (Arc::clone(&copied.shown), Arc::clone(&shared.model));
    let gradient = shared.board.gradient();
    let now = blocking(move || ModelNow {
        base_hash: copied.hash(),
        heard: shown.heard.to_string(),
        samples: shown.samples,
        steps: shown.steps,
        epoch: shown.epoch,
        parameters: shown.base.len(),
        tensors: model.describe(&shown, gradient.as_deref()),
        gradient_steps: gradient.map(|gradient| gradient.steps),
        noted: Noted { parameters_max: past::PARAMETERS_MAX, tensors_max: past::TENSORS_MAX },
    });
    Ok(Json(now.await?).into_response())
}

async fn picture(State(shared): State<Shared>, Path(index): Path<String>) -> Result<Json<Picture>, Problem> {
    let copied = shared.bases.fresh().await?;
    let model = Arc::clone(&shared.model);
    let draw = blocking(move || {
        let mut picture = model.picture(&copied.shown, index.parse().ok()?)?;
        picture.base_hash = copied.hash();
        Some(picture)
    });
    let none = || Problem::new(StatusCode::NOT_FOUND, "the model has no such tensor", "GET /v1/model lists them");
    Ok(Json(draw.await?.ok_or_else(none)?))
}

async fn histograms(State(shared): State<Shared>, Path(index): Path<String>) -> Json<Histograms> {
    Json(shared.past.histograms(index.parse().unwrap_or(usize::MAX)))
}

async fn texts(State(shared): State<Shared>) -> Json<Vec<Text>> {
    Json(shared.past.texts())
}

async fn deltas(State(shared): State<Shared>) -> Json<lives::Shown> {
    Json(shared.board.lives())
}

/// What takes more than a moment does not hold up those who only look.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|_| busy())
}

/// `POST /v1/control`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    action: Action,
}

/// What may be asked of a running peer.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    /// Take no steps, gossip on.
    Pause,
    /// Take steps again.
    Resume,
    /// Write a checkpoint.
    Checkpoint,
    /// Say what is unsaid, agree, evaluate, stop.
    Leave,
}

async fn control(
    State(shared): State<Shared>,
    wish: Result<Json<Wish>, JsonRejection>,
) -> Result<Json<serde_json::Value>, Problem> {
    let Json(Wish { action }) =
        wish.map_err(|error| malformed(&error, "{\"action\": \"pause\" | \"resume\" | \"checkpoint\" | \"leave\"}"))?;
    let (asked, name, text) = match action {
        Action::Pause => (Control::Pause, "pause", "training is paused, as asked"),
        Action::Resume => (Control::Resume, "resume", "training goes on, as asked"),
        Action::Checkpoint if !shared.board.status().run.checkpoints => {
            let error = "this peer keeps no checkpoints";
            return Err(Problem::new(StatusCode::CONFLICT, error, "start it with --checkpoint DIR"));
        }
        Action::Checkpoint => (Control::Checkpoint, "checkpoint", "a checkpoint is written, as asked"),
        Action::Leave => (Control::Finish, "leave", "the peer leaves, as asked"),
    };
    shared.control.try_send(asked).map_err(|_| busy())?;
    shared.audit.note(audit::Kind::Control, json!({ "action": name }));
    say(&shared.board, Kind::Control, Level::Info, None, text);
    Ok(Json(json!({ "action": name })))
}

/// `POST /v1/session`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    token: String,
}

async fn session(
    State(shared): State<Shared>,
    from: Option<Extension<Caller>>,
    login: Result<Json<Login>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(Login { token }) = login.map_err(|error| malformed(&error, "{\"token\": \"...\"}"))?;
    let cookie = shared.guard.session(&token, guard::of(from.map(|Extension(from)| from)))?;
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]).into_response())
}

pub(super) fn malformed(error: &JsonRejection, form: &'static str) -> Problem {
    Problem::new(error.status(), error.body_text(), form)
}

//! What a running peer shows and answers over HTTP: the dashboard, its state as JSON and as metrics, pictures
//! of its model, predictions.
//!
//! ```text
//! driver's loop --observations--> watcher --> board <-- routes <-- guard <-- server (a thread of its own) <-- browsers, scrapers
//!       ^                                                 |
//!       +------------- bounded queue of wishes -----------+   pause, resume, leave, a copy of the base
//! ```
//!
//! Training and gossip wait for nobody who looks: the driver's side writes a snapshot twice a second and goes on; the other side has a
//! thread of its own, and reads. On loopback everybody on this machine may look and act; on any other address there is a token
//! (`guard.rs` says what a request has to pass). Interface, limits and metrics: docs/dashboard.md.

mod answers;
mod bases;
mod board;
mod events;
mod guard;
mod history;
mod judge;
mod lives;
mod logs;
mod metrics;
mod pages;
mod past;
mod problem;
mod routes;
mod sentences;
mod server;
mod snapshot;
mod stream;
#[cfg(test)]
mod tests;
mod token;
mod watcher;
mod weights;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Instant;

use prometheus_client::registry::Registry;
use shaders::data::Dataset;
use tokio::sync::mpsc;

use self::answers::Desk;
pub use self::answers::MakeAnswers;
use self::bases::Bases;
use self::board::Board;
pub use self::events::{Entry, Kind as EventKind, Level};
use self::guard::Guard;
pub use self::history::{Columns, Evaluations};
pub use self::logs::LogLevel;
use self::past::Past;
use self::routes::Shared;
pub use self::server::{Server, listen};
pub use self::snapshot::{Gossip, Other, Own, Phase, Run, Snapshot, Training};
pub use self::token::{Token, load_or_create, read as read_token};
pub use self::watcher::Watcher;
pub use self::weights::Model;
use crate::driver::Control;
use crate::error::{Error, Kind};
use crate::store::audit::Audit;

/// Where to serve, and whom.
#[derive(Debug)]
pub struct Access {
    /// See [`listen`].
    pub listener: TcpListener,
    /// Names by which the server may be called, besides IP addresses and `localhost`.
    pub names: Vec<String>,
    /// What a request must bring; without one whoever reaches the address may ask.
    pub token: Option<Token>,
}

/// What there is to serve.
pub struct Content {
    /// This peer.
    pub peer: Own,
    /// What it trains.
    pub run: Run,
    /// Shapes of the model.
    pub model: Model,
    /// When the process began.
    pub began: Instant,
    /// Where it is recorded what was asked for.
    pub audit: Audit,
    /// Metrics that others count.
    pub registry: Registry,
    /// What answers.
    pub answers: MakeAnswers,
    /// What it is judged by.
    pub data: Option<Arc<Dataset>>,
    /// How much is logged, where that can be changed.
    pub log: Option<LogLevel>,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Content").field("peer", &self.peer).field("run", &self.run).finish_non_exhaustive()
    }
}

impl Access {
    /// The address listened on.
    ///
    /// # Errors
    /// When the socket does not say.
    pub fn address(&self) -> Result<SocketAddr, Error> {
        self.listener.local_addr().map_err(|error| Error::new(Kind::Internal, format!("the dashboard: {error}")))
    }
}

/// Starts the server. Whoever runs the peer gives its observations to the [`Watcher`]; what is asked for goes to `control`.
///
/// # Errors
/// When its thread cannot be started.
pub fn start(access: Access, content: Content, control: mpsc::Sender<Control>) -> Result<(Watcher, Server), Error> {
    let address = access.address()?;
    let Content { peer, run, model, began, audit, mut registry, answers, data, log } = content;
    let first = Watcher::first(peer, run, began);
    let board = Arc::new(Board::new(first.clone()));
    metrics::register(&mut registry, Arc::clone(&board));
    let desk = Desk::open(answers, data, &mut registry)?;
    let (past, bases, model) = (Arc::<Past>::default(), Bases::new(&board, control.clone()), Arc::new(model));
    let keep = past::keep(Arc::clone(&past), Arc::clone(&board), bases.clone(), desk.clone(), Arc::clone(&model));
    let tidy = bases::tidy(Arc::clone(&board), bases::RECENT);
    let beside = async {
        tokio::join!(keep, tidy);
    };
    let app = routes::router(Shared {
        desk,
        bases,
        past,
        log: log.map(Arc::new),
        board: Arc::clone(&board),
        control,
        audit,
        guard: Arc::new(Guard::new(address.ip(), access.names, access.token)),
        registry: Arc::new(registry),
        model,
        streams: Shared::streams(),
    });
    let server = server::start(access.listener, app, beside)?;
    Ok((Watcher::new(board, first, began), server))
}

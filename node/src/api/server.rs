//! A thread of its own with a runtime of its own: however many look, the threads that train and gossip are not asked.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::guard::Caller;
use crate::error::{Error, Kind};

/// Connections at a time; further ones are closed at once. A browser opens six at most.
pub(super) const CONNECTIONS_MAX: usize = 128;
/// Request line and headers, bytes.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// How long they may take to come.
const HEAD_MAX: Duration = Duration::from_secs(5);
/// A connection is closed after so long; whoever still looks opens another one.
const CONNECTION_MAX: Duration = Duration::from_secs(15 * 60);
/// Pause after an accept that failed: too many open files do not pass at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The running server; it ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    _stop: oneshot::Sender<()>,
}

/// Listens there, so that a port in use is known before anything else is done.
///
/// # Errors
/// [`Kind::Network`] when it cannot.
pub fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    let failed = |error: std::io::Error| {
        Error::new(Kind::Network, format!("the dashboard cannot listen on {address}: {error}"))
            .hint("--dashboard IP:PORT names another place, port 0 takes a free one, --dashboard none does without")
    };
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

/// Serves `app` until the handle is dropped, and does what else is to be done meanwhile.
pub(super) fn start(
    listener: TcpListener,
    app: Router,
    beside: impl Future<Output = ()> + Send + 'static,
) -> Result<Server, Error> {
    let failed = |error: std::io::Error| Error::new(Kind::Internal, format!("cannot start the dashboard: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let serve = move || {
        runtime.block_on(async move {
            tokio::spawn(beside);
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => tokio::select! {
                    () = accept(listener, app) => {}
                    // Nothing is ever sent: the handle is gone.
                    _ = stopped => tokio::time::sleep(LAST_WORDS_MAX).await,
                },
                Err(error) => tracing::error!(%error, "the dashboard is not served"),
            }
        });
    };
    thread::Builder::new().name("dashboard".to_owned()).spawn(serve).map_err(failed)?;
    Ok(Server { _stop: stop })
}

/// How long those who look have to hear that it is over.
const LAST_WORDS_MAX: Duration = Duration::from_millis(200);

async fn accept(listener: tokio::net::TcpListener, app: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!(%error, "no connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::debug!("the dashboard has {CONNECTIONS_MAX} connections: one more is closed");
            continue;
        };
        let app = app.clone();
        tokio::spawn(async move {
            serve(stream, Caller::of(from.ip()), app).await;
            drop(place);
        });
    }
}

/// The app, told where each request of a connection comes from.
struct Told {
    from: Caller,
    app: TowerToHyperService<Router>,
}

impl Service<Request<Incoming>> for Told {
    type Response = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Error;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.from);
        self.app.call(request)
    }
}

async fn serve(stream: TcpStream, from: Caller, app: Router) {
    // Events are small, and looked at as they come.
    let _ = stream.set_nodelay(true);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_MAX).max_buf_size(HEAD_BYTES_MAX);
    let connection = http.serve_connection(TokioIo::new(stream), Told { from, app: TowerToHyperService::new(app) });
    if let Ok(Err(error)) = timeout(CONNECTION_MAX, connection).await {
        tracing::trace!(%error, "a connection of the dashboard");
    }
}

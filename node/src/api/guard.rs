//! What a request has to pass before anybody looks at it.
//!
//! A browser sends requests for whatever page it shows, so a server on loopback is within reach of every page of the web:
//! - the name in `Host` must be ours: a page whose name is made to resolve to 127.0.0.1 (DNS rebinding) comes with its own name;
//! - what changes something must come from our own page (`Origin`), and be JSON, which no form can send;
//! - what another site embeds is refused (`Sec-Fetch-Site`).
//!
//! Where there is a token, it is asked for, as a bearer token or as the cookie that `POST /v1/session` gives for it. Requests have a rate,
//! wrong tokens a much lower one.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use super::token::{TOKEN_CHARS_MAX, Token};

/// Requests a second, of everybody together.
pub(super) const REQUESTS_PER_SECOND_MAX: f64 = 500.0;
/// Requests that may come at once.
const REQUESTS_BURST_MAX: f64 = 1000.0;
/// Wrong tokens a second, of everybody together: a token of 256 bits is not guessed, a shorter one of a person's may be.
const FAILURES_PER_SECOND_MAX: f64 = 1.0;
/// Wrong tokens that may come at once.
const FAILURES_BURST_MAX: f64 = 10.0;
/// A request that is not answered by then is given up.
const REQUEST_MAX: Duration = Duration::from_secs(15);
/// Name of the browser's cookie.
const COOKIE: &str = "starling";
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Who may ask.
#[derive(Debug)]
pub(super) struct Guard {
    /// Whether the address listened on is loopback.
    loopback: bool,
    /// Names besides IP addresses and `localhost`.
    names: Vec<String>,
    token: Option<Token>,
    requests: Mutex<Bucket>,
    failures: Mutex<Bucket>,
}

/// So much a second, and so much at once.
#[derive(Debug)]
struct Bucket {
    per_second: f64,
    most: f64,
    left: f64,
    at: Instant,
}

impl Bucket {
    fn new(per_second: f64, most: f64) -> Mutex<Self> {
        Mutex::new(Self { per_second, most, left: most, at: Instant::now() })
    }

    fn left(&mut self, now: Instant) -> f64 {
        let grown = now.saturating_duration_since(self.at).as_secs_f64() * self.per_second;
        (self.left, self.at) = ((self.left + grown).min(self.most), now);
        self.left
    }
}

/// Whether there is room for `cost`, which is taken then.
fn take(bucket: &Mutex<Bucket>, cost: f64) -> bool {
    let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
    let enough = bucket.left(Instant::now()) >= 1.0;
    if enough {
        bucket.left -= cost;
    }
    enough
}

impl Guard {
    pub(super) fn new(listens_on: IpAddr, names: Vec<String>, token: Option<Token>) -> Self {
        Self {
            loopback: listens_on.is_loopback(),
            names,
            token,
            requests: Bucket::new(REQUESTS_PER_SECOND_MAX, REQUESTS_BURST_MAX),
            failures: Bucket::new(FAILURES_PER_SECOND_MAX, FAILURES_BURST_MAX),
        }
    }

    /// The cookie for whoever brings the token.
    pub(super) fn session(&self, token: &str) -> Result<HeaderValue, Problem> {
        let Some(ours) = &self.token else {
            return Err(Problem::new(StatusCode::CONFLICT, "this peer asks for no token", "just go on"));
        };
        if !self.knows(ours, token) {
            return Err(unknown());
        }
        let cookie = format!("{COOKIE}={}; HttpOnly; SameSite=Strict; Path=/", ours.session());
        HeaderValue::try_from(cookie).map_err(|_| unknown())
    }

    fn knows(&self, ours: &Token, token: &str) -> bool {
        if token.len() > TOKEN_CHARS_MAX || !take(&self.failures, 0.0) {
            return false;
        }
        let right = ours.is(token);
        if !right {
            take(&self.failures, 1.0);
        }
        right
    }

    fn check(&self, request: &Request) -> Result<(), Problem> {
        let headers = request.headers();
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        // HTTP/1.1 has the name in a header, and a proxy's form in the request line.
        let host = text(&header::HOST).or_else(|| request.uri().authority().map(|authority| authority.as_str()));
        let host = host.unwrap_or("");
        if !is_ours(host, self.loopback, &self.names) {
            return Err(Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                format!("{:?} is no name of this server", crate::text::escape(host, 80)),
                "use its IP address or localhost; --dashboard-host NAME allows another name",
            ));
        }
        let foreign = |origin: &str| origin.split_once("://").is_none_or(|(_, rest)| rest != host);
        let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
        if changes && headers.contains_key(header::ORIGIN) && text(&header::ORIGIN).is_none_or(foreign) {
            let error = "the request comes from a page of somebody else";
            return Err(Problem::new(StatusCode::FORBIDDEN, error, "ask from the dashboard, or without a browser"));
        }
        let embedded = text(&SEC_FETCH_SITE).is_some_and(|site| matches!(site, "cross-site" | "same-site"));
        if embedded && !is_page(request.uri().path()) {
            return Err(Problem::new(StatusCode::FORBIDDEN, "another site embeds this", "open the dashboard itself"));
        }
        if !take(&self.requests, 1.0) {
            let error = format!("more than {REQUESTS_PER_SECOND_MAX} requests a second");
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, error, "ask more slowly, or in batches"));
        }
        match &self.token {
            Some(token) if !is_public(request.uri().path()) && !self.holds(token, headers) => Err(unknown()),
            _ => Ok(()),
        }
    }

    fn holds(&self, ours: &Token, headers: &HeaderMap) -> bool {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        if let Some(token) = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer ")) {
            return self.knows(ours, token.trim());
        }
        let cookies = text(header::COOKIE).unwrap_or("").split(';');
        let mut sessions = cookies.filter_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='));
        sessions.any(|session| ours.is_session(session))
    }
}

fn unknown() -> Problem {
    let hint = "Authorization: Bearer TOKEN; `starling run` says which file holds it. Wrong tokens are answered slowly";
    Problem::new(StatusCode::UNAUTHORIZED, "this peer asks for a token", hint)
}

/// The page itself, to which other sites may link.
fn is_page(path: &str) -> bool {
    path == "/"
}

/// What needs no token: the page, which asks for it, and whether the process lives.
fn is_public(path: &str) -> bool {
    path == "/healthz" || path == "/v1/session" || !path.starts_with("/v1/") && path != "/metrics" && path != "/readyz"
}

/// Whether a request may call us so. An IP address is never the work of DNS; a name may be anybody's.
fn is_ours(host: &str, loopback: bool, names: &[String]) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(name, _port)| name),
        None => host.rsplit_once(':').map_or(host, |(name, _port)| name),
    };
    if name.eq_ignore_ascii_case("localhost") || names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return true;
    }
    name.parse::<IpAddr>().is_ok_and(|address| !loopback || address.is_loopback())
}

/// The layer around every route.
pub(super) async fn layer(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let mut response = match guard.check(&request) {
        Err(problem) => problem.into_response(),
        Ok(()) => match tokio::time::timeout(REQUEST_MAX, next.run(request)).await {
            Ok(response) => response,
            Err(_) => {
                let error = format!("no answer within {} s", REQUEST_MAX.as_secs());
                Problem::new(StatusCode::GATEWAY_TIMEOUT, error, "the learner may be busy: try again").into_response()
            }
        },
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Nothing from elsewhere, nothing inline, in no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use axum::body::Body;

    use super::*;

    fn guard(token: Option<&str>) -> Guard {
        Guard::new("127.0.0.1".parse().unwrap(), Vec::new(), token.map(Token::of))
    }

    fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap()
    }

    fn status(guard: &Guard, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
        guard.check(&request(method, path, headers)).map_or_else(|problem| problem.status.as_u16(), |()| 200)
    }

    #[test]
    fn a_name_that_is_not_ours_is_rebound() {
        let names = ["box.example".to_owned()];
        for host in ["localhost", "localhost:7878", "127.0.0.1:1", "[::1]:7878", "LOCALHOST", "box.example:80"] {
            assert!(is_ours(host, true, &names), "{host}");
        }
        for host in
            ["", "evil.example", "evil.example:7878", "192.0.2.7:80", "localhost.evil.example", "[::1", "127.0.0.1.x"]
        {
            assert!(!is_ours(host, true, &names), "{host}");
        }
        assert!(is_ours("192.0.2.7:80", false, &[]) && !is_ours("evil.example", false, &[]));
    }

    #[test]
    fn other_pages_change_nothing() {
        let guard = guard(None);
        let host = ("host", "127.0.0.1:7878");
        assert_eq!(status(&guard, "POST", "/v1/control", &[host, ("origin", "http://127.0.0.1:7878")]), 200);
        assert_eq!(status(&guard, "POST", "/v1/control", &[host]), 200, "no browser");
        for origin in ["http://evil.example", "null", "http://127.0.0.1:1", "127.0.0.1:7878"] {
            assert_eq!(status(&guard, "POST", "/v1/control", &[host, ("origin", origin)]), 403, "{origin}");
        }
        assert_eq!(status(&guard, "GET", "/v1/status", &[host, ("sec-fetch-site", "cross-site")]), 403);
        assert_eq!(status(&guard, "GET", "/", &[host, ("sec-fetch-site", "cross-site")]), 200, "a link to it");
        assert_eq!(status(&guard, "GET", "/v1/status", &[("host", "evil.example")]), 421);
        assert_eq!(status(&guard, "GET", "/v1/status", &[]), 421);
    }

    #[test]
    fn who_has_no_token_sees_the_door_only() {
        let guard = guard(Some("a token of some length"));
        let host = ("host", "localhost");
        for path in ["/v1/status", "/metrics", "/v1/model", "/readyz", "/v1/events"] {
            assert_eq!(status(&guard, "GET", path, &[host]), 401, "{path}");
        }
        for path in ["/", "/app.js", "/healthz", "/v1/session"] {
            assert_eq!(status(&guard, "GET", path, &[host]), 200, "{path}");
        }
        let bearer = ("authorization", "Bearer a token of some length");
        assert_eq!(status(&guard, "GET", "/v1/status", &[host, bearer]), 200);
        let cookie = guard.session("a token of some length").unwrap();
        let cookie = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
        assert_eq!(status(&guard, "GET", "/v1/status", &[host, ("cookie", &format!("a=b; {cookie}"))]), 200);
        assert_eq!(status(&guard, "GET", "/v1/status", &[host, ("cookie", "starling=00")]), 401);
    }

    #[test]
    fn tokens_are_not_guessed_in_a_hurry() {
        let guard = guard(Some("a token of some length"));
        for _ in 0..FAILURES_BURST_MAX as usize {
            assert!(guard.session("wrong").is_err());
        }
        assert!(guard.session("a token of some length").is_err(), "even the right one waits now");
        guard.failures.lock().unwrap().left = 2.0;
        assert!(guard.session("a token of some length").is_ok());
    }

    #[test]
    fn requests_have_a_rate() {
        let guard = guard(None);
        let host = ("host", "localhost");
        let refused = (0..3000).filter(|_| status(&guard, "GET", "/healthz", &[host]) == 429).count();
        assert!((1..=2000).contains(&refused), "{refused}");
    }
}

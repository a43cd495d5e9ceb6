//! What a request has to pass before anybody looks at it.
//!
//! A browser sends requests for whatever page it shows, so a server on loopback is within reach of every page of the web:
//! - the name in `Host` must be ours: a page whose name is made to resolve to 127.0.0.1 (DNS rebinding) comes with its own name;
//! - what changes something must come from our own page (`Origin`), and be JSON, which no form can send;
//! - what another site embeds is refused (`Sec-Fetch-Site`).
//!
//! Where there is a token, it is asked for, as a bearer token or as the cookie that `POST /v1/session` gives for it. Requests have a rate,
//! wrong tokens a much lower one, of each address: who guesses keeps nobody at another one out. Behind a proxy all come from its address.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
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
/// Wrong tokens a second, of an address: a token of 256 bits is not guessed, a shorter one of a person's may be.
const FAILURES_PER_SECOND_MAX: f64 = 1.0;
/// Wrong tokens that may come at once.
const FAILURES_BURST_MAX: f64 = 10.0;
/// Addresses whose wrong tokens are counted apart; those beyond share one count.
const FAILURES_ADDRESSES_MAX: usize = 1024;
/// A request that is not answered by then is given up.
const REQUEST_MAX: Duration = Duration::from_secs(15);
/// Beginning of the name of the browser's cookie. Browsers do not tell the ports of a machine apart: peers whose tokens differ name theirs differently.
const COOKIE: &str = "starling-";
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
    failures: Mutex<Failures>,
}

/// Where a request comes from, for whoever counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Caller(IpAddr);

impl Caller {
    /// Of one IPv6 network anybody has as many addresses as they like: it counts as one.
    pub(super) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = u128::from(address) & !u128::from(u64::MAX);
                Self(IpAddr::V6(Ipv6Addr::from(network)))
            }
            address => Self(address),
        }
    }
}

/// Wrong tokens by address.
#[derive(Debug)]
struct Failures {
    of: BTreeMap<Caller, Bucket>,
    /// Of all for whom there is no room.
    others: Bucket,
}

impl Failures {
    fn new() -> Mutex<Self> {
        Mutex::new(Self { of: BTreeMap::new(), others: Self::bucket() })
    }

    fn bucket() -> Bucket {
        Bucket::new(FAILURES_PER_SECOND_MAX, FAILURES_BURST_MAX)
    }

    /// What is left to an address.
    fn left(&mut self, from: Caller, now: Instant) -> f64 {
        let room = self.of.len() < FAILURES_ADDRESSES_MAX;
        match self.of.get_mut(&from) {
            Some(bucket) => bucket.left(now),
            None if room => FAILURES_BURST_MAX,
            None => self.others.left(now),
        }
    }

    fn note(&mut self, from: Caller, now: Instant) {
        if self.of.len() >= FAILURES_ADDRESSES_MAX {
            // Whose wrong tokens are forgiven needs no place.
            self.of.retain(|_, bucket| bucket.left(now) < FAILURES_BURST_MAX);
        }
        let room = self.of.len() < FAILURES_ADDRESSES_MAX || self.of.contains_key(&from);
        let bucket = if room { self.of.entry(from).or_insert_with(Self::bucket) } else { &mut self.others };
        bucket.left(now);
        bucket.left -= 1.0;
    }
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
    fn new(per_second: f64, most: f64) -> Self {
        Self { per_second, most, left: most, at: Instant::now() }
    }

    fn left(&mut self, now: Instant) -> f64 {
        let grown = now.saturating_duration_since(self.at).as_secs_f64() * self.per_second;
        (self.left, self.at) = ((self.left + grown).min(self.most), now);
        self.left
    }
}

/// Whether there is room for one more, which is taken then.
fn take(bucket: &Mutex<Bucket>) -> bool {
    let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
    let enough = bucket.left(Instant::now()) >= 1.0;
    if enough {
        bucket.left -= 1.0;
    }
    enough
}

impl Guard {
    pub(super) fn new(listens_on: IpAddr, names: Vec<String>, token: Option<Token>) -> Self {
        Self {
            loopback: listens_on.is_loopback(),
            names,
            token,
            requests: Mutex::new(Bucket::new(REQUESTS_PER_SECOND_MAX, REQUESTS_BURST_MAX)),
            failures: Failures::new(),
        }
    }

    /// The cookie for whoever brings the token.
    pub(super) fn session(&self, token: &str, from: Caller) -> Result<HeaderValue, Problem> {
        let Some(ours) = &self.token else {
            return Err(Problem::new(StatusCode::CONFLICT, "this peer asks for no token", "just go on"));
        };
        self.know(ours, token, from)?;
        let cookie = format!("{}={}; HttpOnly; SameSite=Strict; Path=/", cookie_name(ours), ours.session());
        HeaderValue::try_from(cookie).map_err(|_| unknown())
    }

    /// Whether that is the token. From where too many wrong ones came, the right one waits, too: else who guesses would learn it.
    fn know(&self, ours: &Token, token: &str, from: Caller) -> Result<(), Problem> {
        let now = Instant::now();
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.left(from, now) < 1.0 {
            let error = "too many wrong tokens came from your address";
            return Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                error,
                "wait some seconds, then bring the right one",
            ));
        }
        if token.len() <= TOKEN_CHARS_MAX && ours.is(token) {
            return Ok(());
        }
        failures.note(from, now);
        Err(Problem::new(StatusCode::UNAUTHORIZED, "that is not the token of this peer", TOKEN_HINT))
    }

    fn check(&self, request: &Request) -> Result<(), Problem> {
        let headers = request.headers();
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        // HTTP/1.1 has the name in a header, and a proxy's form in the request line.
        let host = text(&header::HOST).or_else(|| request.uri().authority().map(|authority| authority.as_str()));
        let host = host.unwrap_or("");
        let named_twice = headers.get_all(header::HOST).iter().nth(1).is_some();
        if named_twice || !is_ours(host, self.loopback, &self.names) {
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
        if !take(&self.requests) {
            let error = format!("more than {REQUESTS_PER_SECOND_MAX} requests a second");
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, error, "ask more slowly, or in batches"));
        }
        match &self.token {
            Some(token) if !is_public(request.uri().path()) => {
                self.admit(token, headers, of(request.extensions().get().copied()))
            }
            _ => Ok(()),
        }
    }

    fn admit(&self, ours: &Token, headers: &HeaderMap, from: Caller) -> Result<(), Problem> {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        // RFC 9110: the name of a scheme has no case.
        let words = text(header::AUTHORIZATION).and_then(|value| value.split_once(' '));
        if let Some((_, token)) = words.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) {
            return self.know(ours, token.trim(), from);
        }
        let name = cookie_name(ours);
        let cookies = text(header::COOKIE).unwrap_or("").split(';');
        let mut sessions = cookies.filter_map(|cookie| cookie.trim().strip_prefix(name.as_str())?.strip_prefix('='));
        if sessions.any(|session| ours.is_session(session)) { Ok(()) } else { Err(unknown()) }
    }
}

const TOKEN_HINT: &str = "Authorization: Bearer TOKEN; `starling run` says which file holds it";

fn unknown() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "this peer asks for a token", TOKEN_HINT)
}

/// See [`COOKIE`]. Also two machines whose ports are one port here (`ssh -L`) have names of their own so.
fn cookie_name(ours: &Token) -> String {
    format!("{COOKIE}{}", ours.name())
}

/// Where a request comes from. The server says it of each; one that nobody says it of counts like others of that kind.
pub(super) fn of(from: Option<Caller>) -> Caller {
    from.unwrap_or(Caller(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
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
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').unwrap_or(("", "")),
        None => host.split_at(host.rfind(':').unwrap_or(host.len())),
    };
    // Nothing else may stand behind it: 127.0.0.1:80.evil.com is a name of somebody else's.
    if !port.is_empty() && port.strip_prefix(':').is_none_or(|digits| digits.parse::<u16>().is_err()) {
        return false;
    }
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

    const HERE: Caller = Caller(IpAddr::V4(Ipv4Addr::LOCALHOST));

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
        for host in [
            "127.0.0.1:7941.evil.com",
            "localhost:evil.com",
            "[::1].evil.com",
            "[::1]x",
            "localhost:",
            "localhost:99999",
        ] {
            assert!(!is_ours(host, true, &names), "{host}");
        }
        let twice = [("host", "localhost"), ("host", "evil.com")];
        assert_eq!(
            status(&Guard::new("127.0.0.1".parse().unwrap(), Vec::new(), None), "GET", "/v1/status", &twice),
            421
        );
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
        for scheme in ["Bearer", "bearer", "BEARER"] {
            let bearer = format!("{scheme} a token of some length");
            assert_eq!(status(&guard, "GET", "/v1/status", &[host, ("authorization", &bearer)]), 200, "{scheme}");
        }
        assert_eq!(
            status(&guard, "GET", "/v1/status", &[host, ("authorization", "Basic a token of some length")]),
            401
        );
        let cookie = guard.session("a token of some length", HERE).unwrap();
        let cookie = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
        assert_eq!(status(&guard, "GET", "/v1/status", &[host, ("cookie", &format!("a=b; {cookie}"))]), 200);
        let made_up = format!("{}=00", cookie.split('=').next().unwrap());
        assert_eq!(status(&guard, "GET", "/v1/status", &[host, ("cookie", &made_up)]), 401);
    }

    #[test]
    fn two_peers_of_one_machine_keep_two_cookies() {
        let name = |token| {
            let cookie = guard(Some(token)).session(token, HERE).unwrap();
            cookie.to_str().unwrap().split('=').next().unwrap().to_owned()
        };
        assert_eq!(name("a token of some length"), name("a token of some length"), "after a restart, too");
        assert_ne!(name("a token of some length"), name("a token of another peer"));
    }

    #[test]
    fn tokens_are_not_guessed_in_a_hurry() {
        let guard = guard(Some("a token of some length"));
        let answer = |token, from| guard.session(token, from).map_or_else(|problem| problem.status.as_u16(), |_| 200);
        for _ in 0..FAILURES_BURST_MAX as usize {
            assert_eq!(answer("wrong", HERE), 401);
        }
        assert_eq!(
            answer("a token of some length", HERE),
            429,
            "even the right one waits now, and is not called wrong"
        );
        let elsewhere = Caller::of("192.0.2.7".parse().unwrap());
        assert_eq!(answer("a token of some length", elsewhere), 200, "who guesses keeps nobody else out");
        guard.failures.lock().unwrap().of.get_mut(&HERE).unwrap().left = 2.0;
        assert_eq!(answer("a token of some length", HERE), 200);
        let bearer = ("authorization", "Bearer wrong");
        assert_eq!(status(&guard, "GET", "/v1/status", &[("host", "localhost"), bearer]), 401);
    }

    #[test]
    fn addresses_of_who_guesses_take_little_memory() {
        let guard = guard(Some("a token of some length"));
        for i in 0..3 * FAILURES_ADDRESSES_MAX as u32 {
            let from = Caller::of(IpAddr::V4(Ipv4Addr::from(i)));
            assert!(guard.session("wrong", from).is_err());
        }
        assert_eq!(guard.failures.lock().unwrap().of.len(), FAILURES_ADDRESSES_MAX);
        let last = Caller::of(IpAddr::V4(Ipv4Addr::from(u32::MAX)));
        assert_eq!(
            guard.session("a token of some length", last).unwrap_err().status.as_u16(),
            429,
            "those beyond share"
        );
        let network = |text: &str| Caller::of(text.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::2:3"), "an address is nothing there");
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:192.0.2.7"), network("192.0.2.7"));
    }

    #[test]
    fn requests_have_a_rate() {
        let guard = guard(None);
        let host = ("host", "localhost");
        let refused = (0..3000).filter(|_| status(&guard, "GET", "/healthz", &[host]) == 429).count();
        assert!((1..=2000).contains(&refused), "{refused}");
    }
}

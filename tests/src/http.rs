//! Asking a running peer over HTTP, as a script would.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// Longest wait for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// The whole answer to `GET path` of the server at `http://HOST/`.
#[must_use]
pub fn get(server: &str, path: &str) -> String {
    ask(server, "GET", path, "")
}

/// The same for `POST` of JSON.
#[must_use]
pub fn post(server: &str, path: &str, body: &str) -> String {
    ask(server, "POST", path, body)
}

/// # Panics
/// When there is no answer in time.
fn ask(server: &str, method: &str, path: &str, body: &str) -> String {
    let host = server.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(host).expect("it listens");
    stream.set_read_timeout(Some(ANSWER_MAX)).expect("a deadline");
    let kind = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{kind}content-length: {length}");
    write!(stream, "{head}\r\n\r\n{body}").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

/// The body of an answer, which is JSON.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn json(answer: &str) -> Value {
    let body = answer.split_once("\r\n\r\n").expect("a head and a body").1;
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

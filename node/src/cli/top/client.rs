//! Asking running peers how they stand: a thread for each, which reads the peer's event stream and asks for its curves now and then.
//! What is lost is tried again.
//!
//! Requests are HTTP/1.0: the answer ends with the connection and comes in one piece, so the few lines here are enough.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::api::{Columns, Entry, Snapshot};
use crate::text::escape;

/// How long a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// How long an answer may take, and how long a stream may say nothing: states come twice a second.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Between two tries.
const RETRY: Duration = Duration::from_secs(1);
/// Between two looks at the curves.
const CURVES_EVERY: Duration = Duration::from_secs(3);
/// Longest answer and longest line of a stream, bytes.
const ANSWER_BYTES_MAX: u64 = 8 << 20;
/// Longest head of an answer, bytes.
const HEAD_BYTES_MAX: u64 = 16 << 10;
/// Longest id of an event, bytes: two numbers.
const ID_BYTES_MAX: usize = 48;
/// Before the first event.
const FIRST: &str = "0";
/// Longest reason that is shown, characters.
const REASON_CHARS_MAX: usize = 120;

/// What a thread has to tell.
#[derive(Debug)]
pub(super) enum News {
    /// How the peer stands.
    Status(Box<Snapshot>),
    /// Its curves.
    Curves(Box<Columns>),
    /// Something happened.
    Event(Box<Entry>),
    /// There is no connection, and why.
    Lost(String),
}

/// How to ask.
#[derive(Clone, Debug)]
pub(super) struct Door {
    pub(super) address: SocketAddr,
    pub(super) token: Option<Zeroizing<String>>,
}

impl Door {
    /// Starts the thread that tells what the peer says, under its number; it ends when nobody listens any more.
    pub(super) fn watch(self, peer: usize, news: SyncSender<(usize, News)>) {
        thread::spawn(move || {
            let mut seen = FIRST.to_owned();
            loop {
                let mut tell = |what| news.send((peer, what)).is_ok();
                let why = match self.follow(&mut seen, &mut tell) {
                    Ok(()) => "the stream has ended".to_owned(),
                    Err(why) => why,
                };
                if !tell(News::Lost(why)) {
                    return;
                }
                thread::sleep(RETRY);
            }
        });
    }

    /// Everything that can be had at once, for who looks only once.
    pub(super) fn look(&self) -> Result<(Snapshot, Columns, Vec<Entry>), String> {
        let (status, curves) = (self.json("/v1/status")?, self.json("/v1/history")?);
        let mut events = Vec::new();
        // What is on the list comes before the first state.
        let mut tell = |what| match what {
            News::Event(entry) => {
                events.push(*entry);
                true
            }
            News::Status(_) => false,
            News::Curves(_) | News::Lost(_) => true,
        };
        self.stream(&mut FIRST.to_owned(), &mut tell)?;
        Ok((status, curves, events))
    }

    fn follow(&self, seen: &mut String, tell: &mut impl FnMut(News) -> bool) -> Result<(), String> {
        let mut curves = None::<Instant>;
        let mut failed = None;
        let ended = self.stream(seen, &mut |what| {
            let state = matches!(what, News::Status(_));
            let mut heard = tell(what);
            if heard && state && curves.is_none_or(|at| at.elapsed() >= CURVES_EVERY) {
                curves = Some(Instant::now());
                match self.json("/v1/history") {
                    Ok(columns) => heard = tell(News::Curves(Box::new(columns))),
                    Err(why) => {
                        failed = Some(why);
                        heard = false;
                    }
                }
            }
            heard
        });
        failed.map_or(ended, Err)
    }

    /// Reads the event stream until `tell` says false or it ends. `seen` is the id of the last event.
    fn stream(&self, seen: &mut String, tell: &mut dyn FnMut(News) -> bool) -> Result<(), String> {
        let mut answer = self.get(&format!("/v1/events?after={seen}"))?;
        let (mut name, mut line) = (String::new(), String::new());
        loop {
            line.clear();
            let read = answer.by_ref().take(ANSWER_BYTES_MAX).read_line(&mut line).map_err(|error| why(&error))?;
            if read == 0 {
                return Ok(());
            }
            if !line.ends_with('\n') {
                return Err(format!("a line of more than {ANSWER_BYTES_MAX} bytes, or half a line"));
            }
            let Some((field, value)) = line.trim_end().split_once(':') else { continue };
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut name),
                "data" => {
                    // What a later version says beside is no reason to look away.
                    let what = match name.as_str() {
                        "status" => Some(News::Status(Box::new(read_json(value)?))),
                        "event" => serde_json::from_str::<Entry>(value).ok().map(|entry| News::Event(Box::new(entry))),
                        _ => None,
                    };
                    if what.is_some_and(|what| !tell(what)) {
                        return Ok(());
                    }
                }
                // It goes back in a request line.
                "id" if value.len() <= ID_BYTES_MAX
                    && value.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit()) =>
                {
                    value.clone_into(seen);
                }
                _ => {}
            }
        }
    }

    fn json<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, String> {
        let mut text = String::new();
        self.get(path)?.take(ANSWER_BYTES_MAX).read_to_string(&mut text).map_err(|error| why(&error))?;
        read_json(&text)
    }

    /// The body of a good answer, to be read.
    fn get(&self, path: &str) -> Result<BufReader<TcpStream>, String> {
        let mut stream = TcpStream::connect_timeout(&self.address, CONNECT_MAX).map_err(|error| why(&error))?;
        stream.set_read_timeout(Some(SILENCE_MAX)).map_err(|error| why(&error))?;
        stream.set_write_timeout(Some(SILENCE_MAX)).map_err(|error| why(&error))?;
        let mut request = Zeroizing::new(format!("GET {path} HTTP/1.0\r\nHost: {}\r\n", self.address));
        if let Some(token) = &self.token {
            request.push_str("Authorization: Bearer ");
            request.push_str(token);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).map_err(|error| why(&error))?;
        let mut answer = BufReader::new(stream);
        let mut head = String::new();
        let mut left = answer.by_ref().take(HEAD_BYTES_MAX);
        while !head.ends_with("\r\n\r\n") {
            match left.read_line(&mut head) {
                Ok(0) => return Err("it is no dashboard: no answer in HTTP".to_owned()),
                Ok(_) => {}
                Err(error) => return Err(why(&error)),
            }
        }
        match head.split(' ').nth(1) {
            Some("200") if head.starts_with("HTTP/") => Ok(answer),
            Some("401") => Err("it asks for a token: --dashboard-token FILE".to_owned()),
            Some(status) if head.starts_with("HTTP/") => {
                Err(format!("{path} is answered with {}: is it a dashboard?", escape(status, 8)))
            }
            _ => Err("it is no dashboard: no answer in HTTP".to_owned()),
        }
    }
}

fn read_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text)
        .map_err(|error| escape(&format!("it is no dashboard of this version: {error}"), REASON_CHARS_MAX))
}

fn why(error: &std::io::Error) -> String {
    use std::io::ErrorKind::{ConnectionRefused, TimedOut, WouldBlock};
    match error.kind() {
        ConnectionRefused => "nobody listens there".to_owned(),
        TimedOut | WouldBlock => format!("no answer within {} s", SILENCE_MAX.as_secs()),
        _ => escape(&error.to_string(), REASON_CHARS_MAX),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::net::TcpListener;
    use std::sync::mpsc::sync_channel;

    use super::*;

    /// Somebody who answers each connection with the next of these, and then with nothing.
    fn answering(answers: &[&str]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
        thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = [0; 1024];
                let _ = stream.read(&mut asked).unwrap();
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        address
    }

    fn door(address: SocketAddr) -> Door {
        Door { address, token: None }
    }

    #[test]
    fn what_is_no_dashboard_is_an_error_and_no_panic() {
        let nothing = door(TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
        assert_eq!(nothing.look().unwrap_err(), "nobody listens there");
        for (answer, said) in [
            ("SSH-2.0-x\r\n", "no answer in HTTP"),
            ("", "no answer in HTTP"),
            ("HTTP/1.0 404 Not Found\r\n\r\n", "404"),
            ("HTTP/1.0 401 Unauthorized\r\n\r\n", "--dashboard-token"),
            ("HTTP/1.0 200 OK\r\n\r\n<html>\u{1b}[2J", "no dashboard of this version"),
            ("HTTP/1.0 200 OK\r\n\r\n[[[[[[", "no dashboard of this version"),
        ] {
            let error = door(answering(&[answer])).look().unwrap_err();
            assert!(error.contains(said) && !error.contains('\u{1b}'), "{answer:?}: {error}");
        }
    }

    #[test]
    fn what_is_lost_is_said_and_tried_again() {
        let stream =
            "HTTP/1.0 200 OK\r\n\r\nevent: status\ndata: {\"phase\":\"training\"}\n\nevent: future\ndata: 1\n\n";
        let address = answering(&[stream, "HTTP/1.0 200 OK\r\n\r\n{}", stream]);
        let (news, heard) = sync_channel(8);
        door(address).watch(3, news);
        let next = || heard.recv_timeout(SILENCE_MAX).unwrap();
        assert!(matches!(next(), (3, News::Status(_))));
        assert!(matches!(next(), (3, News::Curves(_))));
        assert!(matches!(next(), (3, News::Lost(why)) if why == "the stream has ended"));
        assert!(matches!(next(), (3, News::Status(_))), "after a second");
    }

    #[test]
    fn a_reader_goes_on_after_the_last_event_of_that_life() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = thread::spawn(move || {
            let event = "event: event\ndata: {\"seq\":3,\"time_ms\":0,\"kind\":\"peers\",\"level\":\"info\",\"peer\":null,\"text\":\"x\"}\n";
            [format!("{event}id: 1700-3\n\nid: a&b\n\n"), String::new()].map(|events| {
                let (stream, _) = listener.accept().unwrap();
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                let _ = write!(stream.get_mut(), "HTTP/1.0 200 OK\r\n\r\n{events}");
                line
            })
        });
        let (news, heard) = sync_channel(8);
        door(address).watch(0, news);
        assert!(matches!(heard.recv_timeout(SILENCE_MAX).unwrap(), (0, News::Event(entry)) if entry.seq == 3));
        let [first, second] = asked.join().unwrap();
        assert!(first.contains("?after=0 ") && second.contains("?after=1700-3 "), "{first}{second}");
    }
}

//! The server as a browser or a scraper meets it: over a socket.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus_client::registry::Registry;
use protocol::View;
use protocol::event::{Event, Gradient, Shown};
use protocol::id::{Hash, PeerId};
use protocol::schema::{Schema, Tensor};
use serde_json::Value;
use tokio::sync::mpsc;

mod reference;

use super::*;
use crate::driver::{Control, Observation, Traffic};

/// For a busy machine.
const WAIT_MAX: Duration = Duration::from_secs(20);

struct Served {
    watcher: Watcher,
    _server: Server,
    address: SocketAddr,
    wishes: mpsc::Receiver<Control>,
}

fn serve(token: Option<&str>) -> Served {
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let access = Access { listener, names: Vec::new(), token: token.map(Token::of) };
    let address = access.address().unwrap();
    let tensors = vec![Tensor { name: "layers.0.weight".into(), shape: vec![2, 16] }];
    let content = Content {
        peer: Own { id: "ab".repeat(32), ..Own::default() },
        run: Run { job: "a \"name\"\n".into(), parameters: 32, steps_per_epoch: 10, epochs: Some(4), ..Run::default() },
        model: Model { schema: Schema { tensors }, sample: vec![4, 4], classes: 2 },
        began: Instant::now(),
        audit: Audit::default(),
        registry: Registry::default(),
        answers: Box::new(|| Err(Error::new(Kind::Device, "none in this test"))),
        data: None,
        log: Some(LogLevel::new(
            "error".into(),
            Box::new(|level| if level == "trace" { Err("no".into()) } else { Ok(()) }),
        )),
    };
    let (control, wishes) = mpsc::channel(2);
    let (watcher, server) = start(access, content, control).unwrap();
    Served { watcher, _server: server, address, wishes }
}

fn view(steps: u64) -> View {
    View {
        peer: PeerId([1; 32]),
        steps,
        epoch: 1,
        train_loss: f32::NAN,
        steps_per_second: 10.0,
        disagreement: 0.5,
        deltas_said: 2,
        deltas_heard: 3,
        deltas_refused: 0,
        payload_bytes_said: 100,
        neighbours: 0,
        live_peers: 2,
        heard: Hash::ZERO,
        agreed: true,
        finished: false,
        resting: false,
        paused: false,
        samples: 640,
        log_bytes: 10,
        round: 0,
    }
}

impl Served {
    fn step(&mut self, steps: u64) {
        self.watcher.observe(&Observation::Event(Event::TrainingStarted { deltas: 0 }));
        let traffic = Traffic { bytes_sent: 500, ..Traffic::default() };
        self.watcher.observe(&Observation::View(Box::new(view(steps)), traffic));
    }

    /// Head and body of the answer.
    fn ask(&self, request: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(WAIT_MAX)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_lowercase(), body.to_owned())
    }

    fn get(&self, path: &str) -> (String, String) {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address))
    }

    fn post(&self, path: &str, more: &str, body: &str) -> (String, String) {
        self.ask(&format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{more}content-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        ))
    }
}

const JSON: &str = "content-type: application/json\r\n";

#[test]
fn the_state_is_what_was_observed() {
    let mut served = serve(None);
    assert!(served.get("/readyz").0.starts_with("http/1.1 503"), "nothing has begun");
    assert!(served.get("/healthz").0.starts_with("http/1.1 200"));
    served.step(20);
    assert!(served.get("/readyz").0.starts_with("http/1.1 200"));
    served.watcher.observe(&Observation::Leaving);
    let (head, body) = served.get("/readyz");
    assert!(head.starts_with("http/1.1 503") && body.contains("ask another one"), "{head}\n{body}");
    let mut served = serve(None);
    served.step(20);
    let (head, body) = served.get("/v1/status");
    assert!(head.contains("content-security-policy: default-src 'none'") && head.contains("nosniff"), "{head}");
    let status: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status["training"]["steps"], 20);
    assert_eq!((&status["training"]["train_loss"], &status["phase"]), (&Value::Null, &"training".into()));
    assert_eq!(status["training"]["seconds_left"], 2.0, "20 of 40 steps at 10 a second");
    assert_eq!(status["gossip"]["dense_bytes"], 20 * 32 * 4, "2 (N-1)/N * 4 d bytes a step");
    let history: Value = serde_json::from_str(&served.get("/v1/history").1).unwrap();
    assert_eq!(history["steps"], serde_json::json!([20]));
    for path in ["/nothing", "/v1/nothing"] {
        let (head, body) = served.get(path);
        assert!(head.starts_with("http/1.1 404") && body.contains("\"hint\""), "{head}\n{body}");
    }
    for path in ["/v1/status", "/nothing"] {
        let (head, body) = served.post(path, JSON, "{}");
        assert!(head.starts_with("http/1.1 405") && body.contains("\"hint\""), "{head}\n{body}");
        assert!(head.contains("allow: get"), "{head}");
    }
    assert!(served.get("/v1/control").0.starts_with("http/1.1 405"));
    assert!(served.get("/v1/events?after=x").0.starts_with("http/1.1 400"));
}

#[test]
fn events_come_as_they_happen_and_go_on_where_a_reader_was() {
    let mut served = serve(None);
    served.step(1);
    let mut stream = TcpStream::connect(served.address).unwrap();
    stream.set_read_timeout(Some(WAIT_MAX)).unwrap();
    let host = served.address;
    let status: Value = serde_json::from_str(&served.get("/v1/status").1).unwrap();
    let life = status["life"].as_u64().unwrap();
    write!(stream, "GET /v1/events HTTP/1.1\r\nhost: {host}\r\nlast-event-id: {life}-1\r\n\r\n").unwrap();
    let mut heard = String::new();
    let mut until = |what: &str, served: &mut Served, say: bool| {
        let begun = Instant::now();
        while !heard.contains(what) {
            let mut bytes = [0; 4096];
            let n = stream.read(&mut bytes).unwrap();
            assert!(n > 0 && begun.elapsed() < WAIT_MAX, "in time: {what}; {heard}");
            heard.push_str(&String::from_utf8_lossy(&bytes[..n]));
        }
        if say {
            served.watcher.observe(&Observation::FirstSteps);
        }
        heard.clone()
    };
    let first = until("\"steps\":1,", &mut served, true);
    assert!(first.contains("text/event-stream") && !first.contains("training begins"), "event 1 was seen: {first}");
    let then = until("the first steps are taken", &mut served, false);
    assert!(then.contains(&format!("id: {life}-2")) && then.contains("event: event"), "{then}");
    served.watcher.close();
    until("\"phase\":\"stopped\"", &mut served, false);
}

#[test]
fn a_wish_goes_to_the_driver_and_a_full_queue_is_said() {
    let mut served = serve(None);
    let pause = "{\"action\":\"pause\"}";
    assert!(served.post("/v1/control", JSON, pause).0.starts_with("http/1.1 200"));
    assert_eq!(served.wishes.try_recv().unwrap(), Control::Pause);
    for (more, body, status) in [
        (JSON, "{\"action\":\"destroy\"}", "422"),
        (JSON, "{", "400"),
        ("", pause, "415"),
        ("origin: http://evil.example\r\ncontent-type: application/json\r\n", pause, "403"),
    ] {
        let (head, body) = served.post("/v1/control", more, body);
        assert!(head.starts_with(&format!("http/1.1 {status}")) && body.contains("\"hint\""), "{head}\n{body}");
    }
    assert!(served.wishes.try_recv().is_err(), "none of these");
    for (path, body, status) in [
        ("/v1/predict", "{\"inputs\":[]}", "422"),
        ("/v1/predict", "{\"inputs\":[[\"a\"]]}", "422"),
        ("/v1/generate", "{\"prompt\":\"\"}", "422"),
        ("/v1/generate", "{\"prompt\":\"a\",\"bytes\":100000}", "422"),
        ("/v1/control", "{\"action\":\"checkpoint\"}", "409"),
    ] {
        let (head, body) = served.post(path, JSON, body);
        assert!(head.starts_with(&format!("http/1.1 {status}")) && body.contains("\"hint\""), "{path}: {head}\n{body}");
    }
    let large = "x".repeat(routes::BODY_BYTES_MAX + 1);
    assert!(served.post("/v1/control", JSON, &large).0.starts_with("http/1.1 413"));
    for _ in 0..2 {
        served.post("/v1/control", JSON, pause);
    }
    assert!(served.post("/v1/control", JSON, pause).0.starts_with("http/1.1 503"), "nobody waits");
    assert!(served.get("/v1/status").0.starts_with("http/1.1 200"));
}

#[test]
fn the_log_is_turned_up_and_down() {
    let served = serve(None);
    assert!(served.get("/v1/log").1.contains("\"level\":\"error\""));
    assert!(served.post("/v1/log", JSON, "{\"level\":\"debug\"}").0.starts_with("http/1.1 200"));
    assert!(served.get("/v1/log").1.contains("\"level\":\"debug\""));
    for (body, status) in [("{\"level\":\"node=debug\"}", "422"), ("{}", "422"), ("{\"level\":\"trace\"}", "500")] {
        assert!(served.post("/v1/log", JSON, body).0.starts_with(&format!("http/1.1 {status}")), "{body}");
    }
    assert!(served.get("/v1/log").1.contains("\"level\":\"debug\""), "what failed has changed nothing");
    let evil = "origin: http://evil.example\r\ncontent-type: application/json\r\n";
    assert!(served.post("/v1/log", evil, "{\"level\":\"info\"}").0.starts_with("http/1.1 403"));
}

#[test]
fn the_life_of_a_delta_is_told() {
    let mut served = serve(None);
    let said = Event::DeltaSaid { seq: 3, steps: 10, weight: 0.5, payload_bytes: 99, disagreement: 0.25 };
    served.watcher.observe(&Observation::Event(said));
    let origin = protocol::id::Origin { peer: PeerId([7; 32]), incarnation: 1 };
    served.watcher.observe(&Observation::Event(Event::DeltaHeard { origin, seq: 9 }));
    let deltas: Value = serde_json::from_str(&served.get("/v1/deltas").1).unwrap();
    assert_eq!((&deltas["own"][0]["seq"], &deltas["own"][0]["payload_bytes"]), (&3.into(), &99.into()), "{deltas}");
    assert_eq!((&deltas["others"][0]["origin"], &deltas["others"][0]["seq"]), (&"07".repeat(32).into(), &9.into()));
    assert_eq!(served.get("/v1/texts").1, "[]");
    assert!(served.get("/v1/model/x/past").1.contains("\"counts\":[]"));
}

#[test]
fn a_picture_is_of_a_copy_that_the_driver_gives() {
    let mut served = serve(None);
    let address = served.address;
    let asked = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(WAIT_MAX)).unwrap();
        write!(stream, "GET /v1/model/0 HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    assert_eq!(served.wishes.blocking_recv(), Some(Control::Show));
    let base = (0..32).map(|i| i << 20).collect();
    let shown = Arc::new(Shown { base, heard: Hash::ZERO, samples: 9, steps: 1, epoch: 0 });
    served.watcher.observe(&Observation::Shown(shown));
    let answer = asked.join().unwrap();
    assert!(answer.contains("\"kind\":\"filters\"") && answer.contains("\"tiles\":2"), "{answer}");
    let model: Value = serde_json::from_str(&served.get("/v1/model").1).unwrap();
    assert_eq!((&model["samples"], &model["tensors"][0]["parameters"]), (&9.into(), &32.into()));
    assert!(model["tensors"][0]["gradient"].is_null() && model["gradient_steps"].is_null(), "none was seen: {model}");
    let gradient = Gradient { values: vec![-0.5; 32], steps: 3, epoch: 0 };
    served.watcher.observe(&Observation::Gradient(Arc::new(gradient)));
    let model: Value = serde_json::from_str(&served.get("/v1/model").1).unwrap();
    let gradient = &model["tensors"][0]["gradient"];
    assert_eq!(
        (&gradient["mean"], &gradient["histogram"][0], &model["gradient_steps"]),
        (&(-0.5).into(), &32.into(), &3.into())
    );
    assert!(served.get("/v1/model/7").0.starts_with("http/1.1 404"));
    assert!(served.get("/v1/model/x").0.starts_with("http/1.1 404"));
}

#[test]
fn metrics_are_open_metrics() {
    let mut served = serve(None);
    served.step(20);
    let failed = crate::store::checkpoint::News::Failed { steps: 20, why: "the disk is full".into() };
    served.watcher.observe(&Observation::Checkpoint(failed));
    served.step(20);
    let (head, text) = served.get("/metrics");
    assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
    check_open_metrics(&text);
    for line in [
        "starling_steps_total 20",
        "starling_checkpoint_failures_total 1",
        "starling_sent_bytes_total 500",
        "starling_disagreement_ratios 0.5",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    assert!(!text.contains("train_loss"), "what is not known is not said");
    assert!(text.contains("job=\"a \\\"name\\\"\\n\""), "labels are escaped: {text}");
}

/// The grammar of the OpenMetrics text format 1.0 in short; `tests/src/open_metrics.rs` has all of it, for a real peer.
fn check_open_metrics(text: &str) {
    assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1);
    let families: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    assert!(families.len() > 20, "{families:?}");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let name = series.split('{').next().unwrap();
        let of = |family: &&&str| name.starts_with(family.split(' ').next().unwrap());
        assert!(families.iter().any(|family| of(&family)), "{line} has a type");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrape_does_not_wait_for_a_step() {
    const STEP: Duration = Duration::from_secs(20);
    let mut served = serve(None);
    let (control, controls) = mpsc::channel(2);
    let setup = crate::driver::tests::alone(STEP);
    let (began, heard) = std::sync::mpsc::channel();
    let mut watcher = served.watcher;
    let peer = tokio::spawn(async move {
        let mut observe = |seen: Observation| {
            watcher.observe(&seen);
            if matches!(seen, Observation::Event(Event::TrainingStarted { .. })) {
                let _ = began.send(());
            }
        };
        crate::driver::run(setup, &mut observe, controls).await
    });
    heard.recv_timeout(WAIT_MAX).unwrap();
    // All of these come and go while the learner is in its first step.
    let (begun, mut slowest, mut asked) = (Instant::now(), Duration::ZERO, 0);
    while begun.elapsed() < STEP / 10 {
        let at = Instant::now();
        for path in ["/metrics", "/v1/status", "/healthz"] {
            let answer = ask(served.address, path);
            assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
            assert!(path != "/metrics" || answer.contains("\nstarling_steps_total 0\n"), "no step is over: {answer}");
        }
        (slowest, asked) = (slowest.max(at.elapsed()), asked + 1);
        // Requests have a rate.
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(asked > 3 && slowest < STEP / 4, "{asked} times, at worst {slowest:?}");
    control.send(Control::Abort).await.unwrap();
    let _ = tokio::time::timeout(WAIT_MAX, peer).await.unwrap().unwrap();
    served.wishes.close();
}

/// The whole answer.
fn ask(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(WAIT_MAX)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_token_opens_the_door() {
    let served = serve(Some("a token of some length"));
    assert!(served.get("/v1/status").0.starts_with("http/1.1 401"));
    assert!(served.get("/").0.starts_with("http/1.1 200"), "the page asks for it");
    let (head, _) = served.post("/v1/session", JSON, "{\"token\":\"a token of some length\"}");
    assert!(head.starts_with("http/1.1 204") && head.contains("httponly; samesite=strict"), "{head}");
    for status in std::iter::repeat_n("401", 10).chain(["429"]) {
        let (head, body) = served.post("/v1/session", JSON, "{\"token\":\"another\"}");
        assert!(head.starts_with(&format!("http/1.1 {status}")) && body.contains("\"hint\""), "{head}\n{body}");
    }
    let (head, body) = served.post("/v1/session", JSON, "{\"token\":\"a token of some length\"}");
    assert!(head.starts_with("http/1.1 429") && body.contains("too many wrong tokens"), "{head}\n{body}");
}

#[test]
fn a_slow_or_idle_client_holds_nobody_up() {
    let mut served = serve(None);
    served.step(1);
    let idle: Vec<TcpStream> =
        (0..server::CONNECTIONS_MAX + 8).filter_map(|_| TcpStream::connect(served.address).ok()).collect();
    let begun = Instant::now();
    served.step(2);
    // An idle client is given up after five seconds: whoever waited for one would wait as long.
    assert!(begun.elapsed() < Duration::from_secs(4), "the driver's side");
    // Who says nothing is closed after a few seconds, and makes room.
    let ok = |served: &Served| {
        let mut stream = TcpStream::connect(served.address).ok()?;
        stream.set_read_timeout(Some(WAIT_MAX)).ok()?;
        write!(stream, "GET /healthz HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", served.address).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.contains("200 OK").then_some(())
    };
    while ok(&served).is_none() {
        assert!(begun.elapsed() < WAIT_MAX, "idle connections are closed");
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(idle);
}

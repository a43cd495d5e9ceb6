//! Frames at the sizes that terminals have. `STARLING_BLESS=1 cargo test -p node --lib frames_are_as_they_were` writes them again; look at them then.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use super::*;
use crate::api::{Columns, Entry, EventKind, Level, Other, Phase};

fn id(byte: u8) -> String {
    format!("{byte:02x}").repeat(32)
}

fn other(byte: u8) -> Other {
    Other {
        id: id(byte),
        linked: true,
        way: Some("tcp".into()),
        linked_s: Some(83.0),
        silent_s: Some(0.3),
        round_trip_s: Some(0.0021),
        behind: 2,
        agrees: true,
        steps: Some(4100),
        steps_per_second: Some(48.5),
        train_loss: Some(0.2345),
        deltas: 512,
        ..Other::default()
    }
}

fn status() -> Snapshot {
    let mut status = Snapshot { phase: Phase::Training, ..Snapshot::default() };
    status.peer.id = id(0xa1);
    (status.peer.device, status.peer.backend) = ("llvmpipe (LLVM 19.1.7, 256 bits)".into(), "vulkan".into());
    (status.run.id, status.run.job, status.run.gossip) = (id(0x5e), "digits".into(), true);
    let training = &mut status.training;
    (training.steps, training.epoch, training.steps_per_second) = (4242, 42, 51.25);
    (training.train_loss, training.test_accuracy) = (Some(0.1234), Some(0.965));
    let gossip = &mut status.gossip;
    (gossip.bytes_sent, gossip.bytes_received) = (1_400_000, 4_100_000);
    (gossip.bytes_sent_per_second, gossip.bytes_received_per_second) = (16_800.0, 50_000.0);
    gossip.disagreement = Some(0.0456);
    let gone = Other { gone_s: Some(4.0), gone_why: Some("the link closed".into()), linked: false, ..other(0xd4) };
    let heard = Other { linked: false, way: None, train_loss: None, steps: None, ..other(0xc3) };
    status.peers = vec![other(0xb2), heard, gone];
    status
}

fn curves() -> Columns {
    let n = 200;
    let mut curves = Columns::default();
    for i in 0..n {
        let t = f64::from(i) / f64::from(n);
        curves.time_s.push(83.0 * t);
        curves.train_loss.push(Some((2.3 * (-4.0 * t).exp()) as f32));
        curves.disagreement.push(Some((0.5 - 0.4 * t) as f32));
        curves.bytes_sent_per_second.push(16_000.0 + 4000.0 * (40.0 * t).sin());
        curves.bytes_received_per_second.push(50_000.0 * t.sqrt());
    }
    for i in 0..20 {
        let t = f64::from(i) / 20.0;
        curves.evaluations.time_s.push(83.0 * t);
        curves.evaluations.test_accuracy.push(Some((1.0 - 0.9 * (-5.0 * t).exp()) as f32));
    }
    curves
}

fn app(addresses: u16) -> App {
    let places: Vec<SocketAddr> = (0..addresses).map(|i| SocketAddr::from(([127, 0, 0, 1], 7878 + i))).collect();
    let mut app = App::new(&places);
    app.hear(0, News::Status(Box::new(status())));
    app.hear(0, News::Curves(Box::new(curves())));
    for (seq, (kind, level, text)) in [
        (EventKind::Training, Level::Info, "training begins, 0 deltas are in the base"),
        (EventKind::Peers, Level::Info, "b2b2b2b2 is there (tcp)"),
        (EventKind::Training, Level::Info, "epoch 40: test loss 0.1410, accuracy 96.5 %, base 644bc408"),
        (EventKind::Peers, Level::Warning, "d4d4d4d4 is gone: the link closed"),
    ]
    .into_iter()
    .enumerate()
    {
        let time_ms = 1_700_000_000_000 + 7000 * seq as u64;
        let entry = Entry { seq: seq as u64 + 1, time_ms, kind, level, peer: None, text: text.into() };
        app.hear(0, News::Event(Box::new(entry)));
    }
    app
}

#[test]
fn frames_are_as_they_were() {
    let mut cases: Vec<(String, String)> = Vec::new();
    for (width, height) in [(40, 12), (80, 24), (120, 40)] {
        cases.push((format!("one-{width}x{height}"), frame(&app(1), width, height).unwrap()));
    }
    for panel in state::Panel::ALL {
        let app = App { panel, ..app(1) };
        cases.push((format!("small-{}", panel.name()), frame(&app, 40, 12).unwrap()));
    }
    let mut two = app(2);
    two.hear(1, News::Lost("nobody listens there".into()));
    two.held = true;
    cases.push(("two-one-lost-120x40".into(), frame(&two, 120, 40).unwrap()));
    let mut lost = app(1);
    lost.hear(0, News::Lost("nobody listens there".into()));
    lost.help = true;
    cases.push(("lost-help-80x24".into(), frame(&lost, 80, 24).unwrap()));
    cases.push((
        "nothing-yet-60x12".into(),
        frame(&App::new(&[SocketAddr::from(([127, 0, 0, 1], 7878))]), 60, 12).unwrap(),
    ));

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/top/frames");
    for (name, found) in cases {
        let path = folder.join(format!("{name}.txt"));
        if std::env::var_os("STARLING_BLESS").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &found).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(found, kept, "{}", path.display());
    }
}

#[test]
fn no_size_is_too_small_or_too_large() {
    for (width, height) in [(1, 1), (2, 3), (10, 10), (19, 4), (39, 5), (100, 24), (300, 100)] {
        for panel in state::Panel::ALL {
            let app = App { panel, help: true, ..app(2) };
            assert!(frame(&app, width, height).is_ok(), "{width}x{height}");
        }
    }
}

#[test]
fn colours_are_left_out_where_they_are_not_wanted() {
    let styles = |colours| {
        let mut terminal = Terminal::new(TestBackend::new(120, 40)).unwrap();
        terminal.draw(|frame| draw(frame, &app(1), Theme { colours })).unwrap();
        let cells = terminal.backend().buffer().content.iter();
        cells.filter(|cell| cell.fg != ratatui::style::Color::Reset).count()
    };
    assert_eq!(styles(false), 0);
    assert!(styles(true) > 100);
}

#[test]
fn nobody_there_is_an_error_of_the_network() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let args =
        TopArgs { places: vec![super::super::args::Places(vec![free])], dashboard_token: None, once: true, json: None };
    let error = run(&args).unwrap_err();
    assert!(error.kind == Kind::Network && error.to_string().contains("nobody listens there"), "{error}");
    let many = TopArgs { places: vec![super::super::args::Places(vec![free; 65])], ..args };
    assert_eq!(run(&many).unwrap_err().kind, Kind::Usage);
}

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use protocol::codec::TopK2Bit;
use protocol::config::{Gossip, Training};
use protocol::event::Report;
use protocol::id::{Hash, RunId, SchemaHash};
use protocol::log::Context;
use protocol::time::Time;
use protocol::trust::Limits;
use protocol::trust::admission::Guests;
use protocol::{Config, Timer, View};
use tokio::sync::mpsc::{Sender, channel};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use super::*;
use crate::store::audit::Audit;
use crate::worker::fake::Fake;

/// More than a chunk of the codec, and no multiple of one.
const PARAMETERS: usize = 4096 + 77;
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A peer that runs in this process.
struct Running {
    task: JoinHandle<Result<(), Error>>,
    control: Sender<Control>,
    seen: Arc<Mutex<Vec<Observation>>>,
}

fn setup(id: u8, run: u8, epochs: u32, peers: Vec<String>) -> PeerSetup {
    let gossip = Gossip { company: 0, ..Gossip::default() };
    let context = Context {
        run: RunId(Hash([run; 32])),
        schema: SchemaHash(Hash([7; 32])),
        parameters: PARAMETERS,
        codec: &TopK2Bit,
        limits: Limits::OFF,
    };
    PeerSetup {
        config: Config {
            gossip,
            training: Training { steps_per_epoch: 20, epochs: Some(epochs), overtime: false, evaluate_every: None },
            ..Config::default()
        },
        context,
        identity_seed: Zeroizing::new([id; 32]),
        incarnation: 1,
        seed: id.into(),
        swarm_key: [3; 32],
        guests: Guests::default(),
        network: Some(NetworkSetup {
            listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()],
            peers,
            ..NetworkSetup::default()
        }),
        audit: Audit::default(),
        learner: Box::new(move || {
            Ok(Box::new(Fake { step: Duration::from_millis(1), ..Fake::new(PARAMETERS, id.into()) }))
        }),
        device: None,
        resume: None,
        checkpoints: None,
    }
}

/// A peer without a network whose steps take so long.
pub(crate) fn alone(step: Duration) -> PeerSetup {
    let gossip = Gossip { enabled: false, company: 0, ..Gossip::default() };
    let config = Config { gossip, ..setup(1, 5, 10, Vec::new()).config };
    let learner: MakeLearner = Box::new(move || Ok(Box::new(Fake { step, ..Fake::new(PARAMETERS, 1) })));
    PeerSetup { config, network: None, learner, ..setup(1, 5, 10, Vec::new()) }
}

fn start(setup: PeerSetup) -> Running {
    let (control, controls) = channel(4);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let task = tokio::spawn(async move {
        let mut observe = |observation| sink.lock().unwrap().push(observation);
        run(setup, &mut observe, controls).await
    });
    Running { task, control, seen }
}

impl Running {
    /// The first observation that `pick` takes.
    async fn saw<T>(&self, what: &str, pick: impl Fn(&Observation) -> Option<T>) -> T {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            if let Some(found) = self.seen.lock().unwrap().iter().find_map(&pick) {
                return found;
            }
            assert!(Instant::now() < deadline, "in time: {what}");
            assert!(!self.task.is_finished(), "the peer has ended before: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn address(&self) -> String {
        self.saw("listening", |seen| match seen {
            Observation::Listening(addresses) => addresses.first().cloned(),
            _ => None,
        })
        .await
    }

    async fn event(&self, what: &str, is: impl Fn(&Event) -> bool) {
        self.saw(what, |seen| matches!(seen, Observation::Event(event) if is(event)).then_some(())).await;
    }

    async fn refusal(&self) -> String {
        self.saw("a refusal", |seen| match seen {
            Observation::LinkRefused { reason, .. } => Some(reason.clone()),
            _ => None,
        })
        .await
    }

    async fn ask(&self, control: Control) {
        self.control.send(control).await.unwrap();
    }

    async fn end(self) -> Vec<Observation> {
        self.result().await.1
    }

    async fn result(self) -> (Result<(), Error>, Vec<Observation>) {
        let result = timeout(WAIT_MAX, self.task).await.expect("it ends").unwrap();
        (result, self.seen.lock().unwrap().clone())
    }
}

fn last_report(seen: &[Observation]) -> Report {
    let report = seen.iter().rev().find_map(|observation| match observation {
        Observation::Event(Event::Final(report)) => Some(report.clone()),
        _ => None,
    });
    report.expect("a peer that finishes evaluates")
}

fn last_view(seen: &[Observation]) -> (View, Traffic) {
    let view = seen.iter().rev().find_map(|observation| match observation {
        Observation::View(view, traffic) => Some(((**view).clone(), *traffic)),
        _ => None,
    });
    view.expect("a view at the end")
}

/// Lets all finish, and asserts that they agree.
async fn settle(peers: Vec<Running>) -> Vec<Vec<Observation>> {
    for peer in &peers {
        peer.event("training is done", |event| matches!(event, Event::TrainingDone { .. })).await;
    }
    for peer in &peers {
        peer.ask(Control::Finish).await;
    }
    let mut ends = Vec::new();
    for peer in peers {
        let (result, seen) = peer.result().await;
        result.unwrap();
        ends.push(seen);
    }
    let first = last_report(&ends[0]);
    for seen in &ends {
        let report = last_report(seen);
        assert_eq!((report.heard, report.base_hash), (first.heard, first.base_hash), "equal sets give equal bases");
    }
    ends
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_peers_over_loopback_agree_to_the_bit() {
    let a = start(setup(1, 5, 10, Vec::new()));
    let b = start(setup(2, 5, 10, vec![a.address().await]));
    for seen in settle(vec![a, b]).await {
        let (view, traffic) = last_view(&seen);
        assert_eq!(view.steps, 200);
        assert!(view.deltas_heard >= 10, "{view:?}");
        assert!(traffic.bytes_sent > 1000 && traffic.bytes_received > 1000, "{traffic:?}");
        assert_eq!(traffic.messages_dropped, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_know_one_find_all() {
    let first = start(setup(1, 5, 20, Vec::new()));
    let address = first.address().await;
    let others = (2..=4).map(|id| start(setup(id, 5, 20, vec![address.clone()])));
    let peers: Vec<Running> = std::iter::once(first).chain(others).collect();
    for peer in &peers {
        let is_mesh =
            |seen: &Observation| matches!(seen, Observation::View(view, _) if view.neighbours == 3).then_some(());
        peer.saw("a mesh", is_mesh).await;
    }
    settle(peers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_dial_and_one_link_remains() {
    // Each is told of the other before it listens.
    let ports: Vec<u16> = (0..2).map(|_| free_port()).collect();
    let address = |port: u16| format!("/ip4/127.0.0.1/tcp/{port}");
    let mut peers = Vec::new();
    for (id, (own, other)) in [(1, (ports[0], ports[1])), (2, (ports[1], ports[0]))] {
        let mut setup = setup(id, 5, 40, vec![address(other)]);
        setup.network.as_mut().unwrap().listen = vec![address(own)];
        peers.push(start(setup));
    }
    for seen in settle(peers).await {
        let ups = seen.iter().filter(|seen| matches!(seen, Observation::Event(Event::NeighbourUp { .. }))).count();
        assert_eq!(ups, 1, "one link, admitted once");
    }
}

/// One that the system gives to nobody else meanwhile, as it does with those that it chooses itself: by number and process.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 1000) as u16 * 10;
    let mut ports = (0..10_000).map(|_| first + NEXT.fetch_add(1, Ordering::Relaxed));
    ports.find(|&port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_job_is_refused_in_words_on_both_sides() {
    let a = start(setup(1, 5, 1000, Vec::new()));
    let b = start(setup(2, 6, 1000, vec![a.address().await]));
    for peer in [&a, &b] {
        let reason = peer.refusal().await;
        assert!(reason.contains("another job") && reason.contains("same job file"), "{reason}");
    }
    for peer in [a, b] {
        peer.ask(Control::Abort).await;
        let (result, seen) = peer.result().await;
        assert_eq!(result.unwrap_err().kind, Kind::Interrupted);
        let refusals = seen.iter().filter(|seen| matches!(seen, Observation::LinkRefused { .. })).count();
        assert_eq!(refusals, 1, "said once, however often it is dialled");
    }
}

/// Two members with different lists meet; who is on neither list gets a reason, and both sides the same remedy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_guests_keeps_others_out_and_no_member_away() {
    let id = |seed: u8| Identity::from_seed(&[seed; 32]).peer_id();
    let only = |seeds: &[u8]| Guests::only(seeds.iter().map(|&seed| id(seed)).collect::<Vec<_>>());
    let a = start(PeerSetup { guests: only(&[2, 4]), ..setup(1, 5, 5000, Vec::new()) });
    let address = a.address().await;
    let b = start(PeerSetup { guests: only(&[1]), ..setup(2, 5, 5000, vec![address.clone()]) });
    b.event("a neighbour", |event| matches!(event, Event::NeighbourUp { .. })).await;
    let stranger = start(setup(3, 5, 5000, vec![address]));
    for peer in [&a, &stranger] {
        let reason = peer.refusal().await;
        assert!(reason.contains(&format!("swarm allow JOB {}", id(3))), "{reason}");
    }
    stranger.ask(Control::Abort).await;
    let seen = stranger.end().await;
    assert!(!seen.iter().any(|seen| matches!(seen, Observation::Event(Event::NeighbourUp { .. }))));
    for peer in [a, b] {
        peer.ask(Control::Abort).await;
        peer.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_identity_twice_and_a_wrong_one_are_named() {
    let a = start(setup(1, 5, 1000, Vec::new()));
    let address = a.address().await;
    let bare = address.split_once("/p2p/").unwrap().0.to_owned();
    let twin = start(setup(1, 5, 1000, vec![bare.clone()]));
    assert!(twin.refusal().await.contains("same identity"));
    let b = start(setup(2, 5, 1000, Vec::new()));
    let id_of_b = b.address().await.split_once("/p2p/").unwrap().1.to_owned();
    let misled = start(setup(3, 5, 1000, vec![format!("{bare}/p2p/{id_of_b}")]));
    assert!(misled.refusal().await.contains("another peer"));
    for peer in [a, twin, b, misled] {
        peer.ask(Control::Abort).await;
        peer.end().await;
    }
}

/// Two processes with one key that never meet: their neighbour knows, and so does the older of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copied_key_is_named_by_who_sees_both() {
    let copied = |seen: &Observation| match seen {
        Observation::Copied { reason, .. } => Some(reason.clone()),
        _ => None,
    };
    let between = start(setup(2, 5, 100_000, Vec::new()));
    let address = between.address().await;
    let copies = [1_000, 2_000]
        .map(|incarnation| start(PeerSetup { incarnation, ..setup(1, 5, 100_000, vec![address.clone()]) }));
    let reason = between.saw("a copied key", copied).await;
    assert!(reason.contains("two processes use its identity"), "{reason}");
    let reason = copies[0].saw("a copied key", copied).await;
    assert!(reason.contains("which began after this one"), "{reason}");
    for peer in copies.into_iter().chain([between]) {
        peer.ask(Control::Abort).await;
        peer.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_at_the_door_keep_no_peer_out() {
    use std::io::Write as _;
    let a = start(setup(1, 5, 10, Vec::new()));
    let address = a.address().await;
    let port: u16 = address.split('/').nth(4).unwrap().parse().unwrap();
    let mut strangers = Vec::new();
    for garbage in 0..40_u8 {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        // Half say nothing at all, the others nonsense; none lets go.
        if garbage % 2 == 0 {
            stream.write_all(&[garbage; 500]).unwrap();
        }
        strangers.push(stream);
    }
    let b = start(setup(2, 5, 10, vec![address]));
    b.event("a neighbour", |event| matches!(event, Event::NeighbourUp { .. })).await;
    settle(vec![a, b]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_leaves_says_goodbye_and_the_other_trains_on() {
    let a = start(setup(1, 5, 5000, Vec::new()));
    let b = start(setup(2, 5, 5000, vec![a.address().await]));
    b.event("a neighbour", |event| matches!(event, Event::NeighbourUp { .. })).await;
    b.ask(Control::Finish).await;
    let (result, seen) = b.result().await;
    result.unwrap();
    last_report(&seen);
    let is_goodbye = |event: &Event| matches!(event, Event::NeighbourDown { reason, .. } if reason.contains("goodbye"));
    a.event("a goodbye", is_goodbye).await;
    a.ask(Control::Abort).await;
    a.end().await;
}

/// Announces on the LAN, hence not run by default: `ip netns exec A ... --ignored`.
#[ignore = "announces on the LAN: run it in a network namespace of its own"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_on_one_lan_find_each_other() {
    let peers: Vec<Running> = (1..=3)
        .map(|id| {
            let mut setup = setup(id, 5, 40, Vec::new());
            let network = setup.network.as_mut().unwrap();
            (network.listen, network.lan) = (Vec::new(), Some(LanSetup { job: "test".into() }));
            start(setup)
        })
        .collect();
    for peer in &peers {
        let is_mesh =
            |seen: &Observation| matches!(seen, Observation::View(view, _) if view.neighbours == 2).then_some(());
        peer.saw("a mesh", is_mesh).await;
        assert!(!peer.address().await.contains("127.0.0.1"), "others cannot reach us there");
    }
    settle(peers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seed_that_comes_late_or_again_is_found() {
    let port = free_port();
    let address = format!("/ip4/127.0.0.1/tcp/{port}");
    let a = start(setup(1, 5, 5000, vec![address.clone()]));
    a.address().await;
    for life in 1..=2 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut setup = setup(2, 5, 5000, Vec::new());
        setup.incarnation = life;
        setup.network.as_mut().unwrap().listen = vec![address.clone()];
        let b = start(setup);
        b.event("a neighbour", |event| matches!(event, Event::NeighbourUp { .. })).await;
        b.ask(Control::Abort).await;
        b.end().await;
        a.event("it is lost", |event| matches!(event, Event::NeighbourDown { .. })).await;
    }
    a.ask(Control::Abort).await;
    let ups = a.end().await.iter().filter(|seen| matches!(seen, Observation::Event(Event::NeighbourUp { .. }))).count();
    assert_eq!(ups, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_and_a_bad_address_say_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("/ip4/127.0.0.1/tcp/{}", taken.local_addr().unwrap().port());
    let listen_on = |address: &str| {
        let mut setup = setup(1, 5, 1, Vec::new());
        setup.network.as_mut().unwrap().listen = vec![address.to_owned()];
        start(setup).result()
    };
    let error = listen_on(&address).await.0.unwrap_err();
    assert_eq!(error.kind, Kind::Network);
    assert!(error.message.contains(&address) && error.message.contains("in use"), "{error}");
    assert!(error.hint.unwrap().contains("choose another"));
    assert_eq!(listen_on("/ip4/192.0.2.1/tcp/0").await.0.unwrap_err().kind, Kind::Network);
    assert_eq!(listen_on("localhost:80").await.0.unwrap_err().kind, Kind::Usage);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_learner_that_fails_ends_the_peer_with_its_error() {
    let mut failing = setup(1, 5, 10, Vec::new());
    failing.learner = Box::new(|| Ok(Box::new(Fake { panics: true, ..Fake::new(PARAMETERS, 1) })));
    let error = start(failing).result().await.0.unwrap_err();
    assert_eq!(error.kind, Kind::Device);
    assert!(error.message.contains("on purpose"), "{error}");

    let mut unbuildable = setup(1, 5, 10, Vec::new());
    unbuildable.learner = Box::new(|| Err(LearnerError::Device("no such device".to_owned())));
    assert_eq!(start(unbuildable).result().await.0.unwrap_err().kind, Kind::Device);

    let mut another = setup(1, 5, 10, Vec::new());
    another.learner = Box::new(|| Ok(Box::new(Fake::new(5, 1))));
    assert_eq!(start(another).result().await.0.unwrap_err().kind, Kind::Internal);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_ends_at_once_even_in_a_long_step() {
    let mut slow = setup(1, 5, 10, Vec::new());
    slow.learner = Box::new(|| Ok(Box::new(Fake { step: Duration::from_secs(60), ..Fake::new(PARAMETERS, 1) })));
    let peer = start(slow);
    peer.event("training", |event| matches!(event, Event::TrainingStarted { .. })).await;
    let begun = Instant::now();
    peer.ask(Control::Abort).await;
    assert_eq!(peer.result().await.0.unwrap_err().kind, Kind::Interrupted);
    // Two seconds and what a busy machine adds, far below the step.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_whose_learner_takes_its_time_gives_signs_of_life_and_says_that_it_leaves() {
    let mut slow = setup(1, 5, 10_000, Vec::new());
    slow.learner = Box::new(|| {
        std::thread::sleep(4 * VIEW_INTERVAL);
        Ok(Box::new(Fake { step: Duration::from_millis(1), ..Fake::new(PARAMETERS, 1) }))
    });
    let peer = start(slow);
    peer.event("training", |event| matches!(event, Event::TrainingStarted { .. })).await;
    peer.ask(Control::Finish).await;
    let (result, seen) = peer.result().await;
    result.unwrap();
    let place = |is: fn(&Observation) -> bool| seen.iter().position(is);
    let signs = seen.iter().filter(|seen| matches!(seen, Observation::Building)).count();
    assert!(signs >= 2, "{signs} signs of life in two seconds");
    let leaving = place(|seen| matches!(seen, Observation::Leaving)).expect("it says that it leaves");
    let last = place(|seen| matches!(seen, Observation::Event(Event::Final(_)))).expect("it evaluates");
    assert!(leaving < last, "before it settles: {leaving}, {last}");
}

#[test]
fn timers_fire_in_order_and_not_early() {
    let mut timers = Timers::default();
    timers.set(Time(20), Timer::Settle);
    timers.set(Time(10), Timer::Heartbeat);
    timers.set(Time(10), Timer::Offers);
    assert_eq!(timers.next_due(), Some(Time(10)));
    assert_eq!(timers.pop_due(Time(9)), None);
    assert_eq!(timers.pop_due(Time(10)), Some(Timer::Heartbeat));
    assert_eq!(timers.pop_due(Time(10)), Some(Timer::Offers));
    assert_eq!(timers.pop_due(Time(19)), None);
    assert_eq!(timers.pop_due(Time(20)), Some(Timer::Settle));
    assert_eq!(timers.next_due(), None);
}

#[tokio::test]
async fn a_port_that_another_starling_holds_is_not_shared() {
    let first = start(setup(1, 1, 1_000_000, Vec::new()));
    let address = first.address().await;
    let bare = address.split("/p2p/").next().unwrap().to_owned();
    let network = NetworkSetup { listen: vec![bare.clone()], ..NetworkSetup::default() };
    let second = PeerSetup { network: Some(network), ..setup(2, 1, 1, Vec::new()) };
    let (result, _) = start(second).result().await;
    let error = result.unwrap_err();
    assert_eq!(error.kind, Kind::Network);
    assert!(error.message.contains(&bare) && error.hint.is_some(), "{error}");
    first.ask(Control::Abort).await;
    assert!(first.result().await.0.is_err());
}

#[tokio::test]
async fn a_device_can_be_lost_and_what_comes_of_it_is_told() {
    let (tell, news) = channel(4);
    let lose = Arc::new(AtomicBool::new(false));
    let watch = DeviceWatch { news, lose: Arc::clone(&lose) };
    let peer = start(PeerSetup { device: Some(watch), network: None, ..setup(1, 1, 100, Vec::new()) });
    peer.saw("the first steps", |seen| matches!(seen, Observation::FirstSteps).then_some(())).await;
    peer.ask(Control::LoseDevice).await;
    let deadline = Instant::now() + WAIT_MAX;
    while !lose.load(Ordering::Relaxed) {
        assert!(Instant::now() < deadline, "the learner is told");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let text = |text: &str| DeviceNews { device: "CPU".into(), backend: "cpu".into(), text: text.into() };
    tell.send(text("gone on")).await.unwrap();
    let heard = peer.saw("the news", |seen| match seen {
        Observation::Device(news) => Some(news.clone()),
        _ => None,
    });
    assert_eq!(heard.await, text("gone on"));
    // Nobody hears more of it; and the peer goes on and ends as ever.
    drop(tell);
    peer.ask(Control::Finish).await;
    let seen = peer.end().await;
    assert_eq!(seen.iter().filter(|seen| matches!(seen, Observation::FirstSteps)).count(), 1);
    last_report(&seen);
}

#[tokio::test]
async fn where_there_is_no_device_none_is_lost() {
    let peer = start(PeerSetup { network: None, ..setup(1, 1, 100, Vec::new()) });
    peer.ask(Control::LoseDevice).await;
    peer.saw("that there is none", |seen| matches!(seen, Observation::NoDeviceToLose).then_some(())).await;
    peer.ask(Control::Finish).await;
    last_report(&peer.end().await);
}

//! Whole networks in one process, without a protocol behind them: what happens is written down, what is to be done is said.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use protocol::id::{Hash, RunId, SchemaHash};
use protocol::trust::Identity;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::*;

/// How long anything here may take, the machine being busy.
const WAIT_MAX: Duration = Duration::from_secs(30);

type Order = Box<dyn FnOnce(&mut Network) + Send>;

/// A network with a task that lives it.
struct Living {
    id: PeerId,
    orders: UnboundedSender<Order>,
    seen: UnboundedReceiver<Seen>,
    listening: Vec<String>,
}

/// What is written down.
#[derive(Debug)]
enum Seen {
    Input(Input),
    Observation(Observation),
}

fn setup(listen: &[&str], peers: &[String]) -> NetworkSetup {
    let listen = listen.iter().map(|&text| text.to_owned()).collect();
    NetworkSetup { listen, peers: peers.to_vec(), ..NetworkSetup::default() }
}

impl Living {
    async fn start(id: u8, setup: &NetworkSetup) -> Self {
        let credentials = Credentials {
            us: Identity::from_seed(&[id; 32]).peer_id(),
            run: RunId(Hash([5; 32])),
            schema: SchemaHash(Hash([7; 32])),
            swarm_key: [3; 32],
        };
        let admission = Admission { credentials, neighbours_max: 8, body_bytes_max: 1 << 20 };
        let mut network = Network::open(setup, &[id; 32], admission).unwrap();
        let (orders, mut inbox) = unbounded_channel::<Order>();
        let (tell, seen) = unbounded_channel();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    happening = network.next() => {
                        let seen = match happening {
                            Happening::Input(input, _receipt) => Seen::Input(input),
                            Happening::Observe(observation) => Seen::Observation(observation),
                        };
                        if tell.send(seen).is_err() {
                            return;
                        }
                    }
                    order = inbox.recv() => match order {
                        Some(order) => order(&mut network),
                        None => return,
                    },
                }
            }
        });
        let mut living = Self { id: credentials.us, orders, seen, listening: Vec::new() };
        let ports = setup.listen.len();
        while living.listening.len() < ports {
            let addresses = living.saw("it listens", |seen| match seen {
                Seen::Observation(Observation::Listening(addresses)) => Some(addresses),
                _ => None,
            });
            living.listening = addresses.await;
        }
        living
    }

    fn order(&self, order: impl FnOnce(&mut Network) + Send + 'static) {
        assert!(self.orders.send(Box::new(order)).is_ok(), "it lives");
    }

    /// The next that `pick` takes; what comes before is forgotten.
    async fn saw<T>(&mut self, what: &str, mut pick: impl FnMut(Seen) -> Option<T>) -> T {
        let looking = async {
            loop {
                if let Some(found) = pick(self.seen.recv().await.expect("it lives")) {
                    return found;
                }
            }
        };
        tokio::time::timeout(WAIT_MAX, looking).await.unwrap_or_else(|_| panic!("in time: {what}"))
    }

    async fn linked(&mut self) -> (PeerId, Way) {
        self.saw("a link", |seen| match seen {
            Seen::Observation(Observation::Linked { peer, way }) => Some((peer, way)),
            _ => None,
        })
        .await
    }

    async fn hears(&mut self) -> Message {
        self.saw("a message", |seen| match seen {
            Seen::Input(Input::Message { message, .. }) => Some(message),
            _ => None,
        })
        .await
    }
}

const TCP: &str = "/ip4/127.0.0.1/tcp/0";
const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_speaks_quic_alone_is_a_neighbour_like_any_other() {
    let mut a = Living::start(1, &setup(&[QUIC], &[])).await;
    let mut b = Living::start(2, &setup(&[QUIC], &a.listening)).await;
    assert_eq!(b.linked().await, (a.id, Way::Quic));
    assert_eq!(a.linked().await, (b.id, Way::Quic));
    let to = a.id;
    b.order(move |network| network.send(to, Message::Bye));
    assert_eq!(a.hears().await, Message::Bye);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_ways_the_better_one_is_taken_and_the_other_when_it_fails() {
    let mut a = Living::start(1, &setup(&[TCP, QUIC], &[])).await;
    let mut b = Living::start(2, &setup(&[TCP], &[])).await;
    let mut c = Living::start(3, &setup(&[TCP], &[])).await;
    let (to, all) = (a.id, a.listening.clone());
    let bare = |text: &String| text.split("/p2p/").next().unwrap().to_owned();
    let mut addresses: Vec<String> = all.iter().map(bare).rev().collect();
    assert!(addresses[0].contains("quic"), "the worse way stands first");
    let both = addresses.clone();
    b.order(move |network| network.dial(to, &both));
    assert_eq!(b.linked().await, (a.id, Way::Tcp));
    assert_eq!(a.linked().await, (b.id, Way::Tcp));
    // Nobody listens there: port 1 is refused at once.
    addresses[1] = "/ip4/127.0.0.1/tcp/1".to_owned();
    c.order(move |network| network.dial(to, &addresses));
    assert_eq!(c.linked().await, (a.id, Way::Quic));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_named_host_is_looked_up() {
    let a = Living::start(1, &setup(&[TCP], &[])).await;
    let name = a.listening[0].replace("/ip4/127.0.0.1/", "/dns4/localhost/");
    let mut b = Living::start(2, &setup(&[TCP], &[name])).await;
    assert_eq!(b.linked().await, (a.id, Way::Tcp));
}

/// Time from the dial to the admitted link, and what a link carries, for docs/performance.md.
#[ignore = "a measurement: cargo test -p node --lib -- --ignored --nocapture ways_side_by_side"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ways_side_by_side() {
    const CONNECTS: u8 = 21;
    const PART: usize = 64 << 10;
    const PARTS: usize = 3200;
    for listen in [TCP, QUIC] {
        let mut a = Living::start(1, &setup(&[listen], &[])).await;
        let mut times = Vec::new();
        let mut last = None;
        for id in 0..CONNECTS {
            let mut b = Living::start(10 + id, &setup(&[listen], &[])).await;
            let (to, addresses) = (a.id, vec![a.listening[0].split("/p2p/").next().unwrap().to_owned()]);
            let since = Instant::now();
            b.order(move |network| network.dial(to, &addresses));
            b.linked().await;
            times.push(since.elapsed());
            if id + 1 == CONNECTS {
                last = Some(b);
            } else {
                a.saw("it is gone", |seen| matches!(seen, Seen::Input(Input::Connected { .. })).then_some(())).await;
                let peer = b.id;
                a.order(move |network| network.disconnect(peer));
            }
        }
        times.sort();
        let b = last.unwrap();
        let (to, mut rates) = (a.id, Vec::new());
        for _ in 0..5 {
            let since = Instant::now();
            // As many as the queue takes: the rest when those have arrived.
            for _ in 0..PARTS / 200 {
                b.order(move |network| {
                    for _ in 0..200 {
                        let (base_hash, bytes) = (Hash::ZERO, vec![1; PART]);
                        network.send(to, Message::SnapshotPart { base_hash, offset: 0, bytes });
                    }
                });
                for _ in 0..200 {
                    a.hears().await;
                }
            }
            rates.push((PARTS * PART) as f64 / since.elapsed().as_secs_f64() / 1e6);
        }
        rates.sort_by(f64::total_cmp);
        println!(
            "{listen}: link in {:?} (median of {CONNECTS}), {:.0} MB/s (median of 5)",
            times[times.len() / 2],
            rates[2]
        );
    }
}

//! Whole networks in one process, without a protocol behind them: what happens is written down, what is to be done is said.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ways;

use protocol::id::{Hash, RunId, SchemaHash};
use protocol::trust::Identity;
use protocol::wire::PeerRecord;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::*;
use crate::store::audit::tally;

/// How long anything here may take, the machine being busy.
const WAIT_MAX: Duration = Duration::from_secs(30);

type Order = Box<dyn FnOnce(&mut Network) + Send>;

/// A network with a task that lives it.
struct Living {
    id: PeerId,
    orders: UnboundedSender<Order>,
    seen: UnboundedReceiver<Seen>,
    /// Seen before it was known to listen.
    early: VecDeque<Seen>,
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

fn admission(id: u8) -> Admission {
    let credentials = Credentials {
        us: Identity::from_seed(&[id; 32]).peer_id(),
        run: RunId(Hash([5; 32])),
        schema: SchemaHash(Hash([7; 32])),
        swarm_key: [3; 32],
    };
    Admission {
        credentials,
        neighbours_max: 8,
        neighbours_target: 4,
        body_bytes_max: 1 << 20,
        guests: Guests::default(),
        audit: Audit::default(),
    }
}

impl Living {
    async fn start(id: u8, setup: &NetworkSetup) -> Self {
        let admission = admission(id);
        let credentials = admission.credentials;
        let mut network = Network::open_as(setup, &[id; 32], admission, setup.relay).unwrap();
        let (orders, mut inbox) = unbounded_channel::<Order>();
        let (tell, seen) = unbounded_channel();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    happening = network.next() => {
                        if let Happening::Input(Input::Connected { peer }, _) = &happening {
                            // The first words, as the protocol says them.
                            network.introduce(*peer, credentials.us);
                        }
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
        let mut living = Self { id: credentials.us, orders, seen, early: VecDeque::new(), listening: Vec::new() };
        let listens = async {
            loop {
                match living.seen.recv().await.expect("it lives") {
                    Seen::Observation(Observation::Listening(addresses)) => break addresses,
                    // A link may stand before.
                    other => living.early.push_back(other),
                }
            }
        };
        living.listening = tokio::time::timeout(WAIT_MAX, listens).await.expect("it listens in time");
        assert!(living.listening.len() >= setup.listen.len(), "its first word names all: {:?}", living.listening);
        living
    }

    fn order(&self, order: impl FnOnce(&mut Network) + Send + 'static) {
        assert!(self.orders.send(Box::new(order)).is_ok(), "it lives");
    }

    /// The next that `pick` takes; what comes before is forgotten.
    async fn saw<T>(&mut self, what: &str, mut pick: impl FnMut(Seen) -> Option<T>) -> T {
        let mut others = Vec::new();
        let looking = async {
            loop {
                let seen = match self.early.pop_front() {
                    Some(seen) => seen,
                    None => self.seen.recv().await.expect("it lives"),
                };
                others.push(format!("{seen:?}"));
                if let Some(found) = pick(seen) {
                    return found;
                }
            }
        };
        let found = tokio::time::timeout(WAIT_MAX, looking).await;
        found.unwrap_or_else(|_| panic!("in time: {what}; seen: {others:#?}"))
    }

    async fn linked(&mut self) -> (PeerId, Way) {
        self.saw("a link", |seen| match seen {
            Seen::Observation(Observation::Linked { peer, way }) => Some((peer, way)),
            _ => None,
        })
        .await
    }

    /// The next message, introductions left out.
    async fn hears(&mut self) -> Message {
        self.saw("a message", |seen| match seen {
            Seen::Input(Input::Message { message, .. }) => {
                Some(message).filter(|said| !matches!(said, Message::Peers(_)))
            }
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
    let mut addresses: Vec<String> = all.iter().map(|text| bare(text)).rev().collect();
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

/// Nothing is sent: the listeners are asked for and let go again.
#[tokio::test]
async fn a_peer_that_listens_everywhere_waits_for_a_word_of_each_listener() {
    let network = Network::open_as(&setup(&[], &[]), &[1; 32], admission(1), false).unwrap();
    let asked = address::listen_default().len();
    assert!(network.unheard.len() == asked || network.unheard.len() == asked / 2, "{:?}", network.unheard);
    let named = Network::open_as(&setup(&[TCP, QUIC], &[]), &[2; 32], admission(2), false).unwrap();
    assert_eq!(named.unheard.len(), 2);
}

impl Network {
    fn introduce(&mut self, to: PeerId, us: PeerId) {
        let addresses = address::announced(&self.listening, []).iter().map(Multiaddr::to_string).collect();
        self.send(to, Message::Peers(vec![PeerRecord { peer: us, addresses }]));
    }
}

fn bare(address: &str) -> String {
    address.split("/p2p/").next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kademlia_names_the_neighbours_of_a_neighbour_and_dials_nobody() {
    let b = Living::start(2, &setup(&[TCP], &[])).await;
    let mut c = Living::start(3, &setup(&[TCP], &b.listening)).await;
    c.linked().await;
    let mut a = Living::start(1, &setup(&[TCP], &b.listening)).await;
    a.linked().await;
    a.saw("b", |seen| matches!(seen, Seen::Input(Input::Connected { .. })).then_some(())).await;
    let (peer, addresses) = a
        .saw("a hint", |seen| match seen {
            Seen::Input(Input::Discovered { peer, addresses }) => Some((peer, addresses)),
            Seen::Input(Input::Connected { peer }) => panic!("nobody has asked for a link to {peer}"),
            _ => None,
        })
        .await;
    assert_eq!((peer, addresses), (c.id, vec![bare(&c.listening[0])]));
}

/// Whether a stranger that speaks everything that members speak gets an answer, when it asks after two pauses.
async fn is_identified(opened: bool, pause: Duration) -> bool {
    let a = Living::start(1, &setup(&[TCP], &[])).await;
    let key = address::key_pair(&[9; 32]).unwrap();
    let wide = Wide { beyond: true, relay: true, upnp: false };
    let mut stranger = behaviour::build(key, RunId(Hash([5; 32])), 8, wide, Doorway::default()).unwrap();
    stranger.dial(a.listening[0].parse::<Multiaddr>().unwrap()).unwrap();
    let answered = async {
        // Whoever drops its stream breaks the handshake, and loses the connection with it.
        let mut kept = Vec::new();
        loop {
            match stranger.select_next_some().await {
                SwarmEvent::Behaviour(BehaviourEvent::Port(opened)) => kept.push(opened),
                SwarmEvent::ConnectionEstablished { connection_id, .. } => {
                    // A moment, so that it stands at the other end, and another, so that it is open there.
                    tokio::time::sleep(pause).await;
                    if opened {
                        a.order(|network| {
                            let all: Vec<_> = network.connections.keys().copied().collect();
                            let members = &mut network.swarm.behaviour_mut().members;
                            for connection in all {
                                members.open(connection);
                                members.ask(connection);
                            }
                        });
                    }
                    tokio::time::sleep(pause).await;
                    stranger.behaviour_mut().members.open(connection_id);
                    stranger.behaviour_mut().members.ask(connection_id);
                }
                SwarmEvent::Behaviour(BehaviourEvent::Members(members::MembersEvent::Identify(
                    libp2p::identify::Event::Received { .. },
                ))) => return,
                _ => {}
            }
        }
    };
    tokio::time::timeout(2 * pause + Duration::from_secs(2), answered).await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_get_none_of_what_is_for_members() {
    const PAUSES_MS: [u64; 3] = [200, 700, 1500];
    assert!(!is_identified(false, Duration::from_millis(PAUSES_MS[0])).await);
    // A question that comes too early is not asked again; a busy machine takes its time.
    for pause in PAUSES_MS.map(Duration::from_millis) {
        if is_identified(true, pause).await {
            return;
        }
    }
    panic!("the same question gets an answer once the gate is open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relayed_link_stands_and_is_replaced_by_a_direct_one() {
    let wide = |peers: &[String]| NetworkSetup { relay: true, ..setup(&[TCP], peers) };
    let r = Living::start(3, &wide(&[])).await;
    let at_r: Multiaddr = bare(&r.listening[0]).parse().unwrap();
    let external = at_r.clone();
    r.order(move |network| network.swarm.add_external_address(external));
    let mut a = Living::start(1, &wide(&r.listening)).await;
    let mut b = Living::start(2, &wide(&r.listening)).await;
    a.linked().await;
    b.linked().await;
    let (relay, id) = (r.id, address::to_network(r.id).unwrap());
    b.order(move |network| network.reserve(relay, id, at_r, Instant::now()));
    let relayed = b
        .saw("a reservation", |seen| match seen {
            Seen::Input(Input::Listening { addresses }) => {
                addresses.into_iter().find(|text| text.contains("p2p-circuit"))
            }
            _ => None,
        })
        .await;
    let to = b.id;
    a.order(move |network| network.dial(to, &[relayed]));
    assert_eq!(a.linked().await, (b.id, Way::Relayed));
    assert_eq!(b.linked().await, (a.id, Way::Relayed));
    // On one machine every hole is open.
    assert_eq!(a.linked().await, (b.id, Way::Tcp));
    assert_eq!(b.linked().await, (a.id, Way::Tcp));
    let to = a.id;
    b.order(move |network| network.send(to, Message::Bye));
    assert_eq!(a.hears().await, Message::Bye);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_forbids_relaying_dials_no_relayed_address() {
    let r = Living::start(3, &setup(&[TCP], &[])).await;
    let through = format!("{}/p2p-circuit", r.listening[0]);
    let mut a = Living::start(1, &setup(&[TCP], &[])).await;
    let (to, dialled) = (PeerId([7; 32]), through.clone());
    a.order(move |network| network.dial(to, &[dialled]));
    a.saw("no dial", |seen| matches!(seen, Seen::Input(Input::DialFailed { .. })).then_some(())).await;
    let error = Network::open(&setup(&[TCP], &[through]), &[4; 32], admission(4)).err().unwrap();
    assert!(error.hint.unwrap().contains("--no-relay"));
}

#[tokio::test]
async fn a_member_that_links_and_hangs_up_a_thousand_times_is_a_few_records() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::open(folder.path(), "aa").unwrap();
    let admission = Admission { audit: audit.clone(), ..admission(1) };
    let mut network = Network::open(&setup(&[TCP], &[]), &[1; 32], admission).unwrap();
    let peer = PeerId([7; 32]);
    for number in 0..1000 {
        network.admitted(peer, ConnectionId::new_unchecked(number));
        network.closed(peer, "it said good-bye");
        network.penalize(peer, 3, "it floods");
    }
    network.pardon();
    let bans = network.bans;
    network.close().await;
    audit.flush(WAIT_MAX).unwrap();
    let found = tally(folder.path());
    assert_eq!((found["admit"], found["closed"]), ((5, 1000), (5, 1000)));
    assert!(bans > 4, "{bans}");
    assert_eq!((found["ban"], found["unban"]), ((5, bans), (1, 1)));
}

/// A name costs nothing, and whoever dials by a new one each time is refused as often as it likes.
#[tokio::test]
async fn a_thousand_strangers_that_are_refused_are_a_few_hundred_records() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::open(folder.path(), "aa").unwrap();
    let admission = Admission { audit: audit.clone(), ..admission(1) };
    let mut network = Network::open(&setup(&[TCP], &[]), &[1; 32], admission).unwrap();
    for number in 0..1000_u16 {
        let mut id = [0; 32];
        id[..2].copy_from_slice(&number.to_le_bytes());
        let peer = PeerId(id);
        network.refused(What::Turned(discriminant(&Refusal::Key)), Some(peer), &peer.to_string(), "wrong key");
    }
    for _ in 0..1000 {
        network.refused(What::Mistaken, None, "/ip4/127.0.0.1/tcp/1", "another peer than the one named answers there");
    }
    network.close().await;
    audit.flush(WAIT_MAX).unwrap();
    let (records, times) = tally(folder.path())["refuse"];
    assert_eq!(times, 2000, "none is lost");
    assert!(records < 300, "{records}");
}

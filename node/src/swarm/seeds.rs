//! Addresses that the operator named: dialled at the start, and again whenever no link to them is up.
//!
//! They are the ways into a swarm, so unlike what the membership has learned they are never given up.

use std::time::{Duration, Instant};

use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId as NetworkId};
use protocol::id::PeerId;

use super::address::split_peer;

/// Pause before the second dial; it doubles with each failure.
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// An address that has failed for so long is told of.
const TELL_FROM: Duration = Duration::from_secs(3);
/// And again after so long, if it still does.
const TELL_AGAIN: Duration = Duration::from_mins(10);

/// One named address.
#[derive(Debug)]
pub(crate) struct Seed {
    /// Without the peer id.
    pub(crate) address: Multiaddr,
    /// The peer id, when it was named too: then nobody else will do.
    pub(crate) named: Option<NetworkId>,
    /// Who was found there last.
    found: Option<PeerId>,
    dialling: Option<ConnectionId>,
    /// Whether its name is being looked up.
    looking: bool,
    /// Dials so far: a name that has several addresses is dialled at one after the other.
    dials: usize,
    pause: Duration,
    due: Instant,
    /// Of the failures since it was last reached: the first one.
    failing_since: Option<Instant>,
    /// When the operator was told of them.
    told: Option<Instant>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Seeds(Vec<Seed>);

impl Seeds {
    pub(crate) fn new(addresses: impl IntoIterator<Item = Multiaddr>, now: Instant) -> Self {
        let seed = |address| {
            let (address, named) = split_peer(address);
            Seed {
                address,
                named,
                found: None,
                dialling: None,
                looking: false,
                dials: 0,
                pause: PAUSE_MIN,
                due: now,
                failing_since: None,
                told: None,
            }
        };
        Self(addresses.into_iter().map(seed).collect())
    }

    /// Seeds to dial now; each is to be answered by [`Seed::dialled`] or [`Seed::failed`], or, for the look-up of its name,
    /// by [`Seed::looks_up`].
    pub(crate) fn due(&mut self, now: Instant, is_up: impl Fn(PeerId) -> bool) -> impl Iterator<Item = &mut Seed> {
        let is_idle = |seed: &Seed| seed.dialling.is_none() && !seed.looking;
        self.0.iter_mut().filter(move |seed| is_idle(seed) && seed.due <= now && !seed.found.is_some_and(&is_up))
    }

    /// The seed whose name was looked up, once for each time.
    pub(crate) fn looked_up(&mut self, address: &Multiaddr) -> Option<&mut Seed> {
        let seed = self.0.iter_mut().find(|seed| seed.looking && seed.address == *address)?;
        seed.looking = false;
        Some(seed)
    }

    /// A dial has reached somebody; whether he becomes a neighbour shows soon.
    pub(crate) fn reached(&mut self, connection: ConnectionId, peer: PeerId, now: Instant) {
        for seed in self.by_connection(connection) {
            seed.found = Some(peer);
            (seed.failing_since, seed.told) = (None, None);
            seed.failed(now);
        }
    }

    /// A dial has failed. Returns its address when the operator should hear of it: when it has failed for some seconds, and rarely again.
    /// Peers that are started together dial each other before they listen.
    pub(crate) fn failed(&mut self, connection: ConnectionId, now: Instant) -> Option<Multiaddr> {
        let mut news = None;
        for seed in self.by_connection(connection) {
            if seed.failed_for_long(now) {
                news = Some(seed.address.clone());
            }
        }
        news
    }

    /// The peer has become a neighbour: when it is lost, it is dialled soon.
    pub(crate) fn up(&mut self, peer: PeerId) {
        for seed in self.0.iter_mut().filter(|seed| seed.found == Some(peer)) {
            seed.pause = PAUSE_MIN;
        }
    }

    /// This address is our own: it is not dialled again.
    pub(crate) fn forget(&mut self, connection: ConnectionId) {
        self.0.retain(|seed| seed.dialling != Some(connection));
    }

    fn by_connection(&mut self, connection: ConnectionId) -> impl Iterator<Item = &mut Seed> {
        self.0.iter_mut().filter(move |seed| seed.dialling == Some(connection))
    }
}

impl Seed {
    /// A dial is under way.
    pub(crate) fn dialled(&mut self, connection: ConnectionId) {
        self.dialling = Some(connection);
        self.dials += 1;
    }

    /// Its name is being looked up: it is dialled afterwards.
    pub(crate) fn looks_up(&mut self) {
        self.looking = true;
    }

    /// Which of the addresses that its name has is to be dialled now.
    pub(crate) fn turn<'a>(&self, addresses: &'a [Multiaddr]) -> Option<&'a Multiaddr> {
        addresses.get(self.dials % addresses.len().max(1))
    }

    /// As [`Self::failed`]. Returns whether that is worth a word.
    pub(crate) fn failed_for_long(&mut self, now: Instant) -> bool {
        let since = *self.failing_since.get_or_insert(now);
        let is_news = now.duration_since(since) >= TELL_FROM
            && self.told.is_none_or(|told| now.duration_since(told) >= TELL_AGAIN);
        if is_news {
            self.told = Some(now);
        }
        self.failed(now);
        is_news
    }

    /// It came to nothing so far: again after a pause.
    pub(crate) fn failed(&mut self, now: Instant) {
        self.dialling = None;
        self.due = now + self.pause;
        self.pause = (2 * self.pause).min(PAUSE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_dialled_with_growing_pauses_until_its_peer_is_up() {
        let (start, peer) = (Instant::now(), PeerId([1; 32]));
        let mut seeds = Seeds::new(["/ip4/192.0.2.7/tcp/1".parse().unwrap_or_else(|_| Multiaddr::empty())], start);
        let (mut dials, mut told) = (Vec::new(), 0);
        for millis in (0..60_000_u64).step_by(100) {
            let now = start + Duration::from_millis(millis);
            let connection = ConnectionId::new_unchecked(millis as usize);
            for seed in seeds.due(now, |_| false) {
                seed.dialled(connection);
                dials.push(millis);
            }
            assert_eq!(seeds.due(now, |_| false).count(), 0, "one dial at a time");
            told += usize::from(seeds.failed(connection, now).is_some());
        }
        assert_eq!(told, 1);
        let later = start + Duration::from_secs(3) + TELL_AGAIN;
        seeds.due(later, |_| false).for_each(|seed| seed.dialled(ConnectionId::new_unchecked(1)));
        assert!(seeds.failed(ConnectionId::new_unchecked(1), later).is_some(), "and again, rarely");
        assert_eq!(dials[..5], [0, 200, 600, 1400, 3000]);
        assert!(dials.windows(2).all(|pair| pair[1] - pair[0] <= 10_000));

        let (now, connection) = (later + Duration::from_secs(90), ConnectionId::new_unchecked(0));
        seeds.due(now, |_| false).for_each(|seed| seed.dialled(connection));
        seeds.reached(connection, peer, now);
        seeds.up(peer);
        let later = now + Duration::from_secs(60);
        assert_eq!(seeds.due(later, |up| up == peer).count(), 0, "its link is up");
        assert_eq!(seeds.due(later, |_| false).count(), 1, "and lost again");
    }

    #[test]
    fn a_name_is_looked_up_before_each_dial_and_its_addresses_take_turns() {
        let now = Instant::now();
        let parse = |text: &str| text.parse::<Multiaddr>().unwrap_or_else(|_| Multiaddr::empty());
        let name = parse("/dns/a.example/tcp/1");
        let found = [parse("/ip4/192.0.2.1/tcp/1"), parse("/ip4/192.0.2.2/tcp/1")];
        let mut seeds = Seeds::new([name.clone()], now);
        let mut turns = Vec::new();
        for i in 0..3 {
            let later = now + i * PAUSE_MAX;
            seeds.due(later, |_| false).for_each(Seed::looks_up);
            assert_eq!(seeds.due(later, |_| false).count(), 0, "one look-up at a time");
            let seed = seeds.looked_up(&name).expect("it is being looked up");
            turns.extend(seed.turn(&found).cloned());
            let connection = ConnectionId::new_unchecked(i as usize);
            seed.dialled(connection);
            assert!(seeds.looked_up(&name).is_none(), "once");
            seeds.failed(connection, later);
        }
        assert_eq!(turns, [found[0].clone(), found[1].clone(), found[0].clone()]);
    }
}

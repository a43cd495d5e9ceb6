//! Who may become a neighbour: a bounded number of places, and one link for each pair of peers.
//!
//! Two peers that discover each other at the same moment both dial, and two connections stand where one is wanted. If
//! each side chose by itself, they could choose differently and close both. So one side decides: **the peer with the
//! smaller id is the arbiter of the pair**. It gives its place to the first connection that has proved the swarm key,
//! and drops a second one without a word; the other side takes whatever the arbiter has welcomed. The arbiter closes
//! the older link only when the newer one comes [`TOGETHER_MAX`] later: a peer dials a neighbour again only if it has
//! lost it, which we may not have noticed yet.
//!
//! **A relayed link stands only where no direct one does.** A direct one replaces it at once, whenever it comes, and while
//! there is a direct one none that is relayed is taken.
//!
//! A place is held from the moment we say Welcome until the link is down.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use libp2p::swarm::ConnectionId;
use protocol::id::PeerId;

/// Connections that come within this time of each other were dialled at once.
const TOGETHER_MAX: Duration = Duration::from_secs(5);

/// All places of this peer; shared by its handshakes.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    us: PeerId,
    limit: usize,
    taken: Arc<Mutex<BTreeMap<PeerId, Held>>>,
}

/// Connections of one peer that hold its place. More than one for as long as one replaces the other.
type Held = BTreeMap<ConnectionId, Hold>;

/// A connection that holds a place.
#[derive(Clone, Copy, Debug)]
struct Hold {
    since: Instant,
    relayed: bool,
}

/// Whether one more link is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The place is held for it.
    Yes,
    /// All places are taken; so many there are.
    Full(u32),
    /// There is a link to this peer already, or about to be.
    Duplicate,
}

impl Places {
    pub(crate) fn new(us: PeerId, limit: usize) -> Self {
        Self { us, limit, taken: Arc::default() }
    }

    /// Asks for a place; to be asked only for a peer that has proved the swarm key.
    pub(crate) fn ask(&self, peer: PeerId, connection: ConnectionId, relayed: bool, now: Instant) -> Answer {
        let mut taken = self.lock();
        let hold = Hold { since: now, relayed };
        let full = taken.len() >= self.limit;
        match taken.get_mut(&peer) {
            None if full => Answer::Full(u32::try_from(self.limit).unwrap_or(u32::MAX)),
            None => {
                taken.insert(peer, BTreeMap::from([(connection, hold)]));
                Answer::Yes
            }
            Some(held) => {
                let is_together = |hold: &Hold| now.saturating_duration_since(hold.since) < TOGETHER_MAX;
                let is_worse = |hold: &Hold| hold.relayed && !relayed;
                let is_better = |hold: &Hold| !hold.relayed && relayed;
                let stays = held.values().any(|hold| is_better(hold) || is_together(hold) && !is_worse(hold));
                if self.us < peer && stays {
                    return Answer::Duplicate;
                }
                held.insert(connection, hold);
                Answer::Yes
            }
        }
    }

    /// Gives the place back; for a connection without a place it does nothing.
    pub(crate) fn release(&self, peer: PeerId, connection: ConnectionId) {
        let mut taken = self.lock();
        if let Some(held) = taken.get_mut(&peer) {
            held.remove(&connection);
            if held.is_empty() {
                taken.remove(&peer);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PeerId, Held>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(id: u8) -> PeerId {
        PeerId([id; 32])
    }

    fn connection(id: usize) -> ConnectionId {
        ConnectionId::new_unchecked(id)
    }

    #[test]
    fn places_are_bounded_and_come_back() {
        let (places, now) = (Places::new(peer(9), 2), Instant::now());
        assert_eq!(places.ask(peer(1), connection(1), false, now), Answer::Yes);
        assert_eq!(places.ask(peer(2), connection(2), false, now), Answer::Yes);
        assert_eq!(places.ask(peer(3), connection(3), false, now), Answer::Full(2));
        assert_eq!(places.ask(peer(1), connection(4), false, now), Answer::Yes, "a neighbour needs no second place");
        places.release(peer(3), connection(3));
        assert_eq!(places.ask(peer(3), connection(5), false, now), Answer::Full(2));
        places.release(peer(1), connection(1));
        assert_eq!(
            places.ask(peer(3), connection(5), false, now),
            Answer::Full(2),
            "its second connection holds the place"
        );
        places.release(peer(1), connection(4));
        assert_eq!(places.ask(peer(3), connection(5), false, now), Answer::Yes);
    }

    #[test]
    fn of_two_at_once_the_smaller_id_decides() {
        let now = Instant::now();
        let (arbiter, follower) = (Places::new(peer(1), 8), Places::new(peer(2), 8));
        assert_eq!(arbiter.ask(peer(2), connection(1), false, now), Answer::Yes);
        assert_eq!(arbiter.ask(peer(2), connection(2), false, now), Answer::Duplicate);
        assert_eq!(follower.ask(peer(1), connection(2), false, now), Answer::Yes);
        assert_eq!(follower.ask(peer(1), connection(1), false, now), Answer::Yes, "it takes what the arbiter welcomes");
    }

    #[test]
    fn a_neighbour_that_comes_back_later_replaces_its_old_link() {
        let now = Instant::now();
        let arbiter = Places::new(peer(1), 8);
        assert_eq!(arbiter.ask(peer(2), connection(1), false, now), Answer::Yes);
        assert_eq!(arbiter.ask(peer(2), connection(2), false, now + TOGETHER_MAX), Answer::Yes);
    }

    #[test]
    fn a_relayed_link_yields_to_a_direct_one_and_never_the_other_way_round() {
        let now = Instant::now();
        let (arbiter, follower) = (Places::new(peer(1), 8), Places::new(peer(2), 8));
        for (places, other) in [(&arbiter, peer(2)), (&follower, peer(1))] {
            assert_eq!(places.ask(other, connection(1), true, now), Answer::Yes);
            assert_eq!(places.ask(other, connection(2), false, now), Answer::Yes, "the direct one, at once");
            places.release(other, connection(1));
        }
        let late = now + 2 * TOGETHER_MAX;
        assert_eq!(arbiter.ask(peer(2), connection(3), true, late), Answer::Duplicate);
        arbiter.release(peer(2), connection(2));
        assert_eq!(arbiter.ask(peer(2), connection(3), true, late), Answer::Yes, "the direct one is lost");
        assert_eq!(arbiter.ask(peer(2), connection(4), true, late), Answer::Duplicate, "two relayed ones are alike");
    }
}

//! What each peer may say still, over all its links: who hangs up and comes back has no more than who stays.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use protocol::id::PeerId;

use super::bucket::Allowance;

/// Peers remembered. Beyond it, whoever hung up longest ago is forgotten: new identities are cheap anyway.
const PEERS_MAX: usize = 1024;
/// After so long without a link every bucket is full again.
const FULL_AFTER: Duration = Duration::from_secs(30);

/// See the module; shared by the links of a peer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allowances(Arc<Mutex<BTreeMap<PeerId, Entry>>>);

#[derive(Debug)]
struct Entry {
    allowance: Arc<Mutex<Allowance>>,
    /// Links that have it.
    links: usize,
    /// When the last one ended.
    ended: Instant,
}

/// What the peer at the other end of a link may say, for as long as there is the link.
#[derive(Debug)]
pub(crate) struct Allowed {
    allowances: Allowances,
    peer: PeerId,
    allowance: Arc<Mutex<Allowance>>,
}

impl Allowances {
    /// For a new link of that peer. To be asked only for one that was admitted: strangers have as many identities as they like.
    pub(crate) fn of(&self, peer: PeerId, window: usize, now: Instant) -> Allowed {
        let mut entries = self.lock();
        forget(&mut entries, now);
        let fresh = || Entry { allowance: Arc::new(Mutex::new(Allowance::new(window, now))), links: 0, ended: now };
        let entry = entries.entry(peer).or_insert_with(fresh);
        entry.links += 1;
        Allowed { allowances: self.clone(), peer, allowance: Arc::clone(&entry.allowance) }
    }

    fn end(&self, peer: PeerId, now: Instant) {
        if let Some(entry) = self.lock().get_mut(&peer) {
            (entry.links, entry.ended) = (entry.links.saturating_sub(1), now);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PeerId, Entry>> {
        // Plain data that no panic leaves half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn forget(entries: &mut BTreeMap<PeerId, Entry>, now: Instant) {
    entries.retain(|_, entry| entry.links > 0 || now.saturating_duration_since(entry.ended) < FULL_AFTER);
    if entries.len() >= PEERS_MAX {
        let idle = entries.iter().filter(|(_, entry)| entry.links == 0);
        if let Some(oldest) = idle.min_by_key(|(_, entry)| entry.ended).map(|(&peer, _)| peer) {
            entries.remove(&oldest);
        }
    }
}

impl Allowed {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Allowance> {
        self.allowance.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Allowed {
    fn drop(&mut self) {
        self.allowances.end(self.peer, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::bucket::CONTROL_FRAMES_BURST;
    use protocol::wire::Message;

    fn peer(id: u16) -> PeerId {
        let mut bytes = [0; 32];
        bytes.split_at_mut(2).0.copy_from_slice(&id.to_le_bytes());
        PeerId(bytes)
    }

    #[test]
    fn who_hangs_up_and_comes_back_has_no_more() {
        let (allowances, now) = (Allowances::default(), Instant::now());
        let say = |peer: PeerId, now: Instant| {
            let allowed = allowances.of(peer, 1 << 20, now);
            let mut allowance = allowed.lock();
            (0..CONTROL_FRAMES_BURST).take_while(|_| allowance.message(&Message::Bye, now).is_ok()).count()
        };
        assert_eq!(say(peer(1), now), CONTROL_FRAMES_BURST as usize);
        assert_eq!(say(peer(1), now), 0);
        assert_eq!(say(peer(2), now), CONTROL_FRAMES_BURST as usize);
        assert!(say(peer(1), now + Duration::from_secs(1)) <= 1000);
        assert_eq!(say(peer(1), now + Duration::from_secs(60)), CONTROL_FRAMES_BURST as usize);
    }

    #[test]
    fn it_is_bounded_and_forgets_no_peer_that_is_linked() {
        let (allowances, now) = (Allowances::default(), Instant::now());
        let linked = allowances.of(peer(0), 1 << 20, now);
        for id in 1..3000 {
            allowances.of(peer(id), 1 << 20, now);
        }
        assert!(allowances.len() <= PEERS_MAX);
        let again = allowances.of(peer(0), 1 << 20, now + Duration::from_secs(600));
        assert!(Arc::ptr_eq(&linked.allowance, &again.allowance));
        let linked = Arc::clone(&again.allowance);
        drop(again);
        assert!(Arc::ptr_eq(&linked, &allowances.of(peer(0), 1 << 20, now + Duration::from_secs(900)).allowance));
    }

    /// However long ago its link began: nobody else may have come meanwhile.
    #[test]
    fn it_counts_from_the_end_of_a_link() {
        let begun = Instant::now();
        let (allowances, minute) = (Allowances::default(), Duration::from_secs(60));
        let linked = allowances.of(peer(1), 1 << 20, begun);
        allowances.end(peer(1), begun + minute);
        let soon = allowances.of(peer(1), 1 << 20, begun + minute + FULL_AFTER / 2);
        assert!(Arc::ptr_eq(&linked.allowance, &soon.allowance));
        allowances.end(peer(1), begun + 2 * minute);
        let late = allowances.of(peer(1), 1 << 20, begun + 2 * minute + FULL_AFTER);
        assert!(!Arc::ptr_eq(&linked.allowance, &late.allowance));
    }
}

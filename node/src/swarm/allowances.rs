//! What each peer may say still, over all its links: who hangs up and comes back has no more than who stays.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use protocol::id::PeerId;

use super::bucket::Allowance;

/// Peers remembered. Beyond it, whoever came longest ago and has no link is forgotten: new identities are cheap anyway.
const PEERS_MAX: usize = 1024;
/// After so long without a link every bucket is full again.
const FULL_AFTER: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Allowances(BTreeMap<PeerId, (Instant, Arc<Mutex<Allowance>>)>);

impl Allowances {
    /// For a new link of that peer.
    pub(crate) fn of(&mut self, peer: PeerId, window: usize, now: Instant) -> Arc<Mutex<Allowance>> {
        self.forget(now);
        let fresh = || (now, Arc::new(Mutex::new(Allowance::new(window, now))));
        let (at, allowance) = self.0.entry(peer).or_insert_with(fresh);
        *at = now;
        Arc::clone(allowance)
    }

    fn forget(&mut self, now: Instant) {
        let has_link = |allowance: &Arc<Mutex<Allowance>>| Arc::strong_count(allowance) > 1;
        // Since a link may last, its end is what counts: looked at whenever another one begins.
        for (at, allowance) in self.0.values_mut() {
            if has_link(allowance) {
                *at = now;
            }
        }
        self.0.retain(|_, (at, _)| now.saturating_duration_since(*at) < FULL_AFTER);
        if self.0.len() >= PEERS_MAX {
            let idle = self.0.iter().filter(|(_, (_, allowance))| !has_link(allowance));
            if let Some(oldest) = idle.min_by_key(|(_, (at, _))| *at).map(|(&peer, _)| peer) {
                self.0.remove(&oldest);
            }
        }
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
        let (mut allowances, now) = (Allowances::default(), Instant::now());
        let mut say = |peer: PeerId, now: Instant| {
            let allowance = allowances.of(peer, 1 << 20, now);
            let mut allowance = allowance.lock().unwrap();
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
        let (mut allowances, now) = (Allowances::default(), Instant::now());
        let linked = allowances.of(peer(0), 1 << 20, now);
        for id in 1..3000 {
            allowances.of(peer(id), 1 << 20, now);
        }
        assert!(allowances.0.len() <= PEERS_MAX);
        assert!(Arc::ptr_eq(&linked, &allowances.of(peer(0), 1 << 20, now + Duration::from_secs(600))));
    }
}

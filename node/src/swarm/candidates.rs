//! Addresses of ours that members claim to have seen, of which a behaviour inside tests one after the other whether others reach us there.
//!
//! Anybody may claim any, and what is kept of them inside has no bound. So there are so many at a time: one that is an hour old was tested
//! long ago and makes place, and in a full table a new one takes the place of any other, once a minute. Who claims without end keeps
//! honest ones waiting, and shuts none out for good.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use libp2p::Multiaddr;

/// At a time. guess: a machine has a few addresses, each seen through two transports.
const CANDIDATES_MAX: usize = 64;
/// One is forgotten after so long, and taken anew when it is claimed again.
const KEPT: Duration = Duration::from_secs(3600);
/// In a full table one of them makes place for another so often.
const REPLACE_AFTER: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    claimed: BTreeMap<Multiaddr, Instant>,
    replaced: Option<Instant>,
}

impl Candidates {
    /// Somebody claims to have seen us there. Whether that is to be tested: an address that waits for its test gains nothing by being claimed again.
    pub(super) fn takes(&mut self, address: &Multiaddr, now: Instant) -> bool {
        self.claimed.retain(|_, at| now.saturating_duration_since(*at) < KEPT);
        if self.claimed.contains_key(address) {
            return false;
        }
        if self.claimed.len() >= CANDIDATES_MAX && !self.makes_place(now) {
            return false;
        }
        self.claimed.insert(address.clone(), now);
        true
    }

    fn makes_place(&mut self, now: Instant) -> bool {
        if self.replaced.is_some_and(|at| now.saturating_duration_since(at) < REPLACE_AFTER) {
            return false;
        }
        let oldest = self.claimed.iter().min_by_key(|(_, at)| **at).map(|(address, _)| address.clone());
        self.replaced = Some(now);
        oldest.is_some_and(|address| self.claimed.remove(&address).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> Multiaddr {
        format!("/ip4/192.0.2.1/tcp/{port}").parse().expect("an address")
    }

    #[test]
    fn who_claims_without_end_shuts_nobody_out_for_good() {
        let (mut candidates, start) = (Candidates::default(), Instant::now());
        let taken = (1..1000).filter(|&port| candidates.takes(&at(port), start)).count();
        assert_eq!(taken, CANDIDATES_MAX + 1, "and one of the first has made place");
        assert!(!candidates.takes(&at(5000), start + REPLACE_AFTER / 2));
        assert!(candidates.takes(&at(5000), start + REPLACE_AFTER));
        assert_eq!(candidates.claimed.len(), CANDIDATES_MAX);
        assert!(candidates.claimed.contains_key(&at(5000)));
    }

    #[test]
    fn one_is_taken_once_an_hour() {
        let (mut candidates, start) = (Candidates::default(), Instant::now());
        assert!(candidates.takes(&at(1), start));
        assert!(!candidates.takes(&at(1), start + KEPT / 2));
        assert!(candidates.takes(&at(1), start + KEPT), "addresses come back");
        assert_eq!(candidates.claimed.len(), 1);
    }
}

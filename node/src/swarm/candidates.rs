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
pub(super) const REPLACE_AFTER: Duration = Duration::from_secs(60);

/// Addresses that others claim, so many at most, each with when that was: in a full table the oldest makes place, once a minute.
#[derive(Debug)]
pub(super) struct Claims<const MOST: usize> {
    claimed: BTreeMap<Multiaddr, Instant>,
    replaced: Option<Instant>,
}

impl<const MOST: usize> Default for Claims<MOST> {
    fn default() -> Self {
        Self { claimed: BTreeMap::new(), replaced: None }
    }
}

impl<const MOST: usize> Claims<MOST> {
    /// One that is not there. Whether there is a place.
    pub(super) fn enter(&mut self, address: Multiaddr, now: Instant) -> bool {
        let is_there = self.claimed.len() < MOST || self.makes_place(now);
        if is_there {
            self.claimed.insert(address, now);
        }
        is_there
    }

    /// It is claimed again. Whether it is there.
    pub(super) fn renew(&mut self, address: &Multiaddr, now: Instant) -> bool {
        self.claimed.get_mut(address).map(|at| *at = now).is_some()
    }

    pub(super) fn remove(&mut self, address: &Multiaddr) -> bool {
        self.claimed.remove(address).is_some()
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = &Multiaddr> {
        self.claimed.keys()
    }

    fn makes_place(&mut self, now: Instant) -> bool {
        if self.replaced.is_some_and(|at| now.saturating_duration_since(at) < REPLACE_AFTER) {
            return false;
        }
        let oldest = self.claimed.iter().min_by_key(|(_, at)| **at).map(|(address, _)| address.clone());
        self.replaced = Some(now);
        oldest.is_some_and(|address| self.remove(&address))
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Candidates(Claims<CANDIDATES_MAX>);

impl Candidates {
    /// Somebody claims to have seen us there. Whether that is to be tested: an address that waits for its test gains nothing by being claimed again.
    pub(super) fn takes(&mut self, address: &Multiaddr, now: Instant) -> bool {
        self.0.claimed.retain(|_, at| now.saturating_duration_since(*at) < KEPT);
        !self.0.claimed.contains_key(address) && self.0.enter(address.clone(), now)
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
        assert_eq!(candidates.0.claimed.len(), CANDIDATES_MAX);
        assert!(candidates.0.claimed.contains_key(&at(5000)));
    }

    #[test]
    fn one_is_taken_once_an_hour() {
        let (mut candidates, start) = (Candidates::default(), Instant::now());
        assert!(candidates.takes(&at(1), start));
        assert!(!candidates.takes(&at(1), start + KEPT / 2));
        assert!(candidates.takes(&at(1), start + KEPT), "addresses come back");
        assert_eq!(candidates.0.claimed.len(), 1);
    }
}

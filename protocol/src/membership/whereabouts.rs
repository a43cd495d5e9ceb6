//! Where one peer may be: what it says itself, and what others say of it.
//!
//! A peer that was killed comes back at another port, and for a while both addresses are told. Nothing in an address shows which
//! one is newer, so if the one that came last replaced the other, and every change were passed on, old and new would chase
//! each other round the swarm for ever: measured with 8 peers, thousands of messages a second a link, until every peer took
//! every other for a flooder. So:
//! 1. **The peer's own word, over its own link, is the truth**, and replaces what it said before.
//! 2. **Hearsay adds, and never replaces**: both are dialled.
//! 3. **An address is news once.** Whatever was told of a peer since its last own word is remembered, and is not passed on again; beyond
//!    [`TOLD_MAX`] nothing more is believed. So a rumour crosses every link once and ends, and a liar gets no more than that.

use std::collections::BTreeSet;

use crate::wire::{ADDRESS_BYTES_MAX, ADDRESSES_MAX};

/// Different addresses that others may tell of one peer between two words of its own.
const TOLD_MAX: usize = 64;
/// Of these, those that are dialled, beside those of its own word.
const HEARD_MAX: usize = ADDRESSES_MAX;

/// Who says where a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The peer itself, over its own link.
    Itself,
    /// Another peer, or a look round the network.
    Hearsay,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Whereabouts {
    /// Its own words.
    own: Vec<String>,
    /// What others told since: the latest and what was told before in turns, so that no one message hides what was known.
    heard: Vec<String>,
    /// Names of all of that.
    told: BTreeSet<u64>,
}

impl Whereabouts {
    /// Takes note of addresses within their bounds. Returns whether they are worth passing on.
    pub(super) fn learn(&mut self, source: Source, addresses: &[String]) -> bool {
        match source {
            Source::Itself => {
                if self.own == addresses {
                    return false;
                }
                self.own = addresses.to_vec();
                self.heard.clear();
                self.told = addresses.iter().map(|address| name(address)).collect();
                true
            }
            Source::Hearsay => {
                let mut news = Vec::new();
                for address in addresses {
                    if self.told.len() < TOLD_MAX && self.told.insert(name(address)) {
                        news.push(address.clone());
                    }
                }
                let is_news = !news.is_empty();
                self.heard = in_turns(vec![news, std::mem::take(&mut self.heard)]);
                self.heard.truncate(HEARD_MAX);
                is_news
            }
        }
    }

    /// All that is worth a dial: what it said itself, and the latest rumours.
    pub(super) fn to_dial(&self) -> Vec<String> {
        self.own.iter().chain(&self.heard).cloned().collect()
    }

    /// What others are told who ask whom we know: its own word, where it gave one.
    pub(super) fn to_tell(&self) -> Vec<String> {
        if self.own.is_empty() { self.heard.clone() } else { self.own.clone() }
    }
}

/// One of each list after the other: the first of each, then the second of each.
fn in_turns(lists: Vec<Vec<String>>) -> Vec<String> {
    let mut lists: Vec<_> = lists.into_iter().map(Vec::into_iter).collect();
    let mut all = Vec::new();
    while lists.iter().any(|list| list.len() > 0) {
        all.extend(lists.iter_mut().filter_map(Iterator::next));
    }
    all
}

/// Addresses within their bounds.
pub(super) fn bounded(mut addresses: Vec<String>) -> Vec<String> {
    addresses.retain(|address| !address.is_empty() && address.len() <= ADDRESS_BYTES_MAX);
    addresses.truncate(ADDRESSES_MAX);
    addresses
}

/// Whoever finds two addresses of one name hides one of them: nothing that it could not do by telling none.
fn name(address: &str) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&blake3::hash(address.as_bytes()).as_bytes()[..8]);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ports: impl IntoIterator<Item = u32>) -> Vec<String> {
        ports.into_iter().map(|port| format!("/ip4/127.0.0.1/tcp/{port}")).collect()
    }

    #[test]
    fn a_rumour_is_news_once_whatever_order_it_comes_in() {
        let mut places = Whereabouts::default();
        assert!(places.learn(Source::Hearsay, &at([1])));
        assert!(places.learn(Source::Hearsay, &at([2])));
        assert!(!places.learn(Source::Hearsay, &at([1])), "the older one comes again");
        assert!(!places.learn(Source::Hearsay, &at([2, 1])));
        assert_eq!(places.to_dial(), at([2, 1]), "the latest first");
    }

    #[test]
    fn its_own_word_stands_against_hearsay_and_replaces_it() {
        let mut places = Whereabouts::default();
        places.learn(Source::Hearsay, &at([1]));
        assert!(places.learn(Source::Itself, &at([2])) && !places.learn(Source::Itself, &at([2])));
        assert!(places.learn(Source::Hearsay, &at([1])), "once more, and then no more");
        assert!(!places.learn(Source::Hearsay, &at([1])));
        assert_eq!((places.to_tell(), places.to_dial()), (at([2]), at([2, 1])));
    }

    /// One forged announcement with as many addresses as one may have.
    #[test]
    fn who_tells_many_addresses_does_not_hide_the_one_that_was_told_before() {
        let mut places = Whereabouts::default();
        places.learn(Source::Hearsay, &at([1]));
        places.learn(Source::Hearsay, &at(100..108));
        assert!(places.to_dial().contains(&at([1])[0]), "{:?}", places.to_dial());
        places.learn(Source::Hearsay, &at([2]));
        assert_eq!(places.to_dial().first(), Some(&at([2])[0]), "and what comes later has its place");
        assert_eq!(places.to_dial().len(), HEARD_MAX);
    }

    #[test]
    fn a_liar_is_believed_so_far_and_no_further() {
        let mut places = Whereabouts::default();
        places.learn(Source::Itself, &at([1]));
        let believed = (2..1000).filter(|&port| places.learn(Source::Hearsay, &at([port]))).count();
        assert_eq!(believed, TOLD_MAX - 1);
        assert_eq!(places.to_dial().len(), 1 + HEARD_MAX);
        assert!(places.learn(Source::Itself, &at([2000])), "the peer itself always is");
        assert_eq!(places.to_dial(), at([2000]));
    }
}

//! News of where peers are, on their way to the neighbours.
//!
//! Each piece said at once would let one member decide how often all others speak: it names a new address of its own a thousand times a
//! second, every neighbour passes that on a thousand times a second, and whoever hears it takes an honest peer for a flooder. So news is
//! gathered: the first piece goes out at once, what comes within [`NEWS_PAUSE`] of it together. Of each peer that is its latest own word, which
//! replaces what was gathered of it, and what others told since: an address is news once, so whatever is dropped here is told by nobody.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::id::PeerId;
use crate::time::{Span, Time};
use crate::wire::{ADDRESSES_MAX, PEER_RECORDS_MAX, PeerRecord};

/// Two messages to one neighbour, or two handfuls of them, lie so far apart.
pub(crate) const NEWS_PAUSE: Span = Span::from_millis(50);
/// Peers of whom there is news at once; of more nothing is passed on. A newcomer is told all anyway.
const NEWS_MAX: usize = 4 * PEER_RECORDS_MAX;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Where they are, and who said so: that one need not hear it. `None`: several, or nobody.
    of: BTreeMap<PeerId, (Option<PeerId>, Vec<String>)>,
    not_before: Time,
    timer_set: bool,
}

impl News {
    pub(crate) fn gather(&mut self, from: Option<PeerId>, records: Vec<PeerRecord>) {
        for PeerRecord { peer, addresses } in records {
            let has_room = self.of.len() < NEWS_MAX;
            match self.of.entry(peer) {
                Entry::Vacant(place) if has_room => {
                    place.insert((from, addresses));
                }
                Entry::Vacant(_) => {}
                Entry::Occupied(mut place) if from == Some(peer) => {
                    place.insert((from, addresses));
                }
                Entry::Occupied(mut place) => {
                    let (teller, known) = place.get_mut();
                    teller.take_if(|teller| Some(*teller) != from);
                    for address in addresses {
                        if known.len() < ADDRESSES_MAX && !known.contains(&address) {
                            known.push(address);
                        }
                    }
                }
            }
        }
    }

    /// When what was gathered may be said, if not now. Told once: a timer is to be set for it.
    pub(crate) fn waits_until(&mut self, now: Time) -> Option<Time> {
        let waits = !self.of.is_empty() && now < self.not_before && !std::mem::replace(&mut self.timer_set, true);
        waits.then_some(self.not_before)
    }

    /// The timer came round.
    pub(crate) fn timer_came(&mut self) {
        self.timer_set = false;
    }

    /// All of it, when it is time.
    pub(crate) fn take(&mut self, now: Time) -> BTreeMap<PeerId, (Option<PeerId>, Vec<String>)> {
        if self.of.is_empty() || now < self.not_before {
            return BTreeMap::new();
        }
        self.not_before = now + NEWS_PAUSE;
        std::mem::take(&mut self.of)
    }
}

/// What one neighbour is told of it, as many records a message as it takes.
pub(crate) fn messages_for(
    neighbour: PeerId,
    news: &BTreeMap<PeerId, (Option<PeerId>, Vec<String>)>,
) -> impl Iterator<Item = Vec<PeerRecord>> {
    let others = news.iter().filter(|(_, (from, _))| *from != Some(neighbour));
    let records = others.map(|(&peer, (_, addresses))| PeerRecord { peer, addresses: addresses.clone() });
    let records: Vec<PeerRecord> = records.collect();
    records.chunks(PEER_RECORDS_MAX).map(<[_]>::to_vec).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(peer: u16, port: u16) -> PeerRecord {
        let mut id = [0; 32];
        id.split_at_mut(2).0.copy_from_slice(&peer.to_le_bytes());
        PeerRecord { peer: PeerId(id), addresses: vec![format!("/ip4/127.0.0.1/tcp/{port}")] }
    }

    #[test]
    fn who_changes_a_thousand_times_a_second_is_passed_on_twenty_times() {
        let (mut news, mut said, mut due) = (News::default(), 0, None);
        for ms in 0..1000 {
            let now = Time(ms * 1000);
            news.gather(None, vec![record(1, ms as u16)]);
            if due.is_some_and(|at| at <= now) {
                due = None;
                news.timer_came();
            }
            said += usize::from(!news.take(now).is_empty());
            due = news.waits_until(now).or(due);
        }
        assert!((19..=21).contains(&said), "{said}");
    }

    #[test]
    fn what_several_tell_at_once_is_told_together_and_an_own_word_first() {
        let (mut news, peer) = (News::default(), record(1, 1).peer);
        let (one, other) = (record(2, 1).peer, record(3, 1).peer);
        let ports = |news: &News| -> Vec<String> {
            news.of[&peer].1.iter().filter_map(|address| address.rsplit('/').next()).map(str::to_owned).collect()
        };
        news.gather(Some(one), vec![record(1, 1)]);
        news.gather(Some(one), vec![record(1, 2)]);
        assert_eq!((ports(&news), news.of[&peer].0), (vec!["1".to_owned(), "2".to_owned()], Some(one)));
        news.gather(Some(other), vec![record(1, 3), record(1, 2)]);
        assert_eq!((ports(&news).join(" "), news.of[&peer].0), ("1 2 3".to_owned(), None), "all are to hear it");
        news.gather(Some(peer), vec![record(1, 4)]);
        assert_eq!((ports(&news).join(" "), news.of[&peer].0), ("4".to_owned(), Some(peer)), "its own word replaces");
        for port in 5..100 {
            news.gather(Some(one), vec![record(1, port)]);
        }
        assert_eq!(ports(&news).join(" "), "4 5 6 7 8 9 10 11", "and is not replaced");
        news.gather(Some(peer), vec![record(1, 4)]);
        assert_eq!(ports(&news).join(" "), "4");
    }

    #[test]
    fn it_is_bounded_comes_in_whole_messages_and_not_back_to_who_said_it() {
        let mut news = News::default();
        let teller = record(1, 1).peer;
        for peer in 0..1000 {
            news.gather(Some(teller), vec![record(peer, 1)]);
        }
        let news = news.take(Time(0));
        assert_eq!(news.len(), NEWS_MAX);
        assert_eq!(messages_for(teller, &news).count(), 0);
        let sizes: Vec<usize> = messages_for(record(2, 1).peer, &news).map(|records| records.len()).collect();
        assert_eq!(sizes, [PEER_RECORDS_MAX; 4]);
    }
}

//! News of where peers are, on their way to the neighbours.
//!
//! Each piece said at once would let one member decide how often all others speak: it names a new address of its own a thousand times a
//! second, every neighbour passes that on a thousand times a second, and whoever hears it takes an honest peer for a flooder. So news is
//! gathered: the first piece goes out at once, what comes within [`NEWS_PAUSE`] of it together, of each peer the latest.

use std::collections::BTreeMap;

use crate::id::PeerId;
use crate::time::{Span, Time};
use crate::wire::{PEER_RECORDS_MAX, PeerRecord};

/// Two messages to one neighbour, or two handfuls of them, lie so far apart.
pub(crate) const NEWS_PAUSE: Span = Span::from_millis(50);
/// Peers of whom there is news at once; of more nothing is passed on. A newcomer is told all anyway.
const NEWS_MAX: usize = 4 * PEER_RECORDS_MAX;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Where they are, and who said so: that one need not hear it.
    of: BTreeMap<PeerId, (Option<PeerId>, Vec<String>)>,
    not_before: Time,
    timer_set: bool,
}

impl News {
    pub(crate) fn gather(&mut self, from: Option<PeerId>, records: Vec<PeerRecord>) {
        for PeerRecord { peer, addresses } in records {
            if self.of.len() < NEWS_MAX || self.of.contains_key(&peer) {
                self.of.insert(peer, (from, addresses));
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

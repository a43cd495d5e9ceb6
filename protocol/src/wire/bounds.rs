//! Numbers that no honest peer ever says. They decode well, and would overflow a sum or fill a table.

use std::sync::Arc;

use super::Message;
use super::message::{
    ADDRESS_BYTES_MAX, ADDRESSES_MAX, Exchange, PEER_RECORDS_MAX, PeerRecord, RANGES_MAX, Range, STATUS_NEIGHBOURS_MAX,
};
use crate::log::{Head, SAMPLES_MAX, SignedDelta};
use crate::trust::{Evidence, Exclusion, RECORDS_MAX, Vote};

/// Largest sequence number: a peer that says a million deltas a second gets there in nine years. With at most
/// [`ORIGINS_MAX`] origins every sum of sequence numbers fits into 64 bits.
pub const SEQ_MAX: u64 = (1 << 48) - 1;
/// Most origins in a version vector or a snapshot: lives of peers that the swarm has ever heard. A log takes no more: what every honest
/// peer says of its set once a second must fit a frame ([`super::frame_bytes_max`]) everywhere.
pub const ORIGINS_MAX: usize = 1 << 14;
/// Most deltas in one message.
pub const DELTAS_MAX: usize = 64;
/// Most bytes of their payloads together: as a part of a snapshot, small enough for others to pass between two of them.
pub const DELTAS_BYTES_MAX: usize = 256 << 10;

impl Message {
    /// What in it is beyond every bound, if anything: whoever says that is broken or lies.
    #[must_use]
    pub fn out_of_bounds(&self) -> Option<&'static str> {
        let fine = match self {
            Self::Digest { heard, excluded, marks, .. } => {
                heard.len() <= ORIGINS_MAX
                    && heard.iter().all(|(_, seq)| seq >= 1 && is_seq(seq))
                    && excluded.len() <= ORIGINS_MAX
                    && excluded.iter().all(|&(_, seq)| is_seq(seq))
                    && (marks.is_empty() || marks.len() == heard.len())
            }
            Self::Delta(signed) => is_seq(signed.header.seq) && is_seq(signed.header.round),
            Self::Deltas(deltas) => are_of_one_chain(deltas),
            Self::Status(status) => is_seq(status.round) && status.neighbours.len() <= STATUS_NEIGHBOURS_MAX,
            Self::Peers(records) => records.len() <= PEER_RECORDS_MAX && records.iter().all(is_place),
            Self::Offer(ranges) | Self::Want(ranges) => {
                ranges.len() <= RANGES_MAX
                    && ranges.iter().all(|range: &Range| is_seq(range.first) && is_seq(range.last))
            }
            Self::SnapshotHead(head) => {
                are_heads(&head.heads) && head.exclusions.len() <= RECORDS_MAX && head.exclusions.iter().all(is_record)
            }
            Self::SnapshotCheck { heads, excluded, .. } => are_heads(heads) && excluded.len() <= ORIGINS_MAX,
            Self::Vote(vote) => is_vote(vote),
            Self::Exclusion(record) => is_record(record),
            Self::ExchangeSay { exchange, part } | Self::ExchangeAnswer { exchange, part } => {
                is_exchange(exchange) && part.load >= 1
            }
            Self::ExchangeDone { exchange } | Self::ExchangeLost { exchange } => is_exchange(exchange),
            Self::SnapshotOffer { .. }
            | Self::SnapshotAsk
            | Self::SnapshotWant { .. }
            | Self::SnapshotPart { .. }
            | Self::SnapshotChecked { .. }
            | Self::Bye
            | Self::ExchangeAsk => true,
        };
        (!fine).then_some("it said a number, or more at once, than any honest peer says")
    }
}

/// Sequence numbers begin at 1; a range may say 0 for nothing.
fn is_seq(seq: u64) -> bool {
    seq <= SEQ_MAX
}

/// One form for one content: whoever sends a single delta says [`Message::Delta`].
fn are_of_one_chain(deltas: &[Arc<SignedDelta>]) -> bool {
    let follows = |a: &Arc<SignedDelta>, b: &Arc<SignedDelta>| {
        (a.header.origin, a.header.seq.saturating_add(1)) == (b.header.origin, b.header.seq)
    };
    (2..=DELTAS_MAX).contains(&deltas.len())
        && deltas.iter().map(|delta| delta.payload.len()).sum::<usize>() <= DELTAS_BYTES_MAX
        && deltas.iter().all(|delta| is_seq(delta.header.seq) && is_seq(delta.header.round))
        && deltas.is_sorted_by(follows)
}

fn is_exchange(exchange: &Exchange) -> bool {
    exchange.seq >= 1 && is_seq(exchange.seq) && is_seq(exchange.epoch)
}

fn are_heads(heads: &[Head]) -> bool {
    heads.len() <= ORIGINS_MAX
        && heads.iter().all(|head| head.seq >= 1 && is_seq(head.seq))
        && heads.iter().all(|head| head.samples <= head.seq.saturating_mul(SAMPLES_MAX))
        // Sorted and without repetition: one form for one set.
        && heads.is_sorted_by(|a, b| a.origin < b.origin)
}

fn is_place(record: &PeerRecord) -> bool {
    record.addresses.len() <= ADDRESSES_MAX && record.addresses.iter().all(|text| text.len() <= ADDRESS_BYTES_MAX)
}

fn is_vote(vote: &Vote) -> bool {
    is_seq(vote.from_seq) && is_seq(vote.seen)
}

fn is_record(record: &Exclusion) -> bool {
    let evidence = match &record.evidence {
        Evidence::Votes(votes) => votes.iter().all(is_vote),
        Evidence::Equivocation(proof) => proof.is_within_bounds(),
    };
    is_seq(record.from_seq) && evidence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Hash, Origin, PeerId};
    use crate::log::{MARK_BYTES, VersionVector};
    use crate::wire::SnapshotHead;

    fn origin(i: u8) -> Origin {
        Origin { peer: PeerId([i; 32]), incarnation: 1 }
    }

    fn head(heads: Vec<(Origin, u64, Hash)>) -> Message {
        heads_with(heads, 1)
    }

    fn heads_with(heads: Vec<(Origin, u64, Hash)>, samples: u64) -> Message {
        let heads = heads.into_iter().map(|(origin, seq, hash)| Head { origin, seq, hash, samples }).collect();
        Message::SnapshotHead(SnapshotHead { base_hash: Hash::ZERO, parameters: 1, heads, exclusions: Vec::new() })
    }

    fn digest(seq: u64) -> Message {
        let heard: VersionVector = [(origin(1), seq)].into_iter().collect();
        digest_with(heard, 1)
    }

    fn digest_with(heard: VersionVector, marks: usize) -> Message {
        let marks = vec![[0; MARK_BYTES]; marks];
        Message::Digest { heard, excluded: Vec::new(), salt: 1, marks, base_hash: None, answer: false }
    }

    fn place(addresses: usize, bytes: usize) -> PeerRecord {
        PeerRecord { peer: PeerId([1; 32]), addresses: vec!["x".repeat(bytes); addresses] }
    }

    fn status(neighbours: usize) -> crate::wire::Status {
        crate::wire::Status {
            incarnation: 1,
            steps: 0,
            steps_per_second: 0.0,
            train_loss: 0.0,
            heard: Hash::ZERO,
            neighbours: vec![1; neighbours],
            finished: false,
            round: 0,
        }
    }

    #[test]
    fn what_honest_peers_say_passes() {
        let good = [
            digest(SEQ_MAX),
            digest_with([(origin(1), 1), (origin(2), 1)].into_iter().collect(), 0),
            head(vec![(origin(1), 1, Hash::ZERO), (origin(2), SEQ_MAX, Hash::ZERO)]),
            Message::Offer(vec![Range { origin: origin(1), first: 1, last: 9 }; RANGES_MAX]),
            Message::Peers(vec![place(ADDRESSES_MAX, ADDRESS_BYTES_MAX); PEER_RECORDS_MAX]),
            Message::Status(status(STATUS_NEIGHBOURS_MAX)),
            Message::Bye,
        ];
        assert!(good.iter().all(|message| message.out_of_bounds().is_none()));
    }

    #[test]
    fn numbers_beyond_all_bounds_are_seen_wherever_they_stand() {
        let huge = Range { origin: origin(1), first: 1, last: u64::MAX };
        let twice = vec![(origin(1), 1, Hash::ZERO), (origin(1), 2, Hash::ZERO)];
        let bad = [
            digest(SEQ_MAX + 1),
            digest_with([(origin(1), 1), (origin(2), 1)].into_iter().collect(), 1),
            digest_with(VersionVector::new(), 1),
            head(vec![(origin(1), u64::MAX, Hash::ZERO)]),
            head(vec![(origin(1), 0, Hash::ZERO)]),
            head(twice),
            heads_with(vec![(origin(1), 2, Hash::ZERO)], 2 * SAMPLES_MAX + 1),
            Message::Offer(vec![huge]),
            Message::Want(vec![huge]),
            Message::Offer(vec![Range { last: 2, ..huge }; RANGES_MAX + 1]),
            Message::Peers(vec![place(1, 1); PEER_RECORDS_MAX + 1]),
            Message::Peers(vec![place(ADDRESSES_MAX + 1, 1)]),
            Message::Peers(vec![place(1, ADDRESS_BYTES_MAX + 1)]),
            Message::Status(status(STATUS_NEIGHBOURS_MAX + 1)),
        ];
        for message in bad {
            assert!(message.out_of_bounds().is_some(), "{message:?}");
        }
    }
}

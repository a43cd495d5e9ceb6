//! Records that we agree with and cannot carry out: the log no longer holds all that they take back.
//!
//! Of a liar it costs nothing to make such a record about itself: it contradicts a delta that has left every log, and there is
//! no base without it anywhere. So a pending record
//!
//! 1. stands before no other one that can be carried out;
//! 2. parts us from that peer, and takes its voice, at once: whom we are linked with is no part of the set;
//! 3. lets nothing new of it in: its next delta waits at the gate, and we vote to leave it out from there on. That number has to be
//!    agreed on. Were each peer to stop where it stands, those who had heard one delta more would keep another base for ever. A vote begins
//!    behind our head, so it takes back what lately went in and every log has, and its window is open: everybody who knows the record votes,
//!    whether it has seen that next delta or not, and the windows of all overlap. More than half of the electorate decide, as of any
//!    other liar; where they do not, what waited goes in when the hold ends, so that the sets are equal again, and the next one waits again;
//! 4. waits for a neighbour that can help: what it takes back (`gathering.rs`), or a base without that, taken as any snapshot.
//!
//! Until then our version vector names exactly what is in our base.

use super::super::Digest;
use super::super::restraint::far_ahead;
use crate::event::Event;
use crate::id::{Origin, PeerId};
use crate::log::VersionVector;
use crate::peer::Peer;
use crate::trust::audit::Act;
use crate::trust::{Exclusion, Reason};
use crate::wire::SEQ_MAX;

use super::VOTE_AGAIN;

/// Numbers that a vote about such a peer spans. guess: the heads of two peers that hear the same never differ by as many.
const WINDOW: u64 = 1 << 20;
/// What such a vote and hold are named: the wire has no word for a proof that nobody can carry out, and nobody decides by that name.
const REASON: Reason = Reason::Stale;

impl Peer {
    /// Keeps a record that cannot be carried out.
    pub(super) fn suspend(&mut self, record: Exclusion) {
        let peer = record.about.peer;
        self.guard.pending.insert(peer, record);
        self.part_from(peer, "it is to be excluded");
        // Of its lives it can still go on with, the latest: to leave that one out leaves out all that it begins after it.
        let latest = self.log.heard().lives(peer).last();
        if let Some((life, last)) = latest.filter(|(life, last)| *last < SEQ_MAX && self.is_pending(*life, last + 1)) {
            self.hold_pending(life, last + 1);
        }
    }

    /// Whether a record that we cannot carry out leaves that delta out. Where a number is agreed on for that life, what comes before it is
    /// in the set of all.
    pub(super) fn is_pending(&self, origin: Origin, seq: u64) -> bool {
        self.guard.lets_in != Some(origin)
            && self.log.excluded().last_allowed(origin) == u64::MAX
            && self
                .guard
                .pending
                .get(&origin.peer)
                .is_some_and(|record| (origin.incarnation, seq) >= (record.about.incarnation, record.from_seq))
    }

    /// Puts a life on hold from there on, if there is a hold left, and votes to leave it out. Whoever still hears the past does not know
    /// where that chain stands, and votes later.
    pub(super) fn hold_pending(&mut self, origin: Origin, from_seq: u64) {
        let now = self.now;
        if !self.guard.holds.contains_key(&origin) {
            if !self.guard.has_room_for_a_hold() {
                return;
            }
            self.guard.hold(origin, REASON, from_seq, now, now + self.config.trust.hold_max);
            self.event(Event::Held { origin, from_seq, reason: REASON });
            self.audit(Act::Hold, origin, from_seq, 0, "a record about it cannot be carried out".into());
        }
        let past = self.hears_the_past();
        let Some(hold) = self.guard.holds.get_mut(&origin) else { return };
        hold.seen = hold.seen.max(from_seq.saturating_add(WINDOW).min(SEQ_MAX));
        if past {
            return;
        }
        hold.vote_again = now + VOTE_AGAIN;
        let (window, reason) = ((hold.from_seq, hold.seen), hold.reason);
        self.vote(origin, window, reason);
    }

    /// Whether that neighbour has a base without something that we cannot take back. One such record is enough: another may be one that
    /// nobody can ever carry out.
    pub(super) fn seek_help(&mut self, from: PeerId, theirs: &Digest) {
        // Who has left a liar out lacks all that it said, which may be more than what all others have.
        let of_others = |set: &VersionVector| {
            set.iter().filter(|(origin, _)| !self.guard.pending.contains_key(&origin.peer)).collect::<VersionVector>()
        };
        let is_behind =
            !self.guard.pending.is_empty() && far_ahead(&of_others(self.log.heard()), &of_others(&theirs.heard));
        if is_behind || self.gather(from, theirs) {
            return;
        }
        if self.guard.pending.values().any(|record| theirs.is_without(record)) {
            self.ask_base_without(from);
        }
    }
}

#[cfg(test)]
mod tests;

//! Forks: an origin that says one thing here and another there makes two sets of one name.
//!
//! Its neighbours never pass its deltas on to each other, since each has one of that number, so nothing else would show it: the sets are
//! equal by name, and the bases are not. So every digest marks the head of every chain ([`crate::log::Mark`]), and who has another
//! delta of that number asks for theirs, which beside its own is proof. All heads at once, and not one drawn at random: an origin could
//! have made thousands of names first, behind which it would not have been found before the logs had turned over.
//!
//! Where our log has let go of our delta there is no proof any more, by us or, if theirs has, by anybody. People are told.

use rand_chacha::rand_core::Rng as _;

use super::Digest;
use crate::event::Event;
use crate::id::{Origin, PeerId};
use crate::log::Differs;
use crate::peer::Peer;
use crate::tokens::Tokens;
use crate::wire::{Message, Range};

/// Deltas that are asked for because of one digest. They are drawn among all that differ, of each peer one: who says two things under a
/// thousand names does not hide who does under one. guess: a few hundred kilobytes of a common delta; the rest is there at the next
/// digests, without those that are proved by then.
const FORKS_ASKED_MAX: usize = 16;

/// People are told so often at once, and so often a second after that, whoever it is: neighbours come and go by names that cost nothing. guess: what
/// a person reads.
const TOLD_BURST: f64 = 16.0;
const TOLD_A_SECOND: f64 = 1.0 / 60.0;

/// How often people were told.
#[derive(Debug)]
pub(crate) struct Forks {
    told: Tokens,
}

impl Default for Forks {
    fn default() -> Self {
        Self { told: Tokens::new(TOLD_BURST, TOLD_A_SECOND) }
    }
}

/// So many of those that came by, each as likely as another.
struct Drawn<T> {
    kept: Vec<T>,
    seen: u64,
    most: usize,
}

impl<T> Drawn<T> {
    fn new(most: usize) -> Self {
        Self { kept: Vec::new(), seen: 0, most }
    }

    /// `draw` is a random number.
    fn take(&mut self, one: T, draw: impl FnOnce() -> u64) {
        self.seen += 1;
        if self.kept.len() < self.most {
            return self.kept.push(one);
        }
        // The bias of the remainder is below 2^-49 for the heads of a set.
        let place = usize::try_from(draw() % self.seen).ok().and_then(|place| self.kept.get_mut(place));
        if let Some(place) = place {
            *place = one;
        }
    }
}

impl Peer {
    /// Compares the heads of a neighbour's chains with what we have under their numbers.
    pub(super) fn compare_marks(&mut self, from: PeerId, digest: &Digest) {
        if !self.config.trust.enabled {
            return;
        }
        let (mut asked, mut lost) = (Drawn::new(FORKS_ASKED_MAX), Drawn::new(1));
        let mut last: Option<PeerId> = None;
        let (log, guard, rng) = (&self.log, &self.guard, &mut self.rng);
        for Differs { origin, seq, retained } in log.differing(&digest.heard, digest.salt, &digest.marks) {
            if !retained {
                if guard.pending.contains_key(&origin.peer) {
                    continue; // It is proved, and a base without it is on its way.
                }
                lost.take((origin, seq), || rng.next_u64());
            } else if last != Some(origin.peer) {
                // A proof about its first life speaks of the later ones, too.
                last = Some(origin.peer);
                asked.take(Range { origin, first: seq, last: seq }, || rng.next_u64());
            }
        }
        if !asked.kept.is_empty() {
            self.send(from, Message::Want(asked.kept));
        }
        self.tell_of_lost(from, lost.kept.pop());
    }

    fn tell_of_lost(&mut self, from: PeerId, lost: Option<(Origin, u64)>) {
        if let Some((origin, seq)) = lost
            && self.may_tell_apart(from)
        {
            self.event(Event::HeadMismatch { peer: from, origin, seq });
        }
    }

    /// Whether people are told once more that a neighbour and we differ: it may say so as often as it likes.
    pub(super) fn may_tell_apart(&mut self, from: PeerId) -> bool {
        let now = self.now;
        self.members.neighbour_mut(from).is_some_and(|neighbour| neighbour.may_be_told_apart(now))
            && self.forks.told.take(now)
    }
}

#[cfg(test)]
mod tests;

//! Restraint: what an honest peer does so that no honest peer suspects it.
//!
//! Suspicion compares lengths (`trust/suspicion/norm.rs`), and a peer that was away, began before it had caught up, or gave up a
//! history of its own has much to say at once. Nothing of it has to be said at once: what a delta leaves out stays in the
//! residual. So the origin obeys the bars of the others before they have to judge it:
//!
//! - **No delta is longer than is usual.** ||v|| and ||w v|| stay below [`SHARE`] of the bars of `norm`, by the medians of today that
//!   this peer knows itself (not by what was usual a minute ago: newcomers judge, too, and know nothing of it); `v` is scaled down as a whole (gradient clipping by norm, Pascanu, Mikolov and Bengio 2013, on
//!   what is said and not on what is learnt).
//! - **Who does not know where the swarm stands listens first**: it lacks most of what has been said, or a neighbour has not told
//!   it anything yet, and it takes those that it knows for the whole swarm. It trains on and says nothing, for no longer than [`LISTENS_MAX`] at
//!   a time and an eleventh of the time in the long run, so nobody can silence it by big words.
//!
//! - **Who stood still** (see `clock.rs`) does not know either, and listens until its neighbours have told it anew.
//!
//! The other way round, a peer judges nobody by what it hears while it catches up: the past of each comes in one piece, and what was usual
//! when it was said is not what is usual today. Those who were there have judged it. Nobody else can make a peer a newcomer, or stop it.
//!
//! The bounds are of this peer's own choice, so no two peers need agree on them, and equal sets stay equal bases.

use crate::fixed::Weight;
use crate::log::VersionVector;
use crate::peer::Peer;
use crate::time::{Span, Time};

/// Of the length at which others begin to suspect: their medians are not quite ours, and whoever pulls against the others has a
/// bar of two thirds (`trust/suspicion/direction.rs`).
const SHARE: f32 = 0.5;
/// A peer that lacks fewer deltas than this is not behind: so many may be on their way.
const BEHIND_MIN: u64 = 64;
/// A peer says nothing for so long at most: as long as catching up may take before training.
const LISTENS_MAX: Span = Span::from_secs(20);
/// A peer that stood still catches up for so long.
const WAKES: Span = Span::from_secs(5);
/// Of the time in which it may speak, what it may listen for again.
const REGAINED: f64 = 0.1;

/// How long this peer has held back: a bucket of [`LISTENS_MAX`] that fills again while it speaks.
#[derive(Debug, Default)]
pub(crate) struct Restraint {
    /// Seconds listened and not regained yet.
    spent: f64,
    listens: bool,
    asked: Time,
    /// When the peer last found that it had stood still.
    woke: Option<Time>,
}

impl Restraint {
    /// Whether to listen, when there is `reason` to.
    fn listens(&mut self, now: Time, reason: bool) -> bool {
        let since = (now - std::mem::replace(&mut self.asked, now)).as_secs_f64();
        // Whoever is stopped for hours while it listens has not listened for hours.
        let listened = since.min(LISTENS_MAX.as_secs_f64());
        self.spent = (self.spent + if self.listens { listened } else { -REGAINED * since }).max(0.0);
        self.listens = reason && self.spent < LISTENS_MAX.as_secs_f64();
        self.listens
    }
}

impl Peer {
    /// It stood still: the neighbours are asked what they have by now, and count as new ones until they say so.
    pub(crate) fn awake(&mut self) {
        self.restraint.woke = Some(self.now);
        self.came_back();
        for peer in self.members.neighbour_ids() {
            if let Some(neighbour) = self.members.neighbour_mut(peer) {
                neighbour.confirmed = None;
            }
            self.send_digest(peer, true);
        }
    }

    fn woke_lately(&self) -> bool {
        self.restraint.woke.is_some_and(|woke| self.now - woke < WAKES)
    }

    /// Whether what is heard is the past, and no reason to suspect anybody.
    pub(super) fn hears_the_past(&self) -> bool {
        self.session.is_joining() || self.woke_lately()
    }

    /// Whether the next delta had better wait until this peer has heard what the swarm has said.
    pub(super) fn listens_first(&mut self) -> bool {
        if self.in_rounds() || self.in_pairs() || !self.config.trust.enabled {
            return false;
        }
        let reason = self.is_new_here() || self.is_far_behind();
        self.restraint.listens(self.now, reason)
    }

    /// Whether a neighbour has not said yet what it has: behind it may be the whole swarm, which may hear us already.
    fn is_new_here(&self) -> bool {
        let nobody = self.members.neighbour_count() == 0;
        (nobody && self.woke_lately()) || self.members.neighbours().any(|(_, neighbour)| neighbour.confirmed.is_none())
    }

    /// Whether we lack more than half of what a neighbour has, by its own words. Those that were far ahead when they said so are
    /// looked at again: there are none but for a while.
    fn is_far_behind(&self) -> bool {
        let ahead = self.members.neighbours().filter(|(_, neighbour)| neighbour.far_ahead);
        ahead
            .filter_map(|(_, neighbour)| neighbour.confirmed.as_ref())
            .any(|theirs| far_ahead(theirs, self.log.heard()))
    }

    /// The greatest length ||v|| of a delta of that weight and so many steps that nobody suspects; infinite when nobody could.
    pub(super) fn norm_max(&mut self, weight: Weight, steps: u32) -> f32 {
        let limit = self.context.limits.norm_max;
        if self.in_rounds() || !self.config.trust.enabled {
            return limit;
        }
        let bar = self.guard.ledger.longest_usual(self.now, weight, steps, &self.config.trust);
        limit.min(SHARE * bar)
    }
}

/// Whether of what `theirs` holds more than half is missing in `ours`, and not only what may be on its way.
pub(super) fn far_ahead(theirs: &VersionVector, ours: &VersionVector) -> bool {
    let sum = |sum: u64, deltas: u64| sum.saturating_add(deltas);
    let lacking = theirs.ahead_of(ours).map(|(_, first, last)| last - first + 1).fold(0, sum);
    lacking >= BEHIND_MIN && lacking > theirs.iter().map(|(_, seq)| seq).fold(0, sum) / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TriggerRule;
    use crate::event::Input;
    use crate::id::{Origin, PeerId};
    use crate::learner::Command;
    use crate::mode::incremental::alone::Alone;
    use crate::trust::Identity;
    use crate::wire::Message;

    /// Time until the first delta is taken.
    fn silence(alone: &mut Alone) -> Span {
        let begin = alone.now;
        while !matches!(alone.answer(), Command::TakeDelta { .. }) {}
        alone.now - begin
    }

    fn digest(from: PeerId, deltas: u64) -> Input {
        let heard = [(Origin { peer: from, incarnation: 1 }, deltas)].into_iter().collect();
        let message =
            Message::Digest { heard, excluded: Vec::new(), salt: 0, marks: Vec::new(), base_hash: None, answer: false };
        Input::Message { from, message }
    }

    #[test]
    fn who_lacks_most_of_what_was_said_listens_for_a_while_and_trains_on() {
        let neighbour = Identity::from_seed(&[2; 32]).peer_id();
        for (deltas, listens) in [(2 * BEHIND_MIN, true), (BEHIND_MIN - 1, false)] {
            let mut alone = Alone::new(TriggerRule::EveryH);
            alone.input(Input::Connected { peer: neighbour });
            alone.input(digest(neighbour, deltas));
            let silent = silence(&mut alone);
            assert_eq!(silent >= LISTENS_MAX, listens, "{deltas}: {silent:?}");
            assert!(silent < Span(LISTENS_MAX.0 + Span::from_secs(1).0), "by big words nobody is silenced for longer");
            assert!(silence(&mut alone) < Span::from_secs(1), "nor again at once");
            // In the long run it listens for an eleventh of the time: H = 4 of 100 steps a second are 25 deltas a second.
            let begin = alone.now;
            let deltas =
                std::iter::from_fn(|| (alone.now - begin < Span::from_secs(60)).then(|| silence(&mut alone))).count();
            assert!(deltas > 25 * 60 * 8 / 10, "{deltas}");
        }
    }

    #[test]
    fn a_short_wait_leaves_the_rest_of_the_time_for_later() {
        let mut restraint = Restraint::default();
        let at = |seconds| Time(0) + Span::from_secs(seconds);
        assert!(
            restraint.listens(at(0), true) && !restraint.listens(at(1), false),
            "for the first word of a neighbour"
        );
        // A heal a minute later.
        let silent = (60..100).take_while(|&second| restraint.listens(at(second), true)).count();
        assert_eq!(silent, 20);
        assert_eq!(
            (81..91).filter(|&second| restraint.listens(at(second), true)).count(),
            1,
            "a tenth of the time after that"
        );
    }

    #[test]
    fn who_was_stopped_while_it_listened_may_listen_again_soon() {
        let mut restraint = Restraint::default();
        let at = |seconds| Time(0) + Span::from_secs(seconds);
        assert!(restraint.listens(at(0), true));
        // Eight hours later.
        assert!(!restraint.listens(at(28_800), true));
        assert!(restraint.listens(at(28_800 + 2 * 200), true), "minutes, not days");
    }

    #[test]
    fn who_has_just_met_its_neighbours_waits_for_the_first_word_of_one() {
        let neighbour = Identity::from_seed(&[2; 32]).peer_id();
        let mut alone = Alone::new(TriggerRule::EveryH);
        alone.input(Input::Connected { peer: neighbour });
        for _ in 0..100 {
            assert!(!matches!(alone.answer(), Command::TakeDelta { .. }));
        }
        alone.input(digest(neighbour, 0));
        assert!(silence(&mut alone) < Span::from_secs(1));
    }
}

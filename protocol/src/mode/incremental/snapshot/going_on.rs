//! What keeps a snapshot coming: parts that were lost are asked for again, a giver that has gone or is too slow is replaced.
//!
//! What has come is kept. The hash in the head names the base, so anybody who has the same one can give the rest: the old giver when it is
//! back, or a witness, which has made that very base to compare it (`witness.rs`). They are asked as witnesses are; who says yes is asked
//! for the next part. When nobody has it another snapshot is asked for.

use super::{Stage, Taking, check_of};
use crate::event::{Event, Timer};
use crate::id::PeerId;
use crate::log::VersionVector;
use crate::membership::Neighbour;
use crate::peer::Peer;
use crate::time::{Span, Time};
use crate::wire::{Message, SNAPSHOT_PART_BYTES};

/// How often a snapshot on its way is looked after.
const TICK: Span = Span::from_millis(250);
/// What a taker lacks for so long is asked for again, if parts have not been slower than half of that.
const RETRY: Span = Span::from_secs(1);
/// A giver from which nothing new came for so long is given up.
const STALL_MAX: Span = Span::from_secs(5);
/// And one that took over, before its first part.
const TAKE_OVER_MAX: Span = Span::from_secs(2);
/// A giver that is gone may be back within this, when nobody else has anything to give. guess: a link that broke is dialled every second.
const CUT_MAX: Span = Span::from_secs(5);
/// A giver whose snapshot came to nothing for a reason that may pass is not asked again for so long.
const FAILED_PAUSE: Span = Span::from_secs(5);
/// What is too slow is so over this time.
const PACE_WINDOW: Span = Span::from_secs(5);
/// Bytes a second below which another giver is tried, and a newcomer does not wait for the snapshot before it begins. guess: a
/// quarter of a poor uplink.
const PACE_FLOOR: u64 = 256 << 10;
/// Givers of one snapshot that are given up as too slow: it may be we who are.
const TOO_SLOW_MAX: u32 = 2;

/// How fast parts come.
#[derive(Debug, Default)]
pub(super) struct Pace {
    window: Time,
    parts: u64,
    /// The longest time between two parts.
    gap: Span,
    /// Whether the last whole window was below the floor.
    is_slow: bool,
    given_up: u32,
}

impl Pace {
    pub(super) fn from(now: Time) -> Self {
        Self { window: now, ..Self::default() }
    }

    /// A part came, so long after the one before it.
    pub(super) fn part(&mut self, gap: Span) {
        self.parts += 1;
        self.gap = self.gap.max(gap);
    }

    /// Time without a part after which it counts as lost.
    fn patience(&self) -> Span {
        RETRY.max(Span(2 * self.gap.0)).min(STALL_MAX)
    }

    fn look(&mut self, now: Time) {
        let (time, bytes) = (now - self.window, self.parts * SNAPSHOT_PART_BYTES as u64);
        if time >= PACE_WINDOW {
            self.is_slow = (bytes as f64) < PACE_FLOOR as f64 * time.as_secs_f64();
            (self.window, self.parts) = (now, 0);
        }
    }

    /// Another giver sends from now on.
    fn begin_anew(&mut self, now: Time) {
        *self = Self { window: now, given_up: self.given_up, ..Self::default() };
    }
}

impl Taking {
    /// Whether parts come so slowly that others had better be asked.
    pub(super) fn is_slow(&self) -> bool {
        self.pace.is_slow
    }
}

impl Peer {
    /// Sees to it that a snapshot on its way is looked after.
    pub(super) fn watch_snapshot(&mut self) {
        if !self.snapshots.timer_set {
            self.snapshots.timer_set = true;
            self.set_timer(self.now + TICK, Timer::Snapshot);
        }
    }

    pub(crate) fn snapshot_due(&mut self) {
        self.snapshots.timer_set = false;
        self.keep_coming();
        self.judge_snapshot();
        self.ask_witnesses();
        if self.snapshots.is_taking() && !self.snapshots.is_restoring() {
            self.watch_snapshot();
        }
    }

    /// Asks again for what is lost, and gives up who sends nothing, or too slowly.
    fn keep_coming(&mut self) {
        let now = self.now;
        let Some(taking) = &mut self.snapshots.taking else { return };
        if taking.cut.is_some() {
            return self.ask_holder();
        }
        let waited = now - taking.progress_at;
        let patience = taking.pace.patience();
        let is_due = now - taking.progress_at.max(taking.asked_at) >= patience;
        let again = match &mut taking.stage {
            Stage::Checking { .. } | Stage::Whole { .. } | Stage::Restoring { .. } => return,
            Stage::Asked if waited >= STALL_MAX => return self.snapshot_failed("no progress"),
            Stage::Asked => Message::SnapshotAsk,
            Stage::Parts { head, base, asked, .. } => {
                let took_over = taking.pace.given_up > 0 && taking.pace.parts == 0;
                taking.pace.look(now);
                if waited >= if took_over { TAKE_OVER_MAX } else { STALL_MAX } {
                    return self.snapshot_cut("no progress");
                }
                if taking.pace.is_slow && taking.pace.given_up < TOO_SLOW_MAX {
                    return self.leave_slow_giver();
                }
                if !is_due {
                    return;
                }
                // Those behind the missing part were dropped; they are asked for again once it is here.
                let offset = 4 * base.len() as u64;
                *asked = offset + SNAPSHOT_PART_BYTES as u64;
                Message::SnapshotWant { base_hash: head.base_hash, offset }
            }
        };
        if is_due {
            taking.asked_at = now;
            let from = taking.from;
            self.send(from, again);
        }
    }

    /// Another one is tried, where there is one.
    fn leave_slow_giver(&mut self) {
        let Some(taking) = &self.snapshots.taking else { return };
        if self.next_giver(taking.from, &taking.lacks).is_some() {
            self.snapshot_cut("it is too slow, and others have the same");
        }
    }

    /// Whether a snapshot is on its way that is worth waiting for.
    pub(crate) fn snapshot_comes_well(&self) -> bool {
        let parts = |taking: &&Taking| matches!(taking.stage, Stage::Parts { .. }) && taking.cut.is_none();
        self.snapshots.taking.as_ref().filter(parts).is_some_and(|taking| !taking.pace.is_slow)
    }

    pub(crate) fn snapshot_source_lost(&mut self, peer: PeerId) {
        self.snapshots.waiting.retain(|waiting| *waiting != peer);
        if let Some(taking) = &mut self.snapshots.taking {
            taking.checks.gone(peer);
        }
        match &self.snapshots.taking {
            Some(Taking { from, stage: Stage::Asked, .. }) if *from == peer => {
                self.snapshot_failed("the giver is gone");
            }
            Some(Taking { from, stage: Stage::Parts { .. }, cut: None, .. }) if *from == peer => {
                self.snapshot_cut("the giver is gone");
            }
            _ => {}
        }
    }

    /// Its giver sends no more: somebody else is looked for who has the same.
    fn snapshot_cut(&mut self, reason: &'static str) {
        let now = self.now;
        let Some(taking) = &mut self.snapshots.taking else { return };
        taking.cut = Some((now, reason));
        taking.pace.given_up += 1;
        taking.checks.look_for_a_holder();
        let from = taking.from;
        if self.members.neighbour(from).is_some() {
            // It is there, and does not send.
            self.snapshots.passed_over.insert(from, now + FAILED_PAUSE);
        }
        self.ask_holder();
    }

    /// Asks the next one who may have that very snapshot: first who had the same base when it was asked.
    pub(super) fn ask_holder(&mut self) {
        let now = self.now;
        let Some(taking) = &self.snapshots.taking else { return };
        let (Some((since, reason)), Stage::Parts { head, .. }) = (taking.cut, &taking.stage) else { return };
        if taking.checks.waits_for_holder(now) {
            return;
        }
        let others = self.members.neighbours().map(|(peer, _)| peer);
        let others = others.filter(|peer| !taking.checks.was_tried(peer) && !self.is_passed_over(*peer));
        let next = others.min_by_key(|peer| !taking.checks.has_the_same(peer));
        let check = check_of(head);
        match next {
            Some(holder) => {
                if let Some(taking) = &mut self.snapshots.taking {
                    taking.checks.ask_to_hold(holder, now);
                }
                self.send(holder, check);
            }
            None if now - since >= CUT_MAX || self.next_giver(taking.from, &taking.lacks).is_some() => {
                self.snapshot_failed(reason);
            }
            None => {}
        }
    }

    /// Somebody has the same base, and it is the rest of it that we want.
    pub(super) fn go_on_with(&mut self, holder: PeerId) {
        let now = self.now;
        let Some(taking) = &mut self.snapshots.taking else { return };
        let Stage::Parts { head, base, asked, .. } = &mut taking.stage else { return };
        let base_hash = head.base_hash;
        *asked = 4 * base.len() as u64;
        (taking.from, taking.cut, taking.progress_at, taking.asked_at) = (holder, None, now, now);
        taking.pace.begin_anew(now);
        self.want_parts(holder, base_hash);
    }

    /// Another neighbour that has what we lack: more than half of all, to whoever has nothing of its own, and else those deltas
    /// that made us ask.
    pub(super) fn next_giver(&self, failed: PeerId, lacks: &VersionVector) -> Option<PeerId> {
        let (ours, newcomer) = (self.log.heard(), self.has_nothing_of_its_own());
        let still: VersionVector = lacks.iter().filter(|(origin, seq)| *seq > ours.get(origin)).collect();
        let gives = |neighbour: &Neighbour| {
            let heard = neighbour.confirmed.as_ref();
            heard.is_some_and(|heard| (newcomer && neighbour.far_ahead) || (!still.is_empty() && heard.covers(&still)))
        };
        let mut others = self.members.neighbours().filter(|(peer, _)| *peer != failed && !self.is_passed_over(*peer));
        others.find(|(peer, neighbour)| gives(neighbour) && self.is_behind(*peer)).map(|(peer, _)| peer)
    }

    pub(super) fn snapshot_failed(&mut self, reason: &'static str) {
        self.give_up(reason, FAILED_PAUSE);
    }

    /// Gives it up, passes its giver over for so long, and asks another one.
    pub(super) fn give_up(&mut self, reason: &'static str, pause: Span) {
        let Some(taking) = self.snapshots.taking.take() else { return };
        self.event(Event::SnapshotFailed { from: taking.from, reason });
        let now = self.now;
        // Of pairs each has a model of its own, and is asked once.
        if !self.in_pairs() {
            self.snapshots.passed_over.retain(|_, until| now < *until);
            let until = self.snapshots.passed_over.entry(taking.from).or_default();
            *until = (*until).max(now + pause);
        }
        if let Some(next) = self.next_giver(taking.from, &taking.lacks) {
            self.ask_snapshot_of(next, taking.lacks);
        }
        self.try_begin();
    }
}

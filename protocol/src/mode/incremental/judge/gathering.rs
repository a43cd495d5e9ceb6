//! What was taken back is kept for a while, for those whose logs no longer hold it.
//!
//! A liar may ask who still has its first delta, and contradict it when that is one peer alone. That one takes back what it said; all
//! others cannot, and as nobody else can compute such a base, nobody bears witness to it. So whoever takes something back has it at hand for
//! a minute, and gives it to who asks. Who lacks it gathers it from its log's first one downwards: each delta names the one before
//! it by its hash, so no signature is needed, and nobody can give another one. When all is here it is taken back as from the log, and kept
//! for the next one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::super::Digest;
use crate::id::{Hash, Origin, PeerId};
use crate::log::{Delta, SignedDelta, linked};
use crate::peer::Peer;
use crate::time::{Span, Time};
use crate::wire::{DELTAS_BYTES_MAX, DELTAS_MAX, Message, Range};

/// What was taken back is kept for so long. guess: a record and the digests that follow from it are everywhere within ten seconds, and at a
/// piece of 256 KiB in a tenth of a second a whole log is gathered in thirty.
const KEPT_MAX: Span = Span::from_secs(60);
/// And so many bytes of it, the latest: as a log holds.
const KEPT_BYTES_MAX: usize = 64 << 20;
/// A giver of whom nothing comes for so long is left for another one, and a base without all of it may be asked for.
const PATIENCE: Span = Span::from_secs(3);
/// And is not asked again for so long: a piece may have been dropped by a full queue, and whoever only says that it has something holds up a
/// base of others for less than a quarter of the time. guess.
const FAILED_PAUSE: Span = Span::from_secs(10);

/// Both sides.
#[derive(Debug, Default)]
pub(crate) struct TakenBack {
    kept: BTreeMap<(Origin, u64), Delta>,
    /// Since when, the oldest first.
    since: VecDeque<(Time, (Origin, u64))>,
    bytes: usize,
    gathering: Option<Gathering>,
    /// Who has given nothing, and until when it is not asked again: no more than there are neighbours within that time.
    failed: BTreeMap<PeerId, Time>,
}

/// What a record takes back and our log has let go of, as far as it is here.
#[derive(Debug)]
struct Gathering {
    about: Origin,
    from_seq: u64,
    /// Of each chain, up to what the log held when it began.
    runs: BTreeMap<Origin, VecDeque<Delta>>,
    bytes: usize,
    /// Who gives it, until it fails.
    from: Option<PeerId>,
    begun: Time,
    progress_at: Time,
}

impl TakenBack {
    fn keep(&mut self, now: Time, deltas: &[Delta]) {
        for delta in deltas {
            let key = (delta.origin(), delta.seq());
            self.bytes += delta.bytes();
            self.since.push_back((now, key));
            if let Some(before) = self.kept.insert(key, delta.clone()) {
                self.bytes -= before.bytes();
            }
        }
        self.forget(now);
    }

    fn forget(&mut self, now: Time) {
        while let Some(&(since, key)) = self.since.front() {
            if now - since < KEPT_MAX && self.bytes <= KEPT_BYTES_MAX {
                break;
            }
            self.since.pop_front();
            self.bytes -= self.kept.remove(&key).map_or(0, |delta| delta.bytes());
        }
        self.failed.retain(|_, until| now < *until);
    }

    /// Those of a range that were taken back a moment ago, in order.
    pub(in super::super) fn range(&self, Range { origin, first, last }: Range) -> impl Iterator<Item = &Delta> + '_ {
        let range = (first <= last).then(|| self.kept.range((origin, first)..=(origin, last)));
        range.into_iter().flatten().map(|(_, delta)| delta)
    }
}

impl Peer {
    /// Keeps for others what is taken back.
    pub(super) fn keep_taken_back(&mut self, deltas: &[Delta]) {
        self.taken_back.keep(self.now, deltas);
    }

    /// Once a heartbeat.
    pub(super) fn forget_taken_back(&mut self) {
        let now = self.now;
        self.taken_back.forget(now);
        let stands = self.gathered_record().is_some();
        let over = self.taken_back.gathering.take_if(|gathering| !stands || now - gathering.begun >= KEPT_MAX);
        // Whoever gives a little now and then does not keep the others from giving all.
        if let Some(giver) = over.and_then(|gathering| gathering.from) {
            self.taken_back.failed.insert(giver, now + KEPT_MAX);
        }
    }

    /// Gathers from that neighbour what a pending record takes back, if it has just taken that back itself. Returns whether something is
    /// being gathered and comes.
    pub(super) fn gather(&mut self, from: PeerId, theirs: &Digest) -> bool {
        let now = self.now;
        let stands = self.gathered_record().is_some();
        if let Some(gathering) = &mut self.taken_back.gathering
            && stands
            && let Some(giver) = gathering.from
        {
            if now - gathering.progress_at < PATIENCE {
                return true;
            }
            gathering.from = None;
            self.taken_back.failed.insert(giver, now + FAILED_PAUSE);
        }
        if self.taken_back.failed.get(&from).is_some_and(|until| now < *until) {
            return false;
        }
        let given = |(about, from_seq): (Origin, u64)| theirs.excluded.covers(about, from_seq);
        let mut pending = self.guard.pending.values().map(|record| (record.about, record.from_seq));
        let Some((about, from_seq)) = pending.find(|record| given(*record)) else { return false };
        // What is here of it from another one stays, but for what was let go of meanwhile.
        let of_it = |gathering: &Gathering| (gathering.about, gathering.from_seq) == (about, from_seq);
        let gathering = match self.taken_back.gathering.take().filter(of_it) {
            Some(gathering) => Gathering { from: Some(from), progress_at: now, ..gathering },
            None => {
                let cuts = self.log.cuts(about, from_seq).into_iter();
                let run = |(origin, allowed, last)| {
                    (origin, self.log.range(Range { origin, first: allowed + 1, last }).cloned().collect())
                };
                let runs = cuts.map(run).collect();
                Gathering { about, from_seq, runs, bytes: 0, from: Some(from), begun: now, progress_at: now }
            }
        };
        self.taken_back.gathering = Some(gathering);
        self.want_older();
        true
    }

    /// The pending record that is being gathered for.
    fn gathered_record(&self) -> Option<&crate::trust::Exclusion> {
        let gathering = self.taken_back.gathering.as_ref()?;
        let record = self.guard.pending.get(&gathering.about.peer)?;
        ((record.about, record.from_seq) == (gathering.about, gathering.from_seq)).then_some(record)
    }

    /// Asks for the next piece, one message; carries the record out when nothing is missing.
    fn want_older(&mut self) {
        let Some(gathering) = &self.taken_back.gathering else { return };
        let Some(giver) = gathering.from else { return };
        let lacking =
            self.log.cuts(gathering.about, gathering.from_seq).into_iter().find_map(|(origin, allowed, _)| {
                let front = gathering.runs.get(&origin).and_then(VecDeque::front);
                let (next, _) = self.next_older(front, origin);
                // Those below are about as large.
                let fit =
                    front.map_or(1, |delta| (DELTAS_BYTES_MAX / delta.bytes().max(1)).clamp(1, DELTAS_MAX)) as u64;
                (next > allowed).then(|| Range {
                    origin,
                    first: next.saturating_sub(fit - 1).max(allowed + 1),
                    last: next,
                })
            });
        match lacking {
            Some(range) => self.send(giver, Message::Want(vec![range])),
            None => self.carry_out_gathered(),
        }
    }

    /// Which delta is wanted before that one, or before those in our log, and its hash.
    fn next_older(&self, front: Option<&Delta>, origin: Origin) -> (u64, Hash) {
        match front.or_else(|| self.log.get(origin, self.log.first_retained(origin))) {
            Some(first) => (first.seq() - 1, first.header().previous),
            None => (self.log.heard().get(&origin), self.log.head(&origin)),
        }
    }

    fn carry_out_gathered(&mut self) {
        let record = self.gathered_record().cloned();
        let (Some(record), Some(gathering)) = (record, self.taken_back.gathering.take()) else { return };
        let (about, from_seq) = (record.about, record.from_seq);
        // Where the log has let go of more meanwhile it begins anew with the next digest.
        if let Some(deltas) = self.log.exclude_with(about, from_seq, |origin| gathering.runs.get(origin)) {
            self.carry_out(record, deltas);
        }
    }

    /// Whether these are what is being gathered.
    pub(in super::super) fn hear_older(&mut self, from: PeerId, chain: &[Arc<SignedDelta>]) -> bool {
        let now = self.now;
        let stands = self.gathered_record().is_some();
        let Some(origin) = chain.first().map(|signed| signed.header.origin) else { return false };
        let Some(mut gathering) = self
            .taken_back
            .gathering
            .take_if(|gathering| stands && gathering.from == Some(from) && gathering.about.peer == origin.peer)
        else {
            return false;
        };
        let mut run = gathering.runs.remove(&origin).unwrap_or_default();
        let before = run.len();
        for signed in chain.iter().rev().filter(|signed| signed.header.origin == origin) {
            let (next, hash) = self.next_older(run.front(), origin);
            if signed.header.seq != next {
                continue; // Beside what was asked for: the next one whose signature is good.
            }
            let proven = linked(&self.context, signed, hash);
            let checked =
                proven.map(|proven| Delta::check_proven(&self.context, signed.clone(), proven, &mut self.scratch));
            let Some(Ok(delta)) = checked else { break };
            gathering.bytes += delta.bytes();
            run.push_front(delta);
        }
        let came = run.len() > before;
        gathering.runs.insert(origin, run);
        let gathering = self.taken_back.gathering.insert(gathering);
        if !came {
            return false;
        }
        gathering.progress_at = now;
        if gathering.bytes > KEPT_BYTES_MAX {
            // More than anybody keeps.
            self.taken_back.gathering = None;
            self.taken_back.failed.insert(from, now + KEPT_MAX);
            return true;
        }
        self.want_older();
        true
    }
}

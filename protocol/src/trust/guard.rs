//! What a peer keeps about the trust it has in others: holds, votes, exclusions, accounts, and the end of its audit log.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::audit::{Act, Chain, Entry, Record, genesis};
use super::electors::Electors;
use super::suspicion::Ledger;
use super::{Exclusion, Reason, Vote};
use crate::config::Trust;
use crate::id::{Origin, PeerId};
use crate::log::{Context, Delta, HELD_BYTES_MAX, HELD_MAX};
use crate::time::{Span, Time};
use crate::tokens::Tokens;
use crate::wire::ORIGINS_MAX;

/// Votes remembered.
const VOTES_MAX: usize = 4096;
/// Votes of one voter remembered.
const VOTES_OF_ONE_MAX: usize = 32;
/// A voter's word about one origin is taken, and passed on, this often at most.
const VOTE_PAUSE: Span = Span::from_secs(1);
/// Origins whose accepted deltas wait for a record: as many as a set has, some of which may be left out meanwhile. Names that a member
/// makes up only to be left out under them come without end.
const ACCEPTED_MAX: usize = ORIGINS_MAX;
/// Accepted deltas are gathered over so long: a record of each would be gigabytes a day.
const ACCEPT_GATHER: Span = Span::from_secs(10);
/// Records of accepted deltas each time: where more origins have spoken, the others wait for their turn. A member may speak as thousands
/// of origins, and a record of each every ten seconds turned the driver's log over within minutes.
const ACCEPT_RECORDS_MAX: usize = 32;
/// Peers with an account.
const ACCOUNTS_MAX: usize = 4096;
/// Origins on hold at once: a vote about more of them would not be remembered. What another one says that looks like a lie is let fall, and
/// comes again.
const HOLDS_MAX: usize = VOTES_OF_ONE_MAX;
/// Origins remembered for which there was no hold left.
const TURNED_AWAY_MAX: usize = 1024;
/// Records kept about peers of whom the set has nothing, the latest: they are of use while their deltas are still on their way.
const RECORDS_UNNAMED_MAX: usize = 1024;
/// Records that are passed on as soon as they are known, at once and a second; what is beyond goes with the digests, 256 every three seconds, and stands
/// before nobody's deltas.
const RELAYS_BURST: f64 = 64.0;
const RELAYS_A_SECOND: f64 = 8.0;

/// What a peer claims to have done, and what it has given. A free rider takes the model and gives nothing, or claims
/// steps that its deltas do not show; what is done about it is the operator's business.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Deltas of it in our base.
    pub deltas: u64,
    /// Steps they claim.
    pub steps: u64,
    /// Samples they claim.
    pub samples: u64,
    /// Bytes of their payloads.
    pub payload_bytes: u64,
    /// Bytes of payloads, its own and others', that we had first from it.
    pub bytes_served: u64,
    /// Bytes of payloads that we sent to it.
    pub bytes_taken: u64,
}

/// Facts for status lines and tests; see [`crate::Peer::trust_view`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrustView {
    /// Per peer.
    pub accounts: BTreeMap<PeerId, Account>,
    /// Origins on hold, why, and how many of their deltas wait.
    pub holds: Vec<(Origin, Reason, usize)>,
    /// What is left out.
    pub excluded: Vec<(Origin, u64)>,
    /// What is to be left out as soon as a snapshot without it is here: our log is too short.
    pub pending: Vec<(Origin, u64)>,
    /// Votes that count today.
    pub votes: usize,
}

/// One origin on hold.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) until: Time,
    pub(crate) reason: Reason,
    /// The first delta that is held against it.
    pub(crate) from_seq: u64,
    /// The last that we have seen.
    pub(crate) seen: u64,
    pub(crate) vote_again: Time,
    waiting: BTreeMap<u64, Delta>,
    bytes: usize,
}

/// What became of a delta that was to wait.
#[derive(Debug)]
pub(crate) enum Taken {
    Waits,
    /// It is another one than this, under the same number.
    Contradicts(Delta),
    /// No room: anti-entropy brings it again.
    Dropped,
}

impl Hold {
    /// `room`: bytes that all holds may still take.
    fn wait(&mut self, delta: Delta, room: usize) -> Taken {
        self.seen = self.seen.max(delta.seq());
        if let Some(known) = self.waiting.get(&delta.seq()) {
            return if known.hash() == delta.hash() { Taken::Waits } else { Taken::Contradicts(known.clone()) };
        }
        if self.waiting.len() >= HELD_MAX || delta.bytes() > room {
            return Taken::Dropped;
        }
        self.bytes += delta.bytes();
        self.waiting.insert(delta.seq(), delta);
        Taken::Waits
    }

    pub(crate) fn has(&self, delta: &crate::log::SignedDelta) -> bool {
        self.waiting.get(&delta.header.seq).is_some_and(|waiting| **waiting.signed() == *delta)
    }

    pub(crate) fn into_waiting(self) -> impl Iterator<Item = Delta> {
        self.waiting.into_values()
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(crate) ledger: Ledger,
    pub(crate) holds: BTreeMap<Origin, Hold>,
    /// Deltas for whose origins there was no hold left: they are not judged again before there is one.
    turned_away: BTreeMap<Origin, u64>,
    /// Records of what is left out, by peer.
    records: BTreeMap<PeerId, Exclusion>,
    /// Of them those about peers of whom the set had nothing, oldest first; may name others.
    unnamed: VecDeque<PeerId>,
    /// Records that may be passed on at once.
    relays: Tokens,
    /// Records that we agree with and cannot carry out, since the log no longer holds what is to be retracted: of a peer that one
    /// which leaves out least. Whoever is without more of it is without that, too, and tells us of the wider record again.
    pub(crate) pending: BTreeMap<PeerId, Exclusion>,
    /// Whose hold ended without a majority, while what waited goes in.
    pub(crate) lets_in: Option<Origin>,
    pub(crate) accounts: BTreeMap<PeerId, Account>,
    immune: BTreeMap<(Origin, Reason), Time>,
    votes: BTreeMap<(Origin, PeerId), (Vote, Time)>,
    vote_counter: u64,
    pub(crate) electors: Electors,
    chain: Chain,
    /// Accepted and not yet in an audit record: the last number, and how many.
    accepted: BTreeMap<Origin, (u64, u64)>,
    /// When they were last put into records.
    gathered: Option<Time>,
    /// And the last of those that were.
    gathered_last: Option<Origin>,
}

impl Guard {
    pub(crate) fn new(config: &Trust, context: &Context, us: Origin, seed: u64) -> Self {
        Self {
            ledger: Ledger::new(seed, config.rate_max),
            holds: BTreeMap::new(),
            turned_away: BTreeMap::new(),
            records: BTreeMap::new(),
            unnamed: VecDeque::new(),
            relays: Tokens::new(RELAYS_BURST, RELAYS_A_SECOND),
            pending: BTreeMap::new(),
            lets_in: None,
            accounts: BTreeMap::new(),
            immune: BTreeMap::new(),
            votes: BTreeMap::new(),
            vote_counter: us.incarnation,
            electors: Electors::default(),
            chain: Chain::new(genesis(context.run, us)),
            accepted: BTreeMap::new(),
            gathered: None,
            gathered_last: None,
        }
    }

    pub(crate) fn is_immune(&self, origin: Origin, reason: Reason, now: Time) -> bool {
        self.immune.get(&(origin, reason)).is_some_and(|until| *until > now)
    }

    /// Whether one more origin may be put on hold.
    pub(crate) fn has_room_for_a_hold(&self) -> bool {
        self.holds.len() < HOLDS_MAX
    }

    /// As many origins are on hold as there may be: that delta is let fall, and comes again.
    pub(crate) fn turn_away(&mut self, origin: Origin, seq: u64) {
        if self.turned_away.len() < TURNED_AWAY_MAX {
            self.turned_away.insert(origin, seq);
        }
    }

    /// Whether nothing has changed since that delta was let fall.
    pub(crate) fn is_turned_away(&mut self, origin: Origin, seq: u64) -> bool {
        if self.has_room_for_a_hold() {
            self.turned_away.clear();
        }
        self.turned_away.get(&origin) == Some(&seq)
    }

    /// Lets a delta wait whose origin is on hold.
    pub(crate) fn wait(&mut self, origin: Origin, delta: Delta) -> Taken {
        let taken: usize = self.holds.values().map(|hold| hold.bytes).sum();
        let room = HELD_BYTES_MAX.saturating_sub(taken);
        self.holds.get_mut(&origin).map_or(Taken::Dropped, |hold| hold.wait(delta, room))
    }

    /// Records of what is left out, in order of peer.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Exclusion> + '_ {
        self.records.values()
    }

    /// Of those of whom the set had nothing, the latest first.
    pub(crate) fn unnamed(&self) -> impl Iterator<Item = &Exclusion> + '_ {
        self.unnamed.iter().rev().filter_map(|peer| self.records.get(peer))
    }

    pub(crate) fn record_about(&self, peer: PeerId) -> Option<&Exclusion> {
        self.records.get(&peer)
    }

    /// Keeps a record. Returns those whose records are forgotten for it: the oldest of whom the set has nothing.
    pub(crate) fn keep(&mut self, record: Exclusion, named: impl Fn(PeerId) -> bool) -> Vec<PeerId> {
        let peer = record.about.peer;
        self.records.insert(peer, record);
        if !named(peer) && !self.unnamed.contains(&peer) {
            self.unnamed.push_back(peer);
        }
        self.forget_oldest(named)
    }

    /// The set is another one: of whom it has nothing now?
    pub(crate) fn look_again(&mut self, named: impl Fn(PeerId) -> bool) -> Vec<PeerId> {
        let known: BTreeSet<PeerId> = self.unnamed.iter().copied().collect();
        self.unnamed.extend(self.records.keys().copied().filter(|peer| !named(*peer) && !known.contains(peer)));
        self.forget_oldest(named)
    }

    fn forget_oldest(&mut self, named: impl Fn(PeerId) -> bool) -> Vec<PeerId> {
        let surplus = self.unnamed.len().saturating_sub(RECORDS_UNNAMED_MAX);
        let mut oldest: Vec<PeerId> = self.unnamed.drain(..surplus).collect();
        oldest.retain(|peer| !named(*peer) && self.records.remove(peer).is_some());
        oldest
    }

    pub(crate) fn retain_records(&mut self, keeps: impl Fn(&Exclusion) -> bool) {
        self.records.retain(|_, record| keeps(record));
    }

    /// Whether a record is passed on at once; see [`RELAYS_BURST`].
    pub(crate) fn may_relay(&mut self, now: Time) -> bool {
        self.relays.take(now)
    }

    pub(crate) fn hold(&mut self, origin: Origin, reason: Reason, from_seq: u64, now: Time, until: Time) {
        let hold =
            Hold { until, reason, from_seq, seen: from_seq, vote_again: now, waiting: BTreeMap::new(), bytes: 0 };
        self.holds.insert(origin, hold);
    }

    /// Ends a hold for want of a majority.
    pub(crate) fn release(&mut self, origin: Origin, immune_until: Time) -> Option<Hold> {
        let hold = self.holds.remove(&origin)?;
        self.immune.insert((origin, hold.reason), immune_until);
        self.ledger.forgive(origin);
        Some(hold)
    }

    pub(crate) fn next_vote(&mut self) -> u64 {
        self.vote_counter += 1;
        self.vote_counter
    }

    /// Whether a vote says something that is worth a signature check.
    pub(crate) fn is_news(&self, vote: &Vote, now: Time) -> bool {
        if let Some((old, at)) = self.votes.get(&(vote.about, vote.voter)) {
            return vote.at > old.at && now - *at >= VOTE_PAUSE;
        }
        let of_one = self.votes.keys().filter(|(_, voter)| *voter == vote.voter).count();
        self.votes.len() < VOTES_MAX && of_one < VOTES_OF_ONE_MAX
    }

    pub(crate) fn take_vote(&mut self, vote: Vote, now: Time) {
        self.votes.insert((vote.about, vote.voter), (vote, now));
    }

    /// The votes about an origin that count today.
    pub(crate) fn votes_about(&self, about: Origin) -> impl Iterator<Item = &Vote> + '_ {
        let voters = (about, PeerId([0; 32]))..=(about, PeerId([255; 32]));
        self.votes.range(voters).map(|(_, (vote, _))| vote)
    }

    pub(crate) fn drop_votes(&mut self, peer: PeerId) {
        self.votes.retain(|(about, voter), _| about.peer != peer && *voter != peer);
    }

    /// Once a heartbeat.
    pub(crate) fn tick(&mut self, now: Time, electors: usize, vote_max: Span) {
        self.ledger.tick(now);
        self.electors.note(now, electors);
        self.votes.retain(|_, (_, at)| now - *at <= vote_max);
        self.immune.retain(|_, until| *until > now);
    }

    pub(crate) fn account(&mut self, peer: PeerId) -> Option<&mut Account> {
        if self.accounts.len() >= ACCOUNTS_MAX && !self.accounts.contains_key(&peer) {
            return None;
        }
        Some(self.accounts.entry(peer).or_default())
    }

    pub(crate) fn note_accepted(&mut self, delta: &Delta) {
        let header = delta.header();
        if self.accepted.len() < ACCEPTED_MAX || self.accepted.contains_key(&header.origin) {
            let (last, count) = self.accepted.entry(header.origin).or_default();
            *last = header.seq.max(*last);
            *count += 1;
        }
        if let Some(account) = self.account(header.origin.peer) {
            account.deltas += 1;
            account.steps += u64::from(header.steps);
            account.samples = account.samples.saturating_add(header.samples);
            account.payload_bytes += delta.payload().len() as u64;
        }
    }

    /// What was accepted since the last time, when that is long ago or `all` is to be said.
    pub(crate) fn accepted_records(&mut self, now: Time, all: bool) -> Vec<Record> {
        if !all && (self.accepted.is_empty() || self.gathered.is_some_and(|at| now - at < ACCEPT_GATHER)) {
            return Vec::new();
        }
        self.gathered = Some(now);
        let turn = if all { self.accepted.keys().copied().collect() } else { self.accepted_turn() };
        self.gathered_last = turn.last().copied();
        let mut records = Vec::with_capacity(turn.len());
        for who in turn {
            if let Some((seq, count)) = self.accepted.remove(&who) {
                let entry = Entry { what: Act::Accept, who, seq, count, reason: String::new() };
                records.push(self.chain.append(now, entry));
            }
        }
        records
    }

    /// Whose turn it is to be recorded: those after the last one, then the first ones again.
    fn accepted_turn(&self) -> Vec<Origin> {
        let is_later = |origin: &&Origin| self.gathered_last.is_none_or(|last| **origin > last);
        let later = self.accepted.keys().filter(is_later);
        let earlier = self.accepted.keys().filter(|origin| !is_later(origin));
        later.chain(earlier).take(ACCEPT_RECORDS_MAX).copied().collect()
    }

    pub(crate) fn record(&mut self, now: Time, entry: Entry) -> Record {
        self.chain.append(now, entry)
    }

    pub(crate) fn view(&self) -> TrustView {
        let hold = |(&origin, hold): (&Origin, &Hold)| (origin, hold.reason, hold.waiting.len());
        let of = |records: &BTreeMap<PeerId, Exclusion>| records.values().map(|r| (r.about, r.from_seq)).collect();
        TrustView {
            accounts: self.accounts.clone(),
            holds: self.holds.iter().map(hold).collect(),
            excluded: of(&self.records),
            pending: of(&self.pending),
            votes: self.votes.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::TopK2Bit;
    use crate::id::{Hash, RunId, SchemaHash};
    use crate::trust::Limits;

    #[test]
    fn thousands_of_origins_are_recorded_in_turns_and_none_is_forgotten() {
        const ORIGINS: u64 = 1000;
        let context = Context {
            run: RunId(Hash([1; 32])),
            schema: SchemaHash(Hash([2; 32])),
            parameters: 1,
            codec: &TopK2Bit,
            limits: Limits::OFF,
        };
        let origin = |incarnation| Origin { peer: PeerId([7; 32]), incarnation };
        let mut guard = Guard::new(&Trust::default(), &context, origin(0), 1);
        let mut counts: BTreeMap<Origin, u64> = BTreeMap::new();
        let mut said = 0;
        // All of them speak all the time.
        for round in 0..100 {
            for incarnation in 0..ORIGINS {
                guard.accepted.entry(origin(incarnation)).or_default().1 += 1;
                said += 1;
            }
            let records = guard.accepted_records(Time(0) + Span(ACCEPT_GATHER.0 * round), round == 99);
            let most = if round == 99 { ORIGINS as usize } else { ACCEPT_RECORDS_MAX };
            assert_eq!(records.len(), most, "round {round}");
            records.iter().for_each(|record| *counts.entry(record.who).or_default() += record.count);
            if round == 40 {
                assert_eq!(counts.len(), ORIGINS as usize, "everybody's turn has come");
            }
        }
        assert_eq!(counts.values().sum::<u64>(), said);
    }
}

//! The record of an exclusion: whose deltas leave the base, from which number on, and why everybody may believe it.
//!
//! It stands on a proof of equivocation, or on votes of more than half of the living peers. The number `from_seq` is part of
//! the record and lies in the window of every vote that counts, so at least one honest peer has seen evidence at or before it,
//! and has seen it happen: a minority of liars can neither make a record nor move its number below all honest votes.
//! Of whom a proof is known that nobody can carry out, any delta is evidence: such votes span what is to come.
//! Records are passed on in anti-entropy until all have them. Of two about one peer the lower number wins.

use std::collections::BTreeSet;

use bincode::{Decode, Encode};

use super::proof::Equivocation;
use super::vote::Vote;
use crate::id::{Origin, PeerId};
use crate::log::Context;

/// Most votes in a record.
const RECORD_VOTES_MAX: usize = 1024;
/// Most records in one message or snapshot.
pub const RECORDS_MAX: usize = 256;

/// Why it may be believed.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Evidence {
    /// Of more than half of the living peers.
    Votes(Vec<Vote>),
    /// Of the origin's own making.
    Equivocation(Box<Equivocation>),
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Exclusion {
    /// Whose deltas.
    pub about: Origin,
    /// The first that is left out.
    pub from_seq: u64,
    /// Why.
    pub evidence: Evidence,
}

impl Exclusion {
    /// Of a proof.
    #[must_use]
    pub fn of_proof(proof: Equivocation) -> Self {
        Self { about: proof.about(), from_seq: proof.from_seq(), evidence: Evidence::Equivocation(Box::new(proof)) }
    }

    /// Of votes about one origin, when more than half of `electorate` agree on a number; the lowest such number.
    #[must_use]
    pub fn of_votes(about: Origin, votes: &[&Vote], electorate: usize) -> Option<Self> {
        let mut numbers: Vec<u64> = votes.iter().map(|vote| vote.from_seq).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.into_iter().find_map(|from_seq| {
            let agree = votes.iter().filter(|vote| spans(vote, from_seq));
            let votes: Vec<Vote> = agree.take(RECORD_VOTES_MAX).map(|vote| (*vote).clone()).collect();
            (2 * votes.len() > electorate).then_some(Self { about, from_seq, evidence: Evidence::Votes(votes) })
        })
    }

    /// Whether it leaves out more than that other one about the same peer.
    #[must_use]
    pub fn is_wider_than(&self, other: &Self) -> bool {
        (self.about.incarnation, self.from_seq) < (other.about.incarnation, other.from_seq)
    }

    /// Whether every signature and number in it is right. Says nothing of who the voters are.
    #[must_use]
    pub fn is_genuine(&self, context: &Context) -> bool {
        match &self.evidence {
            Evidence::Equivocation(proof) => {
                proof.about() == self.about && proof.from_seq() == self.from_seq && proof.is_proof(context)
            }
            Evidence::Votes(votes) => {
                let mut voters = BTreeSet::new();
                (1..=RECORD_VOTES_MAX).contains(&votes.len())
                    && votes.iter().all(|vote| {
                        vote.about == self.about
                            && spans(vote, self.from_seq)
                            && voters.insert(vote.voter)
                            && vote.is_genuine(context)
                    })
            }
        }
    }

    /// Whether enough of those who may vote have signed it; a proof needs nobody.
    #[must_use]
    pub fn is_carried(&self, electorate: usize, may_vote: impl Fn(PeerId) -> bool) -> bool {
        match &self.evidence {
            Evidence::Equivocation(_) => true,
            Evidence::Votes(votes) => 2 * votes.iter().filter(|vote| may_vote(vote.voter)).count() > electorate,
        }
    }

    /// In a few words.
    #[must_use]
    pub fn why(&self) -> &'static str {
        match self.evidence {
            Evidence::Votes(_) => "voted out",
            Evidence::Equivocation(_) => "equivocation",
        }
    }
}

/// Whether the number lies in the window of the vote.
fn spans(vote: &Vote, seq: u64) -> bool {
    (vote.from_seq..=vote.seen).contains(&seq)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::DenseF32;
    use crate::id::{Hash, RunId, SchemaHash};
    use crate::trust::{Identity, Reason};

    fn context() -> Context {
        Context {
            run: RunId(Hash([1; 32])),
            schema: SchemaHash(Hash([2; 32])),
            parameters: 2,
            codec: &DenseF32,
            limits: crate::trust::Limits::OFF,
        }
    }

    fn about() -> Origin {
        Origin { peer: PeerId([9; 32]), incarnation: 1 }
    }

    fn vote(i: u8, window: (u64, u64)) -> Vote {
        Vote::sign(&context(), &Identity::from_seed(&[i; 32]), about(), window, Reason::Norm, 1)
    }

    fn record(votes: &[Vote], electorate: usize) -> Option<Exclusion> {
        Exclusion::of_votes(about(), &votes.iter().collect::<Vec<_>>(), electorate)
    }

    #[test]
    fn more_than_half_and_one_number_in_all_their_windows() {
        let votes = [vote(1, (5, 20)), vote(2, (7, 20)), vote(3, (9, 20))];
        assert_eq!(record(&votes, 6), None, "half is not more than half");
        assert_eq!(record(&votes, 5).map(|r| r.from_seq), Some(9));
        assert_eq!(record(&votes, 3).map(|r| r.from_seq), Some(7), "two of three agree from 7 on");
        let apart = [vote(1, (5, 8)), vote(2, (9, 20)), vote(3, (9, 20))];
        assert_eq!(record(&apart, 5), None, "votes of different moments do not add up");
    }

    #[test]
    fn what_was_altered_or_counted_twice_is_not_genuine() {
        let votes = [vote(1, (5, 20)), vote(2, (7, 20))];
        let good = record(&votes, 3).expect("two of three");
        assert!(good.is_genuine(&context()));
        assert!(good.is_carried(3, |_| true));
        assert!(!good.is_carried(3, |voter| voter == votes[0].voter), "who may not vote does not count");
        assert!(!Exclusion { from_seq: 1, ..good.clone() }.is_genuine(&context()), "no window holds 1");
        let twice = Exclusion { evidence: Evidence::Votes(vec![votes[0].clone(), votes[0].clone()]), ..good.clone() };
        assert!(!Exclusion { from_seq: 5, ..twice }.is_genuine(&context()));
        let mut forged = votes[0].clone();
        forged.from_seq = 1;
        assert!(!forged.is_genuine(&context()));
        let other_run = Context { run: RunId(Hash([8; 32])), ..context() };
        assert!(!good.is_genuine(&other_run));
    }
}

//! Groups: the remedy past the swarm size at which a link cannot carry every delta of everybody (`starling sim saturation`
//! computes it). A job with `gossip.groups = K` divides its peers into K groups by their ids. Inside a group the mode
//! `incremental` runs as ever, under a run of the group's own, so equal version vectors still mean equal bases to the bit.
//! Of each group one peer at a time, the delegate, also stands in a second log, the upper one. A peer hears the N/K deltas of
//! its group and in the time of each one delta of its delegate; a delegate, and one peer that stands by, hear K upper ones besides.
//!
//! ```text
//! b     base of the group: b0 + all deltas of the group's log
//! u     base of the upper log: b0 + all deltas of the delegates
//! p     what the delegate has still to tell its group                                     bridge.rs
//! each time the delegate has said a delta of its own training (and at rest, until nothing is left to say):
//!   down   b += q, p -= q         q: what the codec keeps of p; said in the group's log, by the delegate
//!   up     v = decode(encode(b + p - u));  u += round(w v);  p -= v - round(w v)          said in the upper log
//!          w = min(samples_own / samples_all, 1/2)                    groups weigh by what they have trained on
//! ```
//!
//! That is the rule of the mode `incremental` once more, a group in the place of a peer: `b + p` is its `theta`, the deltas of its members
//! are its training steps, and what a codec leaves out waits, above and below. The gain is 1 above: the groups have taken theirs.
//!
//! **A delegate dies.** All that it said is in one of the two logs, once, and stays there. The peer that stood by has `u` already, and
//! speaks from the next heartbeat on, with p = u - b: its group is to come to where the others are, and what the dead one had not
//! said above, `b + p - u`, is lost. That is what the codec had left out of one group's progress; it would have counted with
//! the weight w of the group. Nothing that was said counts twice: p = 0 instead would say again what the dead one had heard and not
//! told, with the wrong sign. Two delegates of one group at a time both say what they find: `u` gets up to twice the weight of that
//! group for as long, and what the others then say answers to it as to any long delta. Only when all who stand in the upper log
//! die at once is it gone; the next delegates begin it anew from b0, which costs the model much of what it has learnt.
//!
//! The delegate is the peer with the lowest id among those of its group that it knows to live, and the next one stands by: no
//! election, no term, and an opinion that is wrong for a moment costs little.
//!
//! Models of different groups come close and are equal only when nothing is left to say; what a group shows is its own base.
//! The trust room does not judge across groups: a delegate speaks for many, so its deltas are loud by right. Suspicion is off in
//! a job with groups, and a delegate that lies is believed.
//!
//! Sources: the two levels are those of hierarchical local SGD (Lin et al., arXiv 1808.07217), as are delegates that average
//! less often than their groups; the pull of each side towards the other is elastic averaging (Zhang, Choromanska and
//! LeCun, arXiv 1412.6651), with `u` as its centre, held by all delegates instead of a server; compressed differences of
//! vectors that both sides know are those of CHOCO-SGD (arXiv 1902.00340). Moshpit SGD (arXiv 2103.03239) instead makes new groups every
//! round, which a log per group does not allow: its base would be of another set each time.

mod bridge;
mod delegate;

pub use delegate::{Delegate, REST_DISTANCE};

use crate::id::{Hash, PeerId, RunId};
use crate::peer::Peer;

/// Most groups of a job.
pub const GROUPS_MAX: u32 = 1024;

/// The group of a peer, from 0: the one of the highest hash (rendezvous hashing, Thaler and Ravishankar 1996), so a job with
/// one group more moves one peer in K and no other.
///
/// # Panics
/// When there is no group.
#[must_use]
pub fn group_of(run: RunId, peer: PeerId, groups: u32) -> u32 {
    assert!((1..=GROUPS_MAX).contains(&groups), "{groups} groups, the limit is {GROUPS_MAX}");
    let rank = |group: &u32| derived("starling 1 group rank", &[&run.0.0, &peer.0, &group.to_le_bytes()]);
    (0..groups).max_by_key(rank).unwrap_or(0)
}

/// The run of a group: its deltas are signed for it and mean nothing elsewhere.
#[must_use]
pub fn group_run(run: RunId, group: u32) -> RunId {
    RunId(derived("starling 1 group run", &[&run.0.0, &group.to_le_bytes()]))
}

/// The run of the delegates.
#[must_use]
pub fn upper_run(run: RunId) -> RunId {
    RunId(derived("starling 1 delegates run", &[&run.0.0]))
}

fn derived(purpose: &str, parts: &[&[u8]]) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key(purpose);
    for part in parts {
        hasher.update(part);
    }
    Hash(*hasher.finalize().as_bytes())
}

impl Peer {
    /// How many of those of its group that it knows to live have a lower id: 0 speaks for the group, 1 stands by. `None` before
    /// it has begun, and at its end. A neighbour lives while its link is up; of others tells what they said lately.
    #[must_use]
    pub fn rank(&self) -> Option<usize> {
        let us = self.origin.peer;
        let begun = !self.session.is_joining() && !self.session.is_finishing() && !self.session.is_stopped();
        let near = self.members.neighbour_ids().iter().filter(|peer| **peer < us).count();
        begun.then(|| near + self.members.heard_from_lower(us, self.now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_about_equal_and_one_more_moves_few() {
        let run = RunId(Hash([3; 32]));
        let peer = |i: u32| {
            let mut id = [0; 32];
            id[..4].copy_from_slice(&i.to_le_bytes());
            PeerId(id)
        };
        let mut sizes = [0u32; 8];
        let mut moved = 0;
        for i in 0..4000 {
            let group = group_of(run, peer(i), 8);
            sizes[group as usize] += 1;
            let then = group_of(run, peer(i), 9);
            assert!(then == group || then == 8, "a new group takes, and nobody else moves");
            moved += u32::from(then == 8);
        }
        // Binomial, p = 1/8 and 1/9: five standard deviations.
        assert!(sizes.iter().all(|size| size.abs_diff(500) < 105), "{sizes:?}");
        assert!(moved.abs_diff(444) < 100, "{moved}");
        assert_ne!(group_run(run, 0), group_run(run, 1));
        assert_ne!(group_run(run, 0), upper_run(run));
    }
}

//! Groups: the remedy past the swarm size at which a link cannot carry every delta of everybody (`starling sim saturation`
//! computes it). A job with `gossip.groups = K` divides its peers into K groups by their ids. Inside a group the mode
//! `incremental` runs as ever, under a run of the group's own, so equal version vectors still mean equal bases to the bit.
//! Of each group one peer at a time, the delegate, also stands in a second log, the upper one. A peer hears the N/K deltas of
//! its group and one delta of its delegate for each of them; a delegate hears K upper deltas besides.
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
//! **A delegate dies.** All that it said is in one of the two logs, once, and stays there. With it dies only `p`, which is in no log. The
//! next delegate catches up with the upper log and begins with p = 0: to it `b - u` is what the group has not said. So what the
//! dead one had heard above and not told below looks as if its group had unlearnt it. It is said so, with the weight w of
//! the group, and the rest of it comes back to the group: `u` loses w p, for K groups the K-th part of what one group was behind by, and
//! the optimizers learn that again. That is averaging the group's model with the others'; no delta is lost, none counts
//! twice. Two delegates of one group at a time say one difference twice: `u` gets up to twice the weight of that group, and what
//! each hears of the other corrects its own p.
//!
//! The delegate is the peer with the lowest id among those of its group that it knows to live: no election, no term, and an
//! opinion that is wrong for a moment costs nothing but bytes.
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
    /// Whether this peer is to speak for its group: it has begun, and of those that it knows to live none has a lower id. A
    /// neighbour lives while its link is up; of others tells what they said lately.
    #[must_use]
    pub fn leads(&self) -> bool {
        let us = self.origin.peer;
        !self.session.is_joining()
            && !self.session.is_finishing()
            && self.members.neighbour_ids().first().is_none_or(|lowest| us < *lowest)
            && !self.members.heard_from_lower(us, self.now)
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

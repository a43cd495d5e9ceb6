//! `rendezvous`: blocks of samples, each to the peer with the best lot, by weighted rendezvous hashing (Thaler and Ravishankar 1998; the
//! logarithm is of Schindelhauer and Schomaker 2005).
//!
//! ```text
//! block = sample mod blocks        u = hash(seed, peer, block) in (0, 1]        lot = -ln(u) / weight
//! the smallest lot takes the block
//! ```
//!
//! -ln(u) / weight is exponential with rate `weight`: a peer wins a block with probability weight / sum of weights. Its lots do not depend on the
//! others, so that only blocks of whoever goes, or slows down, move, and only to who is there. Everybody who knows the same peers finds the same
//! owners, without a word. Where peers do not know the same for a moment, a block may have two owners or none, until they look again.

use protocol::id::PeerId;
use protocol::learner::Share;

/// Most blocks: of many samples each has several, so that dealing takes a millisecond for ten peers, whatever the set.
pub const BLOCKS_MAX: usize = 4096;

/// The samples of `us`, ascending, out of so many. Whoever wins no block, where there are more peers than blocks, takes the one it is nearest to.
#[must_use]
pub fn share(us: PeerId, shares: &[Share], samples: usize, seed: u64) -> Vec<u32> {
    let blocks = samples.min(BLOCKS_MAX);
    let own = shares.iter().find(|share| share.peer == us).map_or(1.0, |share| share.weight);
    let (mut won, mut nearest) = (vec![false; blocks], (f64::INFINITY, 0));
    for (block, won) in won.iter_mut().enumerate() {
        let ours = lot(us, own, block, seed);
        if ours < nearest.0 {
            nearest = (ours, block);
        }
        // Of equal lots, which will not be seen, the smaller id.
        let beaten = |share: &&Share| (lot(share.peer, share.weight, block, seed), share.peer) < (ours, us);
        *won = !shares.iter().any(|share| beaten(&share));
    }
    if blocks > 0 && !won.contains(&true) {
        won[nearest.1] = true;
    }
    // Far from each other: data that lie in order are mixed in every block.
    (0..samples).filter(|row| won[row % blocks]).map(|row| row as u32).collect()
}

/// The same for peers that are only numbers, all alike: where nobody is known yet.
pub(super) fn shards(samples: usize, shards: usize, seed: u64) -> Vec<Vec<u32>> {
    let peer = |number: usize| {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&(number as u64).to_le_bytes());
        PeerId(id)
    };
    let all: Vec<Share> = (0..shards).map(|number| Share { peer: peer(number), weight: 1.0 }).collect();
    let mut parts: Vec<Vec<u32>> = all.iter().map(|of| share(of.peer, &all, samples, seed)).collect();
    // Of blocks that were taken for want of others the first taker keeps them.
    let mut taken = vec![false; samples];
    for part in &mut parts {
        part.retain(|&row| !std::mem::replace(&mut taken[row as usize], true));
    }
    parts
}

/// Of a weight that is none as of the least positive one: such a peer wins nothing.
fn lot(peer: PeerId, weight: f32, block: usize, seed: u64) -> f64 {
    let mut hash = mix(seed ^ block as u64);
    for word in peer.0.as_chunks::<8>().0 {
        hash = mix(hash ^ u64::from_le_bytes(*word));
    }
    // 53 bits, never 0.
    let u = ((hash >> 11) + 1) as f64 / (1u64 << 53) as f64;
    -u.ln() / f64::from(weight.max(f32::MIN_POSITIVE))
}

/// The finaliser of splitmix64 (Steele, Lea and Flood 2014) after its increment.
fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn peer(number: u8) -> PeerId {
        PeerId([number; 32])
    }

    fn shares(weights: &[(u8, f32)]) -> Vec<Share> {
        weights.iter().map(|&(number, weight)| Share { peer: peer(number), weight }).collect()
    }

    /// Owner of every sample; fails where one has two or none.
    fn owners(of: &[Share], samples: usize) -> BTreeMap<u32, PeerId> {
        let mut owners = BTreeMap::new();
        for one in of {
            for row in share(one.peer, of, samples, 7) {
                assert_eq!(owners.insert(row, one.peer), None, "{row} has two owners");
            }
        }
        assert_eq!(owners.len(), samples, "every sample has an owner");
        owners
    }

    #[test]
    fn all_samples_are_dealt_and_shares_follow_the_weights() {
        for samples in [1500, 4096, 60_000] {
            let all = shares(&[(1, 1.0), (2, 1.0), (3, 2.0), (4, 4.0)]);
            let owners = owners(&all, samples);
            for one in &all {
                let had = owners.values().filter(|owner| **owner == one.peer).count() as f32;
                let wanted = samples as f32 * one.weight / 8.0;
                assert!((had / wanted - 1.0).abs() < 0.2, "{samples}: {had} of {wanted}");
            }
        }
    }

    #[test]
    fn only_what_must_move_moves() {
        let all = shares(&[(1, 1.0), (2, 1.5), (3, 1.0), (4, 1.0), (5, 0.5)]);
        let before = owners(&all, 10_000);
        let without: Vec<Share> = all.iter().filter(|share| share.peer != peer(2)).copied().collect();
        let after = owners(&without, 10_000);
        for (row, owner) in &before {
            assert!(*owner == peer(2) || after[row] == *owner, "{row} moved though its owner is there");
        }
        // What the one who is gone had, goes to all of the others.
        for left in &without {
            let took = before.iter().filter(|(row, owner)| **owner == peer(2) && after[row] == left.peer).count();
            assert!(took > 200, "{took}");
        }
        // A newcomer takes from all, and gives nothing from one to another.
        let mut with = all.clone();
        with.push(Share { peer: peer(6), weight: 1.0 });
        let joined = owners(&with, 10_000);
        assert!(joined.iter().all(|(row, owner)| *owner == peer(6) || before[row] == *owner));
        // Who becomes faster only gains.
        let mut faster = all.clone();
        faster[0].weight = 2.0;
        let gained = owners(&faster, 10_000);
        assert!(gained.iter().all(|(row, owner)| *owner == peer(1) || before[row] == *owner));
    }

    #[test]
    fn nobody_is_left_without_a_sample() {
        let many: Vec<Share> = (0..40).map(|number| Share { peer: peer(number), weight: 1.0 }).collect();
        for one in &many {
            assert!(!share(one.peer, &many, 10, 3).is_empty());
        }
        assert!(share(peer(1), &[], 0, 3).is_empty());
        assert_eq!(share(peer(1), &[], 5, 3), [0, 1, 2, 3, 4], "who knows nobody has all");
        let odd = shares(&[(1, 1.0), (2, 0.0), (3, f32::NAN)]);
        let samples: usize = [1, 2, 3].map(|number| share(peer(number), &odd, 5000, 3).len()).iter().sum();
        assert!(samples >= 5000, "a weight that is none costs nobody a sample");
    }
}

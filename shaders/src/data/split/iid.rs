//! `iid`: the samples shuffled, and dealt out in turn.

use rand_chacha::ChaCha8Rng;

use super::shuffle;

pub(super) fn shards(samples: usize, shards: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<u32>> {
    let mut order: Vec<u32> = (0..samples as u32).collect();
    shuffle(&mut order, rng);
    (0..shards).map(|shard| order.iter().copied().skip(shard).step_by(shards).collect()).collect()
}

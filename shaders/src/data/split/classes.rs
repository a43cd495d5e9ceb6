//! `classes:K`: every shard holds K classes only, in blocks: with 10 classes, K = 5 and 8 shards, shards 0 to 3 share the
//! samples of classes 0 to 4 and shards 4 to 7 those of classes 5 to 9 (label skew; the "pathological" split of McMahan et
//! al. 2017, arXiv 1602.05629, in blocks so that two halves of a swarm can be cut apart by class).

use std::ops::Range;

use rand_chacha::ChaCha8Rng;

use super::shuffle;

pub(super) fn shards(labels: &[u32], shards: usize, per_shard: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<u32>> {
    let classes = labels.iter().copied().max().unwrap_or(0) as usize + 1;
    let blocks = classes.div_ceil(per_shard);
    let mut parts = vec![Vec::new(); shards];
    for block in 0..blocks {
        let first = (block * per_shard) as u32;
        let in_block = |&i: &u32| (first..first + per_shard as u32).contains(&labels[i as usize]);
        let mut samples: Vec<u32> = (0..labels.len() as u32).filter(in_block).collect();
        shuffle(&mut samples, rng);
        let takers = takers(block, blocks, shards);
        for (i, sample) in samples.into_iter().enumerate() {
            parts[takers.start + i % takers.len()].push(sample);
        }
    }
    parts
}

/// The shards that share a block; when there are more blocks than shards, one shard takes several.
fn takers(block: usize, blocks: usize, shards: usize) -> Range<usize> {
    let start = block * shards / blocks;
    let end = ((block + 1) * shards / blocks).max(start + 1);
    start..end
}

//! `sizes:alpha`: random samples, as many as a draw from Dirichlet(alpha, ..., alpha) says (quantity skew; Li et al. 2022, arXiv 2102.02079).

use rand_chacha::ChaCha8Rng;

use super::dirichlet::{deal, proportions};
use super::shuffle;

pub(super) fn shards(samples: usize, shards: usize, alpha: f64, rng: &mut ChaCha8Rng) -> Vec<Vec<u32>> {
    let mut order: Vec<u32> = (0..samples as u32).collect();
    shuffle(&mut order, rng);
    let mut parts = vec![Vec::new(); shards];
    deal(&order, &proportions(shards, alpha, rng), &mut parts);
    parts
}

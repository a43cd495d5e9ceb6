//! `dirichlet:alpha`: for each class, proportions p ~ Dirichlet(alpha, ..., alpha) over the shards, and its samples dealt
//! out by them (Hsu, Qi and Brown 2019, arXiv 1909.06335). alpha = 0.1: most of a class lies with one or two peers.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng as _;

use super::shuffle;

pub(super) fn shards(labels: &[u32], shards: usize, alpha: f64, rng: &mut ChaCha8Rng) -> Vec<Vec<u32>> {
    let mut parts = vec![Vec::new(); shards];
    let classes = labels.iter().copied().max().unwrap_or(0) + 1;
    for class in 0..classes {
        let mut samples: Vec<u32> = (0..labels.len() as u32).filter(|&i| labels[i as usize] == class).collect();
        shuffle(&mut samples, rng);
        deal(&samples, &proportions(shards, alpha, rng), &mut parts);
    }
    parts
}

/// Deals samples out by proportions.
pub(super) fn deal(samples: &[u32], proportions: &[f64], parts: &mut [Vec<u32>]) {
    let (mut share, mut start) = (0.0, 0);
    for (part, proportion) in parts.iter_mut().zip(proportions) {
        share += proportion;
        let end = ((share * samples.len() as f64).round() as usize).clamp(start, samples.len());
        part.extend_from_slice(&samples[start..end]);
        start = end;
    }
    // Rounding may leave the last sample over.
    if let Some(last) = parts.last_mut() {
        last.extend_from_slice(&samples[start..]);
    }
}

/// A draw from Dirichlet(alpha, ..., alpha): gammas, normalised. Kept as logarithms, since gammas of a small alpha
/// underflow.
pub(super) fn proportions(n: usize, alpha: f64, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let logs: Vec<f64> = (0..n).map(|_| log_gamma_draw(alpha, rng)).collect();
    let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logs.iter().map(|log| (log - largest).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// ln of a draw from Gamma(alpha, 1): Marsaglia and Tsang (2000), with gamma(a) = gamma(a + 1) * u^(1/a) below 1.
fn log_gamma_draw(alpha: f64, rng: &mut ChaCha8Rng) -> f64 {
    if alpha < 1.0 {
        return log_gamma_draw(alpha + 1.0, rng) + uniform(rng).ln() / alpha;
    }
    let d = alpha - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal(rng);
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 && uniform(rng).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return (d * v).ln();
        }
    }
}

/// Box-Muller.
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    (-2.0 * uniform(rng).ln()).sqrt() * (std::f64::consts::TAU * uniform(rng)).cos()
}

/// In (0, 1]: its logarithm is finite.
fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    ((rng.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64
}

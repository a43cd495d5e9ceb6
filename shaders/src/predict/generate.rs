//! What comes next in a text, again and again: sampling from a language model.
//!
//! ```text
//! p_i = softmax(logits / temperature)_i over the top_k largest logits          temperature 0: the largest
//! ```
//!
//! The window slides: of a longer text the last `context` tokens are looked at, and each token takes a forward pass over the window.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::{PredictError, Predictor};

/// How the next token is drawn.
#[derive(Debug)]
pub struct Sampler {
    /// Above 1 more daring, below 1 more careful, 0 always the likeliest.
    pub temperature: f32,
    /// Only so many of the likeliest tokens can be drawn; 0: all.
    pub top_k: usize,
    rng: ChaCha8Rng,
}

impl Sampler {
    /// One whose draws follow from the seed.
    #[must_use]
    pub fn new(temperature: f32, top_k: usize, seed: u64) -> Self {
        Self { temperature, top_k, rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// A token by its logit; of equal ones the first counts as the larger.
    pub fn draw(&mut self, logits: &[f32]) -> usize {
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
        let Some(&likeliest) = order.first() else { return 0 };
        if self.temperature <= 0.0 {
            return likeliest;
        }
        if self.top_k > 0 {
            order.truncate(self.top_k);
        }
        let power = |&i: &usize| (f64::from(logits[i] - logits[likeliest]) / f64::from(self.temperature)).exp();
        let powers: Vec<f64> = order.iter().map(power).collect();
        let sum: f64 = powers.iter().sum();
        // 53 random bits: a float of [0, 1).
        let mut left = (self.rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64 * sum;
        for (&token, power) in order.iter().zip(&powers) {
            left -= power;
            if left < 0.0 {
                return token;
            }
        }
        likeliest
    }
}

impl Predictor {
    /// Draws what follows `text`, token by token, and hands each to `sink`, until there are `tokens` of them or it says false.
    ///
    /// # Errors
    /// A model that reads no text, an empty text, or a device failure.
    pub fn generate(
        &mut self,
        text: &[u32],
        tokens: usize,
        sampler: &mut Sampler,
        sink: &mut dyn FnMut(u32) -> bool,
    ) -> Result<(), PredictError> {
        let context = self.network.context().ok_or(PredictError::NoText)?;
        let mut window: Vec<u32> = text[text.len().saturating_sub(context)..].to_vec();
        if window.is_empty() {
            return Err(PredictError::Length { what: "tokens", found: 0, expected: context });
        }
        let classes = self.network.classes();
        let mut sample = vec![0.0; context + 1];
        for _ in 0..tokens {
            // What stands behind the text is not looked at: attention is causal.
            sample.iter_mut().zip(&window).for_each(|(place, &token)| *place = token as f32);
            let logits = self.logits(&sample)?;
            let row = (window.len() - 1) * classes;
            let token = sampler.draw(&logits[row..row + classes]) as u32;
            if !sink(token) {
                return Ok(());
            }
            window.push(token);
            if window.len() > context {
                window.remove(0);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use protocol::fixed::to_f32;

    use super::*;
    use crate::engine::cpu::CpuExecutor;
    use crate::learner::tests::kinds;

    #[test]
    fn draws_follow_the_probabilities_and_the_bounds() {
        let logits = [0.0, 2f32.ln(), f32::NEG_INFINITY, 1f32.ln()];
        let mut sampler = Sampler::new(1.0, 0, 1);
        let mut counts = [0i32; 4];
        (0..8000).for_each(|_| counts[sampler.draw(&logits)] += 1);
        for (count, expected) in counts.into_iter().zip([2000, 4000, 0, 2000]) {
            assert!((count - expected).abs() < 250, "{counts:?}");
        }
        assert!((0..100).all(|_| Sampler::new(0.0, 0, 1).draw(&logits) == 1));
        let mut of_two = Sampler::new(5.0, 2, 3);
        assert!((0..1000).all(|_| of_two.draw(&logits) < 2), "of equals the first is the larger");
        let drawn = |seed| {
            let mut sampler = Sampler::new(1.0, 0, seed);
            (0..50).map(|_| sampler.draw(&logits)).collect::<Vec<_>>()
        };
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
    }

    #[test]
    fn the_window_slides_and_what_is_behind_the_text_counts_for_nothing() {
        let spec = kinds().into_iter().find(|(name, _)| *name == "lm").unwrap().1;
        let context = spec.model.context().unwrap();
        let mut predictor = Predictor::new(spec.model.clone(), Box::new(CpuExecutor::new(None)), 1).unwrap();
        let weights: Vec<f32> = spec.model.initial_base([5; 32]).into_iter().map(|b| 8.0 * to_f32(b)).collect();
        predictor.set_weights(&weights).unwrap();
        let mut greedy = |text: &[u32], tokens| {
            let mut out = Vec::new();
            let sink = &mut |token| {
                out.push(token);
                true
            };
            predictor.generate(text, tokens, &mut Sampler::new(0.0, 0, 0), sink).unwrap();
            out
        };
        let text: Vec<u32> = (0..3 * context as u32).map(|i| i * 7 % 256).collect();
        // Beyond the window nothing is seen; in one go or token by token, the same comes out.
        let long = greedy(&text, 5);
        assert_eq!(long, greedy(&text[text.len() - context..], 5));
        let mut grown = text[..3].to_vec();
        let at_once = greedy(&grown, 2 * context);
        for token in &at_once {
            assert_eq!(greedy(&grown, 1), [*token]);
            grown.push(*token);
        }
        let mut seen = 0;
        predictor
            .generate(&text, 100, &mut Sampler::new(1.0, 0, 0), &mut |_| {
                seen += 1;
                seen < 3
            })
            .unwrap();
        assert_eq!(seen, 3);
        assert!(predictor.generate(&[], 1, &mut Sampler::new(1.0, 0, 0), &mut |_| true).is_err());
    }
}

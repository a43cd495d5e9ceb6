//! What comes next in a text, again and again: sampling from a language model.
//!
//! ```text
//! p_i = softmax(logits / temperature)_i over the top_k largest logits          temperature 0: the largest
//! ```
//!
//! Each token takes a forward pass of one place: keys and values of the places before it are kept (`models::steps`). When the context is full,
//! half of it is let go, and what stays is computed anew as a window that begins at place 0: its keys and values were made in sight of what is
//! gone, and places beyond the context were never trained on. So of a longer text the last context / 2 to `context` tokens are looked at, and a token
//! takes two to three places on average. Where the window begins follows from the length of the text alone.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::{PredictError, Predictor};
use crate::models::steps::Continuation;

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
        if text.is_empty() {
            return Err(PredictError::Length { what: "tokens", found: 0, expected: context });
        }
        let mut text = text.to_vec();
        for _ in 0..tokens {
            let token = sampler.draw(self.next(&text[begin(text.len(), context)..])?) as u32;
            if !sink(token) {
                return Ok(());
            }
            text.push(token);
        }
        Ok(())
    }

    /// Logits of what follows a text of 1 to `context` tokens.
    fn next(&mut self, text: &[u32]) -> Result<&[f32], PredictError> {
        let on = self.executor.as_mut();
        if self.continuation.is_none() {
            self.continuation = Continuation::new(on, &self.network, self.weights)?;
        }
        let continuation = self.continuation.as_mut().ok_or(PredictError::NoText)?;
        Ok(continuation.next(on, text)?)
    }
}

/// Where the window of a text of `length` tokens begins: it moves by half a context at a time.
fn begin(length: usize, context: usize) -> usize {
    let half = (context / 2).max(1);
    length.saturating_sub(context).next_multiple_of(half)
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
    fn a_window_begins_within_its_context_and_moves_by_half_of_it() {
        for context in [1, 2, 5, 64] {
            let begins: Vec<usize> = (1..5 * context).map(|length| begin(length, context)).collect();
            for (i, at) in begins.iter().enumerate() {
                let window = i + 1 - at;
                assert!(window <= context && (*at == 0 || window > context - (context / 2).max(1)), "{context}: {i}");
            }
            assert!(begins.windows(2).all(|pair| pair[1] == pair[0] || pair[1] == pair[0] + (context / 2).max(1)));
        }
    }

    /// Token by token over several windows: what one place computes is what the whole window computes.
    fn steps_equal_windows(executor: impl Fn() -> Box<dyn crate::engine::Executor>) {
        let spec = kinds().into_iter().find(|(name, _)| *name == "lm").unwrap().1;
        let [context, classes] = [spec.model.context().unwrap(), spec.model.classes()];
        let mut predictor = Predictor::new(spec.model.clone(), executor(), 1).unwrap();
        let mut weights: Vec<f32> = spec.model.initial_base([5; 32]).into_iter().map(|b| 3.0 * to_f32(b)).collect();
        let text: Vec<u32> = (0..3 * context as u32 + 2).map(|i| (i * i + 7) % 256).collect();
        for _ in 0..2 {
            predictor.set_weights(&weights).unwrap();
            for length in 1..text.len() {
                let window = &text[begin(length, context)..length];
                let step = predictor.next(window).unwrap().to_vec();
                let mut sample: Vec<f32> = window.iter().map(|&token| token as f32).collect();
                sample.resize(context + 1, 255.0);
                let whole = predictor.logits(&sample).unwrap();
                let whole = &whole[(window.len() - 1) * classes..window.len() * classes];
                let size = whole.iter().fold(1f32, |size, logit| size.max(logit.abs()));
                assert!(size > 1.5, "nothing to tell apart");
                for (a, b) in step.iter().zip(whole) {
                    // Rounding: a product of one row adds up in another order, and weights this large make much of it.
                    assert!((a - b).abs() <= 2e-4 * size, "{length} tokens: {a}, {b}");
                }
            }
            // Other weights: what was kept of the first ones counts for nothing.
            weights.iter_mut().for_each(|weight| *weight *= -1.3);
        }
    }

    #[test]
    fn a_step_has_the_logits_of_its_window() {
        steps_equal_windows(|| Box::new(CpuExecutor::new(None)));
    }

    #[cfg(feature = "gpu")]
    #[test]
    fn a_step_has_the_logits_of_its_window_on_a_gpu() {
        if crate::kernels::tests::gpu().is_some() {
            steps_equal_windows(|| Box::new(crate::kernels::tests::gpu().unwrap()));
        }
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

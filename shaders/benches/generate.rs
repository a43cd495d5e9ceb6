//! Tokens a second of a language model that continues a text: place by place, and as it would be by a whole window for each token.
//!
//! `cargo bench -p shaders --bench generate`

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

use std::sync::Arc;
use std::time::Instant;

use protocol::fixed::to_f32;
use shaders::bench::models;
use shaders::engine::{DeviceChoice, open};
use shaders::predict::{Predictor, Sampler};

/// Tokens of a text: several windows.
const TOKENS: usize = 512;
/// Texts; the fastest counts.
const TEXTS: usize = 5;

fn main() {
    let model = models::ALL.iter().find(|model| model.name == "lm 1M").unwrap();
    let network = Arc::new(model.build().unwrap());
    let weights: Vec<f32> = network.initial_base([1; 32]).into_iter().map(to_f32).collect();
    for choice in [DeviceChoice::Cpu, DeviceChoice::Auto] {
        let mut predictor = Predictor::new(Arc::clone(&network), open(&choice, 1).unwrap(), 1).unwrap();
        let info = predictor.info().clone();
        if choice == DeviceChoice::Auto && info.backend == "cpu" {
            println!("no GPU adapter: the GPU executor is not measured");
            continue;
        }
        predictor.set_weights(&weights).unwrap();
        let mut sampler = Sampler::new(0.8, 0, 1);
        let mut best = |text: &mut dyn FnMut(&mut Predictor)| {
            let each = (0..TEXTS).map(|_| {
                let begun = Instant::now();
                text(&mut predictor);
                begun.elapsed().as_secs_f64()
            });
            TOKENS as f64 / each.fold(f64::INFINITY, f64::min)
        };
        let steps = best(&mut |predictor| predictor.generate(&[65], TOKENS, &mut sampler, &mut |_| true).unwrap());
        let window = vec![65.0; network.features()];
        let windows = best(&mut |predictor| (0..TOKENS).for_each(|_| drop(predictor.logits(&window).unwrap())));
        println!(
            "- {} ({} parameters) on {}: {steps:.0} tokens/s, {windows:.0} by whole windows, {:.1} times as many",
            model.name,
            network.parameters(),
            info.name,
            steps / windows
        );
    }
}

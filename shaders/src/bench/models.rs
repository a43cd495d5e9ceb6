//! The models whose steps are counted: a perceptron, and decoder language models of 1 M, 10 M and 124 M parameters.
//!
//! `benches/rivals/pytorch.py` builds the same, by the same names: RMS norm, rotary positions, GELU in its tanh form, no biases, a head
//! tied to the embedding, Adam. The largest has GPT-2's shape (12 layers of 768, 12 heads, windows of 1,024) and 50,304 tokens: GPT-2's
//! 50,257, rounded up to a multiple of 64 as is usual.

use std::sync::Arc;

use crate::LearnerSpec;
use crate::data::{Dataset, Split};
use crate::models::network::Network;
use crate::models::{ActivationKind, LmSpec, ModelError, ModelSpec, NormKind};
use crate::optim::OptimizerSpec;
use crate::optim::schedule::Schedule;

/// Samples of a set, in batches: each is gone through a few times.
const BATCHES: usize = 4;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// In reports, and there for rivals to compare with.
    pub name: &'static str,
    shape: Shape,
    /// Samples a step: the first that is done in time counts.
    pub batches: &'static [usize],
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    /// Widths, from the features to the classes.
    Mlp([u32; 3]),
    /// A decoder.
    Lm { context: u32, width: u32, layers: u32, heads: u32, vocabulary: usize },
}

/// All of them, the smallest first.
pub const ALL: &[Model] = &[
    Model { name: "mlp 784-512-10", shape: Shape::Mlp([784, 512, 10]), batches: &[128] },
    Model {
        name: "lm 1M",
        shape: Shape::Lm { context: 64, width: 128, layers: 5, heads: 4, vocabulary: 256 },
        batches: &[8],
    },
    Model {
        name: "lm 10M",
        shape: Shape::Lm { context: 256, width: 384, layers: 6, heads: 6, vocabulary: 256 },
        batches: &[64, 8, 1],
    },
    Model {
        name: "lm 124M",
        shape: Shape::Lm { context: 1024, width: 768, layers: 12, heads: 12, vocabulary: 50_304 },
        batches: &[4, 1],
    },
];

impl Model {
    /// Whether it is a language model.
    #[must_use]
    pub fn is_lm(&self) -> bool {
        matches!(self.shape, Shape::Lm { .. })
    }

    /// Its layers; nothing as large as its parameters.
    ///
    /// # Errors
    /// Never for those of [`ALL`].
    pub fn build(&self) -> Result<Network, ModelError> {
        match self.shape {
            Shape::Mlp([features, hidden, classes]) => {
                ModelSpec::Mlp { hidden: vec![hidden] }.build(&[features as usize], classes as usize)
            }
            Shape::Lm { context, width, layers, heads, vocabulary } => {
                let (norm, activation) = (NormKind::Rms, ActivationKind::Gelu);
                let spec = LmSpec { context, width, layers, heads, norm, activation, dropout: 0.0 };
                ModelSpec::Lm(spec).build(&[context as usize + 1], vocabulary)
            }
        }
    }

    /// Multiplications and additions of a step, about: six a parameter and row (forward, and two gradients), and those of attention.
    #[must_use]
    pub fn flops(&self, parameters: usize, batch: usize) -> f64 {
        let (rows, attention) = match self.shape {
            Shape::Mlp(_) => (1.0, 0.0),
            Shape::Lm { context, width, layers, .. } => {
                // Scores and sums, three passes, half of them in the past.
                let each = 6.0 * f64::from(context) * f64::from(width) * f64::from(layers);
                (f64::from(context), each)
            }
        };
        batch as f64 * rows * (6.0 * parameters as f64 + attention)
    }

    /// What a learner needs, on numbers without a pattern.
    #[must_use]
    pub fn learner(&self, network: Arc<Network>, batch: usize) -> LearnerSpec {
        let (features, classes, vocabulary) = match self.shape {
            Shape::Mlp([features, _, classes]) => (features as usize, classes as usize, None),
            Shape::Lm { context, vocabulary, .. } => (context as usize + 1, vocabulary, Some(vocabulary)),
        };
        let value = |i: usize| {
            let number = (i as u32).wrapping_mul(2_654_435_761) >> 8;
            vocabulary.map_or(number as f32 / (1 << 24) as f32, |vocabulary| (number as usize % vocabulary) as f32)
        };
        let samples = |n: usize| Split {
            features: (0..n * features).map(value).collect(),
            labels: (0..n as u32).map(|i| i % 10).collect(),
        };
        let train = samples(BATCHES * batch);
        LearnerSpec {
            model: network,
            optimizer: OptimizerSpec::Adam { learning_rate: 1e-4 },
            schedule: Schedule::default(),
            clip: None,
            batch,
            init_seed: [1; 32],
            order_seed: 1,
            shard: (0..train.labels.len() as u32).collect(),
            dealt: None,
            dataset: Arc::new(Dataset {
                name: "bench".into(),
                shape: vec![features],
                classes,
                train,
                test: samples(1),
                ..Dataset::default()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use protocol::codec::TopK2Bit;

    use super::*;
    use crate::engine::DeviceInfo;
    use crate::engine::products::Choices;
    use crate::{DeviceKind, Footprint, Life, Misfit};

    /// wgpu shows no larger binding of a Vulkan device than a signed number of 32 bits counts.
    const LARGEST_BUFFER: u64 = (1 << 31) - 1;

    #[test]
    fn they_are_as_large_as_they_are_called() {
        let parameters: Vec<usize> = ALL.iter().map(|model| model.build().unwrap().parameters()).collect();
        // By hand: V D + L (12 D^2 + 2 D) + D.
        assert_eq!(parameters, [407_050, 1_017_216, 10_720_128, 123_587_328]);
        let work = |i: usize| ALL[i].flops(parameters[i], 1) / parameters[i] as f64;
        assert_eq!(work(0), 6.0);
        assert!((1.0..1.3).contains(&(work(3) / (6.0 * 1024.0))), "attention is a small part");
    }

    /// The plan alone: a step of it takes minutes here. Of a GPU as Vulkan drivers show them, by the kernels that nobody has tuned.
    #[test]
    fn gpt_2s_shape_fits_a_gpu_of_24_gib() {
        let model = ALL.last().unwrap();
        let device = DeviceInfo {
            name: "GPU".into(),
            backend: "vulkan".into(),
            free_memory: Some(24 << 30),
            largest_buffer: Some(LARGEST_BUFFER),
            ..Default::default()
        };
        let life = Life { gossip: true, checkpoints: true, ..Life::on(&device) };
        let choices = Choices::untuned(&device);
        assert!(life.device == DeviceKind::Gpu && choices != Choices::PLAIN);
        let plan = |recompute| {
            let mut network = model.build().unwrap();
            network.recompute = recompute;
            let spec = model.learner(Arc::new(network), model.batches[0]);
            let plan = Footprint::of(&spec, &TopK2Bit, &choices, life).unwrap();
            assert_eq!(plan.check(&device), Ok(()));
            plan
        };
        let [kept, again] = [false, true].map(plan);
        let vectors = 5 * 4 * kept.parameters as u64;
        assert_eq!(kept.weights + kept.moments, vectors);
        assert!(kept.device() < 7 << 30 && again.device() < 5 << 30, "{kept:?} {again:?}");
        // A much larger batch does not, and is told so.
        let spec = model.learner(Arc::new(model.build().unwrap()), 32);
        let many = Footprint::of(&spec, &TopK2Bit, &choices, life).unwrap();
        assert!(matches!(many.check(&device), Err(Misfit::Buffer { .. } | Misfit::Memory { .. })), "{many:?}");
    }
}

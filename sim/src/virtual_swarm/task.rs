//! What virtual peers compute: the job's model on its data, or the quadratic.

use std::sync::Arc;

use protocol::id::PeerId;
use protocol::learner::{Learner, LearnerError};
use protocol::schema::{Schema, Tensor};
use shaders::data::{Dataset, Split};
use shaders::engine::cpu::CpuExecutor;
use shaders::{Dealt, LearnerSpec, TrainingLearner};

use super::quadratic::Quadratic;
use super::scenario::QuadraticSpec;

/// Share of the training data that is evaluated on where a scenario asks for validation: one in so many.
const VALIDATION_ONE_IN: usize = 10;

/// See the module.
#[derive(Clone, Debug)]
pub enum Task {
    /// See [`super::quadratic`].
    Quadratic(QuadraticSpec),
    /// Training on the CPU executor.
    Train {
        /// What every peer trains, but for its shard and its order.
        spec: LearnerSpec,
        /// For every shard its samples.
        shards: Arc<Vec<Vec<u32>>>,
        /// For every shard the seed of its order.
        order_seeds: Arc<Vec<u64>>,
        /// Seed of the split where samples are dealt anew as peers come and go.
        deal: Option<u64>,
    },
}

impl Task {
    /// Names and shapes of the parameters.
    #[must_use]
    pub fn schema(&self) -> Schema {
        match self {
            Self::Quadratic(spec) => {
                Schema { tensors: vec![Tensor { name: "w".into(), shape: vec![spec.parameters as u32] }] }
            }
            Self::Train { spec, .. } => spec.model.schema(),
        }
    }

    /// The learner of a peer, number `index` of `peers`, in a life that `seed` tells apart from others.
    pub(super) fn learner(&self, us: PeerId, index: u32, peers: u32, seed: u64) -> Result<Mind, LearnerError> {
        Ok(match self {
            Self::Quadratic(spec) => Mind::Quadratic(Box::new(Quadratic::new(spec, index, peers, seed))),
            Self::Train { spec, shards, order_seeds, deal } => {
                let shard = index as usize % shards.len();
                let (order_seed, dealt) = (order_seeds[shard] ^ seed, deal.map(|seed| Dealt { us, seed }));
                let spec = LearnerSpec { order_seed, shard: shards[shard].clone(), dealt, ..spec.clone() };
                Mind::Train(Box::new(TrainingLearner::new(spec, Box::new(CpuExecutor::new(None)))?))
            }
        })
    }
}

/// A learner of either kind.
#[derive(Debug)]
pub(super) enum Mind {
    Quadratic(Box<Quadratic>),
    Train(Box<TrainingLearner>),
}

impl Mind {
    pub(super) fn learner(&mut self) -> &mut dyn Learner {
        match self {
            Self::Quadratic(learner) => learner.as_mut(),
            Self::Train(learner) => learner.as_mut(),
        }
    }
}

/// The data set with a fixed tenth of its training split as the test split: settings are chosen on it, never on the test
/// data themselves.
#[must_use]
pub fn validation(dataset: &Dataset) -> Dataset {
    let whole = &dataset.train;
    let is_held = |&row: &u32| (row as usize).is_multiple_of(VALIDATION_ONE_IN);
    let (held, trained) = (0..whole.len() as u32).partition(is_held);
    let part = |rows: Vec<u32>| Split {
        labels: rows.iter().map(|&row| whole.labels[row as usize]).collect(),
        features: whole.features.choose(dataset.features(), rows),
    };
    let (test, train) = (part(held), part(trained));
    Dataset { test, train, validation: Split::default(), ..dataset.clone() }
}

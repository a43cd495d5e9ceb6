//! A trained model that answers: predictions, text, measurements, and the way to other tools.
//!
//! [`Answers`] is the one way in, for the command line and for whoever serves a running peer: it holds the model on a device and takes samples as
//! numbers. Weights can be replaced while it lives.

pub mod export;
pub mod measure;
mod onnx;
mod spelling;
pub mod text;
pub mod tiles;

use std::sync::Arc;

use shaders::engine::Executor;
use shaders::predict::{PredictError, Predictor, Sampler, softmax};

use self::spelling::Spelling;
use crate::error::{Error, Kind};
use crate::store::checkpoint::{About, Model};

/// Samples that a device is given at once, at most.
const SAMPLES_MAX: usize = 256;
/// Words of the widest value of such a batch: 16 MiB.
const WORDS_MAX: usize = 4 << 20;

/// What a model says of one sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The likeliest class.
    pub class: usize,
    /// Of each class, 0 to 1; they sum to 1.
    pub probabilities: Vec<f64>,
    /// Of each class, as the model gives them.
    pub logits: Vec<f32>,
}

/// See the module.
#[derive(Debug)]
pub struct Answers {
    /// What the model is.
    pub about: About,
    /// blake3 of the weights file that it came of, hex; of a running peer that of its base.
    pub hash: String,
    predictor: Predictor,
}

impl Answers {
    /// A model on a device.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn new(model: Model, executor: Box<dyn Executor>) -> Result<Self, Error> {
        let Model { about, network, weights, hash, .. } = model;
        let samples = (WORDS_MAX / network.widest().max(1)).clamp(1, SAMPLES_MAX);
        let samples = if network.context().is_some() { samples.min(8) } else { samples };
        let mut predictor = Predictor::new(Arc::new(network), executor, samples).map_err(|error| failed(&error))?;
        predictor.set_weights(&weights).map_err(|error| failed(&error))?;
        Ok(Self { about, hash, predictor })
    }

    /// Goes on with these weights, in buffer order, under that name.
    ///
    /// # Errors
    /// Another number of them, or a device failure.
    pub fn set_weights(&mut self, weights: &[f32], hash: String) -> Result<(), Error> {
        self.predictor.set_weights(weights).map_err(|error| failed(&error))?;
        self.hash = hash;
        Ok(())
    }

    /// Numbers of a sample.
    #[must_use]
    pub fn features(&self) -> usize {
        self.predictor.network().features()
    }

    /// What a class is called.
    #[must_use]
    pub fn class_name(&self, class: usize) -> String {
        self.about.class_names.get(class).cloned().unwrap_or_else(|| class.to_string())
    }

    /// Logits of samples [n, features] as [n, rows, classes].
    ///
    /// # Errors
    /// A number of features that is no multiple of a sample's, or a device failure.
    pub fn logits(&mut self, samples: &[f32]) -> Result<Vec<f32>, Error> {
        self.predictor.logits(samples).map_err(|error| failed(&error))
    }

    /// Predictions of samples [n, features], already as the model was trained on them.
    ///
    /// # Errors
    /// A model of text, a number of features that is no multiple of a sample's, or a device failure.
    pub fn predict(&mut self, samples: &[f32]) -> Result<Vec<Prediction>, Error> {
        if self.predictor.network().context().is_some() {
            return Err(Error::new(Kind::Input, "this is a language model: it continues a text")
                .hint("starling generate --prompt TEXT"));
        }
        let logits = self.logits(samples)?;
        if let Some(place) = logits.iter().position(|logit| !logit.is_finite()) {
            let sample = place / self.about.classes + 1;
            return Err(Error::new(
                Kind::Input,
                format!("what the model says of sample {sample} is no number: its features are too large, or its weights are none"),
            )
            .hint("are the features in the units that it was trained on? `starling eval` shows whether the model is sound"));
        }
        let prediction = |logits: &[f32]| {
            // Of equals the first, as in training.
            let class = (0..logits.len()).rev().max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or(0);
            Prediction { class, probabilities: softmax(logits), logits: logits.to_vec() }
        };
        Ok(logits.chunks(self.about.classes).map(prediction).collect())
    }

    /// Of one sample.
    ///
    /// # Errors
    /// As [`Self::predict`].
    pub fn predict_one(&mut self, sample: &[f32]) -> Result<Prediction, Error> {
        let none = || Error::new(Kind::Internal, "the model gave no answer");
        self.predict(sample)?.pop().ok_or_else(none)
    }

    /// Continues a text by so many tokens, bytes or characters as the model was trained on, or until `sink` says false; it is handed byte by byte.
    ///
    /// # Errors
    /// A model that reads no text, an empty prompt or one of characters that the model does not know, or a device failure.
    pub fn generate(
        &mut self,
        prompt: &str,
        tokens: usize,
        sampler: &mut Sampler,
        sink: &mut dyn FnMut(u8) -> bool,
    ) -> Result<(), Error> {
        let spelling = Spelling::of(&self.about, self.predictor.network().context().is_some())?;
        let prompt = spelling.tokens(prompt)?;
        let mut sink = |token| spelling.bytes(token).into_iter().all(&mut *sink);
        self.predictor.generate(&prompt, tokens, sampler, &mut sink).map_err(|error| failed(&error))
    }
}

fn failed(error: &PredictError) -> Error {
    match error {
        PredictError::Device(_) => Error::new(Kind::Device, error).hint("--device cpu does without it"),
        PredictError::Length { .. } => Error::new(Kind::Input, error),
        PredictError::NoText => Error::new(Kind::Input, error).hint("starling predict --checkpoint DIR INPUT..."),
    }
}

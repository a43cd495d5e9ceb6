//! `config.json`: all that a model needs to be used, in words that others read too.
//!
//! The two keys at the top are those by which the tools around safetensors know a model; the rest stands under `starling`.

use protocol::event::Report;
use protocol::learner::Weights;
use serde::{Deserialize, Serialize};
use shaders::data::Encoding;
use shaders::models::ModelSpec;
use shaders::models::network::{Loss, Network};

use crate::error::{Error, Kind};

/// Version of this form.
const FORMAT: u32 = 1;

/// The file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The class of the model; one of ours.
    pub architectures: Vec<String>,
    /// The family.
    pub model_type: String,
    /// The rest.
    pub starling: About,
}

/// See [`Config`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// Version of this form.
    pub format: u32,
    /// Release that wrote it.
    pub version: String,
    /// Run id, hex.
    pub run: String,
    /// The job in its canonical form, one `key=value` an entry: everything that its peers share, its key apart.
    pub job: Vec<String>,
    /// The model.
    pub model: ModelSpec,
    /// What was made small.
    pub loss: Loss,
    /// Extents of a sample: [H, W], [H, W, C], or anything; of a text [context + 1].
    pub shape: Vec<usize>,
    /// Classes, or tokens.
    pub classes: usize,
    /// Name of the data set.
    pub data: String,
    /// What the classes are called, in order; empty: by their numbers.
    pub class_names: Vec<String>,
    /// How numbers and columns of the data were brought to what the model reads.
    #[serde(default)]
    pub encoding: Encoding,
    /// d.
    pub parameters: usize,
    /// `base`: what all peers share. `local`: what this peer alone has trained, of a run without gossip.
    pub weights: String,
    /// Optimizer steps of this peer.
    #[serde(default)]
    pub steps: u64,
    /// Its epochs.
    #[serde(default)]
    pub epochs: u32,
    /// Samples that the swarm has trained on.
    #[serde(default)]
    pub samples: u64,
    /// blake3 of the base, hex, as peers compare it.
    #[serde(default)]
    pub base_hash: String,
    /// What the model is worth, where that was measured.
    #[serde(default)]
    pub evaluation: Option<Worth>,
}

/// An evaluation on the held-out samples of the job's data.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Worth {
    /// Nats a sample, of a text a token. `None` when it was no number.
    pub loss: Option<f32>,
    /// 0 to 1.
    pub accuracy: f32,
    /// Samples looked at.
    pub samples: u64,
}

impl Worth {
    /// Of a report.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        let found = &report.evaluation;
        let loss = Some(found.loss).filter(|loss| loss.is_finite());
        Self { loss, accuracy: found.accuracy, samples: found.samples }
    }
}

impl About {
    /// Of a run, before anything is trained.
    #[must_use]
    pub fn new(
        run: String,
        job: Vec<String>,
        model: ModelSpec,
        network: &Network,
        shape: Vec<usize>,
        data: String,
    ) -> Self {
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            run,
            job,
            model,
            loss: network.loss,
            shape,
            classes: network.classes(),
            data,
            class_names: Vec::new(),
            encoding: Encoding::default(),
            parameters: network.parameters(),
            weights: "base".to_owned(),
            steps: 0,
            epochs: 0,
            samples: 0,
            base_hash: String::new(),
            evaluation: None,
        }
    }

    /// Which weights the model is made of.
    #[must_use]
    pub fn of_weights(mut self, weights: Weights) -> Self {
        weights_name(weights).clone_into(&mut self.weights);
        self
    }

    /// Which weights the model is made of.
    #[must_use]
    pub fn which(&self) -> Weights {
        if self.weights == weights_name(Weights::Local) { Weights::Local } else { Weights::Base }
    }

    /// The model that it describes.
    ///
    /// # Errors
    /// A configuration that contradicts itself.
    pub fn network(&self) -> Result<Network, Error> {
        let wrong = |what: String| Error::new(Kind::Input, format!("the checkpoint's configuration: {what}"));
        if self.format != FORMAT {
            return Err(wrong(format!("format {}, this release reads {FORMAT}", self.format))
                .hint(format!("it was written by starling {}", self.version)));
        }
        if !super::bounds::hold(self) {
            return Err(wrong("a model, classes or extents out of all bounds".to_owned())
                .hint("the bounds are those of a job: docs/engine.md"));
        }
        let numbers: usize = self.shape.iter().product();
        if let Some(normalization) = &self.encoding.normalization
            && [&normalization.mean, &normalization.deviation].iter().any(|values| values.len() != numbers)
        {
            return Err(wrong(format!(
                "a mean and a deviation for each of {numbers} numbers of a sample are expected"
            )));
        }
        let mut network = self.model.build(&self.shape, self.classes).map_err(|error| wrong(error.to_string()))?;
        if network.parameters() != self.parameters || network.classes() != self.classes {
            return Err(wrong(format!("{} parameters, its model has {}", self.parameters, network.parameters())));
        }
        network.loss = self.loss;
        Ok(network)
    }
}

fn weights_name(weights: Weights) -> &'static str {
    match weights {
        Weights::Base => "base",
        Weights::Local => "local",
    }
}

impl Config {
    pub(super) fn new(about: About) -> Self {
        let kind = about.model.kind();
        let mut class = String::from("Starling");
        class.extend(kind.chars().take(1).flat_map(char::to_uppercase).chain(kind.chars().skip(1)));
        Self { architectures: vec![class], model_type: format!("starling-{kind}"), starling: about }
    }

    pub(super) fn to_text(&self) -> Result<String, String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n").map_err(|error| format!("config.json: {error}"))
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let config: Self = serde_json::from_slice(bytes).map_err(|error| format!("config.json: {error}"))?;
        let about = &config.starling;
        // JSON has numbers that are larger than any of 32 bits, and none for what they become.
        let worth = about.evaluation.iter().flat_map(|worth| [Some(worth.accuracy), worth.loss]).flatten();
        let scaling = about.encoding.normalization.iter().flat_map(|by| by.mean.iter().chain(&by.deviation).copied());
        match worth.chain(scaling).find(|number| !number.is_finite()) {
            Some(_) => Err("config.json: a number that is larger than any of 32 bits (3.4e38)".into()),
            None => Ok(config),
        }
    }
}

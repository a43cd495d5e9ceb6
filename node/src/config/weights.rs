//! `training.class_weights`: how much each class counts in training.

use std::fmt;

use serde::Deserialize;
use shaders::data::CLASSES_MAX;
use shaders::models::ModelSpec;

use super::checks::{Bits, invalid};
use crate::error::{Error, Kind};

/// Heaviest class: beyond it a rate that fits it fits no other.
pub const CLASS_WEIGHT_MAX: f32 = 1000.0;

/// As typed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged, expecting = "must be \"balanced\", or a weight for each class, as [1.0, 5.0]")]
pub enum RawClassWeights {
    /// A rule: `balanced`.
    Rule(String),
    /// In the order of the classes.
    Each(Vec<f32>),
}

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub enum ClassWeights {
    /// n / (classes * n of the class): all classes together count alike, and the mean over the samples is 1.
    Balanced,
    /// In the order of the classes.
    Each(Vec<f32>),
}

impl ClassWeights {
    pub(super) fn new(raw: Option<RawClassWeights>, model: &ModelSpec) -> Result<Option<Self>, Error> {
        const KEY: &str = "training.class_weights";
        let Some(raw) = raw else { return Ok(None) };
        if matches!(model, ModelSpec::Lm(_)) {
            return Err(Error::new(Kind::Input, format!("{KEY} belongs to classifiers, and this is kind = \"lm\""))
                .hint("remove it, or use another kind"));
        }
        match raw {
            RawClassWeights::Rule(rule) if rule == "balanced" => Ok(Some(Self::Balanced)),
            RawClassWeights::Rule(rule) => Err(invalid(KEY, &format!("{rule:?}"), "no such rule")
                .hint("`balanced`, or a weight for each class as [1.0, 5.0]")),
            RawClassWeights::Each(weights) => {
                if weights.len() > CLASSES_MAX as usize {
                    let why = format!("at most {CLASSES_MAX}");
                    return Err(invalid(KEY, &format!("{} weights", weights.len()), &why));
                }
                if let Some(weight) = weights.iter().find(|weight| !(0.0..=CLASS_WEIGHT_MAX).contains(*weight)) {
                    return Err(invalid(KEY, &weight.to_string(), &format!("must be from 0 to {CLASS_WEIGHT_MAX}")));
                }
                if !weights.iter().any(|weight| *weight > 0.0) {
                    return Err(invalid(KEY, &format!("{weights:?}"), "no class counts").hint("one above 0 at least"));
                }
                Ok(Some(Self::Each(weights)))
            }
        }
    }

    /// Weights of so many classes, by these labels of the whole training part.
    ///
    /// # Errors
    /// Another number of them than there are classes.
    pub fn of(&self, labels: &[u32], classes: usize) -> Result<Vec<f32>, Error> {
        match self {
            Self::Balanced => {
                let mut counts = vec![0u64; classes];
                labels.iter().for_each(|&label| counts[label as usize] += 1);
                let there = counts.iter().filter(|count| **count > 0).count().max(1) as f64;
                let share = labels.len() as f64 / there;
                // A class without a sample weighs nothing: there is nothing to weigh.
                let weight = |&count: &u64| if count > 0 { (share / count as f64) as f32 } else { 0.0 };
                Ok(counts.iter().map(weight).collect())
            }
            Self::Each(weights) if weights.len() == classes => Ok(weights.clone()),
            Self::Each(weights) => {
                let message = format!(
                    "training.class_weights has {} weights, and the data have {classes} classes",
                    weights.len()
                );
                Err(Error::new(Kind::Input, message).hint("one weight for each class, in their order; or \"balanced\""))
            }
        }
    }

    /// As in a job file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        match self {
            Self::Balanced => "class_weights = \"balanced\"\n".into(),
            Self::Each(weights) => format!("class_weights = {weights:?}\n"),
        }
    }
}

/// Of the canonical form.
impl fmt::Display for ClassWeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Balanced => f.write_str("balanced"),
            Self::Each(weights) => weights
                .iter()
                .enumerate()
                .try_for_each(|(i, weight)| write!(f, "{}{}", if i > 0 { "," } else { "" }, Bits(*weight))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::config::{Job, RawJob};

    fn job(text: &str) -> Result<Job, Error> {
        Job::new(RawJob::parse(text, "a")?)
    }

    #[test]
    fn balanced_classes_count_alike_and_the_mean_sample_counts_once() {
        let labels: Vec<u32> = (0..100).map(|i| u32::from(i >= 80) + u32::from(i >= 95)).collect();
        let weights = ClassWeights::Balanced.of(&labels, 4).unwrap();
        let total =
            |class: u32| labels.iter().filter(|label| **label == class).count() as f32 * weights[class as usize];
        assert!((0..3).all(|class| (total(class) - 100.0 / 3.0).abs() < 1e-3), "{weights:?}");
        assert_eq!(weights[3], 0.0, "no sample, no weight");
        let error = ClassWeights::Each(vec![1.0, 2.0]).of(&labels, 3).unwrap_err();
        assert!(error.message.contains("2 weights") && error.message.contains("3 classes"), "{error}");
    }

    #[test]
    fn what_is_no_weight_is_refused_and_weights_are_of_the_run() {
        for (value, named) in [
            ("\"some\"", "no such rule"),
            ("[1.0, -1.0]", "from 0 to 1000"),
            ("[nan]", "from 0 to 1000"),
            ("[0.0, 0.0]", "no class counts"),
            ("3", "class_weights"),
        ] {
            let error = job(&format!("[training]\nclass_weights = {value}")).unwrap_err();
            assert!(error.message.contains(named), "{value}: {error}");
        }
        let text = "[model]\nkind = \"lm\"\n[training]\nclass_weights = \"balanced\"";
        assert!(job(text).unwrap_err().message.contains("belongs to classifiers"));
        let runs = ["", "class_weights = \"balanced\"", "class_weights = [1.0, 2.0]", "class_weights = [1.0, 2.5]"]
            .map(|line| job(&format!("[training]\n{line}")).unwrap().run_id());
        assert!((0..4).all(|i| (0..i).all(|j| runs[i] != runs[j])));
    }
}

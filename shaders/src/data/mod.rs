//! Data sets: pictures, vectors or rows of tables with a class each, or windows of a text, in fixed parts.
//!
//! [`named`] opens a set by its name, [`open`] what is at a path, told by its content (`formats/`). What does not fit in memory stays in its
//! file (`features.rs`). Add a set: one folder here and one line in [`named::ALL`](named::ALL); add a format: see `formats/mod.rs`.

pub mod augment;
mod digits;
mod encoding;
mod error;
mod features;
mod files;
mod formats;
mod holdout;
mod inputs;
mod named;
mod open;
mod rows;
mod shakespeare;
pub mod split;
pub mod summary;

use split::{SplitError, SplitRule};

pub use encoding::{Column, Encoding, Normalization};
pub use error::{DataError, Place};
pub use features::{Element, Features, Order};
pub use formats::characters::Vocabulary;
pub use formats::{ALL as FORMATS, idx, text};
pub use holdout::{SHARE_MAX, Shares};
pub use inputs::{Inputs, inputs};
pub use named::{ALL, Named, embedded, named};
pub use open::{Classes, Normalize, Options, RESIDENT_BYTES_MAX, open, takes_size};
pub use rows::{ROW_BYTES_MAX, Row, Rows};

/// Most bytes of a data set, unpacked, that is held in memory.
pub const DATA_BYTES_MAX: u64 = 4 << 30;
/// Most classes.
pub const CLASSES_MAX: u32 = 1000;

/// A data set.
#[derive(Clone, Debug, Default)]
pub struct Dataset {
    /// Its name, or its path.
    pub name: String,
    /// Extents of one sample, as [28, 28].
    pub shape: Vec<usize>,
    /// Number of classes: as many as were said, or the largest label of the training part, plus 1.
    pub classes: usize,
    /// What a model must know beside numbers.
    pub encoding: Encoding,
    /// How what is trained on is changed each time.
    pub augment: augment::Augment,
    /// Which rows of the data those are that are trained on.
    pub origin: Origin,
    /// What is trained on.
    pub train: Split,
    /// What is evaluated on while training goes on; empty: the test part.
    pub validation: Split,
    /// What is tested on.
    pub test: Split,
}

/// Where the samples of a training part lay, among those that it was drawn of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Origin {
    /// All of them; 0: those of the training part.
    pub(crate) samples: u32,
    /// How it was drawn; `None`: it is the first ones.
    pub(crate) drawn: Option<(Shares, u64)>,
}

impl Origin {
    /// How many there were, and which of them `trained` samples are. Drawn again: kept, they would take memory that few need.
    fn rows(self, trained: usize) -> (usize, Vec<u32>) {
        let first = || (0..trained as u32).collect();
        let drawn = self.drawn.and_then(|(shares, seed)| holdout::choose(self.samples, shares, seed));
        ((self.samples as usize).max(trained), drawn.map_or_else(first, |[train, ..]| train))
    }
}

/// Samples and their labels.
#[derive(Clone, Debug, Default)]
pub struct Split {
    /// [n, features], row by row.
    pub features: Features,
    /// [n].
    pub labels: Vec<u32>,
}

impl Split {
    /// n.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

impl Dataset {
    /// Numbers in one sample.
    #[must_use]
    pub fn features(&self) -> usize {
        self.shape.iter().product()
    }

    /// These training samples alone, and evaluated on them, too: whether a model can learn at all.
    #[must_use]
    pub fn only(&self, rows: &[u32]) -> Self {
        let part = Split {
            labels: rows.iter().map(|&row| self.train.labels[row as usize]).collect(),
            features: self.train.features.choose(self.features(), rows.to_vec()),
        };
        let encoding = self.encoding.clone();
        let (name, shape) = (self.name.clone(), self.shape.clone());
        Self { name, shape, classes: self.classes, encoding, train: part.clone(), test: part, ..Self::default() }
    }

    /// The training samples in shards by a rule; one that a file says has a line for each sample that the data have, whichever of them are trained on.
    ///
    /// # Errors
    /// As [`SplitRule::shards`].
    pub fn shards(&self, rule: &SplitRule, shards: usize, seed: u64) -> Result<Vec<Vec<u32>>, SplitError> {
        let is_regions = matches!(rule, SplitRule::Regions { .. });
        let origin = is_regions.then(|| self.origin.rows(self.train.len()));
        rule.shards_of(&self.train.labels, origin, shards, seed)
    }

    /// Brings all numbers to a mean and a deviation, as those of a model's training data.
    pub fn normalize(&mut self, normalization: &Normalization) {
        for part in [&mut self.train, &mut self.validation, &mut self.test] {
            part.features.normalize(normalization);
        }
    }

    /// What is evaluated on while training goes on.
    #[must_use]
    pub fn evaluated(&self) -> &Split {
        if self.validation.is_empty() { &self.test } else { &self.validation }
    }
}

fn names() -> String {
    ALL.iter().map(|set| set.name).collect::<Vec<_>>().join(", ")
}

/// A folder, or whatever is at a path, as it is.
///
/// # Errors
/// As [`open`].
pub fn open_folder(path: &std::path::Path) -> Result<Dataset, DataError> {
    open(path, &Options::default())
}

#[cfg(test)]
mod tests;

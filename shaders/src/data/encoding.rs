//! What a model must be told of its data beside numbers, to be given others of their kind: how columns became numbers, what was
//! subtracted and divided, what its classes are called, and which characters its tokens are. A checkpoint keeps it.

use serde::{Deserialize, Serialize};

/// A number that varies less is not divided: its column says nothing.
const DEVIATION_MIN: f32 = 1e-6;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Encoding {
    /// Of the training part; `None` where numbers are taken as they are.
    pub normalization: Option<Normalization>,
    /// Of a table, in order; empty for everything else.
    pub columns: Vec<Column>,
    /// In the order of the classes; empty where they have numbers only.
    pub class_names: Vec<String>,
    /// Of a text by its characters, in the order of the tokens; empty for everything else.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub characters: String,
    /// Height and width that pictures were brought to; `None` where they were taken as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<[u32; 2]>,
}

/// What is subtracted from each number, and what it is divided by then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalization {
    /// [features].
    pub mean: Vec<f32>,
    /// [features], above 0.
    pub deviation: Vec<f32>,
}

/// A column of a table that is not the label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// As in the header, or its number.
    pub name: String,
    /// The texts of a column of few values, each of which became a number that is 1 there and 0 elsewhere; empty: it holds numbers.
    pub values: Vec<String>,
}

impl Column {
    /// Numbers that it became.
    #[must_use]
    pub fn width(&self) -> usize {
        self.values.len().max(1)
    }
}

impl Encoding {
    /// What a class is called.
    #[must_use]
    pub fn class_name(&self, class: usize) -> String {
        self.class_names.get(class).cloned().unwrap_or_else(|| class.to_string())
    }
}

/// Sums of a normalisation, of rows that come piece by piece; they are kept in f64.
#[derive(Debug)]
pub(crate) struct Moments {
    rows: u64,
    /// Of each number and of its square.
    sums: Vec<(f64, f64)>,
}

impl Moments {
    /// Of rows of so many numbers.
    pub(crate) fn new(width: usize) -> Self {
        Self { rows: 0, sums: vec![(0.0, 0.0); width] }
    }

    /// More rows.
    pub(crate) fn add(&mut self, rows: &[f32]) {
        for row in rows.chunks_exact(self.sums.len().max(1)) {
            self.rows += 1;
            for (sum, &value) in self.sums.iter_mut().zip(row) {
                sum.0 += f64::from(value);
                sum.1 += f64::from(value) * f64::from(value);
            }
        }
    }

    /// What they say.
    pub(crate) fn finish(&self) -> Normalization {
        let n = self.rows.max(1) as f64;
        let deviation = |(sum, squares): &(f64, f64)| {
            let deviation = (squares / n - (sum / n) * (sum / n)).max(0.0).sqrt() as f32;
            if deviation < DEVIATION_MIN { 1.0 } else { deviation }
        };
        Normalization {
            mean: self.sums.iter().map(|(sum, _)| (sum / n) as f32).collect(),
            deviation: self.sums.iter().map(deviation).collect(),
        }
    }
}

impl Normalization {
    /// Of every row in these.
    pub fn apply(&self, rows: &mut [f32]) {
        for row in rows.chunks_mut(self.mean.len().max(1)) {
            for ((value, mean), deviation) in row.iter_mut().zip(&self.mean).zip(&self.deviation) {
                *value = (*value - mean) / deviation;
            }
        }
    }
}

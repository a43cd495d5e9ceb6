//! What a model is worth on samples whose classes are known.
//!
//! ```text
//! loss        mean of -ln p(right class), nats            perplexity = e^loss, of a language model
//! precision   right of those said to be of a class        recall     right of those that are of it
//! F1          2 precision recall / (precision + recall)   macro F1   its mean over the classes that occur
//! ```

use serde::Serialize;
use shaders::predict::softmax;
use sim::report::drawing::{Anchor, Drawing, FAINT, GRID, INK, Item, PAPER, fitted, text_width};

/// Results of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measures {
    /// Samples; of a text windows.
    pub samples: u64,
    /// What was predicted: a class a sample, of a text a token a place.
    pub predictions: u64,
    /// Nats a prediction.
    pub loss: f64,
    /// Share of predictions that are right, 0 to 1.
    pub accuracy: f64,
    /// e^loss, of a language model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub perplexity: Option<f64>,
    /// Of a classifier.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassMeasures>,
    /// Mean of the F1 of the classes that occur.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub macro_f1: Option<f64>,
    /// `confusion[is][said]`, counts; of a classifier.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub confusion: Vec<Vec<u64>>,
}

/// One class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassMeasures {
    /// What it is called.
    pub name: String,
    /// Samples of it.
    pub samples: u64,
    /// Null when nothing was said to be of it.
    pub precision: Option<f64>,
    /// Null when there is none of it.
    pub recall: Option<f64>,
    /// Null when there is none of it.
    pub f1: Option<f64>,
}

/// Adds up predictions.
#[derive(Debug)]
pub struct Tally {
    classes: usize,
    samples: u64,
    predictions: u64,
    right: u64,
    loss: f64,
    confusion: Vec<Vec<u64>>,
}

impl Tally {
    /// For that many classes; `confusing` when it matters which is taken for which.
    #[must_use]
    pub fn new(classes: usize, confusing: bool) -> Self {
        let side = if confusing { classes } else { 0 };
        Self { classes, samples: 0, predictions: 0, right: 0, loss: 0.0, confusion: vec![vec![0; side]; side] }
    }

    /// Logits [rows, classes] of so many samples, and what is right for each row.
    pub fn add(&mut self, samples: u64, logits: &[f32], right: impl Iterator<Item = usize>) {
        self.samples += samples;
        for (row, right) in logits.chunks(self.classes).zip(right) {
            // Of equals the first, as in training.
            let said = (0..row.len()).rev().max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
            self.predictions += 1;
            self.right += u64::from(said == right);
            self.loss -= softmax(row).get(right).map_or(f64::NEG_INFINITY, |p| p.max(f64::MIN_POSITIVE).ln());
            if let Some(count) = self.confusion.get_mut(right).and_then(|row| row.get_mut(said)) {
                *count += 1;
            }
        }
    }

    /// The results; `name` names a class.
    #[must_use]
    pub fn finish(self, name: impl Fn(usize) -> String) -> Measures {
        let n = self.predictions.max(1) as f64;
        let loss = self.loss / n;
        let confusion = self.confusion;
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        let classes: Vec<_> = (0..confusion.len())
            .map(|class| {
                let right = confusion[class][class];
                let samples: u64 = confusion[class].iter().sum();
                let said: u64 = confusion.iter().map(|row| row[class]).sum();
                // 2 right / (samples + said): the same, and defined where precision is not.
                let f1 = (samples > 0).then(|| 2.0 * right as f64 / (samples + said) as f64);
                ClassMeasures {
                    name: name(class),
                    samples,
                    precision: share(right, said),
                    recall: share(right, samples),
                    f1,
                }
            })
            .collect();
        let occurring: Vec<f64> = classes.iter().filter_map(|class| class.f1).collect();
        Measures {
            samples: self.samples,
            predictions: self.predictions,
            loss,
            accuracy: self.right as f64 / n,
            perplexity: confusion.is_empty().then(|| loss.exp()),
            macro_f1: (!occurring.is_empty()).then(|| occurring.iter().sum::<f64>() / occurring.len() as f64),
            classes,
            confusion,
        }
    }
}

/// Side of a cell of the picture, pixels.
const CELL: f64 = 36.0;
/// Room around it.
const GUTTER: f64 = 12.0;
/// Height of names and of the title.
const WORDS: f64 = 12.0;
/// Widest name of a class, pixels.
const NAME_MAX: f64 = 110.0;
/// Ink of a cell that holds all of its row.
const FULL: [f64; 3] = [30.0, 90.0, 160.0];
/// Most classes of a picture: more cannot be read.
pub const PICTURE_CLASSES_MAX: usize = 60;

/// The confusion matrix as a picture: rows are what is, columns what was said.
#[must_use]
pub fn picture(measures: &Measures, title: &str) -> Drawing {
    let names: Vec<String> = measures.classes.iter().map(|class| fitted(&class.name, WORDS, NAME_MAX)).collect();
    let margin = names.iter().map(|name| text_width(name, WORDS)).fold(0.0, f64::max) + 2.0 * GUTTER;
    let side = CELL * measures.confusion.len() as f64;
    let top = margin + 2.0 * WORDS;
    let width = (margin + side + GUTTER).max(text_width(title, WORDS) + 2.0 * GUTTER);
    let mut drawing = Drawing::new(width, top + side + GUTTER, title);
    drawing.text([GUTTER, GUTTER + WORDS], title, WORDS, Anchor::Start, INK);
    for (is, row) in measures.confusion.iter().enumerate() {
        let whole = row.iter().sum::<u64>().max(1) as f64;
        for (said, &count) in row.iter().enumerate() {
            let [x, y] = [margin + CELL * said as f64, top + CELL * is as f64];
            let share = count as f64 / whole;
            let fill = FULL.map(|ink| (255.0 + share * (ink - 255.0)).round() as u8);
            drawing.rect([x, y], [CELL, CELL], GRID);
            drawing.rect([x + 0.5, y + 0.5], [CELL - 1.0, CELL - 1.0], fill);
            if count > 0 {
                let ink = if share > 0.5 { PAPER } else { INK };
                drawing.text([x + CELL / 2.0, y + CELL / 2.0 + 4.0], count.to_string(), 10.0, Anchor::Middle, ink);
            }
        }
    }
    for (class, name) in names.into_iter().enumerate() {
        let middle = CELL * (class as f64 + 0.5) + WORDS / 3.0;
        drawing.text([margin - 6.0, top + middle], name.clone(), WORDS, Anchor::End, FAINT);
        let (x, y, anchor, turned) = (margin + middle, top - 6.0, Anchor::Start, -90.0);
        drawing.items.push(Item::Text { x, y, text: name, size: WORDS, anchor, colour: FAINT, turned });
    }
    drawing
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_figures_are_those_of_the_definitions() {
        let mut tally = Tally::new(3, true);
        // Classes 0 0 0 1 1; said 0 0 1 1 0. Class 2 does not occur.
        let logits = |said: usize| (0..3).map(move |class| if class == said { 3f32.ln() } else { 0.0 });
        let all: Vec<f32> = [0, 0, 1, 1, 0].into_iter().flat_map(logits).collect();
        tally.add(5, &all, [0, 0, 0, 1, 1].into_iter());
        let measures = tally.finish(|class| format!("c{class}"));
        assert_eq!(measures.confusion, [[2, 1, 0], [1, 1, 0], [0, 0, 0]]);
        assert!((measures.accuracy - 0.6).abs() < 1e-12);
        // p = 3/5 where right, 1/5 where not.
        let loss = -(3.0 * 0.6f64.ln() + 2.0 * 0.2f64.ln()) / 5.0;
        assert!((measures.loss - loss).abs() < 1e-6, "{}", measures.loss);
        let class = &measures.classes[0];
        assert_eq!((class.precision, class.recall), (Some(2.0 / 3.0), Some(2.0 / 3.0)));
        assert!((class.f1.unwrap() - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!((measures.classes[2].precision, measures.classes[2].f1), (None, None));
        assert!((measures.macro_f1.unwrap() - (2.0 / 3.0 + 0.5) / 2.0).abs() < 1e-12);
        assert_eq!(measures.perplexity, None);
        let picture = picture(&measures, "a < b");
        let svg = picture.svg();
        assert!(svg.contains("a &lt; b") && svg.contains(">c1</text>") && svg.matches("<rect").count() == 1 + 2 * 9);
        assert!(picture.png(1.0).is_ok_and(|bytes| bytes.starts_with(b"\x89PNG")));
    }

    #[test]
    fn a_text_has_a_perplexity_and_no_confusion() {
        let mut tally = Tally::new(256, false);
        tally.add(1, &[0.0; 512], [5, 6].into_iter());
        let measures = tally.finish(|_| String::new());
        assert!((measures.perplexity.unwrap() - 256.0).abs() < 1e-6);
        assert!(measures.confusion.is_empty() && measures.classes.is_empty());
    }
}

//! What the model was earlier: histograms of its tensors and of their gradients, and of a language model a text, noted after evaluations. Who looks at the page later
//! sees how it came about.
//!
//! At first every ten seconds at most. When the list is full every second one goes and the pause doubles, so a long run costs less and less: a copy of the
//! base and, of a language model, a few hundred bytes of text by the thread of answers. Models above [`PARAMETERS_MAX`] are left alone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::event::{GRADIENT_PARAMETERS_MAX, Gradient};
use serde::Serialize;
use tokio::time::{sleep, timeout};

use super::answers::Desk;
use super::bases::Bases;
use super::board::Board;
use super::weights::{Histogram, Model};

/// Most notes.
const NOTES_MAX: usize = 48;
/// Between the first ones.
const PAUSE: Duration = Duration::from_secs(10);
/// How long a gradient may come after its base: the steps in hand, and those behind them.
const GRADIENT_MAX: Duration = Duration::from_secs(5);
/// Largest model that is noted, parameters: a note of it takes 24 MiB for a moment, and the dashboard has 30.
pub(super) const PARAMETERS_MAX: usize = GRADIENT_PARAMETERS_MAX;
/// Most tensors of a note.
pub(super) const TENSORS_MAX: usize = 64;

/// The model at a moment.
#[derive(Clone, Debug, Default, PartialEq)]
struct Note {
    steps: u64,
    epoch: u32,
    /// Of each tensor.
    histograms: Vec<Histogram>,
    /// Of the gradient of each; none where none came.
    gradients: Vec<Histogram>,
    text: Option<String>,
}

/// Histograms of one tensor, `GET /v1/model/{index}/past`: the oldest first.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Histograms {
    steps: Vec<u64>,
    epoch: Vec<u32>,
    /// Counts of equal steps from `-range` to `range`.
    range: Vec<f32>,
    counts: Vec<Vec<u32>>,
    /// The same of this peer's gradients at those moments, as far as they came.
    #[serde(skip_serializing_if = "Option::is_none")]
    gradients: Option<Box<Histograms>>,
}

/// A text of the model at a moment, `GET /v1/texts`: the oldest first.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Text {
    steps: u64,
    epoch: u32,
    text: String,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Past {
    notes: Mutex<Vec<Note>>,
}

impl Past {
    /// Notes one more. Returns how much longer the pauses are to be from now on, as a factor.
    fn note(&self, note: Note) -> u32 {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.push(note);
        if notes.len() < NOTES_MAX {
            return 1;
        }
        let mut place = 0usize;
        notes.retain(|_| {
            place += 1;
            place % 2 == 1
        });
        2
    }

    pub(super) fn histograms(&self, index: usize) -> Histograms {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |which: fn(&Note) -> &Vec<Histogram>| {
            let mut shown = Histograms::default();
            for note in notes.iter() {
                if let Some((range, counts)) = which(note).get(index) {
                    shown.steps.push(note.steps);
                    shown.epoch.push(note.epoch);
                    shown.range.push(*range);
                    shown.counts.push(counts.clone());
                }
            }
            shown
        };
        Histograms { gradients: Some(Box::new(of(|note| &note.gradients))), ..of(|note| &note.histograms) }
    }

    pub(super) fn texts(&self) -> Vec<Text> {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let text = |note: &Note| Some(Text { steps: note.steps, epoch: note.epoch, text: note.text.clone()? });
        notes.iter().filter_map(text).collect()
    }
}

/// Notes the model after evaluations, as long as the server lives.
pub(super) async fn keep(past: Arc<Past>, board: Arc<Board>, bases: Bases, desk: Desk, model: Arc<Model>) {
    let run = board.status().run.clone();
    if run.parameters > PARAMETERS_MAX {
        return;
    }
    let mut evaluations = board.evaluations();
    let mut pause = PAUSE;
    while evaluations.changed().await.is_ok() {
        // A peer that is busy, or leaves: the next time, then.
        if let Ok(copied) = bases.fresh().await {
            let shown = Arc::clone(&copied.shown);
            let text = if run.model == "lm" { desk.sample(copied).await } else { None };
            let (steps, epoch, shapes) = (shown.steps, shown.epoch, Arc::clone(&model));
            let gradient = after(&board, steps).await;
            let describe = move || shapes.describe(&shown, gradient.as_deref());
            let described = tokio::task::spawn_blocking(describe).await.unwrap_or_default();
            let of_tensors = described.into_iter().take(TENSORS_MAX).map(|tensor| tensor.histograms());
            let (histograms, gradients): (Vec<_>, Vec<_>) = of_tensors.unzip();
            let gradients = gradients.into_iter().flatten().collect();
            pause *= past.note(Note { steps, epoch, histograms, gradients, text });
        }
        sleep(pause).await;
    }
}

/// The gradient that was asked for with a base of so many steps: it comes with the next ones, if any are taken.
async fn after(board: &Board, steps: u64) -> Option<Arc<Gradient>> {
    let mut gradients = board.gradients();
    let newer = gradients.wait_for(|found| found.as_ref().is_some_and(|(_, gradient)| gradient.steps >= steps));
    let found = timeout(GRADIENT_MAX, newer).await.ok()?.ok()?;
    found.as_ref().map(|(_, gradient)| Arc::clone(gradient))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_long_run_is_noted_coarser_and_from_its_beginning() {
        let past = Past::default();
        let mut doubled = 0;
        for steps in 0..1000u64 {
            let text = steps.is_multiple_of(2).then(|| format!("text {steps}"));
            let note =
                Note { steps, epoch: 1, histograms: vec![(1.0, vec![1, 2])], gradients: vec![(0.5, vec![3])], text };
            doubled += u32::from(past.note(note) == 2);
        }
        let shown = past.histograms(0);
        assert!(shown.steps.len() < NOTES_MAX && shown.steps[0] == 0 && shown.steps.is_sorted(), "{:?}", shown.steps);
        assert!(doubled > 10 && past.texts().iter().all(|text| text.text == format!("text {}", text.steps)));
        let gradients = shown.gradients.unwrap();
        assert_eq!((&gradients.steps, &gradients.counts[0]), (&shown.steps, &vec![3]));
        assert!(past.histograms(1).steps.is_empty(), "there is no such tensor");
    }
}

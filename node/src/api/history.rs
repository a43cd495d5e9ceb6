//! Curves of a run in bounded memory: when there are too many points, every second one goes, and from then on a point stands for twice
//! the time. So the whole run is always there, coarser the longer it is.

use serde::Serialize;

/// Most points of a curve: twice as many as a wide screen shows, about 60 kB of JSON.
const POINTS_MAX: usize = 800;
/// Most evaluations.
const EVALUATIONS_MAX: usize = 400;

/// How it stood at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Point {
    pub(super) time_s: f64,
    pub(super) steps: u64,
    pub(super) train_loss: Option<f32>,
    pub(super) loss_min: Option<f32>,
    pub(super) loss_max: Option<f32>,
    pub(super) steps_per_second: f32,
    pub(super) disagreement: Option<f32>,
    pub(super) sent_per_second: f64,
    pub(super) received_per_second: f64,
    pub(super) live_peers: usize,
}

/// What an evaluation found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Evaluated {
    pub(super) time_s: f64,
    pub(super) epoch: u32,
    pub(super) train_loss: Option<f32>,
    pub(super) test_loss: Option<f32>,
    pub(super) test_accuracy: Option<f32>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct History {
    points: Thinned<Point, POINTS_MAX>,
    evaluations: Thinned<Evaluated, EVALUATIONS_MAX>,
}

/// As `GET /v1/history` says it: columns of equal length.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Columns {
    time_s: Vec<f64>,
    steps: Vec<u64>,
    train_loss: Vec<Option<f32>>,
    train_loss_min: Vec<Option<f32>>,
    train_loss_max: Vec<Option<f32>>,
    steps_per_second: Vec<f32>,
    disagreement: Vec<Option<f32>>,
    bytes_sent_per_second: Vec<f64>,
    bytes_received_per_second: Vec<f64>,
    live_peers: Vec<usize>,
    evaluations: Evaluations,
}

#[derive(Debug, Default, PartialEq, Serialize)]
struct Evaluations {
    time_s: Vec<f64>,
    epoch: Vec<u32>,
    train_loss: Vec<Option<f32>>,
    test_loss: Vec<Option<f32>>,
    test_accuracy: Vec<Option<f32>>,
}

impl History {
    pub(super) fn note(&mut self, point: Point) {
        self.points.push(point);
    }

    pub(super) fn note_evaluation(&mut self, evaluated: Evaluated) {
        self.evaluations.push(evaluated);
    }

    pub(super) fn columns(&self) -> Columns {
        let (points, evaluations) = (self.points.all(), self.evaluations.all());
        Columns {
            time_s: points.iter().map(|p| p.time_s).collect(),
            steps: points.iter().map(|p| p.steps).collect(),
            train_loss: points.iter().map(|p| p.train_loss).collect(),
            train_loss_min: points.iter().map(|p| p.loss_min).collect(),
            train_loss_max: points.iter().map(|p| p.loss_max).collect(),
            steps_per_second: points.iter().map(|p| p.steps_per_second).collect(),
            disagreement: points.iter().map(|p| p.disagreement).collect(),
            bytes_sent_per_second: points.iter().map(|p| p.sent_per_second).collect(),
            bytes_received_per_second: points.iter().map(|p| p.received_per_second).collect(),
            live_peers: points.iter().map(|p| p.live_peers).collect(),
            evaluations: Evaluations {
                time_s: evaluations.iter().map(|e| e.time_s).collect(),
                epoch: evaluations.iter().map(|e| e.epoch).collect(),
                train_loss: evaluations.iter().map(|e| e.train_loss).collect(),
                test_loss: evaluations.iter().map(|e| e.test_loss).collect(),
                test_accuracy: evaluations.iter().map(|e| e.test_accuracy).collect(),
            },
        }
    }
}

/// A list of at most `MAX` items that always begins with the first and ends with the last one.
#[derive(Debug)]
struct Thinned<T, const MAX: usize> {
    kept: Vec<T>,
    /// The newest, where it is not among those kept.
    last: Option<T>,
    /// One of so many is kept.
    stride: u64,
    seen: u64,
}

impl<T, const MAX: usize> Default for Thinned<T, MAX> {
    fn default() -> Self {
        Self { kept: Vec::new(), last: None, stride: 1, seen: 0 }
    }
}

impl<T: Copy, const MAX: usize> Thinned<T, MAX> {
    fn push(&mut self, item: T) {
        let keep = self.seen.is_multiple_of(self.stride);
        self.seen += 1;
        self.last = Some(item);
        if !keep {
            return;
        }
        self.last = None;
        self.kept.push(item);
        if self.kept.len() >= MAX {
            let mut place = 0usize;
            self.kept.retain(|_| {
                place += 1;
                place % 2 == 1
            });
            self.stride *= 2;
            self.last = place.is_multiple_of(2).then_some(item);
        }
    }

    fn all(&self) -> Vec<T> {
        self.kept.iter().copied().chain(self.last).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_keeps_its_beginning_and_its_end() {
        let mut list: Thinned<u64, 16> = Thinned::default();
        for i in 0..10_000 {
            list.push(i);
            let all = list.all();
            assert!(all.len() <= 17, "{} items", all.len());
            assert_eq!((all.first(), all.last()), (Some(&0), Some(&i)));
            assert!(all.is_sorted());
        }
        let gaps: Vec<u64> = list.kept.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| *gap == list.stride), "evenly: {gaps:?}");
    }
}

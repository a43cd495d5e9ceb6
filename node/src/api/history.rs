//! Curves of a run in bounded memory: when there are too many points, every second one goes, and from then on a point stands for twice
//! the time. So the whole run is always there, coarser the longer it is.

use serde::{Deserialize, Serialize};
use sim::report::Thinned;

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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Columns {
    /// Since the process began, seconds.
    pub time_s: Vec<f64>,
    /// Optimizer steps.
    pub steps: Vec<u64>,
    /// Nats a sample.
    pub train_loss: Vec<Option<f32>>,
    /// The least of those that said one.
    pub train_loss_min: Vec<Option<f32>>,
    /// The greatest.
    pub train_loss_max: Vec<Option<f32>>,
    /// Lately.
    pub steps_per_second: Vec<f32>,
    /// ||theta - b|| / ||b||.
    pub disagreement: Vec<Option<f32>>,
    /// Over links, out.
    pub bytes_sent_per_second: Vec<f64>,
    /// Over links, in.
    pub bytes_received_per_second: Vec<f64>,
    /// This one among them.
    pub live_peers: Vec<usize>,
    /// Of the shared model on the test split.
    pub evaluations: Evaluations,
}

/// See [`Columns::evaluations`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evaluations {
    /// Since the process began, seconds.
    pub time_s: Vec<f64>,
    /// Epochs done.
    pub epoch: Vec<u32>,
    /// Nats a sample.
    pub train_loss: Vec<Option<f32>>,
    /// Nats a sample.
    pub test_loss: Vec<Option<f32>>,
    /// 0 to 1.
    pub test_accuracy: Vec<Option<f32>>,
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

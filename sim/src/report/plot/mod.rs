//! Curves of runs beside each other: [`curves`] draws one chart for each figure that the runs have, a line a run.
//!
//! A run of several members (the peers of a swarm, the seeds of a scenario) is drawn as their mean, with the room between the least
//! and the greatest of them behind it.

mod chart;
mod scale;

pub use chart::{Chart, Line, stroke};
pub use scale::{Scale, Unit};

use super::drawing::{Anchor, Drawing, FAINT, INK, Item, fitted, text_width};
use super::{CurvePoint, SimReport, VirtualReport, VirtualRun};

/// Most runs of a picture: as many as can be told apart.
pub const RUNS_MAX: usize = 16;
/// Most points of a line: more than a screen has columns.
const POINTS_MAX: usize = 600;
/// Extent of a chart.
const WIDTH: f64 = 520.0;
/// Extent of a chart.
const HEIGHT: f64 = 250.0;
/// Room between charts, and around them.
const GUTTER: f64 = 24.0;
/// Charts beside each other.
const COLUMNS: usize = 2;
/// Height of the words of the legend.
const LEGEND: f64 = 12.0;
/// Height of a line of the legend.
const LEGEND_LINE: f64 = 20.0;
/// Widest name of a run, pixels.
const NAME_WIDTH_MAX: f64 = 300.0;
/// The stroke before a name.
const SAMPLE: f64 = 26.0;

/// How a run stood at a moment; what was not measured is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Optimizer steps of a peer.
    pub steps: Option<f64>,
    /// Epochs of a peer.
    pub epochs: Option<f64>,
    /// Since the run began.
    pub seconds: Option<f64>,
    /// Nats a sample.
    pub train_loss: Option<f64>,
    /// Nats a sample.
    pub test_loss: Option<f64>,
    /// 0 to 1.
    pub accuracy: Option<f64>,
    /// `||theta - b|| / ||b||`
    pub disagreement: Option<f64>,
    /// So far.
    pub bytes_sent: Option<f64>,
    /// So far.
    pub bytes_received: Option<f64>,
}

/// A run, or a variant of one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// What it is called in the legend.
    pub name: String,
    /// Samples of each member, in the order of time.
    pub members: Vec<Vec<Sample>>,
}

/// What x is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Across {
    /// Optimizer steps of a peer.
    #[default]
    Steps,
    /// Epochs of a peer.
    Epochs,
    /// Seconds since the run began.
    Seconds,
    /// Bytes that a peer has sent.
    Bytes,
}

impl Across {
    /// All, by name.
    pub const ALL: [(&'static str, Self); 4] =
        [("steps", Self::Steps), ("epochs", Self::Epochs), ("seconds", Self::Seconds), ("bytes", Self::Bytes)];

    fn of(self, sample: &Sample) -> Option<f64> {
        match self {
            Self::Steps => sample.steps,
            Self::Epochs => sample.epochs,
            Self::Seconds => sample.seconds,
            Self::Bytes => sample.bytes_sent,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Steps => "optimizer steps of a peer",
            Self::Epochs => "epochs",
            Self::Seconds => "seconds",
            Self::Bytes => "bytes sent by a peer",
        }
    }
}

/// A figure that is drawn.
struct Figure {
    title: &'static str,
    unit: Unit,
    log: bool,
    of: fn(&Sample) -> Option<f64>,
}

const FIGURES: [Figure; 6] = [
    Figure { title: "test loss, nats a sample", unit: Unit::Number, log: true, of: |sample| sample.test_loss },
    Figure { title: "test accuracy", unit: Unit::Share, log: false, of: |sample| sample.accuracy },
    Figure { title: "training loss, nats a sample", unit: Unit::Number, log: true, of: |sample| sample.train_loss },
    Figure {
        title: "disagreement, ||θ − b|| / ||b||",
        unit: Unit::Number,
        log: true,
        of: |sample| sample.disagreement,
    },
    Figure { title: "bytes sent by a peer", unit: Unit::Bytes, log: true, of: |sample| sample.bytes_sent },
    Figure { title: "bytes received by a peer", unit: Unit::Bytes, log: true, of: |sample| sample.bytes_received },
];

/// All curves that the runs have; `None` when they have none.
#[must_use]
pub fn curves(runs: &[Run], across: Across) -> Option<Drawing> {
    let charts: Vec<Chart> = FIGURES.iter().filter_map(|figure| chart(runs, figure, across)).collect();
    if charts.is_empty() {
        return None;
    }
    let columns = charts.len().min(COLUMNS);
    let width = GUTTER + columns as f64 * (WIDTH + GUTTER);
    let legend = legend(runs, width - 2.0 * GUTTER);
    let top = legend.height + 2.0 * GUTTER;
    let height = top + charts.len().div_ceil(columns) as f64 * (HEIGHT + GUTTER);
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    let mut sheet = Drawing::new(width, height, format!("Curves of {}", names.join(", ")));
    sheet.paste([GUTTER, GUTTER], legend);
    for (i, chart) in charts.iter().enumerate() {
        let place = [GUTTER + (i % columns) as f64 * (WIDTH + GUTTER), top + (i / columns) as f64 * (HEIGHT + GUTTER)];
        sheet.paste(place, chart.draw(WIDTH, HEIGHT));
    }
    Some(sheet)
}

/// Names with their strokes, in as many lines as they need; what a band is, where there is one.
fn legend(runs: &[Run], width: f64) -> Drawing {
    let mut drawing = Drawing::new(width, LEGEND_LINE, "");
    let (mut x, mut y) = (0.0, LEGEND);
    for (i, run) in runs.iter().enumerate() {
        let name = fitted(&run.name, LEGEND, NAME_WIDTH_MAX.min(width - SAMPLE));
        let wide = SAMPLE + text_width(&name, LEGEND) + GUTTER;
        if x > 0.0 && x + wide - GUTTER > width {
            (x, y) = (0.0, y + LEGEND_LINE);
        }
        let (colour, dashed) = stroke(i);
        let points = vec![[x, y - LEGEND / 3.0], [x + SAMPLE - 6.0, y - LEGEND / 3.0]];
        drawing.items.push(Item::Line { points, colour, width: 2.4, dashed });
        drawing.text([x + SAMPLE, y], name, LEGEND, Anchor::Start, INK);
        x += wide;
    }
    if runs.iter().any(|run| run.members.len() > 1) {
        y += LEGEND_LINE;
        let text = "lines are means over the peers or seeds of a run; behind them, from the least to the greatest";
        drawing.text([0.0, y], text, LEGEND - 1.0, Anchor::Start, FAINT);
    }
    drawing.height = y + LEGEND_LINE - LEGEND;
    drawing
}

fn chart(runs: &[Run], figure: &Figure, across: Across) -> Option<Chart> {
    let line = |(run, members): (usize, &Run)| {
        let of = |member: &Vec<Sample>| -> Vec<[f64; 2]> {
            let points = member.iter().filter_map(|sample| Some([across.of(sample)?, (figure.of)(sample)?]));
            let mut points: Vec<[f64; 2]> =
                points.filter(|point| point.iter().all(|value| value.is_finite())).collect();
            // A life that began again has steps that were there before: time goes on all the same.
            points.sort_by(|a, b| a[0].total_cmp(&b[0]));
            points
        };
        let members: Vec<Vec<[f64; 2]>> = members.members.iter().map(of).filter(|points| !points.is_empty()).collect();
        let (points, band) = together(&members);
        (!points.is_empty()).then_some(Line { run, points, band })
    };
    let lines: Vec<Line> = runs.iter().enumerate().filter_map(line).collect();
    (!lines.is_empty()).then(|| Chart {
        title: figure.title.to_owned(),
        across: across.name().to_owned(),
        across_unit: if across == Across::Bytes { Unit::Bytes } else { Unit::Number },
        unit: figure.unit,
        log: figure.log,
        lines,
    })
}

type Spread = (Vec<[f64; 2]>, Vec<[f64; 3]>);

/// The mean of several curves, and their least and greatest, where each of them is: between its points a curve is straight, and before its
/// first point and after its last one it counts for nothing.
fn together(members: &[Vec<[f64; 2]>]) -> Spread {
    if let [only] = members {
        return (thinned(only), Vec::new());
    }
    let mut places: Vec<f64> = members.iter().flatten().map(|point| point[0]).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let every = places.len().div_ceil(POINTS_MAX).max(1);
    let last = places.len().saturating_sub(1);
    let kept = places.iter().enumerate().filter(|(i, _)| i % every == 0 || *i == last).map(|(_, x)| *x);
    let (mut means, mut band) = (Vec::new(), Vec::new());
    for x in kept {
        let values: Vec<f64> = members.iter().filter_map(|points| at(points, x)).collect();
        let (least, greatest) =
            values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &value| (a.min(value), b.max(value)));
        if !values.is_empty() {
            means.push([x, values.iter().sum::<f64>() / values.len() as f64]);
            band.push([x, least, greatest]);
        }
    }
    (means, band)
}

/// The curve at `x`; `None` where it is not.
fn at(points: &[[f64; 2]], x: f64) -> Option<f64> {
    let after = points.partition_point(|point| point[0] < x);
    let [right, y_right] = *points.get(after)?;
    if right == x {
        return Some(y_right);
    }
    let [left, y_left] = *points.get(after.checked_sub(1)?)?;
    Some(y_left + (x - left) / (right - left) * (y_right - y_left))
}

fn thinned(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let every = points.len().div_ceil(POINTS_MAX).max(1);
    let last = points.len().saturating_sub(1);
    points.iter().enumerate().filter(|(i, _)| i % every == 0 || *i == last).map(|(_, point)| *point).collect()
}

/// The runs of a report of processes: the swarm, and its peers without gossip where there were some.
#[must_use]
pub fn of_processes(name: &str, report: &SimReport) -> Vec<Run> {
    let members = |peers: &[super::PeerReport]| -> Vec<Vec<Sample>> {
        peers.iter().filter(|peer| !peer.curve.is_empty()).map(|peer| peer.curve.iter().map(sample).collect()).collect()
    };
    let mut runs = vec![Run { name: name.to_owned(), members: members(&report.peers) }];
    if !report.no_gossip_peers.is_empty() {
        runs.push(Run { name: format!("{name}, without gossip"), members: members(&report.no_gossip_peers) });
    }
    runs
}

fn sample(point: &CurvePoint) -> Sample {
    let float = |value: Option<f32>| value.map(f64::from);
    Sample {
        steps: Some(point.steps as f64),
        epochs: Some(f64::from(point.epoch)),
        seconds: Some(point.time_s),
        train_loss: float(point.train_loss),
        test_loss: float(point.test_loss),
        accuracy: float(point.test_accuracy),
        disagreement: float(point.disagreement),
        bytes_sent: Some(point.bytes_sent as f64),
        bytes_received: Some(point.bytes_received as f64),
    }
}

/// The runs of a report of virtual peers: one a variant, whose members are its seeds.
#[must_use]
pub fn of_virtual(name: &str, report: &VirtualReport) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for run in &report.runs {
        let name = if run.variant.is_empty() { name.to_owned() } else { format!("{name}, {}", run.variant) };
        let member = of_virtual_run(run);
        match runs.iter_mut().find(|known| known.name == name) {
            Some(known) => known.members.push(member),
            None => runs.push(Run { name, members: vec![member] }),
        }
    }
    runs
}

fn of_virtual_run(run: &VirtualRun) -> Vec<Sample> {
    let of = |point: &super::Point| Sample {
        steps: Some(point.steps as f64),
        epochs: None,
        seconds: Some(point.at_s),
        train_loss: Some(point.train_loss),
        test_loss: Some(point.loss_mean),
        accuracy: Some(point.accuracy_mean),
        disagreement: Some(point.disagreement),
        bytes_sent: Some(point.bytes_sent_mean),
        bytes_received: None,
    };
    run.curve.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_mean_is_of_those_that_are_there() {
        let members = [vec![[0.0, 0.0], [10.0, 10.0]], vec![[5.0, 15.0], [20.0, 0.0]]];
        let (means, band) = together(&members);
        assert_eq!(means, [[0.0, 0.0], [5.0, 10.0], [10.0, 10.0], [20.0, 0.0]]);
        assert_eq!(band[1], [5.0, 5.0, 15.0]);
        assert_eq!(band[3], [20.0, 0.0, 0.0]);
        assert_eq!(together(&[]), (Vec::new(), Vec::new()));
        let long: Vec<[f64; 2]> = (0..100_000).map(|i| [f64::from(i), 1.0]).collect();
        let (thin, _) = together(&[long]);
        assert!(thin.len() <= POINTS_MAX + 1 && thin.last() == Some(&[99_999.0, 1.0]));
    }

    /// `STARLING_BLESS=1 cargo test -p sim curves_are_as_they_were` writes the file again; look at it then.
    #[test]
    fn curves_are_as_they_were() {
        let member = |shift: f64| -> Vec<Sample> {
            (0..30)
                .map(|i| {
                    let t = f64::from(i) / 30.0;
                    Sample {
                        steps: Some(f64::from(100 * i)),
                        seconds: Some(f64::from(i)),
                        test_loss: Some(2.3 * (-3.0 * t).exp() + shift),
                        accuracy: Some(0.97 - 0.87 * (-5.0 * t).exp() - shift),
                        bytes_sent: Some(1000.0 + 4e6 * t * t),
                        ..Sample::default()
                    }
                })
                .collect()
        };
        let runs = [
            Run { name: "with gossip".into(), members: vec![member(0.0), member(0.02), member(0.05)] },
            Run { name: "alone & <odd>".into(), members: vec![member(0.2)] },
        ];
        let found = curves(&runs, Across::Steps).unwrap().svg();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/report/plot/golden.svg");
        if std::env::var_os("STARLING_BLESS").is_some() {
            std::fs::write(path, &found).unwrap();
        }
        assert_eq!(found, std::fs::read_to_string(path).unwrap_or_default(), "{path}");
        assert_eq!(found.matches("<polygon").count(), 3, "a band a chart, of the run with several members");
        assert!(
            found.contains("alone &amp; &lt;odd&gt;") && !found.contains("received"),
            "what nobody has is not drawn"
        );
        assert!(curves(&runs, Across::Epochs).is_none());
        assert!(curves(&[], Across::Steps).is_none());
    }

    #[test]
    fn reports_become_runs() {
        let curve = vec![CurvePoint { steps: 10, test_accuracy: Some(0.5), ..CurvePoint::default() }];
        let peer = super::super::PeerReport { curve, ..Default::default() };
        let report =
            SimReport { peers: vec![peer.clone(), peer.clone()], no_gossip_peers: vec![peer], ..Default::default() };
        let runs = of_processes("a", &report);
        assert_eq!(
            runs.iter().map(|run| (run.name.as_str(), run.members.len())).collect::<Vec<_>>(),
            [("a", 2), ("a, without gossip", 1)]
        );
        let run = |variant: &str, seed| VirtualRun { variant: variant.into(), seed, ..VirtualRun::default() };
        let report = VirtualReport { runs: vec![run("x", 0), run("y", 0), run("x", 1)], ..Default::default() };
        let runs = of_virtual("b", &report);
        assert_eq!(
            runs.iter().map(|run| (run.name.as_str(), run.members.len())).collect::<Vec<_>>(),
            [("b, x", 2), ("b, y", 1)]
        );
    }
}

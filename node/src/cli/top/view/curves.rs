//! Curves of a peer in a few lines of text: bars over the time since it began.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Sparkline;

use super::Theme;
use crate::cli::format::{bytes, loss, percent};
use crate::cli::top::state::{App, Watched};

/// Heights that a bar of one line may have.
const EIGHTHS: u64 = 8;

/// A curve and what it says now.
struct Curve<'a> {
    name: &'static str,
    now: String,
    style: Style,
    time_s: &'a [f64],
    values: Vec<Option<f64>>,
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme) {
    let Some(watched) = app.picked() else { return };
    let curves = of(watched, theme);
    let each = (area.height / curves.len() as u16).clamp(1, 4);
    let end_s = watched.curves.time_s.last().copied().unwrap_or(0.0);
    let mut rest = area;
    for curve in curves {
        let [here, below] = Layout::vertical([Constraint::Length(each), Constraint::Fill(1)]).areas(rest);
        rest = below;
        if here.height == 0 {
            break;
        }
        let name = Span::styled(format!("{:<12}", curve.name), theme.faint());
        let label = Line::from(vec![name, Span::styled(format!("{:>10} ", curve.now), curve.style)]);
        let bars = if here.height == 1 {
            let [left, right] = Layout::horizontal([Constraint::Length(24), Constraint::Fill(1)]).areas(here);
            frame.render_widget(label, left);
            right
        } else {
            let [above, below] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(here);
            frame.render_widget(label, above);
            below
        };
        let (bars_max, data) = scaled(curve.time_s, &curve.values, end_s, bars);
        frame.render_widget(Sparkline::default().data(data).max(bars_max).style(curve.style), bars);
    }
}

fn of(watched: &Watched, theme: Theme) -> Vec<Curve<'_>> {
    let (curves, status) = (&watched.curves, watched.status.as_ref());
    let evaluations = &curves.evaluations;
    let floats = |values: &[Option<f32>]| values.iter().map(|value| value.map(f64::from)).collect();
    let rates = |values: &[f64]| values.iter().copied().map(Some).collect();
    let rate = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{}/s", bytes(value)));
    let training = status.map(|status| &status.training);
    let gossip = status.map(|status| &status.gossip);
    vec![
        Curve {
            name: "train loss",
            now: loss(training.and_then(|training| training.train_loss)),
            style: theme.warning(),
            time_s: &curves.time_s,
            values: floats(&curves.train_loss),
        },
        Curve {
            name: "accuracy",
            now: percent(training.and_then(|training| training.test_accuracy).map(f64::from)),
            style: theme.good(),
            time_s: &evaluations.time_s,
            values: floats(&evaluations.test_accuracy),
        },
        Curve {
            name: "sent",
            now: rate(gossip.map(|gossip| gossip.bytes_sent_per_second)),
            style: theme.accent(),
            time_s: &curves.time_s,
            values: rates(&curves.bytes_sent_per_second),
        },
        Curve {
            name: "received",
            now: rate(gossip.map(|gossip| gossip.bytes_received_per_second)),
            style: theme.accent(),
            time_s: &curves.time_s,
            values: rates(&curves.bytes_received_per_second),
        },
        Curve {
            name: "disagreement",
            now: loss(gossip.and_then(|gossip| gossip.disagreement)),
            style: Style::new(),
            time_s: &curves.time_s,
            values: floats(&curves.disagreement),
        },
    ]
}

/// A bar for each column, of the mean of what fell into its time, or of the column before where nothing did; from the least value to the
/// greatest. The first number is the height of the greatest.
fn scaled(time_s: &[f64], values: &[Option<f64>], end_s: f64, area: Rect) -> (u64, Vec<Option<u64>>) {
    let most = EIGHTHS * u64::from(area.height.max(1));
    let width = usize::from(area.width);
    let mut sums = vec![(0.0, 0u32); width];
    for (time, value) in time_s.iter().zip(values) {
        let place = (time / end_s.max(1e-9) * width as f64) as usize;
        if let (Some(value), Some((sum, count))) = (value, sums.get_mut(place.min(width.saturating_sub(1)))) {
            *sum += value;
            *count += 1;
        }
    }
    let mut last = None;
    let means: Vec<Option<f64>> = sums
        .iter()
        .map(|&(sum, count)| {
            last = if count > 0 { Some(sum / f64::from(count)) } else { last };
            last
        })
        .collect();
    let (low, high) =
        means.iter().flatten().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &x| (a.min(x), b.max(x)));
    let span = (high - low).max(f64::MIN_POSITIVE);
    let bar = |value: f64| 1 + ((value - low) / span * (most - 1) as f64).round() as u64;
    (most, means.into_iter().map(|mean| mean.map(bar)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_the_mean_of_its_time() {
        let area = Rect::new(0, 0, 4, 1);
        let (most, bars) = scaled(&[0.0, 0.5, 1.0, 4.0], &[Some(0.0), Some(2.0), Some(8.0), Some(4.0)], 4.0, area);
        // 1, 8, nothing (so as before), 4; from 1 to 8.
        assert_eq!((most, bars), (8, vec![Some(1), Some(8), Some(8), Some(4)]));
        let (_, none) = scaled(&[0.0], &[None], 4.0, area);
        assert_eq!(none, vec![None; 4]);
        let (_, flat) = scaled(&[1.0], &[Some(5.0)], 2.0, area);
        assert_eq!(flat, vec![None, None, Some(1), Some(1)], "one value is no curve, and no division by nothing");
        assert!(scaled(&[1.0], &[Some(5.0)], 2.0, Rect::new(0, 0, 0, 0)).1.is_empty());
    }
}

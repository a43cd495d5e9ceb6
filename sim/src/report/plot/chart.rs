//! A chart: axes, a line for each run, and the spread of its members behind it.

use super::scale::{Scale, Unit};
use crate::report::drawing::{Anchor, COLOURS, Colour, Drawing, FAINT, GRID, INK, Item, text_width};

/// Height of the words on an axis.
const SMALL: f64 = 11.0;
/// Height of the words above a chart.
const LARGE: f64 = 13.0;
/// Room above the plot.
const TOP: f64 = 28.0;
/// Room below it: ticks, and the name of the axis.
const BOTTOM: f64 = 38.0;
/// Room to its right: half of the last tick.
const RIGHT: f64 = 22.0;
/// Room between a tick's words and the axis.
const GAP: f64 = 6.0;
/// Height that a tick of the upright axis takes at least.
const TICK_HEIGHT_MIN: f64 = 26.0;
/// Values that are so many times apart are drawn by their logarithm.
const LOG_FROM: f64 = 100.0;

/// A line of a chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// Which run it is of: decides its colour.
    pub run: usize,
    /// x, y, in order of x.
    pub points: Vec<[f64; 2]>,
    /// x, least, greatest of several members; empty of one.
    pub band: Vec<[f64; 3]>,
}

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// What it shows, with its unit.
    pub title: String,
    /// What its x is, with its unit.
    pub across: String,
    /// How x is written.
    pub across_unit: Unit,
    /// How y is written.
    pub unit: Unit,
    /// Whether it may be drawn by logarithms.
    pub log: bool,
    /// At least one, of at least one point each.
    pub lines: Vec<Line>,
}

/// Colour and whether it has gaps: sixteen runs are told apart.
#[must_use]
pub fn stroke(run: usize) -> (Colour, bool) {
    (COLOURS[run % COLOURS.len()], run / COLOURS.len() % 2 == 1)
}

impl Chart {
    /// Draws it.
    #[must_use]
    pub fn draw(&self, width: f64, height: f64) -> Drawing {
        let mut drawing = Drawing::new(width, height, self.title.clone());
        let (x_low, x_high) = ends(self.lines.iter().flat_map(|line| &line.points).map(|point| point[0]));
        let bands = self.lines.iter().flat_map(|line| &line.band).flat_map(|&[_, least, greatest]| [least, greatest]);
        let (low, high) = ends(self.lines.iter().flat_map(|line| &line.points).map(|point| point[1]).chain(bands));
        drawing.text([2.0, LARGE + 2.0], &self.title, LARGE, Anchor::Start, INK);
        if !(low.is_finite() && x_low.is_finite()) {
            drawing.text([width / 2.0, height / 2.0], "no values", SMALL, Anchor::Middle, FAINT);
            return drawing;
        }

        let (top, bottom) = (TOP, height - BOTTOM);
        let most = ((bottom - top) / TICK_HEIGHT_MIN).floor().max(1.0) as usize;
        let y = if self.log && low > 0.0 && high / low >= LOG_FROM {
            Scale::log(low, high, most)
        } else {
            Scale::linear(low, high, most, true)
        };
        let labels: Vec<String> = y.ticks.iter().map(|tick| y.label(*tick, self.unit)).collect();
        let left = labels.iter().map(|label| text_width(label, SMALL)).fold(24.0, f64::max) + GAP + 4.0;
        let right = width - RIGHT;
        let x = across(x_low, x_high, right - left, self.across_unit);
        let at = |[value_x, value_y]: [f64; 2]| {
            [left + (right - left) * x.place(value_x), bottom - (bottom - top) * y.place(value_y)]
        };

        for (tick, label) in y.ticks.iter().zip(&labels) {
            let place = bottom - (bottom - top) * y.place(*tick);
            drawing.line(vec![[left, place], [right, place]], GRID, 1.0);
            drawing.text([left - GAP, place + SMALL / 3.0], label, SMALL, Anchor::End, FAINT);
        }
        for tick in &x.ticks {
            let place = left + (right - left) * x.place(*tick);
            drawing.line(vec![[place, bottom], [place, bottom + 4.0]], FAINT, 1.0);
            let label = x.label(*tick, self.across_unit);
            drawing.text([place, bottom + 4.0 + SMALL + 1.0], label, SMALL, Anchor::Middle, FAINT);
        }
        drawing.line(vec![[left, bottom], [right, bottom]], FAINT, 1.0);
        drawing.text([f64::midpoint(left, right), height - 6.0], &self.across, SMALL, Anchor::Middle, FAINT);

        for line in &self.lines {
            let (colour, _) = stroke(line.run);
            let upper = line.band.iter().map(|&[x, _, greatest]| at([x, greatest]));
            let lower = line.band.iter().rev().map(|&[x, least, _]| at([x, least]));
            let points: Vec<[f64; 2]> = upper.chain(lower).collect();
            if !points.is_empty() {
                drawing.items.push(Item::Area { points, colour, opacity: 0.16 });
            }
        }
        for line in &self.lines {
            let (colour, dashed) = stroke(line.run);
            let points: Vec<[f64; 2]> = line.points.iter().map(|point| at(*point)).collect();
            if let [[x, y]] = *points.as_slice() {
                drawing.rect([x - 2.5, y - 2.5], [5.0, 5.0], colour);
            } else {
                drawing.items.push(Item::Line { points, colour, width: 1.8, dashed });
            }
        }
        drawing
    }
}

/// As many ticks as have room for their words.
fn across(low: f64, high: f64, room: f64, unit: Unit) -> Scale {
    (2..=10)
        .rev()
        .map(|most| Scale::linear(low, high, most, false))
        .find(|scale| {
            let words = scale.ticks.iter().map(|tick| text_width(&scale.label(*tick, unit), SMALL) + 2.0 * GAP);
            words.fold(0.0, f64::max) * scale.ticks.len() as f64 <= room
        })
        .unwrap_or_else(|| Scale::linear(low, high, 1, false))
}

fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<[f64; 2]>) -> Chart {
        Chart {
            title: "bytes sent".into(),
            across: "steps".into(),
            across_unit: Unit::Number,
            unit: Unit::Bytes,
            log: true,
            lines: vec![Line { run: 0, points, band: Vec::new() }],
        }
    }

    fn words(drawing: &Drawing) -> Vec<(f64, f64, f64, String)> {
        let of = |item: &Item| match item {
            Item::Text { x, y, text, size, anchor, .. } => {
                let width = text_width(text, *size);
                let left = match anchor {
                    Anchor::Start => *x,
                    Anchor::Middle => x - width / 2.0,
                    Anchor::End => x - width,
                };
                Some((left, left + width, *y, text.clone()))
            }
            _ => None,
        };
        drawing.items.iter().filter_map(of).collect()
    }

    #[test]
    fn no_words_overlap_or_leave_the_sheet() {
        for (width, height, x_max, y_max) in [
            (560.0, 260.0, 123_456.0, 3.3e9),
            (200.0, 120.0, 9.99e8, 5.0),
            (420.0, 180.0, 12.0, 1e-7),
            (560.0, 260.0, 1.0, 1e14),
        ] {
            let points = (1..50).map(|i| f64::from(i) / 49.0).map(|t| [x_max * t, y_max * t.powi(3)]).collect();
            let drawing = chart(points).draw(width, height);
            let words = words(&drawing);
            for (i, (left, right, y, text)) in words.iter().enumerate() {
                assert!(*left >= -1.0 && *right <= width + 1.0 && *y <= height, "{text} leaves {width}x{height}");
                for (other_left, other_right, other_y, other) in &words[i + 1..] {
                    let apart = other_left >= right || other_right <= left || (y - other_y).abs() >= SMALL;
                    assert!(apart, "{text} and {other} overlap at {width}x{height}");
                }
            }
        }
    }

    #[test]
    fn one_point_and_none_are_drawn() {
        assert!(chart(vec![[5.0, 7.0]]).draw(300.0, 200.0).items.iter().any(|item| matches!(item, Item::Rect { .. })));
        let none = Chart { lines: Vec::new(), ..chart(Vec::new()) }.draw(300.0, 200.0);
        assert!(none.svg().contains("no values"));
    }
}

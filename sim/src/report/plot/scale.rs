//! From values to places on an axis, and which of them are written beside it.

/// What numbers of an axis are, and so how they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// As they are.
    Number,
    /// 0 to 1, as per cent.
    Share,
    /// Bytes, powers of 1000.
    Bytes,
}

/// An axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    low: f64,
    high: f64,
    log: bool,
    /// Values with a mark, in order.
    pub ticks: Vec<f64>,
}

impl Scale {
    /// Equal steps, about `most` of them. `wide`: the axis begins and ends with a tick.
    #[must_use]
    pub fn linear(low: f64, high: f64, most: usize, wide: bool) -> Self {
        let (low, high) = if high > low { (low, high) } else { (low - half(low), low + half(low)) };
        let step = nice((high - low) / most.max(1) as f64);
        let (first, last) = if wide {
            ((low / step).floor(), (high / step).ceil())
        } else {
            ((low / step).ceil(), (high / step).floor())
        };
        let (low, high) = if wide { (first * step, last * step) } else { (low, high) };
        // Rounded: 3 * 0.1 is not 0.3.
        let ticks = (0..=(last - first).max(0.0) as usize).map(|i| (first + i as f64) * step).collect();
        Self { low, high, log: false, ticks }
    }

    /// Equal factors; both ends are above 0.
    #[must_use]
    pub fn log(low: f64, high: f64, most: usize) -> Self {
        let (first, last) = (low.log10().floor(), high.log10().ceil());
        let last = if last > first { last } else { first + 1.0 };
        let decades = last - first;
        let stride = (decades / most.max(1) as f64).ceil().max(1.0);
        let parts: &[f64] = if 3.0 * decades <= most as f64 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let mut ticks = Vec::new();
        let mut exponent = first;
        while exponent <= last {
            ticks.extend(parts.iter().map(|part| part * 10f64.powf(exponent)).filter(|tick| *tick <= 10f64.powf(last)));
            exponent += stride;
        }
        Self { low: first, high: last, log: true, ticks }
    }

    /// 0 at the lower end, 1 at the upper one.
    #[must_use]
    pub fn place(&self, value: f64) -> f64 {
        let value = if self.log { value.log10() } else { value };
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// A tick in words: as many digits as tell it from the next.
    #[must_use]
    pub fn label(&self, tick: f64, unit: Unit) -> String {
        // Of equal factors each has a step of its own: its own size.
        let step = match self.ticks.as_slice() {
            [first, second, ..] if !self.log => second - first,
            _ => tick.abs(),
        };
        match unit {
            Unit::Number => number(tick, step),
            Unit::Share => format!("{} %", number(100.0 * tick, 100.0 * step)),
            Unit::Bytes => {
                let most = self.ticks.last().copied().unwrap_or(tick);
                let size = if self.log { tick } else { most };
                let (by, name) = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")]
                    .into_iter()
                    .find(|(by, _)| size.abs() >= *by)
                    .unwrap_or((1.0, "B"));
                format!("{} {name}", number(tick / by, step / by))
            }
        }
    }
}

/// Room around a single value.
fn half(value: f64) -> f64 {
    if value == 0.0 { 0.5 } else { value.abs() / 2.0 }
}

/// The least of 1, 2, 5, 10, ... that is no less.
fn nice(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let parts = [1.0, 2.0, 5.0, 10.0].into_iter();
    // A little less counts as it: 0.1 + 0.2 is more than 0.3.
    power * parts.into_iter().find(|part| part * power >= step * (1.0 - 1e-9)).unwrap_or(10.0)
}

fn number(value: f64, step: f64) -> String {
    let (by, name) = match value.abs().max(step.abs()) {
        size if size >= 1e6 => (1e6, "M"),
        size if size >= 1e4 => (1e3, "k"),
        _ => (1.0, ""),
    };
    let (value, step) = (value / by, (step / by).abs());
    let digits = if step > 0.0 { (-(step * (1.0 + 1e-9)).log10().floor()).clamp(0.0, 9.0) as usize } else { 0 };
    // Half steps, as 2.5 between 0 and 5, do not come up: steps are 1, 2 or 5 of a power.
    let text = format!("{value:.digits$}");
    if text.trim_start_matches('-').chars().all(|c| matches!(c, '0' | '.')) { "0".to_owned() } else { text + name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale, unit: Unit) -> Vec<String> {
        scale.ticks.iter().map(|tick| scale.label(*tick, unit)).collect()
    }

    #[test]
    fn ticks_are_round_and_tell_each_other_apart() {
        assert_eq!(
            labels(&Scale::linear(0.0, 1.0, 5, true), Unit::Share),
            ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]
        );
        assert_eq!(labels(&Scale::linear(0.93, 0.971, 4, true), Unit::Share), ["92 %", "94 %", "96 %", "98 %"]);
        assert_eq!(labels(&Scale::linear(0.0, 2.31, 4, true), Unit::Number), ["0", "1", "2", "3"]);
        assert_eq!(labels(&Scale::linear(0.0, 66_000.0, 4, false), Unit::Number), ["0", "20k", "40k", "60k"]);
        assert_eq!(
            labels(&Scale::linear(0.0, 1_400_000.0, 3, true), Unit::Bytes),
            ["0 MB", "0.5 MB", "1.0 MB", "1.5 MB"]
        );
        assert_eq!(
            labels(&Scale::log(900.0, 2e6, 5), Unit::Bytes),
            ["100 B", "1 kB", "10 kB", "100 kB", "1 MB", "10 MB"]
        );
        assert_eq!(labels(&Scale::log(0.02, 0.4, 6), Unit::Number), ["0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1"]);
    }

    #[test]
    fn values_are_placed_between_the_ends() {
        let linear = Scale::linear(0.0, 10.0, 5, true);
        assert_eq!([0.0, 5.0, 10.0, 99.0].map(|value| linear.place(value)), [0.0, 0.5, 1.0, 1.0]);
        let log = Scale::log(1.0, 10_000.0, 5);
        assert!((log.place(100.0) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn one_value_has_room_around_it() {
        for value in [0.0, -3.0, 1e-9, 5e20] {
            let scale = Scale::linear(value, value, 4, true);
            let place = scale.place(value);
            assert!(place > 0.0 && place < 1.0 && scale.ticks.len() < 20, "{value}: {scale:?}");
        }
        assert!((Scale::log(10.0, 10.0, 4).place(10.0) - 0.0).abs() < 1e-9);
    }
}

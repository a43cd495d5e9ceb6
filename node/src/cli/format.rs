//! Numbers and names as people read them.

/// `1.2 kB`: three digits at most, powers of 1000.
pub(super) fn bytes(count: f64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = count;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if unit == 0 || value >= 99.95 { 0 } else { 1 };
    format!("{value:.digits$} {}", UNITS[unit])
}

/// `96.4 %`, or a dash.
pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".into(), |share| format!("{:.1} %", 100.0 * share))
}

/// `0.1234`, or a dash.
pub(super) fn loss(value: Option<f32>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.4}"))
}

/// `12.5`, `1234`: steps a second.
pub(super) fn pace(steps: f32) -> String {
    if steps < 99.95 { format!("{steps:.1}") } else { format!("{steps:.0}") }
}

/// `12 s`, `3m 20s`, `5h 12m`, `3d 4h`, or a dash.
pub(super) fn duration(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0) else { return "-".into() };
    let whole = seconds.round() as u64;
    let (minutes, hours, days) = (whole / 60, whole / 3600, whole / 86_400);
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{minutes}m {}s", whole % 60),
        3600..86_400 => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

/// The first 8 digits of a hash, or a dash.
pub(super) fn short(hash: Option<&str>) -> String {
    hash.map_or_else(|| "-".into(), |hash| hash.chars().take(8).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_is_two_units_at_most() {
        let shown: Vec<String> =
            [0.2, 12.4, 59.6, 200.0, 18_720.0, 273_600.0].map(|seconds| duration(Some(seconds))).into();
        assert_eq!(shown, ["0 s", "12 s", "1m 0s", "3m 20s", "5h 12m", "3d 4h"]);
        assert_eq!([duration(None), duration(Some(f64::NAN)), duration(Some(f64::INFINITY))], ["-", "-", "-"]);
        assert_eq!([pace(0.0), pace(12.54), pace(1234.4)], ["0.0", "12.5", "1234"]);
    }

    #[test]
    fn bytes_keep_three_digits() {
        for (count, shown) in [
            (0.0, "0 B"),
            (999.0, "999 B"),
            (1234.0, "1.2 kB"),
            (99_999.0, "100 kB"),
            (999_600.0, "1.0 MB"),
            (3.2e9, "3.2 GB"),
        ] {
            assert_eq!(bytes(count), shown);
        }
    }
}

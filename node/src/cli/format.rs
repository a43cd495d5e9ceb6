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

/// The first 8 digits of a hash, or a dash.
pub(super) fn short(hash: Option<&str>) -> String {
    hash.map_or_else(|| "-".into(), |hash| hash.chars().take(8).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

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

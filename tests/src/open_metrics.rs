//! The OpenMetrics text format 1.0, read as strictly as `promtool check metrics` does, and its advice on names as errors.
//!
//! <https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md>

use std::collections::{BTreeMap, BTreeSet};

/// What `# TYPE` may say, and how samples of it may end.
const TYPES: &[(&str, &[&str])] = &[
    ("counter", &["_total", "_created"]),
    ("gauge", &[""]),
    ("histogram", &["_bucket", "_sum", "_count", "_created"]),
    ("info", &["_info"]),
    ("unknown", &[""]),
];
/// Units that are not the base unit of what they measure.
const ODD_UNITS: &[&str] = &["milliseconds", "minutes", "kilobytes", "kibibytes", "megabytes", "bits", "percent"];

/// Names and values.
type Labels = Vec<(String, String)>;

/// One family of metrics.
#[derive(Clone, Debug, Default)]
pub struct Family {
    /// As `# TYPE` says.
    pub kind: String,
    /// As `# UNIT` says.
    pub unit: String,
    /// As `# HELP` says.
    pub help: String,
    /// Each series, with its labels in order, and its value.
    pub series: BTreeMap<String, f64>,
}

/// All families of a page, or everything that is wrong with it, a line each.
///
/// # Errors
/// What a strict reader refuses: an order of lines, a name, a unit, a label, a value, a series that comes twice.
pub fn read(page: &str) -> Result<BTreeMap<String, Family>, Vec<String>> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut current = String::new();
    let Some(body) = page.strip_suffix("# EOF\n") else { return Err(vec!["it does not end in # EOF".to_owned()]) };
    for (number, line) in body.lines().enumerate() {
        let place = number + 1;
        let mut refuse = |why: &str| wrong.push(format!("line {place}: {why}: {line}"));
        if line.is_empty() {
            refuse("an empty line");
        } else if let Some(words) = line.strip_prefix("# ") {
            let mut words = words.splitn(3, ' ');
            let (what, name, rest) =
                (words.next().unwrap_or(""), words.next().unwrap_or(""), words.next().unwrap_or(""));
            if name != current {
                if families.contains_key(name) {
                    refuse("a family that comes twice");
                }
                name.clone_into(&mut current);
            }
            let family = families.entry(name.to_owned()).or_default();
            if !family.series.is_empty() {
                refuse("what a family is stands before its samples");
            }
            let target = match what {
                "HELP" => &mut family.help,
                "TYPE" => &mut family.kind,
                "UNIT" => &mut family.unit,
                _ => {
                    refuse("neither HELP, TYPE, UNIT nor EOF");
                    continue;
                }
            };
            if !target.is_empty() {
                refuse("said twice");
            }
            rest.clone_into(target);
        } else if let Err(why) = sample(line, families.get_mut(&current).map(|family| (current.as_str(), family))) {
            refuse(&why);
        }
    }
    for (name, family) in &families {
        wrong.extend(odd(name, family).into_iter().map(|why| format!("{name}: {why}")));
    }
    if wrong.is_empty() { Ok(families) } else { Err(wrong) }
}

/// Takes one sample into its family.
fn sample(line: &str, family: Option<(&str, &mut Family)>) -> Result<(), String> {
    let Some((name, family)) = family else { return Err("a sample without a family".to_owned()) };
    let full = line.split(['{', ' ']).next().unwrap_or("");
    let Some((_, ends)) = TYPES.iter().find(|(kind, _)| *kind == family.kind) else {
        return Err(format!("a type that is none: {:?}", family.kind));
    };
    if !ends.iter().any(|end| full.strip_prefix(name) == Some(end)) {
        return Err(format!("no sample of the {} {name}, which end in {ends:?}", family.kind));
    }
    let (labels, rest) = labels(&line[full.len()..])?;
    let value = rest.trim_start_matches(' ');
    let number = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        "NaN" => f64::NAN,
        value => {
            value.parse().map_err(|_| format!("{value:?} is no number (exemplars and times are not used here)"))?
        }
    };
    if ["counter", "histogram"].contains(&family.kind.as_str()) && (number.is_nan() || number < 0.0) {
        return Err("a count below 0".to_owned());
    }
    let distinct: BTreeSet<_> = labels.iter().map(|(name, _)| name).collect();
    if distinct.len() < labels.len() {
        return Err("a label that comes twice".to_owned());
    }
    let mut labels = labels;
    labels.sort();
    match family.series.insert(format!("{full} {labels:?}"), number) {
        None => Ok(()),
        Some(_) => Err("a series that comes twice".to_owned()),
    }
}

/// Names and values of the labels at the beginning of a text, and what comes after them.
fn labels(text: &str) -> Result<(Labels, &str), String> {
    let Some(mut text) = text.strip_prefix('{') else { return Ok((Vec::new(), text)) };
    let mut labels = Vec::new();
    loop {
        if let Some(rest) = text.strip_prefix('}') {
            return Ok((labels, rest));
        }
        let (name, rest) = text.split_once("=\"").ok_or("a label without a value")?;
        let plain = |(i, c): (usize, char)| c.is_ascii_alphabetic() || c == '_' || (i > 0 && c.is_ascii_digit());
        if name.is_empty() || !name.chars().enumerate().all(plain) {
            return Err(format!("{name:?} is no name of a label"));
        }
        let mut value = String::new();
        let mut letters = rest.char_indices();
        let end = loop {
            match letters.next() {
                Some((at, '"')) => break at + 1,
                Some((_, '\\')) => match letters.next() {
                    Some((_, c @ ('\\' | '"'))) => value.push(c),
                    Some((_, 'n')) => value.push('\n'),
                    _ => return Err("an escape that is none".to_owned()),
                },
                Some((_, c)) => value.push(c),
                None => return Err("a value without an end".to_owned()),
            }
        };
        labels.push((name.to_owned(), value));
        text = rest[end..].trim_start_matches(',');
    }
}

/// What is against the rules or the custom in a whole family.
fn odd(name: &str, family: &Family) -> Vec<String> {
    let mut wrong = Vec::new();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !name.chars().all(plain) || name.starts_with(|c: char| c.is_ascii_digit()) {
        wrong.push("a name is made of a-z, 0-9 and _".to_owned());
    }
    if family.help.is_empty() || family.kind.is_empty() {
        wrong.push("HELP and TYPE are missing".to_owned());
    }
    if !family.unit.is_empty() && !name.ends_with(&format!("_{}", family.unit)) {
        wrong.push(format!("its unit {} is not the end of its name", family.unit));
    }
    if ODD_UNITS.iter().any(|unit| name.ends_with(&format!("_{unit}"))) {
        wrong.push("another unit than seconds, bytes, ratios".to_owned());
    }
    if ["_total", "_bucket", "_count", "_sum", "_info"].iter().any(|end| name.ends_with(end)) {
        wrong.push("a family does not end as samples do".to_owned());
    }
    if family.kind == "histogram" {
        wrong.extend(histogram(family));
    }
    wrong
}

/// Buckets grow, the last one is `+Inf` and equals the count. Of series without other labels, as ours are.
fn histogram(family: &Family) -> Option<String> {
    let bound = |series: &str| {
        let text = series.split_once("(\"le\", \"")?.1.split_once('"')?.0.to_owned();
        if text == "+Inf" { Some(f64::INFINITY) } else { text.parse().ok() }
    };
    let others = |series: &str| series.matches("(\"").count() > usize::from(series.contains("(\"le\""));
    if family.series.keys().any(|series| others(series)) {
        return None;
    }
    let mut buckets: Vec<(f64, f64)> =
        family.series.iter().filter_map(|(series, count)| Some((bound(series)?, *count))).collect();
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let count = family.series.iter().find(|(series, _)| series.contains("_count "))?.1;
    let grows = buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1);
    let ends = buckets.last().is_some_and(|(bound, last)| bound.is_infinite() && last == count);
    (!grows || !ends).then(|| "its buckets do not grow to +Inf and the count".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# HELP a_seconds About.\n# TYPE a_seconds histogram\n# UNIT a_seconds seconds\na_seconds_sum 1.5\na_seconds_count 2\n\
                        a_seconds_bucket{le=\"1.0\"} 1\na_seconds_bucket{le=\"+Inf\"} 2\n# HELP b About.\n# TYPE b counter\n\
                        b_total{x=\"a\\\"b\\n\",y=\"\"} 3\nb_total{x=\"c\"} 4\n# EOF\n";

    #[test]
    fn a_good_page_is_read() {
        let families = read(GOOD).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        assert_eq!(
            (families.len(), families["b"].series.len(), families["a_seconds"].unit.as_str()),
            (2, 2, "seconds")
        );
    }

    #[test]
    fn what_a_strict_reader_refuses_is_refused() {
        for (from, to, why) in [
            ("# EOF\n", "", "EOF"),
            ("b_total{x=\"c\"} 4", "b_total{x=\"a\\\"b\\n\",y=\"\"} 4", "twice"),
            ("b_total{x=\"c\"} 4", "b{x=\"c\"} 4", "no sample"),
            ("b_total{x=\"c\"} 4", "b_total{x=\"c\"} many", "no number"),
            ("b_total{x=\"c\"} 4", "b_total{x=\"c\"} -4", "below 0"),
            ("b_total{x=\"c\"} 4", "b_total{x=\"c} 4", "without an end"),
            ("b_total{x=\"c\"} 4", "b_total{1x=\"c\"} 4", "name of a label"),
            ("# UNIT a_seconds seconds", "# UNIT a_seconds bytes", "end of its name"),
            ("# TYPE b counter", "# TYPE b count", "type"),
            ("# HELP b About.\n", "", "HELP"),
            ("# HELP b About.", "# HELP a_seconds Again.", "before its samples"),
            ("# EOF\n", "# HELP a_seconds Again.\n# EOF\n", "family that comes twice"),
            ("{le=\"1.0\"} 1", "{le=\"1.0\"} 3", "do not grow"),
            ("{le=\"+Inf\"} 2", "{le=\"9.0\"} 2", "do not grow"),
        ] {
            let page = GOOD.replace(from, to);
            assert_ne!(page, GOOD, "{from}");
            let wrong = read(&page).expect_err(why).join("\n");
            assert!(wrong.contains(why), "{why}: {wrong}");
        }
    }
}

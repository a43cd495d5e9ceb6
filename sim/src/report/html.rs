//! A report as one page that needs nothing else: curves and the time line as inline SVG, numbers as tables.

use std::fmt::Write as _;

use super::plot::{Chart, Line, Unit, stroke};
use super::{Point, VirtualReport, VirtualRun};

/// Moments of a run's time line that are drawn.
const MOMENTS_SHOWN: usize = 400;
/// Peers of a run whose numbers are listed.
const PEERS_SHOWN: usize = 64;
/// Runs that are drawn in detail; the summary has all of them.
const RUNS_SHOWN: usize = 40;
const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 180.0;

/// What is drawn of a point.
struct Figure {
    name: &'static str,
    unit: Unit,
    of: fn(&Point) -> f64,
}

const FIGURES: [Figure; 5] = [
    Figure { name: "test loss, mean", unit: Unit::Number, of: |point| point.loss_mean },
    Figure { name: "accuracy, mean", unit: Unit::Share, of: |point| point.accuracy_mean },
    Figure { name: "accuracy, worst peer", unit: Unit::Share, of: |point| point.accuracy_worst },
    Figure { name: "disagreement", unit: Unit::Number, of: |point| point.disagreement },
    Figure { name: "bytes sent a peer", unit: Unit::Bytes, of: |point| point.bytes_sent_mean },
];

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:960px;margin:2rem auto;padding:0 1rem;color:#1c2430;background:#fff}\
table{border-collapse:collapse;margin:.5rem 0 1.5rem;font-size:13px}td,th{padding:.2rem .6rem;text-align:right;border-bottom:1px solid #dde3ea}\
td:first-child,th:first-child{text-align:left}figure{display:inline-block;margin:0 1rem 1rem 0}\
svg{background:#f6f8fa;border-radius:4px}.bad{color:#b3261e;font-weight:600}.good{color:#1f7a4d}.wide{overflow-x:auto}\
@media(prefers-color-scheme:dark){body{background:#14181d;color:#dfe5ec}svg{background:#1d232b}\
td,th{border-color:#333c47}}";

/// The page.
#[must_use]
pub fn html(report: &VirtualReport) -> String {
    let mut out = String::new();
    let title = escape(&report.scenario);
    let _ = write!(
        out,
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style><h1>{title}</h1><p>{}</p>",
        escape(&report.about)
    );
    out.push_str(match (report.judged, report.holds) {
        (false, _) => "<p class=bad>Stopped before the end: nothing was judged.</p>",
        (true, true) => "<p class=good>Everything holds.</p>",
        (true, false) => "<p class=bad>Not everything holds.</p>",
    });
    verdicts(report, &mut out);
    summary(report, &mut out);
    curves(report, &mut out);
    for run in report.runs.iter().take(RUNS_SHOWN) {
        details(run, &mut out);
    }
    if report.runs.len() > RUNS_SHOWN {
        let _ = write!(out, "<p>{} more runs are in the JSON.</p>", report.runs.len() - RUNS_SHOWN);
    }
    out.push_str("</html>\n");
    out
}

fn verdicts(report: &VirtualReport, out: &mut String) {
    if report.verdicts.is_empty() {
        return;
    }
    out.push_str("<h2>Expected</h2><div class=wide><table><tr><th>what<th>variant<th>bound<th>mean<th>min<th>max<th>");
    for verdict in &report.verdicts {
        let expect = &verdict.expect;
        let what = format!("{}{}", escape(&expect.metric), escape(&expect.against()));
        let bound = [("at least", expect.at_least), ("at most", expect.at_most)]
            .iter()
            .filter_map(|(word, bound)| bound.map(|bound| format!("{word} {bound}")))
            .collect::<Vec<_>>()
            .join(", ");
        let spread = verdict.found.unwrap_or_default();
        let (class, word) = if verdict.holds { ("good", "holds") } else { ("bad", "does not hold") };
        let _ = write!(
            out,
            "<tr><td>{what}<td>{}<td>{bound}<td>{:.4}<td>{:.4}<td>{:.4}<td class={class}>{word}",
            escape(&verdict.variant),
            spread.mean,
            spread.min,
            spread.max
        );
    }
    out.push_str("</table></div>");
}

fn summary(report: &VirtualReport, out: &mut String) {
    out.push_str("<h2>Summary</h2><div class=wide><table><tr><th>variant<th>accuracy<th>worst<th>loss<th>sent a peer<th>said a peer<th>times less than dense<th>agreed after, s<th>violations");
    for summary in &report.summary {
        let cell = |name: &str, digits: usize| {
            summary.metrics.get(name).map_or_else(|| "-".into(), |spread| format!("{:.*}", digits, spread.mean))
        };
        let bytes = |name: &str| summary.metrics.get(name).map_or_else(|| "-".into(), |spread| size(spread.mean));
        let _ = write!(
            out,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}",
            escape(&summary.variant),
            cell("accuracy_mean", 4),
            cell("accuracy_worst", 4),
            cell("loss_mean", 4),
            bytes("bytes_sent_mean"),
            bytes("bytes_said_mean"),
            cell("bytes_ratio", 1),
            cell("agreed_after_s", 2),
            cell("violations", 0)
        );
    }
    out.push_str("</table></div>");
}

/// One line a variant: the curve of its first seed.
fn curves(report: &VirtualReport, out: &mut String) {
    let firsts: Vec<&VirtualRun> = report
        .summary
        .iter()
        .filter_map(|summary| report.runs.iter().find(|run| run.variant == summary.variant && !run.curve.is_empty()))
        .collect();
    if firsts.is_empty() {
        return;
    }
    out.push_str("<h2>Curves</h2><p>First seed of every variant, over the steps of a peer.</p>");
    for figure_of in &FIGURES {
        let line = |(run, of): (usize, &&VirtualRun)| {
            let points = of.curve.iter().map(|point| [point.steps as f64, (figure_of.of)(point)]);
            let points: Vec<[f64; 2]> = points.filter(|[_, y]| y.is_finite()).collect();
            (!points.is_empty()).then_some(Line { run, points, band: Vec::new() })
        };
        figure(figure_of, firsts.iter().enumerate().filter_map(line).collect(), out);
    }
    out.push_str("<p>");
    for (i, run) in firsts.iter().enumerate() {
        let name = if run.variant.is_empty() { "run" } else { &run.variant };
        let ([red, green, blue], dashed) = stroke(i);
        let sign = if dashed { "&#9633;" } else { "&#9632;" };
        let _ = write!(out, "<span style=\"color:rgb({red},{green},{blue})\">{sign}</span> {} ", escape(name));
    }
    out.push_str("</p>");
}

fn figure(figure: &Figure, lines: Vec<Line>, out: &mut String) {
    if lines.is_empty() {
        return;
    }
    let chart = Chart {
        title: figure.name.to_owned(),
        across: "steps of a peer".to_owned(),
        across_unit: Unit::Number,
        unit: figure.unit,
        log: figure.unit == Unit::Bytes,
        lines,
    };
    let _ = write!(out, "<figure>{}</figure>", chart.draw(WIDTH, HEIGHT).svg_in_page());
}

fn details(run: &VirtualRun, out: &mut String) {
    let name = if run.variant.is_empty() { String::new() } else { format!("{}, ", escape(&run.variant)) };
    let _ = write!(
        out,
        "<details><summary>{name}seed {} &middot; {} events &middot; {:.1} s &middot; trace {}</summary>",
        run.seed,
        run.events,
        run.virtual_s,
        escape(&run.trace_hash[..run.trace_hash.len().min(16)])
    );
    for violation in &run.violations {
        let _ = write!(
            out,
            "<p class=bad>event {}, {:.3} s, peer {}: {}</p>",
            violation.event,
            violation.at_us as f64 / 1e6,
            violation.peer,
            escape(&violation.what)
        );
    }
    timeline(run, out);
    out.push_str("<div class=wide><table><tr><th>peer<th>lives<th>steps<th>loss<th>accuracy<th>sent<th>received<th>said<th>heard<th>refused<th>neighbours<th>base");
    for peer in run.peers.iter().take(PEERS_SHOWN) {
        let float = |value: Option<f32>| value.map_or_else(|| "-".into(), |value| format!("{value:.4}"));
        let base = peer.base_hash.as_deref().map_or("-", |hash| &hash[..hash.len().min(8)]);
        let _ = write!(
            out,
            "<tr><td>{}{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}",
            peer.index,
            if peer.honest { "" } else { " (liar)" },
            peer.lives,
            peer.steps,
            float(peer.test_loss),
            float(peer.test_accuracy),
            size(peer.bytes_sent as f64),
            size(peer.bytes_received as f64),
            peer.deltas_said,
            peer.deltas_heard,
            peer.deltas_refused,
            peer.neighbours,
            escape(base)
        );
    }
    out.push_str("</table></div></details>");
}

fn timeline(run: &VirtualRun, out: &mut String) {
    if run.moments.is_empty() {
        return;
    }
    let right = run.virtual_s.max(1e-9);
    let peers = run.peers.len().max(1) as f64;
    let _ =
        write!(out, "<svg viewBox=\"0 0 900 160\" width=100% role=img aria-label=\"events over time, a row a peer\">");
    for moment in run.moments.iter().take(MOMENTS_SHOWN) {
        let x = 10.0 + 880.0 * moment.at_s / right;
        let y = 10.0 + 140.0 * (f64::from(moment.peer) + 0.5) / peers;
        let _ = write!(
            out,
            "<circle cx={x:.1} cy={y:.1} r=2.5 fill=\"#2a78d6\"><title>{:.2} s, peer {}: {}</title></circle>",
            moment.at_s,
            moment.peer,
            escape(&moment.what)
        );
    }
    out.push_str("</svg>");
}

fn size(bytes: f64) -> String {
    match bytes {
        b if b >= 1e9 => format!("{:.2} GB", b / 1e9),
        b if b >= 1e6 => format!("{:.2} MB", b / 1e6),
        b if b >= 1e3 => format!("{:.1} kB", b / 1e3),
        b => format!("{b:.0} B"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_whole_and_names_are_escaped() {
        let curve =
            vec![Point { steps: 1, loss_mean: 2.0, ..Point::default() }, Point { steps: 9, ..Point::default() }];
        let run = VirtualRun { variant: "<b>".into(), curve, trace_hash: "ab".into(), ..VirtualRun::default() };
        let mut report = VirtualReport { scenario: "a & b".into(), runs: vec![run], ..VirtualReport::default() };
        report.derive(&[]);
        let page = html(&report);
        assert!(page.contains("a &amp; b") && page.contains("&lt;b&gt;") && !page.contains("<b>"));
        assert!(page.contains("<polyline") && page.ends_with("</html>\n"));
        assert!(!page.contains("http"), "nothing is loaded from anywhere");
    }
}

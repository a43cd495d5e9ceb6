//! `docs/reference/metrics.md` and the table of routes: what a scrape says and what the router takes.

use std::fmt::Write as _;

use protocol::company::{Fellow, Linked};
use protocol::event::Report;
use protocol::learner::Evaluation;
use protocol::time::Span;

use super::*;
use crate::reference;

/// Everything that a peer may know, so that every metric is there.
fn everything(served: &mut Served) -> String {
    let linked = Linked {
        age: Span::from_secs(1),
        silence: Span::from_secs(1),
        round_trip: 0.1,
        behind: 1,
        agrees: true,
        holds: 1,
        steps: 1,
        steps_per_second: 1.0,
        train_loss: 1.0,
        finished: false,
        neighbours: Vec::new(),
    };
    let fellow = Fellow { peer: PeerId([2; 32]), key: 2, deltas: 1, link: Some(linked) };
    served.watcher.observe(&Observation::Company(vec![fellow]));
    let report = Report {
        epoch: 1,
        steps: 1,
        train_loss: 1.0,
        evaluation: Evaluation { loss: 1.0, accuracy: 0.5, samples: 1 },
        base_hash: Hash::ZERO,
        heard: Hash::ZERO,
    };
    served.watcher.observe(&Observation::Event(Event::Epoch(report)));
    let view = View { train_loss: 1.0, ..view(1) };
    served.watcher.observe(&Observation::View(Box::new(view), Traffic::default()));
    served.get("/metrics").1
}

#[test]
fn the_reference_of_the_metrics_is_what_a_scrape_says() {
    let mut served = serve(None);
    let page = everything(&mut served);
    check_open_metrics(&page);
    let mut text = String::from(
        "# Metrics\n\n`GET /metrics` of every peer that serves a dashboard, in the OpenMetrics text format. A counter ends in `_total`, a unit stands \
         at the end of a name. What is not known yet (a loss before the first step) is left out. A scrape reads what the peer wrote down last and waits for \
         no training.\n\n`libp2p_swarm_...` are libp2p's own: connections, dials, errors; those of its protocols (`libp2p_kad_...`, `libp2p_identify_...`, \
         `libp2p_ping_...`) stay at zero.\n\n| name | type | labels | meaning |\n|---|---|---|---|\n",
    );
    let (mut kind, mut help, mut told) = ("", "", Vec::new());
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').unwrap().1;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            kind = rest.split_once(' ').unwrap().1;
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let name = name.trim_end_matches("_bucket").trim_end_matches("_sum").trim_end_matches("_count");
            if told.contains(&name) {
                continue;
            }
            told.push(name);
            let labels = line.split_once('{').map_or("", |(_, rest)| rest.rsplit_once('}').unwrap().0);
            let labels: Vec<_> = labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0)).collect();
            let labels = if kind == "histogram" { Vec::new() } else { labels };
            let help = help.trim_end_matches('.');
            let _ = writeln!(text, "{}", reference::row(&[&format!("`{name}`"), kind, &labels.join(", "), help]));
        }
    }
    assert!(told.len() > 25, "{told:?}");
    reference::check("metrics.md", &text);
}

#[test]
fn every_metric_that_is_watched_is_there() {
    let page = everything(&mut serve(None));
    let families: Vec<_> = page.lines().filter(|line| !line.starts_with('#')).collect();
    let known = |name: &str| families.iter().any(|line| line.split(['{', ' ']).next() == Some(name));
    let alarms = include_str!("../../../../docs/operations.md").split("What deserves an alarm").nth(1).unwrap();
    let alarms = alarms.split("\n## ").next().unwrap();
    for (file, text) in
        [("docs/grafana.json", include_str!("../../../../docs/grafana.json")), ("docs/operations.md", alarms)]
    {
        let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let words = text.split(|c| !letter(c)).filter(|word| word.starts_with("starling_"));
        let (there, gone): (Vec<_>, Vec<_>) = words.partition(|word| known(word));
        assert!(there.len() >= 4 && gone.is_empty(), "{file}: no scrape says {gone:?}");
    }
}

#[test]
fn every_route_is_in_the_documentation_and_every_documented_one_is_there() {
    let source = include_str!("../routes.rs");
    let router = source.split_once("Router::new()").unwrap().1.split_once(".with_state").unwrap().0;
    let page = include_str!("../../../../docs/dashboard.md");
    let routes: Vec<String> = router
        .split(".route(\"")
        .skip(1)
        .filter_map(|route| {
            let (path, rest) = route.split_once('"').unwrap();
            let method = rest.trim_start_matches([',', ' ', '\n']).split('(').next().unwrap().trim().to_uppercase();
            (path.starts_with("/v1/") || path.ends_with('z') || path == "/metrics").then(|| format!("{method} {path}"))
        })
        .collect();
    assert!(routes.len() >= 12, "{routes:?}");
    let missing: Vec<_> = routes.iter().filter(|route| !page.contains(&format!("`{route}`"))).collect();
    assert!(missing.is_empty(), "not in docs/dashboard.md: {missing:?}");
    let documented = page.split('`').filter(|words| words.starts_with("GET /") || words.starts_with("POST /"));
    let gone: Vec<_> = documented.filter(|words| !routes.iter().any(|route| route == words)).collect();
    assert!(gone.is_empty(), "in docs/dashboard.md, but no route: {gone:?}");
}

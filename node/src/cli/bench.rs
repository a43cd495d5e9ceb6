//! `starling device bench`: how good a device is to train on, in one command.

use std::path::Path;

use serde::{Deserialize, Serialize};
use shaders::bench::figures::{self, Effort, Figures};
use shaders::engine::DeviceError;

use super::args::DeviceBenchArgs;
use super::files::JsonTarget;
use super::{engine, say};
use crate::error::{Error, Kind};
use crate::store::bounded;

/// Most bytes of a rival's report.
const RIVAL_BYTES_MAX: u64 = 1 << 20;

/// What the figures of a data-centre GPU are to reach, beside the same on that machine.
mod targets {
    /// Of the rival's rate: f32 products of this extent.
    pub(super) const MATMUL: (usize, f64) = (4096, 0.35);
    /// Of the rival's steps a second, by model.
    pub(super) const STEPS: [(&str, f64); 3] = [("mlp 784-512-10", 1.0), ("lm 10M", 0.3), ("lm 124M", 0.3)];
    /// Of the copy: Adam.
    pub(super) const ADAM: f64 = 0.8;
    /// Of the copy: a delta until its payload is there.
    pub(super) const TOP_K: f64 = 0.5;
    /// Share of the step rate that gossip takes at most, by model.
    pub(super) const GOSSIP: (&str, f64) = ("lm 124M", 0.02);
}

/// What a rival's benchmark wrote on the same machine (`shaders/benches/rivals/pytorch.py --json FILE`); other keys are its own.
#[derive(Debug, Deserialize)]
struct Rival {
    rival: String,
    device: String,
    matmul: Vec<RivalProduct>,
    steps: Vec<RivalSteps>,
}

#[derive(Debug, Deserialize)]
struct RivalProduct {
    m: usize,
    n: usize,
    k: usize,
    gflops: f64,
}

#[derive(Debug, Deserialize)]
struct RivalSteps {
    model: String,
    batch: usize,
    steps_per_s: f64,
}

/// The same by both.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Pair {
    figure: String,
    ours: f64,
    theirs: f64,
    ratio: f64,
}

/// A figure beside what it is to reach.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Target {
    figure: String,
    /// `None` where it was not measured here, or the rival was not.
    value: Option<f64>,
    /// At least, or at most.
    bound: &'static str,
    target: f64,
    met: Option<bool>,
    /// Why there is no value, where it is known.
    note: Option<String>,
}

/// What `--json` writes.
#[derive(Debug, Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    figures: &'a Figures,
    /// The rival, where one was named.
    rival: Option<&'a str>,
    /// What both have measured.
    against: &'a [Pair],
    targets: &'a [Target],
}

pub(super) fn run(args: &DeviceBenchArgs) -> Result<(), Error> {
    let json = JsonTarget::new("--json", args.json.as_deref())?;
    let rival = args.against.as_deref().map(read).transpose()?;
    // With the JSON on standard output, people read standard error.
    let tell = |line: &str| if json.is_stdout() { say::aside(line) } else { say::line(line) };
    let effort = Effort { threads: args.threads(), quick: args.quick };
    // As `run` opens it, with what `device tune` found.
    let open = || engine::open_tuned(&args.device, effort.threads).map(|(executor, _)| executor);
    let (mut shown, mut told) = (0, Ok(()));
    let measured = figures::measure(&open, effort, &mut |figures| {
        let lines = lines(figures);
        for line in &lines[shown.min(lines.len())..] {
            told = std::mem::replace(&mut told, Ok(())).and_then(|()| tell(line));
        }
        shown = lines.len();
    });
    told?;
    let figures = measured.map_err(|error| failed(&error))?;
    for left in &figures.left_out {
        tell(&format!("left out   {}: {}", left.what, left.why))?;
    }
    let pairs = rival.as_ref().map(|rival| pairs(&figures, rival)).unwrap_or_default();
    for Pair { figure, ours, theirs, ratio } in &pairs {
        tell(&format!("against    {figure}: {ours:.2}, the rival {theirs:.2}, ratio {ratio:.2}"))?;
    }
    let targets = targets(&figures, rival.as_ref(), &pairs);
    tell("targets, of a data-centre GPU:")?;
    for target in &targets {
        tell(&shown_target(target, rival.as_ref()))?;
    }
    if rival.is_none() {
        tell("what a rival does here: shaders/benches/rivals/pytorch.py --json FILE, then --against FILE")?;
    }
    let rival = rival.as_ref().map(|rival| rival.rival.as_str());
    json.write(&Report { figures: &figures, rival, against: &pairs, targets: &targets })
}

fn failed(error: &DeviceError) -> Error {
    let hint = match error {
        DeviceError::NotFound { .. } => {
            "--device takes auto, cpu, or a part of a name (NAME#2: the second of that name)"
        }
        DeviceError::Failed(_) => "--device cpu measures without it",
    };
    Error::new(Kind::Device, error).hint(hint)
}

fn read(path: &Path) -> Result<Rival, Error> {
    let fail = |error: &dyn std::fmt::Display| {
        Error::new(Kind::Input, format!("--against {}: {error}", path.display()))
            .hint("name what `shaders/benches/rivals/pytorch.py --json FILE` wrote on this machine")
    };
    let text = bounded::read_text(path, RIVAL_BYTES_MAX).map_err(|error| fail(&error))?;
    let rival: Rival = serde_json::from_str(&text).map_err(|error| fail(&error))?;
    let rates = rival.matmul.iter().map(|product| product.gflops).chain(rival.steps.iter().map(|s| s.steps_per_s));
    match rates.into_iter().find(|rate| !rate.is_finite() || *rate <= 0.0) {
        Some(rate) => Err(fail(&format!("a rate of {rate}"))),
        None => Ok(rival),
    }
}

/// A cost as people read it: gossip makes nothing faster, so what is below zero is what two measurements of one thing differ by.
fn less(cost: f64) -> String {
    let percent = 100.0 * cost;
    if cost < 0.0 { format!("within noise ({percent:.1} %)") } else { format!("{percent:.1} % less") }
}

/// Everything that was measured so far; later calls only append.
fn lines(figures: &Figures) -> Vec<String> {
    let mut lines = vec![format!(
        "device     {} ({}{}), {} threads of the host, {} s a measurement",
        figures.device,
        figures.backend,
        if figures.software { ", a driver that computes on the CPU" } else { "" },
        figures.threads,
        figures.budget_s
    )];
    lines.extend(figures.note.clone());
    lines.push(format!("copy       {:.1} GB/s, read and written", figures.copy_gbs));
    if let Some(adam) = figures.adam {
        let (gbs, share) = (adam.gbs, adam.of_copy);
        lines.push(format!("adam       {gbs:.1} GB/s, {share:.2} of the copy ({} parameters)", adam.parameters));
    }
    if let Some(top_k) = figures.top_k {
        lines.push(format!(
            "top-k      {:.1} GB/s to choose, {:.2} of the copy; with the payload packed {:.2} of it ({} parameters, {:.1} ms)",
            top_k.gbs,
            top_k.of_copy,
            top_k.encode_of_copy,
            top_k.parameters,
            1e3 * top_k.encode_s
        ));
    }
    for product in &figures.matmul {
        let reference = product.reference_gflops.map_or_else(
            || "not measured, it would take too long".into(),
            |rate| format!("{rate:.1} Gflop/s, ratio {:.2}", product.gflops / rate),
        );
        lines.push(format!(
            "matmul     {:>4} x {:>4} x {:>4}  {:>9.1} Gflop/s; {}: {reference}",
            product.m, product.n, product.k, product.gflops, product.reference
        ));
    }
    for (i, steps) in figures.steps.iter().enumerate() {
        let processor =
            steps.steps_per_cpu_s.map_or_else(String::new, |rate| format!(", {rate:.1} a second of processor time"));
        let (name, batch, parameters) = (&steps.model, steps.batch, steps.parameters);
        lines.push(format!(
            "step       {name}, batch {batch}, {parameters} parameters: {:.2} steps/s{processor}",
            steps.steps_per_s
        ));
        for gossip in figures.gossip.iter().filter(|gossip| gossip.model == figures.steps[i].model) {
            lines.push(format!(
                "gossip     {name}: {:.2} steps/s without, {:.2} with a delta said and one heard a second, {}; \
                 saying takes {:.1} ms, hearing {:.1} ms",
                gossip.steps_per_s_off,
                gossip.steps_per_s_on,
                less(gossip.cost),
                1e3 * gossip.say_s,
                1e3 * gossip.hear_s
            ));
        }
    }
    lines
}

fn product_name(n: usize) -> String {
    format!("matmul {n}, Gflop/s")
}

fn steps_name(model: &str, batch: usize) -> String {
    format!("steps/s of {model}, batch {batch}")
}

/// What both have measured: products of the same extents, models at the same batch.
fn pairs(figures: &Figures, rival: &Rival) -> Vec<Pair> {
    let pair = |figure, ours, theirs| Pair { figure, ours, theirs, ratio: ours / theirs };
    let products = figures.matmul.iter().filter_map(|ours| {
        let theirs = rival.matmul.iter().find(|theirs| (theirs.m, theirs.n, theirs.k) == (ours.m, ours.n, ours.k))?;
        Some(pair(product_name(ours.n), ours.gflops, theirs.gflops))
    });
    let steps = figures.steps.iter().filter_map(|ours| {
        let theirs = rival.steps.iter().find(|theirs| (&theirs.model, theirs.batch) == (&ours.model, ours.batch))?;
        Some(pair(steps_name(&ours.model, ours.batch), ours.steps_per_s, theirs.steps_per_s))
    });
    products.chain(steps).collect()
}

fn targets(figures: &Figures, rival: Option<&Rival>, pairs: &[Pair]) -> Vec<Target> {
    let at_least = |figure: String, value: Option<f64>, target: f64| Target {
        figure,
        value,
        bound: "at least",
        target,
        met: value.map(|value| value >= target),
        note: None,
    };
    let ratio = |figure: &str| pairs.iter().find(|pair| pair.figure == figure).map(|pair| pair.ratio);
    let (extent, share) = targets::MATMUL;
    let matmul = ratio(&product_name(extent));
    let mut all = vec![at_least(format!("matmul {extent} beside the rival"), matmul, share)];
    for (model, share) in targets::STEPS {
        let ours = figures.steps.iter().find(|steps| steps.model == model);
        let value = ours.and_then(|ours| ratio(&steps_name(model, ours.batch)));
        let mut target = at_least(format!("steps of {model} beside the rival"), value, share);
        let theirs = rival.and_then(|rival| rival.steps.iter().find(|steps| steps.model == model));
        target.note = ours.zip(theirs).filter(|_| value.is_none()).map(|(ours, theirs)| {
            let (here, there) = (ours.batch, theirs.batch);
            format!("batch {here} here and {there} there: pytorch.py --batch \"{model}={here}\"")
        });
        all.push(target);
    }
    all.push(at_least("adam beside the copy".into(), figures.adam.map(|adam| adam.of_copy), targets::ADAM));
    let encoded = figures.top_k.map(|top_k| top_k.encode_of_copy);
    all.push(at_least("top-k, packed, beside the copy".into(), encoded, targets::TOP_K));
    let (model, most) = targets::GOSSIP;
    let cost = figures.gossip.iter().find(|gossip| gossip.model == model).map(|gossip| gossip.cost);
    all.push(Target {
        figure: format!("step rate of {model} that gossip takes"),
        value: cost,
        bound: "at most",
        target: most,
        met: cost.map(|cost| cost <= most),
        note: None,
    });
    all
}

fn shown_target(target: &Target, rival: Option<&Rival>) -> String {
    let (value, verdict) = match (target.value, target.met) {
        (Some(value), Some(met)) => (format!("{value:.3}"), if met { "met" } else { "missed" }),
        _ if target.note.is_some() => ("-".into(), target.note.as_deref().unwrap_or_default()),
        _ if target.figure.ends_with("the rival") && rival.is_none() => ("-".into(), "no rival was named"),
        _ => ("-".into(), "not measured here"),
    };
    let figure = rival.map_or_else(
        || target.figure.clone(),
        |rival| target.figure.replace("the rival", &format!("{} on {}", rival.rival, rival.device)),
    );
    format!("  {figure}: {value}, {} {}: {verdict}", target.bound, target.target)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::fs;

    use shaders::bench::figures::{Choice, Product, Steps, Stream};
    use shaders::bench::gossip::Gossip;

    use super::*;

    fn figures() -> Figures {
        let product = |n, gflops| Product {
            m: n,
            n,
            k: n,
            gflops,
            reference: "gemm on the CPU",
            reference_gflops: (n < 4096).then_some(90.0),
        };
        let steps = |model: &str, batch, steps_per_s| Steps {
            model: model.into(),
            parameters: 10,
            batch,
            steps_per_s,
            steps_per_cpu_s: None,
            backend: "vulkan".into(),
        };
        Figures {
            device: "toy".into(),
            backend: "vulkan".into(),
            software: false,
            note: None,
            threads: 1,
            quick: false,
            budget_s: 8.0,
            copy_gbs: 100.0,
            matmul: vec![product(256, 50.0), product(4096, 400.0)],
            adam: Some(Stream { parameters: 7, gbs: 90.0, of_copy: 0.9 }),
            top_k: Some(Choice { parameters: 7, gbs: 80.0, of_copy: 0.8, encode_s: 0.1, encode_of_copy: 0.1 }),
            steps: vec![steps("mlp 784-512-10", 128, 900.0), steps("lm 10M", 8, 5.0)],
            gossip: vec![Gossip {
                model: "lm 124M".into(),
                parameters: 7,
                batch: 4,
                steps_per_s_off: 10.0,
                steps_per_s_on: 9.9,
                pairs: vec![[10.0, 9.9]],
                cost: 0.01,
                deltas: 4,
                delta_bytes: 7,
                say_s: 0.1,
                hear_s: 0.1,
            }],
            left_out: vec![],
        }
    }

    fn rival() -> Rival {
        serde_json::from_str(
            r#"{"rival": "PyTorch", "device": "toy", "copy_gbs": 1.0, "matmul": [{"m": 4096, "n": 4096, "k": 4096, "gflops": 1000.0}],
                "steps": [{"model": "mlp 784-512-10", "batch": 128, "steps_per_s": 1000.0},
                          {"model": "lm 10M", "batch": 64, "steps_per_s": 1.0}]}"#,
        )
        .unwrap()
    }

    #[test]
    fn figures_are_held_against_their_targets() {
        let verdicts = |rival: Option<&Rival>| -> Vec<(Option<f64>, Option<bool>)> {
            let pairs = rival.map(|rival| pairs(&figures(), rival)).unwrap_or_default();
            targets(&figures(), rival, &pairs).into_iter().map(|target| (target.value, target.met)).collect()
        };
        let none = (None, None);
        // The whole of a delta is judged, and not its kernel alone.
        let alone = [(Some(0.9), Some(true)), (Some(0.1), Some(false)), (Some(0.01), Some(true))];
        assert_eq!(verdicts(None), [&[none; 4][..], &alone[..]].concat());
        // Another batch is another figure.
        let beside = [(Some(0.4), Some(true)), (Some(0.9), Some(false)), none, none];
        assert_eq!(verdicts(Some(&rival())), [&beside[..], &alone[..]].concat());
        let shown: Vec<_> = targets(&figures(), None, &[]).iter().map(|target| shown_target(target, None)).collect();
        assert!(
            shown[0].ends_with("no rival was named") && shown[4].ends_with("0.900, at least 0.8: met"),
            "{shown:?}"
        );
        let beside = targets(&figures(), Some(&rival()), &pairs(&figures(), &rival()));
        assert!(beside[2].note.as_ref().is_some_and(|note| note.contains("lm 10M=8")), "{beside:?}");
        let shown = shown_target(&beside[1], Some(&rival()));
        assert!(shown.contains("beside PyTorch on toy: 0.900, at least 1: missed"), "{shown}");
    }

    #[test]
    fn what_was_told_stays_where_it_is() {
        let all = figures();
        let early = Figures { steps: vec![], gossip: vec![], matmul: vec![], ..all.clone() };
        let (before, after) = (lines(&early), lines(&all));
        assert_eq!(after[..before.len()], before);
        assert!(after.iter().any(|line| line.contains("4096 x 4096 x 4096") && line.contains("not measured")));
    }

    #[test]
    fn a_report_has_the_keys_of_the_design() {
        let (figures, targets) = (figures(), targets(&figures(), None, &[]));
        let report = Report { figures: &figures, rival: None, against: &[], targets: &targets };
        let report = serde_json::to_value(report).unwrap();
        for key in ["m", "n", "k", "gflops", "reference", "reference_gflops"] {
            assert!(report["matmul"][0].get(key).is_some(), "{key}");
        }
        for key in ["model", "batch", "steps_per_s", "steps_per_cpu_s", "backend"] {
            assert!(report["steps"][0].get(key).is_some(), "{key}");
        }
    }

    #[test]
    fn a_rival_that_cannot_be_read_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rival.json");
        let refused = |text: &str| {
            fs::write(&path, text).unwrap();
            let error = read(&path).unwrap_err();
            assert!(
                error.kind == Kind::Input && error.message.contains("rival.json") && error.hint.is_some(),
                "{error}"
            );
        };
        refused("");
        refused("{}");
        refused(r#"{"rival": "x", "device": "y", "matmul": [{"m": 1, "n": 1, "k": 1, "gflops": 0}], "steps": []}"#);
        assert!(read(folder.path()).is_err());
    }
}

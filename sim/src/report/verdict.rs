//! What came of a scenario over all its seeds and variants: means, and whether what was expected came out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::mean;
use super::virtual_run::{METRICS, VirtualRun};
use crate::virtual_swarm::scenario::Expect;

/// A number over the seeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Seeds that have it.
    pub seeds: u32,
}

impl Spread {
    fn of(values: &[f64]) -> Option<Self> {
        let seeds = u32::try_from(values.len()).unwrap_or(u32::MAX);
        let mean = mean(values.iter().copied())?;
        let min = values.iter().copied().fold(f64::INFINITY, f64::min);
        let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Some(Self { mean, min, max, seeds })
    }
}

/// One variant over all seeds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VariantSummary {
    /// Its name.
    pub variant: String,
    /// By [`METRICS`].
    pub metrics: BTreeMap<String, Spread>,
}

/// An expectation of the scenario, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What was expected.
    pub expect: Expect,
    /// Of which variant.
    pub variant: String,
    /// What was found; null where no seed has the number.
    pub found: Option<Spread>,
    /// Whether it holds.
    pub holds: bool,
}

/// All runs of a command.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VirtualReport {
    /// Name of the scenario.
    pub scenario: String,
    /// Its sentence.
    pub about: String,
    /// Wall time of it all, seconds.
    pub wall_s: f64,
    /// One a variant and seed.
    pub runs: Vec<VirtualRun>,
    /// One a variant.
    pub summary: Vec<VariantSummary>,
    /// One an expectation and variant.
    pub verdicts: Vec<Verdict>,
    /// Whether there was a run, every expectation holds, nothing was violated and whoever was to agree does.
    pub holds: bool,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// Whether it was judged: what did not come to its end is not, and does not hold.
    pub judged: bool,
}

impl VirtualReport {
    /// Fills in the summary where nothing is judged.
    pub fn derive_unjudged(&mut self) {
        self.derive(&[]);
        (self.judged, self.holds) = (false, false);
    }

    /// Fills in summary and verdicts.
    pub fn derive(&mut self, expectations: &[Expect]) {
        let mut names: Vec<String> = Vec::new();
        for run in &self.runs {
            if !names.contains(&run.variant) {
                names.push(run.variant.clone());
            }
        }
        self.summary = names.iter().map(|name| self.summarize(name)).collect();
        self.verdicts = expectations.iter().flat_map(|expect| self.judge(expect, &names)).collect();
        let clean = self.runs.iter().all(|run| run.violation_count == 0 && !run.disagreed);
        self.judged = true;
        self.holds = clean && !self.runs.is_empty() && self.verdicts.iter().all(|verdict| verdict.holds);
    }

    fn of_variant<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a VirtualRun> + 'a {
        self.runs.iter().filter(move |run| run.variant == name)
    }

    fn summarize(&self, name: &str) -> VariantSummary {
        let spread = |metric: &&str| {
            let values: Vec<f64> = self.of_variant(name).filter_map(|run| run.metric(metric)).collect();
            Spread::of(&values).map(|spread| ((*metric).to_owned(), spread))
        };
        VariantSummary { variant: name.into(), metrics: METRICS.iter().filter_map(spread).collect() }
    }

    fn judge(&self, expect: &Expect, names: &[String]) -> Vec<Verdict> {
        let about: Vec<&String> = match &expect.variant {
            Some(name) => names.iter().filter(|other| *other == name).collect(),
            None => names.iter().filter(|name| expect.references().all(|other| other != *name)).collect(),
        };
        let value = |run: &VirtualRun| -> Option<f64> {
            let found = run.metric(&expect.metric)?;
            let of = |reference: &str| {
                self.of_variant(reference).find(|other| other.seed == run.seed)?.metric(&expect.metric)
            };
            let value = match (&expect.relative_to, &expect.ratio_to, &expect.gap) {
                (Some(other), ..) => found - of(other)?,
                (_, Some(other), _) => found / of(other)?,
                (.., Some([from, to])) => (found - of(from)?) / (of(to)? - of(from)?),
                _ => found,
            };
            // A share of nothing is no number, and holds no bound.
            Some(value).filter(|value| value.is_finite())
        };
        about
            .into_iter()
            .map(|name| {
                let runs = self.of_variant(name).count();
                let values: Vec<f64> = self.of_variant(name).filter_map(value).collect();
                let found = Spread::of(&values).filter(|_| values.len() == runs);
                let holds = found.is_some_and(|spread| {
                    let (low, high) =
                        if expect.every_seed { (spread.min, spread.max) } else { (spread.mean, spread.mean) };
                    expect.at_least.is_none_or(|bound| low >= bound) && expect.at_most.is_none_or(|bound| high <= bound)
                });
                Verdict { expect: expect.clone(), variant: name.clone(), found, holds }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(variant: &str, seed: u64, accuracy: f64) -> VirtualRun {
        VirtualRun { variant: variant.into(), seed, accuracy_mean: Some(accuracy), ..VirtualRun::default() }
    }

    fn expect(text: &str) -> Expect {
        toml::from_str(text).expect("an expectation")
    }

    #[test]
    fn a_share_of_nothing_holds_no_bound() {
        let runs = ["a", "b", "c"].map(|name| run(name, 1, 0.5)).to_vec();
        for text in ["gap = [\"a\", \"b\"]\nevery_seed = true", "gap = [\"a\", \"b\"]"] {
            let text = format!("metric = \"accuracy_mean\"\nvariant = \"c\"\nat_least = -5\nat_most = 5\n{text}");
            let mut report = VirtualReport { runs: runs.clone(), ..VirtualReport::default() };
            report.derive(&[expect(&text)]);
            assert!(!report.verdicts[0].holds && report.verdicts[0].found.is_none(), "{:?}", report.verdicts);
        }
    }

    #[test]
    fn expectations_are_judged_seed_by_seed() {
        let runs = vec![run("clean", 0, 0.9), run("clean", 1, 0.8), run("hurt", 0, 0.89), run("hurt", 1, 0.77)];
        let report = |text: &str| {
            let mut report = VirtualReport { runs: runs.clone(), ..VirtualReport::default() };
            report.derive(&[expect(text)]);
            report
        };
        let relative = "metric = \"accuracy_mean\"\nrelative_to = \"clean\"\nat_least = -0.025";
        assert!(report(relative).holds, "-0.01 and -0.03: -0.02 on average");
        assert!(!report(&format!("{relative}\nevery_seed = true")).holds, "-0.03 is below");
        assert!(report("metric = \"accuracy_mean\"\nvariant = \"clean\"\nat_least = 0.8\nevery_seed = true").holds);
        assert!(!report("metric = \"steps_to_target\"\nat_most = 1.0").holds, "no seed has it");
        assert!(!report("metric = \"nonsense\"\nat_most = 1.0").holds);
        // 0.01 of 0.1, and nothing of a gap of nothing.
        let gap = report("metric = \"accuracy_mean\"\nvariant = \"hurt\"\ngap = [\"low\", \"clean\"]\nat_least = 0.4");
        assert!(!gap.holds, "no such variant");
        let mut runs = runs.clone();
        runs.extend([run("low", 0, 0.8), run("low", 1, 0.75)]);
        let mut report = VirtualReport { runs, ..VirtualReport::default() };
        let gap = "metric = \"accuracy_mean\"\ngap = [\"low\", \"clean\"]";
        report.derive(&[expect(&format!("{gap}\nat_least = 0.64")), expect(&format!("{gap}\nat_least = 0.66"))]);
        let holds: Vec<_> = report.verdicts.iter().map(|verdict| (verdict.variant.as_str(), verdict.holds)).collect();
        assert_eq!(holds, [("hurt", true), ("hurt", false)], "0.9 and 0.4 of the way: 0.65");
    }

    #[test]
    fn a_violation_spoils_the_report() {
        let mut report = VirtualReport { runs: vec![run("", 0, 1.0)], ..VirtualReport::default() };
        report.derive(&[]);
        assert!(report.holds);
        report.runs[0].violation_count = 1;
        report.derive(&[]);
        assert!(!report.holds);
        report.runs[0] = VirtualRun { disagreed: true, ..run("", 0, 1.0) };
        report.derive(&[]);
        assert!(!report.holds, "nor does disagreement hold anything");
        report.runs.clear();
        report.derive(&[]);
        assert!(!report.holds, "nor nothing at all");
        report.runs.push(run("", 0, 1.0));
        report.derive_unjudged();
        assert!(!report.holds && !report.judged, "nor what nobody has judged");
    }
}

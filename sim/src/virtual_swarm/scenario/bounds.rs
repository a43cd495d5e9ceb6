//! What the numbers of a scenario may be. Whatever passes here neither floods the queue of events nor overflows the clock; NaN and
//! the infinities are in no range.

use super::super::attackers::AttackerSpec;
use super::super::faults::{Action, Chaos, Churn, FaultSpec};
use super::super::network::NetworkSpec;
use super::{Expect, PEERS_MAX, SEEDS_MAX, Scenario, ScenarioError, wrong};
use crate::report::METRICS;

/// Latest moment and longest time in a scenario, seconds: eleven days.
const TIME_MAX_S: f64 = 1e6;
/// Most optimizer steps of a peer, and most evaluations.
const STEPS_MAX: u64 = 1_000_000_000;
/// Shortest step, milliseconds: what virtual time can tell apart.
const STEP_MIN_MS: f64 = 0.001;
/// Beyond that the fastest of a hundred peers is ten thousand times as fast as the slowest.
const SPEED_SIGMA_MAX: f64 = 2.0;
/// Most parameters of the quadratic.
const QUADRATIC_PARAMETERS_MAX: usize = 1 << 24;
/// Weights are integers of 2^-24 in 32 bits; a swarm that stays below this has room for its noise.
const WEIGHT_MAX: f64 = 8.0;
/// Most runs at a time that may be asked for.
const RUNS_MAX: usize = 1024;
/// Most links that a peer dials.
const NEIGHBOURS_MAX: usize = 10_000;
/// Longest log of a peer, bytes.
const LOG_BYTES_MAX: usize = 1 << 34;
/// Shortest mean time between two random faults, seconds: a thousand a second.
const CHAOS_EVERY_MIN_S: f64 = 0.001;
/// Every peer is killed so often in a minute at most.
const CHURN_MAX: f64 = 60.0;
/// Slowest and fastest uplink, megabits a second.
const MEGABITS: (f64, f64) = (0.001, 1e9);
/// Largest strength of an attack.
const STRENGTH_MAX: f64 = 1e12;

type Checked = Result<(), ScenarioError>;

/// `why` says what to do instead; empty where the range says it.
fn within(key: &str, value: f64, low: f64, high: f64, why: &str) -> Checked {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    let remedy = if why.is_empty() { String::new() } else { format!(": {why}") };
    Err(wrong(key, &value, format!("must be from {low} to {high}{remedy}")))
}

fn count(key: &str, value: u64, low: u64, high: u64, why: &str) -> Checked {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    let remedy = if why.is_empty() { String::new() } else { format!(": {why}") };
    Err(wrong(key, &value, format!("must be from {low} to {high}{remedy}")))
}

impl Scenario {
    /// Checks every number.
    ///
    /// # Errors
    /// The first value out of range.
    pub fn check(&self) -> Checked {
        count("peers", u64::from(self.peers), 1, u64::from(PEERS_MAX), "")?;
        count("seeds", self.seeds, 1, SEEDS_MAX, "")?;
        count("runs_at_a_time", self.runs_at_a_time as u64, 0, RUNS_MAX as u64, "0 is one a core")?;
        count("steps", self.steps, 1, STEPS_MAX, "")?;
        count("evaluations", u64::from(self.evaluations), 1, self.steps, "each needs a step of its own, raise steps")?;
        let what = "speeds are e^(sigma * normal)";
        within("speed_sigma", self.speed_sigma, 0.0, SPEED_SIGMA_MAX, what)?;
        within("unreachable_share", self.unreachable_share, 0.0, 1.0, "")?;
        for (key, value) in
            [("agree_s", self.agree_s), ("clock_skew_s", self.clock_skew_s), ("arrive_over_s", self.arrive_over_s)]
        {
            within(key, value, 0.0, TIME_MAX_S, "")?;
        }
        if self.step_ms_each.len() > self.peers as usize {
            let why = format!("are more than the {} peers there are", self.peers);
            return Err(wrong("step_ms_each", &format_args!("({} numbers)", self.step_ms_each.len()), why));
        }
        within("step_ms", self.step_ms, STEP_MIN_MS, TIME_MAX_S, "")?;
        self.step_ms_each.iter().try_for_each(|&ms| within("step_ms_each", ms, STEP_MIN_MS, TIME_MAX_S, ""))?;
        for (key, value, most) in [
            ("neighbours", self.neighbours, NEIGHBOURS_MAX),
            ("members", self.members, PEERS_MAX as usize),
            ("log_bytes", self.log_bytes, LOG_BYTES_MAX),
        ] {
            count(key, value as u64, 0, most as u64, "0 is as the protocol has it")?;
        }
        if let Some(loss) = self.target_loss {
            within("target_loss", loss, 0.0, TIME_MAX_S, "")?;
        }
        self.check_quadratic()?;
        network(&self.network)?;
        attackers(&self.attackers, self.peers)?;
        faults(&self.faults, self.peers)?;
        self.churn.iter().try_for_each(churn)?;
        self.chaos.iter().try_for_each(chaos)
    }

    fn check_quadratic(&self) -> Checked {
        let spec = &self.quadratic;
        count("quadratic.parameters", spec.parameters as u64, 1, QUADRATIC_PARAMETERS_MAX as u64, "")?;
        within("quadratic.spread", f64::from(spec.spread), 0.0, WEIGHT_MAX, "")?;
        within("quadratic.noise", f64::from(spec.noise), 0.0, WEIGHT_MAX, "")?;
        within("quadratic.learning_rate", f64::from(spec.learning_rate), 1e-9, 1.0, "above 1 it overshoots its optimum")
    }

    /// Checks that those of the first moment have come before training is over: where epochs decide how many steps there are, that
    /// is known late.
    ///
    /// # Errors
    /// `arrive_over_s` where it is too long.
    pub fn check_arrivals(&self) -> Checked {
        let training_s = self.steps as f64 * self.step_ms / 1e3;
        if self.arrive_over_s <= training_s {
            return Ok(());
        }
        let why =
            format!("is longer than the training, {training_s} s: raise steps or step_ms, or let them come sooner");
        Err(wrong("arrive_over_s", &self.arrive_over_s, why))
    }
}

fn network(spec: &NetworkSpec) -> Checked {
    within("network.latency_ms", spec.latency_ms, 0.0, TIME_MAX_S, "")?;
    within("network.jitter_ms", spec.jitter_ms, 0.0, TIME_MAX_S, "")?;
    within("network.queue_s", spec.queue_s, 0.0, TIME_MAX_S, "")?;
    within("network.loss", spec.loss, 0.0, 1.0, "it is a chance")?;
    within("network.duplicate", spec.duplicate, 0.0, 1.0, "it is a chance")?;
    if spec.megabits == 0.0 {
        return Ok(());
    }
    within("network.megabits", spec.megabits, MEGABITS.0, MEGABITS.1, "0 is no limit")
}

fn attackers(specs: &[AttackerSpec], peers: u32) -> Checked {
    let mut lying = 0u32;
    for attacker in specs {
        count("attackers.count", u64::from(attacker.count), 1, u64::from(PEERS_MAX), "leave the table out for none")?;
        within("attackers.strength", f64::from(attacker.strength.unwrap_or(1.0)), 0.0, STRENGTH_MAX, "")?;
        lying = lying.saturating_add(attacker.count);
    }
    if lying >= peers && lying > 0 {
        return Err(wrong("attackers.count", &lying, format!("of {peers} peers at least one must be honest")));
    }
    Ok(())
}

fn faults(specs: &[FaultSpec], peers: u32) -> Checked {
    let mut joining = 0;
    for fault in specs {
        let name = fault.action.name();
        within("faults.at_s", fault.at_s, 0.0, TIME_MAX_S, "")?;
        if let Some(for_s) = fault.for_s {
            within("faults.for_s", for_s, 0.0, TIME_MAX_S, "without it there is no end")?;
        }
        match fault.action {
            Action::Join if fault.for_s.is_some() => {
                return Err(wrong("faults.for_s", &name, "who joins stays: leave it out, and add a kill or leave"));
            }
            Action::Join => joining += fault.peers.len().max(1),
            Action::Silence if !fault.peers.is_empty() => {
                return Err(wrong("faults.peers", &name, "is of the whole network: leave peers out, or take cut"));
            }
            Action::Silence | Action::KillDelegates => {}
            _ if fault.peers.is_empty() => {
                return Err(wrong("faults.peers", &"[]", format!("{name} happens to nobody: name peers")));
            }
            _ => {
                if let Some(peer) = fault.peers.iter().find(|&&peer| peer >= peers) {
                    let why = format!("peers are numbered from 0 to {}, those who join have no number yet", peers - 1);
                    return Err(wrong("faults.peers", peer, why));
                }
            }
        }
    }
    count("peers and joins", u64::from(peers) + joining as u64, 1, u64::from(PEERS_MAX), "")
}

fn churn(spec: &Churn) -> Checked {
    within("churn.per_minute", spec.per_minute, 0.0, CHURN_MAX, "1 kills as many peers in a minute as there are")?;
    within("churn.away_s", spec.away_s, 0.0, TIME_MAX_S, "")?;
    within("churn.from_s", spec.from_s, 0.0, TIME_MAX_S, "")?;
    spec.to_s.iter().try_for_each(|&to| within("churn.to_s", to, spec.from_s, TIME_MAX_S, "it begins at from_s"))
}

fn chaos(spec: &Chaos) -> Checked {
    within("chaos.every_s", spec.every_s, CHAOS_EVERY_MIN_S, TIME_MAX_S, "")?;
    within("chaos.to_s", spec.to_s, 0.0, TIME_MAX_S, "")?;
    within("chaos.lasts_s", spec.lasts_s, 0.0, TIME_MAX_S, "")
}

impl Expect {
    pub(super) fn check(&self, variants: &[&str]) -> Checked {
        let given = [self.relative_to.is_some(), self.ratio_to.is_some(), self.gap.is_some()];
        if given.iter().filter(|given| **given).count() > 1 {
            let why = "relative_to, ratio_to and gap are three ways to compare: keep one";
            return Err(wrong("expect", &self.metric, why));
        }
        if !METRICS.contains(&self.metric.as_str()) {
            return Err(wrong(
                "expect.metric",
                &self.metric,
                format!("no such metric; there are: {}", METRICS.join(", ")),
            ));
        }
        self.check_bounds()?;
        if self.variant.is_none() && variants.iter().all(|name| self.references().any(|other| other == name)) {
            return Err(wrong(
                "expect",
                &self.metric,
                "every variant is what others are compared with: name one by variant",
            ));
        }
        match self.references().chain(&self.variant).find(|name| !variants.contains(&name.as_str())) {
            Some(name) if variants.iter().all(|name| name.is_empty()) => {
                Err(wrong("expect", name, "no such variant: the scenario has none".to_owned()))
            }
            Some(name) => Err(wrong("expect", name, format!("no such variant; there are: {}", variants.join("; ")))),
            None => Ok(()),
        }
    }

    fn check_bounds(&self) -> Checked {
        if self.at_least.is_none() && self.at_most.is_none() {
            return Err(wrong("expect", &self.metric, "says nothing: add at_least or at_most"));
        }
        for (key, bound) in [("at_least", self.at_least), ("at_most", self.at_most)] {
            if let Some(bound) = bound.filter(|bound| !bound.is_finite()) {
                let why = format!("bounds nothing: {} needs a finite number, or leave it out", self.metric);
                return Err(wrong(&format!("expect.{key}"), &bound, why));
            }
        }
        match (self.at_least, self.at_most) {
            (Some(low), Some(high)) if low > high => {
                let why = format!("is above at_most = {high}: no {} can be both", self.metric);
                Err(wrong("expect.at_least", &low, why))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::super::variants;
    use super::*;

    fn said(text: &str) -> String {
        let mut found = variants(text).unwrap();
        let names = [""];
        let checked = Scenario::from_table(found.remove(0).1).and_then(|scenario| {
            scenario.check_arrivals()?;
            scenario.check_expectations(&names)
        });
        checked.map_or_else(|error| error.to_string(), |()| String::new())
    }

    /// Every number of a scenario, with what must stand before it, and whether it is a whole one.
    const NUMBERS: &[(&str, bool)] = &[
        ("peers", true),
        ("seeds", true),
        ("runs_at_a_time", true),
        ("evaluations = 1\nsteps", true),
        ("evaluations", true),
        ("neighbours", true),
        ("members", true),
        ("log_bytes", true),
        ("step_ms", false),
        ("speed_sigma", false),
        ("clock_skew_s", false),
        ("unreachable_share", false),
        ("agree_s", false),
        ("arrive_over_s", false),
        ("target_loss", false),
        ("quadratic.parameters", true),
        ("quadratic.spread", false),
        ("quadratic.noise", false),
        ("quadratic.learning_rate", false),
        ("network.latency_ms", false),
        ("network.jitter_ms", false),
        ("network.megabits", false),
        ("network.loss", false),
        ("network.duplicate", false),
        ("network.queue_s", false),
        ("[[faults]]\naction = \"kill\"\npeers = [0]\nat_s", false),
        ("[[faults]]\naction = \"kill\"\npeers = [0]\nat_s = 1\nfor_s", false),
        ("[churn]\naway_s = 1\nper_minute", false),
        ("[churn]\nper_minute = 1\naway_s", false),
        ("[churn]\nper_minute = 1\naway_s = 1\nfrom_s", false),
        ("[churn]\nper_minute = 1\naway_s = 1\nto_s", false),
        ("[chaos]\nto_s = 1\nevery_s", false),
        ("[chaos]\nevery_s = 1\nto_s", false),
        ("[chaos]\nevery_s = 1\nto_s = 1\nlasts_s", false),
        ("[[attackers]]\nkind = \"scale\"\ncount", true),
        ("[[attackers]]\nkind = \"scale\"\ncount = 1\nstrength", false),
    ];

    #[test]
    fn every_number_has_a_range_and_is_named_with_it() {
        for (before, whole) in NUMBERS {
            let key = before.rsplit(['\n', '.']).next().unwrap();
            let values: &[&str] =
                if *whole { &["-1", "9223372036854775807"] } else { &["nan", "inf", "-inf", "-1.0", "1e300"] };
            for value in values {
                let text = said(&format!("{before} = {value}"));
                assert!(text.contains(key) && !text.is_empty(), "{before} = {value}: {text:?}");
            }
            assert_eq!(said(&format!("{before} = 1")), "", "1 is a fine {key}");
        }
    }

    #[test]
    fn this_list_knows_every_number_there_is() {
        let scenario = Scenario {
            target_loss: Some(1.0),
            churn: Some(Churn { per_minute: 1.0, away_s: 1.0, from_s: 0.0, to_s: Some(1.0) }),
            chaos: Some(Chaos { every_s: 1.0, to_s: 1.0, lasts_s: 1.0 }),
            ..Scenario::default()
        };
        let table = toml::Table::try_from(&scenario).unwrap();
        let number = |value: &toml::Value| value.is_integer() || value.is_float();
        let mut keys: Vec<String> = Vec::new();
        for (key, value) in &table {
            match value {
                toml::Value::Table(inner) => {
                    keys.extend(inner.iter().filter(|(_, v)| number(v)).map(|(k, _)| k.clone()))
                }
                value if number(value) => keys.push(key.clone()),
                _ => {}
            }
        }
        assert!(keys.len() > 25, "{keys:?}");
        for key in keys {
            let known = NUMBERS.iter().any(|(before, _)| before.rsplit(['\n', '.']).next() == Some(key.as_str()));
            assert!(known, "{key} has no range in the test above");
        }
    }

    #[test]
    fn what_would_flood_the_queue_or_do_nothing_is_refused() {
        let refused = |text: &str, part: &str| {
            let error = said(text);
            assert!(error.contains(part), "{text}: {error:?}");
        };
        refused("[chaos]\nevery_s = 1e-9\nto_s = 1", "from 0.001");
        refused("speed_sigma = 50", "speed_sigma = 50: must be from 0 to 2");
        refused("network.megabits = 1e-6", "0 is no limit");
        refused("[churn]\nper_minute = 1\naway_s = 1\nfrom_s = 5\nto_s = 4", "churn.to_s");
        refused("peers = 2\nstep_ms_each = [1, 1, 1]", "more than the 2 peers");
        refused("steps = 10\nstep_ms = 10\nevaluations = 1\narrive_over_s = 1", "longer than the training, 0.1 s");
        refused("[[faults]]\nat_s = 1\naction = \"cut\"", "happens to nobody");
        refused("[[faults]]\nat_s = 1\naction = \"silence\"\npeers = [1]", "whole network");
        refused("[[faults]]\nat_s = 1\naction = \"join\"\nfor_s = 1", "who joins stays");
        refused("peers = 100000\n[[faults]]\nat_s = 1\naction = \"join\"", "100001");
        assert_eq!(said("[[faults]]\nat_s = 1\naction = \"join\"\npeers = [8, 9]"), "", "newcomers have new numbers");
    }

    #[test]
    fn an_expectation_that_nothing_can_meet_is_refused() {
        let check = |bounds: &str| said(&format!("[[expect]]\nmetric = \"loss_mean\"\n{bounds}"));
        assert_eq!(check("at_least = 1\nat_most = 1"), "");
        assert!(check("at_least = 2\nat_most = 1").contains("above at_most = 1"));
        for bound in ["at_least = nan", "at_most = nan", "at_most = inf", "at_least = -inf"] {
            assert!(check(bound).contains("finite"), "{bound}");
        }
    }
}

//! The numbers of one run of a virtual swarm: one seed of one variant. [`super::verdict`] judges all of them together.
//!
//! The keys are an interface: they are added to, never renamed.

use serde::{Deserialize, Serialize};

use super::mean;
use crate::virtual_swarm::checks::Violation;

/// What came of one seed of one variant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VirtualRun {
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the variant; empty where there is one only.
    pub variant: String,
    /// The seed.
    pub seed: u64,
    /// Of every input of every peer, hex: equal hashes, equal runs.
    pub trace_hash: String,
    /// Inputs that peers handled.
    pub events: u64,
    /// Virtual time at the end, seconds.
    pub virtual_s: f64,
    /// d.
    pub parameters: usize,
    /// Whether all honest peers had heard the same in the end; false where none is left.
    pub agreed: bool,
    /// How long it was given for that, seconds.
    pub agree_s: f64,
    /// Whether the scenario asks for agreement (`agree_s` above 0) and the run came to its end without it.
    pub disagreed: bool,
    /// Faults of the scenario that were due only after everyone's last step: they did not happen.
    pub faults_left_out: Vec<String>,
    /// How long after the last step that was, seconds.
    pub agreed_after_s: Option<f64>,
    /// The same in rounds of anti-entropy.
    pub agreed_after_rounds: Option<f64>,
    /// Whether all honest peers hold one base.
    pub base_hashes_equal: bool,
    /// Mean over the honest peers, 0 to 1.
    pub accuracy_mean: Option<f64>,
    /// The worst honest peer.
    pub accuracy_worst: Option<f64>,
    /// Nats a sample.
    pub loss_mean: Option<f64>,
    /// The worst honest peer.
    pub loss_worst: Option<f64>,
    /// Frames of every kind, mean over the peers.
    pub bytes_sent_mean: f64,
    /// The same, received.
    pub bytes_received_mean: f64,
    /// Codec bytes of own deltas, mean over the peers.
    pub bytes_said_mean: f64,
    /// What averaging f32 gradients every step would have sent.
    pub dense_bytes_per_peer: u64,
    /// `dense_bytes_per_peer / bytes_sent_mean`
    pub bytes_ratio: Option<f64>,
    /// `dense_bytes_per_peer / bytes_said_mean`
    pub said_ratio: Option<f64>,
    /// `dense_bytes_per_peer / bytes_received_mean`
    #[serde(default)]
    pub heard_ratio: Option<f64>,
    /// Steps a peer had taken when the mean test loss first was at the scenario's target.
    pub steps_to_target: Option<u64>,
    /// Honest peers that some honest peer had on hold for a while.
    pub honest_held: u32,
    /// Honest peers that were excluded.
    pub honest_excluded: u32,
    /// Liars that were excluded.
    pub liars_excluded: u32,
    /// Rounds of training of a peer, mean: steps / `gossip.steps`.
    pub rounds: f64,
    /// Rounds of training after the first cut was healed until the mean accuracy was back; see [`recovered_after_s`].
    #[serde(default)]
    pub recovered_after_rounds: Option<f64>,
    /// CPU time of the run, seconds; not part of the trace.
    pub cpu_s: Option<f64>,
    /// Mode `pairwise`: `|b_i - mean b| / |mean b|` of the worst honest peer when the last step was taken.
    pub spread_before: Option<f64>,
    /// In the end, mean over the honest peers.
    pub spread_mean: Option<f64>,
    /// In the end, the worst honest peer.
    pub spread_worst: Option<f64>,
    /// Mode `pairwise`: share of the exchanges whose transfer was clipped.
    pub clipped_share: Option<f64>,
    /// Over time.
    pub curve: Vec<Point>,
    /// Who joined, caught up, refused what.
    pub moments: Vec<Moment>,
    /// Moments beyond those that are kept.
    pub moments_left_out: u64,
    /// What must not happen and did; the first few.
    pub violations: Vec<Violation>,
    /// How many there were.
    pub violation_count: u64,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// The job in its canonical form.
    pub job: Vec<String>,
    /// In the order of their numbers.
    pub peers: Vec<VirtualPeer>,
}

/// One virtual peer in the end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VirtualPeer {
    /// Its number.
    pub index: u32,
    /// Public key, hex.
    pub id: String,
    /// Whether it says what it has learnt.
    pub honest: bool,
    /// Whether it was there in the end.
    pub alive: bool,
    /// How often it was started.
    pub lives: u32,
    /// In its last life.
    pub steps: u64,
    /// Nats a sample.
    pub test_loss: Option<f32>,
    /// 0 to 1.
    pub test_accuracy: Option<f32>,
    /// blake3 of the base, hex.
    pub base_hash: Option<String>,
    /// Frames, out.
    pub bytes_sent: u64,
    /// Frames, in.
    pub bytes_received: u64,
    /// Codec bytes of its own deltas.
    pub payload_bytes_said: u64,
    /// Deltas of its own, over all its lives.
    pub deltas_said: u64,
    /// Deltas of others in its base.
    pub deltas_heard: u64,
    /// Deltas it refused.
    pub deltas_refused: u64,
    /// Snapshots it took.
    pub snapshots_taken: u32,
    /// Links in the end.
    pub neighbours: u32,
    /// Deltas it retained in the end, bytes.
    pub log_bytes: u64,
}

/// The swarm at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Virtual time, seconds.
    pub at_s: f64,
    /// Steps of a peer, mean.
    pub steps: u64,
    /// Nats a sample, on its own data.
    pub train_loss: f64,
    /// On the test split.
    pub loss_mean: f64,
    /// The worst peer.
    pub loss_worst: f64,
    /// 0 to 1.
    pub accuracy_mean: f64,
    /// The worst peer.
    pub accuracy_worst: f64,
    /// `||theta - b|| / ||b||` when deltas are taken, mean.
    pub disagreement: f64,
    /// Sent so far, mean over the peers.
    pub bytes_sent_mean: f64,
}

/// Something that happened to a peer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// Virtual time, seconds.
    pub at_s: f64,
    /// Number of the peer.
    pub peer: u32,
    /// In words.
    pub what: String,
}

/// Names of the numbers that scenarios may set bounds on and summaries show.
pub const METRICS: &[&str] = &[
    "accuracy_mean",
    "accuracy_worst",
    "loss_mean",
    "loss_worst",
    "bytes_sent_mean",
    "bytes_received_mean",
    "bytes_said_mean",
    "bytes_ratio",
    "said_ratio",
    "heard_ratio",
    "agreed",
    "agreed_after_s",
    "agreed_after_rounds",
    "base_hashes_equal",
    "steps_to_target",
    "violations",
    "recovered_after_rounds",
    "honest_held",
    "honest_excluded",
    "liars_excluded",
    "cpu_us_per_peer_round",
    "spread_before",
    "spread_mean",
    "spread_worst",
    "clipped_share",
    "virtual_s",
    "events",
];

impl VirtualRun {
    /// Fills in what follows from the peers.
    pub fn derive(&mut self) {
        let honest = || self.peers.iter().filter(|peer| peer.honest && peer.alive);
        let accuracy = || honest().filter_map(|peer| peer.test_accuracy).map(f64::from);
        let loss = || honest().filter_map(|peer| peer.test_loss).map(f64::from);
        let worst_accuracy = accuracy().reduce(f64::min);
        let worst_loss = loss().reduce(f64::max);
        let (mean_accuracy, mean_loss) = (mean(accuracy()), mean(loss()));
        let mut hashes = honest().map(|peer| peer.base_hash.as_deref());
        let first = hashes.next().flatten();
        self.base_hashes_equal = first.is_some() && hashes.all(|hash| hash == first);
        let of = |bytes: fn(&VirtualPeer) -> u64| mean(self.peers.iter().map(|peer| bytes(peer) as f64)).unwrap_or(0.0);
        let sent = of(|peer| peer.bytes_sent);
        let received = of(|peer| peer.bytes_received);
        let said = of(|peer| peer.payload_bytes_said);
        (self.accuracy_mean, self.accuracy_worst) = (mean_accuracy, worst_accuracy);
        (self.loss_mean, self.loss_worst) = (mean_loss, worst_loss);
        (self.bytes_sent_mean, self.bytes_received_mean, self.bytes_said_mean) = (sent, received, said);
        let ratio = |bytes: f64| (bytes > 0.0).then(|| self.dense_bytes_per_peer as f64 / bytes);
        (self.bytes_ratio, self.said_ratio, self.heard_ratio) = (ratio(sent), ratio(said), ratio(received));
    }

    /// The number of that name, see [`METRICS`]; `None` where the run has none.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<f64> {
        let truth = |holds: bool| Some(f64::from(u8::from(holds)));
        match name {
            "accuracy_mean" => self.accuracy_mean,
            "accuracy_worst" => self.accuracy_worst,
            "loss_mean" => self.loss_mean,
            "loss_worst" => self.loss_worst,
            "bytes_sent_mean" => Some(self.bytes_sent_mean),
            "bytes_received_mean" => Some(self.bytes_received_mean),
            "bytes_said_mean" => Some(self.bytes_said_mean),
            "bytes_ratio" => self.bytes_ratio,
            "said_ratio" => self.said_ratio,
            "heard_ratio" => self.heard_ratio,
            "agreed" => truth(self.agreed),
            "agreed_after_s" => self.agreed_after_s,
            "agreed_after_rounds" => self.agreed_after_rounds,
            "base_hashes_equal" => truth(self.base_hashes_equal),
            "steps_to_target" => self.steps_to_target.map(|steps| steps as f64),
            "violations" => Some(self.violation_count as f64),
            "recovered_after_rounds" => self.recovered_after_rounds,
            "honest_held" => Some(f64::from(self.honest_held)),
            "honest_excluded" => Some(f64::from(self.honest_excluded)),
            "liars_excluded" => Some(f64::from(self.liars_excluded)),
            "cpu_us_per_peer_round" => self.cpu_us_per_peer_round(),
            "spread_before" => self.spread_before,
            "spread_mean" => self.spread_mean,
            "spread_worst" => self.spread_worst,
            "clipped_share" => self.clipped_share,
            "virtual_s" => Some(self.virtual_s),
            "events" => Some(self.events as f64),
            _ => None,
        }
    }
}

impl VirtualRun {
    /// What a round of one peer costs, rounds of rest until agreement among them.
    fn cpu_us_per_peer_round(&self) -> Option<f64> {
        let rounds = self.rounds + self.agreed_after_rounds.unwrap_or(0.0);
        let all = rounds * self.peers.len() as f64;
        self.cpu_s.filter(|_| all > 0.0).map(|seconds| 1e6 * seconds / all)
    }
}

/// Seconds from the heal at `heal_s` until an evaluation found a mean accuracy of at most a point less than before the cut
/// at `cut_s`: the mean over the last second, since it moves by as much from one evaluation to the next. `None` when
/// nothing was evaluated then, or it never came back.
#[must_use]
pub fn recovered_after_s(curve: &[Point], cut_s: f64, heal_s: f64) -> Option<f64> {
    let before = curve.iter().filter(|point| (cut_s - 1.0..cut_s).contains(&point.at_s));
    let enough = mean(before.map(|point| point.accuracy_mean))? - 0.01;
    let back = curve.iter().find(|point| point.at_s >= heal_s && point.accuracy_mean >= enough)?;
    Some(back.at_s - heal_s)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_metric_is_explained_and_has_a_number() {
        let page = include_str!("../../../docs/scenarios.md");
        let table = page.split_once("## Metrics").expect("the section").1;
        let rows = table.lines().filter_map(|line| line.strip_prefix('|')?.split('|').next());
        let named: BTreeSet<&str> = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect();
        assert_eq!(named, METRICS.iter().copied().collect());
        let some = Some(1.0);
        let whole = VirtualRun {
            accuracy_mean: some,
            accuracy_worst: some,
            loss_mean: some,
            loss_worst: some,
            bytes_ratio: some,
            said_ratio: some,
            heard_ratio: some,
            agreed_after_s: some,
            agreed_after_rounds: some,
            recovered_after_rounds: some,
            cpu_s: some,
            spread_before: some,
            spread_mean: some,
            spread_worst: some,
            clipped_share: some,
            steps_to_target: Some(1),
            peers: vec![VirtualPeer::default()],
            ..VirtualRun::default()
        };
        for name in METRICS {
            assert!(whole.metric(name).is_some(), "{name}");
        }
        assert_eq!(whole.metric("nonsense"), None);
    }

    #[test]
    fn back_is_who_is_within_a_point_of_the_second_before_the_cut() {
        let curve = |accuracies: &[(f64, f64)]| -> Vec<Point> {
            accuracies.iter().map(|&(at_s, accuracy_mean)| Point { at_s, accuracy_mean, ..Point::default() }).collect()
        };
        let until = [(0.5, 0.2), (1.2, 0.95), (1.8, 0.97), (2.5, 0.99), (3.5, 0.8)];
        let back = |after: &[(f64, f64)]| recovered_after_s(&curve(&[&until[..], after].concat()), 2.0, 4.0);
        assert_eq!(back(&[(4.25, 0.94), (4.5, 0.951)]), Some(0.5), "of 0.95 and 0.97: 0.95 is enough");
        assert_eq!(back(&[(4.25, 0.94), (4.5, 0.949)]), None);
        assert_eq!(recovered_after_s(&curve(&[(4.5, 0.9)]), 2.0, 4.0), None, "nothing to compare with");
    }
}

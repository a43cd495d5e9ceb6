//! The numbers of a run: what `--json FILE` writes and the summary shows.
//!
//! The keys are an interface: they are added to, never renamed.
//!
//! # The price of the alternative
//! Data-parallel training averages f32 gradients at every step. Done by a ring all-reduce, which is the cheapest exact
//! way, each of N peers sends `2 (N-1)/N * 4 d` bytes a step ([`dense_bytes`]). `bytes_ratio` is that over all steps,
//! divided by what a peer here has sent on average: links, framing, gossip and repairs included.

mod blocked;
mod compare;
pub mod drawing;
mod faults;
mod html;
pub mod plot;
mod thinned;
mod twin;
mod verdict;
mod virtual_run;

pub use blocked::Blocked;
pub use compare::compare;
pub use faults::FaultReport;
pub use html::html;
pub use thinned::Thinned;
pub use twin::{TWIN_ACCURACY_MAX, TWIN_BYTES_MAX, TwinReport, TwinRun, TwinSide};
pub use verdict::{Spread, VariantSummary, Verdict, VirtualReport};
pub use virtual_run::{METRICS, Moment, Point, VirtualPeer, VirtualRun, recovered_after_s};

use serde::{Deserialize, Serialize};

/// One run of a swarm, or of a peer by itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SimReport {
    /// Seconds from the start of the first process to the end of the last.
    pub wall_s: f64,
    /// In the order of their numbers.
    pub peers: Vec<PeerReport>,
    /// Whether every peer that ended as it should holds the same base; false when there was no gossip.
    pub base_hashes_equal: bool,
    /// Bytes a peer that averages f32 gradients at every step would have sent; see the module.
    pub dense_bytes_per_peer: u64,
    /// `dense_bytes_per_peer` over the mean of `bytes_sent`; null when nothing was sent or there was nobody to send to.
    pub bytes_ratio: Option<f64>,
    /// Mean over the peers that ended as they should, 0 to 1.
    pub test_accuracy_mean: Option<f64>,
    /// The same for `--baseline`: equal peers that never spoke with each other.
    pub no_gossip_test_accuracy_mean: Option<f64>,
    /// The peers of `--baseline`.
    pub no_gossip_peers: Vec<PeerReport>,
    /// Steps a second over all peers together.
    pub steps_per_second: f64,
    /// d.
    pub parameters: usize,
    /// Whether the peers spoke with each other.
    pub gossip: bool,
    /// Seed of the job.
    pub seed: u64,
    /// Run id, hex.
    pub run: String,
    /// The job in its canonical form, one `key=value` an entry.
    pub job: Vec<String>,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// How long steps were blocked on the network, over all peers and their lives.
    #[serde(default)]
    pub blocked: Blocked,
    /// What was done to the peers; null when nothing was.
    #[serde(default)]
    pub faults: Option<FaultReport>,
    /// Seconds from the last step of everyone until all had heard the same; null when they did not agree, or spoke with nobody.
    #[serde(default)]
    pub agreed_after_s: Option<f64>,
}

/// One peer of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PeerReport {
    /// Public key, hex.
    pub id: String,
    /// Name of the device.
    pub device: String,
    /// Back end of the device.
    pub backend: String,
    /// Optimizer steps taken. This and what it sent, said and heard are sums over its lives.
    pub steps: u64,
    /// Epochs done.
    pub epochs: u32,
    /// Nats a sample, mean over the last epoch.
    pub train_loss: Option<f32>,
    /// Nats a sample.
    pub test_loss: Option<f32>,
    /// 0 to 1.
    pub test_accuracy: Option<f32>,
    /// blake3 of the base, hex; null without gossip and for a peer that did not get to its end.
    pub base_hash: Option<String>,
    /// Over its links, out.
    pub bytes_sent: u64,
    /// Over its links, in.
    pub bytes_received: u64,
    /// Deltas of its own.
    pub deltas_said: u64,
    /// Deltas of others in its base.
    pub deltas_heard: u64,
    /// Number in the simulation.
    #[serde(default)]
    pub index: u32,
    /// Peers that it counted as living in the end, itself among them.
    #[serde(default)]
    pub live_peers: u32,
    /// Deltas it refused.
    #[serde(default)]
    pub deltas_refused: u64,
    /// Times it banned a peer for breaking the rules, in its last life.
    #[serde(default)]
    pub bans: u64,
    /// Peers that it takes no link of at its end, since they have broken the rules.
    #[serde(default)]
    pub banned: Vec<BannedPeer>,
    /// Checkpoints that it wrote, in its last life.
    #[serde(default)]
    pub checkpoints: u64,
    /// Checkpoints that could not be written, in its last life.
    #[serde(default)]
    pub checkpoints_failed: u64,
    /// Codec bytes of its own deltas, each counted once.
    #[serde(default)]
    pub payload_bytes_said: u64,
    /// Mean over its training.
    #[serde(default)]
    pub steps_per_second: f32,
    /// `finished`, `killed`, `overdue` or `died`.
    #[serde(default)]
    pub ending: String,
    /// Processes that were started for it.
    #[serde(default)]
    pub lives: u32,
    /// Seconds from the start of its process to the end of its first step: data, device, kernels, and with gossip the first
    /// neighbours. Null when it took none.
    #[serde(default)]
    pub first_step_s: Option<f64>,
    /// How often its device failed in its last life and training went on; `device` is the one at the end.
    #[serde(default)]
    pub devices_lost: u32,
    /// Deltas in the snapshot it caught up with; null when it needed none.
    #[serde(default)]
    pub caught_up_deltas: Option<u64>,
    /// Links that came up, of its last life.
    #[serde(default)]
    pub links: u32,
    /// Of those, links that another peer carried.
    #[serde(default)]
    pub links_relayed: u32,
    /// Training samples that it had in the end, where they are dealt anew (`data.split = "rendezvous"`); null elsewhere.
    #[serde(default)]
    pub samples_dealt: Option<u64>,
    /// How long its steps were blocked on the network.
    #[serde(default)]
    pub blocked: Blocked,
    /// Its evaluations, of its last life; every second one goes when there are too many. Empty for a peer that did not get to its end.
    #[serde(default)]
    pub curve: Vec<CurvePoint>,
}

/// Most points of [`PeerReport::curve`].
pub const CURVE_POINTS_MAX: usize = 256;

/// How a peer stood after an evaluation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CurvePoint {
    /// Since its process began, seconds.
    pub time_s: f64,
    /// Optimizer steps taken.
    pub steps: u64,
    /// Epochs done.
    pub epoch: u32,
    /// Mean over the epoch, nats a sample.
    pub train_loss: Option<f32>,
    /// On the test split, nats a sample.
    pub test_loss: Option<f32>,
    /// On the test split, 0 to 1.
    pub test_accuracy: Option<f32>,
    /// `||theta - b|| / ||b||` when the last delta was taken.
    pub disagreement: Option<f32>,
    /// Over its links so far, out.
    pub bytes_sent: u64,
    /// Over its links so far, in.
    pub bytes_received: u64,
}

/// A peer that gets no link for a while.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BannedPeer {
    /// Public key, hex.
    pub id: String,
    /// Seconds until the ban ends by itself.
    pub seconds_left: u64,
    /// What it did.
    pub reason: String,
}

impl PeerReport {
    /// Whether its numbers are those of its end.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.ending == "finished"
    }
}

/// Bytes that one of `peers` sends in `steps` ring all-reduces of `parameters` f32 gradients.
#[must_use]
pub fn dense_bytes(peers: usize, steps: u64, parameters: usize) -> u64 {
    if peers == 0 {
        return 0;
    }
    let gradients = u128::from(steps).saturating_mul(4 * parameters as u128);
    let bytes = gradients.saturating_mul(2 * (peers as u128 - 1)) / peers as u128;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

impl SimReport {
    /// Fills in everything that follows from `peers`, `parameters`, `gossip` and `wall_s`.
    #[must_use]
    pub fn derive(mut self) -> Self {
        let finished = || self.peers.iter().filter(|peer| peer.finished());
        self.test_accuracy_mean = accuracy_mean(&self.peers);
        self.no_gossip_test_accuracy_mean = accuracy_mean(&self.no_gossip_peers);
        let mut hashes = finished().map(|peer| peer.base_hash.as_deref());
        let first = hashes.next().flatten();
        self.base_hashes_equal = self.gossip && first.is_some() && hashes.all(|hash| hash == first);

        let steps_mean = mean(self.peers.iter().map(|peer| peer.steps as f64)).unwrap_or(0.0);
        // One peer by itself reports for a swarm of which it knows the size alone.
        let known = self.peers.iter().map(|peer| peer.live_peers as usize).max().unwrap_or(0);
        let swarm = if self.peers.len() > 1 { self.peers.len() } else { known };
        self.dense_bytes_per_peer = dense_bytes(swarm, steps_mean as u64, self.parameters);
        let sent_mean = mean(self.peers.iter().map(|peer| peer.bytes_sent as f64)).unwrap_or(0.0);
        let comparable = sent_mean > 0.0 && self.dense_bytes_per_peer > 0;
        self.bytes_ratio = comparable.then(|| self.dense_bytes_per_peer as f64 / sent_mean);
        self.blocked = Blocked::default();
        self.peers.iter().for_each(|peer| self.blocked.merge(&peer.blocked));
        self.blocked = std::mem::take(&mut self.blocked).derive();
        self.steps_per_second = self.peers.iter().map(|peer| f64::from(peer.steps_per_second)).sum();
        self
    }

    /// Mean bytes that a peer has sent.
    #[must_use]
    pub fn bytes_sent_mean(&self) -> f64 {
        mean(self.peers.iter().map(|peer| peer.bytes_sent as f64)).unwrap_or(0.0)
    }
}

/// Mean test accuracy of the peers that ended as they should.
#[must_use]
pub fn accuracy_mean(peers: &[PeerReport]) -> Option<f64> {
    mean(peers.iter().filter(|peer| peer.finished()).filter_map(|peer| peer.test_accuracy).map(f64::from))
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0u32, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn peer(hash: &str, ending: &str) -> PeerReport {
        PeerReport {
            base_hash: Some(hash.into()),
            ending: ending.into(),
            test_accuracy: Some(0.5),
            steps: 100,
            bytes_sent: 1000,
            ..PeerReport::default()
        }
    }

    #[test]
    fn a_ring_all_reduce_sends_almost_twice_the_gradient() {
        assert_eq!(dense_bytes(4, 10, 1000), 60_000, "10 steps, 2 * 3/4 * 4000 bytes each");
        assert_eq!(dense_bytes(1, 10, 1000), 0, "nobody to send to");
        assert_eq!(dense_bytes(0, 10, 1000), 0);
        assert_eq!(dense_bytes(2, u64::MAX, usize::MAX), u64::MAX, "no overflow");
    }

    #[test]
    fn equality_is_asked_of_those_who_finished() {
        let report = |peers| SimReport { peers, gossip: true, parameters: 1000, ..SimReport::default() }.derive();
        assert!(report(vec![peer("a", "finished"), peer("a", "finished")]).base_hashes_equal);
        assert!(!report(vec![peer("a", "finished"), peer("b", "finished")]).base_hashes_equal);
        assert!(report(vec![peer("a", "finished"), peer("b", "killed")]).base_hashes_equal);
        assert!(!report(vec![peer("a", "killed")]).base_hashes_equal, "nobody is left to be equal");
        assert!(!report(vec![]).base_hashes_equal);
    }

    #[test]
    fn the_ratio_compares_with_what_was_sent() {
        let peers = vec![peer("a", "finished"), peer("a", "finished")];
        let report = SimReport { peers, gossip: true, parameters: 1000, ..SimReport::default() }.derive();
        assert_eq!(report.dense_bytes_per_peer, 400_000, "100 steps * 2 * 1/2 * 4 * 1000");
        assert_eq!(report.bytes_ratio, Some(400.0));
    }

    #[test]
    fn the_interface_keys_are_there() {
        let report = SimReport { peers: vec![peer("a", "finished")], ..SimReport::default() };
        let json = serde_json::to_value(&report).unwrap();
        for key in ["wall_s", "peers", "base_hashes_equal", "dense_bytes_per_peer", "bytes_ratio"] {
            assert!(json.get(key).is_some(), "{key}");
        }
        for key in [
            "id",
            "device",
            "backend",
            "steps",
            "epochs",
            "train_loss",
            "test_loss",
            "test_accuracy",
            "base_hash",
            "bytes_sent",
            "bytes_received",
            "deltas_said",
            "deltas_heard",
        ] {
            assert!(json["peers"][0].get(key).is_some(), "{key}");
        }
    }
}

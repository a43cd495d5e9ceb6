//! `GET /metrics` in the OpenMetrics text format. The peer's own figures are those of the last snapshot, so a scrape asks nobody and waits
//! for nothing; libp2p's and the server's own are counted as they happen. Units are in the names; docs/dashboard.md lists them.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::board::Board;
use super::snapshot::{Gossip, Phase, Snapshot, Training};

/// Prefix of all our names.
pub(super) const PREFIX: &str = "starling";
/// As the format's specification names it.
pub(super) const CONTENT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Reads the board at each scrape.
#[derive(Debug)]
struct OfBoard(Arc<Board>);

/// Registers the peer's figures.
pub(super) fn register(registry: &mut Registry, board: Arc<Board>) {
    registry.sub_registry_with_prefix(PREFIX).register_collector(Box::new(OfBoard(board)));
}

impl Collector for OfBoard {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let status = self.0.status();
        let mut page = Page(encoder);
        page.facts(&status)?;
        page.training(&status.training)?;
        page.gossip(&status.gossip)?;
        page.others(&status)
    }
}

struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn gauge(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: impl Into<Option<f64>>) -> fmt::Result {
        // What is not known is not said: a zero would be a lie.
        let Some(value) = value.into() else { return Ok(()) };
        let gauge = ConstGauge::new(value);
        gauge.encode(self.0.encode_descriptor(name, help, unit, gauge.metric_type())?)
    }

    fn counter(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: u64) -> fmt::Result {
        let counter = ConstCounter::new(value);
        counter.encode(self.0.encode_descriptor(name, help, unit, counter.metric_type())?)
    }

    fn facts(&mut self, status: &Snapshot) -> fmt::Result {
        let (run, peer) = (&status.run, &status.peer);
        let facts = Info::new(vec![
            ("version", status.version.to_owned()),
            ("peer", peer.id.clone()),
            ("run", run.id.clone()),
            ("job", run.job.clone()),
            ("mode", run.mode.clone()),
            ("codec", run.codec.clone()),
            ("model", run.model.clone()),
            ("device", peer.device.clone()),
            ("backend", peer.backend.clone()),
        ]);
        let about = "What runs where, as labels";
        facts.encode(self.0.encode_descriptor("peer", about, None, facts.metric_type())?)?;
        self.gauge("parameters", "Parameters of the model", None, run.parameters as f64)?;
        self.gauge("uptime", "Since the process began", Some(&Unit::Seconds), status.uptime_s)?;
        let trains = f64::from(u8::from(status.phase == Phase::Training));
        self.gauge("training", "1 while steps are taken", None, trains)?;
        self.counter("devices_lost", "Devices that failed", None, u64::from(peer.devices_lost))?;
        let about = "Checkpoints that could not be written; an earlier one stands";
        self.counter("checkpoint_failures", about, None, peer.checkpoint_failures)
    }

    fn training(&mut self, training: &Training) -> fmt::Result {
        self.counter("steps", "Optimizer steps taken", None, training.steps)?;
        self.counter("epochs", "Epochs done", None, u64::from(training.epoch))?;
        let pace = Unit::Other("per_second".to_owned());
        self.gauge("steps", "Optimizer steps a second, lately", Some(&pace), f64::from(training.steps_per_second))?;
        let nats = Unit::Other("nats".to_owned());
        let about = "Mean training loss of the last stretch of steps";
        self.gauge("train_loss", about, Some(&nats), training.train_loss.map(f64::from))?;
        let about = "Loss of the shared model on the test split";
        self.gauge("test_loss", about, Some(&nats), training.test_loss.map(f64::from))?;
        let about = "Accuracy of the shared model on the test split";
        self.gauge("test_accuracy", about, Some(&Unit::Ratios), training.test_accuracy.map(f64::from))?;
        let about = "Samples that the swarm has trained on, as heard";
        self.gauge("swarm_samples", about, None, training.samples as f64)
    }

    fn gossip(&mut self, gossip: &Gossip) -> fmt::Result {
        let bytes = || Some(&Unit::Bytes);
        self.gauge("neighbours", "Links that are up", None, gossip.neighbours as f64)?;
        let about = "Peers that count as living, this one among them";
        self.gauge("live_peers", about, None, gossip.live_peers as f64)?;
        self.counter("deltas_said", "Deltas of its own", None, gossip.deltas_said)?;
        self.counter("deltas_heard", "Deltas of others in the base", None, gossip.deltas_heard)?;
        self.counter("deltas_refused", "Deltas that were refused", None, gossip.deltas_refused)?;
        self.counter("payload_said", "Codec bytes of its own deltas", bytes(), gossip.payload_bytes_said)?;
        self.counter("sent", "Over links, out", bytes(), gossip.bytes_sent)?;
        self.counter("received", "Over links, in", bytes(), gossip.bytes_received)?;
        let about = "What averaging f32 gradients at every step would have sent";
        self.gauge("dense_equivalent", about, bytes(), gossip.dense_bytes as f64)?;
        let about = "Messages that found a link's queue full";
        self.counter("messages_dropped", about, None, gossip.messages_dropped)?;
        self.counter("bans", "Bans of peers that broke the rules", None, gossip.bans)?;
        let about = "Distance of the training weights from the base over the length of the base";
        self.gauge("disagreement", about, Some(&Unit::Ratios), gossip.disagreement.map(f64::from))?;
        let about = "1 while all neighbours announce the same set of deltas";
        self.gauge("agreed", about, None, f64::from(u8::from(gossip.agreed)))?;
        self.gauge("log", "Deltas in the log", bytes(), gossip.log_bytes as f64)
    }

    fn others(&mut self, status: &Snapshot) -> fmt::Result {
        let links = || status.peers.iter().filter(|other| other.linked);
        let about = "Deltas that this peer holds and the neighbour lacks";
        let values: Vec<_> = links().map(|other| (other.id.as_str(), other.behind as f64)).collect();
        self.by_peer("neighbour_behind_deltas", about, None, &values)?;
        let seconds = || Some(&Unit::Seconds);
        let values: Vec<_> = links().filter_map(|other| Some((other.id.as_str(), other.silent_s?))).collect();
        self.by_peer("neighbour_silence", "Since the neighbour last said anything", seconds(), &values)?;
        let values: Vec<_> =
            links().filter_map(|other| Some((other.id.as_str(), f64::from(other.round_trip_s?)))).collect();
        self.by_peer("neighbour_round_trip", "Time of an exchange of version vectors", seconds(), &values)
    }

    fn by_peer(&mut self, name: &str, help: &str, unit: Option<&Unit>, values: &[(&str, f64)]) -> fmt::Result {
        if values.is_empty() {
            return Ok(());
        }
        let kind = ConstGauge::new(0.0f64).metric_type();
        let mut family = self.0.encode_descriptor(name, help, unit, kind)?;
        for (peer, value) in values {
            let label = [("peer", *peer)];
            ConstGauge::new(*value).encode(family.encode_family(&label)?)?;
        }
        Ok(())
    }
}

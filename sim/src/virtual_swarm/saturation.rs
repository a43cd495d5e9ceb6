//! How large a swarm may be before a link cannot carry every delta of everybody.
//!
//! ```text
//! heard by a peer, bytes a second = r F (N - 1) / T + c
//!   F   bytes of the frame of one delta: encoded, signed and framed here
//!   T   time between two deltas of a peer: H steps
//!   r   deltas that arrive for each that is new: measured, in a swarm of virtual peers with frames of every kind
//!   c   everything else that arrives, bytes a second: measured there too
//! ```
//!
//! r and c are the solution of two measurements, with a small and a large model. With K groups of n peers a delegate, who has most
//! to hear, hears n - 1 deltas of its group and K - 1 upper ones; K n is largest for K = n, and is (M / 2 + 1)^2 where a link
//! carries M deltas in T.

use protocol::Config;
use protocol::codec::Codec;
use protocol::groups::GROUPS_MAX;
use protocol::id::{Hash, Origin, RunId, SchemaHash};
use protocol::log::{Context, Delta, Header};
use protocol::trust::{Identity, Limits};
use protocol::wire::{Message, frame_bytes};

use super::network::NetworkSpec;
use super::scenario::{LearnerKind, QuadraticSpec, Scenario};
use super::{Plan, Task, Until, run};
use crate::report::VirtualRun;

/// Peers of the measurement: more than a peer has neighbours by default, so that deltas travel over others too.
const PEERS: u32 = 32;
/// Models of the two measurements, parameters.
const SMALL: usize = 1 << 14;
const LARGE: usize = 1 << 17;
/// Deltas that a peer says in a measurement.
const DELTAS: u64 = 40;

/// Most steps between two deltas, and most time, milliseconds, in a measurement.
const STEPS_MAX: u32 = 10;
const INTERVAL_MS_MAX: f64 = 10_000.0;

/// What a delta costs on the overlay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overlay {
    /// r
    pub redundancy: f64,
    /// c
    pub rest_bytes_per_second: f64,
}

/// Where a link is full.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Saturation {
    /// F
    pub frame_bytes: usize,
    /// Most peers of which one link carries all deltas; at least 1.
    pub peers: u64,
    /// The best number of groups, and the peers that it allows.
    pub groups: u64,
    /// Peers in all.
    pub peers_in_groups: u64,
}

/// Bytes of one delta's frame for `parameters`. Every codec's payload is as long as it may be where no value is zero; nothing of
/// that size is made.
#[must_use]
pub fn delta_frame_bytes(codec: &'static dyn Codec, parameters: usize) -> usize {
    let payload = codec.payload_bytes_max(parameters);
    frame_bytes_of(codec, parameters, Vec::new()) - length_bytes(0) + length_bytes(payload) + payload
}

fn frame_bytes_of(codec: &'static dyn Codec, parameters: usize, payload: Vec<u8>) -> usize {
    let identity = Identity::from_seed(&[7; 32]);
    let context =
        Context { run: RunId(Hash::ZERO), schema: SchemaHash(Hash::ZERO), parameters, codec, limits: Limits::OFF };
    let header = Header {
        origin: Origin { peer: identity.peer_id(), incarnation: 1 << 60 },
        seq: 1 << 16,
        previous: Hash::ZERO,
        heard: Hash::ZERO,
        steps: 10,
        samples: 1 << 16,
        round: 0,
        weight: 1 << 14,
        codec: codec.wire_id(),
        l2_norm: 1.0,
    };
    frame_bytes(&Message::Delta(Delta::sign(&context, header, payload, &identity).signed().clone()))
}

/// Bytes of a length in the wire format (bincode's variable integers).
fn length_bytes(length: usize) -> usize {
    match length {
        0..251 => 1,
        251..0x1_0000 => 3,
        0x1_0000..0x1_0000_0000 => 5,
        _ => 9,
    }
}

/// Measures r and c for a job. How often a peer speaks changes neither much: with more steps between two deltas, or longer ones, than
/// [`STEPS_MAX`] and [`INTERVAL_MS_MAX`], it is measured with these.
#[must_use]
pub fn overlay(config: &Config, codec: &'static dyn Codec, step_ms: f64) -> Overlay {
    let mut config = config.clone();
    config.gossip.groups = 1;
    let step_ms = step_ms.min(INTERVAL_MS_MAX / f64::from(config.gossip.steps));
    let (step_ms, steps) = if config.gossip.steps > STEPS_MAX {
        (step_ms * f64::from(config.gossip.steps) / f64::from(STEPS_MAX), STEPS_MAX)
    } else {
        (step_ms, config.gossip.steps)
    };
    config.gossip.steps = steps;
    let measured = |parameters: usize| {
        let scenario = Scenario {
            peers: PEERS,
            learner: LearnerKind::Quadratic,
            quadratic: QuadraticSpec { parameters, ..QuadraticSpec::default() },
            steps: DELTAS * u64::from(steps),
            evaluations: 1,
            step_ms,
            network: NetworkSpec::default(),
            trust: false,
            ..Scenario::default()
        };
        let plan = Plan {
            variant: String::new(),
            graph: Vec::new(),
            task: Task::Quadratic(scenario.quadratic),
            scenario,
            config: config.clone(),
            codec,
            limits: Limits::OFF,
            run: RunId(Hash([9; 32])),
            job: Vec::new(),
        };
        let run: VirtualRun = run(&plan, 1, Until::default(), &mut |_| true);
        let deltas = run.peers.iter().map(|peer| peer.deltas_heard as f64).sum::<f64>() / f64::from(PEERS);
        (deltas * delta_frame_bytes(codec, parameters) as f64, run.virtual_s, run.bytes_received_mean)
    };
    let (small, large) = (measured(SMALL), measured(LARGE));
    // heard = r deltas + c seconds, twice.
    let determinant = large.0 * small.1 - small.0 * large.1;
    let redundancy = (large.2 * small.1 - small.2 * large.1) / determinant;
    let rest_bytes_per_second = (large.0 * small.2 - small.0 * large.2) / determinant;
    Overlay { redundancy, rest_bytes_per_second }
}

/// Where a link of so many bytes a second is full, with a delta of every peer each `interval_s`.
#[must_use]
pub fn saturation(frame_bytes: usize, overlay: Overlay, bytes_per_second: f64, interval_s: f64) -> Saturation {
    let room = (bytes_per_second - overlay.rest_bytes_per_second).max(0.0);
    let deltas = room * interval_s / (overlay.redundancy * frame_bytes as f64);
    let half = (deltas / 2.0) as u64 + 1;
    let groups = half.min(u64::from(GROUPS_MAX));
    let peers_each = (deltas - groups as f64 + 2.0).max(1.0) as u64;
    Saturation { frame_bytes, peers: deltas as u64 + 1, groups, peers_in_groups: groups * peers_each }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_full_where_it_is() {
        let overlay = Overlay { redundancy: 2.0, rest_bytes_per_second: 100.0 };
        // Ten deltas of 10 bytes, each heard twice, a second: 200 bytes and 100 of the rest.
        let found = saturation(10, overlay, 300.0, 1.0);
        assert_eq!((found.peers, found.groups, found.peers_in_groups), (11, 6, 36));
        assert_eq!(saturation(10, overlay, 300.0, 2.0).peers, 21, "half as often, twice as many");
        assert_eq!(saturation(10, overlay, 50.0, 1.0).peers, 1, "no room at all");
        let most = saturation(10, overlay, 1e6, 1.0);
        assert!(most.groups == u64::from(GROUPS_MAX) && most.peers_in_groups > most.peers);
    }

    #[test]
    fn a_frame_is_as_long_as_it_is() {
        for (d, codec) in
            [100, 5_000, 300_000].into_iter().flat_map(|d| protocol::codec::ALL.iter().map(move |codec| (d, *codec)))
        {
            // A residual of many sizes, none of them zero: no codec leaves anything out for being nothing.
            let residual: Vec<f32> = (0..d).map(|i| 1e-3 + (i % 1009) as f32 * 1e-5).collect();
            let mut payload = Vec::new();
            codec.encode(&residual, &mut payload);
            assert_eq!(delta_frame_bytes(codec, d), frame_bytes_of(codec, d, payload), "{} of {d}", codec.name());
        }
    }
}

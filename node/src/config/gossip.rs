//! `[gossip]`: what its keys default to in each mode, and what does not go together.

use protocol::codec::{self, Codec};
use protocol::config::{Gossip, MergeRule, Mode, PartnerRule};
use protocol::groups::GROUPS_MAX;
use protocol::id::PeerId;
use protocol::time::Span;

use super::checks::{invalid, positive, within};
use super::raw::RawOptimizer;
use crate::error::Error;

/// Largest gain; measured: 8 diverges with every codec so far.
pub const GAIN_MAX: f32 = 16.0;
/// Most steps between two deltas.
pub const GOSSIP_STEPS_MAX: u32 = 100_000;
/// Largest alpha of the partner rule `exponential`: beyond it only the nearest is ever chosen.
pub const PARTNER_ALPHA_MAX: f32 = 1e6;
/// Largest relative drift or fall of the loss that a trigger may wait for.
pub const TRIGGER_SHARE_MAX: f32 = 1.0;
/// Fastest link that is no typing error, bytes a second.
pub const LINK_BYTES_PER_SECOND_MAX: f32 = 1e12;
/// Longest wait of a round, seconds: an hour.
pub const ROUND_DEADLINE_S_MAX: f32 = 3600.0;
/// Share of the way that each of two peers goes in the mode `pairwise`. measured with `sign` (docs/algorithms.md): 0.4 agrees
/// soonest, in 5 rounds among 8 peers and 9 among 100 (0.1: 14 and 31; 0.5: 6 and 13), and digits end best.
const PAIRWISE_GAIN: f32 = 0.4;
/// Probation of a job that names none, deltas. measured (sim/scenarios/attackers.toml): 5 of 16 that speak against the mean ten
/// times as loud from their first delta on kill the model before anybody can tell them apart; with this they do not.
const PROBATION_DEFAULT: u32 = 16;
/// Longest probation, deltas.
pub const PROBATION_MAX: u32 = 1_000_000;

pub(super) fn codec_named(name: &str) -> Result<&'static dyn Codec, Error> {
    codec::by_name(name).ok_or_else(|| {
        let known: Vec<_> = codec::ALL.iter().map(|codec| format!("`{}`", codec.name())).collect();
        invalid("gossip.codec", &format!("{name:?}"), "no such codec").hint(known.join(", "))
    })
}

/// measured (docs/algorithms.md): with `top_k_2bit` the peers of mode `pairwise` stay 17 % apart. A payload of `sign` is four times
/// as long, and goes to one peer instead of all.
pub(super) fn codec_default(mode: Mode) -> &'static str {
    match mode {
        Mode::Incremental | Mode::FullSync => "top_k_2bit",
        Mode::Pairwise => "sign",
    }
}

/// In rounds every delta was taken at the same weights, so their mean is the one step that averaging would take: nothing is
/// gained by more.
pub(super) fn gain_default(mode: Mode, codec: &dyn Codec) -> f32 {
    match mode {
        Mode::Incremental => codec.gain_default(),
        Mode::FullSync => 1.0,
        Mode::Pairwise => PAIRWISE_GAIN,
    }
}

/// In the other modes a round that weighs a tenth is no average, and an exchange has no weight at all.
pub(super) fn probation_default(mode: Mode) -> u32 {
    match mode {
        Mode::Incremental => PROBATION_DEFAULT,
        Mode::FullSync | Mode::Pairwise => 0,
    }
}

/// The edges of a graph in their one order. Given if and only if the rule is `fixed`.
pub(super) fn graph(rule: PartnerRule, edges: Vec<(PeerId, PeerId)>) -> Result<Vec<(PeerId, PeerId)>, Error> {
    let found = format!("{} pairs", edges.len());
    match (rule, edges.is_empty()) {
        (PartnerRule::Fixed, true) => {
            return Err(invalid("gossip.partner_graph", &found, "partner = \"fixed\" wants to know who meets whom")
                .hint("partner_graph = [[\"ID\", \"ID\"], ...], each ID 64 hex digits"));
        }
        (PartnerRule::Fixed, false) | (_, true) => {}
        (_, false) => {
            return Err(invalid("gossip.partner_graph", &found, "belongs to partner = \"fixed\"")
                .hint("remove it, or use partner = \"fixed\""));
        }
    }
    let mut edges: Vec<_> = edges.into_iter().map(|(a, b)| (a.min(b), a.max(b))).collect();
    if let Some((peer, _)) = edges.iter().find(|(a, b)| a == b) {
        return Err(invalid("gossip.partner_graph", &peer.to_string(), "is paired with itself"));
    }
    edges.sort_unstable();
    edges.dedup();
    Ok(edges)
}

pub(super) fn groups(mode: Mode, groups: Option<u32>, optimizer: &RawOptimizer) -> Result<u32, Error> {
    let groups = within("gossip.groups", groups.unwrap_or(1), 1, GROUPS_MAX)?;
    if groups > 1 && mode != Mode::Incremental {
        return Err(invalid("gossip.groups", &groups.to_string(), "belongs to mode = \"incremental\"")
            .hint("remove it, or use mode = \"incremental\""));
    }
    let changes = |rule: &Option<String>| rule.as_deref().is_some_and(|rule| rule != "constant");
    let scheduled =
        optimizer.warm_up_samples.unwrap_or(0) > 0 || changes(&optimizer.schedule) || changes(&optimizer.rate_by_peers);
    if groups > 1 && scheduled {
        let why = "a schedule goes by the samples and the peers of the swarm, and with groups a peer counts those of its own group";
        return Err(invalid("gossip.groups", &groups.to_string(), why)
            .hint("remove it, or optimizer.schedule, optimizer.warm_up_samples and optimizer.rate_by_peers"));
    }
    Ok(groups)
}

pub(super) fn round_deadline(mode: Mode, seconds: Option<f32>) -> Result<Span, Error> {
    let Some(seconds) = seconds else { return Ok(Gossip::default().round_deadline) };
    if mode != Mode::FullSync {
        return Err(invalid("gossip.round_deadline_s", &seconds.to_string(), "belongs to mode = \"full_sync\"")
            .hint("remove it, or use mode = \"full_sync\""));
    }
    let seconds = positive("gossip.round_deadline_s", seconds, ROUND_DEADLINE_S_MAX)?;
    Ok(Span((f64::from(seconds) * 1e6).ceil() as u64))
}

pub(super) fn merge(mode: Mode, rule: Option<MergeRule>) -> Result<MergeRule, Error> {
    match rule {
        Some(rule) if mode != Mode::Pairwise => {
            let named = format!("{:?}", protocol::merge::of(rule).name());
            Err(invalid("gossip.merge", &named, "belongs to mode = \"pairwise\"")
                .hint("remove it, or use mode = \"pairwise\""))
        }
        rule => Ok(rule.unwrap_or_default()),
    }
}

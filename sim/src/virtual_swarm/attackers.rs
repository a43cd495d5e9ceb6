//! Peers that lie. An attacker runs the same [`protocol::Peer`]; what it says is made up between its learner and its
//! signature, so everything it sends is well-formed and signed: insiders, not strangers.
//!
//! Sources: sign flip, noise and scale are the classics; A Little Is Enough, arXiv 1902.06156; inner product manipulation,
//! arXiv 1903.03936. The attackers of one run know every honest delta (they collude and listen).

use std::collections::VecDeque;

use protocol::codec::{Codec, Decoded};
use protocol::fixed::Weight;
use protocol::learner::TakenDelta;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::network::normal;

/// Honest deltas that the attackers remember.
const HEARD_MAX: usize = 32;

/// So many peers that do this. Attackers have the highest numbers of a swarm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttackerSpec {
    /// What they do.
    pub kind: Attack,
    /// How many.
    pub count: u32,
    /// How strongly; what it means depends on the attack.
    #[serde(default)]
    pub strength: Option<f32>,
}

/// What an attacker says instead of its delta `v`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attack {
    /// Not-a-number.
    Nan,
    /// `s v`, s = 1e6.
    Scale,
    /// `-s v`, s = 4.
    SignFlip,
    /// Gaussian noise, s = 10 times as long as `v`.
    Noise,
    /// The first delta it ever said, again and again.
    Stale,
    /// Mean of the honest less s = 1.5 of their standard deviations, coordinate by coordinate.
    Alie,
    /// `-s` times the mean of the honest, s = 10.
    InnerProduct,
    /// Its own honest delta, and with it old deltas of others, again.
    Replay,
    /// Two deltas with one number, to two halves of its neighbours.
    Equivocation,
    /// As [`Attack::InnerProduct`], by many identities that are cheap to make.
    Sybil,
    /// Against the mean of the honest, exactly as long as s = 2.9 times the median of the honest deltas: under a cap of 3.
    Adaptive,
}

impl Attack {
    fn strength_default(self) -> f32 {
        match self {
            Self::Scale => 1e6,
            Self::SignFlip => 4.0,
            Self::Noise | Self::InnerProduct | Self::Sybil => 10.0,
            Self::Alie => 1.5,
            Self::Adaptive => 2.9,
            Self::Nan | Self::Stale | Self::Replay | Self::Equivocation => 1.0,
        }
    }
}

/// What the attackers of a run know together.
#[derive(Debug, Default)]
pub(super) struct Conspiracy {
    honest: VecDeque<Vec<f32>>,
}

impl Conspiracy {
    /// Listens to an honest delta.
    pub(super) fn hear(&mut self, codec: &dyn Codec, parameters: usize, payload: &[u8]) {
        if let Some(values) = dense(codec, parameters, payload) {
            self.honest.push_back(values);
            if self.honest.len() > HEARD_MAX {
                self.honest.pop_front();
            }
        }
    }

    fn mean(&self, parameters: usize) -> Vec<f32> {
        let mut mean = vec![0.0; parameters];
        for values in &self.honest {
            mean.iter_mut().zip(values).for_each(|(sum, value)| *sum += value / self.honest.len() as f32);
        }
        mean
    }

    fn deviation(&self, mean: &[f32]) -> Vec<f32> {
        let mut square = vec![0.0; mean.len()];
        for values in &self.honest {
            for ((sum, value), mean) in square.iter_mut().zip(values).zip(mean) {
                *sum += (value - mean) * (value - mean) / self.honest.len() as f32;
            }
        }
        square.into_iter().map(f32::sqrt).collect()
    }

    fn median_norm(&self) -> f32 {
        let mut norms: Vec<f32> = self.honest.iter().map(|values| norm(values)).collect();
        norms.sort_by(f32::total_cmp);
        norms.get(norms.len() / 2).copied().unwrap_or(0.0)
    }
}

/// One attacker.
#[derive(Debug)]
pub(super) struct Attacker {
    pub(super) attack: Attack,
    strength: f32,
    first: Option<TakenDelta>,
}

impl Attacker {
    pub(super) fn new(spec: &AttackerSpec) -> Self {
        let strength = spec.strength.unwrap_or_else(|| spec.kind.strength_default());
        Self { attack: spec.kind, strength, first: None }
    }

    /// Makes up what to say.
    pub(super) fn lie(
        &mut self,
        codec: &dyn Codec,
        parameters: usize,
        taken: TakenDelta,
        conspiracy: &Conspiracy,
        rng: &mut ChaCha8Rng,
    ) -> TakenDelta {
        let Some(own) = dense(codec, parameters, &taken.payload) else { return taken };
        let s = self.strength;
        let values: Vec<f32> = match self.attack {
            Attack::Replay | Attack::Equivocation => return taken,
            Attack::Stale => return self.first.get_or_insert(taken).clone(),
            Attack::Nan => {
                let payload = vec![0xff; taken.payload.len()];
                return TakenDelta { payload, l2_norm: f32::NAN, ..taken };
            }
            Attack::Scale => own.iter().map(|v| (s * v).clamp(-1e30, 1e30)).collect(),
            Attack::SignFlip => own.iter().map(|v| -s * v).collect(),
            Attack::Noise => {
                let deviation = s * norm(&own) / (parameters as f32).sqrt();
                own.iter().map(|_| deviation * normal(rng) as f32).collect()
            }
            Attack::Alie => {
                let mean = conspiracy.mean(parameters);
                mean.iter().zip(conspiracy.deviation(&mean)).map(|(mean, deviation)| mean - s * deviation).collect()
            }
            Attack::InnerProduct | Attack::Sybil => conspiracy.mean(parameters).iter().map(|mean| -s * mean).collect(),
            Attack::Adaptive => {
                let mean = conspiracy.mean(parameters);
                let scale = s * conspiracy.median_norm() / norm(&mean).max(f32::MIN_POSITIVE);
                mean.iter().map(|mean| -scale * mean).collect()
            }
        };
        let mut payload = Vec::new();
        codec.encode(&values, &mut payload);
        let mut decoded = Decoded::default();
        let readable = codec.decode(&payload, parameters, Weight::HALF, &mut decoded).is_ok();
        let l2_norm = if readable { decoded.l2_norm() } else { norm(&values) };
        TakenDelta { payload, l2_norm, ..taken }
    }
}

/// The values of a payload, coordinate by coordinate.
fn dense(codec: &dyn Codec, parameters: usize, payload: &[u8]) -> Option<Vec<f32>> {
    let mut decoded = Decoded::default();
    codec.decode(payload, parameters, Weight::HALF, &mut decoded).ok()?;
    let mut values = vec![0.0; parameters];
    decoded.iter().for_each(|(i, value, _)| values[i] = value);
    Some(values)
}

fn norm(values: &[f32]) -> f32 {
    values.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt() as f32
}

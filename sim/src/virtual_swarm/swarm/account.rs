//! The account: what a command did to a base is entered and checked, and in the end what the peers say of themselves.

use std::collections::BTreeMap;

use protocol::id::{Hash, Origin};
use protocol::learner::{self, Command, Computed, Evaluation, base_hash};

use super::super::body::Body;
use super::super::checks::{Account, COMMANDS_MAX, UNACCOUNTED_MAX};
use super::super::task::Mind;
use super::Swarm;

/// Evaluations are remembered by base, so many.
const EVALUATIONS_MAX: usize = 1 << 16;
/// A base of at most so many parameters is hashed after every command, a larger one when it is evaluated.
pub(super) const HASHED_ALWAYS_MAX: usize = 4096;

impl Swarm<'_> {
    /// An attacker makes up its delta; an honest one is overheard.
    pub(super) fn lie(&mut self, to: u32, result: Computed) -> Computed {
        let Computed::DeltaTaken(taken) = result else { return result };
        if self.plan.scenario.attackers.is_empty() {
            return Computed::DeltaTaken(taken);
        }
        let (codec, parameters) = (self.context.codec, self.context.parameters);
        let Some(body) = self.bodies[to as usize].as_mut() else { return Computed::DeltaTaken(taken) };
        match &mut body.attacker {
            None => {
                self.conspiracy.hear(codec, parameters, &taken.payload);
                Computed::DeltaTaken(taken)
            }
            Some(attacker) => {
                Computed::DeltaTaken(attacker.lie(codec, parameters, taken, &self.conspiracy, &mut self.rng))
            }
        }
    }

    pub(super) fn check(&mut self, to: u32, before: &Before, result: &Computed) {
        let mut wrong = Vec::new();
        let parameters = self.context.parameters;
        if let Some(body) = self.bodies[to as usize].as_mut() {
            before.account(body, result, &mut self.account, &mut wrong);
            let hash = match result {
                Computed::Evaluated { base_hash, .. } => Some(*base_hash),
                Computed::DeltaTaken(_)
                | Computed::Moved(_)
                | Computed::Applied
                | Computed::Retracted
                | Computed::Restored
                    if parameters <= HASHED_ALWAYS_MAX =>
                {
                    body.mind.learner().base().ok().map(|base| base_hash(&base))
                }
                _ => None,
            };
            let shared = before.changes_set() && !self.pairwise;
            if let Some(hash) = hash.filter(|_| shared) {
                wrong.extend(self.account.base(&body.applied, hash).err());
            }
            if let Mind::Quadratic(learner) = &body.mind {
                let off = learner.unaccounted();
                if off > UNACCOUNTED_MAX {
                    wrong.push(format!("progress is lost: {off:.6} of a weight is neither said nor unsaid"));
                }
                if !learner.finite() {
                    wrong.push("a weight is not finite".into());
                }
            }
            if let Computed::Failed(error) = result {
                wrong.push(format!("its learner failed: {error}"));
            }
            let view = body.commands.len();
            if view > COMMANDS_MAX {
                wrong.push(format!("{view} commands wait for its learner, the limit is {COMMANDS_MAX}"));
            }
        }
        for what in wrong {
            self.violate(to, what);
        }
    }

    pub(super) fn violate(&mut self, peer: u32, what: String) {
        self.account.violate(self.events, self.now.0, peer, what);
    }

    /// What the peers say of themselves is what the account says of them.
    pub(super) fn last_checks(&mut self, going: bool) {
        let mut wrong = Vec::new();
        let mut bases: BTreeMap<Hash, Hash> = BTreeMap::new();
        for (number, body) in self.bodies.iter_mut().enumerate() {
            let Some(body) = body.as_mut().filter(|body| body.is_honest()) else { continue };
            let view = body.peer.view();
            // Under exclusions the name of the set is not that of the version vector alone.
            let plain = !body.applied.retracted && body.peer.trust_view().excluded.is_empty();
            if body.commands.is_empty() && going && plain && body.applied.hash() != view.heard {
                wrong.push((number as u32, "it says that it heard what its base does not hold".to_owned()));
            }
            if let Ok(base) = body.mind.learner().base() {
                let hash = base_hash(&base);
                let shared = body.commands.is_empty() && !self.pairwise;
                if shared && *bases.entry(view.heard).or_insert(hash) != hash {
                    wrong.push((
                        number as u32,
                        "it has heard what another has heard, and holds another base".to_owned(),
                    ));
                }
            }
        }
        for (number, what) in wrong {
            self.violate(number, what);
        }
    }
}

/// What the account needs to know of a command once it has run.
pub(super) enum Before {
    Apply(Vec<(Origin, u64)>),
    Retract(Vec<(Origin, u64)>),
    TakeDelta,
    Base,
    Restore { base: Hash, replay: Vec<(Origin, u64)> },
    Evaluate,
    Other,
}

impl Before {
    pub(super) fn of(command: &Command) -> Self {
        let names = |deltas: &[std::sync::Arc<protocol::log::Delta>]| {
            deltas.iter().map(|delta| (delta.origin(), delta.seq())).collect()
        };
        match command {
            Command::Apply { deltas } => Self::Apply(names(deltas)),
            Command::TakeDelta { .. } | Command::Move { .. } => Self::TakeDelta,
            Command::Base | Command::Snapshot => Self::Base,
            Command::Restore { base, replay, .. } => Self::Restore { base: base_hash(base), replay: names(replay) },
            Command::Evaluate { .. } => Self::Evaluate,
            Command::Retract { deltas } => Self::Retract(names(deltas)),
            Command::Train { .. }
            | Command::Measure
            | Command::Gradient
            | Command::Hash { .. }
            | Command::Fold
            | Command::Save
            | Command::Deal { .. }
            | Command::EdgeSay { .. }
            | Command::EdgeMeet(_)
            | Command::EdgeForget { .. } => Self::Other,
        }
    }

    fn changes_set(&self) -> bool {
        !matches!(self, Self::Other | Self::Base)
    }

    /// Enters what the command did into the account.
    fn account(&self, body: &mut Body, result: &Computed, account: &mut Account, wrong: &mut Vec<String>) {
        match (self, result) {
            (Self::Apply(names), Computed::Applied) => {
                for &(origin, seq) in names {
                    wrong.extend(body.applied.add(origin, seq).err());
                }
            }
            (Self::Retract(names), Computed::Retracted) => {
                for &(origin, seq) in names.iter().rev() {
                    wrong.extend(body.applied.remove(origin, seq).err());
                }
            }
            (Self::TakeDelta, Computed::DeltaTaken(_) | Computed::Moved(_)) => {
                let origin = body.peer.origin();
                let seq = body.applied.heard.get(&origin) + 1;
                wrong.extend(body.applied.add(origin, seq).err());
            }
            (Self::Base, Computed::Base(base)) => account.read_out(base_hash(base), &body.applied),
            (Self::Base, Computed::Snapshot { base_hash, .. }) => account.read_out(*base_hash, &body.applied),
            (Self::Restore { base, replay }, Computed::Restored) => match account.restored(*base) {
                None => wrong.push("it restored a base that nobody has given".into()),
                Some(applied) => {
                    body.applied = applied;
                    for &(origin, seq) in replay {
                        wrong.extend(body.applied.add(origin, seq).err());
                    }
                }
            },
            _ => {}
        }
    }
}

/// Equal bases have equal losses: a base is evaluated once, whoever holds it.
pub(super) fn evaluate(
    known: &mut BTreeMap<Hash, Evaluation>,
    mind: &mut Mind,
    weights: learner::Weights,
) -> Option<Computed> {
    if weights != learner::Weights::Base {
        return None;
    }
    let base_hash = base_hash(&mind.learner().base().ok()?);
    if let Some(&evaluation) = known.get(&base_hash) {
        return Some(Computed::Evaluated { evaluation, base_hash });
    }
    let evaluation = mind.learner().evaluate(weights).ok()?;
    if known.len() >= EVALUATIONS_MAX {
        known.clear();
    }
    known.insert(base_hash, evaluation);
    Some(Computed::Evaluated { evaluation, base_hash })
}

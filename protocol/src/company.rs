//! Whom a peer knows and how they stand, for whoever watches: [`Peer::company`]. Nothing is decided by it.

use std::collections::BTreeMap;

use crate::id::PeerId;
use crate::membership::short_key;
use crate::peer::Peer;
use crate::time::Span;

/// Most peers that are told of: neighbours first, then those whose deltas come by way of others, in the order of their ids.
pub const FELLOWS_MAX: usize = 256;

/// Another peer that lives, as far as is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Fellow {
    /// Who.
    pub peer: PeerId,
    /// First 8 bytes of its key, as in the lists of neighbours.
    pub key: u64,
    /// Deltas of its own that this peer holds, of all its lives.
    pub deltas: u64,
    /// What is known of a neighbour; `None` for a peer whose deltas come by way of others.
    pub link: Option<Linked>,
}

/// What a neighbour says of itself, and how its link does.
#[derive(Clone, Debug, PartialEq)]
pub struct Linked {
    /// How long the link is up.
    pub age: Span,
    /// Since it last said anything.
    pub silence: Span,
    /// Time from a digest to its answer, smoothed, seconds; NaN before the first.
    pub round_trip: f32,
    /// Deltas that this peer holds and it lacks, as far as it has said.
    pub behind: u64,
    /// Whether it last announced the same set of deltas.
    pub agrees: bool,
    /// Number of the last delta of this peer that it has, as far as it has said.
    pub holds: u64,
    /// Its last announcement: optimizer steps so far.
    pub steps: u64,
    /// Steps a second.
    pub steps_per_second: f32,
    /// Mean training loss lately, nats a sample; NaN before the first step.
    pub train_loss: f32,
    /// Whether it has taken all its steps.
    pub finished: bool,
    /// Keys of its own neighbours, 64 at most.
    pub neighbours: Vec<u64>,
}

impl Peer {
    /// Who else lives, as far as this peer knows, [`FELLOWS_MAX`] at most.
    #[must_use]
    pub fn company(&self) -> Vec<Fellow> {
        let mut said: BTreeMap<PeerId, u64> = BTreeMap::new();
        for (origin, seq) in self.log.heard().iter() {
            *said.entry(origin.peer).or_default() += seq;
        }
        let deltas = |peer: &PeerId| said.get(peer).copied().unwrap_or(0);
        let near = self.members.neighbours().map(|(peer, _)| (peer, true));
        let far = said.keys().filter(|peer| **peer != self.origin.peer && self.members.neighbour(**peer).is_none());
        let far = far.filter(|peer| self.members.lives(**peer, self.now)).map(|&peer| (peer, false));
        near.chain(far)
            .take(FELLOWS_MAX)
            .map(|(peer, near)| Fellow {
                peer,
                key: short_key(peer),
                deltas: deltas(&peer),
                link: if near { self.linked(peer) } else { None },
            })
            .collect()
    }

    fn linked(&self, peer: PeerId) -> Option<Linked> {
        let neighbour = self.members.neighbour(peer)?;
        let ours = self.log.heard();
        let status = neighbour.status.as_ref();
        Some(Linked {
            age: self.now - neighbour.since,
            silence: self.now - neighbour.last_heard,
            round_trip: neighbour.round_trip,
            behind: ours.iter().map(|(origin, seq)| seq.saturating_sub(neighbour.known.get(&origin))).sum(),
            agrees: status.is_some_and(|status| status.heard == self.log.set_hash()),
            holds: neighbour.known.get(&self.origin),
            steps: status.map_or(0, |status| status.steps),
            steps_per_second: status.map_or(0.0, |status| status.steps_per_second),
            train_loss: status.map_or(f32::NAN, |status| status.train_loss),
            finished: status.is_some_and(|status| status.finished),
            neighbours: status.map_or_else(Vec::new, |status| status.neighbours.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TriggerRule;
    use crate::event::{Input, Timer};
    use crate::mode::incremental::alone::Alone;
    use crate::time::Time;

    #[test]
    fn a_neighbour_is_told_of_while_its_link_is_up() {
        let mut alone = Alone::new(TriggerRule::default());
        assert_eq!(alone.peer.company(), Vec::new());
        let other = PeerId([7; 32]);
        alone.now = Time(alone.now.0 + 1_000_000);
        alone.input(Input::Connected { peer: other });
        alone.now = Time(alone.now.0 + 2_000_000);
        alone.input(Input::Timer(Timer::Offers));
        let company = alone.peer.company();
        assert_eq!((company.len(), company[0].peer, company[0].key), (1, other, 0x0707_0707_0707_0707));
        let link = company[0].link.as_ref().map(|link| (link.age, link.steps, link.finished));
        assert_eq!(link, Some((Span(2_000_000), 0, false)));
        alone.input(Input::Disconnected { peer: other });
        assert_eq!(alone.peer.company(), Vec::new());
    }
}

//! Faults that come again and again: one peer after the other is killed and comes back, and the end is quiet.

use std::collections::BTreeSet;
use std::time::Duration;

use super::spec::{Action, Fault};

/// Kills at even distances, in turn over all peers but those that are spared; the first peer, whom the others were told of, comes
/// first.
#[derive(Clone, Debug)]
pub struct Kills {
    /// From one to the next, and from the start to the first.
    pub every: Duration,
    /// How long a peer is away; `None`: for good.
    pub restart_after: Option<Duration>,
    /// Who is never killed.
    pub spare: BTreeSet<u32>,
    /// Nobody is killed, or away, after that.
    pub until: Duration,
}

impl Kills {
    /// Every kill and every return, in a swarm of so many peers.
    ///
    /// # Errors
    /// A sentence, when nobody is to be killed or the kills overtake the returns.
    pub fn faults(&self, peers: u32) -> Result<Vec<Fault>, String> {
        if let Some(peer) = self.spare.iter().find(|peer| **peer >= peers) {
            return Err(format!("--spare {peer}: they are numbered 0 to {}", peers.saturating_sub(1)));
        }
        let turn: Vec<u32> = (0..peers).filter(|peer| !self.spare.contains(peer)).collect();
        if turn.is_empty() {
            return Err("--spare names every peer: nobody is left to be killed".into());
        }
        let away = self.restart_after.unwrap_or_default();
        if away >= self.every * turn.len() as u32 {
            return Err(format!(
                "--restart-after {} s: with a kill every {} s the first of {} would be killed again before it is back",
                away.as_secs_f64(),
                self.every.as_secs_f64(),
                turn.len()
            ));
        }
        let mut faults = Vec::new();
        let mut at = self.every;
        let mut next = turn.iter().cycle();
        while let Some(&peer) = next.next().filter(|_| at + away <= self.until) {
            faults.push(Fault { at, peer, action: Action::Kill });
            if let Some(after) = self.restart_after {
                faults.push(Fault { at: at + after, peer, action: Action::Restart });
            } else if faults.len() == turn.len() {
                break; // Who does not come back is not killed again.
            }
            at += self.every;
        }
        Ok(faults)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn kills(every: u64, restart_after: Option<u64>, until: u64) -> Kills {
        Kills {
            every: Duration::from_secs(every),
            restart_after: restart_after.map(Duration::from_secs),
            spare: [1].into(),
            until: Duration::from_secs(until),
        }
    }

    fn shown(kills: &Kills) -> Vec<(u64, u32, bool)> {
        let faults = kills.faults(3).unwrap();
        faults.iter().map(|f| (f.at.as_secs(), f.peer, f.action == Action::Kill)).collect()
    }

    #[test]
    fn kills_go_round_and_everybody_is_back_in_time() {
        let expected = [(5, 0, true), (7, 0, false), (10, 2, true), (12, 2, false), (15, 0, true), (17, 0, false)];
        assert_eq!(shown(&kills(5, Some(2), 21)), expected);
        assert_eq!(shown(&kills(5, Some(2), 22)).len(), 8, "the last one is back at 22");
    }

    #[test]
    fn without_a_return_each_dies_once() {
        assert_eq!(shown(&kills(5, None, 100)), [(5, 0, true), (10, 2, true)]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(kills(5, Some(10), 100).faults(3).is_err_and(|why| why.contains("killed again")));
        assert!(kills(5, Some(2), 100).faults(1).is_err_and(|why| why.contains("--spare 1")));
        let all = Kills { spare: [0, 1, 2].into(), ..kills(5, Some(2), 100) };
        assert!(all.faults(3).is_err_and(|why| why.contains("nobody")));
    }
}

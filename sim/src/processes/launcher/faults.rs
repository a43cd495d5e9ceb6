//! What is done to the peers on purpose, and bringing back those who are to return.

use std::time::{Duration, Instant};

use super::{Swarm, SwarmEvent, Watch};
use crate::processes::SwarmError;
use crate::processes::pace::Phase;
use crate::processes::platform::Hold;
use crate::processes::slot::{Ending, Slot};
use crate::processes::spec::{Action, Fault};

/// After the last fault, until what it cost is over.
const AFTERMATH: Duration = Duration::from_secs(1);

impl Swarm {
    /// Kills a peer with SIGKILL.
    pub fn kill(&mut self, peer: u32) {
        self.pace.interrupt(peer);
        if let Some(slot) = self.slots.get_mut(peer as usize)
            && let Some(child) = slot.child.take()
        {
            child.kill();
            slot.facts.ending = Ending::Killed;
            self.done.kills += 1;
        }
    }

    /// Starts a dead peer again with nothing but its identity, to end together with the others.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn restart(&mut self, peer: u32) -> Result<u32, SwarmError> {
        let done = self.living().filter_map(|slot| slot.facts.status.as_ref()).map(|status| status.epoch).max();
        let epochs = self.spec.epochs.saturating_sub(done.unwrap_or(0)).max(1);
        self.finished_since = None;
        self.start(peer, epochs)?;
        self.done.restarts += 1;
        Ok(epochs)
    }

    /// Stops the clock of a peer (SIGSTOP): it is silent, but its links stay up.
    pub fn pause(&mut self, peer: u32) {
        self.hold(peer, Hold::Stop, true);
        self.done.pauses += 1;
    }

    /// Lets a paused peer go on.
    pub fn resume(&mut self, peer: u32) {
        self.hold(peer, Hold::GoOn, false);
    }

    fn hold(&mut self, peer: u32, hold: Hold, paused: bool) {
        self.pace.interrupt(peer);
        let Some(slot) = self.slots.get_mut(peer as usize) else { return };
        if let Some(child) = &slot.child {
            child.hold(hold);
            (slot.heard_at, slot.paused) = (Instant::now(), paused);
        }
    }

    /// Does what is due.
    pub(super) fn inject_faults(&mut self, watch: Watch<'_>) -> Result<(), SwarmError> {
        while let Some(&fault) = self.faults.front() {
            if self.started.elapsed() < fault.at {
                break;
            }
            self.faults.pop_front();
            self.faulty = Some(Instant::now());
            self.inject(fault, watch)?;
        }
        Ok(())
    }

    fn inject(&mut self, Fault { peer, action, .. }: Fault, watch: Watch<'_>) -> Result<(), SwarmError> {
        match action {
            Action::Kill => {
                self.returning.retain(|&returning| returning != peer);
                self.kill(peer);
                watch(SwarmEvent::Killed { peer });
            }
            Action::Restart if !self.returning.contains(&peer) => self.returning.push_back(peer),
            Action::Restart => {}
            Action::LoseDevice => {
                if let Some(child) = self.slots.get_mut(peer as usize).and_then(|slot| slot.child.as_mut()) {
                    child.lose_device();
                    watch(SwarmEvent::DeviceLost { peer });
                }
            }
            Action::Pause => {
                self.pause(peer);
                watch(SwarmEvent::Paused { peer });
            }
            Action::Resume => {
                self.resume(peer);
                watch(SwarmEvent::Resumed { peer });
            }
            Action::Cut => {
                self.network.as_ref().map_or(Ok(()), |network| network.cut(peer))?;
                self.done.cuts += 1;
                watch(SwarmEvent::Cut { first: peer });
            }
            Action::Heal => {
                self.network.as_ref().map_or(Ok(()), |network| network.heal())?;
                watch(SwarmEvent::Healed);
            }
        }
        Ok(())
    }

    /// Starts those again whose time has come. On loopback a peer finds no other by itself: it waits until one is there
    /// to be named. When none is left, the first to return is the one that the others are told of.
    pub(super) fn bring_back(&mut self, watch: Watch<'_>) -> Result<(), SwarmError> {
        while let Some(&peer) = self.returning.front() {
            let meet_by_name = self.network.is_none() && self.spec.gossip;
            if self.slots[peer as usize].child.is_none() {
                let company = self.living().next().is_some();
                if meet_by_name && company && self.bootstrap(peer).is_none() {
                    break; // somebody is on its way
                }
                let epochs = self.restart(peer)?;
                watch(SwarmEvent::Restarted { peer, epochs });
            }
            self.returning.pop_front();
        }
        Ok(())
    }

    /// Where the swarm stands between its faults.
    pub(super) fn phase(&self) -> Phase {
        match self.faulty {
            None => Phase::Before,
            Some(_) if self.finished_since.is_some() => Phase::After,
            Some(_) if !self.faults.is_empty() || !self.returning.is_empty() => Phase::During,
            Some(last) if last.elapsed() < AFTERMATH => Phase::During,
            Some(_) => Phase::After,
        }
    }

    pub(super) fn living(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| slot.child.is_some())
    }
}

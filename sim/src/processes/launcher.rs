//! Starts a swarm of processes, watches it, and brings it to its end.
//!
//! ```text
//! peer 0 ---- Ready ----> peers 1.. (bootstrap: any peer that listens) ---- Status, Epoch ... ----> all finished
//! ----> `rest` to all ----> all rest, and `heard` is equal everywhere ----> `finish` to all ----> Final from all ----> reaped
//! ```
//!
//! Every wait has a deadline, and whatever is alive when the [`Swarm`] is dropped is killed and reaped.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::SwarmError;
use super::child::{Child, Said, Tag};
use super::event::ChildEvent;
use super::home;
use super::netns::Namespaces;
use super::pace::Pace;
use super::platform::{CANNOT_PAUSE, private};
use super::slot::{Ending, Patience, PeerFacts, Slot};
use super::spec::{Action, Arrangement, Birth, Fault, SwarmSpec, job_path};
use crate::report::FaultReport;

mod faults;

/// How long a peer may take until it listens and its device is up: software Vulkan compiles every kernel first.
pub const READY_MAX: Duration = Duration::from_secs(300);
/// How long a peer may say nothing when it is up; it tells its state twice a second.
pub const SILENCE_MAX: Duration = Duration::from_secs(30);
/// A launcher that was itself away for longer (ctrl-z, a sleeping machine) does not hold the time against its peers.
const AWAY_MIN: Duration = Duration::from_secs(2);
/// How long the peers may take to agree once all of them have taken their steps.
pub const AGREE_MAX: Duration = Duration::from_secs(15);
/// How long a peer may take for its last agreement, evaluation and word.
pub const FINAL_MAX: Duration = Duration::from_secs(20);
/// The same when the user has asked to stop: ctrl-c ends everything within two seconds.
pub const FINAL_INTERRUPTED_MAX: Duration = Duration::from_millis(1200);
/// How long a child may take to exit after its last word.
const EXIT_MAX: Duration = Duration::from_millis(500);
/// Between two looks at the clock while nobody says anything.
const TICK: Duration = Duration::from_millis(25);
/// Events that may wait for the launcher; beyond it the children's output pipes fill and they wait.
const INBOX_EVENTS_MAX: usize = 4096;

/// A wish to stop, set from a signal handler's thread.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks the swarm to stop soon.
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it was asked to.
    #[must_use]
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What the swarm tells whoever watches.
#[derive(Debug)]
pub enum SwarmEvent<'a> {
    /// A peer said something; `facts` has it already.
    Said {
        /// Which peer.
        peer: u32,
        /// What.
        event: &'a ChildEvent,
        /// All that is known of it.
        facts: &'a PeerFacts,
    },
    /// A line of a peer's log.
    Log {
        /// Which peer.
        peer: u32,
        /// The line.
        line: &'a str,
    },
    /// A peer was killed on request.
    Killed {
        /// Which peer.
        peer: u32,
    },
    /// The device of a peer is taken away on request.
    DeviceLost {
        /// Which peer.
        peer: u32,
    },
    /// A peer was stopped on request.
    Paused {
        /// Which peer.
        peer: u32,
    },
    /// And goes on.
    Resumed {
        /// Which peer.
        peer: u32,
    },
    /// The network was cut in two.
    Cut {
        /// The first peer beyond the cut.
        first: u32,
    },
    /// The network is one again.
    Healed,
    /// A peer was started again.
    Restarted {
        /// Which peer.
        peer: u32,
        /// Epochs it has left.
        epochs: u32,
    },
    /// A peer died by itself, or was killed because it said nothing any more.
    Died {
        /// Which peer.
        peer: u32,
        /// How.
        ending: &'a Ending,
    },
    /// Something was to happen only after the last step of everyone, and does not.
    TooLate {
        /// What.
        fault: Fault,
    },
    /// All steps are taken; now they agree.
    Settling,
    /// They did not agree within [`AGREE_MAX`].
    Disagreed,
}

/// How it went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What is known of every peer.
    pub peers: Vec<PeerFacts>,
    /// Whether the living agreed in time (without gossip there is nothing to agree on).
    pub agreed: bool,
    /// Whether it was asked to stop before its end.
    pub interrupted: bool,
    /// From the first process to the last.
    pub wall: Duration,
    /// From the last step of everyone until they had heard the same.
    pub agreed_after: Option<Duration>,
    /// What was done to them, and how fast the others trained meanwhile.
    pub faults: FaultReport,
}

impl Outcome {
    /// Peers that neither finished nor were killed on request.
    pub fn failed(&self) -> impl Iterator<Item = (u32, &Ending)> {
        (0..)
            .zip(&self.peers)
            .map(|(index, facts)| (index, &facts.ending))
            .filter(|(_, ending)| matches!(ending, Ending::Died { .. } | Ending::Overdue | Ending::Silent { .. }))
    }
}

/// A running swarm.
#[derive(Debug)]
pub struct Swarm {
    // Before `network` and `home`: fields drop in order, and the children go first.
    slots: Vec<Slot>,
    inbox: Receiver<(Tag, Said)>,
    outbox: SyncSender<(Tag, Said)>,
    faults: VecDeque<Fault>,
    /// Peers that are to be started again as soon as they can be told where another one listens.
    returning: VecDeque<u32>,
    patience: Patience,
    looked_at: Instant,
    finished_since: Option<Instant>,
    /// When something was last done to a peer.
    faulty: Option<Instant>,
    pace: Pace,
    done: FaultReport,
    started: Instant,
    network: Option<Namespaces>,
    home: TempDir,
    spec: SwarmSpec,
}

/// Receives what happens.
pub type Watch<'w> = &'w mut dyn FnMut(SwarmEvent<'_>);

impl Swarm {
    /// Prepares files and namespaces; starts nothing yet.
    ///
    /// # Errors
    /// When the job cannot be written, the namespaces cannot be made, or a peer is to be paused where no process can be.
    pub fn new(spec: SwarmSpec) -> Result<Self, SwarmError> {
        home::remove_stale();
        let home = home::create().map_err(SwarmError::io("make a directory"))?;
        if let Some(why) =
            CANNOT_PAUSE.filter(|_| spec.faults.iter().any(|fault| matches!(fault.action, Action::Pause)))
        {
            return Err(SwarmError::Pause(why));
        }
        private(&mut OpenOptions::new())
            .write(true)
            .create_new(true)
            .open(job_path(home.path()))
            .and_then(|mut file| file.write_all(spec.job.as_bytes()))
            .map_err(SwarmError::io("write the job file"))?;
        let network = match spec.arrangement {
            Arrangement::Loopback => None,
            Arrangement::Namespaces => Some(Namespaces::create(spec.peers)?),
        };
        let (outbox, inbox) = sync_channel(INBOX_EVENTS_MAX);
        let mut faults = spec.faults.clone();
        faults.sort_by_key(|fault| fault.at);
        Ok(Self {
            slots: (0..spec.peers).map(|_| Slot::new()).collect(),
            inbox,
            outbox,
            faults: faults.into(),
            returning: VecDeque::new(),
            patience: Patience { starting: READY_MAX, running: SILENCE_MAX },
            looked_at: Instant::now(),
            finished_since: None,
            faulty: None,
            pace: Pace::new(spec.peers),
            done: FaultReport::default(),
            started: Instant::now(),
            network,
            home,
            spec,
        })
    }

    /// Runs the swarm from its first process to its last word.
    ///
    /// # Errors
    /// When the first peer does not come up, or the network cannot be cut. A peer that dies later is reported and the others go on.
    pub fn run(mut self, stop: &Stop, watch: Watch<'_>) -> Result<Outcome, SwarmError> {
        self.started = Instant::now();
        self.start_all(stop, watch)?;
        let (mut agreed, mut agreed_after) = (true, None);
        while !stop.requested() {
            self.inject_faults(watch)?;
            self.bring_back(watch)?;
            self.listen(TICK, watch);
            self.end_silent(watch);
            self.note_finish(watch);
            if self.over() {
                agreed_after = self.finished_since.map(|since| since.elapsed()).filter(|_| self.spec.gossip);
                break;
            }
            if self.finished_since.is_some_and(|since| since.elapsed() > AGREE_MAX) {
                // Without gossip they only had to come to rest.
                if self.spec.gossip {
                    watch(SwarmEvent::Disagreed);
                    agreed = false;
                }
                break;
            }
        }
        let interrupted = stop.requested();
        self.collect(stop, watch);
        let wall = self.started.elapsed();
        let peers = self.slots.iter().map(|slot| slot.facts.clone()).collect();
        let (before, during) = self.pace.rates();
        let faults = FaultReport {
            steps_per_second_before: before,
            steps_per_second_during: during,
            step_rate_kept: during.zip(before).map(|(during, before)| during / before),
            ..self.done
        };
        Ok(Outcome { peers, agreed: agreed && !interrupted, interrupted, wall, agreed_after, faults })
    }

    /// The first peer alone, since the others need its address and would fail for the same reasons; then the others.
    fn start_all(&mut self, stop: &Stop, watch: Watch<'_>) -> Result<(), SwarmError> {
        self.start(0, self.spec.epochs)?;
        let deadline = Instant::now() + READY_MAX;
        while self.slots[0].facts.ready.is_none() {
            self.listen(TICK, watch);
            if stop.requested() {
                return Err(SwarmError::Stopped);
            }
            if let Ending::Died { code, stderr, .. } = &self.slots[0].facts.ending {
                return Err(SwarmError::NotReady { peer: 0, code: *code, stderr: stderr.clone() });
            }
            if Instant::now() > deadline {
                return Err(SwarmError::Silent { peer: 0 });
            }
        }
        for peer in 1..self.spec.peers {
            self.start(peer, self.spec.epochs)?;
        }
        Ok(())
    }

    fn start(&mut self, peer: u32, epochs: u32) -> Result<(), SwarmError> {
        let bootstrap = self.bootstrap(peer);
        let lives = self.slots[peer as usize].facts.lives;
        let birth = Birth { index: peer, home: self.home.path(), bootstrap: bootstrap.as_deref(), epochs, lives };
        let mut command = match &self.network {
            Some(network) => network.command(peer, &self.spec.program),
            None => Command::new(&self.spec.program),
        };
        command.args(self.spec.child_arguments(birth));
        let slot = &mut self.slots[peer as usize];
        slot.facts.new_life();
        let tag = Tag { peer, life: slot.facts.lives };
        let doing = format!("start {}", self.spec.program.display());
        slot.child = Some(Child::start(command, tag, &self.outbox).map_err(SwarmError::io(doing))?);
        (slot.heard_at, slot.paused) = (Instant::now(), false);
        Ok(())
    }

    /// Where a living peer other than `newcomer` listens; in namespaces they find each other by themselves.
    fn bootstrap(&self, newcomer: u32) -> Option<String> {
        if self.network.is_some() || !self.spec.gossip {
            return None;
        }
        let living = (0..).zip(&self.slots).filter(|(index, slot)| *index != newcomer && slot.child.is_some());
        living.filter_map(|(_, slot)| slot.facts.ready.as_ref()?.addresses.first().cloned()).next()
    }

    /// Kills the peers that say nothing any more: stopped, hanging in a driver, or never come up.
    fn end_silent(&mut self, watch: Watch<'_>) {
        let away = self.looked_at.elapsed();
        self.looked_at = Instant::now();
        for (peer, slot) in (0..).zip(&mut self.slots) {
            if away > AWAY_MIN {
                slot.heard_at = self.looked_at;
            }
            let Some(silence) = slot.overdue(self.patience) else { continue };
            if let Some(child) = slot.child.take() {
                child.kill();
                slot.facts.ending = Ending::Silent { seconds: silence.as_secs() };
                watch(SwarmEvent::Died { peer, ending: &slot.facts.ending });
            }
        }
    }

    /// Takes in what was said; waits for it `patience` at most.
    fn listen(&mut self, patience: Duration, watch: Watch<'_>) {
        let mut patience = patience;
        loop {
            match self.inbox.recv_timeout(patience) {
                Ok((tag, said)) => self.hear(tag, said, watch),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
            patience = Duration::ZERO;
        }
    }

    fn hear(&mut self, tag: Tag, said: Said, watch: Watch<'_>) {
        let (peer, phase) = (tag.peer, self.phase());
        let Some(slot) = self.slots.get_mut(peer as usize) else { return };
        if tag.life != slot.facts.lives {
            return; // the last words of a life that was ended
        }
        slot.heard_at = Instant::now();
        match said {
            Said::Event(event) => {
                slot.facts.hear(&event);
                if let ChildEvent::Status(status) = &event {
                    self.pace.note(peer, tag.life, status.steps, slot.heard_at, phase);
                }
                watch(SwarmEvent::Said { peer, event: &event, facts: &slot.facts });
            }
            Said::Log(line) | Said::Garbage(line) => watch(SwarmEvent::Log { peer, line: &line }),
            Said::Closed => {
                let Some(mut child) = slot.child.take() else { return };
                let exit = child.reap(EXIT_MAX);
                slot.facts.ending = if slot.facts.last.is_some() && exit.code == Some(0) {
                    Ending::Finished
                } else {
                    Ending::Died { code: exit.code, signal: exit.signal, stderr: exit.stderr }
                };
                // One that never came up is the caller's error to show, not an event.
                let up = slot.facts.ready.is_some() || peer > 0;
                if up && matches!(slot.facts.ending, Ending::Died { .. }) {
                    watch(SwarmEvent::Died { peer, ending: &slot.facts.ending });
                }
            }
        }
    }

    /// Notes when the last living peer has taken its last step.
    fn note_finish(&mut self, watch: Watch<'_>) {
        let anybody = self.living().next().is_some();
        let finished = anybody && self.returning.is_empty() && self.have_trained_enough();
        match (finished, self.finished_since) {
            (true, None) => {
                self.finished_since = Some(Instant::now());
                // They would train for as long as there is something to wait for.
                self.faults.drain(..).for_each(|fault| watch(SwarmEvent::TooLate { fault }));
                // Together: a peer that stopped earlier would have its data forgotten by those that go on.
                for child in self.slots.iter_mut().filter_map(|slot| slot.child.as_mut()) {
                    child.rest();
                }
                watch(SwarmEvent::Settling);
            }
            (false, Some(_)) => self.finished_since = None,
            _ => {}
        }
    }

    fn have_trained_enough(&self) -> bool {
        match self.spec.duration {
            // Who has just come back is up before it is told to rest, and what is mended at the very end is mended.
            Some(duration) => {
                self.started.elapsed() >= duration
                    && self.faults.front().is_none_or(|fault| fault.at > duration)
                    && self.living().all(|slot| slot.facts.status.is_some())
            }
            None => self.living().all(Slot::finished),
        }
    }

    /// Whether nobody is left, or the living are through and agree.
    fn over(&self) -> bool {
        if self.living().next().is_none() {
            return self.returning.is_empty() && self.faults.iter().all(|fault| fault.action != Action::Restart);
        }
        if self.finished_since.is_none() {
            return false;
        }
        if !self.living().all(Slot::resting) {
            return false;
        }
        let mut heard = self.living().map(Slot::heard);
        let first = heard.next().flatten();
        !self.spec.gossip || heard.all(|hash| hash.is_some() && hash == first)
    }

    /// Asks all for their last word, waits for it, and kills who does not say it in time.
    fn collect(&mut self, stop: &Stop, watch: Watch<'_>) {
        for child in self.slots.iter_mut().filter_map(|slot| slot.child.as_mut()) {
            child.finish();
        }
        let asked = Instant::now();
        let mut deadline = asked + FINAL_MAX;
        while self.living().next().is_some() && Instant::now() < deadline {
            if stop.requested() {
                deadline = deadline.min(Instant::now() + FINAL_INTERRUPTED_MAX);
            }
            self.listen(TICK, watch);
        }
        for slot in &mut self.slots {
            if let Some(child) = slot.child.take() {
                child.kill();
                slot.facts.ending = Ending::Overdue;
            }
        }
    }
}

#[cfg(test)]
mod tests;

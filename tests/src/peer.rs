//! One real peer on a leash, as the launcher of `sim` holds it: what it says are events, what it is told are words.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sim::processes::ChildEvent;
use sim::processes::event::{Ready, Status};
use sim::report::PeerReport;

use crate::costs::Process;

/// A process of `starling run --child`; killed when it is dropped.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    leash: ChildStdin,
    events: Receiver<(Instant, ChildEvent)>,
    /// Where it listens.
    pub ready: Option<Ready>,
    /// What it wants people to know.
    pub notes: Vec<String>,
    /// How it stands.
    pub status: Status,
    /// The most neighbours it had so far, and since when.
    pub company: Option<(u32, Instant)>,
    /// Its last word.
    pub report: Option<PeerReport>,
}

impl Peer {
    /// Starts `command`, which is a `starling run --child`.
    ///
    /// # Panics
    /// When there is no such program.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let (leash, output) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let (sender, events) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let event = ChildEvent::from_line(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                if sender.send((Instant::now(), event)).is_err() {
                    return;
                }
            }
        });
        let (notes, status) = (Vec::new(), Status::default());
        Self { child, leash, events, ready: None, notes, status, company: None, report: None }
    }

    /// Listens until `done`.
    ///
    /// # Panics
    /// When that takes longer than `deadline`, or it dies before.
    pub fn until(&mut self, what: &str, deadline: Duration, mut done: impl FnMut(&Self) -> bool) {
        let until = Instant::now() + deadline;
        while !done(self) {
            match self.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok((at, event)) => self.hear(at, event),
                Err(RecvTimeoutError::Disconnected) => panic!("it ended before: {what}; {:?}", self.status),
                Err(RecvTimeoutError::Timeout) => panic!("in time: {what}; {:?}", self.status),
            }
        }
    }

    /// Takes in what it has said already.
    pub fn catch_up(&mut self) {
        while let Ok((at, event)) = self.events.try_recv() {
            self.hear(at, event);
        }
    }

    fn hear(&mut self, at: Instant, event: ChildEvent) {
        match event {
            ChildEvent::Ready(ready) => self.ready = Some(ready),
            ChildEvent::Status(status) => {
                if self.company.is_none_or(|(neighbours, _)| neighbours < status.neighbours) {
                    self.company = Some((status.neighbours, at));
                }
                self.status = status;
            }
            ChildEvent::Note(note) => self.notes.push(note.text),
            ChildEvent::Final(report) => self.report = Some(*report),
            _ => {}
        }
    }

    /// The address that it listens on.
    ///
    /// # Panics
    /// When it does not say so in time.
    pub fn address(&mut self, deadline: Duration) -> String {
        self.until("it listens", deadline, |peer| peer.ready.is_some());
        self.ready.as_ref().expect("it is ready").addresses[0].clone()
    }

    /// Tells it `rest` or `finish`.
    ///
    /// # Panics
    /// When it is gone.
    pub fn tell(&mut self, word: &str) {
        writeln!(self.leash, "{word}").expect("it listens");
    }

    /// Its process.
    #[must_use]
    pub fn process(&self) -> Process {
        Process(Pid::from_raw(self.child.id() as i32))
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it is gone.
    pub fn signal(&self, signal: Signal) {
        kill(self.process().0, signal).expect("it runs");
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: no goodbye.
    ///
    /// # Panics
    /// When it is gone already.
    pub fn kill(mut self) {
        self.child.kill().expect("it lives");
        self.child.wait().expect("it is dead");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

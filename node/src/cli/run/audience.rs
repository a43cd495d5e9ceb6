//! Who listens to what happens: a person, or a launcher.

use std::io;

use sim::processes::event::Note;
use sim::processes::{ChildEvent, PeerFacts};
use sim::report::PeerReport;

use crate::cli::outlet::Outlet;
use crate::cli::summary;
use crate::cli::table::{Screen, device};
use crate::error::Error;

/// Who listens to what happens.
pub(super) trait Audience {
    /// Called from the driver's loop: never waits for a reader.
    fn tell(&mut self, event: ChildEvent);
    /// After the last event: waits until all was read. There is a report when all went well. An error when it cannot be written.
    fn close(&mut self, report: Option<&PeerReport>) -> Result<(), Error>;
}

/// A launcher: lines of JSON on standard output.
pub(super) struct Lines {
    outlet: Outlet<ChildEvent>,
}

/// Beyond so many lines that wait for the launcher, the state is not told any more: it is told again twice a second.
const STATUS_LINES_MAX: usize = 1024;
/// Epochs and notes that may wait for the launcher: hours of training, a few MiB.
const EVENT_LINES_MAX: usize = 64 * 1024;

impl Lines {
    pub(super) fn new() -> Self {
        Self::to(io::stdout())
    }

    fn to(mut stream: impl io::Write + Send + 'static) -> Self {
        let write = move |event: ChildEvent| {
            // A launcher that is gone is noticed on standard input.
            let _ = stream.write_all(event.to_line().as_bytes()).and_then(|()| stream.flush());
        };
        Self { outlet: Outlet::start(write) }
    }
}

impl Audience for Lines {
    fn tell(&mut self, event: ChildEvent) {
        match event {
            ChildEvent::Status(_) => drop(self.outlet.try_offer(event, STATUS_LINES_MAX)),
            // Each once in a life, and the launcher waits for them.
            ChildEvent::Ready(_) | ChildEvent::Final(_) => self.outlet.insist(event),
            ChildEvent::Epoch(_) | ChildEvent::Note(_) | ChildEvent::Restored(_) => {
                self.outlet.offer(event, EVENT_LINES_MAX);
            }
        }
    }

    fn close(&mut self, _report: Option<&PeerReport>) -> Result<(), Error> {
        let dropped = self.outlet.take_dropped();
        if dropped > 0 {
            let text = format!("{dropped} events are missing: the launcher did not read them in time");
            self.outlet.insist(ChildEvent::Note(Note { text }));
        }
        self.outlet.drain();
        Ok(())
    }
}

/// A person.
pub(super) struct People {
    screen: Screen,
    facts: PeerFacts,
}

impl People {
    pub(super) fn new(epochs: Option<u32>, to_stderr: bool, quiet: bool) -> Self {
        let screen = Screen::new(1, epochs, to_stderr, quiet);
        screen.open();
        Self { screen, facts: PeerFacts::default() }
    }
}

impl Audience for People {
    fn tell(&mut self, event: ChildEvent) {
        self.facts.hear(&event);
        if let ChildEvent::Ready(ready) = &event {
            self.screen.line(&format!("peer {} on {}", &ready.peer[..8], device(&ready.device, &ready.backend)));
            for address in &ready.addresses {
                self.screen.line(&format!("listening on {address}"));
            }
        }
        self.screen.said(0, &event, &self.facts);
    }

    fn close(&mut self, report: Option<&PeerReport>) -> Result<(), Error> {
        self.screen.close();
        if let Some(report) = report {
            self.screen.last_word(&summary::peer(report));
        }
        self.screen.drain()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::io::{BufRead as _, BufReader};
    use std::thread;

    use sim::processes::event::{EpochDone, Status};

    use super::*;

    #[test]
    fn a_launcher_that_does_not_read_loses_states_but_no_results() {
        let (reader, writer) = io::pipe().unwrap();
        let mut lines = Lines::to(writer);
        // Much more than a pipe holds.
        const EPOCHS: u32 = 10_000;
        for epoch in 1..=EPOCHS {
            lines.tell(ChildEvent::Status(Status { epoch, ..Status::default() }));
            let base_hash = String::new();
            let losses =
                EpochDone { epoch, steps: 0, train_loss: None, test_loss: None, test_accuracy: None, base_hash };
            lines.tell(ChildEvent::Epoch(losses));
        }
        lines.tell(ChildEvent::Final(Box::default()));
        let reading = thread::spawn(move || {
            BufReader::new(reader)
                .lines()
                .map(|line| ChildEvent::from_line(&line.unwrap()).unwrap())
                .collect::<Vec<_>>()
        });
        lines.close(None).unwrap();
        drop(lines);
        let heard = reading.join().unwrap();
        let count = |is: fn(&ChildEvent) -> bool| heard.iter().filter(|event| is(event)).count();
        assert_eq!(count(|event| matches!(event, ChildEvent::Epoch(_))), EPOCHS as usize);
        assert!(count(|event| matches!(event, ChildEvent::Status(_))) < EPOCHS as usize);
        assert!(matches!(heard.last(), Some(ChildEvent::Final(_))));
    }
}

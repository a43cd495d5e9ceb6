//! What the terminal shows while peers train: a live table, or one plain line a peer and epoch. An [`Outlet`] does the
//! writing: see there why.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use sim::processes::PeerFacts;
use sim::processes::event::{ChildEvent, EpochDone, Status};

use super::format::{bytes, duration, loss, pace, percent, short};
use super::outlet::Outlet;
use super::say;
use crate::error::Error;
use crate::text::{LOG_LINE_CHARS_MAX, TEXT_CHARS_MAX, escape};

/// Between two drawings of the live table.
const DRAWS_PER_SECOND: u8 = 8;
/// Longest device name in a table, characters.
const DEVICE_CHARS_MAX: usize = 32;

/// Lines that may wait for a reader.
const LINES_MAX: usize = 16 * 1024;
/// Rows of the live table that may wait for the terminal; newer ones say it again.
const ROWS_MAX: usize = 256;

/// What people look at. Nothing here ever waits for them, but for [`Screen::last_word`].
#[derive(Debug)]
pub(super) struct Screen {
    outlet: Outlet<Draw>,
    /// Whether a live table takes what else are lines.
    terminal: bool,
    epochs: Option<u32>,
    peers: u32,
    /// Only warnings and the last word are shown.
    quiet: bool,
    /// The first write to standard output that failed, but for those whose reader was gone.
    failure: Arc<Mutex<Option<io::Error>>>,
}

/// What the thread of the screen is told to do.
#[derive(Debug)]
enum Draw {
    /// A line for people.
    Line(String),
    /// A line of a log, which belongs on standard error.
    Log(String),
    /// A live table of so many rows.
    Open { peers: u32, epochs: Option<u32> },
    /// A row of it has changed.
    Row { peer: u32, text: String, position: u64 },
    /// Takes the bars away and leaves the last state of the table.
    Close,
}

impl Screen {
    /// A table of `peers` rows on a terminal, plain lines elsewhere. `epochs` is the length of a row's bar.
    pub(super) fn new(peers: u32, epochs: Option<u32>, to_stderr: bool, quiet: bool) -> Self {
        let terminal = !quiet && if to_stderr { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
        let failure = Arc::default();
        let mut canvas = Canvas { to_stderr, live: None, failure: Arc::clone(&failure) };
        Self { outlet: Outlet::start(move |draw| canvas.draw(draw)), terminal, epochs, peers, quiet, failure }
    }

    /// Begins a live table, on a terminal.
    pub(super) fn open(&self) {
        if self.terminal {
            self.outlet.insist(Draw::Open { peers: self.peers, epochs: self.epochs });
        }
    }

    /// A line for people.
    pub(super) fn line(&self, text: &str) {
        if !self.quiet {
            self.warn(text);
        }
    }

    /// A line that is there with `--quiet`, too.
    pub(super) fn warn(&self, text: &str) {
        self.outlet.offer(Draw::Line(text.to_owned()), LINES_MAX);
    }

    /// A line of a log.
    pub(super) fn log(&self, text: &str) {
        self.outlet.offer(Draw::Log(escape(text, LOG_LINE_CHARS_MAX)), LINES_MAX);
    }

    /// A peer said something.
    pub(super) fn said(&self, peer: u32, event: &ChildEvent, facts: &PeerFacts) {
        if self.terminal {
            let text = row_text(facts, self.epochs);
            self.outlet.try_offer(Draw::Row { peer, text, position: position(facts) }, ROWS_MAX);
        } else if let ChildEvent::Epoch(epoch) = event {
            let line = epoch_line(self.numbered().then_some(peer), epoch, facts, self.epochs);
            self.line(&line);
        }
        match event {
            ChildEvent::Note(note) => {
                let text = self.about(peer, &escape(&note.text, TEXT_CHARS_MAX));
                self.note_as(&note.text, &text);
            }
            ChildEvent::Restored(restored) => {
                let size = bytes(restored.bytes as f64);
                let what = format!("caught up by a snapshot of {size}, {} deltas in it", restored.deltas);
                let text = self.about(peer, &what);
                self.line(&text);
            }
            _ => {}
        }
    }

    /// A note of the machine: no news, where it warns.
    pub(super) fn note(&self, text: &str) {
        self.note_as(text, text);
    }

    fn note_as(&self, note: &str, text: &str) {
        if is_warning(note) { self.warn(text) } else { self.line(text) }
    }

    /// A sentence about a peer.
    pub(super) fn about(&self, peer: u32, text: &str) -> String {
        if self.numbered() { format!("peer {peer}: {text}") } else { text.to_owned() }
    }

    /// Whether a line says which peer it is about.
    fn numbered(&self) -> bool {
        self.peers > 1
    }

    /// Ends the live table.
    pub(super) fn close(&self) {
        self.outlet.insist(Draw::Close);
    }

    /// What must be read, after everything else: waits for the reader.
    pub(super) fn last_word(&self, text: &str) {
        self.confess();
        self.outlet.insist(Draw::Line(text.to_owned()));
        self.outlet.drain();
    }

    /// Waits until all of it was read; an error when something could not be written.
    pub(super) fn drain(&self) -> Result<(), Error> {
        self.confess();
        self.outlet.drain();
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        say::written(failure.map_or(Ok(()), Err))
    }

    /// Says what could not be said.
    fn confess(&self) {
        let dropped = self.outlet.take_dropped();
        if dropped > 0 {
            self.outlet.insist(Draw::Line(format!("({dropped} lines are missing: nobody read them in time)")));
        }
    }
}

/// The thread's side of a [`Screen`].
#[derive(Debug)]
struct Canvas {
    /// Standard output, unless data has taken it.
    to_stderr: bool,
    live: Option<Live>,
    /// See [`Screen`].
    failure: Arc<Mutex<Option<io::Error>>>,
}

#[derive(Debug)]
struct Live {
    all: MultiProgress,
    head: ProgressBar,
    rows: Vec<ProgressBar>,
}

impl Canvas {
    fn draw(&mut self, draw: Draw) {
        match draw {
            Draw::Line(text) => self.write(&text, self.to_stderr),
            Draw::Log(text) => self.write(&text, true),
            Draw::Open { peers, epochs } => self.live = Some(Live::new(peers, epochs, self.to_stderr)),
            Draw::Row { peer, text, position } => {
                if let Some(row) = self.live.as_ref().and_then(|live| live.rows.get(peer as usize)) {
                    row.set_message(text);
                    row.set_position(position);
                }
            }
            Draw::Close => {
                if let Some(live) = self.live.take() {
                    live.rows.iter().chain([&live.head]).for_each(ProgressBar::abandon);
                }
            }
        }
    }

    fn write(&self, text: &str, to_stderr: bool) {
        let write = || {
            // A reader that is gone (`| head`) must not stop the training.
            let done = if to_stderr { writeln!(io::stderr(), "{text}") } else { writeln!(io::stdout(), "{text}") };
            if let Err(error) = done
                && !to_stderr
                && error.kind() != io::ErrorKind::BrokenPipe
            {
                self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        };
        match &self.live {
            Some(live) => live.all.suspend(write),
            None => write(),
        }
    }
}

impl Live {
    fn new(peers: u32, epochs: Option<u32>, to_stderr: bool) -> Self {
        let target = if to_stderr {
            ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND)
        } else {
            ProgressDrawTarget::stdout_with_hz(DRAWS_PER_SECOND)
        };
        let all = MultiProgress::with_draw_target(target);
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let bar = if plain { "{prefix:>4} [{bar:10}] {wide_msg}" } else { "{prefix:>4} [{bar:10.cyan}] {wide_msg}" };
        let style = |template: &str| {
            ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> ")
        };
        let head = all.add(ProgressBar::new(1).with_style(style("{wide_msg}")));
        head.set_message(HEAD);
        let length = epochs.map(|epochs| u64::from(epochs) * EPOCH_PARTS);
        let rows = (0..peers)
            .map(|peer| {
                let row = all.add(ProgressBar::no_length().with_style(style(bar)).with_prefix(peer.to_string()));
                if let Some(length) = length {
                    row.set_length(length);
                }
                row.set_message("starting");
                row.enable_steady_tick(Duration::from_secs(1));
                row
            })
            .collect();
        Self { all, head, rows }
    }
}

/// Parts of an epoch on a progress bar.
const EPOCH_PARTS: u64 = 100;

fn position(facts: &PeerFacts) -> u64 {
    let (Some(ready), Some(status)) = (&facts.ready, &facts.status) else { return 0 };
    status.steps * EPOCH_PARTS / u64::from(ready.steps_per_epoch.max(1))
}

/// Until the last epoch at this pace; `None` without one, or while no steps are taken.
fn seconds_left(facts: &PeerFacts, epochs: Option<u32>) -> Option<f64> {
    let (ready, status) = (facts.ready.as_ref()?, facts.status.as_ref()?);
    let steps = u64::from(epochs?) * u64::from(ready.steps_per_epoch);
    let pace = f64::from(status.steps_per_second);
    (!status.resting && pace > 0.0).then(|| steps.saturating_sub(status.steps) as f64 / pace)
}

/// Whether a note is no news but a warning: those begin with that word, or with another in capitals.
fn is_warning(text: &str) -> bool {
    if text.starts_with("warning:") {
        return true;
    }
    let word = text.split([' ', ':']).next().unwrap_or("");
    word.len() > 3 && word.chars().all(|letter| letter.is_ascii_uppercase())
}

const HEAD: &str = "peer              epoch     step  steps/s     left    train     test  accuracy   said  heard      sent  received  \
                    disagree  base      device";

fn row_text(facts: &PeerFacts, epochs: Option<u32>) -> String {
    let nothing = Status::default();
    let status = facts.status.as_ref().unwrap_or(&nothing);
    let epoch = facts.epoch.as_ref();
    let device = facts.ready.as_ref().map_or_else(String::new, |ready| device(&ready.device, &ready.backend));
    format!(
        "{:>5} {:>8} {:>8} {:>8} {:>8} {:>8} {:>9} {:>6} {:>6} {:>9} {:>9} {:>9}  {:<8}  {device}",
        status.epoch,
        status.steps,
        pace(status.steps_per_second),
        duration(seconds_left(facts, epochs)),
        loss(status.train_loss),
        loss(epoch.and_then(|epoch| epoch.test_loss)),
        percent(epoch.and_then(|epoch| epoch.test_accuracy).map(f64::from)),
        status.deltas_said,
        status.deltas_heard,
        bytes(status.bytes_sent as f64),
        bytes(status.bytes_received as f64),
        loss(status.disagreement),
        short(epoch.map(|epoch| epoch.base_hash.as_str())),
    )
}

fn epoch_line(peer: Option<u32>, epoch: &EpochDone, facts: &PeerFacts, epochs: Option<u32>) -> String {
    let nothing = Status::default();
    let status = facts.status.as_ref().unwrap_or(&nothing);
    let who = peer.map_or_else(String::new, |peer| format!("peer {peer}  "));
    let left = seconds_left(facts, epochs).map_or_else(String::new, |left| format!("  left {}", duration(Some(left))));
    format!(
        "{who}epoch {:>3}  step {:>6}  train {}  test {}  accuracy {:>7}  said {}  heard {}  sent {}  received {}  \
         disagreement {}  base {}  steps/s {}{left}",
        epoch.epoch,
        epoch.steps,
        loss(epoch.train_loss),
        loss(epoch.test_loss),
        percent(epoch.test_accuracy.map(f64::from)),
        status.deltas_said,
        status.deltas_heard,
        bytes(status.bytes_sent as f64),
        bytes(status.bytes_received as f64),
        loss(status.disagreement),
        short(Some(&epoch.base_hash)),
        pace(status.steps_per_second),
    )
}

/// `llvmpipe (vulkan)`
pub(super) fn device(name: &str, backend: &str) -> String {
    let name = escape(name, DEVICE_CHARS_MAX);
    if name == backend { name } else { format!("{name} ({backend})") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use sim::processes::event::Ready;

    use super::*;

    fn facts(steps: u64, steps_per_second: f32) -> PeerFacts {
        let ready = Ready {
            peer: "ab".repeat(32),
            addresses: Vec::new(),
            device: "cpu".into(),
            backend: "cpu".into(),
            parameters: 10,
            steps_per_epoch: 20,
        };
        let status = Status { steps, steps_per_second, ..Status::default() };
        PeerFacts { ready: Some(ready), status: Some(status), ..PeerFacts::default() }
    }

    #[test]
    fn a_row_says_how_fast_and_for_how_long_under_the_words_of_the_head() {
        let row = row_text(&facts(40, 12.5), Some(10));
        assert_eq!(seconds_left(&facts(40, 12.5), Some(10)), Some(160.0 / 12.5));
        assert!(row.contains(" 12.5 ") && row.contains(" 13 s "), "{row}");
        let words = |word: &str| HEAD.find(word).unwrap() + word.len() - "   0 [==========] ".len();
        assert_eq!(&row[..words("steps/s")], format!("{:>5} {:>8} {:>8}", 0, 40, "12.5"), "{row}");
        for (facts, epochs) in [(facts(40, 12.5), None), (facts(40, 0.0), Some(10)), (PeerFacts::default(), Some(10))] {
            assert_eq!(seconds_left(&facts, epochs), None);
        }
        assert_eq!(seconds_left(&facts(900, 1.0), Some(10)), Some(0.0), "over");
    }

    #[test]
    fn who_is_quiet_tells_of_what_is_wrong_and_of_nothing_else() {
        for text in [
            "WARNING: the checkpoint at step 3 cannot be written",
            "BASE MISMATCH with a",
            "warning: others may read it",
        ] {
            assert!(is_warning(text), "{text}");
        }
        for text in ["training on shard 0", "GPU 3 is there", "", "A", "dashboard on http://127.0.0.1:1/"] {
            assert!(!is_warning(text), "{text}");
        }
    }
}

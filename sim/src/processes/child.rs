//! One child process: started on a leash, read line by line, and never left behind.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child as Process, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::event::{ChildEvent, LINE_BYTES_MAX};
use super::platform::{self, Hold};

/// Lines of standard error that are kept for the message when a child dies.
const STDERR_LINES_KEPT: usize = 12;
/// Between two looks at whether a child has exited.
const REAP_POLL: Duration = Duration::from_millis(5);
/// How long a killed process may take to be reaped; it is the kernel's work alone.
const REAP_MAX: Duration = Duration::from_secs(5);
/// How long the reader of its standard error may take after its end.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);

/// Which process a message comes from: a peer may have several lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) peer: u32,
    pub(super) life: u32,
}

/// What the reader threads pass on.
#[derive(Debug)]
pub(super) enum Said {
    Event(ChildEvent),
    /// A line of standard error.
    Log(String),
    /// A line of standard output that is no event.
    Garbage(String),
    /// Standard output is closed: the process is at its end.
    Closed,
}

/// How a process ended.
#[derive(Clone, Debug)]
pub(super) struct Exit {
    pub(super) code: Option<i32>,
    pub(super) signal: Option<i32>,
    pub(super) stderr: String,
}

/// A running child. Dropping it kills and reaps it.
#[derive(Debug)]
pub(super) struct Child {
    process: Process,
    leash: Option<ChildStdin>,
    stderr: Arc<Mutex<VecDeque<String>>>,
    stderr_reader: Option<JoinHandle<()>>,
}

impl Child {
    /// Starts `command`; what it says arrives at `outbox`.
    pub(super) fn start(mut command: Command, tag: Tag, outbox: &SyncSender<(Tag, Said)>) -> io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        platform::in_group_of_its_own(&mut command);
        // Software Vulkan would start a thread a core in every process.
        if std::env::var_os("LP_NUM_THREADS").is_none() {
            command.env("LP_NUM_THREADS", "1");
        }
        let mut process = command.spawn()?;
        let leash = process.stdin.take();
        let stderr = Arc::new(Mutex::new(VecDeque::new()));
        let stderr_reader = process.stderr.take().map(|stream| {
            let (kept, outbox) = (Arc::clone(&stderr), outbox.clone());
            thread::spawn(move || read_stderr(stream, tag, &kept, &outbox))
        });
        if let Some(stream) = process.stdout.take() {
            let outbox = outbox.clone();
            thread::spawn(move || read_stdout(stream, tag, &outbox));
        }
        Ok(Self { process, leash, stderr, stderr_reader })
    }

    /// Asks it to agree, evaluate and stop. A child that is gone already needs no asking.
    pub(super) fn finish(&mut self) {
        self.tell(b"finish\n");
    }

    /// Asks it to take no further step.
    pub(super) fn rest(&mut self) {
        self.tell(b"rest\n");
    }

    /// Takes its device away.
    pub(super) fn lose_device(&mut self) {
        self.tell(b"lose device\n");
    }

    fn tell(&mut self, line: &[u8]) {
        if let Some(leash) = &mut self.leash {
            let _ = leash.write_all(line).and_then(|()| leash.flush());
        }
    }

    /// Stops its clock, or lets it go on.
    pub(super) fn hold(&self, hold: Hold) {
        platform::hold(&self.process, hold);
    }

    /// Kills it with SIGKILL and reaps it.
    pub(super) fn kill(mut self) -> Exit {
        let _ = self.process.kill();
        self.reap(REAP_MAX)
    }

    /// Waits until it has exited, kills it after `patience`.
    pub(super) fn reap(&mut self, patience: Duration) -> Exit {
        let deadline = Instant::now() + patience;
        let mut status = None;
        while status.is_none() && Instant::now() < deadline {
            match self.process.try_wait() {
                Ok(None) => thread::sleep(REAP_POLL),
                Ok(found) => status = found,
                Err(_) => break,
            }
        }
        if status.is_none() {
            let _ = self.process.kill();
            status = self.process.wait().ok();
        }
        self.await_last_words();
        let stderr = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        Exit {
            code: status.and_then(|s: ExitStatus| s.code()),
            signal: status.and_then(platform::signal_of),
            stderr: stderr.iter().cloned().collect::<Vec<_>>().join("\n"),
        }
    }
}

impl Child {
    /// Standard error is read by a thread of its own, which may be a moment behind the end of the process.
    fn await_last_words(&self) {
        let deadline = Instant::now() + LAST_WORDS_MAX;
        while self.stderr_reader.as_ref().is_some_and(|reader| !reader.is_finished()) && Instant::now() < deadline {
            thread::sleep(REAP_POLL);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn read_stdout(stream: impl Read, tag: Tag, outbox: &SyncSender<(Tag, Said)>) {
    let mut reader = BufReader::new(stream);
    while let Some(line) = read_line(&mut reader) {
        let said = ChildEvent::from_line(&line).map_or_else(|_| Said::Garbage(line), Said::Event);
        if outbox.send((tag, said)).is_err() {
            return; // the swarm is gone
        }
    }
    let _ = outbox.send((tag, Said::Closed));
}

fn read_stderr(stream: impl Read, tag: Tag, kept: &Mutex<VecDeque<String>>, outbox: &SyncSender<(Tag, Said)>) {
    let mut reader = BufReader::new(stream);
    while let Some(line) = read_line(&mut reader) {
        {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() == STDERR_LINES_KEPT {
                kept.pop_front();
            }
            kept.push_back(line.clone());
        }
        if outbox.send((tag, Said::Log(line))).is_err() {
            return;
        }
    }
}

/// The next line without its newline, cut at [`LINE_BYTES_MAX`]; `None` at the end of the stream.
fn read_line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    match reader.take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line) {
        Ok(0) | Err(_) => None,
        Ok(_) => {
            while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                line.pop();
            }
            Some(String::from_utf8_lossy(&line).into_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::sync::mpsc::{Receiver, sync_channel};

    use super::*;

    const TAG: Tag = Tag { peer: 3, life: 0 };
    const PATIENCE: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> (Child, Receiver<(Tag, Said)>) {
        let (outbox, inbox) = sync_channel(16);
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        (Child::start(command, TAG, &outbox).unwrap(), inbox)
    }

    #[test]
    fn the_leash_asks_a_child_to_finish() {
        let (mut child, inbox) = shell("read line; echo \"{\\\"event\\\":\\\"note\\\",\\\"text\\\":\\\"$line\\\"}\"");
        child.finish();
        let (tag, said) = inbox.recv_timeout(PATIENCE).unwrap();
        assert_eq!(tag, TAG);
        assert!(matches!(said, Said::Event(ChildEvent::Note(note)) if note.text == "finish"));
        assert_eq!(child.reap(PATIENCE).code, Some(0));
    }

    #[test]
    fn a_dying_child_leaves_its_last_words() {
        let (mut child, inbox) = shell("echo 'error: no' >&2; exit 3");
        while !matches!(inbox.recv_timeout(PATIENCE).unwrap().1, Said::Log(_)) {}
        let exit = child.reap(PATIENCE);
        assert_eq!((exit.code, exit.stderr.as_str()), (Some(3), "error: no"));
    }

    #[test]
    fn a_child_that_will_not_stop_is_killed() {
        let (mut child, _inbox) = shell("trap '' TERM; exec sleep 600");
        assert_eq!(child.reap(Duration::from_millis(50)).signal, Some(9));
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let endless = vec![b'x'; LINE_BYTES_MAX + 10];
        let mut reader = BufReader::new(endless.as_slice());
        assert_eq!(read_line(&mut reader).unwrap().len(), LINE_BYTES_MAX);
        assert_eq!(read_line(&mut reader).unwrap().len(), 10);
        assert!(read_line(&mut reader).is_none());
    }
}

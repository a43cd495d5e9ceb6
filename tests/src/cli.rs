//! Running `starling` and looking at what it says.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The binary under test: `STARLING_BIN`, or the one that cargo built beside this test.
#[must_use]
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("STARLING_BIN") {
        return path.into();
    }
    // target/<profile>/deps/it-<hash> -> target/<profile>/starling
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile = test.parent().and_then(Path::parent).expect("a test lies in target/<profile>/deps");
    let binary = profile.join("starling");
    assert!(binary.exists(), "{} is not built: run `cargo build -p node` with the same profile", binary.display());
    binary
}

/// A finished run.
#[derive(Debug)]
pub struct Finished {
    /// Exit status.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// From start to exit.
    pub took: Duration,
}

impl Finished {
    /// Exit code; -1 when a signal ended it.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }

    /// Asserts exit code and that standard error holds every one of `parts`, and no trace of a panic.
    pub fn assert_fails(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code(), code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} is missing in: {}", self.stderr);
        }
        self.assert_no_panic();
    }

    /// Asserts success.
    pub fn assert_succeeds(&self) {
        assert_eq!(self.code(), 0, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.assert_no_panic();
    }

    fn assert_no_panic(&self) {
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
    }
}

/// A running `starling`; killed when it is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    heard: [String; 2],
    since: Instant,
}

/// `starling` with these arguments, in a home of its own so that no file of the user is read or written.
#[must_use]
pub fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command
        .args(arguments)
        .env("HOME", home)
        .env("XDG_DATA_HOME", home.join("data"))
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env("NO_COLOR", "1");
    command
}

/// Starts it.
#[must_use]
pub fn start(mut command: Command) -> Running {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let stdout = lines(child.stdout.take().expect("piped"));
    let stderr = lines(child.stderr.take().expect("piped"));
    Running { child, stdout, stderr, heard: [String::new(), String::new()], since: Instant::now() }
}

/// Runs it to its end.
#[must_use]
pub fn run(home: &Path, arguments: &[&str], deadline: Duration) -> Finished {
    start(command(home, arguments)).finish(deadline)
}

fn lines(stream: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut bytes = Vec::new();
        while reader.by_ref().take(1 << 20).read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
            if sender.send(String::from_utf8_lossy(&bytes).into_owned()).is_err() {
                break;
            }
            bytes.clear();
        }
    });
    receiver
}

impl Running {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it runs");
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line of standard output that `wanted` accepts.
    ///
    /// # Panics
    /// When it does not come in time.
    pub fn wait_for(&mut self, what: &str, deadline: Duration, mut wanted: impl FnMut(&str) -> bool) -> String {
        let until = Instant::now() + deadline;
        loop {
            let rest = until.saturating_duration_since(Instant::now());
            match self.stdout.recv_timeout(rest) {
                Ok(line) => {
                    self.heard[0].push_str(&line);
                    if wanted(&line) {
                        return line;
                    }
                }
                Err(reason) => {
                    self.heard[1].extend(self.stderr.try_iter());
                    panic!("no {what} within {deadline:?} ({reason}):\n{}\n{}", self.heard[0], self.heard[1]);
                }
            }
        }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end in time.
    #[must_use]
    pub fn finish(mut self, deadline: Duration) -> Finished {
        let until = Instant::now() + deadline;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                break status;
            }
            for (i, stream) in [&self.stdout, &self.stderr].into_iter().enumerate() {
                self.heard[i].extend(stream.try_iter());
            }
            assert!(Instant::now() < until, "still running after {deadline:?}:\n{}\n{}", self.heard[0], self.heard[1]);
            std::thread::sleep(Duration::from_millis(10));
        };
        let took = self.since.elapsed();
        for (i, stream) in [&self.stdout, &self.stderr].into_iter().enumerate() {
            // The pipes close with the process and its children; a child that outlives it would hold them open.
            loop {
                match stream.recv_timeout(Duration::from_secs(5)) {
                    Ok(line) => self.heard[i].push_str(&line),
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) => panic!("somebody still holds its output: an orphan"),
                }
            }
        }
        let [stdout, stderr] = std::mem::take(&mut self.heard);
        Finished { status, stdout, stderr, took }
    }
}

/// A running `starling` whose output nobody reads: the pipes fill. Killed when it is dropped.
#[derive(Debug)]
pub struct Unread(Child);

/// Starts it so.
#[must_use]
pub fn start_unread(mut command: Command) -> Unread {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Unread(command.spawn().expect("the binary starts"))
}

impl Unread {
    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id() as i32), signal).expect("it runs");
    }

    /// Reads all that it has to say on standard output, and closes standard error.
    ///
    /// # Panics
    /// When it is no text.
    #[must_use]
    pub fn read(&mut self) -> String {
        drop(self.0.stderr.take());
        let mut text = String::new();
        self.0.stdout.take().expect("piped").read_to_string(&mut text).expect("text");
        text
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let until = Instant::now() + deadline;
        loop {
            if let Some(status) = self.0.try_wait().expect("it can be waited for") {
                return status;
            }
            assert!(Instant::now() < until, "still running after {deadline:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

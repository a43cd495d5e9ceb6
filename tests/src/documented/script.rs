//! Pages whose commands are run as they stand, in order, by a shell, and whose output is compared with what they promise.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::Block;
use crate::cli;

/// A newcomer at a terminal: an empty home, `starling` on the path, the current folder kept from block to block.
#[derive(Debug)]
pub struct Shell {
    home: PathBuf,
    folder: PathBuf,
}

/// What a block did.
#[derive(Clone, Debug)]
pub struct Done {
    /// Exit code of its last command; -1 when a signal ended it.
    pub code: i32,
    /// Both outputs, in the order in which they came.
    pub printed: String,
}

/// A shell and everything that it started; all of it ends with this.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = killpg(Pid::from_raw(self.0.id() as i32), Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

impl Shell {
    /// In a folder that is `home` and lies beside a link to the documentation.
    ///
    /// # Panics
    /// When the folder cannot be written.
    #[must_use]
    pub fn new(home: &Path) -> Self {
        let bin = home.join("bin");
        fs::create_dir_all(&bin).expect("a folder");
        std::os::unix::fs::symlink(cli::binary(), bin.join("starling")).expect("a link");
        std::os::unix::fs::symlink(super::root().join("docs"), home.join("docs")).expect("a link");
        Self { home: home.to_owned(), folder: home.to_owned() }
    }

    /// Runs commands as one script; it goes on where the one before ended.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn run(&mut self, script: &str, deadline: Duration) -> Done {
        let (output, place) = (self.home.join(".printed"), self.home.join(".folder"));
        let file = File::create(&output).expect("a file");
        let script = format!("{script}\ncode=$?; pwd > '{}'; exit $code", place.display());
        let path = format!("{}:{}", self.home.join("bin").display(), std::env::var("PATH").unwrap_or_default());
        let child = Command::new("bash")
            .args(["-c", &script])
            .current_dir(&self.folder)
            .env("HOME", &self.home)
            .env("XDG_DATA_HOME", self.home.join("data"))
            .env("XDG_CACHE_HOME", self.home.join("cache"))
            .env("NO_COLOR", "1")
            .env("PATH", path)
            .stdin(Stdio::null())
            .stderr(file.try_clone().expect("a file"))
            .stdout(file)
            .process_group(0)
            .spawn()
            .expect("bash is there");
        let mut group = Group(child);
        let until = Instant::now() + deadline;
        let status = loop {
            if let Some(status) = group.0.try_wait().expect("it can be waited for") {
                break status;
            }
            let printed = || fs::read_to_string(&output).unwrap_or_default();
            assert!(Instant::now() < until, "still running after {deadline:?}: {script}\n{}", printed());
            std::thread::sleep(Duration::from_millis(20));
        };
        let printed = String::from_utf8_lossy(&fs::read(&output).expect("its output")).into_owned();
        if let Ok(folder) = fs::read_to_string(&place) {
            self.folder = folder.trim_end().into();
        }
        Done { code: status.code().unwrap_or(-1), printed }
    }

    /// Runs a block and compares. `shortened` is what is run in place of its text.
    ///
    /// # Panics
    /// When a line that the page promises is not printed.
    pub fn check(&mut self, block: &Block, shortened: impl Fn(String) -> String, deadline: Duration) -> Done {
        let done = self.run(&shortened(block.commands.join("\n")), deadline);
        if let Some(line) = missing(&block.output, &done.printed) {
            let place = format!("{}:{}", block.page.display(), block.line);
            panic!("{place}: the page promises\n    {line}\nbut what was printed is\n{}", done.printed);
        }
        done
    }
}

/// The first of these lines that is not printed, each after the one before; `...` stands for anything.
#[must_use]
pub fn missing<'a>(promised: &'a [String], printed: &str) -> Option<&'a str> {
    let mut printed = printed.lines();
    let promised = promised.iter().map(String::as_str).filter(|line| !line.trim().is_empty() && line.trim() != "...");
    promised.into_iter().find(|line| !printed.by_ref().any(|found| fits(line, found)))
}

/// Whether a printed line is the promised one.
fn fits(promised: &str, found: &str) -> bool {
    let mut parts = promised.trim_end().split("...");
    let Some(mut rest) = parts.next().and_then(|first| found.trim_end().strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_promised_is_looked_for_in_order() {
        let promised = ["a ... c".to_owned(), "...".to_owned(), "d".to_owned()];
        assert_eq!(missing(&promised, "x\na b c\ny\nd\n"), None);
        assert_eq!(missing(&promised, "d\na b c\n"), Some("d"));
        assert_eq!(missing(&promised, "a b c d\nd\n"), Some("a ... c"));
        assert!(fits("run ..., 3 peers...", "run 12ab, 3 peers of 4") && !fits("abc", "abcd"));
    }
}

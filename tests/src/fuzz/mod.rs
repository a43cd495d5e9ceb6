//! Bytes that nobody meant: what strangers, neighbours and files may hand to this program, and what must hold whatever they are.
//!
//! A [`Target`] is a plain function of bytes. The suite runs each for a moment over mutations of its corpus ([`shake`], seeded, so a
//! find is found again); `fuzz/` runs the same functions under libFuzzer, which sees what they do. The corpus is `fuzz/corpus/NAME/`,
//! and every find becomes a file of it.

mod mutate;
mod peers;
pub mod seeds;
mod targets;
mod toy;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use self::mutate::Mutator;
pub use self::peers::snapshots_taken;

/// Longest input, bytes: what is longer finds nothing more, and takes longer.
pub const INPUT_BYTES_MAX: usize = 64 << 10;
/// A single input that takes longer is a find: it is how a peer would be held up.
pub const INPUT_MAX: Duration = Duration::from_secs(5);

/// Something that takes bytes from outside.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// Panics when something does not hold.
    pub run: fn(&[u8]),
}

/// Every target. `fuzz/fuzz_targets/` has a file for each.
pub const ALL: &[Target] = &[
    Target { name: "frame", run: targets::frame },
    Target { name: "announcement", run: targets::announcement },
    Target { name: "delta", run: targets::delta },
    Target { name: "snapshot", run: peers::snapshot },
    Target { name: "job", run: targets::job },
    Target { name: "idx", run: targets::idx },
    Target { name: "data", run: targets::data },
    Target { name: "checkpoint", run: targets::checkpoint },
    Target { name: "peer", run: peers::input },
];

/// Runs the target of that name.
///
/// # Panics
/// When there is none, and when something does not hold.
pub fn run(name: &str, bytes: &[u8]) {
    let target = ALL.iter().find(|target| target.name == name).expect("a target of that name");
    (target.run)(&bytes[..bytes.len().min(INPUT_BYTES_MAX)]);
}

/// Where the corpus of a target is.
#[must_use]
pub fn corpus_folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name)
}

/// The corpus of a target, in order of names.
///
/// # Panics
/// When it cannot be read, or is empty.
#[must_use]
pub fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = corpus_folder(name);
    let mut files: Vec<_> =
        fs::read_dir(&folder).expect("a corpus").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files.iter().map(|file| fs::read(file).expect("readable")).collect()
}

/// How far [`shake`] came.
#[derive(Clone, Copy, Debug)]
pub struct Shaken {
    /// Inputs tried.
    pub inputs: u64,
    /// The slowest of them.
    pub slowest: Duration,
}

/// Tries the corpus as it is, and then mutations of it until `time` is over.
///
/// # Errors
/// The input on which something did not hold, and what that was.
pub fn shake(target: Target, seed: u64, time: Duration) -> Result<Shaken, (Vec<u8>, String)> {
    let corpus = corpus(target.name);
    let (mut mutator, start) = (Mutator::new(seed), Instant::now());
    let mut shaken = Shaken { inputs: 0, slowest: Duration::ZERO };
    loop {
        let number = usize::try_from(shaken.inputs).unwrap_or(usize::MAX);
        let input = corpus.get(number).cloned().unwrap_or_else(|| mutator.next(&corpus));
        let begun = Instant::now();
        // What is half changed by a panic is not looked at again.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.run)(&input))) {
            return Err((input, words(panic.as_ref())));
        }
        let took = begun.elapsed();
        if took > INPUT_MAX {
            return Err((input, format!("it took {took:?}")));
        }
        shaken.inputs += 1;
        shaken.slowest = shaken.slowest.max(took);
        if number >= corpus.len() && start.elapsed() >= time {
            return Ok(shaken);
        }
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_else(|| "a panic".to_owned())
}

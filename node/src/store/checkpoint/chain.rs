//! Whether a peer may go on with its chain of deltas: a mark beside its identity.
//!
//! Two deltas of one origin under one number are proof that it lies. A peer that is resumed from a checkpoint has forgotten what it said
//! after it, so it may go on with the chain of the checkpoint only when it has told nobody anything since. The mark says so:
//!
//! ```text
//! the mark is there: of that life, nothing beyond delta `seq` has left this machine,
//!                    and what has left is what the process `branch` said, which began with the checkpoint `fork`
//! ```
//!
//! One life may have been gone on with from two of its checkpoints, in two processes that did not say the same: only what the last of them
//! has written, and what it began with, may go on.
//!
//! It is made when a life begins, taken away before the first message to anybody goes out, and made anew when a peer has come to its end and has
//! written that down. A peer that is killed among others leaves none, and begins a new life when it is resumed. It lies where the
//! identity is, and not with the checkpoints: those may be copied, or come back from a backup. And it names the file that it is itself (`file`): one
//! that was taken away is never there again, so what was copied with its folder, to another machine or back in place, is no mark. A snapshot of a
//! whole disk or machine that is rolled back keeps all of it: nothing on the disk can tell (SECURITY.md).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use protocol::Standing;
use serde::{Deserialize, Serialize};

use super::{Course, Fork};
use crate::error::{Error, Kind};
use crate::platform::{file_id, sync_folder};
use crate::store::bounded::read_text;

/// Longest mark, bytes.
const MARK_BYTES_MAX: u64 = 4096;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    run: String,
    incarnation: u64,
    seq: u64,
    #[serde(default)]
    branch: u64,
    #[serde(default)]
    fork: Option<Fork>,
    /// Which file this is, as the system counts them. Where it does not, there is no telling a copy, and nothing goes on.
    #[serde(default)]
    file: Option<(u64, u64)>,
}

/// The mark of an identity in a run.
#[derive(Debug)]
pub struct Chain {
    path: PathBuf,
    run: String,
    /// Whether it is there, as far as we know.
    stands: bool,
}

impl Chain {
    /// Of the identity in that file.
    #[must_use]
    pub fn new(identity: &Path, run: &str) -> Self {
        let path = identity.with_extension("chain").join(format!("{}.json", &run[..run.len().min(16)]));
        Self { path, run: run.to_owned(), stands: false }
    }

    /// Whether the life of that checkpoint may go on: nothing that it does not hold has left this machine.
    #[must_use]
    pub fn goes_on(&self, standing: &Standing, course: Course) -> bool {
        let text = read_text(&self.path, MARK_BYTES_MAX).unwrap_or_default();
        let Ok(mark) = serde_json::from_str::<Mark>(&text) else { return false };
        let begun_with = Fork { branch: course.branch, steps: standing.steps, said: standing.said() };
        let of_it = course.branch == mark.branch || mark.fork == Some(begun_with);
        let same_life = mark.run == self.run && mark.incarnation == standing.origin.incarnation;
        let is_copy = mark.file.is_none() || mark.file != File::open(&self.path).ok().and_then(|file| file_id(&file));
        same_life && of_it && !is_copy && mark.seq <= standing.said()
    }

    /// A life begins or goes on in the process `branch`, from `fork`; or it has ended and is written down: nothing beyond that delta has left.
    ///
    /// # Errors
    /// When it cannot be written: then there is none, and the life cannot go on.
    pub fn stand(&mut self, incarnation: u64, seq: u64, branch: u64, fork: Option<Fork>) -> io::Result<()> {
        self.lift()?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        // In its place from the start: Windows gives a file that is renamed the time of one that had its name. Half a mark is none.
        let mut file = File::create_new(&self.path)?;
        let run = self.run.clone();
        let text = serde_json::to_string(&Mark { run, incarnation, seq, branch, fork, file: file_id(&file) })?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        sync_folder(folder)?;
        self.stands = true;
        Ok(())
    }

    /// Something is about to be said. Returns at once but for the first time.
    ///
    /// # Errors
    /// When the mark cannot be taken away: nothing may be said then.
    pub fn open(&mut self) -> Result<(), Error> {
        if self.stands { self.give_up() } else { Ok(()) }
    }

    /// No life goes on from here: one begins that says what no checkpoint will hold.
    ///
    /// # Errors
    /// When the mark cannot be taken away: nothing may be said then.
    pub fn give_up(&mut self) -> Result<(), Error> {
        self.lift().map_err(|error| {
            Error::new(
                Kind::Input,
                format!("the mark of this peer's chain, beside its identity, cannot be removed: {error}"),
            )
            .hint("with it in place a resumed peer could contradict itself: make that folder writable")
        })
    }

    fn lift(&mut self) -> io::Result<()> {
        // Empty first, for the sake of other names of the same file: a backup of hard links. Where that fails, the name at least goes.
        drop(OpenOptions::new().write(true).truncate(true).open(&self.path));
        match fs::remove_file(&self.path) {
            Ok(()) => sync_folder(self.path.parent().unwrap_or(Path::new(".")))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.stands = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use protocol::id::{Hash, Origin, PeerId};
    use protocol::log::Head;

    use super::*;

    fn standing(incarnation: u64, seq: u64) -> Standing {
        let origin = Origin { peer: PeerId([1; 32]), incarnation };
        let head = Head { origin, seq, hash: Hash::ZERO, samples: 0 };
        Standing {
            origin,
            heads: vec![head],
            steps: 0,
            epochs: 0,
            samples: 0,
            since_delta: 0,
            unsaid_steps: 0,
            unsaid_samples: 0,
            samples_per_step: 0,
        }
    }

    #[test]
    fn a_chain_goes_on_only_where_nothing_was_said_since() {
        let folder = tempfile::tempdir().unwrap();
        let identity = folder.path().join("identity.key");
        let mut chain = Chain::new(&identity, &"ab".repeat(32));
        assert!(!chain.goes_on(&standing(7, 5), Course::default()), "there is no mark");
        chain.stand(7, 5, 0, None).unwrap();
        assert!(chain.goes_on(&standing(7, 5), Course::default()) && chain.goes_on(&standing(7, 6), Course::default()));
        assert!(!chain.goes_on(&standing(7, 4), Course::default()), "the checkpoint lacks what was said");
        assert!(!chain.goes_on(&standing(8, 5), Course::default()), "another life");
        assert!(!Chain::new(&identity, &"ac".repeat(32)).goes_on(&standing(7, 5), Course::default()), "another run");
        chain.open().unwrap();
        assert!(!chain.goes_on(&standing(7, 5), Course::default()), "somebody may have heard more");
        chain.open().unwrap();
        chain.stand(7, 9, 0, None).unwrap();
        assert!(chain.goes_on(&standing(7, 9), Course::default()));
        fs::write(&chain.path, "{}").unwrap();
        assert!(!chain.goes_on(&standing(7, 9), Course::default()));
    }

    /// Both copies would say other things under the same numbers, and be left out for it.
    #[test]
    fn what_was_copied_with_its_key_goes_on_with_no_chain() {
        let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let [here, there] = folders.each_ref().map(|folder| folder.path().join("identity.key"));
        let mut chain = Chain::new(&here, &"ab".repeat(32));
        chain.stand(7, 5, 0, None).unwrap();
        assert!(chain.goes_on(&standing(7, 5), Course::default()));
        let copy = Chain::new(&there, &"ab".repeat(32));
        fs::create_dir_all(copy.path.parent().unwrap()).unwrap();
        fs::copy(&chain.path, &copy.path).unwrap();
        assert!(!copy.goes_on(&standing(7, 5), Course::default()));
    }

    /// As `cp -a backup/. folder` does it: what is there is written over, and what is not is made.
    #[test]
    fn a_mark_that_comes_back_in_place_goes_on_with_no_chain() {
        let folder = tempfile::tempdir().unwrap();
        let mut chain = Chain::new(&folder.path().join("identity.key"), &"ab".repeat(32));
        let backup = folder.path().join("backup");
        chain.stand(7, 5, 0, None).unwrap();
        fs::copy(&chain.path, &backup).unwrap();
        // Times of files are those of the last tick of a clock, which may be 10 ms ago.
        let tick = || std::thread::sleep(std::time::Duration::from_millis(30));
        tick();
        chain.open().unwrap();
        fs::copy(&backup, &chain.path).unwrap();
        assert!(!chain.goes_on(&standing(7, 5), Course::default()), "it was taken away: more was said");
        chain.stand(7, 9, 0, None).unwrap();
        assert!(chain.goes_on(&standing(7, 9), Course::default()));
        fs::copy(&backup, &chain.path).unwrap();
        assert!(!chain.goes_on(&standing(7, 5), Course::default()), "of nine deltas it knows five");
        // The same file under another name.
        chain.stand(7, 10, 0, None).unwrap();
        let link = folder.path().join("link");
        fs::hard_link(&chain.path, &link).unwrap();
        chain.open().unwrap();
        fs::rename(&link, &chain.path).unwrap();
        assert!(!chain.goes_on(&standing(7, 10), Course::default()));
    }

    /// It is no copy then.
    #[test]
    fn a_folder_that_was_renamed_goes_on_with_its_chain() {
        let folder = tempfile::tempdir().unwrap();
        let [here, there] = ["here", "there"].map(|name| folder.path().join(name));
        let run = "ab".repeat(32);
        Chain::new(&here.join("identity.key"), &run).stand(7, 5, 0, None).unwrap();
        fs::rename(&here, &there).unwrap();
        assert!(Chain::new(&there.join("identity.key"), &run).goes_on(&standing(7, 5), Course::default()));
    }

    #[test]
    fn of_two_continuations_of_a_life_only_the_last_one_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut chain = Chain::new(&folder.path().join("identity.key"), &"ab".repeat(32));
        let by = |branch| Course { branch, ..Course::default() };
        let at = |steps, said| Standing { steps, ..standing(7, said) };
        // Killed while alone; resumed from its first checkpoint, which says other things under the numbers of the second.
        chain.stand(7, 0, 1, None).unwrap();
        let (early, late) = (at(100, 10), at(400, 40));
        assert!(chain.goes_on(&early, by(1)) && chain.goes_on(&late, by(1)));
        chain.stand(7, 10, 2, Some(Fork { branch: 1, steps: 100, said: 10 })).unwrap();
        assert!(chain.goes_on(&early, by(1)), "it has said nothing yet");
        assert!(!chain.goes_on(&late, by(1)), "its deltas from the 11th on may be other ones");
        chain.open().unwrap();
        chain.stand(7, 15, 2, Some(Fork { branch: 1, steps: 100, said: 10 })).unwrap();
        assert!(!chain.goes_on(&late, by(1)) && !chain.goes_on(&early, by(1)));
        assert!(chain.goes_on(&at(150, 15), by(2)));
        // As many steps, and another delta behind them: not what it began with.
        chain.stand(7, 10, 3, Some(Fork { branch: 1, steps: 100, said: 10 })).unwrap();
        assert!(chain.goes_on(&early, by(1)) && !chain.goes_on(&at(100, 11), by(1)));
    }
}

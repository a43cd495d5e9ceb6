//! The files of the log: the end of the chain is found, mended and prolonged; files are begun and pruned.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Value, json};

use super::line::{GENESIS, Kind, LINE_BYTES_MAX, Parsed, encode, parse};
use super::{file_name, files};
use crate::error::{Error, Kind as ErrorKind};
use crate::platform::{self, Lock};

/// A file is begun anew before it would be longer, bytes.
pub const FILE_BYTES_MAX: u64 = 16 << 20;
/// Files kept: 256 MiB, which is days of a small swarm.
pub const FILES_MAX: u32 = 16;
/// Held while a process writes into the folder.
const LOCK_NAME: &str = "lock";

/// The end of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Records before this one.
    pub seq: u64,
    /// Hash of the last record.
    pub hash: String,
}

/// What the mending of a log took away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mended {
    file: String,
    bytes: u64,
}

/// Sizes of a log; smaller ones in tests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) file_bytes_max: u64,
    pub(super) files_max: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { file_bytes_max: FILE_BYTES_MAX, files_max: FILES_MAX }
    }
}

/// A log that is open for writing.
#[derive(Debug)]
pub(super) struct Chain {
    dir: PathBuf,
    peer: String,
    bounds: Bounds,
    /// The file with the highest number, in append mode.
    file: File,
    number: u32,
    /// Bytes of whole lines in it.
    bytes: u64,
    /// Half a line may stand behind them.
    dirty: bool,
    head: Head,
    #[cfg(test)]
    pub(super) disk_is_full: std::sync::Arc<std::sync::atomic::AtomicBool>,
    _lock: Lock,
}

impl Chain {
    /// Opens the log of `peer` in `dir`, which is made when it is not there; mends its end.
    ///
    /// # Errors
    /// A folder that cannot be written, is in use, holds the log of another peer, or one that is damaged where it is to go on.
    pub(super) fn open(dir: &Path, peer: &str, bounds: Bounds) -> Result<Self, Error> {
        let failed = |error: io::Error| {
            Error::new(ErrorKind::Input, format_args!("the audit log in {}: {error}", dir.display()))
                .hint("--audit DIR names another folder, --audit none does without")
        };
        platform::private_folder().create(dir).map_err(failed)?;
        let lock = lock(dir)?;
        let found = files(dir).map_err(failed)?;
        let mut mended = None;
        // A file that was begun and has no whole line yet is written again.
        for (number, path) in found.iter().rev() {
            let (bytes, cut, last) = end_of(path).map_err(failed)?;
            if cut > 0 {
                OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(bytes)).map_err(failed)?;
                mended = Some(Mended { file: file_name(*number), bytes: cut });
            }
            let Some(line) = last else { continue };
            let last = parse(&line).ok().filter(|last| last.sound).ok_or_else(|| damaged(dir, path))?;
            check_owner(path, peer)?;
            let file = open_append(path).map_err(failed)?;
            let chain = Self::at(dir, peer, bounds, lock, (file, *number, bytes), &last);
            return chain.begun(mended).map_err(failed);
        }
        let number = found.last().map_or(1, |(number, _)| *number);
        let file = open_append(&dir.join(file_name(number))).map_err(failed)?;
        let before = Parsed {
            seq: 0,
            time: String::new(),
            kind: String::new(),
            previous: String::new(),
            hash: GENESIS.to_owned(),
            sound: true,
            fields: serde_json::Map::new(),
        };
        let mut chain = Self::at(dir, peer, bounds, lock, (file, number, 0), &before);
        chain.head.seq = 0;
        chain.begin_file(number).map_err(failed)?;
        chain.begun(mended).map_err(failed)
    }

    fn at(dir: &Path, peer: &str, bounds: Bounds, lock: Lock, file: (File, u32, u64), last: &Parsed) -> Self {
        let (file, number, bytes) = file;
        Self {
            dir: dir.to_owned(),
            peer: peer.to_owned(),
            bounds,
            file,
            number,
            bytes,
            dirty: false,
            head: Head { seq: last.seq + 1, hash: last.hash.clone() },
            #[cfg(test)]
            disk_is_full: std::sync::Arc::default(),
            _lock: lock,
        }
    }

    fn begun(mut self, mended: Option<Mended>) -> io::Result<Self> {
        if let Some(Mended { file, bytes }) = mended {
            self.append(SystemTime::now(), Kind::Mended, &json!({ "file": file, "bytes": bytes }))?;
        }
        self.prune();
        Ok(self)
    }

    /// Where the chain ends.
    pub(super) fn head(&self) -> Head {
        self.head.clone()
    }

    /// Writes a record; all of it or, on an error, nothing.
    pub(super) fn append(&mut self, at: SystemTime, kind: Kind, fields: &Value) -> io::Result<()> {
        self.restore()?;
        let (mut line, mut hash) = encode(self.head.seq, at, kind, fields, &self.head.hash);
        if self.bytes + line.len() as u64 > self.bounds.file_bytes_max {
            let _ = self.file.sync_data();
            self.begin_file(self.number + 1)?;
            self.prune();
            (line, hash) = encode(self.head.seq, at, kind, fields, &self.head.hash);
        }
        self.write(&line)?;
        self.head = Head { seq: self.head.seq + 1, hash };
        Ok(())
    }

    /// Makes what was written outlive a power cut.
    pub(super) fn sync(&self) {
        let _ = self.file.sync_data();
    }

    /// Begins a file with the record that says whose it is, which one it is, and which is the oldest that is kept.
    fn begin_file(&mut self, number: u32) -> io::Result<()> {
        let oldest = number.saturating_sub(self.bounds.files_max - 1).max(1);
        let fields = json!({ "format": 1, "peer": self.peer, "number": number, "oldest": oldest });
        let (line, hash) = encode(self.head.seq, SystemTime::now(), Kind::File, &fields, &self.head.hash);
        if number != self.number {
            let path = self.dir.join(file_name(number));
            let file = open_append(&path)?;
            // Half a header that an earlier attempt has left.
            file.set_len(0)?;
            let old = (std::mem::replace(&mut self.file, file), self.number, self.bytes);
            (self.number, self.bytes) = (number, 0);
            if let Err(error) = self.write(&line) {
                let _ = fs::remove_file(&path);
                (self.file, self.number, self.bytes) = old;
                self.dirty = false;
                return Err(error);
            }
            let _ = platform::sync_folder(&self.dir);
        } else {
            self.write(&line)?;
        }
        self.head = Head { seq: self.head.seq + 1, hash };
        Ok(())
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        let written = self.write_all(line.as_bytes());
        self.dirty = written.is_err();
        if written.is_ok() {
            self.bytes += line.len() as u64;
        } else {
            // At once, for whoever reads meanwhile; if it fails, before the next line.
            let _ = self.restore();
        }
        written
    }

    #[cfg(not(test))]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    #[cfg(test)]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.disk_is_full.load(std::sync::atomic::Ordering::SeqCst) {
            self.file.write_all(&bytes[..bytes.len() / 2])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write_all(bytes)
    }

    /// Takes back what a write has left that came half through.
    fn restore(&mut self) -> io::Result<()> {
        if self.dirty {
            self.file.set_len(self.bytes)?;
            self.dirty = false;
        }
        Ok(())
    }

    /// Removes the files that are too many. One that cannot be removed is tried again with the next file.
    fn prune(&self) {
        let oldest = self.number.saturating_sub(self.bounds.files_max - 1);
        for (number, path) in files(&self.dir).into_iter().flatten() {
            if number < oldest
                && let Err(error) = fs::remove_file(&path)
            {
                tracing::warn!(path = %path.display(), %error, "an old file of the audit log cannot be removed");
            }
        }
    }
}

fn open_append(path: &Path) -> io::Result<File> {
    platform::private(&mut OpenOptions::new()).append(true).create(true).open(path)
}

fn lock(dir: &Path) -> Result<Lock, Error> {
    let path = dir.join(LOCK_NAME);
    let open = || platform::private(&mut OpenOptions::new()).write(true).create(true).truncate(false).open(&path);
    let file = open().map_err(|error| {
        Error::new(ErrorKind::Input, format_args!("the audit log in {}: {error}", dir.display()))
            .hint("--audit DIR names a folder that you may write to, --audit none does without")
    })?;
    platform::lock(file).map_err(|error| {
        Error::new(ErrorKind::Input, format_args!("the audit log in {} cannot be locked: {error}", dir.display()))
            .hint("another starling writes there: stop it, or name another folder with --audit DIR (or none)")
    })
}

/// Of a file: bytes of its whole lines, bytes behind them, and the last whole line.
fn end_of(path: &Path) -> io::Result<(u64, u64, Option<Vec<u8>>)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("{} is none of its files: move it away", path.display())));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    let last = bytes[..whole].strip_suffix(b"\n").map(|lines| {
        let start = lines.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        lines[start..].to_vec()
    });
    Ok((whole as u64, (bytes.len() - whole) as u64, last))
}

/// A log names its peer in the first record of every file.
fn check_owner(path: &Path, peer: &str) -> Result<(), Error> {
    let mut first = Vec::new();
    let owner = File::open(path)
        .and_then(|file| file.take(LINE_BYTES_MAX as u64).read_to_end(&mut first))
        .ok()
        .and_then(|_| parse(first.split(|&byte| byte == b'\n').next()?).ok())
        .and_then(|first| Some(first.fields.get("peer")?.as_str()?.to_owned()));
    match owner {
        Some(owner) if owner == peer => Ok(()),
        Some(owner) => Err(Error::new(
            ErrorKind::Input,
            format_args!("{} is the audit log of peer {owner}, and this peer is {peer}", path.display()),
        )
        .hint("give every identity a folder of its own: --audit DIR")),
        None => Err(damaged(path.parent().unwrap_or(path), path)),
    }
}

fn damaged(dir: &Path, path: &Path) -> Error {
    let dir = dir.display();
    Error::new(ErrorKind::Input, format_args!("the audit log cannot go on: {} is damaged", path.display())).hint(
        format_args!("`starling audit verify {dir}` says where; move {dir} away to begin a new one, or --audit DIR"),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::sync::atomic::Ordering;

    use super::super::verify::verify;
    use super::*;

    const PEER: &str = "aa";

    pub(super) fn open(dir: &Path, bounds: Bounds) -> Chain {
        Chain::open(dir, PEER, bounds).unwrap()
    }

    fn admit(chain: &mut Chain, i: u64) {
        chain.append(SystemTime::now(), Kind::Admit, &json!({ "peer": i.to_string() })).unwrap();
    }

    #[test]
    fn a_chain_goes_on_over_starts_and_files_and_is_pruned() {
        let folder = tempfile::tempdir().unwrap();
        let bounds = Bounds { file_bytes_max: 2000, files_max: 3 };
        for life in 0..10 {
            let mut chain = open(folder.path(), bounds);
            (0..10).for_each(|i| admit(&mut chain, 10 * life + i));
        }
        let found = files(folder.path()).unwrap();
        assert_eq!(found.len(), 3);
        assert!(found.iter().all(|(_, path)| fs::metadata(path).unwrap().len() <= 2000));
        let report = verify(folder.path(), None).unwrap();
        assert!(report.problems.is_empty(), "{report:?}");
        assert!(report.pruned && report.first_seq > 0);
        assert!(report.records > 10 && report.first_seq + report.records > 110, "the files have records, too");
    }

    #[test]
    fn half_a_line_is_cut_off_and_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let mut chain = open(folder.path(), Bounds::default());
        admit(&mut chain, 1);
        drop(chain);
        let path = folder.path().join(file_name(1));
        // Whatever is left of the next line, down to nothing but its first byte.
        for torn in ["{", "{\"seq\":2,\"time\":\"2026", "\0\0\0\0"] {
            OpenOptions::new().append(true).open(&path).unwrap().write_all(torn.as_bytes()).unwrap();
            let torn_log = verify(folder.path(), None).unwrap();
            assert_eq!(torn_log.problems.len(), 1, "{torn_log:?}");
            drop(open(folder.path(), Bounds::default()));
            let report = verify(folder.path(), None).unwrap();
            assert!(report.problems.is_empty(), "{report:?}");
            assert!(fs::read_to_string(&path).unwrap().contains(&format!("\"bytes\":{}", torn.len())));
        }
        assert_eq!(verify(folder.path(), None).unwrap().mended, 3);
    }

    #[test]
    fn a_kill_while_a_file_is_begun_is_mended() {
        let folder = tempfile::tempdir().unwrap();
        let mut chain = open(folder.path(), Bounds::default());
        admit(&mut chain, 1);
        drop(chain);
        for header in ["", "{\"seq\":"] {
            fs::write(folder.path().join(file_name(2)), header).unwrap();
            let mut chain = open(folder.path(), Bounds { file_bytes_max: 600, files_max: 3 });
            (0..4).for_each(|i| admit(&mut chain, i));
            drop(chain);
            let report = verify(folder.path(), None).unwrap();
            assert!(report.problems.is_empty(), "{report:?}");
        }
        // The very first one.
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(file_name(1)), "{\"se").unwrap();
        admit(&mut open(folder.path(), Bounds::default()), 1);
        assert!(verify(folder.path(), None).unwrap().problems.is_empty());
    }

    #[test]
    fn a_full_disk_leaves_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let mut chain = open(folder.path(), Bounds { file_bytes_max: 1200, files_max: 9 });
        for i in 0..20 {
            chain.disk_is_full.store(i % 3 == 1, Ordering::SeqCst);
            let written = chain.append(SystemTime::now(), Kind::Admit, &json!({ "peer": i }));
            assert_eq!(written.is_err(), i % 3 == 1);
            let report = verify(folder.path(), None).unwrap();
            assert!(report.problems.is_empty(), "after record {i}: {report:?}");
        }
        assert!(files(folder.path()).unwrap().len() > 1, "also where a file ends");
    }

    #[test]
    fn a_folder_is_of_one_peer_and_one_process_and_a_damaged_end_is_not_written_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut chain = open(folder.path(), Bounds::default());
        admit(&mut chain, 1);
        let twice = Chain::open(folder.path(), PEER, Bounds::default()).unwrap_err();
        assert!(twice.message.contains("locked") && twice.hint.unwrap().contains("--audit"), "{}", twice.message);
        drop(chain);
        let other = Chain::open(folder.path(), "bb", Bounds::default()).unwrap_err();
        assert!(other.message.contains("peer aa") && other.message.contains("is bb"), "{other}");
        let path = folder.path().join(file_name(1));
        let altered = fs::read_to_string(&path).unwrap().replace("\"peer\":\"1\"", "\"peer\":\"2\"");
        fs::write(&path, &altered).unwrap();
        let damaged = Chain::open(folder.path(), PEER, Bounds::default()).unwrap_err();
        assert!(damaged.hint.unwrap().contains("audit verify"));
        assert_eq!(fs::read_to_string(&path).unwrap(), altered, "it is evidence and stays");
        assert!(Chain::open(Path::new("/proc/starling"), PEER, Bounds::default()).is_err());
    }
}

//! The identity key file: 64 hex digits of an ed25519 seed, readable by its owner alone.
//!
//! Whoever can read the seed can speak as this peer, so a file that others may read is refused rather than repaired: by
//! the time we see it, it may have been copied. A new file is made with `create_new` and mode 0600 from the first byte
//! on; there is no moment at which another user could open it, and an existing key is never overwritten.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::Path;

use protocol::id::parse_hex;
use zeroize::Zeroizing;

use crate::error::{Error, Kind};
use crate::platform::{self, Lock};

/// Seed of an ed25519 key; wiped from memory when dropped.
pub type Seed = Zeroizing<[u8; 32]>;

/// Longest key file that is read: the digits, and room for a line end and a stray blank.
const FILE_BYTES_MAX: u64 = 256;
/// What group and others must not have.
const MODE_OTHERS: u32 = 0o077;

/// The seed in the file at `path`; a new one, in a new file, when there is none.
///
/// # Errors
/// [`Kind::Input`] when the file is open to others, no regular file, unreadable or malformed.
pub fn load_or_create(path: &Path) -> Result<Seed, Error> {
    // Two peers that start at once with one path: whoever loses the race to create reads what the other wrote.
    for _ in 0..2 {
        // To open a named pipe is to wait for its writer.
        if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            return Err(irregular(path));
        }
        match File::open(path) {
            Ok(file) => return read(path, file),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(unreadable(path, &error)),
        }
        match create(path, false) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(Error::new(
                    Kind::Input,
                    format_args!("cannot write the identity key {}: {error}", path.display()),
                )
                .hint("name a file in a directory that you may write to"));
            }
            Ok(seed) => return Ok(seed),
        }
    }
    Err(Error::new(Kind::Input, format_args!("the identity key {} is neither there nor absent", path.display()))
        .hint("it may be a dangling link: name another file"))
}

/// The seed in the file at `path`, which must be there.
///
/// # Errors
/// As [`load_or_create`]; and when there is no such file.
pub fn load_existing(path: &Path) -> Result<Seed, Error> {
    load(path)?.ok_or_else(|| {
        Error::new(Kind::Input, format_args!("there is no identity key {}", path.display()))
            .hint("`starling id new` makes one, and so does the first `starling run`")
    })
}

/// The seed in the file at `path`; `None` when there is none.
///
/// # Errors
/// As [`load_or_create`].
pub fn load(path: &Path) -> Result<Option<Seed>, Error> {
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(irregular(path));
    }
    match File::open(path) {
        Ok(file) => read(path, file).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(path, &error)),
    }
}

/// A new identity in the file at `path`. One that is there stays, unless it is to be replaced: then it is lost.
///
/// # Errors
/// [`Kind::Input`] when there is one already, or the file cannot be written.
pub fn create_new(path: &Path, replace: bool) -> Result<Seed, Error> {
    create(path, replace).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Error::new(Kind::Input, format_args!("there is an identity key in {} already", path.display())).hint(
                "it is left as it is: name another file, or --force replaces it, and the old identity is lost for ever",
            )
        }
        _ => Error::new(Kind::Input, format_args!("cannot write the identity key {}: {error}", path.display()))
            .hint("name a file in a directory that you may write to"),
    })
}

/// Keeps other processes on this machine from taking part in the same run with the same key, as long as it is held. `None` where
/// no lock can be made beside the key: a folder that may not be written to.
///
/// # Errors
/// [`Kind::Input`] when another process has it.
pub(crate) fn claim(path: &Path, run: &str) -> Result<Option<Lock>, Error> {
    let folder = path.with_extension("chain");
    let file = folder.join(format!("{}.lock", &run[..run.len().min(16)]));
    let open = || {
        fs::create_dir_all(&folder)?;
        platform::private(&mut OpenOptions::new()).write(true).create(true).truncate(false).open(&file)
    };
    let held = match open() {
        Ok(file) => platform::lock(file),
        Err(error) => {
            tracing::debug!(path = %file.display(), %error, "no lock is made");
            return Ok(None);
        }
    };
    match held {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            let what = format!("another process takes part in this run with the identity {}", path.display());
            Err(Error::new(Kind::Input, what).hint(
                "two of one identity take each other's links away: stop it, or give this one an identity of its own with --identity FILE, which is made when it is not there",
            ))
        }
        other => Ok(other.ok()),
    }
}

/// A fresh seed that no file knows: the identity of one run.
///
/// # Errors
/// [`Kind::Internal`] when the system has no randomness to give.
pub fn ephemeral() -> Result<Seed, Error> {
    random_seed().map_err(|error| Error::new(Kind::Internal, format_args!("no randomness from the system: {error}")))
}

fn random_seed() -> io::Result<Seed> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut()).map_err(io::Error::other)?;
    Ok(seed)
}

fn read(path: &Path, file: File) -> Result<Seed, Error> {
    // Asked of the open file, not of the path: what was checked is what is read.
    let metadata = file.metadata().map_err(|error| unreadable(path, &error))?;
    if !metadata.is_file() {
        return Err(irregular(path));
    }
    if let Some(mode) = platform::mode(&metadata).filter(|mode| mode & MODE_OTHERS != 0) {
        let message = format!("the identity key {} is open to others (mode {mode:03o})", path.display());
        return Err(Error::new(Kind::Input, message).hint(format_args!("chmod 600 {}", path.display())));
    }
    let mut text = Zeroizing::new(String::with_capacity(FILE_BYTES_MAX as usize));
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|error| unreadable(path, &error))?;
    parse_hex(text.trim()).map(Zeroizing::new).ok_or_else(|| malformed(path))
}

/// Written beside the target and linked into place: a crash leaves no half-written key, and an existing one stays unless it
/// is to be replaced.
fn create(path: &Path, replace: bool) -> io::Result<Seed> {
    let seed = random_seed()?;
    let mut text = Zeroizing::new(String::with_capacity(65));
    for byte in seed.iter() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\n');
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    let mut file = platform::private(&mut OpenOptions::new()).write(true).create_new(true).open(&draft)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if replace {
        let placed = written.and_then(|()| fs::rename(&draft, path));
        return placed.inspect_err(|_| drop(fs::remove_file(&draft))).map(|()| seed);
    }
    let placed = written.and_then(|()| fs::hard_link(&draft, path));
    let removed = fs::remove_file(&draft);
    placed.and(removed).map(|()| seed)
}

fn irregular(path: &Path) -> Error {
    Error::new(Kind::Input, format_args!("the identity key {} is not a file", path.display()))
        .hint("name a file, or leave it out for a new identity")
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::new(Kind::Input, format_args!("cannot read the identity key {}: {error}", path.display()))
        .hint("it must be a file of yours with 64 hex digits")
}

fn malformed(path: &Path) -> Error {
    Error::new(
        Kind::Input,
        format_args!("the identity key {} is malformed: 64 hex digits are expected", path.display()),
    )
    .hint("restore it from a copy, or name another file for a new identity")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// Owner may read and write, nobody else anything.
    const MODE: u32 = 0o600;

    fn write(path: &Path, text: &str, mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn one_process_a_run_has_an_identity() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity.key");
        let (run, other) = ("ab".repeat(32), "cd".repeat(32));
        let held = claim(&path, &run).unwrap();
        assert!(held.is_some());
        let refused = claim(&path, &run).unwrap_err().to_string();
        assert!(refused.contains("--identity FILE"), "{refused}");
        assert!(claim(&path, &other).unwrap().is_some(), "one identity may take part in two jobs");
        drop(held);
        assert!(claim(&path, &run).unwrap().is_some());
    }

    #[test]
    fn a_new_key_is_the_owners_alone_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity");
        let seed = load_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert_eq!(*load_or_create(&path).unwrap(), *seed);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left behind");
        assert_ne!(*ephemeral().unwrap(), *seed);
    }

    #[test]
    fn a_new_identity_replaces_an_old_one_only_by_force() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity");
        assert_eq!(load_existing(&path).unwrap_err().kind, Kind::Input);
        let first = create_new(&path, false).unwrap();
        let refused = create_new(&path, false).unwrap_err();
        assert!(refused.hint.unwrap().contains("--force"));
        assert_eq!(*load_existing(&path).unwrap(), *first);
        let second = create_new(&path, true).unwrap();
        assert_ne!(*second, *first);
        assert_eq!(*load_existing(&path).unwrap(), *second);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left behind");
        assert!(create_new(dir.path(), true).is_err(), "a directory stays one");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(load_existing(&path).unwrap_err().hint.unwrap().starts_with("chmod 600"));
    }

    #[test]
    fn a_key_open_to_others_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity");
        for mode in [0o644, 0o640, 0o602] {
            write(&path, &"ab".repeat(32), mode);
            let error = load_or_create(&path).unwrap_err();
            assert_eq!(error.kind, Kind::Input);
            assert!(error.hint.unwrap().starts_with("chmod 600 "));
        }
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity");
        for text in ["", "abcd", &"zz".repeat(32), &"ab".repeat(33), &"ab".repeat(4000)] {
            write(&path, text, 0o600);
            let error = load_or_create(&path).unwrap_err();
            assert_eq!(error.kind, Kind::Input, "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(load_or_create(dir.path()).unwrap_err().kind, Kind::Input, "a directory");
        let dangling = dir.path().join("dangling");
        std::os::unix::fs::symlink(dir.path().join("nowhere/at/all"), &dangling).unwrap();
        assert_eq!(load_or_create(&dangling).unwrap_err().kind, Kind::Input);
        let absent = dir.path().join("no/such/directory/identity");
        assert_eq!(load_or_create(&absent).unwrap_err().kind, Kind::Input);
    }
}

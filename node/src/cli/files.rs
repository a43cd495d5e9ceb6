//! The files that commands write: checked before a long run, written after it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use tempfile::NamedTempFile;

use super::say;
use crate::error::{Error, Kind};
use crate::platform;

/// Where `--json` or `--trace` writes.
#[derive(Clone, Debug)]
pub(super) enum JsonTarget {
    Nowhere,
    Stdout,
    File(TextTarget),
}

impl JsonTarget {
    /// Understands the flag, and finds out now rather than after an hour that nothing can be written there.
    pub(super) fn new(flag: &'static str, path: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = path else { return Ok(Self::Nowhere) };
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        Ok(Self::File(TextTarget::new(flag, path)?))
    }

    /// Whether standard output is taken.
    pub(super) fn is_stdout(&self) -> bool {
        matches!(self, Self::Stdout)
    }

    /// Writes the report.
    pub(super) fn write<R: Serialize>(&self, report: &R) -> Result<(), Error> {
        let failed =
            |error: &dyn std::fmt::Display| Error::new(Kind::Internal, format!("cannot write the JSON: {error}"));
        let text = serde_json::to_string_pretty(report).map_err(|error| failed(&error))? + "\n";
        match self {
            Self::Nowhere => Ok(()),
            Self::Stdout => say::whole(&text),
            Self::File(file) => file.write(&text),
        }
    }
}

/// A text file that a flag names.
#[derive(Clone, Debug)]
pub(super) struct TextTarget {
    flag: &'static str,
    path: PathBuf,
}

impl TextTarget {
    /// Finds out now whether it can be written.
    pub(super) fn new(flag: &'static str, path: &Path) -> Result<Self, Error> {
        if path == Path::new("-") {
            return Err(Error::new(Kind::Usage, format!("{flag} -: this is not written to standard output"))
                .hint("name a file; ./- where it is to have that name"));
        }
        check_place(flag, path)?;
        Ok(Self { flag, path: path.to_owned() })
    }

    pub(super) fn write(&self, text: &str) -> Result<(), Error> {
        self.write_bytes(text.as_bytes())
    }

    pub(super) fn write_bytes(&self, bytes: &[u8]) -> Result<(), Error> {
        replace(&self.path, bytes).map_err(|error| unwritable(self.flag, &self.path, &error))
    }
}

/// Opens the file as the end of the run will. What is there stays as it is until then, and a file that was not there is
/// not left behind: a run that fails has no report, not an empty one.
fn check_place(flag: &str, path: &Path) -> Result<(), Error> {
    // To open a named pipe is to wait for its reader.
    if fs::metadata(path).is_ok_and(|found| platform::is_pipe(found.file_type())) {
        return Ok(());
    }
    let opened = match File::create_new(path) {
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            OpenOptions::new().write(true).open(path).map(drop)
        }
        Err(error) => Err(error),
    };
    opened.map_err(|error| unwritable(flag, path, &error))
}

/// Beside its place first: what was there stays whole until all of the new one is. What is no regular file, or lies in a folder that takes no
/// other file, is written as it is.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // The file that a link names, not the link.
    let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let regular = fs::metadata(&place).map_or(true, |found| found.is_file());
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let draft = if regular { draft(folder).ok() } else { None };
    let Some(mut draft) = draft else { return fs::write(path, bytes) };
    draft.write_all(bytes)?;
    draft.as_file().sync_all()?;
    if let Ok(found) = fs::metadata(&place) {
        draft.as_file().set_permissions(found.permissions())?;
    }
    draft.persist(&place).map(drop).map_err(|error| error.error)
}

/// With the rights of a new file; gone when it is not put into its place.
fn draft(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.prefix(".starling-").tempfile_in(folder)
}

fn unwritable(flag: &str, path: &Path, error: &io::Error) -> Error {
    Error::new(Kind::Input, format!("{flag} {}: cannot be written: {error}", path.display()))
        .hint("name a file in a folder that is there and that you may write to")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn what_is_there_is_replaced_as_a_whole_and_keeps_its_rights() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let [place, link] = ["report.json", "link.json"].map(|name| folder.path().join(name));
        fs::write(&place, "old").unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&place, &link).unwrap();
        let reader = File::open(&place).unwrap();
        replace(&link, b"new").unwrap();
        assert_eq!(
            (fs::read_to_string(&place).unwrap(), io::read_to_string(reader).unwrap()),
            ("new".into(), "old".into())
        );
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no draft is left");
    }

    #[test]
    fn what_cannot_be_written_is_found_before_the_run() {
        let folder = tempfile::tempdir().unwrap();
        // /proc is a folder in which nobody can make a file, not even root.
        let nowhere = [folder.path().to_owned(), folder.path().join("no/such.json"), "/proc/starling.json".into()];
        for path in &nowhere {
            for error in
                [JsonTarget::new("--json", Some(path)).unwrap_err(), TextTarget::new("--html", path).unwrap_err()]
            {
                assert_eq!(error.kind, Kind::Input);
                assert!(error.message.contains(path.to_str().unwrap()) && error.hint.is_some(), "{error}");
            }
        }
    }

    #[test]
    fn standard_output_is_no_name_of_a_file() {
        let error = TextTarget::new("FILE", Path::new("-")).unwrap_err();
        assert_eq!(error.kind, Kind::Usage);
        assert!(error.message.contains("standard output"), "{error}");
        assert!(JsonTarget::new("--json", Some(Path::new("-"))).unwrap().is_stdout());
    }

    #[test]
    fn looking_leaves_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        let [old, new] = ["old.json", "new.json"].map(|name| folder.path().join(name));
        fs::write(&old, "kept").unwrap();
        let targets = [&old, &new].map(|path| JsonTarget::new("--json", Some(path)).unwrap());
        assert_eq!(fs::read_to_string(&old).unwrap(), "kept");
        assert!(!new.exists());
        targets.iter().for_each(|target| target.write(&[1]).unwrap());
        assert_eq!(fs::read(&old).unwrap(), fs::read(&new).unwrap());
    }

    #[test]
    fn a_disk_that_fills_up_meanwhile_names_the_file() {
        let full = Path::new("/dev/full");
        if full.exists() {
            let error = JsonTarget::new("--json", Some(full)).unwrap().write(&[1]).unwrap_err();
            assert_eq!(error.kind, Kind::Input);
            assert!(error.message.contains("/dev/full"), "{error}");
        }
    }
}

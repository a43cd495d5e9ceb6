//! Reading a small file that somebody names: never more than a bound, and never from something that has no end or no writer.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

/// Why a file is not read; a sentence that needs its name in front.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system says why.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A folder, a pipe, a device: it may have no end, or nobody who writes.
    #[error("is no regular file: give the path of one")]
    Irregular,
    /// Longer than what is read may be.
    #[error("is longer than {0} bytes, the most that is read")]
    TooLong(u64),
    /// Not text.
    #[error("is no UTF-8 text")]
    NoText,
}

/// The text in a file of at most `bytes_max` bytes.
///
/// # Errors
/// [`ReadError`].
pub fn read_text(path: &Path, bytes_max: u64) -> Result<String, ReadError> {
    // Before it is opened: to open a pipe is to wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(ReadError::Irregular);
    }
    let mut bytes = Vec::new();
    // A file of /proc, or one that grows, is longer than it says.
    File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(ReadError::TooLong(bytes_max));
    }
    String::from_utf8(bytes).map_err(|_| ReadError::NoText)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn what_has_no_end_is_not_begun() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read_text(&path, 5).unwrap(), "12345");
        assert!(matches!(read_text(&path, 4), Err(ReadError::TooLong(4))));
        fs::write(&path, [0xff]).unwrap();
        assert!(matches!(read_text(&path, 5), Err(ReadError::NoText)));
        for irregular in [Path::new("/dev/zero"), folder.path()] {
            assert!(matches!(read_text(irregular, 5), Err(ReadError::Irregular)));
        }
        assert!(matches!(read_text(&folder.path().join("none"), 5), Err(ReadError::Io(_))));
    }
}

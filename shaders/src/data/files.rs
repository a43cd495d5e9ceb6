//! Files, read within bounds: neither what a file says of itself nor what it turns out to be costs more than a limit.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::error::DataError;
use super::formats::idx::{self, IdxError};

/// Bytes of a file's beginning that tell what it is.
const HEAD_BYTES: u64 = 4096;

/// An error unless this is a regular file. Asked before it is opened: to open a pipe is to wait for its writer, and a device may
/// have no end.
fn regular(path: &Path) -> Result<(), DataError> {
    if std::fs::metadata(path).map_err(DataError::read(path))?.is_file() {
        return Ok(());
    }
    Err(DataError::Read {
        path: path.into(),
        source: io::Error::new(io::ErrorKind::InvalidInput, "is no regular file"),
    })
}

/// A regular file, and its length.
pub(crate) fn open(path: &Path) -> Result<(File, u64), DataError> {
    regular(path)?;
    let file = File::open(path).map_err(DataError::read(path))?;
    let length = file.metadata().map_err(DataError::read(path))?.len();
    Ok((file, length))
}

/// The first bytes of a file, unpacked where it is gzipped.
pub(crate) fn head(path: &Path) -> Result<Vec<u8>, DataError> {
    let (file, _) = open(path)?;
    let mut packed = Vec::new();
    file.take(HEAD_BYTES).read_to_end(&mut packed).map_err(DataError::read(path))?;
    if !is_gzip(&packed) {
        return Ok(packed);
    }
    let mut head = Vec::new();
    // What is cut off here goes on in the file: only what comes before counts. Where nothing does, the stream is damaged.
    match MultiGzDecoder::new(&packed[..]).take(HEAD_BYTES).read_to_end(&mut head) {
        Err(error) if head.is_empty() => {
            Err(DataError::Idx { path: path.into(), source: IdxError::Gzip(error.to_string()) })
        }
        _ => Ok(head),
    }
}

/// Whether these bytes begin a gzip stream.
pub(crate) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// Whether a file begins a gzip stream.
pub(crate) fn gzipped(path: &Path) -> Result<bool, DataError> {
    let (file, _) = open(path)?;
    let mut two = Vec::new();
    file.take(2).read_to_end(&mut two).map_err(DataError::read(path))?;
    Ok(is_gzip(&two))
}

/// All bytes of a file, unpacked where it is gzipped.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, DataError> {
    let packed = read_within(path, limit)?;
    idx::unzipped(packed, limit).map_err(|source| DataError::Idx { path: path.into(), source })
}

/// The bytes of a file, which costs no more than the limit.
pub(crate) fn read_within(path: &Path, limit: u64) -> Result<Vec<u8>, DataError> {
    let error = |source| DataError::Read { path: path.into(), source };
    let too_large = |bytes| DataError::Idx { path: path.into(), source: IdxError::TooLarge { bytes, limit } };
    let (file, announced) = open(path)?;
    if announced > limit {
        return Err(too_large(announced));
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(announced as usize).map_err(|full| error(full.into()))?;
    // A file of the system says that it is empty, and another may grow: one byte past the limit shows that there is more.
    file.take(limit + 1).read_to_end(&mut bytes).map_err(error)?;
    if bytes.len() as u64 > limit { Err(too_large(bytes.len() as u64)) } else { Ok(bytes) }
}

//! The idx format of the MNIST family (Y. LeCun): `0 0 type rank`, extents as u32 big-endian, then the values. Only type
//! 0x08 (unsigned byte) is read. gzip is recognised by its first two bytes.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;

use super::array::{Array, BYTE, Values};
use crate::data::error::DataError;
use crate::data::features::Element;
use crate::data::{DATA_BYTES_MAX, files};

const UNSIGNED_BYTE: u8 = 0x08;
const RANK_MAX: u8 = 4;
/// The longest header.
const HEADER_BYTES_MAX: u64 = 4 + 4 * RANK_MAX as u64;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Values and extents of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx {
    /// Outermost first; the first one counts the samples.
    pub extents: Vec<usize>,
    /// As many as the product of the extents.
    pub values: Vec<u8>,
}

/// How many extents a file is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimensions {
    /// Exactly so many.
    Exactly(u8),
    /// So many or more.
    AtLeast(u8),
}

/// What is wrong with a file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdxError {
    /// The gzip stream is damaged.
    #[error("the gzip stream is damaged or cut off: {0}")]
    Gzip(String),
    /// It does not begin like an idx file.
    #[error("this is no idx file: it begins with {found:02x?} and not with 00 00 08")]
    Magic {
        /// Its first bytes.
        found: Vec<u8>,
    },
    /// Another type of value.
    #[error("values of type 0x{found:02x}; only unsigned bytes (0x08) are read")]
    Type {
        /// The third byte.
        found: u8,
    },
    /// Another number of extents.
    #[error("{found} dimensions, expected {expected}")]
    Rank {
        /// The fourth byte.
        found: u8,
        /// In words.
        expected: String,
    },
    /// Shorter or longer than it says.
    #[error(
        "extents {extents:?} announce {expected} bytes of values, the file has {found}: it was cut off or is damaged"
    )]
    Length {
        /// As announced.
        extents: Vec<u32>,
        /// Product of the extents.
        expected: u64,
        /// Bytes behind the header.
        found: u64,
    },
    /// More than can be held.
    #[error("{bytes} bytes unpacked, the limit is {limit}")]
    TooLarge {
        /// As announced or found.
        bytes: u64,
        /// As many as are read.
        limit: u64,
    },
}

impl IdxError {
    /// What to do.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Gzip(_) => "pack it again, or fetch it again",
            Self::Magic { .. } => "was another file meant, or was it renamed?",
            Self::Type { .. } => "write the values as unsigned bytes, or save them with numpy.save",
            Self::Rank { .. } => {
                "samples have two to four dimensions, labels one: do the two files stand in each other's place?"
            }
            Self::Length { .. } => "copy it again, or fetch it again",
            Self::TooLarge { .. } => "a plain idx or NPY file is read row by row, however large",
        }
    }
}

/// Reads a file, unpacked where it is gzipped. Never allocates by what a header claims.
///
/// # Errors
/// [`IdxError`].
pub fn parse(bytes: Vec<u8>, dimensions: Dimensions) -> Result<Idx, IdxError> {
    let mut bytes = unzipped(bytes, DATA_BYTES_MAX)?;
    let (extents, values_at) = header(&bytes, dimensions)?;
    let expected = product(&extents);
    if expected > DATA_BYTES_MAX {
        return Err(IdxError::TooLarge { bytes: expected, limit: DATA_BYTES_MAX });
    }
    let found = (bytes.len() - values_at) as u64;
    if found != expected {
        return Err(IdxError::Length { extents, expected, found });
    }
    bytes.drain(..values_at);
    Ok(Idx { extents: extents.into_iter().map(|extent| extent as usize).collect(), values: bytes })
}

/// The extents, and where the values begin.
fn header(bytes: &[u8], dimensions: Dimensions) -> Result<(Vec<u32>, usize), IdxError> {
    let header: [u8; 4] = match bytes.first_chunk() {
        Some(header) if header[..2] == [0, 0] => *header,
        _ => return Err(IdxError::Magic { found: bytes[..bytes.len().min(4)].to_vec() }),
    };
    let [.., kind, rank] = header;
    if kind != UNSIGNED_BYTE {
        return Err(IdxError::Type { found: kind });
    }
    check_rank(rank, dimensions)?;
    let values_at = 4 + 4 * usize::from(rank);
    let Some(extents) = bytes.get(4..values_at) else {
        return Err(IdxError::Length { extents: Vec::new(), expected: values_at as u64, found: bytes.len() as u64 });
    };
    Ok((extents.as_chunks::<4>().0.iter().map(|bytes| u32::from_be_bytes(*bytes)).collect(), values_at))
}

/// Values that extents announce; the most there is where they are more than can be counted.
fn product(extents: &[u32]) -> u64 {
    let product = extents.iter().try_fold(1u64, |product, &extent| product.checked_mul(u64::from(extent)));
    product.unwrap_or(u64::MAX)
}

/// An idx file; where it is plain, its values stay there until they are asked for.
pub(crate) fn open(path: &Path, dimensions: Dimensions) -> Result<Array, DataError> {
    let wrong = |source| DataError::Idx { path: path.into(), source };
    if files::gzipped(path)? {
        return array(path, files::read_within(path, DATA_BYTES_MAX)?, dimensions);
    }
    let (mut file, length) = files::open(path)?;
    let mut head = Vec::new();
    Read::by_ref(&mut file).take(HEADER_BYTES_MAX).read_to_end(&mut head).map_err(DataError::read(path))?;
    let (extents, begin) = header(&head, dimensions).map_err(wrong)?;
    let (expected, found) = (product(&extents), length.saturating_sub(begin as u64));
    if found != expected {
        return Err(wrong(IdxError::Length { extents, expected, found }));
    }
    let shape = extents.into_iter().map(|extent| extent as usize).collect();
    Ok(Array {
        path: path.into(),
        shape,
        element: Element::U8,
        divisor: BYTE,
        values: Values::File(Arc::new(file), begin as u64),
    })
}

/// The same of a file's bytes.
pub(crate) fn array(path: &Path, bytes: Vec<u8>, dimensions: Dimensions) -> Result<Array, DataError> {
    let idx = parse(bytes, dimensions).map_err(|source| DataError::Idx { path: path.into(), source })?;
    Ok(Array {
        path: path.into(),
        shape: idx.extents,
        element: Element::U8,
        divisor: BYTE,
        values: Values::Bytes(idx.values),
    })
}

/// The bytes of a file, unpacked where it is gzipped, at most `limit` of them.
///
/// # Errors
/// [`IdxError::Gzip`], [`IdxError::TooLarge`].
pub fn unzipped(bytes: Vec<u8>, limit: u64) -> Result<Vec<u8>, IdxError> {
    if bytes.starts_with(&GZIP) { unzip(&bytes, limit) } else { Ok(bytes) }
}

fn check_rank(rank: u8, dimensions: Dimensions) -> Result<(), IdxError> {
    let (fits, expected) = match dimensions {
        Dimensions::Exactly(n) => (rank == n, n.to_string()),
        Dimensions::AtLeast(n) => ((n..=RANK_MAX).contains(&rank), format!("{n} to {RANK_MAX}")),
    };
    if fits { Ok(()) } else { Err(IdxError::Rank { found: rank, expected }) }
}

fn unzip(bytes: &[u8], limit: u64) -> Result<Vec<u8>, IdxError> {
    let mut out = Vec::new();
    // One byte past the limit shows that there is more: a bomb costs no more than the limit.
    let mut reader = MultiGzDecoder::new(bytes).take(limit + 1);
    reader.read_to_end(&mut out).map_err(|error| IdxError::Gzip(error.to_string()))?;
    if out.len() as u64 > limit {
        return Err(IdxError::TooLarge { bytes: out.len() as u64, limit });
    }
    Ok(out)
}

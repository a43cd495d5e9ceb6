//! The numbers of a split: in memory, or rows of a file that are read when they are asked for.
//!
//! A file is read by position and not mapped: a mapped page counts as resident and stays until the system wants it back, a file that
//! is cut off while it is mapped ends the process, and both are out of our hands.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::encoding::Normalization;
use super::error::{DataError, Place};

/// Bytes that are read of a file at once.
const READ_BYTES: usize = 1 << 20;
/// Bytes of rows as floats that are looked at at once, unless a row has more.
pub(crate) const PIECE_BYTES: usize = 16 << 20;

/// What is wrong with NaN and infinities.
pub(crate) const NOT_FINITE: &str = "a number that is not finite";

/// Rows of numbers.
#[derive(Clone, Debug)]
pub enum Features {
    /// [n, width], row by row.
    Resident(Vec<f32>),
    /// In a file.
    Stored(Stored),
}

/// Rows of equal length in a file.
#[derive(Clone, Debug)]
pub struct Stored {
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<File>,
    /// Byte of the file's first row.
    pub(crate) begin: u64,
    /// Bytes from the beginning of a row to that of the next; windows of a text overlap.
    pub(crate) stride: u64,
    /// Numbers of a row.
    pub(crate) width: usize,
    pub(crate) element: Element,
    /// What each number is divided by.
    pub(crate) divisor: f32,
    pub(crate) normalization: Option<Arc<Normalization>>,
    /// Which of the file's rows they are.
    pub(crate) rows: Rows,
    /// A number of the file's rows that is none of theirs: the label.
    pub(crate) skipped: Option<usize>,
}

/// A choice of a file's rows.
#[derive(Clone, Debug)]
pub(crate) enum Rows {
    /// So many from one on.
    Range(u64, u64),
    /// These.
    Chosen(Arc<Vec<u32>>),
}

/// How a number lies in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// Unsigned byte.
    U8,
    /// Signed byte.
    I8,
    /// Unsigned, 2 bytes.
    U16(Order),
    /// Signed, 2 bytes.
    I16(Order),
    /// Unsigned, 4 bytes.
    U32(Order),
    /// Signed, 4 bytes.
    I32(Order),
    /// Unsigned, 8 bytes.
    U64(Order),
    /// Signed, 8 bytes.
    I64(Order),
    /// Half precision.
    F16(Order),
    /// Single precision.
    F32(Order),
    /// Double precision.
    F64(Order),
}

/// Which byte comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The least.
    Little,
    /// The most.
    Big,
}

impl Element {
    /// Bytes of a number.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16(_) | Self::I16(_) | Self::F16(_) => 2,
            Self::U32(_) | Self::I32(_) | Self::F32(_) => 4,
            Self::U64(_) | Self::I64(_) | Self::F64(_) => 8,
        }
    }

    /// Whether what lies in a file may be no finite number.
    fn is_float(self) -> bool {
        matches!(self, Self::F16(_) | Self::F32(_) | Self::F64(_))
    }

    /// Appends the numbers in these bytes, as f64.
    fn each(self, bytes: &[u8], mut take: impl FnMut(f64)) {
        macro_rules! numbers {
            ($type:ty, $order:expr) => {
                for chunk in bytes.as_chunks::<{ size_of::<$type>() }>().0 {
                    take(match $order {
                        Order::Little => <$type>::from_le_bytes(*chunk).into_f64(),
                        Order::Big => <$type>::from_be_bytes(*chunk).into_f64(),
                    });
                }
            };
        }
        match self {
            Self::U8 => bytes.iter().for_each(|&byte| take(f64::from(byte))),
            Self::I8 => bytes.iter().for_each(|&byte| take(f64::from(byte as i8))),
            Self::U16(order) => numbers!(u16, order),
            Self::I16(order) => numbers!(i16, order),
            Self::U32(order) => numbers!(u32, order),
            Self::I32(order) => numbers!(i32, order),
            Self::U64(order) => numbers!(u64, order),
            Self::I64(order) => numbers!(i64, order),
            Self::F16(order) => numbers!(half::f16, order),
            Self::F32(order) => numbers!(f32, order),
            Self::F64(order) => numbers!(f64, order),
        }
    }

    /// The numbers in these bytes.
    pub(crate) fn numbers(self, bytes: &[u8]) -> Vec<f64> {
        let mut out = Vec::with_capacity(bytes.len() / self.bytes());
        self.each(bytes, |number| out.push(number));
        out
    }

    /// Appends the numbers in these bytes, divided by `divisor`.
    pub(crate) fn append(self, bytes: &[u8], divisor: f32, out: &mut Vec<f32>) {
        match self {
            Self::U8 => out.extend(bytes.iter().map(|&byte| f32::from(byte) / divisor)),
            Self::F32(Order::Little) => {
                out.extend(bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk) / divisor));
            }
            _ => self.each(bytes, |number| out.push(number as f32 / divisor)),
        }
    }
}

/// Numbers as f64; those of 8 bytes lose what a float cannot hold.
trait IntoF64 {
    fn into_f64(self) -> f64;
}

macro_rules! into_f64 {
    ($($type:ty),*) => { $(impl IntoF64 for $type { fn into_f64(self) -> f64 { f64::from(self) } })* };
}

into_f64!(u16, i16, u32, i32, half::f16, f32, f64);

impl IntoF64 for u64 {
    fn into_f64(self) -> f64 {
        self as f64
    }
}

impl IntoF64 for i64 {
    fn into_f64(self) -> f64 {
        self as f64
    }
}

impl Default for Features {
    fn default() -> Self {
        Self::Resident(Vec::new())
    }
}

impl From<Vec<f32>> for Features {
    fn from(values: Vec<f32>) -> Self {
        Self::Resident(values)
    }
}

impl FromIterator<f32> for Features {
    fn from_iter<I: IntoIterator<Item = f32>>(values: I) -> Self {
        Self::Resident(values.into_iter().collect())
    }
}

impl Features {
    /// All numbers, where they are in memory.
    #[must_use]
    pub fn resident(&self) -> Option<&[f32]> {
        match self {
            Self::Resident(values) => Some(values),
            Self::Stored(_) => None,
        }
    }

    /// Numbers that memory holds.
    #[must_use]
    pub fn resident_len(&self) -> usize {
        self.resident().map_or(0, <[f32]>::len)
    }

    /// Numbers of all rows.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Resident(values) => values.len() as u64,
            Self::Stored(stored) => stored.rows.count() * stored.width as u64,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends row after row, each of `width` numbers.
    ///
    /// # Errors
    /// [`DataError`] when the file cannot be read any more, or has a number there that is not finite.
    pub fn read(&self, width: usize, rows: &[u32], out: &mut Vec<f32>) -> Result<(), DataError> {
        match self {
            Self::Resident(values) => {
                for &row in rows {
                    let first = row as usize * width;
                    out.extend_from_slice(&values[first..first + width]);
                }
                Ok(())
            }
            Self::Stored(stored) => stored.read(rows, out),
        }
    }

    /// Appends the rows of a range.
    ///
    /// # Errors
    /// As [`Features::read`].
    pub fn read_range(&self, width: usize, rows: std::ops::Range<usize>, out: &mut Vec<f32>) -> Result<(), DataError> {
        match self {
            Self::Resident(values) => {
                out.extend_from_slice(&values[rows.start * width..rows.end * width]);
                Ok(())
            }
            Self::Stored(stored) => {
                let rows: Vec<u32> = (rows.start as u32..rows.end as u32).collect();
                stored.read(&rows, out)
            }
        }
    }

    /// Hands out rows in their order, in pieces of so many bytes as floats at most, or of a row.
    pub(crate) fn each_piece(
        &self,
        width: usize,
        rows: &[u32],
        bytes: usize,
        mut take: impl FnMut(&[f32]),
    ) -> Result<(), DataError> {
        let mut piece = Vec::new();
        for rows in rows.chunks((bytes / (width * size_of::<f32>()).max(1)).max(1)) {
            piece.clear();
            self.read(width, rows, &mut piece)?;
            take(&piece);
        }
        Ok(())
    }

    /// Brings all numbers to a mean and a deviation.
    pub(crate) fn normalize(&mut self, normalization: &Normalization) {
        match self {
            Self::Resident(values) => normalization.apply(values),
            Self::Stored(stored) => stored.normalization = Some(Arc::new(normalization.clone())),
        }
    }

    /// These rows alone, in that order.
    #[must_use]
    pub fn choose(&self, width: usize, rows: Vec<u32>) -> Self {
        match self {
            Self::Resident(values) => {
                rows.iter().flat_map(|&row| &values[row as usize * width..][..width]).copied().collect()
            }
            Self::Stored(stored) => {
                let rows = match &stored.rows {
                    Rows::Range(0, _) => rows,
                    of => rows.into_iter().map(|row| of.row(row) as u32).collect(),
                };
                Self::Stored(Stored { rows: Rows::Chosen(Arc::new(rows)), ..stored.clone() })
            }
        }
    }
}

impl Rows {
    fn count(&self) -> u64 {
        match self {
            Self::Range(_, count) => *count,
            Self::Chosen(rows) => rows.len() as u64,
        }
    }

    /// Which row of the file.
    fn row(&self, i: u32) -> u64 {
        match self {
            Self::Range(first, _) => first + u64::from(i),
            Self::Chosen(rows) => u64::from(rows[i as usize]),
        }
    }
}

impl Stored {
    fn read(&self, rows: &[u32], out: &mut Vec<f32>) -> Result<(), DataError> {
        let in_file = self.width + usize::from(self.skipped.is_some());
        let mut bytes = vec![0; in_file * self.element.bytes()];
        for &row in rows {
            let (first, in_file) = (out.len(), self.rows.row(row));
            self.fill(self.begin + in_file * self.stride, &mut bytes)?;
            self.element.append(&bytes, self.divisor, out);
            if let Some(skipped) = self.skipped {
                out.remove(first + skipped);
            }
            // Rows in memory were looked at when they were read.
            if self.element.is_float() && out[first..].iter().any(|value| !value.is_finite()) {
                let place = Place::Part(format!("sample {in_file}"));
                return Err(DataError::at(&self.path, place, NOT_FINITE, "replace it, or leave the sample out"));
            }
            if let Some(normalization) = &self.normalization {
                normalization.apply(&mut out[first..]);
            }
        }
        Ok(())
    }

    fn fill(&self, at: u64, bytes: &mut [u8]) -> Result<(), DataError> {
        read_at(&self.file, bytes, at).map_err(DataError::read(&self.path))
    }

    /// All bytes from one on, piece by piece; a piece is a multiple of `unit`.
    pub(crate) fn scan(
        file: &File,
        path: &Path,
        (begin, end): (u64, u64),
        unit: usize,
        mut take: impl FnMut(&[u8]) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let most = READ_BYTES.next_multiple_of(unit.max(1));
        let mut piece = vec![0; most.min(usize::try_from(end - begin).unwrap_or(most))];
        let mut at = begin;
        while at < end {
            let now = piece.len().min(usize::try_from(end - at).unwrap_or(piece.len()));
            read_at(file, &mut piece[..now], at).map_err(DataError::read(path))?;
            take(&piece[..now])?;
            at += now as u64;
        }
        Ok(())
    }
}

/// Fills `bytes` with those of a file from `at` on; where the file is read next by others is their affair.
#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

/// Fills `bytes` with those of a file from `at` on: every read names its place.
#[cfg(windows)]
fn read_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => (bytes, at) = (&mut bytes[read..], at + read as u64),
        }
    }
    Ok(())
}

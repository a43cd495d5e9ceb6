//! NPY, NumPy's file of one array (NEP 1), and NPZ, a zip archive of them.
//!
//! `\x93NUMPY`, major, minor, length of the header (u16 of version 1, u32 of 2 and 3, little-endian), the header: a dictionary of
//! Python with the keys `descr`, `fortran_order` and `shape`; then the numbers. The header is taken apart here, in a few lines: the
//! libraries for it allocate what it claims before they read it.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::array::{Array, BYTE, Values};
use crate::data::error::{DataError, Place};
use crate::data::features::{Element, Order};
use crate::data::{DATA_BYTES_MAX, files};

/// First bytes of an NPY file.
pub(crate) const MAGIC: &[u8] = b"\x93NUMPY";
/// Longest header that is read. NumPy's own limit is 10,000.
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// Most extents.
const RANK_MAX: usize = 8;
/// Most members of an archive.
const MEMBERS_MAX: usize = 64;

/// What stands before the numbers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) element: Element,
    pub(crate) shape: Vec<usize>,
    /// Byte of the first number.
    pub(crate) begin: usize,
}

impl Header {
    /// Bytes of all numbers.
    fn bytes(&self) -> Option<u64> {
        let count = self.shape.iter().try_fold(1u64, |product, &extent| product.checked_mul(extent as u64))?;
        count.checked_mul(self.element.bytes() as u64)
    }

    /// Bytes with rows and columns are pictures, whose range is known.
    fn divisor(&self) -> f32 {
        if self.element == Element::U8 && self.shape.len() > 2 { BYTE } else { 1.0 }
    }
}

/// Reads the header at the beginning of these bytes.
///
/// # Errors
/// What is wrong with it, in words.
pub(crate) fn header(bytes: &[u8]) -> Result<Header, String> {
    let cut = || "the header is cut off".to_owned();
    let rest = bytes.strip_prefix(MAGIC).ok_or("this is no NPY file: it does not begin with \\x93NUMPY")?;
    let major = *rest.first().ok_or_else(cut)?;
    let (length, begin) = match major {
        1 => {
            let length = rest.get(2..4).and_then(|bytes| bytes.first_chunk()).ok_or_else(cut)?;
            (usize::from(u16::from_le_bytes(*length)), 10)
        }
        2 | 3 => {
            let length = rest.get(2..6).and_then(|bytes| bytes.first_chunk()).ok_or_else(cut)?;
            (u32::from_le_bytes(*length) as usize, 12)
        }
        other => return Err(format!("version {other} of the format; 1 to 3 are read")),
    };
    if length > HEADER_BYTES_MAX {
        return Err(format!("the header claims {length} bytes, at most {HEADER_BYTES_MAX} are read"));
    }
    let text = bytes.get(begin..begin + length).ok_or_else(cut)?;
    let text = std::str::from_utf8(text).map_err(|_| "the header is no text".to_owned())?;
    let element = element(quoted(after(text, "descr")?)?)?;
    if after(text, "fortran_order")?.starts_with("True") {
        return Err("its columns come first (fortran_order); save numpy.ascontiguousarray(a)".into());
    }
    Ok(Header { element, shape: shape(after(text, "shape")?)?, begin: begin + length })
}

/// What follows a key of the dictionary.
fn after<'a>(text: &'a str, key: &str) -> Result<&'a str, String> {
    let missing = || format!("the header has no {key:?}");
    let at = text.find(&format!("'{key}'")).ok_or_else(missing)?;
    let rest = text[at + key.len() + 2..].trim_start();
    rest.strip_prefix(':').map(str::trim_start).ok_or_else(missing)
}

fn quoted(text: &str) -> Result<&str, String> {
    let inner = text.strip_prefix('\'').and_then(|rest| rest.split_once('\''));
    inner.map(|(inner, _)| inner).ok_or_else(|| "an array of records; only plain numbers are read".into())
}

fn element(descr: &str) -> Result<Element, String> {
    let (order, kind) = match descr.split_at_checked(1) {
        Some(("<" | "|" | "=", kind)) => (Order::Little, kind),
        Some((">", kind)) => (Order::Big, kind),
        _ => (Order::Little, descr),
    };
    Ok(match kind {
        "u1" | "b1" => Element::U8,
        "i1" => Element::I8,
        "u2" => Element::U16(order),
        "i2" => Element::I16(order),
        "u4" => Element::U32(order),
        "i4" => Element::I32(order),
        "u8" => Element::U64(order),
        "i8" => Element::I64(order),
        "f2" => Element::F16(order),
        "f4" => Element::F32(order),
        "f8" => Element::F64(order),
        _ => return Err(format!("numbers of type {descr:?}; read are u1 to u8, i1 to i8, f2 to f8 and b1")),
    })
}

fn shape(text: &str) -> Result<Vec<usize>, String> {
    let inner = text.strip_prefix('(').and_then(|rest| rest.split_once(')')).map(|(inner, _)| inner);
    let inner = inner.ok_or("the header's shape is no tuple")?;
    let extents: Result<Vec<usize>, _> =
        inner.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::parse).collect();
    let extents = extents.map_err(|_| format!("the header's shape ({inner}) has something that is no extent"))?;
    if extents.len() > RANK_MAX { Err(format!("{} extents, at most {RANK_MAX}", extents.len())) } else { Ok(extents) }
}

/// An NPY file; where it is plain, its numbers stay there until they are asked for.
pub(crate) fn open(path: &Path) -> Result<Array, DataError> {
    if files::gzipped(path)? {
        let bytes = files::read(path, DATA_BYTES_MAX)?;
        return from_bytes(path, &Place::Whole, bytes);
    }
    let (mut file, length) = files::open(path)?;
    let mut head = Vec::new();
    let most = (HEADER_BYTES_MAX + 16) as u64;
    Read::by_ref(&mut file).take(most).read_to_end(&mut head).map_err(DataError::read(path))?;
    let header = header(&head).map_err(|what| wrong(path, &Place::Whole, what))?;
    check_length(path, &Place::Whole, &header, length.saturating_sub(header.begin as u64))?;
    let (begin, divisor) = (header.begin as u64, header.divisor());
    Ok(Array {
        path: path.into(),
        shape: header.shape,
        element: header.element,
        divisor,
        values: Values::File(Arc::new(file), begin),
    })
}

fn from_bytes(path: &Path, place: &Place, mut bytes: Vec<u8>) -> Result<Array, DataError> {
    let header = header(&bytes).map_err(|what| wrong(path, place, what))?;
    check_length(path, place, &header, (bytes.len() - header.begin) as u64)?;
    bytes.drain(..header.begin);
    let divisor = header.divisor();
    Ok(Array { path: path.into(), shape: header.shape, element: header.element, divisor, values: Values::Bytes(bytes) })
}

fn check_length(path: &Path, place: &Place, header: &Header, found: u64) -> Result<(), DataError> {
    match header.bytes() {
        Some(expected) if expected == found => Ok(()),
        expected => {
            let expected = expected.map_or_else(|| "more than 2^64".to_owned(), |bytes| bytes.to_string());
            let what = format!("shape {:?} announces {expected} bytes, there are {found}", header.shape);
            Err(wrong(path, place, what))
        }
    }
}

fn wrong(path: &Path, place: &Place, what: impl std::fmt::Display) -> DataError {
    DataError::at(path, place.clone(), what, "save it again with numpy.save or numpy.savez")
}

/// An NPZ archive.
pub(crate) struct Npz<'a> {
    path: &'a Path,
    archive: zip::ZipArchive<File>,
}

impl<'a> Npz<'a> {
    pub(crate) fn open(path: &'a Path) -> Result<Self, DataError> {
        let (file, _) = files::open(path)?;
        let archive = zip::ZipArchive::new(file).map_err(|error| {
            DataError::whole(
                path,
                format!("the zip archive is damaged or cut off: {error}"),
                "save it again with numpy.savez",
            )
        })?;
        if archive.len() > MEMBERS_MAX {
            let what = format!("{} members, at most {MEMBERS_MAX}", archive.len());
            return Err(DataError::whole(path, what, "an NPZ file of samples and labels has two"));
        }
        Ok(Self { path, archive })
    }

    /// Names of the arrays.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = self.archive.file_names().filter_map(Result::ok);
        let mut names: Vec<String> = names.map(|name| name.trim_end_matches(".npy").to_owned()).collect();
        names.sort();
        names
    }

    /// The first array that is there of these names.
    pub(crate) fn take(&mut self, names: &[&str]) -> Result<Option<Array>, DataError> {
        let Some(name) = names.iter().find(|name| self.names().iter().any(|known| known == *name)) else {
            return Ok(None);
        };
        let place = Place::Part(format!("array {name:?}"));
        let failed = |error: &dyn std::fmt::Display| {
            DataError::at(
                self.path,
                place.clone(),
                format!("cannot be unpacked: {error}"),
                "save it again with numpy.savez",
            )
        };
        let mut member = self.archive.by_name(&format!("{name}.npy")).map_err(|error| failed(&error))?;
        let mut bytes = Vec::new();
        // One byte past the limit shows that there is more: an archive that unpacks to anything costs no more than the limit.
        Read::by_ref(&mut member).take(DATA_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
        drop(member);
        if bytes.len() as u64 > DATA_BYTES_MAX {
            let what = format!("unpacks to more than {} MiB", DATA_BYTES_MAX >> 20);
            return Err(DataError::at(
                self.path,
                place,
                what,
                "save the array alone with numpy.save: a plain file is read row by row",
            ));
        }
        from_bytes(self.path, &place, bytes).map(Some)
    }
}

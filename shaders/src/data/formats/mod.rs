//! What files are, told by their content, and one file for each format.
//!
//! Add a format: one file here, a variant of [`Kind`] with how it begins, and its branch in `data/open.rs`.

pub(crate) mod array;
mod cells;
pub(crate) mod characters;
pub mod idx;
pub(crate) mod npy;
mod parquet;
pub(crate) mod pictures;
pub(crate) mod quotes;
pub(crate) mod table;
pub mod text;

/// Formats that are read, and one line about each.
pub const ALL: &[(&str, &str)] = &[
    ("idx", "the four files of the MNIST family, plain or gzipped: train-images-idx3-ubyte and so on"),
    ("csv, tsv", "a table with the label in a column (--label NAME|INDEX); columns of few texts become one-hot"),
    ("parquet", "a table as CSV, in a build with the feature `parquet`"),
    ("npy", "x_train.npy with y_train.npy (x_test, y_test), or one array whose last column is the label"),
    ("npz", "an archive with arrays x_train and y_train, or x and y"),
    ("pictures", "a folder of PNG or JPEG files for each class; or train/ and test/ with such folders"),
    ("text", "a text, plain or gzipped, for a language model on its bytes or its characters"),
    ("tokens", "unsigned 16-bit tokens, little-endian (.bin, .u16, or NPY), for a language model"),
];

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Idx,
    Npy,
    /// A zip archive.
    Npz,
    Picture,
    Parquet,
    Text,
    Empty,
    /// Nothing that is known.
    Binary,
}

/// What begins with these bytes.
pub(crate) fn kind(head: &[u8]) -> Kind {
    match head {
        [] => Kind::Empty,
        [0, 0, 0x08..=0x0e, 1..=4, ..] => Kind::Idx,
        [b'P', b'K', 3, 4, ..] => Kind::Npz,
        [b'P', b'A', b'R', b'1', ..] => Kind::Parquet,
        _ if head.starts_with(npy::MAGIC) => Kind::Npy,
        _ if is_picture(head) => Kind::Picture,
        _ if is_text(head) => Kind::Text,
        _ => Kind::Binary,
    }
}

/// Where a file that is a text in all but its encoding has the first byte that is no UTF-8, as one in Latin-1 has.
pub(crate) fn foreign_at(head: &[u8]) -> Option<usize> {
    let error = std::str::from_utf8(head).err()?;
    let few = head.iter().filter(|byte| !byte.is_ascii()).count() < head.len() / 2;
    (few && !head.iter().any(is_odd)).then_some(error.valid_up_to())
}

/// A control character that no text has.
fn is_odd(byte: &u8) -> bool {
    matches!(byte, 0..=8 | 14..=26 | 28..=31 | 127)
}

fn is_picture(head: &[u8]) -> bool {
    head.starts_with(b"\x89PNG\r\n\x1a\n") || head.starts_with(&[0xff, 0xd8, 0xff])
}

/// UTF-8, but for a character that is cut off at the end, without control characters that no text has.
fn is_text(head: &[u8]) -> bool {
    let whole = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    whole && !head.iter().any(is_odd)
}

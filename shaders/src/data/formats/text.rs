//! A text as a data set: its bytes or its characters are the tokens, its samples windows of `context` + 1 of them. Or tokens that somebody else
//! made of it, unsigned numbers of 16 bits.
//!
//! Window i begins at token i * context, so every token but the first is predicted once an epoch. The first windows are trained
//! on, the next are for validation where a job wants some, the last tenth (`data.test`) is evaluated on. The label of a window is the tenth
//! of the training text that it lies in: a split by labels (`dirichlet:ALPHA`, `classes:K`) gives peers different parts of the text.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use crate::data::encoding::Encoding;
use crate::data::error::{DataError, no_utf8};
use crate::data::features::{Element, Features, Order, Rows, Stored};
use crate::data::formats::characters::{self, Vocabulary};
use crate::data::formats::{Kind, foreign_at, kind, npy};
use crate::data::holdout::Shares;
use crate::data::{DATA_BYTES_MAX, Dataset, Options, Origin, Split, files};

/// Tokens of a text: bytes.
pub const VOCABULARY: usize = 256;
/// Most tokens that 16 bits tell apart.
const TOKENS_MAX: usize = 1 << 16;
/// Parts of the training text that labels tell apart.
const PARTS: u64 = 10;
/// Most bytes of a text in memory: each becomes a float.
const TEXT_BYTES_MAX: u64 = DATA_BYTES_MAX / size_of::<f32>() as u64;

/// Where the tokens are.
enum Tokens {
    Bytes(Vec<u8>, Element),
    File(Arc<File>, u64, u64, Element),
}

impl Tokens {
    fn element(&self) -> Element {
        match self {
            Self::Bytes(_, element) | Self::File(.., element) => *element,
        }
    }

    fn bytes(&self) -> u64 {
        match self {
            Self::Bytes(bytes, _) => bytes.len() as u64,
            Self::File(_, _, bytes, _) => *bytes,
        }
    }

    fn count(&self) -> u64 {
        self.bytes() / self.element().bytes() as u64
    }
}

/// A file of text or of tokens, in windows of so many tokens.
///
/// # Errors
/// [`DataError`] that names the file: unreadable, neither text nor tokens, or too short for two windows.
pub fn open(path: &Path, context: usize, options: &Options) -> Result<Dataset, DataError> {
    let head = files::head(path)?;
    let named_tokens = path.extension().is_some_and(|end| end == "bin" || end == "u16" || end == "tokens");
    let element = match kind(&head) {
        Kind::Empty => return Err(DataError::Empty { path: path.into() }),
        Kind::Npy => return npy_tokens(path, context, options),
        _ if named_tokens => Element::U16(Order::Little),
        Kind::Text => Element::U8,
        other => {
            if let Some(at) = foreign_at(&head).filter(|_| other == Kind::Binary) {
                return Err(no_utf8(path, &head, at, "save the text as UTF-8"));
            }
            let remedy =
                "tokens of 16 bits are read from a file that ends in .bin, .u16 or .tokens, text in UTF-8 from any";
            return Err(DataError::whole(path, "this is neither text nor tokens for a language model", remedy));
        }
    };
    if options.vocabulary != Vocabulary::Bytes {
        if element != Element::U8 {
            return Err(by_characters(path));
        }
        let text = files::read(path, TEXT_BYTES_MAX)?;
        let short = |bytes| DataError::Short { path: path.into(), bytes, least: 2 * context + 1 };
        let bytes = text.len();
        return of(&path.display().to_string(), text, context, options)?.ok_or_else(|| short(bytes));
    }
    let (file, length) = files::open(path)?;
    let tokens = if files::gzipped(path)? || length * size_of::<f32>() as u64 <= options.resident_bytes_max {
        Tokens::Bytes(files::read(path, TEXT_BYTES_MAX)?, element)
    } else {
        Tokens::File(Arc::new(file), 0, length, element)
    };
    assemble(path, &tokens, context, options)
}

fn by_characters(path: &Path) -> DataError {
    DataError::whole(path, "these are tokens already", "data.vocabulary = \"characters\" is for a text: remove it")
}

fn npy_tokens(path: &Path, context: usize, options: &Options) -> Result<Dataset, DataError> {
    if options.vocabulary != Vocabulary::Bytes {
        return Err(by_characters(path));
    }
    let array = npy::open(path)?;
    if array.shape.len() != 1 || !matches!(array.element, Element::U8 | Element::U16(Order::Little)) {
        let what = format!("an array of extents {:?}, type {:?}", array.shape, array.element);
        return Err(DataError::whole(path, what, "tokens are one row of unsigned 8 or 16 bits: a.astype('<u2')"));
    }
    let (element, length) = (array.element, (array.shape[0] * array.element.bytes()) as u64);
    let tokens = match array.values {
        super::array::Values::Bytes(bytes) => Tokens::Bytes(bytes, element),
        super::array::Values::File(file, begin) => Tokens::File(file, begin, length, element),
    };
    assemble(path, &tokens, context, options)
}

fn assemble(path: &Path, tokens: &Tokens, context: usize, options: &Options) -> Result<Dataset, DataError> {
    if !tokens.bytes().is_multiple_of(tokens.element().bytes() as u64) {
        return Err(DataError::whole(path, "an odd number of bytes", "a token takes two: the file was cut off"));
    }
    let classes = vocabulary(path, tokens, options)?;
    let shares = options.shares;
    windows(path, tokens, context, classes, shares)?.ok_or_else(|| DataError::Short {
        path: path.into(),
        bytes: tokens.count() as usize,
        least: 2 * context + 1,
    })
}

/// Tokens that there are: bytes, or as many as the job says, or one more than the largest.
fn vocabulary(path: &Path, tokens: &Tokens, options: &Options) -> Result<usize, DataError> {
    let largest = match tokens {
        _ if tokens.element() == Element::U8 => VOCABULARY - 1,
        Tokens::Bytes(bytes, element) => element.numbers(bytes).iter().fold(0.0, |a: f64, &b| a.max(b)) as usize,
        Tokens::File(file, begin, length, element) => {
            let mut largest = 0.0f64;
            Stored::scan(file, path, (*begin, begin + length), element.bytes(), |piece| {
                largest = element.numbers(piece).iter().fold(largest, |a, &b| a.max(b));
                Ok(())
            })?;
            largest as usize
        }
    };
    match options.classes.count() {
        None => Ok((largest + 1).max(2)),
        Some(count) if (largest + 1..=TOKENS_MAX).contains(&count) => Ok(count),
        Some(count) => {
            let what = format!("token {largest}, and data.classes = {count}");
            Err(DataError::whole(path, what, "data.classes is the number of tokens: larger than each, at most 65536"))
        }
    }
}

/// `None` when there are not two windows.
fn windows(
    path: &Path,
    tokens: &Tokens,
    context: usize,
    classes: usize,
    shares: Shares,
) -> Result<Option<Dataset>, DataError> {
    let count = tokens.count().saturating_sub(1) / context.max(1) as u64;
    let Some([trained, validated, tested]) = shares.of(count).filter(|_| u32::try_from(count).is_ok()) else {
        return Ok(None);
    };
    let width = context + 1;
    let split = |first: u64, n: u64| -> Result<Split, DataError> {
        let label = |i: u64| (i.min(trained - 1) * PARTS / trained) as u32;
        let stride = context * tokens.element().bytes();
        let features = match tokens {
            Tokens::Bytes(bytes, element) => {
                let mut out = Vec::with_capacity(n as usize * width);
                for i in first..first + n {
                    let begin = i as usize * stride;
                    element.append(&bytes[begin..begin + width * element.bytes()], 1.0, &mut out);
                }
                Features::Resident(out)
            }
            Tokens::File(file, begin, _, element) => Features::Stored(Stored {
                path: path.into(),
                file: Arc::clone(file),
                begin: *begin,
                stride: stride as u64,
                width,
                element: *element,
                divisor: 1.0,
                normalization: None,
                rows: Rows::Range(first, n),
                skipped: None,
            }),
        };
        Ok(Split { labels: (first..first + n).map(label).collect(), features })
    };
    Ok(Some(Dataset {
        name: path.display().to_string(),
        shape: vec![width],
        classes,
        origin: Origin { samples: count as u32, drawn: None },
        train: split(0, trained)?,
        validation: split(trained, validated)?,
        test: split(trained + validated, tested)?,
        ..Dataset::default()
    }))
}

/// A text in memory; `None` where it is too short for two windows.
pub(crate) fn of(name: &str, text: Vec<u8>, context: usize, options: &Options) -> Result<Option<Dataset>, DataError> {
    let (path, shares) = (Path::new(name), options.shares);
    if options.vocabulary == Vocabulary::Bytes {
        return windows(path, &Tokens::Bytes(text, Element::U8), context, VOCABULARY, shares);
    }
    let (tokens, characters) = characters::tokens(path, &text, &options.vocabulary)?;
    let classes = characters.chars().count().max(2);
    let tokens = Tokens::Bytes(tokens, Element::U16(Order::Little));
    let found = windows(path, &tokens, context, classes, shares)?;
    Ok(found.map(|dataset| Dataset { encoding: Encoding { characters, ..Encoding::default() }, ..dataset }))
}

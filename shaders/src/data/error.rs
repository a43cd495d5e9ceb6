//! Why data cannot be used: always with the path, the place in it, and what to do.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::formats::idx;

/// See the module.
#[derive(Debug)]
pub enum DataError {
    /// There is no set of that name.
    Unknown {
        /// As asked for.
        name: String,
    },
    /// A set that is not part of the binary is not installed.
    NotInstalled {
        /// Of the set.
        name: &'static str,
        /// Where it would be.
        looked: Vec<PathBuf>,
        /// How to get it.
        remedy: &'static str,
    },
    /// A folder holds nothing that is read.
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// A file is missing.
    Missing {
        /// The folder.
        path: PathBuf,
        /// The file.
        expected: String,
    },
    /// A file cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is no idx file of the right kind.
    Idx {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: idx::IdxError,
    },
    /// Something in a file is not as it must be.
    Content {
        /// The file.
        path: PathBuf,
        /// Where.
        place: Place,
        /// What is wrong there.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// Samples and labels do not belong together.
    Count {
        /// File of the labels.
        path: PathBuf,
        /// Samples.
        images: usize,
        /// Labels.
        labels: usize,
    },
    /// The splits have samples of different extents.
    Shape {
        /// File of the test samples.
        path: PathBuf,
        /// Its extents.
        found: Vec<usize>,
        /// Those of the training split.
        expected: Vec<usize>,
    },
    /// A label is out of range.
    Label {
        /// File of the labels.
        path: PathBuf,
        /// The label.
        label: u32,
        /// Its place, from 0.
        sample: usize,
        /// Number of classes.
        classes: u32,
    },
    /// A text with less than two windows.
    Short {
        /// The file.
        path: PathBuf,
        /// Its tokens.
        bytes: usize,
        /// Fewest.
        least: usize,
    },
    /// No samples, or samples of nothing.
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// Where in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// All of it.
    Whole,
    /// Lines, from 1.
    Lines(Vec<u64>),
    /// Rows of a table without lines, from 1.
    Rows(Vec<u64>),
    /// A named part: a column, a member of an archive.
    Part(String),
}

/// Lines that a message names at most.
const LINES_SHOWN: usize = 5;

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Part(part) => write!(f, ", {part}"),
            Self::Lines(numbers) | Self::Rows(numbers) => {
                let shown: Vec<_> = numbers.iter().take(LINES_SHOWN).map(u64::to_string).collect();
                let more = numbers.len().saturating_sub(LINES_SHOWN);
                let what = if matches!(self, Self::Lines(_)) { "line" } else { "row" };
                let s = if numbers.len() == 1 { "" } else { "s" };
                write!(f, ", {what}{s} {}", shown.join(", "))?;
                if more > 0 { write!(f, " and {more} more") } else { Ok(()) }
            }
        }
    }
}

impl DataError {
    /// What is wrong, and where.
    fn fault(&self) -> String {
        match self {
            Self::Unknown { name } => format!("no data set is named {name:?}"),
            Self::NotInstalled { name, looked, .. } => {
                format!("{name} is not installed: it was looked for in {}", places(looked))
            }
            Self::Folder { path } => format!("{}: nothing in this folder is a data set", path.display()),
            Self::Missing { path, expected } => format!("{}: there is no {expected}", path.display()),
            Self::Read { path, source } => format!("{}: {source}", path.display()),
            Self::Idx { path, source } => format!("{}: {source}", path.display()),
            Self::Content { path, place, what, .. } => format!("{}{place}: {what}", path.display()),
            Self::Count { path, images, labels } => format!("{}: {images} samples and {labels} labels", path.display()),
            Self::Shape { path, found, expected } => {
                format!("{}: samples of {found:?}, those that are trained on are {expected:?}", path.display())
            }
            Self::Label { path, label, sample, classes } => {
                format!("{}: label {label} of sample {sample}, the classes are 0 to {}", path.display(), classes - 1)
            }
            Self::Short { path, bytes, least } => {
                format!("{}: {bytes} tokens; to train and to evaluate takes at least {least}", path.display())
            }
            Self::Empty { path } => format!("{}: no samples", path.display()),
        }
    }

    /// What to do: every error says it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Unknown { .. } => format!("there is: {}", super::names()),
            Self::NotInstalled { remedy, .. } => (*remedy).into(),
            Self::Folder { .. } => {
                "read are the four idx files of the MNIST family (train-images-idx3-ubyte and so on), x_train.npy \
                                    with y_train.npy, and a folder of pictures for each class"
                    .into()
            }
            Self::Missing { .. } => "put it there, or name another folder".into(),
            Self::Read { source, .. } => unread(source).into(),
            Self::Idx { source, .. } => source.remedy().into(),
            Self::Content { remedy, .. } => remedy.clone(),
            Self::Count { .. } => "every sample needs its label: write both again".into(),
            Self::Shape { .. } => "bring them to the same extents".into(),
            Self::Label { .. } => "raise data.classes, on every peer, or leave the sample out".into(),
            Self::Short { .. } => "a longer text, or a shorter model.context".into(),
            Self::Empty { .. } => "name a file or folder that has some; was it cut off?".into(),
        }
    }

    /// Something is wrong with all of a file.
    pub(crate) fn whole(path: &Path, what: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        Self::at(path, Place::Whole, what, remedy)
    }

    /// Something is wrong somewhere in a file.
    pub(crate) fn at(path: &Path, place: Place, what: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        Self::Content { path: path.into(), place, what: what.to_string(), remedy: remedy.to_string() }
    }

    /// A file could not be read.
    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |source| Self::Read { path: path.into(), source }
    }
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.fault(), self.remedy())
    }
}

impl std::error::Error for DataError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::Idx { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// What to do when the system does not hand a file out.
fn unread(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::NotFound => "is the path right, from the folder that this runs in?",
        ErrorKind::PermissionDenied => "let this user read it",
        ErrorKind::InvalidInput => "name a file or a folder",
        ErrorKind::UnexpectedEof => "it has become shorter since it was opened: leave it as it is while it is read",
        ErrorKind::OutOfMemory => "a smaller file, or a machine with more memory",
        _ => "is the disk sound? try a copy of it elsewhere",
    }
}

/// A text in another encoding: where, and how it is converted.
pub(crate) fn no_utf8(path: &Path, bytes: &[u8], at: usize, remedy: &str) -> DataError {
    let line = 1 + bytes[..at].iter().filter(|&&byte| byte == b'\n').count();
    let what =
        format!("byte {at} (0x{:02x}) is no UTF-8: the file has another encoding", bytes.get(at).copied().unwrap_or(0));
    let remedy = format!("{remedy}; from Latin-1, `iconv -f latin1 -t utf-8 OLD > NEW` converts it");
    DataError::at(path, Place::Lines(vec![line as u64]), what, remedy)
}

fn places(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

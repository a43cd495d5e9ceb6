//! Why data cannot be used: always with the path, the place in it, and what to do.

use std::fmt;
use std::path::{Path, PathBuf};

use super::formats::idx;

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// There is no set of that name.
    #[error("no data set is named {name:?}; there is: {}", super::names())]
    Unknown {
        /// As asked for.
        name: String,
    },
    /// A set that is not part of the binary is not installed.
    #[error("{name} is not installed: it was looked for in {}; {remedy}", places(looked))]
    NotInstalled {
        /// Of the set.
        name: &'static str,
        /// Where it would be.
        looked: Vec<PathBuf>,
        /// How to get it.
        remedy: &'static str,
    },
    /// A folder holds nothing that is read.
    #[error(
        "{}: nothing in this folder is a data set; read are the four idx files of the MNIST family \
         (train-images-idx3-ubyte and so on), x_train.npy with y_train.npy, and a folder of pictures for each class",
        path.display()
    )]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// A file is missing.
    #[error("{}: there is no {expected}", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
        /// The file.
        expected: String,
    },
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is no idx file of the right kind.
    #[error("{}: {source}", path.display())]
    Idx {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: idx::IdxError,
    },
    /// Something in a file is not as it must be.
    #[error("{}{place}: {what}; {remedy}", path.display())]
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
    #[error("{}: {images} samples and {labels} labels; every sample needs its label", path.display())]
    Count {
        /// File of the labels.
        path: PathBuf,
        /// Samples.
        images: usize,
        /// Labels.
        labels: usize,
    },
    /// The splits have samples of different extents.
    #[error("{}: samples of {found:?}, those of the training split are {expected:?}", path.display())]
    Shape {
        /// File of the test samples.
        path: PathBuf,
        /// Its extents.
        found: Vec<usize>,
        /// Those of the training split.
        expected: Vec<usize>,
    },
    /// A label is out of range.
    #[error("{}: label {label} of sample {sample}, the classes are 0 to {}", path.display(), classes - 1)]
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
    #[error("{}: {bytes} tokens; to train and to evaluate takes at least {least}: a longer text, or a shorter model.context", path.display())]
    Short {
        /// The file.
        path: PathBuf,
        /// Its tokens.
        bytes: usize,
        /// Fewest.
        least: usize,
    },
    /// No samples, or samples of nothing.
    #[error("{}: no samples", path.display())]
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
    /// Something is wrong with all of a file.
    pub(crate) fn whole(path: &Path, what: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        Self::at(path, Place::Whole, what, remedy)
    }

    /// Something is wrong somewhere in a file.
    pub(crate) fn at(path: &Path, place: Place, what: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        Self::Content { path: path.into(), place, what: what.to_string(), remedy: remedy.to_string() }
    }

    /// A file could not be read.
    pub(crate) fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        |source| Self::Read { path: path.into(), source }
    }
}

fn places(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

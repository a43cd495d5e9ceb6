//! Data sets: pictures or vectors with a class each, or windows of a text, in two fixed splits.
//!
//! Add an embedded set: one folder here and one line in [`ALL`]. Folders of idx files are read by [`open_folder`],
//! texts by [`text::open`].

mod digits;
pub mod idx;
pub mod split;
pub mod text;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Most bytes of a data set, unpacked: it is held in memory, once on the host and once on the device.
pub const DATA_BYTES_MAX: u64 = 4 << 30;
/// Most classes.
pub const CLASSES_MAX: u32 = 1000;

/// The embedded sets.
pub const ALL: &[&Embedded] = &[&digits::DIGITS];

/// A set inside the binary.
#[derive(Debug)]
pub struct Embedded {
    /// Name in job files.
    pub name: &'static str,
    /// One line for `--help` and the docs.
    pub about: &'static str,
    /// The four idx.gz files: training images and labels, test images and labels.
    files: [&'static [u8]; 4],
}

/// A data set in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// Its name, or its folder.
    pub name: String,
    /// Extents of one sample, as [28, 28].
    pub shape: Vec<usize>,
    /// Number of classes: the largest label of the training split, plus 1.
    pub classes: usize,
    /// What is trained on.
    pub train: Split,
    /// What is evaluated on.
    pub test: Split,
}

/// Samples and their labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Split {
    /// [n, features], row by row, each in 0..=1.
    pub features: Vec<f32>,
    /// [n].
    pub labels: Vec<u32>,
}

impl Split {
    /// n.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

impl Dataset {
    /// Numbers in one sample.
    #[must_use]
    pub fn features(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Why a data set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// There is no embedded set of that name.
    #[error("no embedded data set is named {name:?}; there is: {}", names())]
    Unknown {
        /// As asked for.
        name: String,
    },
    /// The folder is not there, or is none.
    #[error("{}: {source}; --data wants a folder with idx files", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is missing.
    #[error("{}: there is no {expected} (or {expected}.gz)", path.display())]
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
    /// Images and labels do not belong together.
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
        /// File of the test images.
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
    #[error("{}: {bytes} bytes; to train and to evaluate takes at least {least}: a longer text, or a shorter model.context", path.display())]
    Short {
        /// The file.
        path: PathBuf,
        /// Its bytes.
        bytes: usize,
        /// Fewest.
        least: usize,
    },
    /// No samples, or samples of nothing.
    #[error("{}: no samples", path.display())]
    Empty {
        /// File of the images.
        path: PathBuf,
    },
}

fn names() -> String {
    ALL.iter().map(|set| set.name).collect::<Vec<_>>().join(", ")
}

/// The embedded set of that name.
///
/// # Errors
/// [`DataError::Unknown`].
pub fn embedded(name: &str) -> Result<Dataset, DataError> {
    let set = ALL.iter().find(|set| set.name == name).ok_or_else(|| DataError::Unknown { name: name.into() })?;
    let path = |part: &str| PathBuf::from(format!("{name} (embedded) {part}"));
    let [train_images, train_labels, test_images, test_labels] = set.files;
    let train = (path("training images"), train_images.to_vec(), path("training labels"), train_labels.to_vec());
    let test = (path("test images"), test_images.to_vec(), path("test labels"), test_labels.to_vec());
    assemble(name.into(), train, test)
}

/// A folder with the four files of the MNIST family, each plain or gzipped: `train-images-idx3-ubyte`,
/// `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`.
///
/// # Errors
/// [`DataError`] that names the file and what is wrong with it.
pub fn open_folder(path: &Path) -> Result<Dataset, DataError> {
    std::fs::read_dir(path).map_err(|source| DataError::Folder { path: path.into(), source })?;
    let read = |prefix: &str| -> Result<RawSplit, DataError> {
        let (images, image_bytes) = read_file(path, &format!("{prefix}-images-idx3-ubyte"))?;
        let (labels, label_bytes) = read_file(path, &format!("{prefix}-labels-idx1-ubyte"))?;
        Ok((images, image_bytes, labels, label_bytes))
    };
    assemble(path.display().to_string(), read("train")?, read("t10k")?)
}

/// Path and bytes of images, path and bytes of labels.
type RawSplit = (PathBuf, Vec<u8>, PathBuf, Vec<u8>);

fn read_file(folder: &Path, name: &str) -> Result<(PathBuf, Vec<u8>), DataError> {
    let candidates = [folder.join(name), folder.join(format!("{name}.gz"))];
    let Some(path) = candidates.into_iter().find(|path| path.exists()) else {
        return Err(DataError::Missing { path: folder.into(), expected: name.into() });
    };
    let bytes = read_within(&path, DATA_BYTES_MAX)?;
    Ok((path, bytes))
}

/// The bytes of a file, which costs no more than the limit: neither by what it says of itself nor by what it turns out to be.
fn read_within(path: &Path, limit: u64) -> Result<Vec<u8>, DataError> {
    let error = |source| DataError::Read { path: path.into(), source };
    let too_large = |bytes| DataError::Idx { path: path.into(), source: idx::IdxError::TooLarge { bytes, limit } };
    // Before it is opened: to open a pipe is to wait for its writer, and a device may have no end.
    if !std::fs::metadata(path).map_err(error)?.is_file() {
        return Err(error(std::io::Error::new(std::io::ErrorKind::InvalidInput, "is no regular file")));
    }
    let file = File::open(path).map_err(error)?;
    let announced = file.metadata().map_err(error)?.len();
    if announced > limit {
        return Err(too_large(announced));
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(announced as usize).map_err(|full| error(full.into()))?;
    // A file of the system says that it is empty, and another may grow: one byte past the limit shows that there is more.
    file.take(limit + 1).read_to_end(&mut bytes).map_err(error)?;
    if bytes.len() as u64 > limit { Err(too_large(bytes.len() as u64)) } else { Ok(bytes) }
}

fn assemble(name: String, train: RawSplit, test: RawSplit) -> Result<Dataset, DataError> {
    let train_labels_path = train.2.clone();
    let (test_images_path, test_labels_path) = (test.0.clone(), test.2.clone());
    let (shape, train) = parse_split(train)?;
    let (test_shape, test) = parse_split(test)?;
    if test_shape != shape {
        return Err(DataError::Shape { path: test_images_path, found: test_shape, expected: shape });
    }
    check_labels(&train.labels, CLASSES_MAX, &train_labels_path)?;
    let classes = train.labels.iter().copied().max().unwrap_or(0) + 1;
    check_labels(&test.labels, classes, &test_labels_path)?;
    // A classifier of one class has nothing to learn; two outputs keep its loss defined.
    let classes = classes.max(2) as usize;
    Ok(Dataset { name, shape, classes, train, test })
}

fn check_labels(labels: &[u32], classes: u32, path: &Path) -> Result<(), DataError> {
    match labels.iter().position(|&label| label >= classes) {
        None => Ok(()),
        Some(sample) => Err(DataError::Label { path: path.into(), label: labels[sample], sample, classes }),
    }
}

fn parse_split((images_path, images, labels_path, labels): RawSplit) -> Result<(Vec<usize>, Split), DataError> {
    let wrong = |path: &PathBuf| {
        let path = path.clone();
        move |source| DataError::Idx { path, source }
    };
    let images = idx::parse(images, idx::Dimensions::AtLeast(2)).map_err(wrong(&images_path))?;
    let labels = idx::parse(labels, idx::Dimensions::Exactly(1)).map_err(wrong(&labels_path))?;
    let shape = images.extents[1..].to_vec();
    if images.values.is_empty() {
        return Err(DataError::Empty { path: images_path });
    }
    if images.extents[0] != labels.extents[0] {
        let (images, labels) = (images.extents[0], labels.extents[0]);
        return Err(DataError::Count { path: labels_path, images, labels });
    }
    let features = images.values.iter().map(|&value| f32::from(value) / 255.0).collect();
    let labels = labels.values.iter().map(|&label| u32::from(label)).collect();
    Ok((shape, Split { features, labels }))
}

#[cfg(test)]
mod tests;

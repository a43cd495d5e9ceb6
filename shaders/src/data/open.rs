//! From a path to a data set: what it is tells its content; then labels are checked, a part is held out, and numbers are normalised by what
//! the training part says.

use std::path::{Path, PathBuf};

use super::encoding::{Column, Encoding, Moments};
use super::error::{DataError, no_utf8};
use super::features::PIECE_BYTES;
use super::formats::array::{self, Array};
use super::formats::characters::Vocabulary;
use super::formats::{Kind, foreign_at, idx, kind, npy, pictures, table, text};
use super::{CLASSES_MAX, Dataset, Features, Origin, Split, files, holdout};
use holdout::Shares;

/// Most rows that a normalisation is measured on where they do not lie in memory: spread evenly over the training part.
const NORMALIZED_ROWS_MAX: usize = 65_536;
/// Bytes as floats above which rows stay in their file.
pub const RESIDENT_BYTES_MAX: u64 = 512 << 20;

/// How data are to be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The column of a table with the label, by name or number, or of an NPY array by number; `None`: see the formats.
    pub label: Option<String>,
    /// How many classes there are, or their names.
    pub classes: Classes,
    /// Columns of a table that a model was trained on: it is encoded so. Empty: as the table has them.
    pub columns: Vec<Column>,
    /// What is not trained on.
    pub shares: Shares,
    /// Of that choice.
    pub seed: u64,
    /// Whether numbers are brought to mean 0 and deviation 1.
    pub normalize: Normalize,
    /// Height and width that pictures are brought to.
    pub size: Option<[u32; 2]>,
    /// For a language model: tokens of a window, less one.
    pub context: Option<usize>,
    /// For a language model: what the tokens of a text are.
    pub vocabulary: Vocabulary,
    /// Bytes as floats above which rows stay in their file.
    pub resident_bytes_max: u64,
    /// Whether samples of one label alone are taken, to be looked at: nothing can be learnt from them.
    pub one_label: bool,
}

/// What the classes are, where data alone cannot tell: a peer may have samples of some of them only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Classes {
    /// As many as the largest label says, or the names that there are, sorted.
    #[default]
    Found,
    /// So many.
    Count(u32),
    /// These.
    Named(Vec<String>),
}

impl Classes {
    /// How many, if that is said.
    #[must_use]
    pub fn count(&self) -> Option<usize> {
        match self {
            Self::Found => None,
            Self::Count(count) => Some(*count as usize),
            Self::Named(names) => Some(names.len()),
        }
    }
}

/// Whether numbers are normalised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Normalize {
    /// Columns of numbers are, pictures of bytes lie between 0 and 1 as they are.
    #[default]
    Auto,
    /// Not.
    None,
    /// Always.
    Standard,
}

impl Normalize {
    /// All, with their names in job files.
    pub const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (Self::Auto, "auto", "tables and arrays of numbers as standard, pictures and text as they are"),
        (Self::None, "none", "numbers are taken as they are"),
        (Self::Standard, "standard", "mean 0 and deviation 1 over the training part"),
    ];

    /// As in a job file.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(rule, ..)| *rule == self).map_or("auto", |(_, name, _)| name)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            label: None,
            classes: Classes::Found,
            columns: Vec::new(),
            shares: Shares::default(),
            seed: 0,
            normalize: Normalize::Auto,
            size: None,
            context: None,
            vocabulary: Vocabulary::Bytes,
            resident_bytes_max: RESIDENT_BYTES_MAX,
            one_label: false,
        }
    }
}

/// What a format has read.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) shape: Vec<usize>,
    pub(crate) features: Features,
    pub(crate) labels: Vec<u32>,
    pub(crate) labels_path: PathBuf,
    /// Where the data have a part for it.
    pub(crate) test: Option<(Features, Vec<u32>)>,
    pub(crate) test_path: PathBuf,
    pub(crate) encoding: Encoding,
    /// Whether numbers have ranges of their own.
    pub(crate) varied: bool,
}

/// The data set at a path: a file or a folder of any format in [`formats::ALL`](super::formats::ALL).
///
/// # Errors
/// [`DataError`]: path, place, and what to do.
pub fn open(path: &Path, options: &Options) -> Result<Dataset, DataError> {
    let is_folder = std::fs::metadata(path).map_err(DataError::read(path))?.is_dir();
    if let Some(context) = options.context {
        refuse_label(path, options, "a text")?;
        if is_folder {
            let remedy = "path = \"FILE.txt\", or kind = \"mlp\" or \"cnn\"";
            return Err(DataError::whole(path, "this is a folder, and a model of kind \"lm\" reads a text", remedy));
        }
        refuse_size(path, options)?;
        return text::open(path, context, options);
    }
    let loaded = if is_folder { folder(path, options)? } else { file(path, options)? };
    if loaded.encoding.size.is_none() {
        refuse_size(path, options)?;
    }
    finish(path.display().to_string(), loaded, options)
}

/// What is asked for and means nothing is an error, and not passed over.
pub(crate) fn refuse_size(path: &Path, options: &Options) -> Result<(), DataError> {
    match options.size {
        None => Ok(()),
        Some([height, width]) => {
            let what =
                format!("a size of {height} x {width} is asked for, and only a folder of pictures is brought to one");
            Err(DataError::whole(path, what, "remove data.size (--size)"))
        }
    }
}

/// The same of a column.
pub(crate) fn refuse_label(path: &Path, options: &Options, of: &str) -> Result<(), DataError> {
    match &options.label {
        None => Ok(()),
        Some(label) => {
            let what = format!("{label:?} is named as the label, and {of} has no column of labels");
            Err(DataError::whole(path, what, "remove data.label (--label): it is for tables and NPY arrays"))
        }
    }
}

/// Names by which a folder is one of idx files, and of arrays.
const IDX_NAMES: [&str; 2] = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"];
const NPY_NAME: &str = "x_train.npy";

/// That file of a folder, packed or not.
fn within(folder: &Path, name: &str) -> Option<PathBuf> {
    [folder.join(name), folder.join(format!("{name}.gz"))].into_iter().find(|path| path.exists())
}

/// Whether what is at a path is brought to [`Options::size`]: a folder of pictures is.
#[must_use]
pub fn takes_size(path: &Path) -> bool {
    let holds = |name: &&str| within(path, name).is_some();
    let is_of_files = IDX_NAMES.iter().chain([&NPY_NAME]).any(|name| holds(name));
    // What cannot be read is told by whoever opens it.
    !is_of_files && path.is_dir() && pictures::is_folder(path).unwrap_or(false)
}

fn folder(path: &Path, options: &Options) -> Result<Loaded, DataError> {
    refuse_label(path, options, "a folder")?;
    let there = |name: &str| within(path, name);
    if IDX_NAMES.iter().any(|name| there(name).is_some()) {
        let file = |prefix: &str, what: &str| {
            let expected = format!("{prefix}-{what}-ubyte");
            let missing = format!("{expected} (or {expected}.gz)");
            there(&expected).ok_or_else(|| DataError::Missing { path: path.into(), expected: missing })
        };
        // All four before any is read.
        let part = |prefix| Ok::<_, DataError>((file(prefix, "images-idx3")?, file(prefix, "labels-idx1")?));
        let [train, test] = [part("train")?, part("t10k")?];
        let open = |(images, labels): (PathBuf, PathBuf)| -> Result<(Array, Array), DataError> {
            let images = idx::open(&images, idx::Dimensions::AtLeast(2))?;
            Ok((images, idx::open(&labels, idx::Dimensions::Exactly(1))?))
        };
        return pairs(open(train)?, Some(open(test)?), options);
    }
    if there(NPY_NAME).is_some() {
        let part = |part: &str| -> Result<(Array, Array), DataError> {
            let file = |what: &str| {
                let expected = format!("{what}_{part}.npy");
                there(&expected).ok_or(DataError::Missing { path: path.into(), expected })
            };
            Ok((npy::open(&file("x")?)?, npy::open(&file("y")?)?))
        };
        let test = if there("x_test.npy").is_some() { Some(part("test")?) } else { None };
        return pairs(part("train")?, test, options);
    }
    if pictures::is_folder(path)? {
        return pictures::open(path, options);
    }
    Err(DataError::Folder { path: path.into() })
}

fn file(path: &Path, options: &Options) -> Result<Loaded, DataError> {
    let refuse = |what: &str, remedy: &str| Err(DataError::whole(path, what, remedy));
    let head = files::head(path)?;
    match kind(&head) {
        Kind::Empty => Err(DataError::Empty { path: path.into() }),
        Kind::Idx => {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let labels = name.replace("images", "labels").replace("idx3", "idx1");
            if labels == name {
                return refuse(
                    "one idx file alone",
                    "name it X-images-idx3-ubyte and the labels beside it X-labels-idx1-ubyte",
                );
            }
            refuse_label(path, options, "an idx file")?;
            let images = idx::open(path, idx::Dimensions::AtLeast(2))?;
            pairs((images, idx::open(&path.with_file_name(labels), idx::Dimensions::Exactly(1))?), None, options)
        }
        Kind::Npy => one_array(path, options),
        Kind::Npz => archive(path, options),
        Kind::Picture => refuse("one picture alone", "name the folder that has a folder of pictures for each class"),
        Kind::Text | Kind::Parquet => table::open(path, options),
        Kind::Binary => match foreign_at(&head) {
            Some(at) => Err(no_utf8(path, &head, at, "save the table as UTF-8")),
            None => refuse(
                "this is none of the formats that are read",
                "idx, CSV, TSV, NPY, NPZ, a folder of pictures, or a text (`starling data ls` lists them)",
            ),
        },
    }
}

/// Samples and labels in files of their own.
pub(crate) fn pairs(
    train: (Array, Array),
    test: Option<(Array, Array)>,
    options: &Options,
) -> Result<Loaded, DataError> {
    let shape = train.0.sample_shape();
    let varied = train.0.divisor != array::BYTE;
    let labels_path = train.1.path.clone();
    let read = |(images, labels): (Array, Array)| -> Result<(Features, Vec<u32>), DataError> {
        let samples = images.samples();
        if images.shape.iter().product::<usize>() == 0 {
            return Err(DataError::Empty { path: images.path });
        }
        Ok((images.features(options.resident_bytes_max)?, labels.labels(samples)?))
    };
    let mut test_path = PathBuf::new();
    if let Some((images, labels)) = &test {
        if images.sample_shape() != shape {
            return Err(DataError::Shape { path: images.path.clone(), found: images.sample_shape(), expected: shape });
        }
        test_path.clone_from(&labels.path);
    }
    let (features, labels) = read(train)?;
    let test = test.map(read).transpose()?;
    Ok(Loaded { shape, features, labels, labels_path, test, test_path, varied, ..Loaded::default() })
}

/// An array with the labels beside it, or in one of its columns.
fn one_array(path: &Path, options: &Options) -> Result<Loaded, DataError> {
    let array = npy::open(path)?;
    if let Some(labels) = options.label.as_deref().filter(|label| label.ends_with(".npy")) {
        let labels = path.parent().unwrap_or(Path::new("")).join(labels);
        return pairs((array, npy::open(&labels)?), None, options);
    }
    let [samples, columns] = array.shape[..] else {
        let what = format!("an array of extents {:?} without labels", array.shape);
        return Err(DataError::whole(
            path,
            what,
            "--label FILE.npy names them, or put x_train.npy and y_train.npy into one folder",
        ));
    };
    let label = match options.label.as_deref().map(str::parse::<usize>) {
        None => columns.saturating_sub(1),
        Some(Ok(label)) if label < columns => label,
        Some(_) => {
            let what = format!("{columns} columns, and no column {:?}", options.label.as_deref().unwrap_or_default());
            return Err(DataError::whole(path, what, "--label takes the number of a column from 0, or FILE.npy"));
        }
    };
    if samples == 0 || columns < 2 {
        return Err(DataError::Empty { path: path.into() });
    }
    if array.is_stored(options.resident_bytes_max) {
        let (features, labels) = array.with_label(label, options.resident_bytes_max)?;
        let shape = vec![columns - 1];
        return Ok(Loaded { shape, features, labels, labels_path: path.into(), varied: true, ..Loaded::default() });
    }
    let all = array.features(u64::MAX)?;
    let Some(all) = all.resident() else { return Err(DataError::Empty { path: path.into() }) };
    let mut features = Vec::with_capacity(samples * (columns - 1));
    let mut labels = Vec::with_capacity(samples);
    for (sample, row) in all.chunks_exact(columns).enumerate() {
        labels.push(array::label(path, sample, f64::from(row[label]))?);
        features.extend(row.iter().enumerate().filter(|(i, _)| *i != label).map(|(_, value)| *value));
    }
    Ok(Loaded {
        shape: vec![columns - 1],
        features: features.into(),
        labels,
        labels_path: path.into(),
        varied: true,
        ..Loaded::default()
    })
}

/// Names of samples and labels in NPZ archives, and those of the test part.
const ARRAYS: [[&[&str]; 2]; 2] = [
    [
        &["x_train", "X_train", "train_images", "x", "X", "data", "images", "features"],
        &["y_train", "train_labels", "y", "labels", "label", "target"],
    ],
    [&["x_test", "X_test", "test_images", "x_val"], &["y_test", "test_labels", "y_val"]],
];

fn archive(path: &Path, options: &Options) -> Result<Loaded, DataError> {
    refuse_label(path, options, "an archive of arrays")?;
    let mut npz = npy::Npz::open(path)?;
    let names = npz.names().join(", ");
    let mut part = |[samples, labels]: [&[&str]; 2]| Ok::<_, DataError>(npz.take(samples)?.zip(npz.take(labels)?));
    let Some(train) = part(ARRAYS[0])? else {
        let what = format!("no arrays of samples and labels among its {names:?}");
        return Err(DataError::whole(path, what, "call them x and y, or x_train, y_train, x_test and y_test"));
    };
    pairs(train, part(ARRAYS[1])?, options)
}

/// Checks labels, holds parts out, normalises.
pub(crate) fn finish(name: String, loaded: Loaded, options: &Options) -> Result<Dataset, DataError> {
    let Loaded { shape, features, labels, labels_path, test, test_path, mut encoding, varied } = loaded;
    let width: usize = shape.iter().product();
    if labels.is_empty() || width == 0 {
        return Err(DataError::Empty { path: labels_path });
    }
    if let Classes::Count(count) = options.classes
        && count > CLASSES_MAX
    {
        let what = format!("data.classes = {count}, and a classifier knows at most {CLASSES_MAX} classes");
        return Err(DataError::whole(
            &labels_path,
            what,
            "as many as there are; more are the tokens of a language model",
        ));
    }
    let named = encoding.class_names.len();
    let given = options.classes.count().or((named > 0).then_some(named));
    check_labels(&labels, given.map_or(CLASSES_MAX, |classes| classes as u32), &labels_path)?;
    let found = labels.iter().copied().max().unwrap_or(0) + 1;
    // Where a job says what the classes are, others may have samples of the rest.
    if options.classes == Classes::Found
        && !options.one_label
        && let [first, rest @ ..] = &labels[..]
        && !rest.is_empty()
        && rest.iter().all(|label| label == first)
    {
        let name = encoding.class_names.get(*first as usize).cloned().unwrap_or_else(|| first.to_string());
        let what = format!("all {} samples have the same label {name:?}: nothing to learn to tell apart", labels.len());
        let remedy = "is that the label (--label names the column)? data.classes says what there is, where other peers have the other classes";
        return Err(DataError::whole(&labels_path, what, remedy));
    }
    // One sample alone may pass here, too; two outputs keep the loss of its classifier defined.
    let classes = given.unwrap_or(found as usize).max(if options.one_label { 1 } else { 2 });
    if let Classes::Named(names) = &options.classes
        && encoding.class_names.is_empty()
    {
        encoding.class_names.clone_from(names);
    }
    if let Some((_, labels)) = &test {
        check_labels(labels, classes as u32, &test_path)?;
    }
    let mut dataset = Dataset { name, shape, classes, encoding, ..Dataset::default() };
    part(&mut dataset, (features, labels), test, &labels_path, options)?;
    if options.normalize == Normalize::Standard || (options.normalize == Normalize::Auto && varied) {
        normalize(&mut dataset, width)?;
    }
    Ok(dataset)
}

fn check_labels(labels: &[u32], classes: u32, path: &Path) -> Result<(), DataError> {
    match labels.iter().position(|&label| label >= classes) {
        None => Ok(()),
        Some(sample) => Err(DataError::Label { path: path.into(), label: labels[sample], sample, classes }),
    }
}

/// The three parts: those that the data have, the others chosen.
fn part(
    dataset: &mut Dataset,
    (features, labels): (Features, Vec<u32>),
    test: Option<(Features, Vec<u32>)>,
    path: &Path,
    options: &Options,
) -> Result<(), DataError> {
    let width = dataset.features();
    let few = || {
        let remedy = "a part to train on and a part to test on take at least two, and data.validation one more";
        DataError::whole(path, format!("{} samples", labels.len()), remedy)
    };
    let n = u32::try_from(labels.len()).map_err(|_| few())?;
    let has_test = test.is_some();
    if let Some((features, labels)) = test {
        dataset.test = Split { features, labels };
    }
    let shares = match (has_test, options.shares.validation > 0.0) {
        (true, false) => {
            dataset.train = Split { features, labels };
            return Ok(());
        }
        // What would be tested on is trained on: there is a part for that.
        (true, true) => Shares { test: options.shares.validation, validation: 0.0 },
        (false, _) => options.shares,
    };
    dataset.origin = Origin { samples: n, drawn: Some((shares, options.seed)) };
    let chosen = holdout::choose(n, shares, options.seed)
        .map(|[train, second, third]| if has_test { [train, third, second] } else { [train, second, third] });
    let take = |rows: Vec<u32>| Split {
        labels: rows.iter().map(|&row| labels[row as usize]).collect(),
        features: features.choose(width, rows),
    };
    let [train, validation, tested] = chosen.ok_or_else(few)?;
    (dataset.train, dataset.validation) = (take(train), take(validation));
    if !has_test {
        dataset.test = take(tested);
    }
    Ok(())
}

/// By mean and deviation of the training part.
fn normalize(dataset: &mut Dataset, width: usize) -> Result<(), DataError> {
    let train = &dataset.train;
    let mut moments = Moments::new(width);
    match train.features.resident() {
        Some(rows) => moments.add(rows),
        None => {
            let step = train.len().div_ceil(NORMALIZED_ROWS_MAX).max(1);
            let rows: Vec<u32> = (0..train.len() as u32).step_by(step).collect();
            train.features.each_piece(width, &rows, PIECE_BYTES, |piece| moments.add(piece))?;
        }
    }
    let normalization = moments.finish();
    dataset.normalize(&normalization);
    dataset.encoding.normalization = Some(normalization);
    Ok(())
}

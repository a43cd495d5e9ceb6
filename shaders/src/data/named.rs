//! Sets by name: inside the binary, or where a distribution puts them.

use std::path::{Path, PathBuf};

use super::error::DataError;
use super::formats::{array::Array, idx, text};
use super::open::{self, Loaded};
use super::{Dataset, Options, digits, shakespeare};

/// A set with a name.
#[derive(Debug)]
pub struct Named {
    /// In job files.
    pub name: &'static str,
    /// One line for `--help` and the docs.
    pub about: &'static str,
    /// Where it is.
    pub(crate) source: Source,
}

/// See [`Named`].
#[derive(Debug)]
pub(crate) enum Source {
    /// The four idx.gz files: training images and labels, test images and labels.
    Idx([&'static [u8]; 4]),
    /// A gzipped text.
    Text(&'static [u8]),
    /// A folder that a package installs, and how to get it.
    Installed(&'static [&'static str], &'static str),
}

/// The sets.
pub const ALL: &[&Named] = &[&digits::DIGITS, &FASHION_MNIST, &shakespeare::SHAKESPEARE];

const FASHION_MNIST: Named = Named {
    name: "fashion-mnist",
    about: "70,000 pictures of clothes, 28x28 pixels, 10 classes (Debian package dataset-fashion-mnist)",
    source: Source::Installed(
        &["/usr/share/datasets/fashion-mnist", "/usr/local/share/datasets/fashion-mnist"],
        "on Debian and Ubuntu: apt-get install dataset-fashion-mnist; elsewhere --data DIR names a folder with its four idx files",
    ),
};
/// Classes of Fashion-MNIST (Xiao, Rasul and Vollgraf 2017, arXiv 1708.07747).
const CLOTHES: [&str; 10] =
    ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];
/// Most bytes of an embedded text, unpacked.
const TEXT_BYTES_MAX: u64 = 16 << 20;

impl Named {
    /// Whether it is here.
    #[must_use]
    pub fn is_there(&self) -> bool {
        match &self.source {
            Source::Installed(places, _) => places.iter().any(|place| Path::new(place).is_dir()),
            Source::Idx(_) | Source::Text(_) => true,
        }
    }

    /// Whether language models read it.
    #[must_use]
    pub fn is_text(&self) -> bool {
        matches!(self.source, Source::Text(_))
    }
}

/// The set of that name.
///
/// # Errors
/// [`DataError::Unknown`], [`DataError::NotInstalled`], and those of [`open::open`].
pub fn named(name: &str, options: &Options) -> Result<Dataset, DataError> {
    let set = ALL.iter().find(|set| set.name == name).ok_or_else(|| DataError::Unknown { name: name.into() })?;
    if !matches!(set.source, Source::Installed(..)) {
        open::refuse_size(Path::new(name), options)?;
        open::refuse_label(Path::new(name), options, "a set with a name")?;
    }
    match (&set.source, options.context) {
        (Source::Text(packed), Some(context)) => {
            let whole = |source| DataError::Idx { path: name.into(), source };
            let text = idx::unzipped(packed.to_vec(), TEXT_BYTES_MAX).map_err(whole)?;
            let bytes = text.len();
            let short = || DataError::Short { path: name.into(), bytes, least: 2 * context + 1 };
            text::of(name, text, context, options)?.ok_or_else(short)
        }
        (Source::Text(_), None) => Err(misfit(name, "a text", "model.kind = \"lm\" reads it")),
        (_, Some(_)) => {
            let remedy = "model.kind = \"mlp\" or \"cnn\" reads them; a text is data.set = \"shakespeare\" or data.path = \"FILE.txt\"";
            Err(misfit(name, "pictures", remedy))
        }
        (Source::Idx(files), None) => pictures(name, files, options),
        (Source::Installed(places, remedy), None) => {
            let folders: Vec<PathBuf> = places.iter().map(PathBuf::from).collect();
            let found = folders.iter().find(|folder| folder.is_dir());
            let missing = || DataError::NotInstalled { name: set.name, looked: folders.clone(), remedy };
            let mut dataset = open::open(found.ok_or_else(missing)?, options)?;
            dataset.name = name.into();
            if dataset.classes == CLOTHES.len() {
                dataset.encoding.class_names = CLOTHES.map(str::to_owned).to_vec();
            }
            Ok(dataset)
        }
    }
}

/// How to get a set that is not installed.
#[cfg(test)]
pub(crate) fn remedy(name: &str) -> &'static str {
    ALL.iter().find(|set| set.name == name).map_or("", |set| match set.source {
        Source::Installed(_, remedy) => remedy,
        Source::Idx(_) | Source::Text(_) => "",
    })
}

fn misfit(name: &str, what: &str, remedy: &str) -> DataError {
    DataError::whole(Path::new(name), format!("the set {name:?} is {what}"), remedy)
}

fn pictures(name: &str, files: &[&'static [u8]; 4], options: &Options) -> Result<Dataset, DataError> {
    let array = |i: usize, part: &str, dimensions| -> Result<Array, DataError> {
        idx::array(Path::new(&format!("{name} (embedded) {part}")), files[i].to_vec(), dimensions)
    };
    let images = idx::Dimensions::AtLeast(2);
    let labels = idx::Dimensions::Exactly(1);
    let train = (array(0, "training images", images)?, array(1, "training labels", labels)?);
    let test = (array(2, "test images", images)?, array(3, "test labels", labels)?);
    let loaded: Loaded = open::pairs(train, Some(test), options)?;
    open::finish(name.into(), loaded, options)
}

/// The embedded set of that name, as it is.
///
/// # Errors
/// As [`named`].
pub fn embedded(name: &str) -> Result<Dataset, DataError> {
    named(name, &Options::default())
}

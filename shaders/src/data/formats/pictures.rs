//! Folders of pictures: a folder for each class, PNG or JPEG files in it (the `image` crate unpacks them). With `train/` and `test/` above
//! the classes these are the two parts; otherwise a fixed part is tested on.
//!
//! Pictures that are all grey have one channel, else three. All have one size; of others `data.size` makes one.

use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageReader, Limits};

use crate::data::encoding::Encoding;
use crate::data::error::DataError;
use crate::data::open::{Classes, Loaded};
use crate::data::{CLASSES_MAX, DATA_BYTES_MAX, Features, Options};

use super::array::BYTE;

/// Longest side of a picture, pixels.
pub(crate) const SIDE_MAX: u32 = 4096;
/// Most bytes that unpacking one picture may take.
const PICTURE_BYTES_MAX: u64 = 256 << 20;
/// Most files of a folder.
const FILES_MAX: usize = 10_000_000;

/// Whether a file is called like a picture.
fn is_named_so(path: &Path) -> bool {
    let end = path.extension().and_then(|end| end.to_str()).map(str::to_lowercase);
    matches!(end.as_deref(), Some("png" | "jpg" | "jpeg"))
}

/// What is in a folder, by name; hidden files are not.
pub(crate) fn listed(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(DataError::read(folder))? {
        let entry = entry.map_err(DataError::read(folder))?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            found.push(entry.path());
        }
        if found.len() > FILES_MAX {
            return Err(DataError::whole(
                folder,
                format!("more than {FILES_MAX} files"),
                "save the pictures as one NPY array",
            ));
        }
    }
    found.sort();
    Ok(found)
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    Ok(listed(folder)?.into_iter().filter(|path| path.is_dir()).collect())
}

/// Pictures of a folder, or of those in it.
pub(crate) fn pictures_in(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    Ok(listed(folder)?.into_iter().filter(|path| is_named_so(path) && path.is_file()).collect())
}

/// Whether this is a folder of classes, or of `train/` and `test/`.
pub(crate) fn is_folder(folder: &Path) -> Result<bool, DataError> {
    for class in folders(folder)? {
        if !pictures_in(&class)?.is_empty() {
            return Ok(true);
        }
        for inner in folders(&class)? {
            if !pictures_in(&inner)?.is_empty() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// See the module.
pub(crate) fn open(folder: &Path, options: &Options) -> Result<Loaded, DataError> {
    let (train, test) = (folder.join("train"), folder.join("test"));
    let parted = train.is_dir() && test.is_dir();
    let root = if parted { &train } else { folder };
    let names = class_names(root, &options.classes)?;
    if parted {
        refuse_untrained(&test, &names)?;
    }
    let mut reader = Reader { size: options.size, shape: None, first: PathBuf::new(), bytes: 0 };
    let train_files = files(root, &names)?;
    let test_files = if parted { files(&test, &names)? } else { Vec::new() };
    let colour = train_files
        .iter()
        .chain(&test_files)
        .map(|(path, _)| is_colour(path))
        .try_fold(false, |any, one| Ok(any | one?))?;
    let mut read = |files: &[(PathBuf, u32)]| {
        let mut features = Vec::new();
        files.iter().try_for_each(|(path, _)| reader.append(path, colour, &mut features))?;
        Ok((Features::Resident(features), files.iter().map(|(_, class)| *class).collect::<Vec<_>>()))
    };
    let (features, labels) = read(&train_files)?;
    let test = if parted { Some(read(&test_files)?) } else { None };
    let Some(shape) = reader.shape else { return Err(DataError::Empty { path: folder.into() }) };
    Ok(Loaded {
        shape,
        features,
        labels,
        labels_path: root.into(),
        test,
        test_path: folder.join("test"),
        encoding: Encoding { class_names: names, size: options.size, ..Encoding::default() },
        ..Loaded::default()
    })
}

fn names_in(root: &Path) -> Result<Vec<String>, DataError> {
    let name = |path: &PathBuf| Some(path.file_name()?.to_string_lossy().into_owned());
    Ok(folders(root)?.iter().filter_map(name).collect())
}

/// An error where a class is tested on that nothing can be learnt of.
fn refuse_untrained(test: &Path, names: &[String]) -> Result<(), DataError> {
    match names_in(test)?.iter().find(|name| !names.contains(name)) {
        None => Ok(()),
        Some(odd) => {
            let what = format!("the folder {odd:?} is none of the classes ({})", names.join(", "));
            Err(DataError::whole(test, what, "put pictures of it into train/, too, or move the folder away"))
        }
    }
}

fn class_names(root: &Path, classes: &Classes) -> Result<Vec<String>, DataError> {
    let found = names_in(root)?;
    if found.len() > CLASSES_MAX as usize {
        let what = format!("{} folders, and each is a class: at most {CLASSES_MAX}", found.len());
        return Err(DataError::whole(root, what, "put the pictures of a class into one folder"));
    }
    match classes {
        Classes::Named(names) => match found.iter().find(|name| !names.contains(name)) {
            None => Ok(names.clone()),
            Some(odd) => {
                let what = format!("the folder {odd:?} is none of data.classes ({})", names.join(", "));
                Err(DataError::whole(root, what, "add it there, on every peer, or move the folder away"))
            }
        },
        _ => Ok(found),
    }
}

/// Pictures and their classes.
fn files(root: &Path, names: &[String]) -> Result<Vec<(PathBuf, u32)>, DataError> {
    let mut files = Vec::new();
    for (class, name) in names.iter().enumerate() {
        let folder = root.join(name);
        if folder.is_dir() {
            files.extend(pictures_in(&folder)?.into_iter().map(|path| (path, class as u32)));
        }
    }
    if files.is_empty() { Err(DataError::Empty { path: root.into() }) } else { Ok(files) }
}

fn damaged(path: &Path, error: &dyn std::fmt::Display) -> DataError {
    DataError::whole(
        path,
        format!("this is no picture that can be unpacked: {error}"),
        "replace the file, or move it away",
    )
}

fn reader(path: &Path) -> Result<ImageReader<std::io::BufReader<std::fs::File>>, DataError> {
    // Before it is opened: to open a pipe is to wait.
    crate::data::files::open(path)?;
    let mut reader =
        ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(DataError::read(path))?;
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(SIDE_MAX), Some(SIDE_MAX));
    limits.max_alloc = Some(PICTURE_BYTES_MAX);
    reader.limits(limits);
    Ok(reader)
}

fn is_colour(path: &Path) -> Result<bool, DataError> {
    use image::ImageDecoder as _;
    let decoder = reader(path)?.into_decoder().map_err(|error| damaged(path, &error))?;
    Ok(decoder.color_type().has_color())
}

/// One picture, as numbers from 0 to 1, in one channel or three; its height and width.
fn unpacked(path: &Path, colour: bool, size: Option<[u32; 2]>) -> Result<([u32; 2], Vec<u8>), DataError> {
    let mut picture = reader(path)?.decode().map_err(|error| damaged(path, &error))?;
    if let Some([height, width]) = size.filter(|size| *size != [picture.height(), picture.width()]) {
        picture = picture.resize_exact(width, height, image::imageops::FilterType::Triangle);
    }
    let size = [picture.height(), picture.width()];
    let bytes =
        if colour { DynamicImage::from(picture.into_rgb8()).into_bytes() } else { picture.into_luma8().into_raw() };
    Ok((size, bytes))
}

/// Reads pictures of one size.
#[derive(Debug)]
struct Reader {
    size: Option<[u32; 2]>,
    shape: Option<Vec<usize>>,
    first: PathBuf,
    bytes: u64,
}

impl Reader {
    fn append(&mut self, path: &Path, colour: bool, out: &mut Vec<f32>) -> Result<(), DataError> {
        let (size, bytes) = unpacked(path, colour, self.size)?;
        let shape = shape(size, colour);
        match &self.shape {
            Some(expected) if *expected != shape => {
                let what = format!("{shape:?}, and {} is {expected:?}", self.first.display());
                return Err(DataError::whole(path, what, "data.size = [HEIGHT, WIDTH] makes all pictures one size"));
            }
            Some(_) => {}
            None => (self.shape, self.first) = (Some(shape), path.into()),
        }
        self.bytes += (bytes.len() * size_of::<f32>()) as u64;
        if self.bytes > DATA_BYTES_MAX {
            let what = format!("with this picture more than {} MiB as floats", DATA_BYTES_MAX >> 20);
            return Err(DataError::whole(
                path,
                what,
                "a smaller data.size, or one plain NPY array, which is read row by row",
            ));
        }
        out.extend(bytes.into_iter().map(|byte| f32::from(byte) / BYTE));
        Ok(())
    }
}

fn shape([height, width]: [u32; 2], colour: bool) -> Vec<usize> {
    let picture = [height as usize, width as usize];
    if colour { [&picture[..], &[3]].concat() } else { picture.to_vec() }
}

/// One picture for a model that reads such samples, brought to a size where those of its training were.
pub(crate) fn one(path: &Path, wanted: &[usize], size: Option<[u32; 2]>) -> Result<Vec<f32>, DataError> {
    let colour = wanted.len() == 3;
    // What else a checkpoint may say of it is not what its model reads.
    let size = size.filter(|size| wanted.starts_with(&size.map(|side| side as usize)));
    let (size, bytes) = unpacked(path, colour, size)?;
    let found = shape(size, colour);
    if found != wanted {
        let what = format!("a picture of {found:?}, the model reads {wanted:?}");
        let remedy = "bring it to that size first; a model that is trained with data.size does it itself";
        return Err(DataError::whole(path, what, remedy));
    }
    Ok(bytes.into_iter().map(|byte| f32::from(byte) / BYTE).collect())
}

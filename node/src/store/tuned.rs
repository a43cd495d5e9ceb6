//! What `starling device tune` has found, one file a device in the user's cache directory.
//!
//! A file speaks of one adapter under one driver and of one version of the kernels. What does not fit, or is damaged, is ignored with a
//! line of warning: a cache may be deleted, and never keeps anybody from training.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use shaders::engine::DeviceInfo;
use shaders::engine::products::{Class, Preset, Product, VERSION as KERNELS};

use super::bounded;
use crate::error::{Error, Kind};

/// Of the file.
const VERSION: u32 = 1;
/// Longest file that is read: a class takes about 100 bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What was found: the fastest preset of each class.
pub type Tuned = BTreeMap<Class, Preset>;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    version: u32,
    kernels: u32,
    name: String,
    backend: String,
    driver: String,
    #[serde(default)]
    choices: Vec<Choice>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice {
    product: Product,
    wide: bool,
    rows: u32,
    columns: u32,
    depth: u32,
    preset: Preset,
}

/// The user's cache directory, beside the one that keeps the identity; `None` for a user without a home.
#[must_use]
pub fn folder() -> Option<PathBuf> {
    directories::ProjectDirs::from("", "", "starling").map(|folders| folders.cache_dir().to_owned())
}

/// What is known of this device, and why a file is ignored.
#[must_use]
pub fn load(info: &DeviceInfo) -> (Tuned, Option<String>) {
    match folder().map(|folder| read(&folder, info)) {
        None => (Tuned::new(), None),
        Some(Ok(tuned)) => (tuned, None),
        Some(Err(why)) => (Tuned::new(), Some(format!("what was tuned for {} is ignored: {why}", info.name))),
    }
}

/// Finds out before anything is measured whether there is a place for it.
///
/// # Errors
/// [`Kind::Input`] when the folder cannot be made.
pub fn prepare(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))
}

fn unwritable(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::new(Kind::Input, format!("cannot write {}: {error}", path.display()))
        .hint("XDG_CACHE_HOME names another place")
}

/// Keeps it, with what is known of other classes of the same device; the file.
///
/// # Errors
/// [`Kind::Input`] when it cannot be written.
pub fn save(folder: &Path, info: &DeviceInfo, tuned: &Tuned) -> Result<PathBuf, Error> {
    let mut all = read(folder, info).unwrap_or_default();
    all.extend(tuned);
    let path = place(folder, info);
    let contents = Contents {
        version: VERSION,
        kernels: KERNELS,
        name: info.name.clone(),
        backend: info.backend.clone(),
        driver: info.driver.clone(),
        choices: all
            .into_iter()
            .map(|(Class { product, wide, rows, columns, depth }, preset)| Choice {
                product,
                wide,
                rows,
                columns,
                depth,
                preset,
            })
            .collect(),
    };
    let failed = |error: &dyn std::fmt::Display| unwritable(&path, error);
    let text = toml::to_string(&contents).map_err(|error| failed(&error))?;
    // Beside it and renamed: who reads meanwhile reads a whole file.
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&draft, text))
        .and_then(|()| fs::rename(&draft, &path))
        .map_err(|error| failed(&error))?;
    Ok(path)
}

/// The file of a device: by its name and its back end, so that what another driver has left is found, and said.
#[must_use]
pub fn place(folder: &Path, info: &DeviceInfo) -> PathBuf {
    let digest = blake3::derive_key("starling 1 tuned", format!("{}\n{}", info.backend, info.name).as_bytes());
    let short: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    folder.join(format!("products-{short}.toml"))
}

/// What the file holds; nothing without one, and why it cannot be used.
fn read(folder: &Path, info: &DeviceInfo) -> Result<Tuned, String> {
    let path = place(folder, info);
    let again = "`starling device tune` writes it anew";
    let text = match bounded::read_text(&path, FILE_BYTES_MAX) {
        Ok(text) => text,
        Err(bounded::ReadError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Tuned::new()),
        Err(error) => return Err(format!("{} {error}; {again}", path.display())),
    };
    let contents: Contents =
        toml::from_str(&text).map_err(|error| format!("{}: {}; {again}", path.display(), error.message()))?;
    if (contents.version, contents.kernels) != (VERSION, KERNELS) {
        return Err(format!("{} is of another version of starling; {again}", path.display()));
    }
    if (&contents.name, &contents.backend, &contents.driver) != (&info.name, &info.backend, &info.driver) {
        let driver = contents.driver;
        return Err(format!("{} was measured with the driver {driver:?}; {again}", path.display()));
    }
    let entry = |Choice { product, wide, rows, columns, depth, preset }| {
        (Class { product, wide, rows, columns, depth }, preset)
    };
    Ok(contents.choices.into_iter().map(entry).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use shaders::engine::products::Shape;

    fn info() -> DeviceInfo {
        DeviceInfo { name: "toy".into(), backend: "vulkan".into(), driver: "toy 1.0".into(), ..DeviceInfo::default() }
    }

    fn tuned(rows: u32, preset: Preset) -> Tuned {
        [(Shape::new(Product::Forward, true, &[rows, 64, 128]).class(), preset)].into()
    }

    #[test]
    fn what_is_saved_is_read_and_added_to() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("not/yet/there");
        assert_eq!(read(&cache, &info()), Ok(Tuned::new()));
        let (first, second) = (tuned(64, Preset::Tile32), tuned(512, Preset::Split64));
        let path = save(&cache, &info(), &first).unwrap();
        assert_eq!(read(&cache, &info()), Ok(first.clone()));
        assert_eq!(save(&cache, &info(), &second).unwrap(), path);
        assert_eq!(read(&cache, &info()), Ok(first.into_iter().chain(second.clone()).collect()));
        save(&cache, &info(), &tuned(64, Preset::Plain)).unwrap();
        assert_eq!(read(&cache, &info()), Ok(tuned(64, Preset::Plain).into_iter().chain(second).collect()));
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 1, "no draft is left behind");
        let other = DeviceInfo { name: "other".into(), ..info() };
        assert_eq!(read(&cache, &other), Ok(Tuned::new()));
    }

    #[test]
    fn what_is_old_or_damaged_is_ignored_says_why_and_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = save(folder.path(), &info(), &tuned(64, Preset::Tile32)).unwrap();
        let good = fs::read_to_string(&path).unwrap();
        let newer = DeviceInfo { driver: "toy 1.1".into(), ..info() };
        assert!(read(folder.path(), &newer).unwrap_err().contains("\"toy 1.0\""));
        let spoil = |from: &str, to: &str| {
            assert!(good.contains(from), "{good}");
            good.replacen(from, to, 1)
        };
        for (bad, why) in [
            (spoil("version = 1", "version = 0"), "another version"),
            (spoil(&format!("kernels = {KERNELS}"), "kernels = 0"), "another version"),
            (spoil("tile_32", "tile_31"), "tile_31"),
            (spoil("rows = 64", "rows = -64"), "-64"),
            (spoil("wide", "wild"), "wild"),
            (good[..good.len() / 2].to_owned(), ""),
            (String::new(), "version"),
            ("x".repeat(FILE_BYTES_MAX as usize + 1), "longer"),
        ] {
            fs::write(&path, &bad).unwrap();
            let error = read(folder.path(), &info()).unwrap_err();
            assert!(error.contains(why) && error.contains("device tune") && !error.contains('\n'), "{error}");
        }
        save(folder.path(), &info(), &tuned(128, Preset::Plain)).unwrap();
        assert_eq!(read(folder.path(), &info()), Ok(tuned(128, Preset::Plain)));
        assert_eq!(prepare(Path::new("/proc/starling")).unwrap_err().kind, Kind::Input);
        assert_eq!(save(Path::new("/proc"), &info(), &Tuned::new()).unwrap_err().kind, Kind::Input);
    }
}

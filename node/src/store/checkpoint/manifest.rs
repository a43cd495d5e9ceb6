//! `manifest.json`: length and blake3 of every file of a checkpoint, and of the manifest itself.
//!
//! A manifest has one form only: what is read is written again and compared, byte by byte. So no bit of it may flip either.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{FILE_BYTES_MAX, FILES, MANIFEST};
use crate::store::bounded::read_text;

/// What it calls itself.
const FORMAT: &str = "starling checkpoint 1";
/// Longest manifest, bytes.
const MANIFEST_BYTES_MAX: u64 = 16 << 10;
/// Read at once.
const PIECE_BYTES: usize = 1 << 20;

/// See the module.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    format: String,
    files: BTreeMap<String, Entry>,
    /// Of everything above, as written here.
    blake3: String,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    bytes: u64,
    blake3: String,
}

impl Entry {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, blake3: blake3::hash(bytes).to_hex().to_string() }
    }
}

impl Manifest {
    pub(super) fn new(files: BTreeMap<String, Entry>) -> Self {
        let mut manifest = Self { format: FORMAT.to_owned(), files, blake3: String::new() };
        manifest.blake3 = manifest.hash();
        manifest
    }

    fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("starling 1 checkpoint manifest");
        hasher.update(self.format.as_bytes());
        for (name, entry) in &self.files {
            hasher.update(format!("\n{name} {} {}", entry.bytes, entry.blake3).as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    pub(super) fn to_text(&self) -> String {
        // Plain data has no way to fail; an empty manifest would be found wrong.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let manifest: Self = serde_json::from_str(text).ok()?;
        let sound = manifest.format == FORMAT && manifest.blake3 == manifest.hash() && manifest.to_text() == text;
        let complete =
            FILES.iter().all(|file| manifest.files.contains_key(*file)) && manifest.files.len() == FILES.len();
        (sound && complete).then_some(manifest)
    }

    /// Of the checkpoint in that folder.
    pub(super) fn read(folder: &Path) -> Result<Self, String> {
        let text =
            read_text(&folder.join(MANIFEST), MANIFEST_BYTES_MAX).map_err(|error| format!("{MANIFEST}: {error}"))?;
        Self::parse(&text).ok_or_else(|| format!("{MANIFEST} is no manifest of a checkpoint, or was altered"))
    }

    /// The bytes of a file, which are those that were written.
    pub(super) fn file(&self, folder: &Path, name: &str) -> Result<Vec<u8>, String> {
        let entry = self.files.get(name).ok_or_else(|| format!("{name} is not in the manifest"))?;
        let path = folder.join(name);
        let read = || -> io::Result<Vec<u8>> {
            let file = regular(&path)?;
            let mut bytes = Vec::new();
            if file.metadata()?.len() == entry.bytes && entry.bytes <= FILE_BYTES_MAX {
                bytes.try_reserve_exact(entry.bytes as usize).map_err(io::Error::other)?;
                file.take(entry.bytes + 1).read_to_end(&mut bytes)?;
            }
            Ok(bytes)
        };
        let bytes = read().map_err(|error| format!("{name}: {error}"))?;
        if Entry::of(&bytes) == *entry { Ok(bytes) } else { Err(format!("{name} is not what was written")) }
    }

    /// Whether all files are what was written, without holding any of them.
    pub(super) fn check(&self, folder: &Path) -> Result<(), String> {
        for (name, entry) in &self.files {
            let found = entry_of(&folder.join(name)).map_err(|error| format!("{name}: {error}"))?;
            if found != *entry {
                return Err(format!("{name} is not what was written"));
            }
        }
        Ok(())
    }
}

/// A regular file; to open a pipe is to wait for its writer.
pub(super) fn regular(path: &Path) -> io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "is no regular file"));
    }
    File::open(path)
}

fn entry_of(path: &Path) -> io::Result<Entry> {
    let mut file = regular(path)?;
    let (mut hasher, mut piece, mut bytes) = (blake3::Hasher::new(), vec![0; PIECE_BYTES], 0);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(Entry { bytes, blake3: hasher.finalize().to_hex().to_string() }),
            read => {
                bytes += read as u64;
                hasher.update(&piece[..read]);
            }
        }
    }
}

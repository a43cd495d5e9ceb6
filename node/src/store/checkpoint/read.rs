//! Reading: the newest checkpoint that is whole, or one that is named.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use protocol::Standing;
use protocol::learner::Saved;
use safetensors::{Dtype, SafeTensors};
use shaders::models::layout::{self, Named};
use shaders::models::network::Network;

use super::manifest::{Manifest, regular};
use super::{
    About, CONFIG, Config, Course, FILE_BYTES_MAX, MANIFEST, MODEL, STATE, TEXT_BYTES_MAX, names, place, standing,
};
use crate::error::{Error, Kind};

/// Largest weight that training can begin at: what a base holds, with room.
const WEIGHT_MAX: f32 = 64.0;

/// A checkpoint that is whole.
#[derive(Debug)]
pub struct Found {
    /// Its folder.
    pub path: PathBuf,
    /// Newer ones that are not, and why: a sentence each.
    pub damaged: Vec<String>,
    manifest: Manifest,
}

/// A model out of a checkpoint.
#[derive(Debug)]
pub struct Model {
    /// What it is.
    pub about: About,
    /// Its layers.
    pub network: Network,
    /// Its weights in buffer order.
    pub weights: Vec<f32>,
    /// Where it was.
    pub path: PathBuf,
    /// blake3 of its weights file, hex: the name of this very model.
    pub hash: String,
}

/// What training goes on from.
#[derive(Debug)]
pub struct Resume {
    /// Of the learner.
    pub learner: Saved,
    /// Of the peer.
    pub standing: Standing,
    /// Of the run.
    pub course: Course,
    /// Run id, hex.
    pub run: String,
    /// What its model is, and of which job and data.
    pub about: About,
    /// Where it was.
    pub path: PathBuf,
}

/// What is wrong with the checkpoint in a folder, if anything is.
///
/// # Errors
/// A sentence.
pub fn damage(folder: &Path) -> Result<(), String> {
    Manifest::read(folder)?.check(folder)
}

/// What a checkpoint says of itself, when it is whole.
pub(super) fn config(folder: &Path) -> Result<About, String> {
    let manifest = Manifest::read(folder)?;
    manifest.check(folder)?;
    Ok(Config::parse(&manifest.file(folder, CONFIG)?)?.starling)
}

/// The newest whole checkpoint in `dir`, or `dir` itself when it is one.
///
/// # Errors
/// None there, or none that is whole; each with what is wrong with it.
pub fn latest(dir: &Path) -> Result<Found, Error> {
    let wrong = |message: String| Error::new(Kind::Input, format!("{}: {message}", dir.display()));
    let hint = "a folder that `starling run --checkpoint DIR` wrote, or one step-N of it";
    if dir.join(MANIFEST).exists() {
        let whole = Manifest::read(dir).and_then(|manifest| manifest.check(dir).map(|()| manifest));
        let manifest =
            whole.map_err(|why| wrong(format!("this checkpoint is damaged: {why}")).hint("take another one"))?;
        return Ok(Found { path: dir.to_owned(), damaged: Vec::new(), manifest });
    }
    let names = names(dir).map_err(|error| wrong(error.to_string()).hint(hint))?;
    let mut damaged = Vec::new();
    for name in names {
        let path = place(dir, name);
        match Manifest::read(&path).and_then(|manifest| manifest.check(&path).map(|()| manifest)) {
            Ok(manifest) => return Ok(Found { path, damaged, manifest }),
            Err(why) => damaged.push(format!("{} is damaged ({why})", path.display())),
        }
    }
    if damaged.is_empty() {
        return Err(wrong("no checkpoint is there".to_owned()).hint(hint));
    }
    Err(wrong(format!("no checkpoint there is whole: {}", damaged.join("; "))).hint("a copy of it, if there is one"))
}

impl Found {
    /// What it says of itself.
    ///
    /// # Errors
    /// What is not as it should be.
    pub fn about(&self) -> Result<About, Error> {
        self.manifest
            .file(&self.path, CONFIG)
            .and_then(|bytes| Config::parse(&bytes))
            .map(|config| config.starling)
            .map_err(|why| self.wrong(&why))
    }

    fn wrong(&self, why: &str) -> Error {
        Error::new(Kind::Input, format!("{}: {why}", self.path.display()))
    }

    /// For whoever wants to know.
    fn file(&self, name: &str) -> Result<Vec<u8>, Error> {
        self.manifest.file(&self.path, name).map_err(|why| self.wrong(&why))
    }
}

/// The model of a checkpoint.
///
/// # Errors
/// What is not as it should be.
pub fn model(found: &Found) -> Result<Model, Error> {
    let about = found.about()?;
    let network = about.network()?;
    let bytes = found.file(MODEL)?;
    let weights = weights(&about, &network, &bytes).map_err(|why| found.wrong(&format!("{MODEL}: {why}")))?;
    Ok(Model { about, network, weights, path: found.path.clone(), hash: blake3::hash(&bytes).to_hex().to_string() })
}

/// Weights in buffer order out of a file that somebody names, with the hash of the file.
///
/// # Errors
/// What is wrong with it: path, tensor, what was expected.
pub fn weights_of(path: &Path, about: &About, network: &Network) -> Result<(Vec<f32>, [u8; 32]), Error> {
    let wrong = |what: String| Error::new(Kind::Input, format!("{}: {what}", path.display()));
    let file = regular(path).map_err(|error| wrong(error.to_string()))?;
    let length = file.metadata().map_err(|error| wrong(error.to_string()))?.len();
    if length > FILE_BYTES_MAX {
        return Err(wrong(format!("{length} bytes, the limit is {FILE_BYTES_MAX}")));
    }
    let bytes = fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let weights = begun_at(&bytes).and_then(|()| weights(about, network, &bytes)).map_err(|what| {
        wrong(what).hint("a .safetensors file with the names, the shapes and the type (F32) of this job's model, as a checkpoint's model.safetensors")
    })?;
    Ok((weights, *blake3::hash(&bytes).as_bytes()))
}

/// Whether training can begin at these.
pub(super) fn begun_at(bytes: &[u8]) -> Result<(), String> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| format!("is no safetensors file ({error})"))?;
    for (name, tensor) in tensors.iter().filter(|(_, tensor)| tensor.dtype() == Dtype::F32) {
        let values = floats(tensor.data());
        if let Some(value) = values.iter().find(|value| value.is_nan() || value.abs() >= WEIGHT_MAX) {
            return Err(format!("{name:?} has a weight of {value}; they must be finite and below {WEIGHT_MAX}"));
        }
    }
    Ok(())
}

fn weights(about: &About, network: &Network, bytes: &[u8]) -> Result<Vec<f32>, String> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| format!("is no safetensors file ({error})"))?;
    let mut named = Vec::new();
    for (name, tensor) in tensors.iter() {
        if tensor.dtype() != Dtype::F32 {
            return Err(format!("{name:?} is of type {:?}, it must be F32", tensor.dtype()));
        }
        named.push(Named { name: name.to_owned(), shape: tensor.shape().to_vec(), values: floats(tensor.data()) });
    }
    layout::from_named(&about.model, &about.shape, network, named).map_err(|error| error.to_string())
}

/// What training goes on from.
///
/// # Errors
/// What is not as it should be.
pub fn resume(found: &Found) -> Result<Resume, Error> {
    let about = found.about()?;
    let bytes = found.file(STATE)?;
    let (learner, standing, course, run) = state(&bytes).map_err(|why| found.wrong(&format!("{STATE}: {why}")))?;
    Ok(Resume { learner, standing, course, run, about, path: found.path.clone() })
}

pub(super) fn state(bytes: &[u8]) -> Result<(Saved, Standing, Course, String), String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let text = header.metadata().as_ref().and_then(|metadata| metadata.get("standing"));
    let text = text.filter(|text| text.len() as u64 <= TEXT_BYTES_MAX).ok_or("it does not say where the peer stood")?;
    let (standing, course, run) = standing::parse(text)?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let mut saved = Saved::default();
    let mut own = BTreeMap::new();
    for (name, tensor) in tensors.iter() {
        match (name, tensor.dtype()) {
            ("base", Dtype::I32) => saved.base = words(tensor.data()).into_iter().map(|word| word as i32).collect(),
            ("theta", Dtype::F32) => saved.theta = floats(tensor.data()),
            (_, Dtype::U32) => drop(own.insert(name.to_owned(), words(tensor.data()))),
            (_, dtype) => return Err(format!("{name:?} of type {dtype:?} has no place here")),
        }
    }
    saved.own = own;
    Ok((saved, standing, course, run))
}

/// A file's bytes need not lie where words may.
fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

//! Writing: beside its place, to the disk, then renamed. What is too many is removed the other way round.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use protocol::Checkpoint;
use protocol::fixed::to_f32;
use protocol::learner::Weights;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize};
use shaders::models::layout::{self, Named};

use super::manifest::{Entry, Manifest};
use super::{
    About, CONFIG, Config, Course, DAMAGED, GONE, LATER, MANIFEST, MODEL, Name, STATE, WRITING, Worth, names, place,
    read, standing,
};
use crate::error::{Error, Kind};
use crate::platform::{self, Lock, sync_folder};

/// Held while a process writes into the folder.
const LOCK: &str = "lock";
/// Of the newest checkpoints at most so many are kept.
pub const KEEP_MAX: u32 = 10_000;

/// A folder of checkpoints that this process writes.
#[derive(Debug)]
pub struct Folder {
    dir: PathBuf,
    about: About,
    keep: usize,
    /// Of those in the folder, as far as they were evaluated.
    losses: BTreeMap<Name, f32>,
    /// Those that the run goes on without.
    later: Vec<Name>,
    _lock: Lock,
}

impl Folder {
    /// Takes a folder, which is made when it is not there, for checkpoints of a run that goes on from one of them. Those that are damaged are
    /// set aside; those after that one, of which the run will know nothing, as soon as there is another one; what a write that was cut off has
    /// left is removed.
    ///
    /// # Errors
    /// A folder that cannot be written, is in use, or holds checkpoints when the run begins anew.
    pub fn open(dir: &Path, about: About, keep: u32, from: Option<Name>) -> Result<Self, Error> {
        let failed = |error: io::Error| {
            Error::new(Kind::Input, format!("the checkpoints in {}: {error}", dir.display()))
                .hint("--checkpoint DIR names a folder that you may write to")
        };
        make(dir).map_err(failed)?;
        let lock = lock(dir)?;
        let found = names(dir).map_err(failed)?;
        if from.is_none() && !found.is_empty() {
            return Err(Error::new(Kind::Input, format!("{} holds checkpoints of an earlier run", dir.display()))
                .hint(format!(
                    "--resume {} goes on from them; a run that begins anew wants another folder",
                    dir.display()
                )));
        }
        let mut folder = Self {
            dir: dir.to_owned(),
            about,
            keep: keep.max(1) as usize,
            losses: BTreeMap::new(),
            later: Vec::new(),
            _lock: lock,
        };
        folder.clear().map_err(failed)?;
        for name in found {
            match read::config(&place(dir, name)) {
                Err(_) => folder.set_aside(DAMAGED, name).map_err(failed)?,
                Ok(_) if from.is_some_and(|from| name > from) => folder.later.push(name),
                Ok(config) => folder.note(name, config.evaluation),
            }
        }
        Ok(folder)
    }

    fn note(&mut self, name: Name, worth: Option<Worth>) {
        if let Some(loss) = worth.and_then(|worth| worth.loss) {
            self.losses.insert(name, loss);
        }
    }

    /// Removes what is half written or half removed.
    fn clear(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| name.starts_with(WRITING) || name.starts_with(GONE)) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    /// Takes a checkpoint out of the row; the last one of that name is kept for whoever wants it.
    fn set_aside(&self, why: &str, name: Name) -> io::Result<()> {
        let aside = self.dir.join(format!("{why}{name}"));
        if aside.exists() {
            fs::remove_dir_all(&aside)?;
        }
        fs::rename(place(&self.dir, name), aside)
    }

    /// Writes a checkpoint and removes what is too many; where it is, and its bytes. When it cannot be written, nothing has changed.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(
        &mut self,
        checkpoint: &Checkpoint,
        worth: Option<Worth>,
        course: Course,
    ) -> Result<(PathBuf, u64), String> {
        let steps = checkpoint.standing.steps;
        let taken = names(&self.dir).map_err(|error| error.to_string())?;
        let again = taken.iter().find(|name| name.steps == steps && !self.later.contains(name));
        let again = again.map_or(0, |name| name.again + 1);
        let name = Name { steps, again };
        let files = files(&self.about, checkpoint, worth, course)?;
        let writing = self.dir.join(format!("{WRITING}{name}"));
        let written = self.write_files(&writing, &files).and_then(|()| {
            // From here on the run has gone another way.
            while let Some(later) = self.later.last() {
                self.set_aside(LATER, *later)?;
                self.later.pop();
            }
            fs::rename(&writing, place(&self.dir, name))?;
            sync_folder(&self.dir)
        });
        if let Err(error) = written {
            // What could be written of it takes room that something else may need.
            let _ = fs::remove_dir_all(&writing);
            return Err(error.to_string());
        }
        self.note(name, worth);
        if let Err(error) = self.prune() {
            tracing::warn!(%error, dir = %self.dir.display(), "an old checkpoint cannot be removed");
        }
        Ok((place(&self.dir, name), files.iter().map(|(_, bytes)| bytes.len() as u64).sum()))
    }

    fn write_files(&self, writing: &Path, files: &[(&str, Vec<u8>)]) -> io::Result<()> {
        if writing.exists() {
            fs::remove_dir_all(writing)?;
        }
        platform::private_folder().create(writing)?;
        let entries = files.iter().map(|(name, bytes)| ((*name).to_owned(), Entry::of(bytes))).collect();
        let manifest = Manifest::new(entries).to_text();
        let manifest = std::iter::once((MANIFEST, manifest.as_bytes()));
        for (name, bytes) in files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).chain(manifest) {
            let mut file =
                platform::private(&mut OpenOptions::new()).write(true).create_new(true).open(writing.join(name))?;
            file.write_all(bytes)?;
            file.sync_all()?;
        }
        sync_folder(writing)
    }

    /// Keeps the newest and the best.
    fn prune(&mut self) -> io::Result<()> {
        // Of equals the later one: it has seen more.
        let best = self.losses.iter().rev().min_by(|a, b| a.1.total_cmp(b.1)).map(|(name, _)| *name);
        for name in names(&self.dir)?.into_iter().skip(self.keep).filter(|name| Some(*name) != best) {
            let gone = self.dir.join(format!("{GONE}{name}"));
            fs::rename(place(&self.dir, name), &gone)?;
            fs::remove_dir_all(gone)?;
            self.losses.remove(&name);
        }
        Ok(())
    }
}

fn lock(dir: &Path) -> Result<Lock, Error> {
    let path = dir.join(LOCK);
    let open = || platform::private(&mut OpenOptions::new()).write(true).create(true).truncate(false).open(&path);
    let file = open().map_err(|error| {
        Error::new(Kind::Input, format!("the checkpoints in {}: {error}", dir.display()))
            .hint("--checkpoint DIR names a folder that you may write to")
    })?;
    platform::lock(file).map_err(|error| {
        Error::new(Kind::Input, format!("the checkpoints in {} cannot be locked: {error}", dir.display()))
            .hint("another starling writes there: stop it, or give this one another --checkpoint DIR")
    })
}

/// Makes a folder that is not there, and brings its name to the disk.
fn make(dir: &Path) -> io::Result<()> {
    if dir.exists() {
        return Ok(());
    }
    platform::private_folder().create(dir)?;
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    sync_folder(parent.unwrap_or(Path::new(".")))
}

/// What stands in the files of a checkpoint.
fn files(
    about: &About,
    checkpoint: &Checkpoint,
    worth: Option<Worth>,
    course: Course,
) -> Result<Vec<(&'static str, Vec<u8>)>, String> {
    let Checkpoint { learner, standing, base_hash, .. } = checkpoint;
    let network = about.network().map_err(|error| error.message)?;
    let base: Vec<f32>;
    let weights = match about.which() {
        Weights::Local => &learner.theta,
        Weights::Base => {
            base = learner.base.iter().map(|&value| to_f32(value)).collect();
            &base
        }
    };
    let named = layout::to_named(&about.model, &about.shape, &network, weights);
    let model = safetensors_file(
        named.iter().map(|Named { name, shape, values }| {
            (name.as_str(), Dtype::F32, shape.clone(), bytemuck::cast_slice(values))
        }),
        ("format", "pt".to_owned()),
    )?;
    let about = About {
        steps: standing.steps,
        epochs: standing.epochs,
        samples: standing.samples,
        base_hash: base_hash.to_string(),
        evaluation: worth,
        ..about.clone()
    };
    let standing = standing::to_text(standing, course, &about.run)?;
    let vectors = [
        ("base", Dtype::I32, vec![learner.base.len()], bytemuck::cast_slice(&learner.base)),
        ("theta", Dtype::F32, vec![learner.theta.len()], bytemuck::cast_slice(&learner.theta)),
    ];
    let own = learner.own.iter();
    let own = own.map(|(name, words)| (name.as_str(), Dtype::U32, vec![words.len()], bytemuck::cast_slice(words)));
    let state = safetensors_file(vectors.into_iter().chain(own), ("standing", standing))?;
    Ok(vec![(MODEL, model), (CONFIG, Config::new(about).to_text()?.into_bytes()), (STATE, state)])
}

/// A safetensors file with one entry of metadata: with more their order, and so the bytes, would be drawn.
///
/// # Errors
/// Bytes that are not as many as a shape says.
pub fn safetensors_file<'a>(
    tensors: impl Iterator<Item = (&'a str, Dtype, Vec<usize>, &'a [u8])>,
    (key, value): (&str, String),
) -> Result<Vec<u8>, String> {
    let view = |(name, dtype, shape, bytes)| TensorView::new(dtype, shape, bytes).map(|view| (name, view));
    let views = tensors.map(view).collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    serialize(views, Some([(key.to_owned(), value)].into())).map_err(|error| error.to_string())
}

//! Checkpoints: a model in a folder, enough to use it without its job and to go on training it.
//!
//! ```text
//! DIR/step-1234/model.safetensors    the weights, f32, by name, shapes as PyTorch has them
//!               config.json          what the model is, what its inputs are, which run it comes of, what it is worth
//!               state.safetensors    base, theta, moments, order of the samples; in its header where the peer stands
//!               manifest.json        length and blake3 of each of these
//! ```
//!
//! A checkpoint is written beside its place, brought to the disk file by file, and renamed: what stands under its name is whole, whatever was
//! killed when. Its manifest finds what the disk or a copy has done to it since, to the bit; then the checkpoint before it is used.
//! What a peer has said to others while it was not looking is kept apart ([`chain`]).

mod bounds;
pub mod chain;
mod config;
mod course;
pub(crate) mod fuzz;
mod keeper;
mod manifest;
mod read;
mod standing;
mod write;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use config::{About, Config, Worth};
pub use course::{Course, Fork, Trend};
pub use keeper::{Item, Keeper, News};
pub use read::{Found, Model, Resume, damage, latest, model, resume, weights_of};
pub use write::{Folder, KEEP_MAX, safetensors_file};

/// The weights.
pub const MODEL: &str = "model.safetensors";
/// What they are.
pub const CONFIG: &str = "config.json";
/// What training goes on from.
pub const STATE: &str = "state.safetensors";
/// What the files are.
pub const MANIFEST: &str = "manifest.json";
/// The files of a checkpoint but its manifest.
const FILES: [&str; 3] = [CONFIG, MODEL, STATE];
/// Longest text of a checkpoint, bytes: its configuration holds names of classes and columns.
const TEXT_BYTES_MAX: u64 = 16 << 20;
/// Longest other file, bytes: 2^30 parameters with their moments, and the order of four billion samples.
const FILE_BYTES_MAX: u64 = 64 << 30;
/// How the folder of a checkpoint begins.
const PREFIX: &str = "step-";
/// How a folder begins that is being written.
const WRITING: &str = ".writing-";
/// How one begins that is being removed.
const GONE: &str = ".gone-";
/// How one begins that a run went on without: it was resumed from one before it.
const LATER: &str = "later-";
/// How one begins that was found damaged, when something else takes its place.
const DAMAGED: &str = "damaged-";

/// The name of a checkpoint: steps, and which one of these steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// Optimizer steps of the peer.
    pub steps: u64,
    /// A peer that was resumed may come by the same number of steps again.
    pub again: u32,
}

impl Name {
    /// Of a folder.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (steps, again) = match name.strip_prefix(PREFIX)?.split_once('.') {
            Some((steps, again)) => (steps, again.parse().ok().filter(|again| *again > 0)?),
            None => (name.strip_prefix(PREFIX)?, 0),
        };
        let name = Self { steps: steps.parse().ok()?, again };
        // One name for one checkpoint: neither signs nor leading zeros.
        (name.to_string().ends_with(steps) || again > 0).then_some(name)
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{PREFIX}{}", self.steps)?;
        if self.again > 0 {
            write!(f, ".{}", self.again)?;
        }
        Ok(())
    }
}

/// The checkpoints in a folder, the newest first, whether they are whole or not.
fn names(dir: &Path) -> io::Result<Vec<Name>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if let Some(name) = entry.file_name().to_str().and_then(Name::parse)
            && entry.file_type()?.is_dir()
        {
            names.push(name);
        }
    }
    names.sort_unstable_by(|a, b| b.cmp(a));
    Ok(names)
}

fn place(dir: &Path, name: Name) -> PathBuf {
    dir.join(name.to_string())
}

#[cfg(test)]
mod tests;

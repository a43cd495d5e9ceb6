//! `starling id show|new`.

use std::path::{Path, PathBuf};

use protocol::trust::Identity;

use super::args::{IdCommand, IdFile};
use super::say;
use crate::error::{Error, Kind};
use crate::platform;
use crate::store::identity::{self, Seed};

pub(super) fn run(command: &IdCommand) -> Result<(), Error> {
    match command {
        IdCommand::Show(IdFile { identity }) => {
            let path = path(identity.as_deref())?;
            tell(&identity::load_existing(&path)?, &path)
        }
        IdCommand::New { file: IdFile { identity }, force } => {
            let path = path(identity.as_deref())?;
            if identity.is_none() {
                make_folder(&path)?;
            }
            tell(&identity::create_new(&path, *force)?, &path)
        }
    }
}

fn tell(seed: &Seed, path: &Path) -> Result<(), Error> {
    let mode = match std::fs::metadata(path).map(|found| platform::mode(&found)) {
        Ok(Some(mode)) => format!("mode {mode:03o}, yours alone"),
        Ok(None) => "in a folder of yours".to_owned(),
        Err(error) => error.to_string(),
    };
    say::line(&format!("peer  {}", Identity::from_seed(seed).peer_id()))?;
    say::line(&format!("file  {} ({mode})", path.display()))
}

/// The identity's file: as named, or the user's own.
pub(super) fn path(named: Option<&Path>) -> Result<PathBuf, Error> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    let folders = directories::ProjectDirs::from("", "", "starling").ok_or_else(|| {
        Error::new(Kind::Input, "this user has no home directory to keep an identity in")
            .hint("--identity FILE names a place")
    })?;
    Ok(folders.data_dir().join("identity.key"))
}

/// Makes the user's folder for it.
pub(super) fn make_folder(path: &Path) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).map_err(|error| {
        Error::new(Kind::Input, format!("cannot make the directory {}: {error}", folder.display()))
            .hint("--identity FILE names another place")
    })
}

//! What systems do differently, in one place. Unix is what the tests run; for Windows the types are checked
//! (`docs/operations.md`).

mod files;
mod limits;
mod notify;
mod signals;

pub(crate) use files::{Lock, file_id, is_pipe, lock, mode, private, private_folder, sync_folder};
pub(crate) use limits::{open_files, thread_cpu_s};
pub(crate) use notify::Notify;
pub(crate) use signals::{Stops, Wishes};

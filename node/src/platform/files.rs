//! Files that are their owner's alone, locks, and names that reach the disk.

use std::fs::{DirBuilder, File, FileType, Metadata, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

/// The file that is made belongs to its owner alone, from the first byte on. On Windows it has the rights of its folder, and a user's own
/// folders are closed to others.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Folders that are made, with those above them, belong to their owner alone, as far as [`private`] says.
pub(crate) fn private_folder() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// Who may do what, as `chmod` has it; `None` where files have no modes.
#[cfg(unix)]
pub(crate) fn mode(found: &Metadata) -> Option<u32> {
    Some(std::os::unix::fs::PermissionsExt::mode(&found.permissions()) & 0o777)
}

/// Who may do what: lists of rights, which we leave to the system.
#[cfg(not(unix))]
pub(crate) fn mode(_found: &Metadata) -> Option<u32> {
    None
}

/// Whether it is a named pipe.
pub(crate) fn is_pipe(kind: FileType) -> bool {
    #[cfg(unix)]
    return std::os::unix::fs::FileTypeExt::is_fifo(&kind);
    #[cfg(not(unix))]
    return {
        let _ = kind;
        false
    };
}

/// Which file it is: the number of its inode and when that was made, in nanoseconds since 1970 (0: the file system does not say). `None` where
/// there is none, or the system has no such number. The number of its device is another one after a restart of some systems.
pub(crate) fn file_id(path: &Path) -> Option<(u64, u64)> {
    #[cfg(unix)]
    return {
        use std::os::unix::fs::MetadataExt as _;
        let found = std::fs::metadata(path).ok()?;
        let made = found.created().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        Some((found.ino(), made.map_or(0, |since| since.as_nanos() as u64)))
    };
    #[cfg(not(unix))]
    return {
        let _ = path;
        None
    };
}

/// Held as long as it lives.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "it is held")] File);

/// Locks a file against other processes; never waits.
///
/// # Errors
/// Another process has it.
pub(crate) fn lock(file: File) -> io::Result<Lock> {
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(io::Error::new(io::ErrorKind::WouldBlock, "another process holds it")),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Brings the names in a folder to the disk. On Windows the file system does so by itself.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

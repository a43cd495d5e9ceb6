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

/// Which file it is: its number in the file system and when it was made (Unix: nanoseconds since 1970; Windows: 100 ns since 1601). A file that
/// is renamed keeps both, and a copy has others: numbers are given anew, and on Windows a copy may keep the time, but not both. `None` where the
/// system says one of them not. The number of the device does not count: it is another one after a restart of some systems.
pub(crate) fn file_id(file: &File) -> Option<(u64, u64)> {
    #[cfg(unix)]
    return {
        use std::os::unix::fs::MetadataExt as _;
        let found = file.metadata().ok()?;
        let made = found.created().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some((found.ino(), made.as_nanos() as u64))
    };
    #[cfg(windows)]
    return {
        let found = winapi_util::file::information(file).ok()?;
        Some((found.file_index(), found.creation_time()?))
    };
    #[cfg(not(any(unix, windows)))]
    return {
        let _ = file;
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

//! What commands print for people: a reader that is gone has read enough, a disk that is full is an error.

use std::io::{self, Write as _};

use crate::error::{Error, Kind};

/// A line on standard output.
pub(super) fn line(text: &str) -> Result<(), Error> {
    line_to_reader(text).map(drop)
}

/// The same of one line of many: false when nobody reads any more, so that there is nothing more to do.
pub(super) fn line_to_reader(text: &str) -> Result<bool, Error> {
    let mut out = io::stdout().lock();
    let done = writeln!(out, "{text}").and_then(|()| out.flush());
    let gone = matches!(&done, Err(error) if error.kind() == io::ErrorKind::BrokenPipe);
    written(done).map(|()| !gone)
}

/// A line on standard error, where standard output is taken; nobody needs to read it.
pub(super) fn aside(text: &str) -> Result<(), Error> {
    drop(writeln!(io::stderr(), "{text}"));
    Ok(())
}

/// The same for text that has its line ends.
pub(super) fn whole(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    written(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// What a command says of a write to standard output.
pub(super) fn written(done: io::Result<()>) -> Result<(), Error> {
    match done {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::new(Kind::Input, format!("standard output: cannot be written: {error}"))
                .hint("is the disk full on which it ends up?"))
        }
        _ => Ok(()),
    }
}

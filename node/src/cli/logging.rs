//! `--log LEVEL` and `--log-format`: tracing to standard error, through an [`Outlet`]: whoever logs does not wait for a
//! reader either.

use std::io::{self, Write};
use std::sync::LazyLock;

use tracing_subscriber::EnvFilter;

use super::args::{Common, LogFormat};
use super::outlet::Outlet;
use crate::error::{Error, Kind};

/// Lines of the log that may wait for a reader.
const LOG_LINES_MAX: usize = 16 * 1024;

static LOG: LazyLock<Outlet<Vec<u8>>> = LazyLock::new(|| {
    Outlet::start(|line: Vec<u8>| {
        let _ = io::stderr().write_all(&line);
    })
});

/// What tracing writes to: a whole line at a time.
struct Line;

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        LOG.offer(line.to_vec(), LOG_LINES_MAX);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits until everything logged was read, at the end of the process.
pub(super) fn drain() {
    let dropped = LOG.take_dropped();
    if dropped > 0 {
        LOG.insist(format!("({dropped} lines of the log are missing: nobody read them in time)\n").into_bytes());
    }
    LOG.drain();
}

/// Starts logging.
pub(super) fn init(common: &Common) -> Result<(), Error> {
    let filter = EnvFilter::try_new(&common.log).map_err(|error| {
        Error::new(Kind::Usage, format!("--log {}: {error}", common.log))
            .hint("error, warn, info, debug or trace, or by module as node=debug,libp2p=info")
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Line).with_ansi(false);
    // A second start in one process (tests) keeps the first.
    let _ = match common.log_format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    Ok(())
}

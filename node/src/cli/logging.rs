//! `--log LEVEL` and `--log-format`: tracing to standard error, through an [`Outlet`]: whoever logs does not wait for a
//! reader either.

use std::io::{self, Write};
use std::sync::{LazyLock, OnceLock};

use tracing_subscriber::EnvFilter;

use super::args::{Common, LogFormat};
use super::outlet::Outlet;
use crate::error::{Error, Kind};
use crate::text::{LOG_LINE_CHARS_MAX, escape};

/// Lines of the log that may wait for a reader.
const LOG_LINES_MAX: usize = 16 * 1024;

static LOG: LazyLock<Outlet<Vec<u8>>> = LazyLock::new(|| {
    Outlet::start(|line: Vec<u8>| {
        let _ = io::stderr().write_all(&line);
    })
});

/// What tracing writes to: a whole line at a time, which libraries may have filled with a stranger's words.
struct Line;

/// The line as it is written: one, bounded, and without control characters.
fn harmless(line: &[u8]) -> Vec<u8> {
    let line = String::from_utf8_lossy(line);
    let mut text = escape(line.trim_end_matches('\n'), LOG_LINE_CHARS_MAX);
    text.push('\n');
    text.into_bytes()
}

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        LOG.offer(harmless(line), LOG_LINES_MAX);
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

/// Changes what is logged.
type Reload = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

static RELOAD: OnceLock<Reload> = OnceLock::new();

/// Logs from that level on, in place of what `--log` said.
pub(super) fn set_level(level: &str) -> Result<(), String> {
    let reload = RELOAD.get().ok_or("nothing is logged yet")?;
    reload(EnvFilter::try_new(level).map_err(|error| error.to_string())?)
}

/// Starts logging.
pub(super) fn init(common: &Common) -> Result<(), Error> {
    // One word alone would be taken for the name of a module.
    if common.log.chars().all(|letter| letter.is_ascii_alphabetic())
        && common.log.parse::<tracing::level_filters::LevelFilter>().is_err()
    {
        return Err(Error::new(Kind::Usage, format!("--log {}: no such level", common.log))
            .hint("error, warn, info, debug or trace, or by module as node=debug,libp2p=info"));
    }
    let filter = EnvFilter::try_new(&common.log).map_err(|error| {
        Error::new(Kind::Usage, format!("--log {}: {error}", common.log))
            .hint("error, warn, info, debug or trace, or by module as node=debug,libp2p=info")
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Line).with_ansi(false);
    // A second start in one process (tests) keeps the first.
    match common.log_format {
        LogFormat::Text => {
            let builder = builder.with_filter_reloading();
            let handle = builder.reload_handle();
            if builder.try_init().is_ok() {
                let _ = RELOAD.set(Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string())));
            }
        }
        LogFormat::Json => {
            let builder = builder.json().with_filter_reloading();
            let handle = builder.reload_handle();
            if builder.try_init().is_ok() {
                let _ = RELOAD.set(Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string())));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::sync::{Arc, Mutex};

    use super::*;

    /// As [`Line`], into memory.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(harmless(line));
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// As identify's agent string at `--log debug`, or an address in a warning.
    #[test]
    fn what_a_peer_calls_itself_does_not_steer_the_terminal() {
        for hostile in ["\u{1b}[31mred\nerror: forged", "\u{9b}2J", &"\u{1b}[31m".repeat(2000), &"x".repeat(10_000)] {
            let kept = Kept::default();
            let writer = kept.clone();
            let text = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
            tracing::subscriber::with_default(text, || tracing::warn!(agent = hostile, "found: {hostile}"));
            let writer = kept.clone();
            let json = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
            tracing::subscriber::with_default(json, || tracing::warn!(agent = %hostile, "found"));
            let said = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
            assert_eq!(said.lines().count(), 2, "{said}");
            assert!(said.chars().all(|c| c == '\n' || !c.is_control()), "{said}");
            assert!(said.lines().all(|line| line.chars().count() <= 10 * LOG_LINE_CHARS_MAX), "{}", said.len());
        }
    }
}

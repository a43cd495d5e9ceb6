//! What ends a peer before its time: a signal, or a launcher that is gone.

use std::io::{self, BufRead as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::cli::signals;
use crate::driver::Control;
use crate::error::Error;

/// A child whose launcher is gone has nothing left to do.
const ORPHAN_MAX: Duration = Duration::from_millis(500);
/// After a signal: how long the peer may take to agree and evaluate before it is told to stop at once.
const SETTLE_ON_SIGNAL_MAX: Duration = Duration::from_millis(1500);

/// Who stops a group of processes often signals each twice: that is no wish to lose the last checkpoint.
const SAME_SIGNAL: Duration = Duration::from_millis(300);

/// The launcher's leash: `finish` on standard input, and its end when the launcher is gone.
pub(super) fn watch_leash(control: mpsc::Sender<Control>) {
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            match line.as_deref().map(str::trim) {
                Ok("rest") => {
                    let _ = control.blocking_send(Control::Rest);
                }
                Ok("lose device") => {
                    let _ = control.blocking_send(Control::LoseDevice);
                }
                Ok("pardon") => {
                    let _ = control.blocking_send(Control::Pardon);
                }
                Ok("finish") => {
                    let _ = control.blocking_send(Control::Finish);
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        signals::exit_after(ORPHAN_MAX);
        let _ = control.blocking_send(Control::Abort);
    });
}

/// First signal: agree and evaluate, but not for long. Second: stop at once. In any case within two seconds.
pub(super) fn watch_signals(control: mpsc::Sender<Control>) -> Result<Arc<AtomicBool>, Error> {
    let stopped = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stopped);
    let mut first = None;
    signals::watch(move |count| {
        seen.store(true, Ordering::Relaxed);
        let first = *first.get_or_insert_with(Instant::now);
        if count > 1 && first.elapsed() < SAME_SIGNAL {
            return;
        }
        if count > 1 {
            let _ = control.try_send(Control::Abort);
            return;
        }
        signals::exit_after(signals::STOP_MAX);
        let _ = control.try_send(Control::Finish);
        let control = control.clone();
        thread::spawn(move || {
            thread::sleep(SETTLE_ON_SIGNAL_MAX);
            let _ = control.try_send(Control::Abort);
        });
    })?;
    Ok(stopped)
}

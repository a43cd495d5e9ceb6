//! What a service manager is told, as sd_notify(3) of systemd has it: datagrams of words to the socket that `NOTIFY_SOCKET` names.
//!
//! Nothing waits for it: the socket does not block, and a word that finds it full is lost. The word of life (`WATCHDOG=1`) comes from the
//! driver's loop, so that a peer whose loop stands still is started anew.

use std::env;
use std::ffi::OsString;
use std::time::{Duration, Instant};

use sim::processes::event::Status;

use crate::platform::Notify;

/// So often within the time that the manager allows, as its manual advises.
const SIGNS_OF_LIFE: u32 = 2;
/// How often it is told how the peer stands.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// The manager, where there is one.
#[derive(Debug, Default)]
pub(super) struct Manager {
    socket: Option<Notify>,
    /// Between two words of life, where they are asked for.
    alive_every: Option<Duration>,
    alive_said: Option<Instant>,
    status_said: Option<Instant>,
    ready: bool,
}

impl Manager {
    /// The one that started this process, by its environment.
    pub(super) fn of_environment() -> Self {
        let mine = env::var("WATCHDOG_PID").map_or(true, |pid| pid.parse() == Ok(std::process::id()));
        let allowed = env::var("WATCHDOG_USEC").ok().and_then(|micros| micros.parse().ok()).filter(|_| mine);
        Self::of(env::var_os("NOTIFY_SOCKET"), allowed.map(Duration::from_micros))
    }

    /// An address that leads nowhere is none: a peer trains without a manager, too.
    fn of(address: Option<OsString>, allowed: Option<Duration>) -> Self {
        let socket = address.filter(|address| !address.is_empty()).and_then(|address| Notify::connect(&address).ok());
        let alive_every = allowed.filter(|allowed| !allowed.is_zero()).map(|allowed| allowed / SIGNS_OF_LIFE);
        Self { socket, alive_every, ..Self::default() }
    }

    /// The peer runs, and this is how it stands. Called twice a second from the driver's loop.
    pub(super) fn runs(&mut self, status: impl FnOnce() -> String) {
        if self.socket.is_none() {
            return;
        }
        if !self.ready {
            self.ready = true;
            self.say("READY=1");
        }
        let now = Instant::now();
        let due = |last: Option<Instant>, every| last.is_none_or(|last| now.duration_since(last) >= every);
        if self.alive_every.is_some_and(|every| due(self.alive_said, every.saturating_sub(LATE_MAX))) {
            self.alive_said = Some(now);
            self.say("WATCHDOG=1");
        }
        if due(self.status_said, STATUS_EVERY) {
            self.status_said = Some(now);
            self.say(&format!("STATUS={}", status()));
        }
    }

    /// It is about to end.
    pub(super) fn stopping(&self) {
        self.say("STOPPING=1");
    }

    fn say(&self, words: &str) {
        if let Some(socket) = &self.socket {
            socket.say(words);
        }
    }
}

/// How a peer stands, in a line for `systemctl status`.
pub(super) fn standing(status: &Status) -> String {
    format!(
        "epoch {}, {} steps, {:.0} steps/s, {} neighbours",
        status.epoch, status.steps, status.steps_per_second, status.neighbours
    )
}

/// Calls come twice a second: what is due within half a second is due now.
const LATE_MAX: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::os::unix::net::UnixDatagram;

    use super::*;

    fn words(socket: &UnixDatagram) -> Vec<String> {
        socket.set_nonblocking(true).unwrap();
        let mut words = Vec::new();
        let mut bytes = [0; 256];
        while let Ok(read) = socket.recv(&mut bytes) {
            words.push(String::from_utf8_lossy(&bytes[..read]).into_owned());
        }
        words
    }

    #[test]
    fn a_manager_hears_that_the_peer_runs_lives_and_stops() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let mut manager = Manager::of(Some(path.into()), Some(Duration::from_secs(3600)));
        assert!(words(&socket).is_empty(), "nothing before it runs");
        manager.runs(|| "3 neighbours".to_owned());
        manager.runs(|| "too soon".to_owned());
        manager.stopping();
        assert_eq!(words(&socket), ["READY=1", "WATCHDOG=1", "STATUS=3 neighbours", "STOPPING=1"]);
    }

    #[test]
    fn signs_of_life_come_in_time_and_only_where_they_are_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path: OsString = folder.path().join("notify").into();
        let socket = UnixDatagram::bind(&path).unwrap();
        // Half of it, less what a call may be late: at once.
        let mut watched = Manager::of(Some(path.clone()), Some(Duration::from_millis(900)));
        (0..3).for_each(|_| watched.runs(String::new));
        assert_eq!(words(&socket).iter().filter(|word| *word == "WATCHDOG=1").count(), 3);
        let mut unwatched = Manager::of(Some(path), None);
        unwatched.runs(String::new);
        assert_eq!(words(&socket), ["READY=1", "STATUS="]);
    }

    #[test]
    fn a_manager_that_does_not_read_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let path: OsString = folder.path().join("notify").into();
        let _unread = UnixDatagram::bind(&path).unwrap();
        let mut manager = Manager::of(Some(path), Some(Duration::from_millis(1)));
        // Far more than a socket holds: a send that blocks never comes back.
        (0..10_000).for_each(|_| manager.runs(String::new));
        let mut nowhere = Manager::of(Some("/nowhere/at/all".into()), None);
        nowhere.runs(String::new);
        nowhere.stopping();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_abstract_name_is_an_address_too() {
        use std::os::linux::net::SocketAddrExt as _;
        let name = format!("starling-test-{}", std::process::id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        Manager::of(Some(format!("@{name}").into()), None).runs(String::new);
        assert_eq!(words(&socket)[0], "READY=1");
    }
}

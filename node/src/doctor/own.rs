//! This machine without its network: identity, clock, limits, devices, ports, firewalls.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::id::PeerId;
use protocol::trust::Identity;
use shaders::engine::adapters;

use super::Finding;
use crate::error::Error;
use crate::platform;
use crate::store::identity as store;
use crate::swarm;

/// 2026-01-01: a clock before it has never been set. A peer's lives are numbered by the clock, so that one that goes back
/// makes a restarted peer look older than what it said before.
const CLOCK_MIN: Duration = Duration::from_secs(1_767_225_600);
/// Descriptors that a peer with all its neighbours needs, and some more.
const OPEN_FILES_MIN: u64 = 512;

/// Who we are; `None` when there is no key yet.
pub(super) fn identity(path: Option<&Path>) -> Result<Option<PeerId>, Error> {
    let Some(path) = path else { return Ok(None) };
    let seed = store::load(path)?;
    Ok(seed.map(|seed| Identity::from_seed(&seed).peer_id()))
}

pub(super) fn identity_finding(path: Option<&Path>, found: Result<Option<PeerId>, Error>) -> Finding {
    let place = path.map(|path| format!(" in {}", path.display())).unwrap_or_default();
    match found {
        Ok(Some(peer)) => Finding::fine("identity", format!("peer {}{place}, for its owner only", peer.short())),
        Ok(None) => Finding::fine("identity", format!("no key{place} yet: the first run makes one")),
        Err(error) => Finding::error("identity", error),
    }
}

pub(super) fn clock() -> Finding {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    if now < CLOCK_MIN {
        return Finding::broken(
            "clock",
            "the clock of this machine was never set: a restarted peer would count as an old one",
            "set the time, or start a time service (timedatectl set-ntp true)",
        );
    }
    Finding::fine("clock", "is set")
}

pub(super) fn open_files() -> Finding {
    let (soft, hard) = platform::open_files().unwrap_or((u64::MAX, u64::MAX));
    if soft < OPEN_FILES_MIN {
        return Finding::hint(
            "open files",
            format!("{soft} may be open at once, a peer with many neighbours takes up to {OPEN_FILES_MIN}"),
            format!("ulimit -n {OPEN_FILES_MIN} (the most is {hard})"),
        );
    }
    Finding::fine("open files", format!("{soft} may be open at once"))
}

pub(super) fn devices() -> Vec<Finding> {
    let found = adapters();
    let remedy = "for a GPU install its Vulkan driver; `starling device ls` shows what is found";
    if found.is_empty() {
        return vec![Finding::hint("device", "no GPU and no Vulkan driver: peers train on the CPU", remedy)];
    }
    let one = |info: &shaders::engine::DeviceInfo| {
        let name = format!("{} ({})", info.name, info.backend);
        if info.software {
            Finding::hint("device", format!("{name} computes on the CPU"), remedy)
        } else {
            Finding::fine("device", name)
        }
    };
    found.iter().map(one).collect()
}

pub(super) fn ports(listen: &[String]) -> Vec<Finding> {
    let one = |text: &String| match swarm::can_listen(text) {
        Ok(()) => Finding::fine("listen", format!("{text} is free")),
        Err(error) => Finding::error("listen", error),
    };
    listen.iter().map(one).collect()
}

/// Which firewall is at work, where one can tell without being root.
pub(super) fn firewalls() -> Vec<Finding> {
    let rule = "let in UDP 5353 (mDNS) and the port that `starling run --listen /ip4/0.0.0.0/tcp/4001` fixes";
    let ufw = std::fs::read_to_string("/etc/ufw/ufw.conf").is_ok_and(|text| text.contains("ENABLED=yes"));
    let found = [
        (ufw, "ufw", "ufw allow 5353/udp; ufw allow 4001"),
        (Path::new("/run/firewalld").exists(), "firewalld", "firewall-cmd --add-service=mdns --add-port=4001/tcp"),
    ];
    found
        .into_iter()
        .filter(|(active, ..)| *active)
        .map(|(_, name, command)| {
            Finding::hint("firewall", format!("{name} is active on this machine"), format!("{rule}: {command}"))
        })
        .collect()
}

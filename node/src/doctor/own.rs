//! This machine without its network: identity, clock, limits, devices, ports, firewalls.

use std::path::Path;
use std::process::Command;
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

pub(super) fn identity_finding(path: &Path, found: Result<Option<PeerId>, Error>) -> Finding {
    let place = format!(" in {}", path.display());
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
    let rule = "let in UDP 5353 (mDNS) and the port, of TCP and UDP, that `starling run --listen /ip4/0.0.0.0/tcp/4001 --listen /ip4/0.0.0.0/udp/4001/quic-v1` fixes";
    let ufw = std::fs::read_to_string("/etc/ufw/ufw.conf").is_ok_and(|text| text.contains("ENABLED=yes"));
    let found = [
        (ufw, "ufw", "ufw allow 5353/udp; ufw allow 4001"),
        (
            Path::new("/run/firewalld").exists(),
            "firewalld",
            "firewall-cmd --add-service=mdns --add-port=4001/tcp --add-port=4001/udp",
        ),
    ];
    // Both keep their rules there.
    if found.iter().all(|(active, ..)| !active) {
        return nftables(rule).into_iter().collect();
    }
    found
        .into_iter()
        .filter(|(active, ..)| *active)
        .map(|(_, name, command)| {
            Finding::hint("firewall", format!("{name} is active on this machine"), format!("{rule}: {command}"))
        })
        .collect()
}

/// Rules that the administrator has made with `nft` or `iptables-nft`. The system shows them to nobody else.
fn nftables(rule: &str) -> Option<Finding> {
    let command = "nft insert rule inet TABLE CHAIN udp dport { 5353, 4001 } accept; nft insert rule inet TABLE CHAIN tcp dport 4001 accept (nft list ruleset names them)";
    // No such program: no such rules, most likely.
    let output = Command::new("nft").args(["list", "ruleset"]).output().ok()?;
    if !output.status.success() {
        return Some(Finding::hint(
            "firewall",
            "whether rules of nftables drop anything can be seen by root alone",
            format!("sudo nft list ruleset; where a chain with `hook input` drops: {rule}"),
        ));
    }
    drops(&String::from_utf8_lossy(&output.stdout)).then(|| {
        Finding::hint("firewall", "rules of nftables drop what comes in on this machine", format!("{rule}: {command}"))
    })
}

/// Whether a table that sees what comes in drops anything: by policy, or by a rule of any of its chains, since one may lead to another.
fn drops(ruleset: &str) -> bool {
    ruleset.split("\ntable ").any(|table| {
        let is_verdict = |word: &str| matches!(word.trim_end_matches(';'), "drop" | "reject");
        table.contains("hook input") && table.split_whitespace().any(is_verdict)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_firewall_is_what_drops_on_the_way_in() {
        let table = |hook: &str, policy: &str, rule: &str| {
            format!(
                "table inet t {{\n\tchain c {{\n\t\ttype filter hook {hook} priority filter; policy {policy};\n\t\t{rule}\n\t}}\n}}\n"
            )
        };
        assert!(drops(&table("input", "drop", "udp dport 5353 accept")));
        assert!(drops(&table("input", "accept", "udp dport 5353 drop")));
        assert!(drops(&(table("forward", "drop", "") + &table("input", "accept", "tcp dport 1 reject"))));
        assert!(!drops(&table("input", "accept", "udp dport 5353 accept")));
        assert!(!drops(&(table("forward", "drop", "") + &table("input", "accept", ""))), "as docker has it");
        assert!(!drops(""));
    }
}

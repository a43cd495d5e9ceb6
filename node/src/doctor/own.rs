//! This machine without its network: identity, clock, limits, devices, ports, firewalls.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::id::PeerId;
use protocol::trust::Identity;
use shaders::engine::adapters;

use super::Finding;
use crate::error::Error;
use crate::platform;
use crate::store::audit;
use crate::store::identity as store;
use crate::swarm;

/// 2026-01-01: a clock before it has never been set. A peer's lives are numbered by the clock, so that one that goes back
/// makes a restarted peer look older than what it said before.
const CLOCK_MIN: Duration = Duration::from_secs(1_767_225_600);
/// What was written lately may lie so far ahead: file systems round, and time services set a clock back by as much.
const CLOCK_SLACK: Duration = Duration::from_secs(60);
/// Descriptors that a peer with all its neighbours needs, and some more.
const OPEN_FILES_MIN: u64 = 512;
/// How long `nft` may take.
const RULES_MAX: Duration = Duration::from_secs(2);

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

/// Whether it was ever set, and goes on from where the audit logs beside the identity were written last.
pub(super) fn clock(identity: Option<&Path>) -> Finding {
    let now = SystemTime::now();
    if now.duration_since(UNIX_EPOCH).unwrap_or_default() < CLOCK_MIN {
        return Finding::broken(
            "clock",
            "the clock of this machine was never set: a restarted peer would count as an old one",
            "set the time, or start a time service (timedatectl set-ntp true)",
        );
    }
    let newest = identity.and_then(last_written);
    if let Some((path, behind)) = newest.and_then(|(path, at)| Some((path, at.duration_since(now).ok()?)))
        && behind > CLOCK_SLACK
    {
        let path = path.display();
        let minutes = behind.as_secs().div_ceil(60);
        return Finding::hint(
            "clock",
            format!(
                "is {} h {} min behind what this program has written: {path}. It went back, or was ahead then",
                minutes / 60,
                minutes % 60
            ),
            "set the time, or start a time service (timedatectl set-ntp true): a peer that starts before its last start counts as an old one. A clock that was ahead has caught up by then",
        );
    }
    Finding::fine("clock", "is set")
}

/// The file of the audit logs beside the identity that was written last, and when.
fn last_written(identity: &Path) -> Option<(PathBuf, SystemTime)> {
    let logs = fs::read_dir(identity.with_extension("audit")).ok()?.flatten();
    let newest = logs.filter_map(|log| audit::files(&log.path()).ok()?.pop());
    let written = newest.filter_map(|(_, path)| {
        let at = fs::metadata(&path).ok()?.modified().ok()?;
        Some((path, at))
    });
    written.max_by_key(|(_, at)| *at)
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
    let ufw = fs::read_to_string("/etc/ufw/ufw.conf").is_ok_and(|text| text.contains("ENABLED=yes"));
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
    let (success, ruleset) = match output_within(Command::new("nft").args(["list", "ruleset"]), RULES_MAX) {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            let what = format!("`nft list ruleset` did not end within {} s: rules are not known", RULES_MAX.as_secs());
            return Some(Finding::hint("firewall", what, format!("where a chain with `hook input` drops: {rule}")));
        }
        // No such program: no such rules, most likely.
        Err(_) => return None,
    };
    if !success {
        return Some(Finding::hint(
            "firewall",
            "whether rules of nftables drop anything can be seen by root alone",
            format!("sudo nft list ruleset; where a chain with `hook input` drops: {rule}"),
        ));
    }
    drops(&ruleset).then(|| {
        Finding::hint("firewall", "rules of nftables drop what comes in on this machine", format!("{rule}: {command}"))
    })
}

/// Whether a program succeeds, and what it says, if it ends by then; it is killed if not.
fn output_within(command: &mut Command, wait: Duration) -> io::Result<(bool, String)> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let output = child.stdout.take();
    let (sender, said) = sync_channel(1);
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = output.map_or(Ok(0), |mut output| output.read_to_end(&mut bytes));
        sender.send(read.map(|_| bytes))
    });
    let said = said.recv_timeout(wait);
    if said.is_err() {
        child.kill()?;
    }
    let success = child.wait()?.success();
    let bytes = said.map_err(|_| io::ErrorKind::TimedOut)??;
    Ok((success, String::from_utf8_lossy(&bytes).into_owned()))
}

/// Whether what comes in is dropped: by policy or a rule of a chain that hooks input, or of those that it leads to.
fn drops(ruleset: &str) -> bool {
    // Words in quotes are names of interfaces and comments.
    let unquoted: String = ruleset.split('"').step_by(2).collect();
    unquoted.split("\ntable ").any(|table| {
        let mut blocks: Vec<(&str, Vec<&str>)> = Vec::new();
        for line in table.lines() {
            let mut words =
                line.split(|c: char| c.is_whitespace() || ",;{}".contains(c)).filter(|word| !word.is_empty());
            if let Some("chain" | "map" | "set") = line.split_whitespace().next() {
                blocks.extend(words.nth(1).map(|name| (name, Vec::new())));
            } else if let Some((_, block)) = blocks.last_mut() {
                block.extend(words);
            }
        }
        let is_hooked = |words: &[&str]| words.windows(2).any(|pair| pair == ["hook", "input"]);
        let (mut next, mut seen) = (Vec::new(), BTreeSet::new());
        next.extend(blocks.iter().filter(|(_, words)| is_hooked(words)).map(|(name, _)| *name));
        while let Some(name) = next.pop() {
            if !seen.insert(name) {
                continue;
            }
            for (_, words) in blocks.iter().filter(|(found, _)| *found == name) {
                if words.iter().any(|word| matches!(*word, "drop" | "reject")) {
                    return true;
                }
                let after = words.windows(2).filter(|pair| matches!(pair[0], "jump" | "goto")).map(|pair| pair[1]);
                next.extend(after.chain(words.iter().filter_map(|word| word.strip_prefix('@'))));
            }
        }
        false
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::time::Instant;

    use super::super::Level;
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

    #[test]
    fn only_chains_on_the_way_in_count() {
        let ruleset = |rule: &str| {
            format!(
                "table inet t {{\n\tmap verdicts {{\n\t\ttype ipv4_addr : verdict\n\t\telements = {{ 10.0.0.1 : accept,\n\t\t\t     10.0.0.2 : drop }}\n\t}}\n\n\
                 \tchain forward {{\n\t\ttype filter hook forward priority filter; policy drop;\n\t}}\n\n\
                 \tchain input {{\n\t\ttype filter hook input priority filter; policy accept;\n\t\t{rule}\n\t}}\n\n\
                 \tchain between {{\n\t\tgoto last\n\t}}\n\n\tchain last {{\n\t\tjump between\n\t\ttcp dport 1 counter packets 0 bytes 0 drop\n\t}}\n}}\n"
            )
        };
        assert!(!drops(&ruleset("")), "what is passed on is no business of ours");
        assert!(!drops(&ruleset("accept comment \"do not drop it\"")));
        assert!(drops(&ruleset("iifname \"eth0\" jump between")));
        assert!(drops(&ruleset("ip saddr vmap @verdicts")));
        assert!(drops(&ruleset("ct state vmap { invalid : drop, new : accept }")));
        assert!(drops(&ruleset("iifname vmap { \"lo\" : accept, \"eth0\" : goto last }")));
    }

    #[test]
    fn a_clock_that_went_back_shows_in_what_was_written() {
        let home = tempfile::tempdir().unwrap();
        let identity = home.path().join("identity.key");
        assert_eq!(clock(Some(&identity)).level, Level::Fine, "nothing was written yet");
        let old = home.path().join("identity.audit/aa/audit-000001.jsonl");
        let new = home.path().join("identity.audit/bb/audit-000002.jsonl");
        for (path, ahead) in [(&old, 0), (&new, 30)] {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let file = fs::File::create(path).unwrap();
            file.set_modified(SystemTime::now() + Duration::from_secs(ahead)).unwrap();
        }
        assert_eq!(clock(Some(&identity)).level, Level::Fine);
        let ahead = Duration::from_secs(3 * 3600 + 10 * 60);
        fs::File::options().write(true).open(&new).unwrap().set_modified(SystemTime::now() + ahead).unwrap();
        let found = clock(Some(&identity));
        assert_eq!(found.level, Level::Hint, "{found:?}");
        assert!(found.what.contains("3 h ") && found.what.contains("audit-000002.jsonl"), "{found:?}");
        assert_eq!(clock(None).level, Level::Fine);
    }

    #[cfg(unix)]
    #[test]
    fn a_program_that_does_not_end_is_not_waited_for() {
        let begun = Instant::now();
        let hangs = output_within(Command::new("sleep").arg("60"), Duration::from_millis(50));
        assert_eq!(hangs.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() < Duration::from_secs(30));
        let wait = Duration::from_secs(30);
        assert_eq!(output_within(Command::new("echo").arg("rules"), wait).unwrap(), (true, "rules\n".to_owned()));
        assert!(!output_within(&mut Command::new("false"), wait).unwrap().0);
    }
}

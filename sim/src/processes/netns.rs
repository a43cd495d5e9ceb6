//! A network namespace a peer, all on one bridge: N machines on a LAN, as far as the peers can tell.
//!
//! ```text
//!  namespace starling-T-0      namespace starling-T-1
//!    eth0 10.77.X.1              eth0 10.77.X.2          T = pid and serial number in base 36, X from the pid
//!        |                           |
//!    sv-T-0 ----- bridge sb-T ---- sv-T-1
//! ```
//!
//! A cut moves some of the ports to a second bridge, sc-T: no interface goes down, what is sent just does not arrive.
//!
//! The host has no address on the bridge: nothing that happens inside reaches the real network, and two simulations at a
//! time do not hear each other. Everything is removed on drop; what a killed launcher left is removed by the next one.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::SwarmError;
use super::platform::is_root;

/// Most peers in namespaces: the host part of a /24.
pub const PEERS_MAX: u32 = 253;
/// Longest interface name that Linux takes, bytes.
const INTERFACE_NAME_MAX: usize = 15;
const NAMESPACE_PREFIX: &str = "starling-";

static SERIAL: AtomicU32 = AtomicU32::new(0);

/// The namespaces of one simulation.
#[derive(Debug)]
pub struct Namespaces {
    token: String,
    subnet: u32,
    peers: u32,
}

impl Namespaces {
    /// Makes `peers` namespaces on a new bridge.
    ///
    /// # Errors
    /// Without root or the `ip` tool, or with more peers than a /24 holds.
    pub fn create(peers: u32) -> Result<Self, SwarmError> {
        if !is_root() {
            return Err(SwarmError::Namespaces("only root may make them (try sudo, or leave --netns out)".into()));
        }
        if peers > PEERS_MAX {
            return Err(SwarmError::Namespaces(format!("{peers} peers, a /24 has room for {PEERS_MAX}")));
        }
        remove_stale();
        let pid = std::process::id();
        let token = token(pid, SERIAL.fetch_add(1, Ordering::Relaxed));
        let network = Self { token, subnet: 1 + pid % 254, peers };
        // From here on a failure drops `network`, which removes what was made.
        network.build()?;
        Ok(network)
    }

    fn build(&self) -> Result<(), SwarmError> {
        let bridge = bridge_name(&self.token);
        for bridge in [&bridge, &beyond_name(&self.token)] {
            ip(&["link", "add", bridge, "type", "bridge"])?;
            ip(&["link", "set", bridge, "up"])?;
        }
        for peer in 0..self.peers {
            let (namespace, outside) = (self.namespace(peer), interface_name(&self.token, peer));
            let address = format!("{}/24", self.address(peer));
            ip(&["netns", "add", &namespace])?;
            ip(&["link", "add", &outside, "type", "veth", "peer", "name", "eth0", "netns", &namespace])?;
            ip(&["link", "set", &outside, "master", &bridge, "up"])?;
            ip(&["-n", &namespace, "addr", "add", &address, "dev", "eth0"])?;
            ip(&["-n", &namespace, "link", "set", "eth0", "up"])?;
            ip(&["-n", &namespace, "link", "set", "lo", "up"])?;
            // Multicast leaves by the default route; without one mDNS has nowhere to go.
            ip(&["-n", &namespace, "route", "add", "default", "dev", "eth0"])?;
        }
        Ok(())
    }

    /// Peers from `first` on no longer reach those before it.
    ///
    /// # Errors
    /// When a link cannot be moved.
    pub fn cut(&self, first: u32) -> Result<(), SwarmError> {
        self.plug(first, &beyond_name(&self.token))
    }

    /// All reach each other again.
    ///
    /// # Errors
    /// When a link cannot be moved.
    pub fn heal(&self) -> Result<(), SwarmError> {
        self.plug(0, &bridge_name(&self.token))
    }

    fn plug(&self, first: u32, bridge: &str) -> Result<(), SwarmError> {
        (first..self.peers)
            .try_for_each(|peer| ip(&["link", "set", &interface_name(&self.token, peer), "master", bridge]))
    }

    /// Name of the namespace of a peer.
    #[must_use]
    pub fn namespace(&self, peer: u32) -> String {
        namespace_name(&self.token, peer)
    }

    /// IPv4 address of a peer.
    #[must_use]
    pub fn address(&self, peer: u32) -> String {
        format!("10.77.{}.{}", self.subnet, peer + 1)
    }

    /// A command that runs `program` inside the namespace of a peer; `ip netns exec` becomes the program, so the process
    /// id is that of the program.
    #[must_use]
    pub fn command(&self, peer: u32, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(peer)]).arg(program);
        command
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for peer in 0..self.peers {
            let _ = ip(&["netns", "delete", &self.namespace(peer)]);
            // The pair goes with the namespace, but not before its last process is reaped.
            let _ = ip(&["link", "delete", &interface_name(&self.token, peer)]);
        }
        let _ = ip(&["link", "delete", &bridge_name(&self.token)]);
        let _ = ip(&["link", "delete", &beyond_name(&self.token)]);
    }
}

/// Removes what launchers left that were killed and could not clean up.
fn remove_stale() {
    let Ok(list) = Command::new("ip").args(["netns", "list"]).stderr(Stdio::null()).output() else { return };
    for line in String::from_utf8_lossy(&list.stdout).lines() {
        let Some(name) = line.split_whitespace().next() else { continue };
        let Some((pid, token)) = owner(name) else { continue };
        if !Path::new(&format!("/proc/{pid}")).exists() {
            let _ = ip(&["netns", "delete", name]);
            let _ = ip(&["link", "delete", &bridge_name(&token)]);
            let _ = ip(&["link", "delete", &beyond_name(&token)]);
        }
    }
}

/// Process id and token in the name of a namespace of ours.
fn owner(namespace: &str) -> Option<(u32, String)> {
    let (token, _peer) = namespace.strip_prefix(NAMESPACE_PREFIX)?.rsplit_once('-')?;
    let (pid, _serial) = token.split_once('-')?;
    Some((u32::from_str_radix(pid, 36).ok()?, token.to_owned()))
}

fn ip(arguments: &[&str]) -> Result<(), SwarmError> {
    let output = Command::new("ip")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| SwarmError::Namespaces(format!("cannot run the `ip` tool (package iproute2): {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(SwarmError::Namespaces(format!("`ip {}`: {}", arguments.join(" "), said.trim())))
}

fn token(pid: u32, serial: u32) -> String {
    format!("{}-{}", base36(pid), base36(serial % 36))
}

fn namespace_name(token: &str, peer: u32) -> String {
    format!("{NAMESPACE_PREFIX}{token}-{peer}")
}

fn bridge_name(token: &str) -> String {
    format!("sb-{token}")
}

/// The bridge of those who are cut off.
fn beyond_name(token: &str) -> String {
    format!("sc-{token}")
}

fn interface_name(token: &str, peer: u32) -> String {
    let name = format!("sv-{token}-{peer}");
    debug_assert!(name.len() <= INTERFACE_NAME_MAX, "{name} is too long for Linux");
    name
}

fn base36(mut value: u32) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit(value % 36, 36).unwrap_or('0'));
        value /= 36;
        if value == 0 {
            return digits.iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::collections::BTreeSet;

    use super::*;

    /// Largest process id of Linux on 64 bits.
    const PID_MAX: u32 = 4_194_304;

    #[test]
    fn names_are_unique_and_fit() {
        let mut seen = BTreeSet::new();
        for pid in [1, 35, 36, 37, 1296, PID_MAX] {
            for serial in [0, 1, 35] {
                let token = token(pid, serial);
                assert!(beyond_name(&token).len() <= INTERFACE_NAME_MAX);
                assert!(bridge_name(&token).len() <= INTERFACE_NAME_MAX && bridge_name(&token) != beyond_name(&token));
                for peer in [0, 1, PEERS_MAX - 1] {
                    let name = interface_name(&token, peer);
                    assert!(name.len() <= INTERFACE_NAME_MAX, "{name}");
                    assert!(seen.insert(name));
                }
            }
        }
    }

    fn namespaces() -> String {
        let list = Command::new("ip").args(["netns", "list"]).output().unwrap();
        String::from_utf8_lossy(&list.stdout).into_owned()
    }

    #[test]
    fn what_was_made_is_removed() {
        // Needs rights that a test machine may not give.
        let Ok(network) = Namespaces::create(2) else { return };
        let name = network.namespace(1);
        assert!(namespaces().contains(&name));
        let shown = network.command(1, Path::new("ip")).args(["-4", "addr"]).output().unwrap();
        assert!(String::from_utf8_lossy(&shown.stdout).contains(&network.address(1)));
        let reaches = |network: &Namespaces| {
            let address = network.address(1);
            let ping = network.command(0, Path::new("ping")).args(["-c", "1", "-W", "1", &address]).output();
            ping.is_ok_and(|output| output.status.success())
        };
        // Not every machine has `ping`.
        if reaches(&network) {
            network.cut(1).unwrap();
            assert!(!reaches(&network), "cut in two");
            network.heal().unwrap();
            assert!((0..5).any(|_| reaches(&network)), "and one again");
        }
        drop(network);
        assert!(!namespaces().contains(&name));
    }

    #[test]
    fn a_namespace_names_its_owner() {
        let token = token(PID_MAX, 3);
        assert_eq!(owner(&namespace_name(&token, 12)), Some((PID_MAX, token)));
        assert_eq!(owner("somebody-elses"), None);
        assert_eq!(owner("starling-notours"), None);
    }
}

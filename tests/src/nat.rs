//! Two homes behind routers, and a public machine: network namespaces and nftables, removed when dropped. Needs root.
//!
//! ```text
//!   A 10.1.0.2 --- router 203.0.113.11 ---+
//!                                         +--- bridge "the Internet" --- R 203.0.113.1
//!   B 10.2.0.2 --- router 203.0.113.12 ---+
//! ```
//!
//! Routers translate addresses and drop, without a word, what nobody inside has asked for. Nobody but a router has a way
//! into a home.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::netns::ip;

static SERIAL: AtomicU32 = AtomicU32::new(0);

/// Whether all that can be made here; says loudly when not.
#[must_use]
pub fn available() -> bool {
    // In a namespace of its own, since a kernel may lack what `nft` has.
    let rule = "table ip probe { chain out { type nat hook postrouting priority 100; oifname \"wan\" masquerade fully-random; }; }";
    let probe = || Command::new("unshare").args(["--net", "nft", rule]).output();
    let works = crate::netns::available() && probe().is_ok_and(|output| output.status.success());
    if !works {
        eprintln!(
            "SKIPPED: address translation needs root, `ip`, `unshare`, `nft` (package nftables) and a kernel with NAT"
        );
    }
    works
}

/// How a router chooses the port under which a connection leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nat {
    /// The one that it has inside, for whatever it goes to: what most routers do. Holes can be punched.
    KeepsPorts,
    /// Another one for each connection: what it is to one is worth nothing to another.
    DrawsPorts,
}

/// See the module.
#[derive(Debug)]
pub struct Internet {
    name: String,
}

impl Internet {
    /// A public machine and two homes.
    ///
    /// # Panics
    /// When they cannot be made.
    #[must_use]
    pub fn new(nat: Nat) -> Self {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let internet = Self { name: format!("sln{}x{serial}", std::process::id() % 100_000) };
        internet.build(nat).unwrap_or_else(|error| panic!("network namespaces: {error}"));
        internet
    }

    fn spaces(&self) -> [String; 6] {
        ["w", "r", "n1", "n2", "a", "b"].map(|kind| format!("{}{kind}", self.name))
    }

    fn build(&self, nat: Nat) -> Result<(), String> {
        let [world, r, n1, n2, a, b] = &self.spaces();
        for space in self.spaces() {
            ip(&["netns", "add", &space])?;
            ip(&["-n", &space, "link", "set", "lo", "up"])?;
        }
        ip(&["-n", world, "link", "add", "br0", "type", "bridge"])?;
        ip(&["-n", world, "link", "set", "br0", "up"])?;
        for (space, port, address) in [(r, "p0", "203.0.113.1"), (n1, "p1", "203.0.113.11"), (n2, "p2", "203.0.113.12")]
        {
            ip(&["-n", world, "link", "add", port, "type", "veth", "peer", "name", "wan", "netns", space])?;
            ip(&["-n", world, "link", "set", port, "master", "br0", "up"])?;
            ip(&["-n", space, "addr", "add", &format!("{address}/24"), "dev", "wan"])?;
            ip(&["-n", space, "link", "set", "wan", "up"])?;
        }
        for (home, router, net) in [(a, n1, "10.1.0"), (b, n2, "10.2.0")] {
            ip(&["-n", router, "link", "add", "lan", "type", "veth", "peer", "name", "eth0", "netns", home])?;
            ip(&["-n", router, "addr", "add", &format!("{net}.1/24"), "dev", "lan"])?;
            ip(&["-n", router, "link", "set", "lan", "up"])?;
            ip(&["-n", home, "addr", "add", &format!("{net}.2/24"), "dev", "eth0"])?;
            ip(&["-n", home, "link", "set", "eth0", "up"])?;
            ip(&["-n", home, "route", "add", "default", "via", &format!("{net}.1")])?;
            let masquerade = match nat {
                Nat::KeepsPorts => "masquerade",
                Nat::DrawsPorts => "masquerade fully-random",
            };
            let rules = format!(
                "table ip home {{
                    chain out {{ type nat hook postrouting priority 100; oifname \"wan\" {masquerade}; }}
                    chain through {{ type filter hook forward priority 0; iifname \"wan\" ct state new drop; }}
                    chain in {{ type filter hook input priority 0; iifname \"wan\" ct state new drop; }}
                }}"
            );
            inside(router, &["nft", &rules])?;
            inside(router, &["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"])?;
        }
        Ok(())
    }

    fn command(&self, space: usize, home: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.spaces()[space]]).arg(crate::cli::binary()).args(arguments);
        command.env("HOME", home).env("XDG_DATA_HOME", home.join("data")).env("NO_COLOR", "1");
        command
    }

    /// A command that runs on the public machine, 203.0.113.1.
    #[must_use]
    pub fn public(&self, home: &Path, arguments: &[&str]) -> Command {
        self.command(1, home, arguments)
    }

    /// A command that runs at home, in the first or the second.
    #[must_use]
    pub fn at_home(&self, second: bool, home: &Path, arguments: &[&str]) -> Command {
        self.command(4 + usize::from(second), home, arguments)
    }
}

impl Drop for Internet {
    fn drop(&mut self) {
        for space in self.spaces() {
            let _ = ip(&["netns", "del", &space]);
        }
    }
}

fn inside(space: &str, command: &[&str]) -> Result<(), String> {
    ip(&[&["netns", "exec", space], command].concat())
}

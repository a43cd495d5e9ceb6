//! Two hosts on one cable: network namespaces on a bridge, removed when dropped. Needs root.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Of the networks of this process: tests of one may run at once.
static SERIAL: AtomicU32 = AtomicU32::new(0);

/// Whether namespaces can be made here; says loudly when not.
#[must_use]
pub fn available() -> bool {
    let root = nix::unistd::geteuid().is_root();
    let works = root && ip(&["netns", "list"]).is_ok();
    if !works {
        eprintln!("SKIPPED: network namespaces need root and the `ip` tool");
    }
    works
}

/// Which addresses the hosts have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// 10.78.X.1, .2 and so on.
    V4,
    /// fd78:X::1, ::2 and so on, beside the link-local ones.
    V6,
}

/// Some hosts on one bridge.
#[derive(Debug)]
pub struct Lan {
    family: Family,
    name: String,
    hosts: u8,
    bridge_space: String,
    subnet: u32,
}

impl Lan {
    /// `hosts` namespaces with addresses of IPv4, on a bridge that lies in a namespace of its own: nothing appears in the
    /// host's network.
    ///
    /// # Panics
    /// When they cannot be made.
    #[must_use]
    pub fn new(hosts: u8) -> Self {
        Self::of(hosts, Family::V4)
    }

    /// The same with addresses of that family alone.
    ///
    /// # Panics
    /// When they cannot be made.
    #[must_use]
    pub fn of(hosts: u8, family: Family) -> Self {
        let (id, serial) = (std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed));
        let name = format!("slt{}x{serial}", id % 100_000);
        let lan = Self { bridge_space: format!("{name}br"), name, hosts, family, subnet: (id + serial) % 250 };
        lan.build().unwrap_or_else(|error| panic!("network namespaces: {error}"));
        lan
    }

    fn build(&self) -> Result<(), String> {
        let bridge = &self.bridge_space;
        ip(&["netns", "add", bridge])?;
        ip(&["-n", bridge, "link", "add", "br0", "type", "bridge"])?;
        ip(&["-n", bridge, "link", "set", "br0", "up"])?;
        for i in 1..=self.hosts {
            let host = self.host(i);
            let port = format!("p{i}");
            ip(&["netns", "add", &host])?;
            ip(&["-n", bridge, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &host])?;
            ip(&["-n", bridge, "link", "set", &port, "master", "br0", "up"])?;
            ip(&["-n", &host, "link", "set", "lo", "up"])?;
            ip(&["-n", &host, "link", "set", "eth0", "up"])?;
            match self.family {
                Family::V4 => {
                    ip(&["-n", &host, "addr", "add", &format!("{}/24", self.address(i)), "dev", "eth0"])?;
                    ip(&["-n", &host, "route", "add", "default", "dev", "eth0"])?;
                }
                // Nobody else has it: to find that out would take a second.
                Family::V6 => {
                    ip(&["-n", &host, "addr", "add", &format!("{}/64", self.address(i)), "dev", "eth0", "nodad"])?;
                }
            }
        }
        Ok(())
    }

    /// Address of host `i`.
    #[must_use]
    pub fn address(&self, i: u8) -> String {
        let subnet = self.subnet;
        match self.family {
            Family::V4 => format!("10.78.{subnet}.{i}"),
            Family::V6 => format!("fd78:{subnet:x}::{i:x}"),
        }
    }

    /// `ip ARGUMENTS` on host `i`.
    ///
    /// # Panics
    /// When it fails.
    pub fn ip(&self, i: u8, arguments: &[&str]) {
        let host = self.host(i);
        ip(&[&["-n", &host], arguments].concat()).unwrap_or_else(|error| panic!("{error}"));
    }

    /// The program and its arguments on host `i`.
    ///
    /// # Panics
    /// When it cannot be started, or fails.
    pub fn inside(&self, i: u8, arguments: &[&str]) {
        let host = self.host(i);
        ip(&[&["netns", "exec", &host], arguments].concat()).unwrap_or_else(|error| panic!("{error}"));
    }

    fn host(&self, i: u8) -> String {
        format!("{}h{i}", self.name)
    }

    /// A command that runs on host `i` (from 1), with a home of its own.
    #[must_use]
    pub fn starling(&self, i: u8, home: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.host(i)]).arg(crate::cli::binary()).args(arguments);
        command
            .env("HOME", home)
            .env("XDG_DATA_HOME", home.join("data"))
            .env("XDG_CACHE_HOME", home.join("cache"))
            .env("NO_COLOR", "1");
        command
    }

    /// Pulls the cable of host `i`, or plugs it in again.
    ///
    /// # Panics
    /// When the link cannot be set.
    pub fn plug(&self, i: u8, up: bool) {
        let state = if up { "up" } else { "down" };
        ip(&["-n", &self.bridge_space, "link", "set", &format!("p{i}"), state]).expect("the link is there");
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for i in 1..=self.hosts {
            let _ = ip(&["netns", "del", &self.host(i)]);
        }
        let _ = ip(&["netns", "del", &self.bridge_space]);
    }
}

pub(crate) fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(arguments).output().map_err(|error| format!("ip: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}

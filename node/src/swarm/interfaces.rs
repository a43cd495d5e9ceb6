//! Which of this machine's interfaces lead to other machines.

use std::net::IpAddr;

use libp2p::Multiaddr;

use super::address;

/// Names of interfaces that join what runs on this machine: containers, virtual machines, bridges of both. Tunnels (`wg0`, `tun0`,
/// `tailscale0`, and `tap0`, which a VPN has as often as a virtual machine) are none: they lead to other machines.
const VIRTUAL: [&str; 16] = [
    "docker", "br-", "veth", "virbr", "vmnet", "vboxnet", "podman", "cni", "flannel", "lxc", "lxdbr", "incusbr",
    "waydroid", "cali", "cilium_", "kube-",
];

/// One address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) ip: IpAddr,
    /// As the system numbers it.
    pub(crate) index: Option<u32>,
    /// Whether it most likely leads to nothing but this machine.
    pub(crate) is_virtual: bool,
}

/// All of them, loopback too.
///
/// # Errors
/// What the system says.
pub(crate) fn all() -> std::io::Result<Vec<Interface>> {
    let all = if_addrs::get_if_addrs()?;
    Ok(all
        .into_iter()
        .map(|interface| Interface {
            ip: interface.ip(),
            index: interface.index,
            is_virtual: is_virtual(&interface.name),
            name: interface.name,
        })
        .collect())
}

pub(crate) fn is_virtual(name: &str) -> bool {
    VIRTUAL.iter().any(|prefix| name.starts_with(prefix))
}

/// Interfaces that are up and have a link-local address of IPv6 and no other: peers announce and dial none of these.
pub(crate) fn link_local_only() -> Vec<String> {
    let all = all().unwrap_or_default();
    let is_local = |ip: IpAddr| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    let is_alone = |name: &str| all.iter().filter(|other| other.name == name).all(|other| is_local(other.ip));
    let names = all.iter().filter(|one| !one.is_virtual && is_alone(&one.name)).map(|one| one.name.clone());
    names.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// Addresses of virtual interfaces last: whoever dials tries the first ones first, and remembers only some.
pub(crate) fn real_first(mut addresses: Vec<Multiaddr>) -> Vec<Multiaddr> {
    let virtual_ips: Vec<IpAddr> = all()
        .map(|all| all.into_iter().filter(|interface| interface.is_virtual).map(|interface| interface.ip).collect())
        .unwrap_or_default();
    addresses.sort_by_key(|address| address::ip(address).is_some_and(|ip| virtual_ips.contains(&ip)));
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bridges_of_containers_are_virtual_and_network_cards_are_not() {
        for name in
            ["docker0", "br-12ab", "veth3", "virbr0", "cni0", "lxcbr0", "lxdbr0", "incusbr0", "podman1", "vboxnet0"]
        {
            assert!(is_virtual(name), "{name}");
        }
        for name in ["eth0", "enp3s0", "wlan0", "tailscale0", "wg0", "tun0", "tap0", "lo", "br0", "bridge0"] {
            assert!(!is_virtual(name), "{name}");
        }
    }
}

//! The network cards: is there one, is the cable in, and does a multicast come back.
//!
//! One interface that leads to peers is enough: what else is in the machine may be off, unplugged or a tunnel, and is then worth a hint.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::IpAddr;

use super::Finding;
use super::echo::echo;
use crate::swarm::interfaces::{self, Interface};

/// `IFF_UP`, `IFF_LOOPBACK`, `IFF_POINTOPOINT` and `IFF_MULTICAST` of Linux's <net/if.h>.
const FLAG_UP: u32 = 0x1;
const FLAG_LOOPBACK: u32 = 0x8;
const FLAG_POINT_TO_POINT: u32 = 0x10;
const FLAG_MULTICAST: u32 = 0x1000;

/// What the checks go by of an interface with an address. Where the system does not tell (`/sys`), all is well.
#[derive(Clone, Debug)]
struct Card {
    name: String,
    addresses: Vec<Interface>,
    is_off: bool,
    /// Nothing is at its other end: no cable, no wireless network, no port of a bridge.
    is_unplugged: bool,
    has_multicast: bool,
    /// It leads to one other end, and is no network card.
    is_tunnel: bool,
}

impl Card {
    fn look(name: &str, addresses: Vec<Interface>) -> Self {
        let flags = flags(name);
        let has = |flag: u32| flags.is_none_or(|flags| flags & flag != 0);
        Self {
            name: name.to_owned(),
            addresses,
            is_off: !has(FLAG_UP),
            is_unplugged: read(name, "carrier").is_some_and(|text| text == "0"),
            has_multicast: has(FLAG_MULTICAST),
            is_tunnel: flags.is_some() && has(FLAG_POINT_TO_POINT) && !is_card(name),
        }
    }

    fn is_virtual(&self) -> bool {
        self.addresses.iter().all(|interface| interface.is_virtual)
    }

    fn only_link_local(&self) -> bool {
        self.addresses.iter().all(|interface| is_link_local(interface.ip))
    }

    /// Whether what is sent there may come to other machines.
    fn leads(&self) -> bool {
        !self.is_virtual() && !self.is_off && !self.is_unplugged && !self.only_link_local()
    }

    /// Whether it makes up for an interface that leads nowhere. A tunnel without multicast does not: nobody is found through it.
    fn makes_up(&self) -> bool {
        self.leads() && (self.has_multicast || !self.is_tunnel)
    }

    /// Whether peers may find each other there. What a tunnel does with multicasts at its other end cannot be seen from here.
    fn finds(&self) -> bool {
        self.leads() && self.has_multicast && !self.is_tunnel
    }
}

pub(super) fn all() -> Vec<Finding> {
    let all = match interfaces::all() {
        Ok(all) => all,
        Err(error) => {
            return vec![Finding::broken(
                "interface",
                format!("the interfaces cannot be listed: {error}"),
                "are you in a sandbox without /proc?",
            )];
        }
    };
    let mut by_name: BTreeMap<String, Vec<Interface>> = BTreeMap::new();
    for interface in all.into_iter().filter(|interface| !interface.ip.is_loopback()) {
        by_name.entry(interface.name.clone()).or_default().push(interface);
    }
    // IPv6 takes its addresses away from what is switched off: it is listed nowhere but in /sys.
    let mut bare = switched_off();
    bare.retain(|name| !by_name.contains_key(name));
    let cards: Vec<Card> = by_name.into_iter().map(|(name, addresses)| Card::look(&name, addresses)).collect();
    judge(&bare, &cards, &echo)
}

/// What is to be said of cards without an address that are off, and of those with one.
fn judge(bare: &[String], cards: &[Card], echo: &dyn Fn(&Interface) -> io::Result<()>) -> Vec<Finding> {
    if bare.is_empty() && cards.is_empty() {
        return vec![Finding::broken(
            "interface",
            "this machine has no address besides its own loopback",
            "plug in a cable, join a wireless network, or set an address (ip addr)",
        )];
    }
    let has_other = cards.iter().any(Card::makes_up);
    let finds = cards.iter().any(Card::finds);
    let echoes: Vec<_> = cards.iter().map(|card| echoes(card, echo)).collect();
    let is_heard = |(card, echoes): (&Card, &Echoes)| !card.is_tunnel && echoes.iter().any(|(_, echo)| echo.is_ok());
    let is_heard = cards.iter().zip(&echoes).any(is_heard);
    let mut findings: Vec<Finding> = bare.iter().map(|name| off(name, name, has_other)).collect();
    for (card, echoes) in cards.iter().zip(echoes) {
        findings.push(standing(card, has_other));
        if card.leads() && !card.has_multicast {
            findings.push(silent(card, finds));
        }
        findings.extend(echoes.into_iter().map(|(ip, echo)| echoed(card, ip, echo, is_heard)));
    }
    findings
}

/// What became of a multicast, of each address.
type Echoes = Vec<(IpAddr, io::Result<()>)>;

/// One address of a family tells as much as two, and link-local ones are everywhere.
fn echoes(card: &Card, echo: &dyn Fn(&Interface) -> io::Result<()>) -> Echoes {
    let asked =
        card.addresses.iter().filter(|interface| card.leads() && card.has_multicast && !is_link_local(interface.ip));
    asked.map(|interface| (interface.ip, echo(interface))).collect()
}

fn off(name: &str, shown: &str, has_other: bool) -> Finding {
    ranked("interface", format!("{shown} is switched off"), format!("ip link set {name} up"), has_other)
}

/// Bad only where no other interface leads to peers.
fn ranked(check: &'static str, what: String, remedy: String, has_other: bool) -> Finding {
    if has_other { Finding::hint(check, what, remedy) } else { Finding::broken(check, what, remedy) }
}

/// Whether the interface leads anywhere.
fn standing(card: &Card, has_other: bool) -> Finding {
    let name = &card.name;
    let shown: Vec<String> = card.addresses.iter().map(|interface| interface.ip.to_string()).collect();
    let shown = format!("{name} has {}", shown.join(", "));
    if card.is_virtual() {
        return Finding::fine("interface", format!("{shown}: leads to this machine's own guests"));
    }
    if card.is_off {
        return off(name, &format!("{shown}, but"), has_other);
    }
    if card.is_unplugged {
        let what = format!("{shown}, but nothing is at the other end of the cable");
        return ranked("interface", what, "plug it in, or switch on what it leads to".to_owned(), has_other);
    }
    if card.only_link_local() {
        let what = format!("{shown}: a link-local address alone, to which peers do not connect");
        let remedy = format!(
            "use DHCP, or set an address on both machines (ip addr add 192.168.77.1/24 dev {name}, .2 on the other)"
        );
        return ranked("interface", what, remedy, has_other);
    }
    Finding::fine("interface", shown)
}

/// Of one without multicast.
fn silent(card: &Card, finds: bool) -> Finding {
    let name = &card.name;
    let (what, remedy) = if card.is_tunnel {
        (
            format!("{name} is a tunnel without multicast: peers do not find each other through it"),
            "name a peer with --peer".to_owned(),
        )
    } else {
        (
            format!("{name} has multicast switched off: peers do not find each other there"),
            format!("ip link set {name} multicast on; or name a peer with --peer"),
        )
    };
    ranked("multicast", what, remedy, finds)
}

fn echoed(card: &Card, ip: IpAddr, echo: io::Result<()>, is_heard: bool) -> Finding {
    let name = &card.name;
    let Err(error) = echo else {
        return Finding::fine("multicast", format!("{ip} ({name}): what is sent comes back"));
    };
    let what = format!("{ip} ({name}): what is sent to the group of mDNS does not come back: {error}");
    let remedy = "a firewall on this machine drops it (let in UDP 5353), or the route is missing (ip route add 224.0.0.0/4 dev ...); or name a peer with --peer";
    ranked("multicast", what, remedy.to_owned(), is_heard)
}

/// Network cards that are off; without a device behind it, an interface is only a means of this machine's system.
fn switched_off() -> Vec<String> {
    let all = fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let names = all.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| flags(name).is_some_and(|flags| flags & (FLAG_UP | FLAG_LOOPBACK) == 0))
        .filter(|name| !interfaces::is_virtual(name) && is_card(name))
        .collect()
}

/// Ethernet, of which wireless is a kind; tunnels have other types (`ARPHRD_ETHER` of <net/if_arp.h>).
fn is_card(name: &str) -> bool {
    read(name, "type").is_some_and(|text| text == "1")
}

fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

fn read(name: &str, what: &str) -> Option<String> {
    fs::read_to_string(format!("/sys/class/net/{name}/{what}")).ok().map(|text| text.trim().to_owned())
}

fn flags(name: &str) -> Option<u32> {
    u32::from_str_radix(read(name, "flags")?.trim_start_matches("0x"), 16).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::super::Level;
    use super::*;

    fn card(name: &str, ips: &[&str]) -> Card {
        let is_virtual = interfaces::is_virtual(name);
        let address = |ip: &&str| Interface { name: name.into(), ip: ip.parse().unwrap(), index: None, is_virtual };
        Card {
            name: name.into(),
            addresses: ips.iter().map(address).collect(),
            is_off: false,
            is_unplugged: false,
            has_multicast: true,
            is_tunnel: false,
        }
    }

    fn wireguard() -> Card {
        Card { has_multicast: false, is_tunnel: true, ..card("wg0", &["10.9.0.2"]) }
    }

    fn good(_: &Interface) -> io::Result<()> {
        Ok(())
    }

    /// What is broken, and what is worth a hint.
    fn found(cards: &[Card]) -> (Vec<String>, Vec<String>) {
        found_with(cards, &good)
    }

    fn found_with(cards: &[Card], echo: &dyn Fn(&Interface) -> io::Result<()>) -> (Vec<String>, Vec<String>) {
        let findings = judge(&[], cards, echo);
        let of = |level| findings.iter().filter(|one| one.level == level).map(|one| one.what.clone()).collect();
        (of(Level::Broken), of(Level::Hint))
    }

    /// The one thing that is wrong with `bad` alone, and worth a hint where `eth0` is in order, too.
    fn assert_spared(bad: Card, says: &str) {
        let (broken, hints) = found(std::slice::from_ref(&bad));
        assert!(broken.len() == 1 && broken[0].contains(says) && hints.is_empty(), "{broken:?} {hints:?}");
        let (broken, hints) = found(&[bad, card("eth0", &["192.0.2.7"])]);
        assert!(broken.is_empty() && hints.len() == 1 && hints[0].contains(says), "{broken:?} {hints:?}");
    }

    #[test]
    fn what_leads_nowhere_is_bad_only_where_nothing_else_leads_to_peers() {
        let eth1 = card("eth1", &["198.51.100.7"]);
        assert_spared(Card { is_off: true, ..eth1.clone() }, "switched off");
        assert_spared(Card { is_unplugged: true, ..eth1.clone() }, "nothing is at the other end");
        assert_spared(Card { has_multicast: false, ..eth1 }, "has multicast switched off");
        assert_spared(card("eth1", &["fe80::1"]), "link-local address alone");
        assert_spared(wireguard(), "wg0 is a tunnel without multicast");
    }

    #[test]
    fn what_leads_nowhere_itself_spares_nobody() {
        let eth = |name: &str, is_unplugged: bool| Card { is_unplugged, ..card(name, &["192.0.2.7"]) };
        let dead = [eth("eth0", true), eth("eth1", true)];
        assert_eq!(found(&dead).0.len(), 2, "neither is in use");
        let (broken, _) = found(&[eth("eth0", true), wireguard()]);
        assert_eq!(broken.len(), 2, "nobody is found through a tunnel: {broken:?}");
        let off = Card { is_off: true, ..eth("eth0", false) };
        assert_eq!(found(&[off, eth("eth1", true)]).0.len(), 2, "off, and unplugged");
        let silent = |name: &str| Card { has_multicast: false, ..eth(name, false) };
        assert_eq!(found(&[silent("eth0"), silent("eth1"), wireguard()]).0.len(), 3);
        // A tunnel with multicast may lead to peers, and may not: no card is spared for it that could be told to.
        let tun = Card { is_tunnel: true, ..card("tun0", &["10.8.0.2"]) };
        let (broken, hints) = found(&[silent("eth0"), tun.clone()]);
        assert!(broken.len() == 1 && hints.is_empty(), "{broken:?} {hints:?}");
        assert!(found(&[eth("eth0", true), tun]).0.is_empty());
    }

    #[test]
    fn a_multicast_that_comes_back_somewhere_spares_the_rest() {
        let only_v4 =
            |interface: &Interface| if interface.ip.is_ipv4() { Ok(()) } else { Err(io::Error::other("nothing")) };
        let both = [card("eth0", &["192.0.2.7", "2001:db8::7"])];
        let (broken, hints) = found_with(&both, &only_v4);
        assert!(
            broken.is_empty() && hints.len() == 1 && hints[0].contains("does not come back"),
            "{broken:?} {hints:?}"
        );
        let none = |_: &Interface| Err(io::Error::other("nothing"));
        assert_eq!(found_with(&both, &none).0.len(), 2);
        // A firewall that trusts a tunnel drops what comes by the card.
        let cards = [card("eth0", &["2001:db8::7"]), Card { is_tunnel: true, ..card("tun0", &["10.8.0.2"]) }];
        assert_eq!(found_with(&cards, &only_v4).0.len(), 1);
    }

    #[test]
    fn bridges_of_this_machines_guests_are_in_order_and_lead_to_nobody() {
        let bridge = Card { is_unplugged: true, ..card("lxdbr0", &["10.118.17.1"]) };
        assert_eq!(found(&[bridge.clone(), card("eth0", &["192.0.2.7"])]), (Vec::new(), Vec::new()));
        let unplugged = Card { is_unplugged: true, ..card("eth0", &["192.0.2.7"]) };
        assert_eq!(found(&[bridge, unplugged]).0.len(), 1);
    }

    #[test]
    fn an_interface_with_nothing_but_a_link_local_address_leads_to_no_peer() {
        assert!(card("eth0", &["fe80::1"]).only_link_local());
        assert!(!card("eth0", &["fe80::1", "192.0.2.7"]).only_link_local());
    }
}

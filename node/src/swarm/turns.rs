//! Whose connections come in turns: what one host does again and again is done at a bounded rate.
//!
//! To open a connection costs its maker less than it costs us to take it, so whoever is cut off and comes back at once can keep us
//! busy with nothing else. Two things cost a host a turn: to push a connection of its own out of the crowd (see [`super::waiting`]),
//! and to have had a peer banned. Whoever has used up its turns is let in later, and when that would be too late not at all. Links that
//! stand, and all other hosts, do not notice. A generic cell rate algorithm (ITU-T I.371, "virtual scheduling"): one instant a host.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// What it costs to push out a connection of one's own.
pub(crate) const PUSH_COST: Duration = Duration::from_millis(30);
/// And to have had a peer banned: who floods under ever new names does it so seldom.
pub(crate) const BAN_COST: Duration = Duration::from_millis(500);
/// So much may be used at once.
const BURST: Duration = Duration::from_secs(4);
/// Whoever would have to wait longer is turned away.
const WAIT_MAX: Duration = Duration::from_secs(3);
/// Debt beyond that is not counted: the address may be another's tomorrow.
const DEBT_MAX: Duration = Duration::from_secs(30);
/// Hosts remembered. Beyond it, whoever owes least is forgotten.
const HOSTS_MAX: usize = 1024;
/// Connections that wait for their turn: each holds a descriptor.
const LATER_MAX: usize = 96;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// When all that was used is paid for.
    paid: BTreeMap<IpAddr, Instant>,
    later: usize,
}

/// When a connection may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Now,
    /// It counts among those who wait, until [`Turns::is_in`].
    After(Duration),
    Never,
}

impl Turns {
    /// That host has used so much.
    pub(crate) fn charge(&mut self, host: IpAddr, cost: Duration, now: Instant) {
        self.paid.retain(|_, paid| *paid > now);
        if self.paid.len() >= HOSTS_MAX && !self.paid.contains_key(&host) {
            let least = self.paid.iter().min_by_key(|(_, paid)| **paid).map(|(&host, _)| host);
            least.and_then(|host| self.paid.remove(&host));
        }
        let paid = self.paid.entry(host).or_insert(now);
        *paid = (*paid + cost).min(now + DEBT_MAX);
    }

    /// Nobody owes anything.
    pub(crate) fn forgive(&mut self) {
        self.paid.clear();
    }

    /// A connection comes from there, and is to cost so much.
    pub(crate) fn take(&mut self, host: IpAddr, cost: Duration, now: Instant) -> Turn {
        let owed = self.paid.get(&host).map_or(Duration::ZERO, |paid| paid.saturating_duration_since(now));
        let wait = owed.saturating_sub(BURST);
        if wait > WAIT_MAX || !wait.is_zero() && self.later >= LATER_MAX {
            return Turn::Never;
        }
        if !cost.is_zero() {
            self.charge(host, cost, now);
        }
        if wait.is_zero() {
            return Turn::Now;
        }
        self.later += 1;
        Turn::After(wait)
    }

    /// Whoever had to wait is in, or gone.
    pub(crate) fn is_in(&mut self) {
        self.later -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn a_host_has_its_burst_and_then_its_rate() {
        let (mut turns, start) = (Turns::default(), Instant::now());
        let at_once = (0..1000).take_while(|_| turns.take(HOST, PUSH_COST, start) == Turn::Now).count();
        assert!((130..=140).contains(&at_once), "{at_once}");
        assert_eq!(turns.take(OTHER, PUSH_COST, start), Turn::Now, "another one does not notice");
        // Whoever is let in later stands in a line of bounded length.
        let mut waits = Vec::new();
        while let Turn::After(wait) = turns.take(HOST, PUSH_COST, start) {
            waits.push(wait);
        }
        assert!(waits.is_sorted() && waits.len() < LATER_MAX && *waits.last().unwrap() <= WAIT_MAX, "{}", waits.len());
        (0..=waits.len()).for_each(|_| turns.is_in());
        let later = start + Duration::from_secs(60);
        assert_eq!(turns.take(HOST, PUSH_COST, later), Turn::Now);
    }

    #[test]
    fn whoever_waits_is_counted() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        turns.charge(HOST, BURST + Duration::from_secs(1), now);
        let let_in = (0..1000).take_while(|_| turns.take(HOST, Duration::ZERO, now) != Turn::Never).count();
        assert_eq!(let_in, LATER_MAX);
        turns.is_in();
        assert!(matches!(turns.take(HOST, Duration::ZERO, now), Turn::After(_)));
    }

    #[test]
    fn bans_have_their_price_and_are_forgotten() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        for _ in 0..8 {
            assert_eq!(turns.take(HOST, Duration::ZERO, now), Turn::Now);
            turns.charge(HOST, BAN_COST, now);
        }
        turns.charge(HOST, BAN_COST, now);
        assert_eq!(turns.take(HOST, Duration::ZERO, now), Turn::After(BAN_COST));
        (0..100).for_each(|_| turns.charge(HOST, BAN_COST, now));
        assert_eq!(turns.take(HOST, Duration::ZERO, now), Turn::Never);
        assert_eq!(turns.take(HOST, Duration::ZERO, now + DEBT_MAX - BURST), Turn::Now, "debt has its bound");
    }

    #[test]
    fn hosts_are_bounded_and_who_owes_most_is_kept() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        turns.charge(HOST, DEBT_MAX, now);
        for i in 0..3 * HOSTS_MAX as u32 {
            turns.charge(IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a01_0000 + i)), PUSH_COST, now);
        }
        assert!(turns.paid.len() <= HOSTS_MAX && turns.paid.contains_key(&HOST));
    }
}

//! Connections that are being made towards us: bounded in number, and a newcomer is never the one who is turned away.
//!
//! Whoever opens a connection and then says nothing holds a place until its time is up. With a plain limit two hundred such
//! connections keep everybody else out for as long; so where all places are taken, the oldest connection of the address with the most of
//! them yields. Of IPv6 a network of 64 bits counts as one address. An honest handshake takes milliseconds on a LAN and a second across the world, and so is never the oldest
//! unless somebody opens hundreds a second from as many addresses. Whoever is cut off and comes back at once does so in turns (see
//! [`super::turns`]), and all together come in at a bounded rate: what is beyond it waits in the system's queue.
//!
//! The same rule holds after the secure channel stands, until the swarm key is proved (see [`super::Network`]).

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use futures::{FutureExt as _, TryFutureExt as _};
use libp2p::Multiaddr;
use libp2p::core::transport::{Boxed, DialOpts, ListenerId, Transport, TransportError, TransportEvent};
use tokio::time::Sleep;

use super::address;
use super::bucket::Bucket;
use super::turns::{PUSH_COST, Turn, Turns};

/// Connections towards us whose secure channel does not stand yet.
pub(crate) const WAITING_MAX: usize = 128;
/// And how long it may take: four round trips, across the world two seconds.
const SECURE_MAX: Duration = Duration::from_secs(5);
/// Connections that are taken a second, whoever makes them. To take one costs a tenth of a millisecond.
const TAKEN_PER_SECOND: f64 = 500.0;
/// And at once: as many as a system's queue commonly holds.
const TAKEN_BURST: f64 = 1024.0;

/// Whom an address stands for: of IPv6 one host has 2^64 of a network's, and whoever counts them one by one counts nothing.
pub(crate) fn host(ip: IpAddr) -> IpAddr {
    const NETWORK: u128 = !(u64::MAX as u128);
    match ip {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => ip.into(),
            None => Ipv6Addr::from_bits(ip.to_bits() & NETWORK).into(),
        },
    }
}

/// Who waits: numbered as they came, each with its host.
#[derive(Debug)]
pub(crate) struct Crowd<T> {
    limit: usize,
    count: u64,
    waiting: BTreeMap<u64, (Option<IpAddr>, T)>,
}

impl<T> Crowd<T> {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, count: 0, waiting: BTreeMap::new() }
    }

    /// One more comes. Its number, and who yields to it.
    pub(crate) fn enter(&mut self, from: Option<IpAddr>, what: T) -> (u64, Option<T>) {
        self.count += 1;
        self.waiting.insert(self.count, (from.map(host), what));
        let yields = (self.waiting.len() > self.limit).then(|| self.take_oldest()).flatten();
        (self.count, yields)
    }

    /// Whether one that comes from there would push out another one of its own host.
    fn pushes_its_own(&self, from: IpAddr) -> bool {
        if self.waiting.len() < self.limit {
            return false;
        }
        let counts = self.counts();
        let own = counts.get(&Some(host(from))).copied().unwrap_or(0) + 1;
        counts.values().all(|&count| count <= own)
    }

    /// It is here, or gone.
    pub(crate) fn leave(&mut self, number: u64) {
        self.waiting.remove(&number);
    }

    /// The oldest of the address with the most; of several such addresses, the oldest of all.
    fn take_oldest(&mut self) -> Option<T> {
        let counts = self.counts();
        let most = counts.values().max().copied()?;
        let oldest = self.waiting.iter().find(|(_, (from, _))| counts.get(from) == Some(&most));
        let number = oldest.map(|(&number, _)| number)?;
        self.waiting.remove(&number).map(|(_, what)| what)
    }

    /// How many of each host.
    fn counts(&self) -> BTreeMap<Option<IpAddr>, usize> {
        let mut counts = BTreeMap::new();
        for (from, _) in self.waiting.values() {
            *counts.entry(*from).or_default() += 1;
        }
        counts
    }
}

/// Those who wait, and whose turn it is.
#[derive(Debug)]
struct Inner {
    crowd: Crowd<oneshot::Sender<()>>,
    turns: Turns,
}

/// Of all clones one.
#[derive(Clone, Debug)]
pub(crate) struct Doorway(Arc<Mutex<Inner>>);

impl Default for Doorway {
    fn default() -> Self {
        Self::of(WAITING_MAX)
    }
}

impl Doorway {
    fn of(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(Inner { crowd: Crowd::new(limit), turns: Turns::default() })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Plain data that no panic leaves half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// That host has used so much of its turns.
    pub(crate) fn charge(&self, from: IpAddr, cost: Duration) {
        self.lock().turns.charge(host(from), cost, Instant::now());
    }

    /// No host owes anything.
    pub(crate) fn forgive(&self) {
        self.lock().turns.forgive();
    }

    /// When one may come in that comes from there.
    fn turn(&self, from: Option<IpAddr>) -> Turn {
        // Who it is shows later: a relayed one has no address.
        let Some(from) = from else { return Turn::Now };
        let Inner { crowd, turns } = &mut *self.lock();
        let cost = if crowd.pushes_its_own(from) { PUSH_COST } else { Duration::ZERO };
        turns.take(host(from), cost, Instant::now())
    }

    /// Takes a place in the crowd, and whoever yields to it hears of it.
    fn enter(&self, from: Option<IpAddr>) -> (Place, oneshot::Receiver<()>) {
        let (sender, yields) = oneshot::channel();
        let (number, yielding) = self.lock().crowd.enter(from, sender);
        if let Some(yielding) = yielding {
            // Whoever is over already needs no word.
            let _ = yielding.send(());
        }
        (Place { crowd: self.clone(), number }, yields)
    }
}

/// A transport whose incoming connections wait in a [`Crowd`].
pub(crate) struct Crowded<O> {
    inner: Boxed<O>,
    crowd: Doorway,
    /// What may be taken still.
    taken: Bucket,
    /// Until the next may be.
    pause: Option<Pin<Box<Sleep>>>,
}

impl<O> Crowded<O> {
    pub(crate) fn new(inner: Boxed<O>, crowd: Doorway) -> Self {
        let taken = Bucket::new(TAKEN_PER_SECOND, TAKEN_BURST, Instant::now());
        Self { inner, crowd, taken, pause: None }
    }
}

/// Counts whoever stands in line, however that ends.
struct InLine(Doorway);

impl Drop for InLine {
    fn drop(&mut self) {
        self.0.lock().turns.is_in();
    }
}

/// Gives the place back, however the connection ends.
struct Place {
    crowd: Doorway,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.lock().crowd.leave(self.number);
    }
}

type Upgrade<O> = Pin<Box<dyn Future<Output = io::Result<O>> + Send>>;

impl<O: 'static> Transport for Crowded<O> {
    type Output = O;
    type Error = io::Error;
    type ListenerUpgrade = Upgrade<O>;
    type Dial = Upgrade<O>;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        self.inner.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(&mut self, address: Multiaddr, options: DialOpts) -> Result<Upgrade<O>, TransportError<io::Error>> {
        self.inner.dial(address, options).map(|dial| dial.boxed())
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TransportEvent<Upgrade<O>, io::Error>> {
        if let Some(pause) = &mut self.pause {
            if pause.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.pause = None;
            // For the one before.
            let _ = self.taken.take(1.0, Instant::now());
        }
        let crowd = self.crowd.clone();
        Pin::new(&mut self.inner).poll(cx).map(|event| {
            let from = match &event {
                TransportEvent::Incoming { send_back_addr, .. } => {
                    // This one is here already; the next one waits.
                    if let Err(wait) = self.taken.take(1.0, Instant::now()) {
                        self.pause = Some(Box::pin(tokio::time::sleep(wait)));
                    }
                    address::ip(send_back_addr)
                }
                _ => None,
            };
            event.map_upgrade(|upgrade| wait(crowd, from, upgrade))
        })
    }
}

/// The upgrade, when its host's turn has come, in a place of the crowd until it is over or has to yield.
fn wait<O: 'static>(
    crowd: Doorway,
    from: Option<IpAddr>,
    upgrade: impl Future<Output = io::Result<O>> + Send + 'static,
) -> Upgrade<O> {
    let after = match crowd.turn(from) {
        Turn::Now => return in_crowd(crowd.enter(from), upgrade).boxed(),
        Turn::After(after) => after,
        Turn::Never => return async { Err(io::Error::other("too many connections from there")) }.boxed(),
    };
    let in_line = InLine(crowd.clone());
    async move {
        tokio::time::sleep(after).await;
        drop(in_line);
        in_crowd(crowd.enter(from), upgrade).await
    }
    .boxed()
}

async fn in_crowd<O>(
    (place, yields): (Place, oneshot::Receiver<()>),
    upgrade: impl Future<Output = io::Result<O>>,
) -> io::Result<O> {
    let _place = place;
    // A place that was given up without a word is one whose connection is over: it is not waited for.
    let yields = yields.unwrap_or_else(|_| ()).map(|()| Err(io::Error::other("it took too long, and others wait")));
    tokio::select! {
        biased;
        done = tokio::time::timeout(SECURE_MAX, upgrade) => done.unwrap_or_else(|late| Err(late.into())),
        given_up = yields => given_up,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use futures::future;

    fn ip(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([10, 0, 0, last]))
    }

    #[test]
    fn the_oldest_of_the_most_crowded_address_yields() {
        let mut crowd = Crowd::new(4);
        let honest = crowd.enter(ip(1), "honest");
        assert_eq!(honest.1, None);
        for name in ["a", "b", "c"] {
            assert_eq!(crowd.enter(ip(2), name).1, None);
        }
        assert_eq!(crowd.enter(ip(2), "d").1, Some("a"), "of the three of one address, not of the older one alone");
        crowd.leave(honest.0);
        assert_eq!(crowd.enter(ip(3), "another").1, None, "a place is free again");
        assert_eq!(crowd.enter(ip(3), "second").1, Some("b"));
        assert_eq!(crowd.waiting.len(), 4);
    }

    #[test]
    fn one_host_with_many_addresses_of_ipv6_counts_as_one() {
        let v6 = |text: &str| Some(text.parse().unwrap());
        let mut crowd = Crowd::new(4);
        crowd.enter(v6("2001:db8:0:1::7"), "honest");
        for (i, name) in ["a", "b", "c"].into_iter().enumerate() {
            assert_eq!(crowd.enter(v6(&format!("2001:db8:0:2::{i}")), name).1, None);
        }
        assert_eq!(crowd.enter(v6("2001:db8:0:3::1"), "another").1, Some("a"), "not the oldest of all");
        let mut crowd = Crowd::new(2);
        crowd.enter(ip(1), "honest");
        crowd.enter(v6("::ffff:10.0.0.2"), "b");
        assert_eq!(crowd.enter(ip(2), "c").1, Some("b"), "the same host by both names");
    }

    #[tokio::test]
    async fn whoever_comes_finds_a_place_among_those_who_say_nothing() {
        let crowd = Doorway::of(8);
        let mut silent: Vec<_> =
            (0..8).map(|_| wait(crowd.clone(), ip(1), future::pending::<io::Result<u8>>())).collect();
        let newcomer = wait(crowd.clone(), ip(1), future::ready(Ok(7)));
        assert_eq!(newcomer.await.unwrap(), 7);
        assert!(silent.remove(0).await.unwrap_err().to_string().contains("others wait"), "the oldest has yielded");
        assert_eq!(crowd.lock().crowd.waiting.len(), 7);
        drop(silent);
        assert!(crowd.lock().crowd.waiting.is_empty(), "whoever is gone holds no place");
    }

    #[tokio::test]
    async fn whoever_comes_back_at_once_stands_in_line_and_holds_up_nobody_else() {
        let crowd = Doorway::of(8);
        let _silent: Vec<_> = (0..8).map(|_| wait(crowd.clone(), ip(1), future::pending::<io::Result<u8>>())).collect();
        let ready = |from: Option<IpAddr>| wait(crowd.clone(), from, future::ready(Ok(7)));
        // Of the host that owes, one comes in time; when too many wait, it is told at once.
        (0..10).for_each(|_| crowd.charge(ip(1).unwrap(), super::super::turns::BAN_COST));
        let begun = tokio::time::Instant::now();
        let mut late = ready(ip(1));
        assert!(futures::poll!(&mut late).is_pending());
        assert!(futures::poll!(ready(ip(2))).is_ready(), "another host");
        assert_eq!(late.await.unwrap(), 7);
        assert!(begun.elapsed() >= Duration::from_millis(500), "{:?}", begun.elapsed());
        let line: Vec<_> = (0..200).map(|_| ready(ip(1))).collect();
        drop(line);
        assert_eq!(crowd.lock().turns.take(ip(2).unwrap(), Duration::ZERO, Instant::now()), Turn::Now);
        (0..100).for_each(|_| crowd.charge(ip(1).unwrap(), super::super::turns::BAN_COST));
        let never = ready(ip(1)).await.unwrap_err().to_string();
        assert!(never.contains("too many connections"), "{never}");
    }
}

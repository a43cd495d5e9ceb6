//! A map by origin that takes little room: version vectors and heads are kept for every life that a swarm has ever heard, some of them once a
//! neighbour, and each restart of a peer adds one for good.
//!
//! The key of a peer stands once, and its lives behind each other in one list: 8 bytes each beside the value, instead of the 40 of
//! an [`Origin`] in a tree whose nodes are half empty. Both lists grow by an eighth, and shrink again.
//!
//! Invariants: `peers` ascends, and so do the lives of each; every peer has one at least. So equal maps have one form.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::id::{Origin, PeerId};

/// Places that a list grows by at least.
const GROWTH_MIN: usize = 4;
/// And otherwise by this part of its length: little room is unused, and what is moved is a few times what is kept.
const GROWTH_PART: usize = 8;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ByOrigin<T> {
    /// Each peer, and where its lives begin.
    peers: Vec<(PeerId, u32)>,
    /// Incarnation and value.
    lives: Vec<(u64, T)>,
}

impl<T> Default for ByOrigin<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> ByOrigin<T> {
    pub(super) const fn new() -> Self {
        Self { peers: Vec::new(), lives: Vec::new() }
    }

    /// Of entries in any order, of which the last one of an origin counts; no place is left unused, unless one has two.
    pub(super) fn of(mut entries: Vec<(Origin, T)>) -> Self {
        // What comes sorted, as nearly all does, is gone through once.
        entries.sort_by_key(|(origin, _)| *origin);
        let peers = entries.chunk_by(|(a, _), (b, _)| a.peer == b.peer).count();
        let mut map = Self { peers: Vec::with_capacity(peers), lives: Vec::with_capacity(entries.len()) };
        let mut before: Option<Origin> = None;
        for (origin, value) in entries {
            if before == Some(origin) {
                map.lives.pop();
            } else if before.is_none_or(|before| before.peer != origin.peer) {
                map.peers.push((origin.peer, map.lives.len() as u32));
            }
            map.lives.push((origin.incarnation, value));
            before = Some(origin);
        }
        map
    }

    pub(super) fn len(&self) -> usize {
        self.lives.len()
    }

    pub(super) fn get(&self, origin: &Origin) -> Option<&T> {
        self.place(origin).ok().map(|at| &self.lives[at].1)
    }

    pub(super) fn get_mut(&mut self, origin: &Origin) -> Option<&mut T> {
        self.place(origin).ok().map(|at| &mut self.lives[at].1)
    }

    pub(super) fn insert(&mut self, origin: Origin, value: T) {
        let (peer, at) = match self.place(&origin) {
            Ok(at) => {
                self.lives[at].1 = value;
                return;
            }
            Err(place) => place,
        };
        let behind = match peer {
            Ok(peer) => peer + 1,
            Err(peer) => {
                grow(&mut self.peers);
                self.peers.insert(peer, (origin.peer, at as u32));
                peer + 1
            }
        };
        grow(&mut self.lives);
        self.lives.insert(at, (origin.incarnation, value));
        self.peers[behind..].iter_mut().for_each(|(_, begin)| *begin += 1);
    }

    pub(super) fn remove(&mut self, origin: &Origin) {
        let (Ok(at), Ok(peer)) = (self.place(origin), self.find(origin.peer)) else { return };
        self.lives.remove(at);
        self.peers[peer + 1..].iter_mut().for_each(|(_, begin)| *begin -= 1);
        if self.span(peer).is_empty() {
            self.peers.remove(peer);
            shrink(&mut self.peers);
        }
        shrink(&mut self.lives);
    }

    /// Removes those, in one go: each by itself would move all that are behind it.
    pub(super) fn remove_all(&mut self, gone: &BTreeSet<Origin>) {
        match gone.len() {
            0 => {}
            1 => gone.iter().for_each(|origin| self.remove(origin)),
            _ => {
                let lives = std::mem::take(&mut self.lives);
                let ends = self.peers.iter().skip(1).map(|(_, begin)| *begin as usize).chain([lives.len()]);
                let of: Vec<_> = self.peers.iter().map(|(peer, _)| *peer).zip(ends).collect();
                let (mut of, mut entries) = (of.into_iter().peekable(), Vec::new());
                for (at, (incarnation, value)) in lives.into_iter().enumerate() {
                    while of.next_if(|(_, end)| *end <= at).is_some() {}
                    let Some(&(peer, _)) = of.peek() else { break };
                    entries.push((Origin { peer, incarnation }, value));
                }
                entries.retain(|(origin, _)| !gone.contains(origin));
                *self = Self::of(entries);
            }
        }
    }

    /// In order of origin.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Origin, &T)> + '_ {
        (0..self.peers.len()).flat_map(|index| self.of_index(index))
    }

    /// The lives of one peer, in order.
    pub(super) fn lives(&self, peer: PeerId) -> impl Iterator<Item = (Origin, &T)> + '_ {
        self.find(peer).ok().into_iter().flat_map(|index| self.of_index(index))
    }

    /// What it takes of the heap.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.peers.capacity() * size_of::<(PeerId, u32)>() + self.lives.capacity() * size_of::<(u64, T)>()
    }

    fn of_index(&self, index: usize) -> impl Iterator<Item = (Origin, &T)> + '_ {
        let peer = self.peers[index].0;
        self.lives[self.span(index)].iter().map(move |(life, value)| (Origin { peer, incarnation: *life }, value))
    }

    fn find(&self, peer: PeerId) -> Result<usize, usize> {
        self.peers.binary_search_by(|(other, _)| other.cmp(&peer))
    }

    /// Where the lives of the peer at that place are.
    fn span(&self, index: usize) -> Range<usize> {
        let end = self.peers.get(index + 1).map_or(self.lives.len(), |(_, begin)| *begin as usize);
        self.peers[index].1 as usize..end
    }

    /// Where that life is; or where its peer is or belongs, and where the life belongs.
    fn place(&self, origin: &Origin) -> Result<usize, (Result<usize, usize>, usize)> {
        let peer = self.find(origin.peer);
        match peer {
            Ok(index) => {
                let span = self.span(index);
                let found = self.lives[span.clone()].binary_search_by_key(&origin.incarnation, |(life, _)| *life);
                found.map(|at| span.start + at).map_err(|at| (peer, span.start + at))
            }
            Err(index) => {
                let at = self.peers.get(index).map_or(self.lives.len(), |(_, begin)| *begin as usize);
                Err((peer, at))
            }
        }
    }
}

fn grow<T>(list: &mut Vec<T>) {
    if list.len() == list.capacity() {
        list.reserve_exact((list.len() / GROWTH_PART).max(GROWTH_MIN));
    }
}

fn shrink<T>(list: &mut Vec<T>) {
    if list.capacity() > 2 * list.len() + GROWTH_MIN {
        list.shrink_to(list.len() + list.len() / GROWTH_PART);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn origin(peer: u8, incarnation: u64) -> Origin {
        Origin { peer: PeerId([peer; 32]), incarnation }
    }

    proptest! {
        /// It is a map, whatever comes and goes, and its form tells nothing of how it came to be.
        #[test]
        fn it_holds_what_a_map_holds(changes in prop::collection::vec((0u8..5, 0u64..5, 0u64..4), 0..100)) {
            let (mut map, mut model) = (ByOrigin::new(), BTreeMap::new());
            for (peer, life, value) in changes {
                let origin = origin(peer, life);
                if value == 0 {
                    map.remove(&origin);
                    model.remove(&origin);
                } else {
                    map.insert(origin, value);
                    model.insert(origin, value);
                }
                prop_assert_eq!(map.get(&origin), model.get(&origin));
            }
            let entries: Vec<_> = model.iter().map(|(&origin, &value)| (origin, value)).collect();
            prop_assert_eq!(map.iter().map(|(origin, value)| (origin, *value)).collect::<Vec<_>>(), entries.clone());
            prop_assert_eq!(map.len(), entries.len());
            for peer in 0..5 {
                let of_peer = entries.iter().filter(|(origin, _)| origin.peer.0[0] == peer).map(|(origin, _)| *origin);
                let lives = map.lives(PeerId([peer; 32])).map(|(origin, _)| origin);
                prop_assert_eq!(lives.collect::<Vec<_>>(), of_peer.collect::<Vec<_>>());
            }
            prop_assert_eq!(&ByOrigin::of(entries.iter().rev().copied().collect()), &map);
            let (gone, kept): (Vec<_>, Vec<_>) = entries.iter().copied().partition(|(_, value)| *value == 1);
            let mut without = map.clone();
            without.remove_all(&gone.iter().map(|(origin, _)| *origin).collect());
            prop_assert_eq!(&without, &ByOrigin::of(kept));
            prop_assert_eq!(&ByOrigin::of([entries.clone(), entries].concat()), &map);
        }
    }

    #[test]
    fn little_room_is_left_unused_and_what_went_gives_its_room_back() {
        let mut map = ByOrigin::new();
        (0..10_000).for_each(|life| map.insert(origin(1, life), 1u64));
        assert!(map.room() < 10_000 * 16 * 9 / 8 + 1024, "{}", map.room());
        (100..10_000).for_each(|life| map.remove(&origin(1, life)));
        assert!(map.room() < 100 * 16 * 3, "{}", map.room());
    }
}

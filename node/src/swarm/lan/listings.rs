//! Who was heard of, by the name of the instance. Whoever announces is a stranger, so nothing here grows without end.

use std::collections::BTreeMap;

use protocol::id::PeerId;

use super::Listing;

/// Peers remembered, of our run and of all others each.
const LISTINGS_MAX: usize = 1024;
/// Names of one peer: one for each of its lives that is not forgotten yet.
const NAMES_MAX: usize = 4;

/// See the module. Our own run has a table of its own: however many others announce, its peers are not forgotten for them.
#[derive(Debug, Default)]
pub(super) struct Listings {
    ours: Table,
    others: Table,
}

#[derive(Debug, Default)]
struct Table {
    by_name: BTreeMap<String, Entry>,
    /// Counts what was heard.
    serial: u64,
}

#[derive(Debug)]
struct Entry {
    serial: u64,
    /// Whether there ever was a link to its peer, while this name was known.
    linked: bool,
    listing: Listing,
}

impl Table {
    /// A newcomer takes the place of who was silent for longest of those that were never linked: refused for good, a flood of made-up names
    /// would keep all newcomers apart.
    fn insert(&mut self, name: String, linked: bool, listing: Listing) {
        self.serial += 1;
        self.by_name.insert(name, Entry { serial: self.serial, linked, listing });
        if self.by_name.len() > LISTINGS_MAX {
            let oldest = self.by_name.iter().min_by_key(|(_, entry)| (entry.linked, entry.serial));
            let oldest = oldest.map(|(name, _)| name.clone());
            oldest.map(|name| self.by_name.remove(&name));
        }
    }

    /// Whoever announces in the name of a peer that has a link would fill the table with names that stay: of too many the newest gives way.
    fn make_room_of(&mut self, peer: PeerId, name: &str) {
        let names = self.by_name.iter().filter(|(other, entry)| *other != name && entry.listing.peer == peer);
        let names: Vec<(u64, &String)> = names.map(|(other, entry)| (entry.serial, other)).collect();
        if names.len() >= NAMES_MAX {
            let newest = names.into_iter().max().map(|(_, other)| other.clone());
            newest.map(|other| self.by_name.remove(&other));
        }
    }
}

impl Listings {
    pub(super) fn get(&self, name: &str) -> Option<&Listing> {
        self.ours.by_name.get(name).or_else(|| self.others.by_name.get(name)).map(|entry| &entry.listing)
    }

    /// Takes a listing in, in place of what was heard under its name.
    pub(super) fn insert(&mut self, name: String, listing: Listing, is_ours: bool) {
        let linked = self.ours.by_name.get(&name).is_some_and(|entry| is_ours && entry.linked);
        self.remove(&name);
        if is_ours {
            self.ours.make_room_of(listing.peer, &name);
        }
        let table = if is_ours { &mut self.ours } else { &mut self.others };
        table.insert(name, linked, listing);
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.ours.by_name.remove(name);
        self.others.by_name.remove(name);
    }

    /// Those of our run.
    #[cfg(test)]
    pub(super) fn ours(&self) -> impl Iterator<Item = &Listing> {
        self.ours.by_name.values().map(|entry| &entry.listing)
    }

    /// All that was announced in the name of that peer of our run, the latest first.
    pub(super) fn of(&self, peer: PeerId) -> Vec<&Listing> {
        let mut entries: Vec<&Entry> = self.ours.by_name.values().filter(|entry| entry.listing.peer == peer).collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.serial));
        entries.into_iter().map(|entry| &entry.listing).collect()
    }

    /// Notes who has a link.
    pub(super) fn note_links(&mut self, is_up: impl Fn(PeerId) -> bool) {
        let entries = self.ours.by_name.values_mut().filter(|entry| !entry.linked);
        entries.for_each(|entry| entry.linked = is_up(entry.listing.peer));
    }

    /// Peers of our run, once each: those that have had a link first, since a flood of names has had none.
    pub(super) fn in_turn(&self) -> Vec<PeerId> {
        let mut last: BTreeMap<PeerId, bool> = BTreeMap::new();
        for entry in self.ours.by_name.values() {
            *last.entry(entry.listing.peer).or_default() |= entry.linked;
        }
        let mut peers: Vec<(bool, PeerId)> = last.into_iter().map(|(peer, linked)| (!linked, peer)).collect();
        peers.sort_unstable();
        peers.into_iter().map(|(_, peer)| peer).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::listing;
    use super::*;

    #[test]
    fn a_flood_of_names_forgets_the_oldest_and_none_of_another_run() {
        let (mut listings, one) = (Listings::default(), listing(&["/ip4/192.0.2.7/tcp/4001"]));
        listings.insert("friend".into(), one.clone(), true);
        for i in 0..2 * LISTINGS_MAX {
            listings.insert(format!("other {i}"), one.clone(), false);
        }
        assert_eq!(listings.ours().count(), 1);
        assert_eq!(listings.others.by_name.len(), LISTINGS_MAX);
        assert!(
            listings.get("other 0").is_none() && listings.get(&format!("other {}", 2 * LISTINGS_MAX - 1)).is_some()
        );
        let stranger = |i: usize| {
            let mut id = [9; 32];
            id.split_at_mut(8).0.copy_from_slice(&(i as u64).to_le_bytes());
            Listing { peer: PeerId(id), ..one.clone() }
        };
        for i in 0..LISTINGS_MAX {
            listings.insert(format!("ours {i}"), stranger(i), true);
        }
        assert_eq!(listings.ours().count(), LISTINGS_MAX);
        assert!(listings.get("friend").is_none() && listings.get("ours 0").is_some());
        listings.insert("friend".into(), one.clone(), true);
        listings.note_links(|peer| peer == one.peer);
        listings.insert("friend".into(), one.clone(), true);
        for i in 0..LISTINGS_MAX {
            listings.insert(format!("more {i}"), stranger(i), true);
        }
        assert_eq!(listings.ours().count(), LISTINGS_MAX);
        assert!(listings.get("friend").is_some() && listings.get("more 0").is_none(), "who was linked stays");
        assert_eq!(listings.in_turn().first(), Some(&one.peer));
    }

    #[test]
    fn names_of_a_linked_peer_keep_no_newcomer_out() {
        let (mut listings, one) = (Listings::default(), listing(&["/ip4/192.0.2.7/tcp/4001"]));
        listings.insert("friend".into(), one.clone(), true);
        listings.note_links(|peer| peer == one.peer);
        for i in 0..2 * LISTINGS_MAX {
            listings.insert(format!("forged {i}"), one.clone(), true);
            listings.note_links(|peer| peer == one.peer);
        }
        assert_eq!(listings.ours().count(), NAMES_MAX);
        listings.insert("newcomer".into(), Listing { peer: PeerId([8; 32]), ..one }, true);
        assert!(listings.get("friend").is_some() && listings.get("newcomer").is_some());
    }
}

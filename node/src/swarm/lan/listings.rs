//! Who was heard of, by the name of the instance. Whoever announces is a stranger, so nothing here grows without end.

use std::collections::BTreeMap;

use super::Listing;

/// Peers remembered, of our run and of all others each.
const LISTINGS_MAX: usize = 1024;

/// See the module. Our own run has a table of its own: however many others announce, its peers are not forgotten for them.
#[derive(Debug, Default)]
pub(super) struct Listings {
    ours: Table,
    others: Table,
}

#[derive(Debug, Default)]
struct Table {
    by_name: BTreeMap<String, (u64, Listing)>,
    /// Counts what was heard.
    serial: u64,
}

impl Table {
    /// A newcomer takes the place of who was silent for longest: refused for good, a flood of made-up names would keep all
    /// newcomers apart.
    fn insert(&mut self, name: String, listing: Listing) {
        self.serial += 1;
        self.by_name.insert(name, (self.serial, listing));
        if self.by_name.len() > LISTINGS_MAX {
            let oldest = self.by_name.iter().min_by_key(|(_, (serial, _))| *serial).map(|(name, _)| name.clone());
            oldest.map(|name| self.by_name.remove(&name));
        }
    }
}

impl Listings {
    pub(super) fn get(&self, name: &str) -> Option<&Listing> {
        self.ours.by_name.get(name).or_else(|| self.others.by_name.get(name)).map(|(_, listing)| listing)
    }

    /// Takes a listing in, in place of what was heard under its name.
    pub(super) fn insert(&mut self, name: String, listing: Listing, is_ours: bool) {
        self.remove(&name);
        let table = if is_ours { &mut self.ours } else { &mut self.others };
        table.insert(name, listing);
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.ours.by_name.remove(name);
        self.others.by_name.remove(name);
    }

    /// Those of our run.
    pub(super) fn ours(&self) -> impl Iterator<Item = &Listing> {
        self.ours.by_name.values().map(|(_, listing)| listing)
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
        for i in 0..LISTINGS_MAX {
            listings.insert(format!("ours {i}"), one.clone(), true);
        }
        assert_eq!(listings.ours().count(), LISTINGS_MAX);
        assert!(listings.get("friend").is_none() && listings.get("ours 0").is_some());
    }
}

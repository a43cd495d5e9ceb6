//! Says once what a stranger who dials again and again would have said a thousand times, and counts the rest: of each kind of record by itself.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::store::audit::Kind;

/// The same of the same peer is said again after so long.
const REPEAT_AFTER: Duration = Duration::from_secs(60);
/// Lines of a kind remembered; when there are more, the rest is counted together until some are old.
const REMEMBERED_MAX: usize = 256;
/// Whose those are.
const OTHERS: &str = "(others)";

/// What was said, and when.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    said: BTreeMap<(&'static str, String, String), Said>,
    /// Those of a kind of which nothing was remembered, and since when.
    others: BTreeMap<&'static str, Others>,
}

#[derive(Debug)]
struct Others {
    kind: Kind,
    since: Instant,
    count: u64,
}

#[derive(Debug)]
struct Said {
    kind: Kind,
    at: Instant,
    /// How often it happened since.
    again: u64,
}

impl Refusals {
    /// It happened again. When it is to be said now: how often it has happened since it was said last, this time among
    /// them.
    pub(crate) fn note(&mut self, kind: Kind, peer: &str, reason: &str, now: Instant) -> Option<u64> {
        let line = (kind.name(), peer.to_owned(), reason.to_owned());
        if let Some(said) = self.said.get_mut(&line) {
            said.again += 1;
            let due = now.saturating_duration_since(said.at) >= REPEAT_AFTER;
            return due.then(|| std::mem::replace(said, Said { kind, at: now, again: 0 }).again);
        }
        if self.said.values().filter(|said| said.kind == kind).count() >= REMEMBERED_MAX {
            self.others.entry(kind.name()).or_insert(Others { kind, since: now, count: 0 }).count += 1;
            return None;
        }
        self.said.insert(line, Said { kind, at: now, again: 0 });
        Some(1)
    }

    /// Forgets what is old; at the end, `all`. What of it happened more often than was said: what it was, who, why, and how often.
    pub(crate) fn untold(&mut self, now: Instant, all: bool) -> Vec<(Kind, String, String, u64)> {
        let is_old = |at: Instant| all || now.saturating_duration_since(at) >= REPEAT_AFTER;
        let mut untold = Vec::new();
        self.said.retain(|(_, peer, reason), said| {
            let old = is_old(said.at);
            if old && said.again > 0 {
                untold.push((said.kind, peer.clone(), reason.clone(), said.again));
            }
            !old
        });
        self.others.retain(|_, others| {
            let old = is_old(others.since);
            if old {
                let why = "too many at once to tell of each";
                untold.push((others.kind, OTHERS.to_owned(), why.to_owned(), others.count));
            }
            !old
        });
        untold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_said_once_a_minute_and_memory_is_bounded() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        assert_eq!(refusals.note(Kind::Refuse, "a", "wrong key", now), Some(1));
        assert_eq!(refusals.note(Kind::Refuse, "a", "wrong key", now + Duration::from_secs(59)), None);
        assert_eq!(
            (refusals.note(Kind::Refuse, "a", "full", now), refusals.note(Kind::Refuse, "b", "wrong key", now)),
            (Some(1), Some(1))
        );
        assert_eq!(refusals.note(Kind::Refuse, "a", "wrong key", now + Duration::from_secs(60)), Some(2));
        let said =
            (0..1000).filter(|id| refusals.note(Kind::Refuse, &id.to_string(), "wrong key", now).is_some()).count();
        assert!(said < REMEMBERED_MAX);
    }

    #[test]
    fn nothing_is_left_uncounted() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        let told: u64 =
            (0..3000).filter_map(|i| refusals.note(Kind::Refuse, &(i % 300).to_string(), "wrong key", now)).sum();
        assert_eq!(refusals.untold(now, false).len(), 0, "not yet");
        let later: u64 = refusals.untold(now + REPEAT_AFTER, false).iter().map(|(.., times)| times).sum();
        assert_eq!((told, told + later), (REMEMBERED_MAX as u64, 3000));
        assert!(refusals.said.is_empty() && refusals.untold(now + 2 * REPEAT_AFTER, false).is_empty());
    }

    #[test]
    fn at_the_end_all_is_told() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        let said: u64 = (0..3000).filter_map(|i| refusals.note(Kind::Refuse, &i.to_string(), "wrong key", now)).sum();
        let again = (0..10).filter_map(|_| refusals.note(Kind::Refuse, "1", "wrong key", now)).count();
        assert_eq!(again, 0);
        let rest: u64 = refusals.untold(now, true).iter().map(|(.., times)| times).sum();
        assert_eq!(said + rest, 3010);
    }

    #[test]
    fn what_is_counted_keeps_its_kind_and_its_place() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        for id in 0..2 * REMEMBERED_MAX {
            refusals.note(Kind::Refuse, &id.to_string(), "wrong key", now);
        }
        assert_eq!(refusals.note(Kind::Copied, "a", "two of it", now), Some(1), "refusals leave room for it");
        assert_eq!(refusals.note(Kind::Copied, "a", "two of it", now), None);
        let later = refusals.untold(now + REPEAT_AFTER, false);
        let counted: Vec<_> = later.iter().map(|(kind, peer, _, times)| (*kind, peer.as_str(), *times)).collect();
        assert_eq!(counted, [(Kind::Copied, "a", 1), (Kind::Refuse, OTHERS, REMEMBERED_MAX as u64)]);
    }
}

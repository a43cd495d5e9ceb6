//! Says once what a stranger who dials again and again would have said a thousand times, and counts the rest.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The same of the same peer is said again after so long.
const REPEAT_AFTER: Duration = Duration::from_secs(60);
/// Lines remembered; when there are more, the rest is counted together until some are old.
const REMEMBERED_MAX: usize = 256;
/// Whose refusals those are.
const OTHERS: &str = "(others)";

/// What was said, and when.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    said: BTreeMap<(String, String), Said>,
    /// Refusals of which nothing was remembered, and since when.
    others: Option<(Instant, u64)>,
}

#[derive(Debug)]
struct Said {
    at: Instant,
    /// How often it happened since.
    again: u64,
}

impl Refusals {
    /// It happened again. When it is to be said now: how often it has happened since it was said last, this time among
    /// them.
    pub(crate) fn note(&mut self, peer: &str, reason: &str, now: Instant) -> Option<u64> {
        let line = (peer.to_owned(), reason.to_owned());
        if let Some(said) = self.said.get_mut(&line) {
            said.again += 1;
            let due = now.saturating_duration_since(said.at) >= REPEAT_AFTER;
            return due.then(|| std::mem::replace(said, Said { at: now, again: 0 }).again);
        }
        if self.said.len() >= REMEMBERED_MAX {
            self.others.get_or_insert((now, 0)).1 += 1;
            return None;
        }
        self.said.insert(line, Said { at: now, again: 0 });
        Some(1)
    }

    /// Forgets what is old. What of it happened more often than was said: who, why, and how often.
    pub(crate) fn untold(&mut self, now: Instant) -> Vec<(String, String, u64)> {
        let is_old = |at: Instant| now.saturating_duration_since(at) >= REPEAT_AFTER;
        let mut untold = Vec::new();
        self.said.retain(|(peer, reason), said| {
            let old = is_old(said.at);
            if old && said.again > 0 {
                untold.push((peer.clone(), reason.clone(), said.again));
            }
            !old
        });
        if let Some((_, count)) = self.others.take_if(|(at, _)| is_old(*at)) {
            untold.push((OTHERS.to_owned(), "too many at once to tell of each".to_owned(), count));
        }
        untold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_said_once_a_minute_and_memory_is_bounded() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        assert_eq!(refusals.note("a", "wrong key", now), Some(1));
        assert_eq!(refusals.note("a", "wrong key", now + Duration::from_secs(59)), None);
        assert_eq!((refusals.note("a", "full", now), refusals.note("b", "wrong key", now)), (Some(1), Some(1)));
        assert_eq!(refusals.note("a", "wrong key", now + Duration::from_secs(60)), Some(2));
        let said = (0..1000).filter(|id| refusals.note(&id.to_string(), "wrong key", now).is_some()).count();
        assert!(said < REMEMBERED_MAX);
    }

    #[test]
    fn nothing_is_left_uncounted() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        let told: u64 = (0..3000).filter_map(|i| refusals.note(&(i % 300).to_string(), "wrong key", now)).sum();
        assert_eq!(refusals.untold(now).len(), 0, "not yet");
        let later: u64 = refusals.untold(now + REPEAT_AFTER).iter().map(|(.., times)| times).sum();
        assert_eq!((told, told + later), (REMEMBERED_MAX as u64, 3000));
        assert!(refusals.said.is_empty() && refusals.untold(now + 2 * REPEAT_AFTER).is_empty());
    }
}

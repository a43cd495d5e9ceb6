//! Says once what a stranger who dials again and again would have said a thousand times.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The same of the same peer is said again after so long.
const REPEAT_AFTER: Duration = Duration::from_secs(60);
/// Lines remembered; when there are more, the rest is not said until some are old.
const REMEMBERED_MAX: usize = 256;

/// What was said, and when.
#[derive(Debug, Default)]
pub(crate) struct Refusals(BTreeMap<(String, String), Instant>);

impl Refusals {
    /// Whether this is to be said now.
    pub(crate) fn is_news(&mut self, peer: &str, reason: &str, now: Instant) -> bool {
        self.0.retain(|_, &mut said| now.saturating_duration_since(said) < REPEAT_AFTER);
        let line = (peer.to_owned(), reason.to_owned());
        if self.0.contains_key(&line) || self.0.len() >= REMEMBERED_MAX {
            return false;
        }
        self.0.insert(line, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_said_once_a_minute_and_memory_is_bounded() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        assert!(refusals.is_news("a", "wrong key", now));
        assert!(!refusals.is_news("a", "wrong key", now + Duration::from_secs(59)));
        assert!(refusals.is_news("a", "full", now) && refusals.is_news("b", "wrong key", now));
        assert!(refusals.is_news("a", "wrong key", now + Duration::from_secs(60)));
        let said = (0..1000).filter(|id| refusals.is_news(&id.to_string(), "wrong key", now)).count();
        assert!(said < REMEMBERED_MAX);
    }
}

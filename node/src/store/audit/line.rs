//! One record as a line of JSON, and its place in the chain.
//!
//! The line is hashed as it stands, not as it is understood, so there is no second form of a record that would pass.

use std::time::{SystemTime, UNIX_EPOCH};

use protocol::trust::audit::Act;
use serde_json::{Map, Value};

use crate::text::{TEXT_CHARS_MAX, escape};

/// Longest line, bytes: the fields of a record are few, and their texts are cut.
pub const LINE_BYTES_MAX: usize = 16 << 10;
/// `previous` of the first record ever.
pub(super) const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

const CONTEXT: &str = "starling 1 audit line";
const HASH_DIGITS: usize = 64;
const HASH_KEY: &[u8] = b",\"hash\":\"";
const LINE_END: &[u8] = b"\"}";

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $name:literal $about:literal)*) => {
        /// What a record tells of.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind {
            $(#[doc = $about] $kind,)*
        }

        impl Kind {
            /// All of them, their names, and what they tell.
            pub const ALL: &[(Self, &str, &str)] = &[$((Self::$kind, $name, $about)),*];
        }
    };
}

kinds! {
    File "file" "a file of the log begins"
    Start "start" "the peer has started: who, which run, which life"
    Stop "stop" "the peer has stopped, and why"
    Admit "admit" "a link was admitted"
    Refuse "refuse" "a link was refused, by us or by them"
    Copied "copied" "an identity is used by two processes at once"
    Closed "closed" "an admitted link is over"
    Accept "accept" "deltas of an origin went into the base, gathered over some seconds"
    Reject "reject" "a delta was refused"
    Hold "hold" "an origin is suspected: its deltas wait"
    Release "release" "no majority in time: what waited goes in"
    Vote "vote" "we voted against an origin"
    Exclude "exclude" "the swarm leaves out an origin"
    Retract "retract" "deltas of an excluded origin were taken out of the base"
    Equivocation "equivocation" "an origin said two deltas under one number"
    Snapshot "snapshot" "a snapshot was taken, served, or given up"
    Checkpoint "checkpoint" "a checkpoint was written, or could not be"
    Ban "ban" "a peer that broke the rules gets no link for a while"
    Unban "unban" "that while is over"
    Pair "pair" "a pairing code was shown, typed wrongly, or good for the job file"
    Control "control" "somebody asked the running peer for something through its dashboard"
    Gap "gap" "records are missing here: the queue or the disk was full"
    Mended "mended" "half a line at the end was cut off: the peer was killed while it wrote"
}

impl Kind {
    /// Name in the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, name, _)| name)
    }
}

impl From<Act> for Kind {
    fn from(act: Act) -> Self {
        match act {
            Act::Accept => Self::Accept,
            Act::Reject => Self::Reject,
            Act::Hold => Self::Hold,
            Act::Release => Self::Release,
            Act::Vote => Self::Vote,
            Act::Exclude => Self::Exclude,
            Act::Retract => Self::Retract,
            Act::Equivocation => Self::Equivocation,
        }
    }
}

/// What a record says besides its place in the chain.
pub type ParsedFields = Map<String, Value>;

/// The line of a record, line end included, and its hash. Texts are cut and made harmless: some are a stranger's.
pub(super) fn encode(seq: u64, at: SystemTime, kind: Kind, fields: &Value, previous: &str) -> (String, String) {
    let mut line =
        format!("{{\"seq\":{seq},\"time\":\"{}\",\"kind\":\"{}\",\"previous\":\"{previous}\"", clock(at), kind.name());
    for (key, value) in fields.as_object().into_iter().flatten() {
        debug_assert!(!["seq", "time", "kind", "previous", "hash"].contains(&key.as_str()), "{key} has its place");
        let value = match value {
            Value::String(text) => Value::String(escape(text, TEXT_CHARS_MAX)),
            other => other.clone(),
        };
        line.push_str(&format!(",{}:{value}", Value::String(key.clone())));
    }
    let hash = digest(line.as_bytes());
    line.push_str(&format!(",\"hash\":\"{hash}\"}}\n"));
    debug_assert!(line.len() <= LINE_BYTES_MAX, "records are short");
    (line, hash)
}

fn digest(head: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(head);
    hasher.finalize().to_hex().to_string()
}

/// A line that was read.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// 0, 1, 2, ...
    pub seq: u64,
    /// UTC; sorts as text.
    pub time: String,
    /// Name of a [`Kind`].
    pub kind: String,
    /// Hash of the record before.
    pub previous: String,
    /// Its own hash, as it says.
    pub hash: String,
    /// Whether that is so.
    pub sound: bool,
    /// The rest.
    pub fields: ParsedFields,
}

/// Why a line is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Longer than any record.
    #[error("is longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// Another form.
    #[error("is no record")]
    Form,
}

/// Reads a line without its line end.
///
/// # Errors
/// [`Flaw`]; a record whose hash is wrong is read, and is not `sound`.
pub fn parse(line: &[u8]) -> Result<Parsed, Flaw> {
    if line.len() > LINE_BYTES_MAX {
        return Err(Flaw::TooLong);
    }
    let rest = line.strip_suffix(LINE_END).ok_or(Flaw::Form)?;
    let (rest, hash) = rest.split_at_checked(rest.len().saturating_sub(HASH_DIGITS)).ok_or(Flaw::Form)?;
    let head = rest.strip_suffix(HASH_KEY).ok_or(Flaw::Form)?;
    let hash = std::str::from_utf8(hash).map_err(|_| Flaw::Form)?.to_owned();
    let mut fields: ParsedFields = serde_json::from_slice(line).map_err(|_| Flaw::Form)?;
    fields.remove("hash");
    let mut text = |key| match fields.remove(key) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(Flaw::Form),
    };
    let (time, kind, previous) = (text("time")?, text("kind")?, text("previous")?);
    let seq = fields.remove("seq").and_then(|seq| seq.as_u64()).ok_or(Flaw::Form)?;
    Ok(Parsed { seq, time, kind, previous, sound: digest(head) == hash, hash, fields })
}

/// A time in UTC to the millisecond, as `2026-11-24T16:44:18.123Z`: later is larger, as text too.
#[must_use]
pub fn clock(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Howard Hinnant, chrono-compatible low-level date algorithms: days since March 1 of year 0, in eras of 400 years.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", since.subsec_millis())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let fields = json!({ "peer": "ab", "count": 7, "who": "seq" });
        let (line, hash) = encode(3, UNIX_EPOCH, Kind::Admit, &fields, GENESIS);
        let parsed = parse(line.trim_end().as_bytes()).unwrap();
        assert!(parsed.sound && line.ends_with('\n'));
        assert_eq!((parsed.seq, parsed.kind.as_str(), parsed.previous.as_str()), (3, "admit", GENESIS));
        assert_eq!((parsed.hash, Value::Object(parsed.fields)), (hash, fields));
    }

    #[test]
    fn hostile_texts_are_one_short_line_without_control_characters() {
        for text in ["\u{1b}[31mred\n\"}".to_owned(), "\u{9b}".repeat(10_000), "\"\\".repeat(5_000)] {
            let (line, _) = encode(0, UNIX_EPOCH, Kind::Refuse, &json!({ "reason": text }), GENESIS);
            assert!(line.len() <= LINE_BYTES_MAX, "{} bytes", line.len());
            assert_eq!(line.chars().filter(|c| c.is_control()).count(), 1, "the line end: {line}");
            assert!(parse(line.trim_end().as_bytes()).unwrap().sound);
        }
    }

    #[test]
    fn days_are_counted_as_the_calendar_counts_them() {
        let at = |seconds: u64| clock(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.000Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00.000Z", "no leap day in 2100");
        assert_eq!(clock(UNIX_EPOCH + Duration::from_millis(1_795_538_658_123)), "2026-11-24T16:44:18.123Z");
    }

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = Kind::ALL.iter().map(|(kind, ..)| kind.name()).collect();
        assert_eq!(names.len(), Kind::ALL.len());
        assert!(!names.contains(""));
    }
}

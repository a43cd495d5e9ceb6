//! Values with a form of their own.

use std::str::FromStr;
use std::time::Duration;

/// Latest time of a fault, seconds: a day.
const FAULT_SECONDS_MAX: f64 = 86_400.0;

/// `40`, `40s`, `5m`, `2h`: a time in a run of processes.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let unit = |letter: char| match letter {
        's' => Some(1.0),
        'm' => Some(60.0),
        'h' => Some(3600.0),
        _ => None,
    };
    let (digits, unit) = match text.chars().last().and_then(unit) {
        Some(unit) => (&text[..text.len() - 1], unit),
        None => (text, 1.0),
    };
    let number: f64 = digits.parse().map_err(|_| format!("{text:?} is no time: seconds, as 40, 40s, 5m or 2h"))?;
    let seconds = number * unit;
    if !(0.0..=FAULT_SECONDS_MAX).contains(&seconds) {
        return Err(format!("{seconds} s: from 0 to {FAULT_SECONDS_MAX}"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// As [`seconds`], and long enough to train in.
pub(super) fn training_time(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        none if none.is_zero() => Err("nothing is trained in no time: 1s at least, as 40s, 5m or 2h".into()),
        time => Ok(time),
    }
}

/// `A..B`: from A to below B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeedRange {
    /// First seed.
    pub first: u64,
    /// The seed after the last one.
    pub end: u64,
}

impl FromStr for SeedRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once("..").and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        match parts {
            Some((first, end)) if first < end => Ok(Self { first, end }),
            _ => Err("A..B with A below B, as 0..5 for five seeds".into()),
        }
    }
}

/// `I` or `I/N`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    pub index: u32,
    /// Number of shards, when it was said.
    pub of: Option<u32>,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number =
            |digits: &str| digits.parse::<u32>().map_err(|_| format!("{digits:?} is no number: I or I/N, as 0/4"));
        let (index, of) = match text.split_once('/') {
            Some((index, of)) => (number(index)?, Some(number(of)?)),
            None => (number(text)?, None),
        };
        match of {
            Some(0) => Err("of no shards none can be trained on: I/N with N of 1 at least, as 0/4".into()),
            Some(of) if index >= of => Err(format!("shards are numbered from 0: the last of {of} is {}", of - 1)),
            _ => Ok(Self { index, of }),
        }
    }
}

/// `PEER@SECONDS`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeerAt {
    /// From 0.
    pub peer: u32,
    /// Since the start.
    pub at: Duration,
}

impl FromStr for PeerAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (peer, at) = text.split_once('@').ok_or("PEER@SECONDS, as 2@5")?;
        let peer = peer.parse().map_err(|_| format!("{peer:?} is no number of a peer"))?;
        Ok(Self { peer, at: seconds(at)? })
    }
}

/// `64,64` or `none`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Widths(pub Vec<u32>);

impl FromStr for Widths {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(Vec::new()));
        }
        let width =
            |part: &str| part.trim().parse().map_err(|_| format!("{part:?} is no width: widths as 64,64, or none"));
        text.split(',').map(width).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, millis) in [("40", 40_000), ("1.5s", 1500), ("5m", 300_000), ("2h", 7_200_000), ("0", 0)] {
            assert_eq!(seconds(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "-1", "NaN", "1d", "25h", "1 m s", "ü"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}

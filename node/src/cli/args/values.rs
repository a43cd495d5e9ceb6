//! Values with a form of their own.

use std::str::FromStr;
use std::time::Duration;

/// Latest time of a fault, seconds: a day.
const FAULT_SECONDS_MAX: f64 = 86_400.0;

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
            Some(of) if index >= of => {
                Err(format!("shards are numbered from 0: the last of {of} is {}", of.saturating_sub(1)))
            }
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
        let (peer, seconds) = text.split_once('@').ok_or("PEER@SECONDS, as 2@5")?;
        let peer = peer.parse().map_err(|_| format!("{peer:?} is no number of a peer"))?;
        let seconds: f64 = seconds.parse().map_err(|_| format!("{seconds:?} is no number of seconds"))?;
        if !(0.0..=FAULT_SECONDS_MAX).contains(&seconds) {
            return Err(format!("{seconds} s: from 0 to {FAULT_SECONDS_MAX}"));
        }
        Ok(Self { peer, at: Duration::from_secs_f64(seconds) })
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

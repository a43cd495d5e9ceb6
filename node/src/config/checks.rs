//! What a value of a job must be, whatever section it stands in: the key, the value, the limit, and the flag that says the same.

use std::fmt;

use protocol::config::Mode;
use protocol::id::{PeerId, parse_hex};
use protocol::trust::admission::SwarmKey;
use shaders::data::split::{self, SplitError, SplitRule};

use crate::error::{Error, Kind};

/// Longest name, characters.
const NAME_CHARS_MAX: usize = 64;
/// Largest seed: TOML integers are signed, and one beyond could not be written into a job file.
pub const SEED_MAX: u64 = i64::MAX as u64;
/// Most peers on an allow list.
const ALLOW_MAX: usize = 4096;

/// The flag that says the same as a key, for messages.
fn flag(key: &str) -> Option<&'static str> {
    Some(match key {
        "model.hidden" => "--model",
        "data.split" => "--split",
        "data.shards" => "--peers",
        "data.batch" => "--batch",
        "optimizer.kind" => "--optimizer",
        "optimizer.learning_rate" => "--lr",
        "gossip.mode" => "--mode",
        "gossip.codec" => "--codec",
        "gossip.gain" => "--gain",
        "gossip.steps" => "--steps",
        "training.epochs" => "--epochs",
        "training.seed" => "--seed",
        _ => return None,
    })
}

pub(super) fn invalid(key: &str, value: &str, why: &str) -> Error {
    let named = flag(key).map_or_else(|| key.to_owned(), |flag| format!("{key} ({flag})"));
    Error::new(Kind::Input, format!("{named} = {value}: {why}"))
}

pub(super) fn within(key: &str, value: u32, low: u32, high: u32) -> Result<u32, Error> {
    if (low..=high).contains(&value) {
        return Ok(value);
    }
    Err(invalid(key, &value.to_string(), &format!("must be from {low} to {high}")))
}

pub(super) fn positive(key: &str, value: f32, high: f32) -> Result<f32, Error> {
    if value > 0.0 && value <= high {
        return Ok(value);
    }
    Err(invalid(key, &value.to_string(), &format!("must be above 0 and at most {high}")))
}

/// A name of a swarm, checked.
///
/// # Errors
/// One that is empty, too long, or has other characters.
pub fn name(name: String) -> Result<String, Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || " ._-".contains(c);
    if name.chars().all(plain) && (1..=NAME_CHARS_MAX).contains(&name.len()) {
        return Ok(name);
    }
    Err(invalid("swarm.name", &format!("{name:?}"), "no name for a swarm")
        .hint(format!("1 to {NAME_CHARS_MAX} of A-Z a-z 0-9 space . _ -")))
}

pub(super) fn key(text: &str) -> Result<SwarmKey, Error> {
    // The key itself is not repeated: messages end up in logs.
    let refuse =
        |why: &str| invalid("swarm.key", "(hidden)", why).hint("`starling job init` makes a job with a fresh key");
    let key = parse_hex(text).ok_or_else(|| refuse("must be 64 hex digits"))?;
    if key == SwarmKey::default() {
        return Err(refuse("all zero is the key of open jobs: leave the line out to say that"));
    }
    Ok(key)
}

pub(super) fn split(text: &str) -> Result<SplitRule, Error> {
    text.parse().map_err(|error: SplitError| {
        let forms: Vec<String> = split::ALL.iter().map(|(form, about)| format!("{form}: {about}")).collect();
        invalid("data.split", &format!("{text:?}"), &error.to_string()).hint(forms.join("; "))
    })
}

/// A split that is dealt among all who live wants a peer to know all of them.
pub(super) fn dealt(split: SplitRule, mode: Mode, groups: u32) -> Result<SplitRule, Error> {
    if split != SplitRule::Rendezvous || (mode != Mode::Pairwise && groups <= 1) {
        return Ok(split);
    }
    let why = "wants every peer to hear every other one, and in the mode pairwise or in groups it hears some of them";
    Err(invalid("data.split", "\"rendezvous\"", why)
        .hint("data.split = \"iid\", or gossip.mode = \"incremental\" without gossip.groups"))
}

/// The allow list in order, so that two files that list the same peers are one job.
pub(super) fn allow(key: &str, mut peers: Vec<PeerId>) -> Result<Vec<PeerId>, Error> {
    if peers.len() > ALLOW_MAX {
        return Err(invalid(key, &format!("{} peers", peers.len()), &format!("at most {ALLOW_MAX}")));
    }
    peers.sort_unstable();
    peers.dedup();
    Ok(peers)
}

pub(super) fn seed(seed: u64) -> Result<u64, Error> {
    if seed <= SEED_MAX {
        return Ok(seed);
    }
    Err(invalid("training.seed", &seed.to_string(), &format!("must be at most {SEED_MAX}")))
}

/// `[64, 32]` as `64,32`.
pub(super) fn list(widths: &[u32]) -> String {
    widths.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

/// A float by its bits: `0.1` and `1e-1` are one number, and no two numbers are one text.
pub(super) struct Bits(pub(super) f32);

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:08x}", self.0, self.0.to_bits())
    }
}

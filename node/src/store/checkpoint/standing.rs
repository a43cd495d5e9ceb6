//! Where a peer stands, as text in the header of `state.safetensors`.

use protocol::Standing;
use protocol::id::{Hash, Origin, PeerId, parse_hex};
use protocol::log::Head;
use protocol::wire::{ORIGINS_MAX, SEQ_MAX};
use serde::{Deserialize, Serialize};

use super::{Course, Trend};

/// Most steps, and epochs, that a peer can have taken: counters have room for as many again.
const STEPS_MAX: u64 = u64::MAX / 4;
/// See [`STEPS_MAX`].
const EPOCHS_MAX: u32 = u32::MAX / 4;

/// [`Standing`], with hashes in hex.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Text {
    run: String,
    origin: Life,
    heads: Vec<Chain>,
    steps: u64,
    epochs: u32,
    samples: u64,
    since_delta: u32,
    unsaid_steps: u32,
    unsaid_samples: u64,
    samples_per_step: u64,
    #[serde(default)]
    branch: u64,
    #[serde(default)]
    lowest_loss: Option<f32>,
    #[serde(default)]
    epochs_since: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct Life {
    peer: PeerId,
    incarnation: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Chain {
    origin: Life,
    seq: u64,
    hash: String,
    samples: u64,
}

fn life(origin: Origin) -> Life {
    Life { peer: origin.peer, incarnation: origin.incarnation }
}

fn origin(life: &Life) -> Origin {
    Origin { peer: life.peer, incarnation: life.incarnation }
}

/// As text, of that run.
pub(super) fn to_text(standing: &Standing, course: Course, run: &str) -> Result<String, String> {
    let chain = |head: &Head| Chain {
        origin: life(head.origin),
        seq: head.seq,
        hash: head.hash.to_string(),
        samples: head.samples,
    };
    let text = Text {
        run: run.to_owned(),
        origin: life(standing.origin),
        heads: standing.heads.iter().map(chain).collect(),
        steps: standing.steps,
        epochs: standing.epochs,
        samples: standing.samples,
        since_delta: standing.since_delta,
        unsaid_steps: standing.unsaid_steps,
        unsaid_samples: standing.unsaid_samples,
        samples_per_step: standing.samples_per_step,
        branch: course.branch,
        lowest_loss: course.trend.best,
        epochs_since: course.trend.since,
    };
    serde_json::to_string(&text).map_err(|error| error.to_string())
}

/// From text; the course and the run beside it.
pub(super) fn parse(text: &str) -> Result<(Standing, Course, String), String> {
    let text: Text = serde_json::from_str(text).map_err(|error| format!("where the peer stands: {error}"))?;
    let head = |chain: &Chain| {
        let hash = parse_hex(&chain.hash).ok_or("a hash is 64 hex digits")?;
        Ok(Head { origin: origin(&chain.origin), seq: chain.seq, hash: Hash(hash), samples: chain.samples })
    };
    let counts = [text.steps, text.samples, text.unsaid_samples, text.samples_per_step];
    if counts.iter().any(|count| *count > STEPS_MAX) || text.epochs > EPOCHS_MAX || text.heads.len() > ORIGINS_MAX {
        return Err("where the peer stands: a count that no peer comes to".to_owned());
    }
    if text.heads.iter().any(|chain| !(1..=SEQ_MAX).contains(&chain.seq)) {
        return Err(format!("where the peer stands: deltas are numbered from 1 to {SEQ_MAX}"));
    }
    let heads = text.heads.iter().map(head).collect::<Result<_, String>>()?;
    let standing = Standing {
        origin: origin(&text.origin),
        heads,
        steps: text.steps,
        epochs: text.epochs,
        samples: text.samples,
        since_delta: text.since_delta,
        unsaid_steps: text.unsaid_steps,
        unsaid_samples: text.unsaid_samples,
        samples_per_step: text.samples_per_step,
    };
    let trend = Trend { best: text.lowest_loss.filter(|loss| loss.is_finite()), since: text.epochs_since };
    Ok((standing, Course { branch: text.branch, trend }, text.run))
}

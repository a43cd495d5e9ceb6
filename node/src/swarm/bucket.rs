//! How much one neighbour may say: token buckets over frames, control frames and bytes.
//!
//! Credit (see [`super::frame`]) bounds what is on its way, and slows whoever says more than is taken. It does not bound frames
//! that are small and cheap to say: of those a window holds a hundred thousand, and each costs the receiver a decision. So
//! what comes in is counted, and who is over the limits floods.
//!
//! An honest peer is never over them, since its own writer keeps to half of them ([`Pace`]), of control frames to a fifth, and what was
//! held up on the way arrives at once only as far as the window and the patience of a link go: 4 MiB of deltas, of which the smallest
//! has 220 bytes, are less than [`FRAMES_BURST`]. What one peer has left is counted over all its links. A snapshot is frames of 256 KiB, so its frames are few, and its bytes are bounded by the credit
//! long before they are here.

use std::time::{Duration, Instant};

use protocol::wire::Message;

/// Frames a second of one neighbour. Measured: peers that train a tiny model say 830 deltas a second.
pub(crate) const FRAMES_PER_SECOND_MAX: u32 = 20_000;
/// Deltas that come together count for less than as many frames: one signature is checked for all of them.
const DELTAS_A_FRAME: usize = 8;
/// Frames at once, beyond that.
pub(crate) const FRAMES_BURST: u32 = 40_000;
/// Frames a second that are neither deltas, nor parts of a snapshot or exchange, nor questions for these: heartbeats,
/// digests, votes, lists of peers. An honest peer says a few.
pub(crate) const CONTROL_FRAMES_PER_SECOND_MAX: u32 = 1000;
/// Such frames at once: a writer's queue twice.
pub(crate) const CONTROL_FRAMES_BURST: u32 = 8192;
/// Our own part of that: what was held up until the link would have been given up must still be no flood.
const CONTROL_MARGIN: f64 = 5.0;
/// Bytes a second: more than a core encrypts.
pub(crate) const BYTES_PER_SECOND_MAX: u64 = 2 << 30;
/// Windows of bytes at once, beyond that.
pub(crate) const BYTES_BURST_WINDOWS: usize = 4;

/// What a message counts for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) frames: usize,
    /// See [`CONTROL_FRAMES_PER_SECOND_MAX`].
    pub(crate) is_control: bool,
}

impl Counts {
    pub(crate) fn of(message: &Message) -> Self {
        let frames = if let Message::Deltas(chain) = message { 1 + chain.len() / DELTAS_A_FRAME } else { 1 };
        let is_bulk = message.is_of_pairs()
            || matches!(
                message,
                Message::Delta(_)
                    | Message::Deltas(_)
                    | Message::Offer(_)
                    | Message::Want(_)
                    | Message::SnapshotWant { .. }
                    | Message::SnapshotPart { .. }
            );
        Self { frames, is_control: !is_bulk }
    }
}

/// Fills evenly, up to its burst.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    tokens: f64,
    per_second: f64,
    burst: f64,
    at: Instant,
}

impl Bucket {
    pub(crate) fn new(per_second: f64, burst: f64, now: Instant) -> Self {
        Self { tokens: burst, per_second, burst, at: now }
    }

    /// Takes `count` tokens, or says how long it takes until they are there. A bucket that is full gives whatever is asked
    /// for, once.
    pub(crate) fn take(&mut self, count: f64, now: Instant) -> Result<(), Duration> {
        (self.tokens, self.at) = (self.tokens_at(now), now);
        self.holds(count.min(self.burst), now)?;
        self.tokens -= count;
        Ok(())
    }

    /// Whether so many tokens are there, or how long it takes until they are.
    fn holds(&self, count: f64, now: Instant) -> Result<(), Duration> {
        let missing = count - self.tokens_at(now);
        if missing > 0.0 { Err(Duration::from_secs_f64(missing / self.per_second)) } else { Ok(()) }
    }

    fn tokens_at(&self, now: Instant) -> f64 {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        (self.tokens + since * self.per_second).min(self.burst)
    }
}

/// Our own frames on a link: half of what the other side takes.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    frames: Bucket,
    control: Bucket,
    bytes: Bucket,
}

impl Pace {
    pub(crate) fn new(window: usize, now: Instant) -> Self {
        let burst = (BYTES_BURST_WINDOWS * window / 2) as f64;
        Self {
            frames: Bucket::new(f64::from(FRAMES_PER_SECOND_MAX) / 2.0, f64::from(CONTROL_FRAMES_BURST) / 2.0, now),
            control: Bucket::new(
                f64::from(CONTROL_FRAMES_PER_SECOND_MAX) / CONTROL_MARGIN,
                f64::from(CONTROL_FRAMES_BURST) / CONTROL_MARGIN,
                now,
            ),
            bytes: Bucket::new(BYTES_PER_SECOND_MAX as f64 / 2.0, burst, now),
        }
    }

    /// Whether a frame that nothing is to wait for may be said now: half of the control frames at once are kept for the others. Otherwise how long
    /// until it may.
    pub(crate) fn has_room_to_spare(&self, now: Instant) -> Result<(), Duration> {
        self.control.holds(self.control.burst / 2.0, now)
    }

    /// A message of so many bytes may be said now; otherwise how long it is to wait.
    pub(crate) fn take(&mut self, bytes: usize, counts: Counts, now: Instant) -> Result<(), Duration> {
        self.bytes.take(bytes as f64, now)?;
        // What was taken for a frame that waits is taken again: a little slower, never faster.
        if counts.is_control {
            self.control.take(1.0, now)?;
        }
        self.frames.take(counts.frames as f64, now)
    }
}

/// What a neighbour has said too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Flood {
    #[error("it floods: more than {FRAMES_PER_SECOND_MAX} frames a second")]
    Frames,
    #[error("it floods: more than {CONTROL_FRAMES_PER_SECOND_MAX} control frames a second")]
    Control,
    #[error("it floods: more than {BYTES_PER_SECOND_MAX} bytes a second")]
    Bytes,
}

/// What one neighbour has left.
#[derive(Clone, Debug)]
pub(crate) struct Allowance {
    frames: Bucket,
    control: Bucket,
    bytes: Bucket,
}

impl Allowance {
    pub(crate) fn new(window: usize, now: Instant) -> Self {
        Self {
            frames: Bucket::new(FRAMES_PER_SECOND_MAX.into(), FRAMES_BURST.into(), now),
            control: Bucket::new(CONTROL_FRAMES_PER_SECOND_MAX.into(), CONTROL_FRAMES_BURST.into(), now),
            bytes: Bucket::new(BYTES_PER_SECOND_MAX as f64, (BYTES_BURST_WINDOWS * window) as f64, now),
        }
    }

    /// A frame has come, as credit or data.
    pub(crate) fn frame(&mut self, bytes: usize, now: Instant) -> Result<(), Flood> {
        self.frames.take(1.0, now).map_err(|_| Flood::Frames)?;
        self.bytes.take(bytes as f64, now).map_err(|_| Flood::Bytes)
    }

    /// And this was in it.
    pub(crate) fn message(&mut self, message: &Message, now: Instant) -> Result<(), Flood> {
        let Counts { frames, is_control } = Counts::of(message);
        self.frames.take((frames - 1) as f64, now).map_err(|_| Flood::Frames)?;
        if !is_control {
            return Ok(());
        }
        self.control.take(1.0, now).map_err(|_| Flood::Control)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::frame::window_bytes;
    use crate::swarm::link::STALL_MAX;
    use protocol::wire::SNAPSHOT_PART_BYTES;

    #[test]
    fn a_bucket_fills_evenly_and_not_beyond_its_burst() {
        let now = Instant::now();
        let mut bucket = Bucket::new(10.0, 20.0, now);
        assert_eq!((0..30).filter(|_| bucket.take(1.0, now).is_ok()).count(), 20);
        assert!(bucket.take(1.0, now).is_err_and(|wait| wait <= Duration::from_millis(100)));
        let later = now + Duration::from_secs(1);
        assert_eq!((0..30).filter(|_| bucket.take(1.0, later).is_ok()).count(), 10);
        let much_later = now + Duration::from_secs(100);
        assert_eq!((0..30).filter(|_| bucket.take(1.0, much_later).is_ok()).count(), 20);
    }

    /// What is said at full pace, and held up on the way for as long as the window allows, is no flood.
    #[test]
    fn whoever_keeps_to_the_pace_is_never_over_the_limits() {
        let start = Instant::now();
        let part = Message::SnapshotPart { base_hash: protocol::id::Hash::ZERO, offset: 0, bytes: Vec::new().into() };
        for (bytes, message) in [
            (220, &part),
            (10_000, &part),
            (SNAPSHOT_PART_BYTES, &part),
            (60, &Message::SnapshotAsk),
            (9_000, &Message::Bye),
        ] {
            let counts = Counts::of(message);
            let window = window_bytes(1 << 20);
            let (mut pace, mut allowance) = (Pace::new(window, start), Allowance::new(window, start));
            let (mut now, mut gulp, mut held) = (start, start, 0);
            for _ in 0..200_000 {
                // The clock of the sender goes by its pace alone; what is said arrives in gulps of a window.
                while let Err(wait) = pace.take(bytes, counts, now) {
                    now += wait.max(Duration::from_micros(1));
                }
                held += 1;
                if held * bytes >= window || now - gulp >= STALL_MAX {
                    gulp = now;
                    for _ in 0..held {
                        assert_eq!(allowance.frame(bytes, now), Ok(()), "{bytes} bytes");
                        assert_eq!(allowance.message(message, now), Ok(()), "{bytes} bytes");
                    }
                    held = 0;
                }
            }
        }
    }

    #[test]
    fn a_hundred_thousand_frames_a_second_are_too_many_within_a_second() {
        let start = Instant::now();
        let window = window_bytes(1 << 20);
        let mut allowance = Allowance::new(window, start);
        let at = |i: u32| start + Duration::from_micros(10) * i;
        let frames = (0..200_000).find(|&i| allowance.frame(60, at(i)).is_err());
        assert!(frames.is_some_and(|i| i < 100_000), "{frames:?}");
        let mut allowance = Allowance::new(window, start);
        let control = (0..200_000).find(|&i| allowance.message(&Message::SnapshotAsk, at(i)).is_err());
        assert!(control.is_some_and(|i| i < 10_000), "{control:?}");
        let want = Message::SnapshotWant { base_hash: protocol::id::Hash::ZERO, offset: 0 };
        assert_eq!(allowance.message(&want, at(200_000)), Ok(()), "who takes a snapshot asks often");
    }
}

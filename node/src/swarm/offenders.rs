//! Who has broken the rules, and for how long it gets no link.
//!
//! An offence closes the link and is followed by a pause that doubles. The third within [`OFFENCE_MEMORY`], or a flood, is a
//! ban, which doubles with each one. All of it ends by itself, and with the process: it is about a peer's behaviour and not
//! about its deltas (what becomes of those is decided by votes, see `protocol::trust`).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use protocol::id::PeerId;
use protocol::wire::Refusal;

/// Pause after the first offence; the second one doubles it.
const PAUSE_MIN: Duration = Duration::from_secs(5);
/// Offences that are a ban.
pub(crate) const STRIKES_MAX: u32 = 3;
/// An offence counts for so long.
const OFFENCE_MEMORY: Duration = Duration::from_secs(600);
/// The first ban.
const BAN_MIN: Duration = Duration::from_secs(60);
/// The longest.
const BAN_MAX: Duration = Duration::from_secs(3600);
/// Bans are remembered for so long after their end.
const BAN_MEMORY: Duration = Duration::from_secs(4 * 3600);
/// Peers remembered. Beyond it whoever has offended longest ago is forgotten, those who are not banned first: to
/// make identities is cheap, and so is this.
const OFFENDERS_MAX: usize = 1024;

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Offenders(BTreeMap<PeerId, Offender>);

#[derive(Debug)]
struct Offender {
    strikes: u32,
    bans: u32,
    last: Instant,
    /// No link before.
    until: Instant,
    /// Whether that is a ban, and not told to be over yet.
    banned: bool,
    /// Whether it has heard of it since.
    told: bool,
}

/// What an offence costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Penalty {
    pub(crate) pause: Duration,
    pub(crate) is_ban: bool,
    /// Who was banned until now, and had to be forgotten for it.
    pub(crate) forgotten: Option<PeerId>,
}

impl Offenders {
    /// The peer has broken a rule, which counts as so many offences.
    pub(crate) fn offend(&mut self, peer: PeerId, strikes: u32, now: Instant) -> Penalty {
        let mut forgotten = None;
        if self.0.len() >= OFFENDERS_MAX && !self.0.contains_key(&peer) {
            let oldest = self.0.iter().min_by_key(|(_, offender)| (offender.banned, offender.last));
            forgotten = oldest.map(|(&peer, offender)| (peer, offender.banned));
            forgotten.and_then(|(oldest, _)| self.0.remove(&oldest));
        }
        let forgotten = forgotten.and_then(|(peer, banned)| banned.then_some(peer));
        let fresh = || Offender { strikes: 0, bans: 0, last: now, until: now, banned: false, told: false };
        let offender = self.0.entry(peer).or_insert_with(fresh);
        if now.saturating_duration_since(offender.last) > OFFENCE_MEMORY {
            offender.strikes = 0;
        }
        offender.strikes = offender.strikes.saturating_add(strikes);
        (offender.last, offender.told) = (now, false);
        let is_ban = offender.strikes >= STRIKES_MAX;
        let pause = if is_ban {
            (offender.strikes, offender.bans) = (0, offender.bans.saturating_add(1));
            offender.banned = true;
            doubled(BAN_MIN, offender.bans - 1)
        } else {
            doubled(PAUSE_MIN, offender.strikes.saturating_sub(1))
        };
        offender.until = offender.until.max(now + pause);
        Penalty { pause, is_ban, forgotten }
    }

    /// How long that peer still gets no link.
    pub(crate) fn remaining(&self, peer: PeerId, now: Instant) -> Option<Duration> {
        let until = self.0.get(&peer)?.until;
        (until > now).then(|| until - now)
    }

    /// Why a link with that peer is refused, the first time it comes back. After that it is not worth a handshake:
    /// [`Self::is_told`].
    pub(crate) fn refusal(&mut self, peer: PeerId, now: Instant) -> Option<Refusal> {
        let seconds = self.remaining(peer, now)?.as_secs() + 1;
        self.0.get_mut(&peer)?.told = true;
        Some(Refusal::Banned(u32::try_from(seconds).unwrap_or(u32::MAX)))
    }

    /// Whether it is out, and knows.
    pub(crate) fn is_told(&self, peer: PeerId, now: Instant) -> bool {
        self.0.get(&peer).is_some_and(|offender| offender.told && offender.until > now)
    }

    /// Peers whose ban is over since this was asked last. What is long ago is forgotten.
    pub(crate) fn released(&mut self, now: Instant) -> Vec<PeerId> {
        let mut released = Vec::new();
        for (&peer, offender) in &mut self.0 {
            if offender.banned && offender.until <= now {
                offender.banned = false;
                released.push(peer);
            }
        }
        self.0.retain(|_, offender| {
            let memory = if offender.bans > 0 { BAN_MEMORY } else { OFFENCE_MEMORY };
            now.saturating_duration_since(offender.until.max(offender.last)) <= memory
        });
        released
    }
}

impl Offenders {
    /// Forgets all offences, bans and pauses. How many peers got no link until now, and which of them for a ban.
    pub(crate) fn pardon(&mut self, now: Instant) -> (usize, Vec<PeerId>) {
        let all = std::mem::take(&mut self.0);
        let out = all.values().filter(|offender| offender.until > now).count();
        (out, all.into_iter().filter(|(_, offender)| offender.banned).map(|(peer, _)| peer).collect())
    }
}

fn doubled(pause: Duration, times: u32) -> Duration {
    pause.saturating_mul(1 << times.min(16)).min(BAN_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: PeerId = PeerId([1; 32]);

    #[test]
    fn pauses_and_bans_grow_and_end() {
        let (mut offenders, mut now) = (Offenders::default(), Instant::now());
        let mut penalties = Vec::new();
        for _ in 0..9 {
            let penalty = offenders.offend(PEER, 1, now);
            penalties.push((penalty.pause.as_secs(), penalty.is_ban));
            assert_eq!(offenders.remaining(PEER, now), Some(penalty.pause));
            now += penalty.pause;
            assert_eq!(offenders.remaining(PEER, now), None, "it ends by itself");
            assert_eq!(offenders.released(now), if penalty.is_ban { vec![PEER] } else { vec![] }, "told once");
            assert!(offenders.released(now).is_empty());
        }
        let expected = [5, 10, 60, 5, 10, 120, 5, 10, 240].map(|seconds| (seconds, seconds >= 60));
        assert_eq!(penalties, expected);
        assert_eq!(
            offenders.offend(PEER, STRIKES_MAX, now).pause,
            Duration::from_secs(480),
            "a flood is a ban at once"
        );
        for _ in 0..40 {
            assert!(offenders.offend(PEER, STRIKES_MAX, now).pause <= BAN_MAX);
        }
    }

    #[test]
    fn old_offences_do_not_count_and_memory_is_bounded() {
        let (mut offenders, mut now) = (Offenders::default(), Instant::now());
        for _ in 0..10 {
            assert!(!offenders.offend(PEER, 1, now).is_ban);
            now += OFFENCE_MEMORY + Duration::from_secs(1);
        }
        for i in 0..3 * OFFENDERS_MAX as u64 {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&i.to_le_bytes());
            offenders.offend(PeerId(id), 3, now + Duration::from_millis(i));
        }
        assert_eq!(offenders.0.len(), OFFENDERS_MAX);
        let newcomer = offenders.offend(PEER, 1, now + Duration::from_secs(10));
        assert!(newcomer.forgotten.is_some(), "somebody's ban is over before its time, and that is told");
        offenders.released(now + BAN_MAX + 2 * BAN_MEMORY);
        assert!(offenders.0.is_empty());
    }

    #[test]
    fn a_pardon_ends_bans_and_pauses_and_what_they_were_for() {
        let (mut offenders, now) = (Offenders::default(), Instant::now());
        let paused = PeerId([2; 32]);
        offenders.offend(PEER, 3, now);
        offenders.offend(paused, 2, now);
        assert_eq!(offenders.pardon(now), (2, vec![PEER]));
        assert_eq!((offenders.remaining(PEER, now), offenders.remaining(paused, now)), (None, None));
        assert!(offenders.released(now + BAN_MIN).is_empty(), "it was told already");
        let again = offenders.offend(paused, 1, now);
        assert_eq!((again.pause, again.is_ban), (PAUSE_MIN, false), "nothing is held against it");
        assert_eq!(offenders.offend(PEER, 3, now).pause, BAN_MIN, "nor does a ban double");
        offenders.pardon(now);
        assert_eq!(offenders.pardon(now), (0, vec![]));
    }

    #[test]
    fn it_is_told_once_and_then_shut_out() {
        let (mut offenders, now) = (Offenders::default(), Instant::now());
        assert_eq!(offenders.refusal(PEER, now), None);
        offenders.offend(PEER, 3, now);
        assert!(!offenders.is_told(PEER, now));
        assert_eq!(offenders.refusal(PEER, now), Some(Refusal::Banned(61)));
        assert!(offenders.is_told(PEER, now) && !offenders.is_told(PEER, now + BAN_MIN));
    }
}

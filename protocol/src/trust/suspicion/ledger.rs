//! What suspicion remembers: per origin a few recent norms, its rate, and a sketch of its recent motion.
//!
//! The motion of an origin is the decaying sum of its contributions `w v`, kept as a count sketch of [`SKETCH`] numbers
//! (Charikar, Chen, Farach-Colton 2002): coordinate i is added with a random sign to a random cell. Inner products of sketches
//! are those of the vectors, give or take 1 / sqrt(SKETCH), so memory does not grow with the model. Cells and signs hang
//! on a seed of the peer's own, so nobody can aim between them.

use std::collections::{BTreeMap, VecDeque};

use super::norm::WEIGHT_SLACK;
use super::{ALL, COMPANY_MIN, Evidence, OUTRAGE, WINDOW};
use crate::codec::Decoded;
use crate::config::Trust;
use crate::fixed::{Weight, to_f32};
use crate::id::{Hash, Origin};
use crate::log::Header;
use crate::time::{Span, Time};
use crate::trust::Reason;

/// Cells of a sketch: the cosine is known within about 0.06.
const SKETCH: usize = 256;
/// Share of an origin's motion that stays after its next delta.
const MOTION_DECAY: f32 = 0.9;
/// Norms remembered for each origin.
const NORMS: usize = 16;
/// An origin counts among the others for so long after its last delta.
const ACTIVE: Span = Span::from_secs(10);
/// An origin of so many deltas is past the growth of its first ones.
const SETTLED: usize = 8;
/// What was usual is remembered for about so long.
const USUAL_MEMORY: Span = Span::from_secs(60);
/// Medians are computed anew after so long, or after as many deltas as there are origins.
const MEDIANS_MAX_AGE: Span = Span::from_millis(100);
/// Other origins from which on directions are compared.
const DIRECTION_COMPANY_MIN: usize = 5;
/// Origins remembered; beyond it those that were silent for longest are forgotten.
const ORIGINS_MAX: usize = 4096;
/// An origin without strikes that was silent for so long is forgotten: what it has spent of its allowance is given back by then, and of a
/// new life of the same peer nothing is remembered either. Most of them are lives that are over, 2.5 KiB each.
const SILENCE_MAX: Span = BURST;
/// And with strikes for so long: whoever waits ten minutes between two lies begins no new life for less.
const STRUCK_SILENCE_MAX: Span = Span(6 * SILENCE_MAX.0);
/// A claim of more steps than the median excuses a longer delta up to this factor: the trigger stretches H no further.
const STEPS_EXCUSE_MAX: f32 = 4.0;
/// What the allowance of [`super::Rate`] holds at most: so much time's worth.
pub(super) const BURST: Span = Span::from_secs(100);
/// And at least so many deltas.
const BURST_MIN: f64 = 512.0;
/// Weight of the last heartbeat in a running rate.
const RATE_SMOOTHING: f64 = 0.2;
/// An origin that was silent for so many times what is usual between two deltas and is far ahead has been cut off, not lying in wait.
const AWAY_DELTAS: f64 = 5.0;
/// And at most for so long.
const AWAY_MAX: Span = Span::from_secs(2);
/// Deltas that are far ahead.
const BACKLOG_MIN: u64 = 8;
/// So many times the usual rate says that a chain was there before we met it.
const BEFORE_RATE: f64 = 2.0;
/// And for so many deltas at most: nobody is excused for ever by being fast.
const BEFORE_MAX: u64 = 64;

#[derive(Debug)]
struct Seen {
    last: Time,
    /// (||v||, ||w v||), latest last.
    norms: VecDeque<(f32, f32)>,
    steps: u32,
    since_tick: u64,
    rate: f64,
    /// Deltas said of late: what the allowance of [`super::Rate`] has not given back yet.
    spent: f64,
    spent_at: Time,
    motion: Vec<f32>,
    /// `motion` at length 1, or all zero: however long a lie is, it counts once among the others.
    unit: Vec<f32>,
    heard: Hash,
    unmoved: u32,
    strikes: VecDeque<(u64, Reason, u32)>,
    /// Up to here it spoke while it was cut off from us.
    backlog: u64,
    /// When it was first heard, and the number of that delta.
    met: (Time, u64),
}

#[derive(Clone, Copy, Debug, Default)]
struct Medians {
    origins: usize,
    /// Whether most origins have said enough for their lengths to be what is usual.
    usual: bool,
    /// And are enough of them for one to be compared with closely.
    settled: bool,
    norm: f32,
    weighted: f32,
    /// The same without what was usual before.
    today: (f32, f32),
    steps: f32,
}

/// What became of a delta that was laid before the measures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Judged {
    /// Of the origin in its window.
    pub(crate) strikes: u32,
    /// The worst among them.
    pub(crate) reason: Reason,
    /// Number of the first.
    pub(crate) first: u64,
    /// What this delta looked like.
    pub(crate) evidence: Evidence,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Ledger {
    origins: BTreeMap<Origin, Seen>,
    seed: u64,
    rate_max: f64,
    total: Vec<f32>,
    /// Units in it that are not zero.
    moving: usize,
    medians: Option<(Time, Medians)>,
    /// What was usual when most of the swarm was heard last, and when that was: (||v||, ||w v||). Whoever is cut off hears less than
    /// half of it for a while, and must not forget what the others may have said at that time.
    usual: Option<(Time, (f32, f32))>,
    /// Deltas since then.
    since_medians: usize,
    /// Highest median rate so far, deltas a second.
    rate: f64,
    ticked: Time,
    /// Peers that live.
    live: usize,
}

impl Ledger {
    pub(crate) fn new(seed: u64, rate_max: f32) -> Self {
        Self {
            origins: BTreeMap::new(),
            seed,
            rate_max: f64::from(rate_max),
            total: vec![0.0; SKETCH],
            moving: 0,
            medians: None,
            usual: None,
            since_medians: 0,
            rate: 0.0,
            ticked: Time(0),
            live: 0,
        }
    }

    /// Lays a delta before every measure, and remembers it. Returns the strikes of the origin in its window, when there are any.
    /// Reasons that `immune` names do not count.
    pub(crate) fn judge(
        &mut self,
        now: Time,
        header: &Header,
        decoded: &Decoded,
        config: &Trust,
        immune: impl Fn(Reason) -> bool,
    ) -> Option<Judged> {
        let medians = self.medians(now);
        let sketch = self.sketch(decoded);
        let evidence = self.evidence(now, header, &sketch, medians);
        self.remember(now, header, sketch);
        let seen = self.origins.get_mut(&header.origin)?;
        let judged = medians.origins >= COMPANY_MIN;
        for measure in ALL.iter().filter(|measure| judged && !immune(measure.reason())) {
            let strikes = measure.strikes(&evidence, config);
            if strikes >= OUTRAGE || (strikes > 0 && medians.settled) {
                seen.strikes.push_back((header.seq, measure.reason(), strikes));
            }
        }
        seen.strikes.retain(|&(seq, reason, _)| seq + WINDOW > header.seq && !immune(reason));
        let first = seen.strikes.front()?.0;
        let reason = seen.strikes.iter().max_by_key(|(_, _, strikes)| *strikes)?.1;
        let strikes = seen.strikes.iter().map(|(_, _, strikes)| strikes).sum();
        Some(Judged { strikes, reason, first, evidence })
    }

    /// How often one of an origin's latest deltas was held against it.
    #[cfg(test)]
    pub(crate) fn held_against(&self, origin: Origin) -> usize {
        self.origins.get(&origin).map_or(0, |seen| seen.strikes.len())
    }

    /// A delta of our own: what the others are compared with.
    pub(crate) fn own(&mut self, now: Time, header: &Header) {
        self.remember(now, header, vec![0.0; SKETCH]);
    }

    /// How many peers live now: most of them must have spoken before anybody is compared closely.
    pub(crate) fn set_live(&mut self, live: usize) {
        self.live = live;
    }

    /// Forgets the strikes of an origin: it was released.
    pub(crate) fn forgive(&mut self, origin: Origin) {
        if let Some(seen) = self.origins.get_mut(&origin) {
            seen.strikes.clear();
        }
    }

    /// Forgets an origin whose deltas count no more.
    pub(crate) fn forget(&mut self, origin: Origin) {
        self.let_go(origin);
        self.since_medians = usize::MAX - 1;
    }

    /// Nobody is compared with where it moved any more.
    fn let_go(&mut self, origin: Origin) {
        if let Some(seen) = self.origins.remove(&origin) {
            self.total.iter_mut().zip(&seen.unit).for_each(|(total, u)| *total -= u);
            self.moving -= usize::from(is_moving(&seen.unit));
        }
    }

    /// Somebody has deltas of `origin` up to `seq`, we up to `heard`: after a silence that is a backlog.
    pub(crate) fn note_ahead(&mut self, now: Time, origin: Origin, heard: u64, seq: u64) {
        if seq < heard.saturating_add(BACKLOG_MIN) {
            return;
        }
        let known = self.origins.get(&origin);
        if known.is_none() && self.origins.len() >= ORIGINS_MAX {
            return; // Hearsay about a stranger is no reason to forget whom we have heard.
        }
        let away = (AWAY_DELTAS / self.rate).min(AWAY_MAX.as_secs_f64());
        let silent = (now - known.map_or(Time(0), |seen| seen.last)).as_secs_f64();
        if known.is_none() || silent >= away {
            // No more than it can have said: who claims to be farther ahead is excused for no more.
            let most = BACKLOG_MIN + (BEFORE_RATE * self.rate * silent) as u64;
            let seen = self.origins.entry(origin).or_insert_with(|| Seen::new(now));
            seen.backlog = seen.backlog.max(seq.min(heard.saturating_add(most)));
        }
    }

    /// The length ||v|| from which on a delta of that weight and so many steps would be a strike of `norm` for whoever knows today's
    /// deltas only; infinite while nobody can be compared with anybody.
    pub(crate) fn longest_usual(&mut self, now: Time, weight: Weight, steps: u32, config: &Trust) -> f32 {
        let medians = self.medians(now);
        let (norm, weighted) = medians.today;
        // The smaller part of a swarm that was cut in two is judged by the larger one later.
        let usual = medians.origins >= COMPANY_MIN || (medians.usual && medians.origins >= 2);
        if !usual || norm <= 0.0 {
            return f32::INFINITY;
        }
        let bar = config.suspect_norm_factor * excuse(steps, medians);
        let weighted = bar * WEIGHT_SLACK * weighted / weight.as_f32();
        (bar * norm).min(if weighted > 0.0 { weighted } else { f32::INFINITY })
    }

    /// Whether a delta with these norms would be a strike of `norm` today.
    pub(crate) fn is_long(&mut self, now: Time, header: &Header, config: &Trust) -> bool {
        let medians = self.medians(now);
        let (ratio, weighted) = ratios(header, medians);
        ratio.max(weighted) > config.suspect_norm_factor
    }

    /// Once a heartbeat: rates, and who has been silent for long.
    pub(crate) fn tick(&mut self, now: Time) {
        let seconds = (now - self.ticked).as_secs_f64();
        if seconds <= 0.0 {
            return;
        }
        self.ticked = now;
        let mut rates = Vec::new();
        for seen in self.origins.values_mut() {
            let rate = seen.since_tick as f64 / seconds;
            seen.since_tick = 0;
            seen.rate += if seen.rate == 0.0 { rate } else { RATE_SMOOTHING * (rate - seen.rate) };
            if now - seen.last < ACTIVE {
                rates.push(seen.rate);
            }
        }
        rates.sort_by(f64::total_cmp);
        if let Some(&median) = rates.get(rates.len() / 2) {
            self.rate = self.rate.max(median);
        }
        let is_over = |seen: &Seen| {
            let patience = if seen.strikes.is_empty() { SILENCE_MAX } else { STRUCK_SILENCE_MAX };
            now - seen.last >= patience
        };
        let over: Vec<_> = self.origins.iter().filter(|(_, seen)| is_over(seen)).map(|(&origin, _)| origin).collect();
        over.into_iter().for_each(|origin| self.let_go(origin));
    }

    fn burst(&self) -> f64 {
        (BURST.as_secs_f64() * self.rate_max * self.rate).max(BURST_MIN)
    }

    fn make_room(&mut self) {
        if self.origins.len() >= ORIGINS_MAX {
            let oldest = self.origins.iter().min_by_key(|(_, seen)| seen.last).map(|(&origin, _)| origin);
            if let Some(origin) = oldest {
                self.let_go(origin);
            }
        }
    }

    fn medians(&mut self, now: Time) -> Medians {
        if let Some((at, medians)) = self.medians
            && now - at < MEDIANS_MAX_AGE
            && self.since_medians < medians.origins
        {
            return medians;
        }
        let active = self.origins.values().filter(|seen| now - seen.last < ACTIVE && !seen.norms.is_empty());
        let (mut norms, mut weighted, mut steps, mut settled) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for seen in active {
            // The longest of late: error feedback makes the first deltas of a run grow from one to the next.
            norms.push(seen.norms.iter().map(|n| n.0).fold(0.0, f32::max));
            weighted.push(seen.norms.iter().map(|n| n.1).fold(0.0, f32::max));
            settled += usize::from(seen.norms.len() >= SETTLED);
            steps.push(seen.steps as f32);
        }
        // What was said in the past and arrives today is compared with what was usual then: norms shrink as training goes on.
        // Only what most of the swarm has said was usual: a few loud ones that spoke first were not.
        let before = self.usual.map_or((0.0, 0.0), |(at, (norm, weighted))| {
            let kept = (-(now - at).as_secs_f64() / USUAL_MEMORY.as_secs_f64()).exp() as f32;
            (kept * norm, kept * weighted)
        });
        let usual = 2 * settled > norms.len().max(self.live);
        let (origins, today) = (norms.len(), (median(norms), median(weighted)));
        let medians = Medians {
            origins,
            usual,
            settled: usual && settled >= COMPANY_MIN,
            norm: today.0.max(before.0),
            weighted: today.1.max(before.1),
            today,
            steps: median(steps),
        };
        self.medians = Some((now, medians));
        if usual {
            self.usual = Some((now, (medians.norm, medians.weighted)));
        }
        self.since_medians = 0;
        medians
    }

    fn sketch(&self, decoded: &Decoded) -> Vec<f32> {
        let mut sketch = vec![0.0; SKETCH];
        for (i, _, add) in decoded.iter() {
            let mixed = mix(self.seed ^ i as u64);
            let sign = if mixed >> 63 == 0 { 1.0 } else { -1.0 };
            sketch[(mixed % SKETCH as u64) as usize] += sign * to_f32(add);
        }
        sketch
    }

    fn evidence(&self, now: Time, header: &Header, sketch: &[f32], medians: Medians) -> Evidence {
        let (norm_ratio, weighted_ratio) = ratios(header, medians);
        let mut evidence = Evidence {
            norm_ratio,
            weighted_ratio,
            over_rate: 0.0,
            cosine: 0.0,
            coherence: 0.0,
            unmoved: 1,
            steps: header.steps,
        };
        let Some(seen) = self.origins.get(&header.origin) else {
            return evidence;
        };
        if header.seq <= seen.backlog || self.is_from_before(now, header.seq, seen) {
            evidence.weighted_ratio = 0.0;
        }
        // Before the first heartbeat nobody knows what is usual.
        if self.rate > 0.0 {
            let given_back = (now - seen.spent_at).as_secs_f64() * self.rate_max * self.rate;
            evidence.over_rate = ((seen.spent - given_back).max(0.0) + 1.0 - self.burst()) as f32;
        }
        if seen.heard == header.heard {
            evidence.unmoved = seen.unmoved + 1;
        }
        if medians.origins > DIRECTION_COMPANY_MIN {
            let others: Vec<f32> = self.total.iter().zip(&seen.unit).map(|(total, u)| total - u).collect();
            let count = self.moving - usize::from(is_moving(&seen.unit));
            let (length, own) = (norm(&others), norm(sketch));
            if length > 0.0 && own > 0.0 && count >= DIRECTION_COMPANY_MIN - 1 {
                let inner: f32 = others.iter().zip(sketch).map(|(a, b)| a * b).sum();
                evidence.cosine = inner / (length * own);
                evidence.coherence = length / count as f32;
            }
        }
        evidence
    }

    /// Whether the origin is further than it can have come since we first heard of it.
    fn is_from_before(&self, now: Time, seq: u64, seen: &Seen) -> bool {
        let since = BEFORE_RATE * self.rate * (now - seen.met.0).as_secs_f64();
        let further = seq.saturating_sub(seen.met.1);
        further <= BEFORE_MAX && further as f64 > since
    }

    fn remember(&mut self, now: Time, header: &Header, sketch: Vec<f32>) {
        if !self.origins.contains_key(&header.origin) {
            self.make_room();
        }
        self.since_medians = self.since_medians.saturating_add(1);
        let growth = self.rate * self.rate_max;
        let seen = self.origins.entry(header.origin).or_insert_with(|| Seen::new(now));
        seen.spent = (seen.spent - (now - seen.spent_at).as_secs_f64() * growth).max(0.0) + 1.0;
        seen.spent_at = now;
        seen.last = now;
        if seen.norms.is_empty() {
            seen.met = (now, header.seq);
        }
        seen.since_tick += 1;
        seen.steps = header.steps;
        seen.unmoved = if seen.heard == header.heard { seen.unmoved.saturating_add(1) } else { 1 };
        seen.heard = header.heard;
        seen.norms.push_back((header.l2_norm, weighted(header)));
        if seen.norms.len() > NORMS {
            seen.norms.pop_front();
        }
        self.moving -= usize::from(is_moving(&seen.unit));
        for (cell, new) in seen.motion.iter_mut().zip(sketch) {
            *cell = MOTION_DECAY * *cell + new;
        }
        let length = norm(&seen.motion);
        let scale = if length > 0.0 && length.is_finite() { 1.0 / length } else { 0.0 };
        for ((unit, total), cell) in seen.unit.iter_mut().zip(&mut self.total).zip(&seen.motion) {
            *total += scale * cell - *unit;
            *unit = scale * cell;
        }
        self.moving += usize::from(is_moving(&seen.unit));
    }
}

fn is_moving(unit: &[f32]) -> bool {
    unit.iter().any(|&u| u != 0.0)
}

impl Seen {
    fn new(now: Time) -> Self {
        Self {
            last: now,
            norms: VecDeque::new(),
            steps: 0,
            since_tick: 0,
            rate: 0.0,
            spent: 0.0,
            spent_at: now,
            motion: vec![0.0; SKETCH],
            unit: vec![0.0; SKETCH],
            heard: Hash::ZERO,
            unmoved: 0,
            strikes: VecDeque::new(),
            backlog: 0,
            met: (now, 0),
        }
    }
}

fn ratios(header: &Header, medians: Medians) -> (f32, f32) {
    let excuse = excuse(header.steps, medians);
    let ratio = |value: f32, median: f32| if median > 0.0 { value / (median * excuse) } else { 0.0 };
    (ratio(header.l2_norm, medians.norm), ratio(weighted(header), medians.weighted))
}

/// More steps excuse a longer delta.
fn excuse(steps: u32, medians: Medians) -> f32 {
    (steps as f32 / medians.steps.max(1.0)).clamp(1.0, STEPS_EXCUSE_MAX)
}

/// ||w v||.
fn weighted(header: &Header) -> f32 {
    header.l2_norm * header.weight as f32 / Weight::ONE.raw() as f32
}

fn norm(values: &[f32]) -> f32 {
    values.iter().map(|v| v * v).sum::<f32>().sqrt()
}

/// 0 of nothing.
fn median(mut values: Vec<f32>) -> f32 {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// splitmix64: its output bits are as good as random.
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests;

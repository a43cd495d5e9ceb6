//! The device goes on while the host reads.
//!
//! ```text
//! train       steps k go off, then the losses of steps k-1 are looked at     the device always has work
//! take delta  what is to be said is chosen and begins to come; the next      ... also while it comes, is packed and is signed
//!             steps go off; then it is taken off theta, which they changed
//! ```
//!
//! What was chosen of `theta - b` before some steps may be taken off after them: sums commute, and what is left of `theta - b` is what those
//! steps did and what was not chosen. Where kernels run on the host's own cores there is nothing to gain by the second, and it is not done.

use std::collections::VecDeque;

use protocol::codec::{Density, Packing};
use protocol::learner::{self, Bounds, LearnerError, Progress, Take, TakenDelta, Trained};

use super::gossip::{Gossip, Lengths, Measuring};
use super::{Machine, TrainingLearner};
use crate::engine::Reading;
use crate::kernels::advance::STATE_LOSSES;

/// Stretches of steps whose losses may be on their way.
const AHEAD_MAX: usize = 1;

/// What is on its way.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    losses: VecDeque<Losses>,
    /// Sum of the losses that came after their call was over, and of how many steps: the next call reports them.
    unreported: (f64, usize),
    /// Mean loss of a sample, as was last reported.
    known: Option<f32>,
    /// Devices that were lost: what was on its way from them does not come.
    lost: u64,
}

impl Ahead {
    /// The device is gone.
    pub(super) fn forget(&mut self) {
        self.losses.clear();
        self.lost += 1;
    }
}

/// The losses of a stretch of steps, on their way.
#[derive(Debug)]
struct Losses {
    reading: Reading,
    /// Steps before the first of them.
    before: u64,
}

/// One call to train: what is left of it, and what was seen while it lasts.
#[derive(Debug)]
pub(super) struct Call {
    steps: u32,
    left: usize,
    progress: Progress,
    /// Sum of the losses that came.
    loss: f64,
    /// Of so many steps.
    seen: usize,
}

impl Call {
    pub(super) fn new(steps: u32, progress: Progress) -> Self {
        Self { steps, left: steps as usize, progress, loss: 0.0, seen: 0 }
    }
}

/// What is to be said, on its way.
struct Choosing {
    measuring: Measuring,
    kept: Reading,
}

impl TrainingLearner {
    /// The next steps of a call, as many as go off together; false when there are none left.
    pub(super) fn take_stretch(&mut self, call: &mut Call) -> Result<bool, LearnerError> {
        if call.left == 0 {
            return Ok(false);
        }
        let batch = self.spec.batch as u64;
        let (at_one_rate, place) = self.spec.schedule.stretch(call.progress.samples, batch);
        let most = call.left.min(self.machine.feed.steps_max());
        let now = most.min(usize::try_from(at_one_rate).unwrap_or(usize::MAX));
        let share = self.spec.schedule.share(Progress { samples: place, ..call.progress });
        let (loss, seen) = self.retried(|learner| {
            learner.send_off(now, share)?;
            // The first losses of all are waited for: until then there is nothing to report.
            let ahead = learner.ahead.known.is_some() && learner.machine.executor.runs_ahead();
            learner.losses(if ahead { AHEAD_MAX } else { 0 })
        })?;
        call.loss += loss;
        call.seen += seen;
        self.note_steps(now);
        call.progress.samples = call.progress.samples.saturating_add(now as u64 * batch);
        call.left -= now;
        Ok(true)
    }

    /// What a call comes to. Its loss is that of the steps whose losses came meanwhile.
    pub(super) fn trained(&mut self, call: &Call) -> Trained {
        let (loss, seen) = std::mem::take(&mut self.ahead.unreported);
        let (loss, seen) = (loss + call.loss, seen + call.seen);
        let rows = (seen * self.spec.batch * self.spec.model.rows()) as f64;
        let mean_loss = if seen > 0 { (loss / rows) as f32 } else { self.ahead.known.unwrap_or(f32::NAN) };
        self.ahead.known = Some(mean_loss);
        Trained { steps: call.steps, samples: u64::from(call.steps) * self.spec.batch as u64, mean_loss }
    }

    /// Up to as many steps as the order of samples has room for.
    fn send_off(&mut self, steps: usize, share: f32) -> Result<(), LearnerError> {
        if share != self.share {
            self.machine.set_rate(share)?;
            self.share = share;
        }
        self.upload_order(steps)?;
        let Machine { executor, buffers, step, .. } = &mut self.machine;
        executor.run(step.pass, steps as u32)?;
        self.gradient_lies = true;
        if self.kept.as_ref().is_some_and(super::Kept::take_wish_to_lose) {
            executor.lose();
        }
        let reading = executor.begin_read(buffers.state, STATE_LOSSES, steps)?;
        self.ahead.losses.push_back(Losses { reading, before: self.steps });
        Ok(())
    }

    /// Looks at the losses of all stretches but the last `left`: their sum, and of how many steps.
    fn losses(&mut self, left: usize) -> Result<(f64, usize), LearnerError> {
        let (mut sum, mut seen) = (0.0, 0);
        while self.ahead.losses.len() > left {
            let Some(Losses { reading, before }) = self.ahead.losses.pop_front() else { break };
            self.machine.executor.finish_read(reading, &mut self.words)?;
            let losses = self.words.iter().map(|bits| f64::from(f32::from_bits(*bits)));
            // A loss that is no number comes of weights that are none, and no step mends them.
            if let Some(step) = losses.clone().position(f64::is_nan) {
                return Err(LearnerError::Loss { step: before + step as u64 + 1 });
            }
            sum += losses.sum::<f64>();
            seen += self.words.len();
        }
        Ok((sum, seen))
    }

    /// Waits until all steps are done that went off, and looks at the losses that are still on their way: a model that has burst is not
    /// passed on as a good one, and who measures time measures all of the work. The next call to train reports them.
    ///
    /// # Errors
    /// [`LearnerError::Loss`] for a loss that is no number, [`LearnerError::Device`] when the device fails.
    pub fn finish(&mut self) -> Result<(), LearnerError> {
        let (loss, seen) = self.retried(|learner| learner.losses(0))?;
        let (sum, steps) = self.ahead.unreported;
        self.ahead.unreported = (sum + loss, steps + seen);
        Ok(())
    }

    /// Takes a delta as it is before the first steps of the call, which go off while it comes.
    pub(super) fn take_beside(&mut self, take: Take, call: &mut Call) -> Result<TakenDelta, LearnerError> {
        let device = self.ahead.lost;
        let choosing = match take.codec.density() {
            Some(density) if self.machine.executor.runs_ahead() && !self.info().software => {
                match self.begin_choice(density) {
                    Ok(choosing) => Some(choosing),
                    // What was begun is done from the start below, on a device that answers.
                    Err(LearnerError::Device(_)) => None,
                    Err(error) => return Err(error),
                }
            }
            _ => None,
        };
        if choosing.is_some() {
            self.take_stretch(call)?;
        }
        let taken = match choosing.filter(|_| self.ahead.lost == device) {
            Some(choosing) => self.finish_choice(take, choosing),
            None => self.encode_delta(take),
        };
        let taken = match taken {
            Err(LearnerError::Device(why)) => {
                self.settle(Err(LearnerError::Device(why)))?;
                self.retried(|learner| learner.encode_delta(take))?
            }
            other => other?,
        };
        self.add_said(take.codec, (take.weight, &taken.payload), Packing::Own)?;
        Ok(taken)
    }

    fn begin_choice(&mut self, density: Density) -> Result<Choosing, LearnerError> {
        let Machine { executor, gossip, .. } = &mut self.machine;
        let measuring = gossip.begin_lengths(executor.as_mut())?;
        Ok(Choosing { measuring, kept: gossip.begin_choice(executor.as_mut(), density, 1.0)? })
    }

    /// What is said of what was chosen; it lies in `decoded`, too.
    fn finish_choice(&mut self, take: Take, choosing: Choosing) -> Result<TakenDelta, LearnerError> {
        let Take { codec, weight, norm_max } = take;
        let d = self.spec.model.parameters();
        let on = self.machine.executor.as_mut();
        let lengths = Gossip::finish_lengths(on, choosing.measuring, &mut self.words)?;
        let Lengths { residual: residual_norm, base: base_norm, broken } = lengths;
        if broken > 0 {
            return Err(LearnerError::NonFinite { count: broken, parameters: d });
        }
        let kept = Gossip::finish_choice(on, choosing.kept, &mut self.words)?;
        let bounds = Bounds { weight, norm_max, residual_norm };
        let payload = learner::encode_bounded(codec, d, bounds, &mut self.decoded, |factor, payload| {
            // The largest of a part are those of the whole, but for what the scaling makes equal.
            if let Some(density) = codec.density() {
                let part: Vec<_> = kept.iter().map(|(place, value)| (*place, factor * value)).collect();
                density.encode_kept(d, &part, payload);
            }
            Ok(())
        })?;
        Ok(TakenDelta { payload, l2_norm: self.decoded.l2_norm(), residual_norm, base_norm })
    }
}

#[cfg(all(test, feature = "gpu"))]
mod tests;

//! Memory planned ahead: a step is drafted with buffers that are only sizes, and these are then placed in as few real ones as
//! their lifetimes allow.
//!
//! A drafted buffer lives from the first dispatch that touches it to the last. Going through the recording in order, a new one
//! takes the smallest free place that is large enough, else the largest free one, grown to its size, else a place of its own
//! (greedy by time, as in Pisarchyk and Lee, arXiv 2001.03288). What must outlive the recording, or is written by the host, is a
//! real buffer of the executor from the start and is left alone.
//!
//! Invariant: two drafted buffers share a place only if no dispatch lies in the lifetime of both. So a kernel must fully
//! overwrite what it is the first to touch; the tests of the kernels poison their outputs for that reason.

use std::collections::BTreeMap;

use super::products::Choices;
use super::{Buffer, Executor, ExecutorError, Recording};
use crate::kernels::{Access, Kernel};

/// Numbers of drafted buffers begin here: no executor owns that many.
const DRAFTED: usize = 1 << 32;

/// A recording in the making. See the module.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    recording: Recording,
    /// Words of every drafted buffer.
    sizes: Vec<usize>,
    choices: Choices,
}

/// Where the drafted buffers of a recording lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Words of every place.
    pub places: Vec<usize>,
    /// For every drafted buffer that is used its place.
    assignment: BTreeMap<usize, usize>,
}

impl Draft {
    /// For a device that multiplies so.
    #[must_use]
    pub fn new(choices: &Choices) -> Self {
        Self { choices: choices.clone(), ..Self::default() }
    }

    /// How its device multiplies.
    #[must_use]
    pub fn choices(&self) -> &Choices {
        &self.choices
    }

    /// A buffer of that many words; its contents are those of whoever lay there before.
    pub fn buffer(&mut self, words: usize) -> Buffer {
        self.sizes.push(words);
        Buffer(DRAFTED + self.sizes.len() - 1)
    }

    /// Appends a dispatch; see [`super::Dispatch::new`].
    pub fn push(&mut self, kernel: &'static dyn Kernel, arguments: &[Buffer], words: &[u32]) {
        self.recording.push(kernel, arguments, words);
    }

    /// Dispatches so far: the number of the next one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.recording.dispatches.len()
    }

    /// Whether nothing was pushed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Words that it would take without a plan.
    #[must_use]
    pub fn unplanned_words(&self) -> usize {
        self.sizes.iter().sum()
    }

    /// First and last dispatch of every drafted buffer.
    fn lifetimes(&self) -> BTreeMap<usize, (usize, usize)> {
        let mut lifetimes = BTreeMap::new();
        for (i, dispatch) in self.recording.dispatches.iter().enumerate() {
            for (buffer, access) in dispatch.arguments.iter().zip(dispatch.kernel.access()) {
                let Some(drafted) = buffer.0.checked_sub(DRAFTED) else { continue };
                let (_, last) = lifetimes.entry(drafted).or_insert_with(|| {
                    assert_eq!(*access, Access::Write, "{} reads what nobody wrote", dispatch.kernel.name());
                    (i, i)
                });
                *last = i;
            }
        }
        lifetimes
    }

    /// Places every buffer.
    ///
    /// # Panics
    /// When a drafted buffer is read before it is written: a bug of the caller.
    #[must_use]
    pub fn plan(&self) -> Plan {
        let lifetimes = self.lifetimes();
        let mut plan = Plan::default();
        // Which buffers come and go with each dispatch.
        let mut starts: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut ends: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (&buffer, &(first, last)) in &lifetimes {
            starts.entry(first).or_default().push(buffer);
            ends.entry(last).or_default().push(buffer);
        }
        let mut free: Vec<usize> = Vec::new();
        for i in 0..self.len() {
            for &buffer in starts.get(&i).map_or(&[][..], Vec::as_slice) {
                let place = take(&mut free, &mut plan.places, self.sizes[buffer]);
                plan.assignment.insert(buffer, place);
            }
            for buffer in ends.get(&i).map_or(&[][..], Vec::as_slice) {
                free.push(plan.assignment[buffer]);
            }
        }
        plan
    }

    /// Makes the places and puts them in.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn place(mut self, executor: &mut dyn Executor) -> Result<Recording, ExecutorError> {
        let plan = self.plan();
        let real = plan.places.iter().map(|&words| executor.allocate(words)).collect::<Result<Vec<_>, _>>()?;
        for buffer in self.recording.dispatches.iter_mut().flat_map(|dispatch| &mut dispatch.arguments) {
            if let Some(drafted) = buffer.0.checked_sub(DRAFTED) {
                *buffer = real[plan.assignment[&drafted]];
            }
        }
        Ok(self.recording)
    }
}

/// A place for that many words.
fn take(free: &mut Vec<usize>, places: &mut Vec<usize>, words: usize) -> usize {
    let fitting = (0..free.len()).filter(|&i| places[free[i]] >= words).min_by_key(|&i| places[free[i]]);
    match fitting.or_else(|| (0..free.len()).max_by_key(|&i| places[free[i]])) {
        Some(i) => {
            let place = free.swap_remove(i);
            places[place] = places[place].max(words);
            place
        }
        None => {
            places.push(words);
            places.len() - 1
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;
    use crate::kernels::accumulate::Accumulate;
    use crate::kernels::residual::Residual;

    /// `written` from what is real.
    fn write(draft: &mut Draft, written: Buffer) {
        draft.push(&Residual, &[Buffer(0), Buffer(1), written], &[1]);
    }

    #[test]
    fn what_is_over_makes_room() {
        let mut draft = Draft::default();
        let buffers = [8, 4, 6].map(|words| draft.buffer(words));
        buffers.iter().for_each(|&buffer| write(&mut draft, buffer));
        assert_eq!(draft.plan().places, [8], "each is over when the next begins");
        // The first is read at the end: it needs a place of its own.
        draft.push(&Accumulate, &[buffers[0], buffers[2]], &[1]);
        assert_eq!(draft.plan().places, [8, 6], "the second place grows");
        assert_eq!(draft.unplanned_words(), 18);
    }

    #[test]
    #[should_panic(expected = "reads what nobody wrote")]
    fn what_nobody_wrote_is_not_read() {
        let mut draft = Draft::default();
        let (a, b) = (draft.buffer(1), draft.buffer(1));
        write(&mut draft, b);
        draft.push(&Accumulate, &[a, b], &[1]);
        let _ = draft.plan();
    }

    proptest! {
        #[test]
        fn no_two_that_live_together_share_a_place(
            sizes in prop::collection::vec(1usize..100, 2..40),
            reads in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..60),
        ) {
            let mut draft = Draft::default();
            let buffers: Vec<_> = sizes.iter().map(|&words| draft.buffer(words)).collect();
            buffers.iter().for_each(|&buffer| write(&mut draft, buffer));
            for (a, b) in reads {
                let (a, b) = (*a.get(&buffers), *b.get(&buffers));
                if a != b {
                    draft.push(&Accumulate, &[a, b], &[1]);
                }
            }
            let (plan, lifetimes) = (draft.plan(), draft.lifetimes());
            for (a, (first, last)) in &lifetimes {
                prop_assert!(plan.places[plan.assignment[a]] >= sizes[*a]);
                for (b, (other_first, other_last)) in &lifetimes {
                    let together = first <= other_last && other_first <= last;
                    prop_assert!(a == b || !together || plan.assignment[a] != plan.assignment[b]);
                }
            }
            prop_assert!(plan.places.iter().sum::<usize>() <= draft.unplanned_words());
        }
    }
}

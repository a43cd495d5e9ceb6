//! Groups of channels on the CPU, shared by the twins of the norms: x is [N, P, C], a group is C / G channels of one sample.

use std::ops::Range;

use super::{WORDS, threads};

/// The words of a norm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Groups {
    samples: usize,
    places: usize,
    /// C.
    pub(super) width: usize,
    groups: usize,
    offset: usize,
    /// Whether the mean is taken off and there is a beta: not in RMS norm.
    pub(super) centred: bool,
    pub(super) epsilon: f32,
}

/// Invocations that share a group in the kernels `norm_*_shared`.
pub(super) const SHARED_BY: u32 = 64;

/// Whether a group of so many numbers is wide enough for that: four and more for each invocation (reasoned, not measured).
#[must_use]
pub fn shared_pays(numbers: usize) -> bool {
    numbers >= 4 * SHARED_BY as usize
}

/// Numbers of a group.
pub(super) fn members(words: &[u32; WORDS]) -> u64 {
    u64::from(words[1]) * u64::from(words[2] / words[3].max(1))
}

impl Groups {
    pub(super) fn new(words: &[u32; WORDS]) -> Self {
        let [samples, places, width, groups, offset, ..] = words.map(|word| word as usize);
        let (centred, epsilon) = (words[5] == 0, f32::from_bits(words[6]));
        Self { samples, places, width, groups, offset, centred, epsilon }
    }

    /// Numbers of a group.
    pub(super) fn elements(&self) -> usize {
        self.places * self.width / self.groups
    }

    /// N P.
    pub(super) fn rows(&self) -> usize {
        self.samples * self.places
    }

    /// Channels of a group.
    pub(super) fn channels(&self, group: usize) -> Range<usize> {
        let each = self.width / self.groups;
        let first = group % self.groups * each;
        first..first + each
    }

    /// The first group of the sample that one of the N P rows belongs to.
    pub(super) fn of(&self, row: usize) -> usize {
        row / self.places * self.groups
    }

    /// gamma, and beta where there is one.
    pub(super) fn tensors<'a>(&self, parameters: &'a [f32]) -> (&'a [f32], Option<&'a [f32]>) {
        let (gamma, rest) = parameters[self.offset..].split_at(self.width);
        (gamma, self.centred.then(|| &rest[..self.width]))
    }

    /// Groups of a sample.
    pub(super) fn groups(&self) -> usize {
        self.groups
    }

    /// Numbers of a sample.
    pub(super) fn sample(&self) -> usize {
        self.places * self.width
    }

    /// Samples shared out: with the number of the first one, and what is written of a stretch of them, `widths[j]` numbers of vector j
    /// each.
    pub(super) fn share<const N: usize>(
        &self,
        written: [&mut [f32]; N],
        widths: [usize; N],
        work: impl Fn(usize, [&mut [f32]; N]) + Sync,
    ) {
        let mut j = 0;
        let written = written.map(|written| {
            j += 1;
            &mut written[..self.samples * widths[j - 1]]
        });
        threads::share_parts(written, widths, (self.samples, self.sample()), work);
    }

    /// The places of the numbers of a group of one sample, a range for each of the P.
    #[inline(always)]
    pub(super) fn rows_of(&self, group: usize) -> Rows {
        let channels = self.channels(group);
        Rows { next: channels.start, left: self.places, stride: self.width, each: channels.len() }
    }
}

/// Ranges of the numbers of a group.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    next: usize,
    left: usize,
    stride: usize,
    each: usize,
}

impl Iterator for Rows {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        self.left = self.left.checked_sub(1)?;
        let first = self.next;
        self.next += self.stride;
        Some(first..first + self.each)
    }
}

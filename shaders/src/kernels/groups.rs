//! Groups of channels on the CPU, shared by the twins of the norms: x is [N, P, C], a group is C / G channels of one sample.

use std::ops::Range;

use super::WORDS;

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

    /// Group of a channel of one of the N P rows.
    pub(super) fn of(&self, row: usize, channel: usize) -> usize {
        row / self.places * self.groups + channel / (self.width / self.groups)
    }

    /// gamma, and beta where there is one.
    pub(super) fn tensors<'a>(&self, parameters: &'a [f32]) -> (&'a [f32], Option<&'a [f32]>) {
        let (gamma, rest) = parameters[self.offset..].split_at(self.width);
        (gamma, self.centred.then(|| &rest[..self.width]))
    }

    /// Every group with the places of its numbers, a range for each of the P.
    pub(super) fn each(&self, mut work: impl FnMut(usize, &Rows)) {
        for group in 0..self.samples * self.groups {
            let channels = self.channels(group);
            let next = group / self.groups * self.places * self.width + channels.start;
            work(group, &Rows { next, left: self.places, stride: self.width, each: channels.len() });
        }
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

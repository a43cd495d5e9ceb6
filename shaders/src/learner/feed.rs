//! How samples come to the device: all at once, where they are in memory, taken as they are, and the device has room for them; else the rows of
//! the next steps, which are read from their file, changed a little before each is trained on, or taken from memory.

use protocol::learner::LearnerError;

use super::{LearnerSpec, ORDER_STEPS_MAX};
use crate::data::DataError;
use crate::engine::{BUFFER_WORDS_MAX, Buffer, DeviceInfo, Executor, ExecutorError};

/// Words of the rows that are uploaded at once: 16 MiB.
const WINDOW_WORDS_MAX: usize = 4 << 20;
/// Of what is free, all rows take this part at most. A device that says what it has free has the host's memory, where they lie already.
const FREE_SHARE: u64 = 2;
/// Words that a buffer is made in groups of.
const GROUP_WORDS: u64 = 4;

/// What a device has room for, as far as the rows of a data set are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Most bytes of one buffer, where there is a limit.
    pub largest_buffer: Option<u64>,
    /// Bytes that are free, where that is known.
    pub free: Option<u64>,
}

impl Room {
    /// Of a device.
    #[must_use]
    pub fn of(info: &DeviceInfo) -> Self {
        Self { largest_buffer: info.largest_buffer, free: info.free_memory }
    }

    /// Most words of one buffer.
    fn words_max(self) -> u64 {
        let most = self.largest_buffer.map_or(u64::MAX, |bytes| bytes / (4 * GROUP_WORDS) * GROUP_WORDS);
        most.min(BUFFER_WORDS_MAX as u64)
    }

    /// Whether all features and labels, so many words, may lie there.
    fn holds(self, features: u64, labels: u64) -> bool {
        let free = self.free.unwrap_or(u64::MAX) / (4 * FREE_SHARE);
        features.max(labels) <= self.words_max() && features.saturating_add(labels) <= free
    }
}

/// What of the training part lies on the device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Feed {
    pub(super) features: Buffer,
    pub(super) labels: Buffer,
    /// Steps whose rows fit; `None`: all rows are there.
    window: Option<usize>,
}

/// Steps whose rows are uploaded at once; `None`: all rows are, once.
pub(super) fn window(spec: &LearnerSpec, room: Room) -> Option<usize> {
    let (dataset, train) = (&spec.dataset, &spec.dataset.train);
    let as_they_are = train.features.resident().is_some() && dataset.augment.is_none();
    if as_they_are && room.holds(train.features.resident_len() as u64, train.labels.len() as u64) {
        return None;
    }
    let step = (spec.batch * dataset.features()).max(1);
    let most = usize::try_from(room.words_max()).unwrap_or(usize::MAX).min(WINDOW_WORDS_MAX);
    Some((most / step).clamp(1, ORDER_STEPS_MAX))
}

/// Words of features and labels on the device.
pub(super) fn words(spec: &LearnerSpec, room: Room) -> u64 {
    let (dataset, train) = (&spec.dataset, &spec.dataset.train);
    match window(spec, room) {
        None => (train.features.resident_len() + train.labels.len()) as u64,
        Some(steps) => (steps * spec.batch) as u64 * (dataset.features() as u64 + 1),
    }
}

impl Feed {
    pub(super) fn new(on: &mut dyn Executor, spec: &LearnerSpec) -> Result<Self, ExecutorError> {
        let train = &spec.dataset.train;
        let window = window(spec, Room::of(on.info()));
        let (features, labels) = match (window, train.features.resident()) {
            (None, Some(values)) => (upload(on, bytemuck::cast_slice(values))?, upload(on, &train.labels)?),
            (steps, _) => {
                let rows = steps.unwrap_or(1) * spec.batch;
                (on.allocate(rows * spec.dataset.features())?, on.allocate(rows)?)
            }
        };
        Ok(Self { features, labels, window })
    }

    /// Most steps of one upload.
    pub(super) fn steps_max(&self) -> usize {
        self.window.unwrap_or(ORDER_STEPS_MAX)
    }

    /// Brings these samples, the first of which is number `first` of the learner's life, to the device; `order` then says where they lie there.
    pub(super) fn bring(
        &self,
        on: &mut dyn Executor,
        spec: &LearnerSpec,
        order: &mut [u32],
        first: u64,
    ) -> Result<(), LearnerError> {
        if self.window.is_none() {
            return Ok(());
        }
        let (dataset, train) = (&spec.dataset, &spec.dataset.train);
        let mut rows = Vec::with_capacity(order.len() * dataset.features());
        train.features.read(dataset.features(), order, &mut rows).map_err(|error| unreadable(&error))?;
        dataset.augment.apply(&dataset.shape, &mut rows, spec.order_seed, first);
        let labels: Vec<u32> = order.iter().map(|&row| train.labels[row as usize]).collect();
        on.write(self.features, 0, bytemuck::cast_slice(&rows))?;
        on.write(self.labels, 0, &labels)?;
        order.iter_mut().enumerate().for_each(|(i, row)| *row = i as u32);
        Ok(())
    }
}

pub(super) fn unreadable(error: &DataError) -> LearnerError {
    LearnerError::Data(error.to_string())
}

fn upload(on: &mut dyn Executor, words: &[u32]) -> Result<Buffer, ExecutorError> {
    let buffer = on.allocate(words.len())?;
    on.write(buffer, 0, words)?;
    Ok(buffer)
}

#[cfg(test)]
mod tests;

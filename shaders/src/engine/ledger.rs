//! An executor that computes nothing and keeps account: what a learner would take of a device, before any device is asked.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::products::{Choices, Shape};
use super::{Buffer, DeviceInfo, Executor, ExecutorError, Prepared, Recording, Timed};

/// What was asked for so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Words of all buffers.
    pub words: u64,
    /// Words of the largest one.
    pub largest: u64,
    /// Words that were written to buffers: what goes up to a device.
    pub written: u64,
    /// Words that were read from buffers: what comes back.
    pub read: u64,
    /// Buffers.
    pub buffers: usize,
    /// Dispatches of the longest recording.
    pub dispatches: usize,
    /// Words that a twin works in at most, on each thread.
    pub scratch: usize,
    /// Turns of the loops of the kernel that goes round most, and its name.
    pub turns: (u64, &'static str),
}

/// See the module. Clones share one account.
#[derive(Clone, Debug)]
pub struct Ledger {
    info: DeviceInfo,
    choices: Choices,
    account: Arc<Mutex<Account>>,
    products: Arc<Mutex<BTreeSet<Shape>>>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new(Choices::PLAIN)
    }
}

impl Ledger {
    /// Of the CPU executor with these kernels, that knows of no limit.
    #[must_use]
    pub fn new(choices: Choices) -> Self {
        Self::of(DeviceInfo { backend: "cpu".into(), ..DeviceInfo::default() }, choices)
    }

    /// Of a device like that, that multiplies so: what is laid out looks at its kind and its limits.
    #[must_use]
    pub fn of(info: DeviceInfo, choices: Choices) -> Self {
        Self {
            info: DeviceInfo { name: "ledger".into(), ..info },
            choices,
            account: Arc::default(),
            products: Arc::default(),
        }
    }

    /// The products that were prepared by plain kernels, each once.
    #[must_use]
    pub fn products(&self) -> Vec<Shape> {
        self.products.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    /// What was asked for so far.
    #[must_use]
    pub fn account(&self) -> Account {
        *self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Executor for Ledger {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn choices(&self) -> &Choices {
        &self.choices
    }

    fn choose(&mut self, choices: Choices) {
        self.choices = choices;
    }

    fn allocate(&mut self, words: usize) -> Result<Buffer, ExecutorError> {
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        account.words = account.words.saturating_add(words as u64);
        account.largest = account.largest.max(words as u64);
        account.buffers += 1;
        Ok(Buffer(account.buffers - 1))
    }

    fn write(&mut self, _: Buffer, _: usize, words: &[u32]) -> Result<(), ExecutorError> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner).written += words.len() as u64;
        Ok(())
    }

    fn read_at(&mut self, _: Buffer, _: usize, out: &mut [u32]) -> Result<(), ExecutorError> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner).read += out.len() as u64;
        out.fill(0);
        Ok(())
    }

    fn prepare(&mut self, recording: Recording) -> Result<Prepared, ExecutorError> {
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        for dispatch in &recording.dispatches {
            account.turns = account.turns.max((dispatch.kernel.turns(&dispatch.words), dispatch.kernel.name()));
            account.scratch = account.scratch.max(dispatch.kernel.scratch(&dispatch.words));
        }
        account.dispatches = account.dispatches.max(recording.dispatches.len());
        let mut products = self.products.lock().unwrap_or_else(PoisonError::into_inner);
        products.extend(recording.dispatches.iter().filter_map(Shape::of));
        Ok(Prepared(0))
    }

    fn set_words(&mut self, _: Prepared, _: usize, _: &[u32]) -> Result<(), ExecutorError> {
        Ok(())
    }

    fn run(&mut self, _: Prepared, _: u32) -> Result<(), ExecutorError> {
        Ok(())
    }

    fn profile(&mut self, _: Prepared, _: u32) -> Result<Vec<Timed>, ExecutorError> {
        Ok(Vec::new())
    }
}

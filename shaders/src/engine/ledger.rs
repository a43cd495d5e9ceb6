//! An executor that computes nothing and keeps account: what a learner would take of a device, before any device is asked.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Buffer, DeviceInfo, Executor, ExecutorError, Prepared, Recording, Timed};

/// What was asked for so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Words of all buffers.
    pub words: u64,
    /// Words of the largest one.
    pub largest: u64,
    /// Buffers.
    pub buffers: usize,
    /// Dispatches of the longest recording.
    pub dispatches: usize,
}

/// See the module. Clones share one account.
#[derive(Clone, Debug)]
pub struct Ledger {
    info: DeviceInfo,
    account: Arc<Mutex<Account>>,
}

impl Default for Ledger {
    fn default() -> Self {
        let info = DeviceInfo { name: "ledger".into(), backend: "none".into(), ..DeviceInfo::default() };
        Self { info, account: Arc::default() }
    }
}

impl Ledger {
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

    fn allocate(&mut self, words: usize) -> Result<Buffer, ExecutorError> {
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        account.words = account.words.saturating_add(words as u64);
        account.largest = account.largest.max(words as u64);
        account.buffers += 1;
        Ok(Buffer(account.buffers - 1))
    }

    fn write(&mut self, _: Buffer, _: usize, _: &[u32]) -> Result<(), ExecutorError> {
        Ok(())
    }

    fn read_at(&mut self, _: Buffer, _: usize, out: &mut [u32]) -> Result<(), ExecutorError> {
        out.fill(0);
        Ok(())
    }

    fn prepare(&mut self, recording: Recording) -> Result<Prepared, ExecutorError> {
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        account.dispatches = account.dispatches.max(recording.dispatches.len());
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

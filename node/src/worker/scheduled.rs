//! How long threads of ours were ready to run and were not run: a machine with more to do than cores keeps a learner waiting, too, and
//! that is nobody's network.
//!
//! ```text
//! /proc/thread-self/schedstat    ns on a core, ns ready and waiting for one, time slices            Documentation/scheduler/sched-stats.rst
//! ```
//!
//! A wait of the learner for its driver begins when its queue is empty and ends when it runs again. Taken off are the time in which the
//! learner was awake and had no core, and that in which the driver had none. What the driver has spent on a core in that time is never
//! taken off: then it was busy, with messages most likely. (The kernel adds a wait for a core when it is over, so some of it may lie before the
//! beginning.) Where the kernel does not say, nothing is taken off.

use std::time::Duration;

/// Of one thread, since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spent {
    /// On a core.
    running: Duration,
    /// Ready, without one.
    waiting: Duration,
}

impl Spent {
    fn since(self, before: Self) -> Self {
        Self {
            running: self.running.saturating_sub(before.running),
            waiting: self.waiting.saturating_sub(before.waiting),
        }
    }

    /// Out of the kernel's text.
    #[cfg(target_os = "linux")]
    fn parse(text: &str) -> Option<Self> {
        let mut nanos = text.split_whitespace().map(|word| word.parse().ok().map(Duration::from_nanos));
        Some(Self { running: nanos.next()??, waiting: nanos.next()?? })
    }
}

/// Where the kernel keeps the account of a thread.
#[derive(Debug)]
pub(super) struct Account(#[cfg(target_os = "linux")] Option<std::fs::File>);

#[cfg(target_os = "linux")]
impl Account {
    /// Of the thread that asks.
    pub(super) fn of_this_thread() -> Self {
        Self(std::fs::File::open("/proc/thread-self/schedstat").ok())
    }

    /// So far; all zero where the kernel does not say.
    pub(super) fn spent(&self) -> Spent {
        use std::os::unix::fs::FileExt as _;
        /// Three numbers of 64 bits.
        const TEXT_BYTES_MAX: usize = 64;
        let mut text = [0; TEXT_BYTES_MAX];
        let read = self.0.as_ref().and_then(|file| file.read_at(&mut text, 0).ok()).unwrap_or(0);
        std::str::from_utf8(&text[..read]).ok().and_then(Spent::parse).unwrap_or_default()
    }
}

#[cfg(not(target_os = "linux"))]
impl Account {
    pub(super) fn of_this_thread() -> Self {
        Self()
    }

    pub(super) fn spent(&self) -> Spent {
        Spent::default()
    }
}

/// A wait of the learner, taken apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wait {
    /// For the driver, while it had a core or slept.
    pub(super) blocked: Duration,
    /// For a core, of the learner or the driver.
    pub(super) unscheduled: Duration,
}

impl Wait {
    /// Of that length, in which learner and driver have spent so much.
    fn of(length: Duration, learner: Spent, driver: Spent) -> Self {
        let asleep = length.saturating_sub(learner.waiting);
        let blocked = asleep.saturating_sub(driver.waiting).max(driver.running.min(asleep));
        Self { blocked, unscheduled: length - blocked }
    }
}

impl std::ops::Add for Wait {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { blocked: self.blocked + other.blocked, unscheduled: self.unscheduled + other.unscheduled }
    }
}

/// The accounts of the two threads of a wait.
#[derive(Debug)]
pub(super) struct Accounts {
    pub(super) learner: Account,
    pub(super) driver: Account,
}

impl Accounts {
    /// Waits in `wait`, and takes apart how long that was. Called by the learner's thread.
    pub(super) fn during<T>(&self, wait: impl FnOnce() -> T) -> (T, Wait) {
        let begun = std::time::Instant::now();
        let before = (self.learner.spent(), self.driver.spent());
        let value = wait();
        let (learner, driver) = (self.learner.spent().since(before.0), self.driver.spent().since(before.1));
        (value, Wait::of(begun.elapsed(), learner, driver))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    const fn spent(running: u64, waiting: u64) -> Spent {
        Spent { running: ms(running), waiting: ms(waiting) }
    }

    #[test]
    fn only_what_no_core_was_missing_for_is_blocked() {
        let blocked = |learner, driver| Wait::of(ms(10), learner, driver).blocked;
        assert_eq!(blocked(spent(0, 0), spent(0, 0)), ms(10), "the driver slept: who knows what for");
        assert_eq!(blocked(spent(0, 3), spent(0, 0)), ms(7), "the command was there, the learner had no core");
        assert_eq!(blocked(spent(0, 3), spent(1, 4)), ms(3));
        assert_eq!(blocked(spent(0, 0), spent(6, 50)), ms(6), "busy is busy, whatever came before");
        assert_eq!(blocked(spent(0, 20), spent(5, 5)), ms(0));
        let wait = Wait::of(ms(10), spent(0, 3), spent(1, 4));
        assert_eq!(wait.blocked + wait.unscheduled, ms(10));
    }

    #[test]
    fn the_text_of_the_kernel_is_read() {
        assert_eq!(Spent::parse("2000000 3000000 17\n"), Some(spent(2, 3)));
        assert_eq!(Spent::parse("2000000"), None);
        assert_eq!(Spent::parse("a b c"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn work_is_seen_and_sleep_is_not() {
        let account = Account::of_this_thread();
        if account.spent() == Spent::default() {
            return; // A kernel without these accounts.
        }
        let before = account.spent();
        let begun = std::time::Instant::now();
        while account.spent().since(before).running < ms(5) {
            assert!(begun.elapsed() < Duration::from_secs(60), "a thread that works is run");
        }
        let before = account.spent();
        std::thread::sleep(ms(20));
        assert!(account.spent().since(before).running < ms(20), "whoever sleeps does not work");
    }
}

//! Measuring time: calls are repeated within a budget and the best counts, which other work on the machine spoils least.

use std::time::{Duration, Instant};

/// Parts of a budget: so many stretches are timed at least where single calls are short.
const STRETCHES: u32 = 5;
/// Most calls of a stretch.
const TIMES_MAX: u32 = 4096;

/// Seconds that some work takes.
pub fn seconds<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let begun = Instant::now();
    let done = work();
    (done, begun.elapsed().as_secs_f64())
}

/// Seconds of one call at its best. `work` is to be done so many times, and to be over when it returns. The first call compiles and
/// fills caches and does not count; the second counts in any case, all others while they fit the budget.
///
/// # Errors
/// What `work` says.
pub fn best<E>(budget: Duration, mut work: impl FnMut(u32) -> Result<(), E>) -> Result<f64, E> {
    let (first, _) = seconds(|| work(1));
    first?;
    let (second, mut best) = seconds(|| work(1));
    second?;
    let (budget, mut spent) = (budget.as_secs_f64(), best);
    let times = (budget / f64::from(STRETCHES) / best.max(1e-9)).clamp(1.0, f64::from(TIMES_MAX)) as u32;
    while spent + f64::from(times) * best <= budget {
        let (done, took) = seconds(|| work(times));
        done?;
        spent += took;
        best = best.min(took / f64::from(times));
    }
    Ok(best.max(1e-9))
}

/// The same for work that cannot fail.
pub fn best_of(budget: Duration, mut work: impl FnMut()) -> f64 {
    let done = best(budget, |times| {
        (0..times).for_each(|_| work());
        Ok::<(), std::convert::Infallible>(())
    });
    match done {
        Ok(best) => best,
        Err(never) => match never {},
    }
}

/// Seconds that this process has computed so far on all its threads, where Linux says so; in hundredths.
#[must_use]
pub fn processor_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which may hold blanks, utime and stime are the 12th and 13th.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<f64>().ok();
    Some((next()? + next()?) / 100.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_budget_is_kept_and_at_least_one_call_counts() {
        let nap = Duration::from_millis(20);
        let mut calls = 0;
        let mut sleep = |times| {
            calls += times;
            std::thread::sleep(nap * times);
            Ok::<(), ()>(())
        };
        let best = best(Duration::ZERO, &mut sleep).unwrap();
        assert!(best >= nap.as_secs_f64() && calls == 2, "{best} in {calls}");
        assert_eq!(super::best(Duration::from_secs(9), |_| Err("lost")), Err("lost"));
    }

    #[test]
    fn short_calls_are_timed_many_at_once() {
        let mut most = 0;
        // Of which a call may take a tenth: longer than a busy machine holds up both of the first two.
        let best = best(Duration::from_secs(1), |times| {
            most = times.max(most);
            std::thread::sleep(Duration::from_micros(50) * times);
            Ok::<(), ()>(())
        });
        assert!(best.unwrap() >= 50e-6 && most > 1, "{most} at once");
    }

    #[test]
    fn computing_takes_processor_time() {
        let Some(before) = processor_seconds() else { return };
        let begun = Instant::now();
        let mut sum = 0u64;
        while begun.elapsed() < Duration::from_secs(30) && processor_seconds().unwrap() <= before {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(processor_seconds().unwrap() > before);
    }
}

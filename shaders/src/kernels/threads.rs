//! How many threads a twin may use. An executor with a pool of its own runs twins on it and says so here; everywhere else it is
//! one, as for the thousands of virtual peers that share a few cores.
//!
//! Threads share out numbers or rows, never the terms of a sum, so the bits are the same for any number of them.

use std::cell::Cell;

use pulp::Arch;
use rayon::ThreadPool;
use rayon::ThreadPoolBuilder;

/// Numbers that are worth a thread: some ten microseconds of an optimizer.
const EACH_MIN: usize = 16 << 10;
/// A kernel that writes fewer is done sooner than it is handed over. measured: the digits' perceptron lost a tenth.
pub(crate) const WORTH_SHARING: usize = 2 * EACH_MIN;
/// Numbers of a cache line, so that no two threads write to one.
const LINE: usize = 16;
/// Most threads of a pool.
pub const THREADS_MAX: usize = 256;

thread_local! {
    static ALLOWED: Cell<usize> = const { Cell::new(1) };
}

/// On this thread.
pub(crate) fn allowed() -> usize {
    ALLOWED.get()
}

/// A pool of that many threads, on each of which as many are allowed; `None` for one, or where the system gives none.
pub(crate) fn pool(threads: usize) -> Option<ThreadPool> {
    let threads = threads.min(THREADS_MAX);
    if threads <= 1 {
        return None;
    }
    let name = |i| format!("twin {i}");
    let builder = ThreadPoolBuilder::new().num_threads(threads).thread_name(name);
    builder.start_handler(move |_| ALLOWED.set(threads)).build().ok()
}

/// Does work on a pool of so many threads, as an executor does.
pub(crate) fn with<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    match pool(threads) {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

/// Into stretches of what length `n` numbers are shared out.
fn stretch(n: usize) -> usize {
    n.div_ceil(allowed()).next_multiple_of(LINE).max(EACH_MIN)
}

/// Compiled once more for the widest vectors that this processor has: a binary for every x86-64 would take four numbers at a time.
/// The bits are the same, since nothing is fused that is not written so.
///
/// Calls `f` on all of the slices, which are of one length, or on stretches of them side by side. `f` takes each number by itself.
pub(crate) fn share<const N: usize>(
    mut written: [&mut [f32]; N],
    mut read: &[f32],
    f: impl Fn([&mut [f32]; N], &[f32]) + Sync,
) {
    let wide = Arch::new();
    let work = |written, read| {
        wide.dispatch(
            #[inline(always)]
            || f(written, read),
        )
    };
    let each = stretch(read.len());
    if each >= read.len() {
        return work(written, read);
    }
    rayon::scope(|scope| {
        while !read.is_empty() {
            let at = each.min(read.len());
            let part = std::array::from_fn(|i| {
                let (part, rest) = std::mem::take(&mut written[i]).split_at_mut(at);
                written[i] = rest;
                part
            });
            let (head, rest) = read.split_at(at);
            read = rest;
            let work = &work;
            scope.spawn(move |_| work(part, head));
        }
    });
}

/// Calls `f` with the number of the first part and stretches of several vectors: of vector j, a part has `widths[j]` numbers, the last one what is left. All `count`
/// parts at once, or stretches of them side by side where there is enough to do; `work` numbers are touched a part. `f` takes each
/// part by itself, and in a stretch it is on its own: a product that it asks for is not shared out again.
pub(crate) fn share_parts<const N: usize>(
    mut written: [&mut [f32]; N],
    widths: [usize; N],
    (count, work): (usize, usize),
    f: impl Fn(usize, [&mut [f32]; N]) + Sync,
) {
    let wide = Arch::new();
    let work_on = |first, written| {
        wide.dispatch(
            #[inline(always)]
            || f(first, written),
        )
    };
    let each = count.div_ceil(allowed()).max(EACH_MIN.div_ceil(work.max(1)));
    if each >= count {
        return work_on(0, written);
    }
    rayon::scope(|scope| {
        for first in (0..count).step_by(each) {
            let parts = each.min(count - first);
            let stretch = std::array::from_fn(|j| {
                let whole = std::mem::take(&mut written[j]);
                let (stretch, rest) = whole.split_at_mut((parts * widths[j]).min(whole.len()));
                written[j] = rest;
                stretch
            });
            let work_on = &work_on;
            scope.spawn(move |_| alone(|| work_on(first, stretch)));
        }
    });
}

/// Compiled for the widest vectors of this processor, see [`share`].
pub(crate) fn wide<T>(work: impl FnOnce() -> T) -> T {
    Arch::new().dispatch(work)
}

/// Allows no more threads than this one meanwhile.
fn alone<T>(work: impl FnOnce() -> T) -> T {
    let before = ALLOWED.replace(1);
    let done = work();
    ALLOWED.set(before);
    done
}

/// Calls `f` with the number of the first row and the rows of a matrix, of `width` numbers each: all of them, or stretches of them
/// side by side. `f` takes each row by itself.
pub(crate) fn share_rows(written: &mut [f32], width: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    let each = stretch(written.len()).div_ceil(width.max(1));
    if each * width >= written.len() {
        return f(0, written);
    }
    let f = &f;
    rayon::scope(|scope| {
        for (i, rows) in written.chunks_mut(each * width).enumerate() {
            scope.spawn(move |_| f(i * each, rows));
        }
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn only_a_pool_allows_more_than_one() {
        assert_eq!((allowed(), stretch(1 << 20)), (1, 1 << 20));
        assert!(pool(1).is_none() && pool(0).is_none());
        let three = pool(3).unwrap();
        assert_eq!(three.install(|| (allowed(), stretch(1 << 20), stretch(100))), (3, 349_536, EACH_MIN));
        assert_eq!(allowed(), 1);
    }

    #[test]
    fn every_number_is_come_by_once_however_it_is_shared() {
        for n in [1, EACH_MIN, 2 * EACH_MIN + 7, 200_001] {
            let read: Vec<f32> = (0..n).map(|i| i as f32).collect();
            let (mut sums, mut counts) = (vec![1.0; n], vec![0.0; n]);
            pool(3).unwrap().install(|| {
                share([&mut sums, &mut counts], &read, |[sums, counts], read| {
                    sums.iter_mut().zip(read).for_each(|(sum, value)| *sum += value);
                    counts.iter_mut().for_each(|count| *count += 1.0);
                });
            });
            let mut rows = vec![0.0; 3 * n];
            pool(3).unwrap().install(|| {
                share_rows(&mut rows, 3, |first, rows| {
                    rows.as_chunks_mut::<3>()
                        .0
                        .iter_mut()
                        .enumerate()
                        .for_each(|(i, row)| row[2] += (first + i) as f32);
                });
            });
            let mut parts = [vec![0.0; n], vec![0.0; 2 * n]];
            let [ones, twos] = &mut parts;
            pool(3).unwrap().install(|| {
                share_parts([ones, twos], [1, 2], (n, 1), |first, [ones, twos]| {
                    assert!(allowed() == 1 || ones.len() == n, "a stretch is on its own");
                    for (i, (one, two)) in ones.iter_mut().zip(twos.as_chunks_mut::<2>().0).enumerate() {
                        *one += (first + i) as f32;
                        two[1] += 1.0;
                    }
                });
                assert_eq!(allowed(), 3);
            });
            assert!(parts[0] == read && parts[1].as_chunks::<2>().0.iter().all(|two| two == &[0.0, 1.0]), "{n}");
            assert!(rows.as_chunks::<3>().0.iter().zip(&read).all(|(row, i)| row == &[0.0, 0.0, *i]), "{n}");
            assert!(sums.iter().zip(&read).all(|(sum, value)| *sum == 1.0 + value) && counts == vec![1.0; n], "{n}");
        }
    }
}

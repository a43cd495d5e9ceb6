#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ops::Range;

use super::pace::{FLOPS_A_BYTE, REPLAYS_A_SUBMISSION_MAX, SUBMISSION_TARGET, cuts_of, paced, recut};
use super::*;
use crate::kernels::accumulate::Accumulate;
use crate::kernels::linear_forward::LinearForward;
use crate::kernels::{Access, Argument, Cost, Grid, Kernel};

/// A kernel that no driver compiles.
#[derive(Debug)]
struct Refused;

impl Kernel for Refused {
    fn name(&self) -> &'static str {
        "refused"
    }

    fn wgsl(&self) -> &'static str {
        "@compute @workgroup_size(64) fn main() { nonsense }"
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Write]
    }

    fn grid(&self, words: &[u32; WORDS]) -> Grid {
        Grid::elements(words[0])
    }

    fn cost(&self, words: &[u32; WORDS]) -> Cost {
        Cost::stream(words[0], 1, 0)
    }

    fn twin(&self, _: &mut [Argument<'_>], _: &[u32; WORDS]) {}
}

#[test]
fn however_often_dispatches_are_timed_their_ticks_take_one_buffer() {
    let Some(mut gpu) = crate::kernels::tests::gpu() else { return };
    let [x, y] = [(); 2].map(|()| gpu.allocate(4).unwrap());
    let mut timed = Vec::new();
    for dispatches in [1, 3, 2] {
        let mut recording = Recording::default();
        (0..dispatches).for_each(|_| recording.push(&Accumulate, &[x, y], &[4, 1]));
        let prepared = gpu.prepare(recording).unwrap();
        let Ok(all) = gpu.profile(prepared, 2) else { return };
        timed.push(all.len());
    }
    assert_eq!((timed, gpu.buffers.len()), (vec![1, 3, 2], 3));
}

#[test]
fn an_adapter_that_does_not_open_makes_room_for_the_next() {
    let open = |outcomes: &[Result<u8, &str>]| {
        let outcomes = outcomes.iter().map(|outcome| outcome.map_err(|why| ExecutorError(why.into())));
        first_that_opens(outcomes.map(|outcome| move || outcome))
    };
    assert_eq!(open(&[]), Ok(None));
    assert_eq!(open(&[Ok(2), Err("b is gone")]), Ok(Some((2, Vec::new()))));
    assert_eq!(open(&[Err("a is busy"), Ok(2), Ok(3)]), Ok(Some((2, vec!["a is busy".into()]))));
    assert_eq!(open(&[Err("a is busy"), Err("b is gone")]), Err(ExecutorError("a is busy; b is gone".into())));
}

#[test]
fn who_gets_another_device_than_the_best_is_told_why() {
    let refused = ["a gives no device: busy", "b gives no device: gone"].map(String::from);
    assert_eq!(instead_of(&[], "llvmpipe"), None);
    let one = instead_of(&refused[..1], "llvmpipe").unwrap();
    assert_eq!(one, "a better device does not open (a gives no device: busy); training on llvmpipe");
    let both = instead_of(&refused, "llvmpipe").unwrap();
    assert!(both.contains("do not open (a gives no device: busy; b gives no device: gone)"), "{both}");
    let Some(gpu) = crate::kernels::tests::gpu() else { return };
    assert_eq!(gpu.info.note, None, "the best opens");
}

#[test]
fn a_kernel_that_is_refused_leaves_the_others() {
    let Some(mut gpu) = crate::kernels::tests::gpu() else { return };
    let [x, y] = [(); 2].map(|()| gpu.allocate(1).unwrap());
    for round in 0..2 {
        let mut recording = Recording::default();
        recording.push(&Refused, &[x], &[1]);
        let error = gpu.prepare(recording).unwrap_err().to_string();
        assert!(error.contains("compile refused") && error.contains("--device cpu"), "round {round}: {error}");
    }
    gpu.write(x, 0, &[7]).unwrap();
    let mut recording = Recording::default();
    recording.push(&Accumulate, &[x, y], &[1, 0]);
    let prepared = gpu.prepare(recording).unwrap();
    gpu.run(prepared, 1).unwrap();
    let mut found = Vec::new();
    gpu.read(y, 1, &mut found).unwrap();
    assert_eq!(found, [7]);
}

#[test]
fn submissions_grow_while_they_are_short_and_shrink_when_they_are_long() {
    let short = |at_once| paced(at_once, at_once, SUBMISSION_TARGET / 4);
    assert_eq!([1, 16, 32].map(short), [2, 32, 32]);
    assert_eq!(paced(8, 3, SUBMISSION_TARGET / 4), 8, "a part of one says nothing");
    assert_eq!(paced(8, 8, 3 * SUBMISSION_TARGET / 4), 8);
    assert_eq!([1, 2, 32].map(|at_once| paced(at_once, at_once, 2 * SUBMISSION_TARGET)), [1, 1, 16]);
}

#[test]
fn costs_are_cut_into_about_equal_shares() {
    assert_eq!(cuts_of(&[1, 1, 1, 1, 1, 1], 3), [0..2, 2..4, 4..6]);
    assert_eq!(cuts_of(&[5, 1, 1, 1, 1, 1], 2), [0..1, 1..6]);
    assert_eq!(cuts_of(&[1, 1, 1, 1, 1, 5], 2), [0..5, 5..6]);
    assert_eq!(cuts_of(&[1, 1, 90, 1, 1], 4), [0..2, 2..3, 3..5], "one that cannot be cut stands alone");
    assert_eq!(cuts_of(&[0, 0, 0, 0], 2), [0..2, 2..4]);
    assert_eq!(cuts_of(&[u64::MAX; 4], 2), [0..2, 2..4]);
    assert_eq!(cuts_of(&[1, 100], 2), [0..1, 1..2]);
    assert_eq!([0, 1, 2].map(|n| cuts_of(&[3, 4], n).len()), [1, 1, 2]);
    assert_eq!(cuts_of(&[3, 4], 9), [0..1, 1..2], "at most one a dispatch");
    assert_eq!(cuts_of(&[], 3), []);
    for n in 1..40 {
        let costs: Vec<u64> = (0..37u64).map(|i| i * i % 11).collect();
        let cuts = cuts_of(&costs, n);
        let joined: Vec<usize> = cuts.iter().cloned().flatten().collect();
        assert!(joined == (0..37).collect::<Vec<_>>() && cuts.len() <= n as usize, "{n}: {cuts:?}");
        assert!(cuts.iter().all(|cut| !cut.is_empty()), "{n}: {cuts:?}");
        // A share may reach over its ends by half of a dispatch each.
        let most = 10 + costs.iter().map(|cost| cost.max(&1)).sum::<u64>().div_ceil(n.into());
        let shares = cuts.iter().map(|cut| costs[cut.clone()].iter().sum::<u64>());
        assert!(shares.max() <= Some(most), "{n}: {cuts:?}");
    }
}

#[test]
fn a_replay_that_takes_too_long_is_cut_and_joined_again_when_it_does_not() {
    let [long, right, short] = [2 * SUBMISSION_TARGET, SUBMISSION_TARGET / 2, SUBMISSION_TARGET / 8];
    assert_eq!([1, 3, 8, 10].map(|cuts| recut(cuts, 10, long)), [2, 6, 10, 10]);
    assert_eq!([1, 3, 10].map(|cuts| recut(cuts, 10, right)), [1, 3, 10]);
    assert_eq!([1, 3, 10].map(|cuts| recut(cuts, 10, short)), [1, 1, 5]);
    let Some(mut gpu) = crate::kernels::tests::gpu() else { return };
    let (prepared, _) = chain(&mut gpu, 6);
    let replay = &mut gpu.recordings[prepared.0];
    let seen = |time| Took { time, no_less: true, no_more: true };
    let send = |replay: &mut Replay, dispatches: Range<usize>, took| {
        let cuts = replay.cuts;
        replay.note(&Part { recording: 0, dispatches, replays: 1, cuts }, took);
        (replay.at_once, replay.cuts)
    };
    // Noticed some time later: it may have been short.
    assert_eq!(send(replay, 0..6, Took { no_less: false, ..seen(long) }), (1, 1));
    assert_eq!(send(replay, 0..6, seen(long)), (1, 2));
    let before = Part { recording: 0, dispatches: 0..6, replays: 1, cuts: 1 };
    replay.note(&before, seen(long));
    assert_eq!(replay.cuts, 2, "sent before it was cut");
    // All of a replay is looked at, and the longest share counts.
    assert_eq!(send(replay, 0..3, seen(long)), (1, 2));
    assert_eq!(send(replay, 3..6, seen(short)), (1, 4));
    assert_eq!([send(replay, 0..1, seen(long)), send(replay, 1..6, seen(short))], [(1, 4); 2], "one cannot be cut");
    assert_eq!([send(replay, 0..3, seen(right)), send(replay, 3..6, seen(short))], [(1, 4); 2]);
    let vague = Took { no_more: false, ..seen(short) };
    assert_eq!([send(replay, 0..3, vague), send(replay, 3..6, seen(short))], [(1, 4); 2], "begun nobody knows when");
    assert_eq!([send(replay, 0..3, seen(short)), send(replay, 3..6, seen(short))], [(1, 4), (1, 2)]);
    assert_eq!([send(replay, 0..3, seen(short)), send(replay, 3..6, seen(short))], [(1, 2), (1, 1)]);
    assert_eq!(send(replay, 0..6, seen(short)), (2, 1), "then several replays go together again");
}

/// A recording of so many dispatches that go by each other's results, and the last one's.
fn chain(gpu: &mut GpuExecutor, dispatches: usize) -> (Prepared, Buffer) {
    let words = 100;
    let buffers: Vec<_> = (0..=dispatches).map(|_| gpu.allocate(words).unwrap()).collect();
    let numbers: Vec<u32> = (0..words).map(|i| (i as f32).to_bits()).collect();
    gpu.write(buffers[0], 0, &numbers).unwrap();
    let mut recording = Recording::default();
    buffers.windows(2).for_each(|pair| recording.push(&Accumulate, pair, &[words as u32, 1]));
    (gpu.prepare(recording).unwrap(), buffers[dispatches])
}

#[test]
fn a_replay_that_is_cut_is_the_whole_one() {
    let after = |cuts| {
        let mut gpu = crate::kernels::tests::gpu()?;
        let (prepared, last) = chain(&mut gpu, 8);
        let mut found = Vec::new();
        for _ in 0..5 {
            // What is learnt of it changes that.
            gpu.settle(0).unwrap();
            gpu.recordings[prepared.0].cuts = cuts;
            let before = gpu.submissions;
            gpu.run(prepared, 1).unwrap();
            assert_eq!(gpu.submissions - before, u64::from(cuts));
            assert!(gpu.sent.len() <= SUBMISSIONS_MAX);
        }
        gpu.read(last, 100, &mut found).unwrap();
        Some(found)
    };
    let [Some(whole), Some(three), Some(eight)] = [1, 3, 8].map(after) else { return };
    // Of x after 5 rounds through 8 sums: the ways that lead there, 12 over 8.
    assert_eq!(whole[99], (99.0f32 * 495.0).to_bits());
    assert!(whole == three && whole == eight);
}

#[test]
fn the_first_submissions_hold_no_more_than_a_slow_gpu_does_in_time() {
    let Some(mut gpu) = crate::kernels::tests::gpu() else { return };
    if gpu.info.software {
        assert_eq!(gpu.first_cut, u64::MAX, "nobody ends them");
    }
    let (whole, _) = chain(&mut gpu, 6);
    let each = gpu.recordings[whole.0].dispatches[0].estimate();
    assert_eq!(each, FLOPS_A_BYTE * 4 * 300, "it reads two numbers for each that it writes");
    for (flops, cuts) in [(u64::MAX, 1), (6 * each, 1), (6 * each - 1, 2), (2 * each, 3), (1, 6)] {
        gpu.cut_first(flops);
        let (prepared, _) = chain(&mut gpu, 6);
        assert_eq!(gpu.recordings[prepared.0].cuts, cuts, "{flops}");
        let before = gpu.submissions;
        if let Ok(timed) = gpu.profile(prepared, 1) {
            // Each is read before the next one goes off.
            assert_eq!((timed.len(), gpu.submissions - before), (6, 2 * u64::from(cuts)), "{flops}");
        }
    }
}

/// Numbers that begin as 0, and what adds those of `number` to them.
fn accumulating(gpu: &mut GpuExecutor, words: usize, number: impl Fn(usize) -> f32) -> (Buffer, Prepared) {
    let [x, y] = [(); 2].map(|()| gpu.allocate(words).unwrap());
    let numbers: Vec<u32> = (0..words).map(|i| number(i).to_bits()).collect();
    gpu.write(x, 0, &numbers).unwrap();
    let mut recording = Recording::default();
    recording.push(&Accumulate, &[x, y], &[words as u32, 1]);
    (y, gpu.prepare(recording).unwrap())
}

#[test]
fn many_replays_are_all_done_once_however_they_are_cut() {
    let Some(mut gpu) = crate::kernels::tests::gpu() else { return };
    let (words, replays) = (5, 300);
    let (y, prepared) = accumulating(&mut gpu, words, |i| i as f32);
    let mut found = Vec::new();
    for round in 1..4u32 {
        gpu.run(prepared, replays).unwrap();
        assert!(gpu.sent.len() <= SUBMISSIONS_MAX);
        gpu.read(y, words, &mut found).unwrap();
        assert!(gpu.sent.is_empty());
        let expected: Vec<u32> = (0..words).map(|i| ((round * replays) as f32 * i as f32).to_bits()).collect();
        assert_eq!(found, expected, "round {round}");
    }
    assert!(gpu.recordings[prepared.0].at_once > 1, "submissions stay short");
}

#[test]
fn a_read_that_was_begun_waits_for_nothing_that_came_later() {
    let Some(mut gpu) = crate::kernels::tests::gpu() else { return };
    let words = 1 << 20;
    let (y, prepared) = accumulating(&mut gpu, words, |_| 1.0);
    gpu.run(prepared, 1).unwrap();
    let begun = [5, 7].map(|offset| gpu.begin_read(y, offset, 3).unwrap());
    // Seconds of work, in one piece.
    gpu.recordings[prepared.0].at_once = 4 * REPLAYS_A_SUBMISSION_MAX;
    gpu.run(prepared, 4 * REPLAYS_A_SUBMISSION_MAX).unwrap();
    let mut found = Vec::new();
    for reading in begun {
        gpu.finish_read(reading, &mut found).unwrap();
        assert_eq!(found, [1.0f32.to_bits(); 3], "as it was then");
    }
    assert_eq!(gpu.sent.len(), 1, "the rest is under way");
    assert_eq!(gpu.staging.len(), 2, "kept for the next time");
    gpu.read(y, 3, &mut found).unwrap();
    assert_eq!(found, [(1.0 + 4.0 * REPLAYS_A_SUBMISSION_MAX as f32).to_bits(); 3]);
    assert_eq!(gpu.staging.len(), 2);
}

#[test]
fn a_read_of_several_pieces_is_as_it_was_when_it_was_begun() {
    let Some(mut gpu) = crate::kernels::tests::gpu() else { return };
    gpu.piece = 100;
    let words = 100 * (COMING_PIECES_MAX + 1);
    let (y, prepared) = accumulating(&mut gpu, words, |i| i as f32);
    let mut found = Vec::new();
    // One piece, some with a rest, as many as come at once; then one more, that is waited for.
    for (round, (offset, asked, comes)) in
        (1..).zip([(3, 100, true), (7, 250, true), (100, 800, true), (0, 801, false), (5, 350, true)])
    {
        gpu.run(prepared, 1).unwrap();
        let before = gpu.submissions;
        let reading = gpu.begin_read(y, offset, asked).unwrap();
        assert_eq!(matches!(reading.0, Read::Coming(_)), comes, "{asked} words");
        assert!(!comes || gpu.submissions == before + 1, "all in one submission");
        gpu.run(prepared, 1).unwrap();
        gpu.finish_read(reading, &mut found).unwrap();
        let times = (2 * round - 1) as f32;
        let expected: Vec<u32> = (offset..offset + asked).map(|i| (times * i as f32).to_bits()).collect();
        assert_eq!(found, expected, "{asked} words, as they were then");
        assert!(gpu.staging.len() <= STAGING_KEPT, "kept for the next time");
    }
}

#[test]
fn what_no_dispatch_can_hold_is_refused_before_it_runs() {
    let Some(mut gpu) = crate::kernels::tests::gpu() else { return };
    let buffers = [(); 3].map(|()| gpu.allocate(1).unwrap());
    let mut recording = Recording::default();
    // 32 columns a workgroup.
    recording.push(&LinearForward, &buffers, &[1, 32 * gpu.limits.max_compute_workgroups_per_dimension + 1, 1]);
    let error = gpu.prepare(recording).unwrap_err().to_string();
    assert!(error.contains("linear_forward") && error.contains("a smaller layer"), "{error}");
}

#[test]
fn a_kernel_of_f16_is_refused_where_there_is_none() {
    let Some(mut gpu) = crate::kernels::tests::gpu() else { return };
    gpu.info.f16 = false;
    let buffers = [(); 3].map(|()| gpu.allocate(1).unwrap());
    let mut recording = Recording::default();
    recording.push(&crate::kernels::linear_forward_tiled::HALF_64, &buffers, &[1, 1, 1, 0, 0, 1]);
    let error = gpu.prepare(recording).unwrap_err().to_string();
    assert!(error.contains("linear_forward_half_64") && error.contains(&gpu.info.name), "{error}");
}

#[test]
fn a_device_that_does_not_answer_in_time_is_an_error_that_names_the_limit() {
    let Some(mut gpu) = crate::kernels::tests::gpu() else { return };
    // Far more than is done in no time at all.
    let words = 1 << 22;
    let [x, y] = [(); 2].map(|()| gpu.allocate(words).unwrap());
    let mut recording = Recording::default();
    recording.push(&Accumulate, &[x, y], &[words as u32, 1]);
    let prepared = gpu.prepare(recording).unwrap();
    gpu.recordings[prepared.0].at_once = REPLAYS_A_SUBMISSION_MAX;
    gpu.wait_max = Duration::ZERO;
    gpu.run(prepared, REPLAYS_A_SUBMISSION_MAX).unwrap();
    let error = gpu.settle(0).unwrap_err().to_string();
    assert!(error.contains("not finished accumulate in 0 s") && error.contains("smaller batch"), "{error}");
    gpu.wait_max = SOFTWARE_WAIT_MAX;
    gpu.settle(0).unwrap();
}

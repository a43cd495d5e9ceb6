//! What holds for every kernel in [`ALL`]: naga accepts it, it fits WebGPU, and the GPU does what the twin does. Each twin
//! against its formula in f64 stands in `oracle` below.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::advance::STATE_WORDS;
use super::*;
use crate::engine::cpu::CpuExecutor;
use crate::engine::{Dispatch, Executor, Recording};
use crate::wgsl::expand;

/// The adapter that there is; says loudly when there is none, and fails where one is required.
#[cfg(feature = "gpu")]
pub(crate) fn gpu() -> Option<crate::engine::gpu::GpuExecutor> {
    let executor = crate::engine::gpu::GpuExecutor::open(None).unwrap();
    if executor.is_none() {
        let required = std::env::var_os("STARLING_REQUIRE_GPU").is_some();
        assert!(!required, "STARLING_REQUIRE_GPU is set and there is no adapter");
        eprintln!("SKIPPED: no Vulkan adapter");
    }
    executor
}

#[test]
fn naga_accepts_every_kernel_and_it_fits_webgpu() {
    for kernel in ALL {
        let module = naga::front::wgsl::parse_str(&expand(kernel.wgsl()))
            .unwrap_or_else(|error| panic!("{}: {}", kernel.name(), error.emit_to_string(kernel.wgsl())));
        naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::empty())
            .validate(&module)
            .unwrap_or_else(|error| panic!("{}: {error:?}", kernel.name()));
        assert!(kernel.access().len() < ARGUMENTS_MAX, "{}", kernel.name());
        let entry = &module.entry_points[0];
        let [x, y] = kernel.grid(&[1; WORDS]).workgroup;
        assert_eq!(entry.workgroup_size, [x, y, 1], "{}: mod.rs and kernel.wgsl disagree", kernel.name());
        let storage = module.global_variables.iter().filter_map(|(_, variable)| match variable.space {
            naga::AddressSpace::Storage { access } => Some(access.contains(naga::StorageAccess::STORE)),
            _ => None,
        });
        let declared = kernel.access().iter().map(|access| *access == Access::Write);
        assert!(storage.eq(declared), "{}: access in mod.rs and kernel.wgsl disagree", kernel.name());
    }
}

/// A dispatch on random numbers: the contents of its arguments before, and its words.
struct Case {
    kernel: &'static dyn Kernel,
    arguments: Vec<Vec<u32>>,
    words: Vec<u32>,
}

fn floats(n: usize, rng: &mut ChaCha8Rng) -> Vec<u32> {
    (0..n).map(|_| word((rng.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0)).collect()
}

fn below(n: usize, bound: u32, rng: &mut ChaCha8Rng) -> Vec<u32> {
    (0..n).map(|_| rng.next_u32() % bound).collect()
}

/// What a kernel must overwrite: it shows when it does not.
fn poison(n: usize) -> Vec<u32> {
    vec![word(f32::NAN); n]
}

/// Cases of every kernel, at shapes that are no multiple of anything, and at such that are.
fn cases(seed: u64) -> Vec<Case> {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let mut cases = Vec::new();
    for [m, n, k] in [[1, 1, 1], [3, 5, 7], [32, 64, 64], [33, 10, 65], [4, 9, 130], [7, 1, 3]] {
        let [wm, wn, wk] = [m, n, k].map(|extent| extent as u32);
        let offset = 3u32;
        let parameters = floats(3 + n * k + n, rng);
        for relu in [0, 1] {
            cases.push(Case {
                kernel: &linear_forward::LinearForward,
                arguments: vec![floats(m * k, rng), parameters.clone(), poison(m * n)],
                words: vec![wm, wn, wk, relu, offset],
            });
        }
        cases.push(Case {
            kernel: &linear_backward_input::LinearBackwardInput,
            arguments: vec![floats(m * n, rng), parameters.clone(), poison(m * k)],
            words: vec![wm, wn, wk, offset],
        });
        let mut gradient = poison(3 + n * k + n);
        gradient[..3].fill(word(1.0));
        cases.push(Case {
            kernel: &linear_backward_weight::LinearBackwardWeight,
            arguments: vec![floats(m * n, rng), floats(m * k, rng), gradient],
            words: vec![wm, wn, wk, offset],
        });
        cases.push(Case {
            kernel: &relu_backward::ReluBackward,
            arguments: vec![floats(m * n, rng), floats(m * n, rng)],
            words: vec![wm * wn],
        });
        cases.push(Case {
            kernel: &softmax_cross_entropy::SoftmaxCrossEntropy,
            arguments: vec![floats(m * n, rng), below(m, wn, rng), poison(2 * m)],
            words: vec![wm, wn],
        });
        let mut state = vec![0; STATE_WORDS];
        state[advance::STATE_BATCH] = 1;
        state[advance::STATE_POWER_1] = word(0.9);
        state[advance::STATE_POWER_2] = word(0.999);
        cases.push(Case {
            kernel: &gather::Gather,
            arguments: vec![
                floats(9 * k, rng),
                below(9, 10, rng),
                below(2 * m, 9, rng),
                state.clone(),
                poison(m * k),
                poison(m),
            ],
            words: vec![wm, wk],
        });
        let d = m * k;
        let mut with_second = state.clone();
        with_second[advance::STATE_SECOND] = word(0.25);
        let second = floats(d, rng).iter().map(|bits| word(f32::from_bits(*bits).abs())).collect();
        cases.push(Case {
            kernel: &adam::Adam,
            arguments: vec![floats(d, rng), floats(d, rng), floats(d, rng), second, state.clone()],
            words: vec![d as u32, word(0.01), word(0.9), word(0.999), word(1e-8)],
        });
        cases.push(Case {
            kernel: &mean_square::MeanSquare,
            arguments: vec![floats(d, rng), with_second.clone()],
            words: vec![d as u32, word(0.999)],
        });
        cases.push(Case {
            kernel: &adam_common::AdamCommon,
            arguments: vec![floats(d, rng), floats(d, rng), floats(d, rng), with_second],
            words: vec![d as u32, word(0.01), word(0.9), word(1e-8)],
        });
        cases.push(Case {
            kernel: &sgd::Sgd,
            arguments: vec![floats(d, rng), floats(d, rng), floats(d, rng)],
            words: vec![d as u32, word(0.01), word(0.9)],
        });
        let rows = floats(m, rng).into_iter().flat_map(|loss| [loss, 1]).collect();
        cases.push(Case {
            kernel: &advance::Advance,
            arguments: vec![state, rows],
            words: vec![wm, word(0.9), word(0.999)],
        });
        cases.push(Case {
            kernel: &residual::Residual,
            arguments: vec![floats(d, rng), below(d, 1 << 25, rng), poison(d)],
            words: vec![d as u32],
        });
        cases.extend(scatter_cases(d, rng));
    }
    cases
}

fn scatter_cases(d: usize, rng: &mut ChaCha8Rng) -> [Case; 2] {
    let entry = |rng: &mut ChaCha8Rng| [(rng.next_u32() as i32 >> 4) as u32, floats(1, rng)[0]];
    let dense: Vec<u32> = (0..d).flat_map(|_| entry(rng)).collect();
    let sparse: Vec<u32> =
        (0..d).step_by(3).flat_map(|i| [[i as u32].to_vec(), entry(rng).to_vec()].concat()).collect();
    let n = (sparse.len() / 3) as u32;
    // Bases near the end of their range: adds wrap on both sides alike.
    let base = || (0..d).map(|_| (i32::MAX - 5) as u32).collect::<Vec<_>>();
    let kernel = &scatter_add::ScatterAdd;
    [
        Case { kernel, arguments: vec![base(), floats(d, rng), dense], words: vec![d as u32, 1] },
        Case { kernel, arguments: vec![base(), floats(d, rng), sparse], words: vec![n, 0] },
    ]
}

/// The arguments after the case was run.
fn run(case: &Case, executor: &mut dyn Executor) -> Vec<Vec<u32>> {
    let buffers: Vec<_> = case
        .arguments
        .iter()
        .map(|words| {
            let buffer = executor.allocate(words.len()).unwrap();
            executor.write(buffer, 0, words).unwrap();
            buffer
        })
        .collect();
    let dispatches = vec![Dispatch::new(case.kernel, &buffers, &case.words)];
    let prepared = executor.prepare(Recording { dispatches }).unwrap();
    executor.run(prepared, 1).unwrap();
    let read = |(buffer, words): (&crate::engine::Buffer, &Vec<u32>)| {
        let mut out = Vec::new();
        executor.read(*buffer, words.len(), &mut out).unwrap();
        out
    };
    buffers.iter().zip(&case.arguments).map(read).collect()
}

/// Integers must be equal; floats relatively close, in the L2 norm of their argument.
fn assert_close(case: &Case, found: &[Vec<u32>], expected: &[Vec<u32>], tolerance: f64) {
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let both =
            || found.iter().zip(expected).map(|(a, b)| (f64::from(f32::from_bits(*a)), f64::from(f32::from_bits(*b))));
        if found == expected {
            continue;
        }
        let difference: f64 = both().map(|(a, b)| (a - b) * (a - b)).sum();
        let size: f64 = both().map(|(_, b)| b * b).sum();
        let relative = (difference / size.max(1e-30)).sqrt();
        assert!(relative < tolerance, "{} {:?}, argument {i}: {relative}", case.kernel.name(), case.words);
    }
}

#[cfg(feature = "gpu")]
#[test]
fn the_gpu_does_what_the_twin_does() {
    let Some(mut gpu) = gpu() else { return };
    for case in cases(1) {
        let expected = run(&case, &mut CpuExecutor::new(None));
        let found = run(&case, &mut gpu);
        assert_close(&case, &found, &expected, 1e-5);
        for (i, access) in case.kernel.access().iter().enumerate() {
            if *access == Access::Write && case.kernel.name() != "advance" {
                let nan = found[i].iter().any(|bits| *bits == word(f32::NAN));
                assert!(!nan, "{} {:?}: argument {i} is not fully written", case.kernel.name(), case.words);
            }
        }
    }
    // The base is exact.
    for case in cases(2).into_iter().filter(|case| case.kernel.name() == "scatter_add") {
        assert_eq!(run(&case, &mut gpu)[0], run(&case, &mut CpuExecutor::new(None))[0]);
    }
}

#[test]
fn every_kernel_has_cases() {
    let cases = cases(3);
    for kernel in ALL {
        assert!(cases.iter().filter(|case| case.kernel.name() == kernel.name()).count() >= 6, "{}", kernel.name());
    }
}

mod oracle {
    //! The twins against their formulas, naively and in f64.

    use super::*;

    fn values(words: &[u32]) -> Vec<f64> {
        words.iter().map(|bits| f64::from(f32::from_bits(*bits))).collect()
    }

    /// Expected contents of the written arguments, in f64.
    fn expected(case: &Case) -> Option<Vec<(usize, Vec<f64>)>> {
        let a: Vec<Vec<f64>> = case.arguments.iter().map(|words| values(words)).collect();
        let [m, n, k] = [0, 1, 2].map(|i| case.words.get(i).copied().unwrap_or(0) as usize);
        let sum = |count: usize, term: &dyn Fn(usize) -> f64| (0..count).map(term).sum::<f64>();
        Some(match case.kernel.name() {
            "linear_forward" => {
                let relu = case.words[3] != 0;
                let y = (0..m * n).map(|e| {
                    let (i, j) = (e / n, e % n);
                    let z = a[1][3 + n * k + j] + sum(k, &|l| a[0][i * k + l] * a[1][3 + j * k + l]);
                    if relu { z.max(0.0) } else { z }
                });
                vec![(2, y.collect())]
            }
            "linear_backward_input" => {
                let dx = (0..m * k).map(|e| sum(n, &|j| a[0][e / k * n + j] * a[1][3 + j * k + e % k]));
                vec![(2, dx.collect())]
            }
            "linear_backward_weight" => {
                let dw = (0..n * k).map(|e| sum(m, &|i| a[0][i * n + e / k] * a[1][i * k + e % k]));
                let db = (0..n).map(|j| sum(m, &|i| a[0][i * n + j]));
                vec![(2, [1.0; 3].into_iter().chain(dw).chain(db).collect())]
            }
            "softmax_cross_entropy" => {
                let labels = &case.arguments[1];
                let total = |i: usize| sum(n, &|j| a[0][i * n + j].exp());
                let gradient = (0..m * n).map(|e| {
                    let (i, j) = (e / n, e % n);
                    (a[0][e].exp() / total(i) - f64::from(u8::from(labels[i] as usize == j))) / m as f64
                });
                vec![(0, gradient.collect())]
            }
            "adam" => {
                let [rate, b1, b2, epsilon] = [0.01f32, 0.9, 0.999, 1e-8].map(f64::from);
                let step = |i: usize| {
                    let first = b1 * a[2][i] + (1.0 - b1) * a[1][i];
                    let second = b2 * a[3][i] + (1.0 - b2) * a[1][i] * a[1][i];
                    let theta = a[0][i] - rate * (first / (1.0 - b1)) / ((second / (1.0 - b2)).sqrt() + epsilon);
                    [theta, first, second]
                };
                [(0, 0), (2, 1), (3, 2)].map(|(at, part)| (at, (0..m).map(|i| step(i)[part]).collect())).to_vec()
            }
            "mean_square" => {
                let mean = sum(m, &|i| a[0][i] * a[0][i]) / m as f64;
                let mut state = a[1].clone();
                state[advance::STATE_SECOND] = f64::from(0.999f32) * 0.25 + (1.0 - f64::from(0.999f32)) * mean;
                vec![(1, state)]
            }
            "adam_common" => {
                let [rate, b1, b2, epsilon] = [0.01f32, 0.9, 0.999, 1e-8].map(f64::from);
                let first = |i: usize| b1 * a[2][i] + (1.0 - b1) * a[1][i];
                let scale = rate / (1.0 - b1) / ((0.25 / (1.0 - b2)).sqrt() + epsilon);
                vec![(0, (0..m).map(|i| a[0][i] - scale * first(i)).collect()), (2, (0..m).map(first).collect())]
            }
            "sgd" => {
                let [rate, momentum] = [0.01f32, 0.9].map(f64::from);
                let velocity = |i: usize| momentum * a[2][i] + a[1][i];
                vec![(0, (0..m).map(|i| a[0][i] - rate * velocity(i)).collect()), (2, (0..m).map(velocity).collect())]
            }
            "relu_backward" => vec![(1, (0..m).map(|i| if a[0][i] > 0.0 { a[1][i] } else { 0.0 }).collect())],
            "residual" => {
                let base = |i: usize| f64::from(case.arguments[1][i] as i32) / f64::from(1 << 24);
                vec![(2, (0..m).map(|i| a[0][i] - base(i)).collect())]
            }
            _ => return None, // gather, advance, scatter_add: integers and copies, tested below
        })
    }

    #[test]
    fn twins_compute_their_formulas() {
        let mut looked_at = 0;
        for case in cases(4) {
            let found = run(&case, &mut CpuExecutor::new(None));
            for (at, expected) in expected(&case).unwrap_or_default() {
                looked_at += 1;
                let found = values(&found[at]);
                assert_eq!(found.len(), expected.len(), "{}", case.kernel.name());
                let difference: f64 = found.iter().zip(&expected).map(|(a, b)| (a - b) * (a - b)).sum();
                let size: f64 = expected.iter().map(|b| b * b).sum();
                let tolerance = if case.kernel.name().starts_with("linear") { 1e-5 } else { 1e-6 };
                // A gradient of softmax is a difference of numbers near 1; its size may be far below them.
                let floor = 1e-12;
                let relative = (difference / size.max(floor)).sqrt();
                assert!(relative < tolerance, "{} {:?}, argument {at}: {relative}", case.kernel.name(), case.words);
            }
        }
        assert!(looked_at >= 60, "{looked_at}");
    }

    #[test]
    fn gather_picks_the_rows_of_the_current_batch() {
        let case = cases(5).into_iter().find(|case| case.kernel.name() == "gather" && case.words == [3, 7]).unwrap();
        let found = run(&case, &mut CpuExecutor::new(None));
        for i in 0..3 {
            let row = case.arguments[2][3 + i] as usize;
            assert_eq!(found[4][i * 7..(i + 1) * 7], case.arguments[0][row * 7..(row + 1) * 7]);
            assert_eq!(found[5][i], case.arguments[1][row]);
        }
    }

    #[test]
    fn advance_counts_and_sums() {
        let rows = vec![word(0.5), 1, word(0.25), 0, word(1.0), 1];
        let state = vec![4, 4, word(10.0), 7, word(0.9), word(0.5), 0, 0];
        let case =
            Case { kernel: &advance::Advance, arguments: vec![state, rows], words: vec![3, word(0.9), word(0.5)] };
        let found = run(&case, &mut CpuExecutor::new(None));
        assert_eq!(found[0], [5, 5, word(11.75), 9, word(0.9 * 0.9), word(0.25), 0, 0]);
    }

    #[test]
    fn scatter_add_wraps_and_takes_off_what_was_said() {
        let base = vec![i32::MAX as u32, 10, 20];
        let theta = [1.0, 2.0, 3.0].map(word).to_vec();
        let entries = vec![0, 1, word(0.0), 2, (1 << 23) as u32, word(0.75)];
        let case = Case { kernel: &scatter_add::ScatterAdd, arguments: vec![base, theta, entries], words: vec![2, 0] };
        let found = run(&case, &mut CpuExecutor::new(None));
        assert_eq!(found[0], [i32::MIN as u32, 10, 20 + (1 << 23)]);
        assert_eq!(found[1][1..], [word(2.0), word(3.0 + 0.5 - 0.75)]);
    }
}

//! Shapes at which a loop of one invocation goes round tens of thousands of times, and what becomes of them on a driver that ends it.

use super::Expected::Floats;
use super::*;
use crate::engine::products::{Choices, Product, Shape};

/// Numbers that are summed one after the other, so many of them that rounding shows: of single precision.
const LONG: f64 = 1e-4;

/// A norm over one long row: its statistics, and those of its gradient.
fn long_norm(random: &mut Random, c: usize) -> Vec<Case> {
    let (x, dy, parameters) = (random.floats(c), random.floats(c), random.floats(2 * c));
    let [xs, dys, p] = [&x, &dy, &parameters].map(|words| values(words));
    let n = c as f64;
    let mean = xs.iter().sum::<f64>() / n;
    let inverse = 1.0 / (xs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n + 1e-5).sqrt();
    let known = vec![word(mean as f32), word(inverse as f32)];
    let first = sum(c, |i| dys[i] * p[i]) / n;
    let second = sum(c, |i| dys[i] * p[i] * (xs[i] - mean) * inverse) / n;
    let words = [extents([1, 1, c, 1, 0, 0]), vec![word(1e-5)]].concat();
    vec![
        Case {
            kernel: &norm_statistics::NormStatistics,
            arguments: vec![x.clone(), poison(2)],
            words: words.clone(),
            expected: vec![(1, Floats(vec![mean, inverse]))],
            tolerance: PRODUCT,
        },
        Case {
            kernel: &norm_backward_statistics::NormBackwardStatistics,
            arguments: vec![dy, x, parameters, known, poison(2)],
            words,
            expected: vec![(4, Floats(vec![first, second]))],
            tolerance: LONG,
        },
    ]
}

/// The gradient of few weights over many rows, by what is chosen for it where plain kernels are; the sum of its parts.
fn many_rows(random: &mut Random, [m, n, k]: [usize; 3]) -> (Case, usize) {
    let (dy, x) = (random.floats(m * n), random.floats(m * k));
    let shape = Shape::new(Product::BackwardWeight, false, &extents([m, n, k, 0, 1]));
    let preset = Choices::PLAIN.preset(&shape);
    let parts = preset.parts(&shape) as usize;
    let words = extents([m, n, k, 0, 1, parts]);
    let arguments = vec![dy, x, poison(parts * n * k)];
    let kernel = preset.kernel(Product::BackwardWeight, false);
    (Case { kernel, arguments, words, expected: Vec::new(), tolerance: 0.0 }, parts)
}

fn large_ones(executor: &mut dyn Executor, by: &str) {
    let random = &mut Random(ChaCha8Rng::seed_from_u64(7));
    let mut cases = vec![training::softmax(random, 3, 50_304), training::advance(random, 100_003)];
    let kernel = &softmax_cross_entropy_shared::SoftmaxCrossEntropyShared;
    cases.push(Case { kernel, ..training::softmax(random, 3, 50_303) });
    cases.extend(long_norm(random, 60_002));
    cases.extend(training::clipped(random, [3_000_017, 10]).into_iter().take(1));
    for mut case in cases {
        case.tolerance = case.tolerance.max(if case.kernel.name() == "sum_squares" { LONG } else { 0.0 });
        check(executor, &case, BEHIND, by);
    }
    let [m, n, k] = [70_003, 3, 2];
    let (case, parts) = many_rows(random, [m, n, k]);
    let found = values(&run(&case, executor, BEHIND)[2]);
    let [dys, xs] = [0, 1].map(|at| values(&case.arguments[at]));
    for e in 0..n * k {
        let expected = sum(m, |i| dys[i * n + e / k] * xs[i * k + e % k]);
        let found = sum(parts, |part| found[part * n * k + e]);
        // The terms have either sign: their sum is far smaller than they are together.
        assert!(
            (found - expected).abs() < LONG * (m as f64).sqrt(),
            "{} by {by}: {found}, not {expected}",
            case.kernel.name()
        );
    }
}

#[test]
fn twins_compute_large_ones() {
    large_ones(&mut CpuExecutor::new(None), "the twin");
}

#[cfg(feature = "gpu")]
#[test]
fn the_gpu_computes_large_ones() {
    let Some(mut gpu) = gpu() else { return };
    large_ones(&mut gpu, "the GPU");
}

/// Whether there is a loop in it.
fn loops(block: &naga::Block) -> bool {
    block.iter().any(|statement| match statement {
        naga::Statement::Loop { .. } => true,
        naga::Statement::Block(block) => loops(block),
        naga::Statement::If { accept, reject, .. } => loops(accept) || loops(reject),
        naga::Statement::Switch { cases, .. } => cases.iter().any(|case| loops(&case.body)),
        _ => false,
    })
}

#[test]
fn a_kernel_says_how_often_its_loops_go_round_and_what_it_asks_for() {
    for kernel in ALL {
        let module = naga::front::wgsl::parse_str(&source(*kernel)).unwrap();
        let entry = loops(&module.entry_points[0].function.body);
        let looping = entry || module.functions.iter().any(|(_, function)| loops(&function.body));
        assert_eq!(kernel.turns(&[40; WORDS]) > 0, looping, "{}: turns", kernel.name());
        assert!(kernel.cost(&[40; WORDS]).bytes > 0, "{}: bytes", kernel.name());
    }
}

/// Counts the turns of a loop in a loop.
#[cfg(feature = "gpu")]
#[derive(Debug)]
struct Counting;

#[cfg(feature = "gpu")]
impl Kernel for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn wgsl(&self) -> &'static str {
        "#import words
        @group(0) @binding(0) var<storage, read> ones: array<u32>;
        @group(0) @binding(1) var<storage, read_write> turns: array<u32>;
        @group(0) @binding(2) var<uniform> words: Words;
        @compute @workgroup_size(1)
        fn main() {
            var count = 0u;
            for (var i = 0u; i < words.a.x; i++) {
                for (var j = 0u; j < words.a.y; j++) {
                    count += ones[(i + j) % 4u];
                }
            }
            turns[0] = count;
        }"
    }

    fn access(&self) -> &'static [Access] {
        &[Access::Read, Access::Write]
    }

    fn grid(&self, _: &[u32; WORDS]) -> Grid {
        Grid { invocations: [1, 1], workgroup: [1, 1] }
    }

    fn cost(&self, _: &[u32; WORDS]) -> Cost {
        Cost::default()
    }

    fn twin(&self, _: &mut [Argument<'_>], _: &[u32; WORDS]) {}
}

/// All loops of an invocation count together, inner ones for each turn of the outer one: what `loops` says of them is what a driver does.
#[cfg(feature = "gpu")]
#[test]
fn a_driver_ends_loops_no_earlier_than_we_think() {
    let Some(mut gpu) = gpu() else { return };
    let Some(most) = gpu.info().loop_turns_max else { return };
    // An outer turn takes its inner ones, the last look of that loop, and itself.
    let fits = |outer: u64, inner: u64| outer * (inner + 2) < most;
    for [outer, inner] in [[1, most - 4], [most / 12, 10], [250, 260]] {
        assert!(fits(outer, inner), "{outer} {inner}");
        let case = Case {
            kernel: &Counting,
            arguments: vec![vec![1; 4], poison(1)],
            words: extents([outer as usize, inner as usize]),
            expected: Vec::new(),
            tolerance: 0.0,
        };
        assert_eq!(run(&case, &mut gpu, 0)[1], [(outer * inner) as u32], "{outer} turns of {inner}");
    }
}

#[cfg(feature = "gpu")]
#[test]
fn what_a_driver_would_end_is_refused() {
    let Some(mut gpu) = gpu() else { return };
    gpu.limit_turns(65_535);
    let buffers = [(); 3].map(|()| gpu.allocate(4).unwrap());
    let softmax = |classes: u32| Dispatch::new(&softmax_cross_entropy::SoftmaxCrossEntropy, &buffers, &[1, classes]);
    assert!(gpu.prepare(Recording { dispatches: vec![softmax(80_000)] }).is_ok());
    let error = gpu.prepare(Recording { dispatches: vec![softmax(90_000)] }).unwrap_err().to_string();
    assert!(["softmax_cross_entropy", "65535", "--device cpu"].iter().all(|part| error.contains(part)), "{error}");
    let prepared = gpu.prepare(Recording { dispatches: vec![softmax(10)] }).unwrap();
    assert!(gpu.set_words(prepared, 0, &[1, 90_000]).is_err(), "later, too");
}

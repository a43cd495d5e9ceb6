//! What holds for every kernel in [`ALL`]: naga accepts it, it fits WebGPU, and at 200 random shapes both the twin and the GPU
//! compute the formula, which stands here once more: naively, in f64.
//!
//! A file of `tests/` holds the cases of a family of kernels. A backward kernel is held against the central differences of the
//! forward formula ([`derivative`]), so that no mistake is made twice in the same way. Outputs are poisoned with NaN first.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod delta;
mod half;
mod large;
mod linear;
mod norm;
mod picture;
mod text;
mod training;

use std::cell::RefCell;

use proptest::prelude::any;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::*;
use crate::engine::cpu::CpuExecutor;
use crate::engine::{Buffer, Dispatch, Executor, Recording};
use crate::wgsl::source;

/// Random shapes of a kernel.
const SHAPES: u32 = 200;
/// The same of a kernel as hardware gets it: software Vulkan takes far longer over those.
#[cfg(feature = "gpu")]
const HARDWARE_SHAPES: u32 = 8;
/// Words of a buffer behind what a kernel is to see; in every other case there are none.
const BEHIND: usize = 70;
/// Relative L2 distance to the formula: of sums of products.
const PRODUCT: f64 = 1e-5;
/// Of sums of products of operands of f16, each rounded by up to 2^-11 of itself.
const HALF_PRODUCT: f64 = 1e-2;
/// Of what is done number by number.
const ELEMENT: f64 = 1e-6;

/// Whether the workgroups of a kernel share memory and wait for each other, which software Vulkan pays for dearly.
fn waits(kernel: &dyn Kernel) -> bool {
    source(kernel).contains("var<workgroup>")
}

/// Bytes of workgroup memory that all of WebGPU grants.
const SHARED_BYTES_MAX: u32 = 16_384;

/// Every family: one case of each of its kernels, at a random shape.
const FAMILIES: &[fn(&mut Random) -> Vec<Case>] =
    &[delta::cases, linear::cases, norm::cases, picture::cases, text::cases, training::cases];

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
        let text = source(*kernel);
        let module = naga::front::wgsl::parse_str(&text)
            .unwrap_or_else(|error| panic!("{}: {}", kernel.name(), error.emit_to_string(&text)));
        let half = if kernel.needs_f16() {
            naga::valid::Capabilities::SHADER_FLOAT16
        } else {
            naga::valid::Capabilities::empty()
        };
        naga::valid::Validator::new(naga::valid::ValidationFlags::all(), half)
            .validate(&module)
            .unwrap_or_else(|error| panic!("{}: {error:?}", kernel.name()));
        assert!(kernel.access().len() < ARGUMENTS_MAX, "{}", kernel.name());
        let entry = &module.entry_points[0];
        let [x, y] = kernel.grid(&[1; WORDS]).workgroup;
        assert_eq!(entry.workgroup_size, [x, y, 1], "{}: mod.rs and kernel.wgsl disagree", kernel.name());
        let shared =
            module.global_variables.iter().filter(|(_, variable)| variable.space == naga::AddressSpace::WorkGroup);
        let bytes: u32 = shared.map(|(_, variable)| module.types[variable.ty].inner.size(module.to_ctx())).sum();
        assert_eq!(bytes > 0, waits(*kernel), "{}: workgroup memory", kernel.name());
        assert!(bytes <= SHARED_BYTES_MAX, "{}: {bytes} bytes of workgroup memory", kernel.name());
        assert!(entry.workgroup_size.iter().product::<u32>() <= 256, "{}", kernel.name());
        let storage = module.global_variables.iter().filter_map(|(_, variable)| match variable.space {
            naga::AddressSpace::Storage { access } => Some(access.contains(naga::StorageAccess::STORE)),
            _ => None,
        });
        let declared = kernel.access().iter().map(|access| *access == Access::Write);
        assert!(storage.eq(declared), "{}: access in mod.rs and kernel.wgsl disagree", kernel.name());
        // The same with its words in storage: one storage buffer more, which all of WebGPU grants, and no uniform.
        let text = crate::wgsl::source_with_words_in_storage(*kernel);
        let module = naga::front::wgsl::parse_str(&text).unwrap_or_else(|error| panic!("{}: {error}", kernel.name()));
        naga::valid::Validator::new(naga::valid::ValidationFlags::all(), half)
            .validate(&module)
            .unwrap_or_else(|error| panic!("{}: {error:?}", kernel.name()));
        let count = |wanted: fn(naga::AddressSpace) -> bool| {
            module.global_variables.iter().filter(|(_, variable)| wanted(variable.space)).count()
        };
        let bound = count(|space| matches!(space, naga::AddressSpace::Storage { .. }));
        assert_eq!(bound, kernel.access().len() + 1, "{}", kernel.name());
        assert!(
            bound <= ARGUMENTS_MAX && count(|space| space == naga::AddressSpace::Uniform) == 0,
            "{}",
            kernel.name()
        );
    }
}

/// Random numbers of a case.
struct Random(ChaCha8Rng);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0.next_u32() as usize % bound
    }

    /// 1 to `most`.
    fn extent(&mut self, most: usize) -> usize {
        1 + self.below(most)
    }

    /// In -1..1.
    fn float(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0
    }

    fn floats(&mut self, n: usize) -> Vec<u32> {
        (0..n).map(|_| word(self.float())).collect()
    }

    fn indices(&mut self, n: usize, bound: usize) -> Vec<u32> {
        (0..n).map(|_| self.below(bound) as u32).collect()
    }
}

/// What a kernel must overwrite: it shows when it does not.
fn poison(n: usize) -> Vec<u32> {
    vec![word(f32::NAN); n]
}

/// Ones as far as a kernel must leave a buffer alone, then poison.
fn behind(offset: usize, n: usize) -> Vec<u32> {
    [vec![word(1.0); offset], poison(n)].concat()
}

fn values(words: &[u32]) -> Vec<f64> {
    words.iter().map(|bits| f64::from(f32::from_bits(*bits))).collect()
}

fn sum(count: usize, term: impl Fn(usize) -> f64) -> f64 {
    (0..count).map(term).sum()
}

/// Derivative of a scalar by each number of x, by central differences.
fn derivative(x: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let step = 1e-4;
    let mut x = x.to_vec();
    (0..x.len())
        .map(|i| {
            let middle = x[i];
            x[i] = middle + step;
            let above = f(&x);
            x[i] = middle - step;
            let below = f(&x);
            x[i] = middle;
            (above - below) / (2.0 * step)
        })
        .collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// What an argument holds afterwards.
#[derive(Debug)]
enum Expected {
    Floats(Vec<f64>),
    Words(Vec<u32>),
    /// What is no number in says nothing out.
    Anything,
}

/// A dispatch on random numbers: the contents of its arguments before, its words, and what it is to write.
struct Case {
    kernel: &'static dyn Kernel,
    arguments: Vec<Vec<u32>>,
    words: Vec<u32>,
    /// For every argument that it writes.
    expected: Vec<(usize, Expected)>,
    tolerance: f64,
}

/// Words of a dispatch out of extents.
fn extents<const N: usize>(extents: [usize; N]) -> Vec<u32> {
    extents.map(|extent| extent as u32).to_vec()
}

/// How far a sum of products may be from its formula.
fn product_tolerance(kernel: &dyn Kernel) -> f64 {
    if kernel.needs_f16() { HALF_PRODUCT } else { PRODUCT }
}

/// The arguments after the case was run.
fn run(case: &Case, executor: &mut dyn Executor, behind: usize) -> Vec<Vec<u32>> {
    let buffers: Vec<_> = case
        .arguments
        .iter()
        .map(|words| {
            // A place may be larger than what lies in it: behind it there is poison, which nobody may read or write.
            let buffer = executor.allocate(words.len() + behind).unwrap();
            executor.write(buffer, 0, &[&words[..], &poison(behind)].concat()).unwrap();
            buffer
        })
        .collect();
    let dispatches = vec![Dispatch::new(case.kernel, &buffers, &case.words)];
    let prepared = executor.prepare(Recording { dispatches }).unwrap();
    executor.run(prepared, 1).unwrap();
    let read = |(buffer, words): (&Buffer, &Vec<u32>)| {
        let mut out = Vec::new();
        executor.read(*buffer, words.len() + behind, &mut out).unwrap();
        assert_eq!(out.split_off(words.len()), poison(behind), "{} writes past its end", case.kernel.name());
        out
    };
    buffers.iter().zip(&case.arguments).map(read).collect()
}

/// The arguments are what the formula says; integers to the bit, floats within the tolerance. A NaN is within none.
fn assert_computed(case: &Case, found: &[Vec<u32>], by: &str) {
    let what = || format!("{} {:?} by {by}", case.kernel.name(), case.words);
    for (at, expected) in &case.expected {
        match expected {
            Expected::Anything => {}
            Expected::Words(expected) => assert_eq!(&found[*at], expected, "{}, argument {at}", what()),
            Expected::Floats(expected) => {
                let found = values(&found[*at]);
                assert_eq!(found.len(), expected.len(), "{}, argument {at}", what());
                let difference: f64 = found.iter().zip(expected).map(|(a, b)| (a - b) * (a - b)).sum();
                // A gradient may be a difference of numbers near 1 and itself far below them.
                let size: f64 = expected.iter().map(|b| b * b).sum::<f64>().max(1e-6);
                let relative = (difference / size).sqrt();
                assert!(relative < case.tolerance, "{}, argument {at}: {relative:e}", what());
            }
        }
    }
}

/// The same shapes every time: what a shape is drawn from is told with what fails at it.
fn every_shape(executor: &mut dyn Executor, family: fn(&mut Random) -> Vec<Case>, by: &str, shapes: u32) {
    // What is drawn from a smaller number is no smaller shape.
    let config = Config { cases: shapes, max_shrink_iters: 0, failure_persistence: None, ..Config::default() };
    let executor = RefCell::new(executor);
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let result = runner.run(&(any::<u64>(), any::<bool>()), |(seed, behind)| {
        let executor: &mut dyn Executor = &mut **executor.borrow_mut();
        for case in family(&mut Random(ChaCha8Rng::seed_from_u64(seed))) {
            check(executor, &case, if behind { BEHIND } else { 0 }, by);
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// Runs a case and holds it against its formula.
fn check(executor: &mut dyn Executor, case: &Case, behind: usize, by: &str) {
    if case.kernel.needs_f16() && executor.info().backend != "cpu" && !executor.info().f16 {
        return;
    }
    let written: Vec<_> = case.expected.iter().map(|(at, _)| *at).collect();
    let declared = case.kernel.access().iter().enumerate().filter(|(_, access)| **access == Access::Write);
    assert!(declared.map(|(at, _)| at).eq(written), "{}: an output without a formula", case.kernel.name());
    assert_computed(case, &run(case, executor, behind), by);
}

#[test]
fn twins_compute_their_formulas() {
    for family in FAMILIES {
        every_shape(&mut CpuExecutor::new(None), *family, "the twin", SHAPES);
    }
}

#[cfg(feature = "gpu")]
#[test]
fn the_gpu_computes_them_too() {
    for family in FAMILIES {
        let Some(mut gpu) = gpu() else { return };
        every_shape(&mut gpu, *family, "the GPU", SHAPES);
    }
}

/// The words of a dispatch are in storage where a driver computes on the CPU: what a GPU runs is another text.
#[cfg(feature = "gpu")]
#[test]
fn what_hardware_is_given_computes_them_too() {
    for family in FAMILIES {
        let Some(mut gpu) = gpu() else { return };
        gpu.count_as_hardware();
        every_shape(&mut gpu, *family, "the GPU, words in a uniform", HARDWARE_SHAPES);
    }
}

/// WebGPU grants 65,535 workgroups along an axis: what needs more is folded, and must still come by every number once. A long
/// grid with rows of its own must not be.
#[cfg(feature = "gpu")]
#[test]
fn a_long_grid_comes_by_every_number_once() {
    let Some(mut gpu) = gpu() else { return };
    let random = &mut Random(ChaCha8Rng::seed_from_u64(1));
    let (long, wide) = (65_536 * 64 + 3, GROUPS_X_MAX as usize * 32 + 3);
    let sum = (&accumulate::Accumulate as &dyn Kernel, vec![random.floats(long), random.floats(long)], [long, 1, 0]);
    let product = (
        &linear_forward::LinearForward as &dyn Kernel,
        vec![random.floats(2), random.floats(2 * wide), poison(2 * wide)],
        [2, wide, 1],
    );
    for ((kernel, arguments, words), axes) in [(sum, 2), (product, 1)] {
        let case = Case { kernel, arguments, words: extents(words), expected: Vec::new(), tolerance: 0.0 };
        let mut all = [0; WORDS];
        all[..3].copy_from_slice(&case.words);
        let groups = kernel.grid(&all).groups();
        assert_eq!((groups[0] >= GROUPS_X_MAX, groups.iter().filter(|n| **n > 1).count()), (true, axes), "{groups:?}");
        let by_gpu = run(&case, &mut gpu, BEHIND);
        let by_twin = run(&case, &mut CpuExecutor::new(None), BEHIND);
        // One sum or product of two numbers: the same bits, wherever.
        let wrong = |(gpu, twin): (&Vec<u32>, &Vec<u32>)| gpu.iter().zip(twin).position(|(gpu, twin)| gpu != twin);
        let wrong: Vec<_> = by_gpu.iter().zip(&by_twin).filter_map(wrong).collect();
        assert_eq!(wrong, [0; 0], "{}: the first numbers that differ", kernel.name());
    }
}

#[test]
fn every_kernel_has_cases() {
    let random = &mut Random(ChaCha8Rng::seed_from_u64(3));
    let cases: Vec<_> = FAMILIES.iter().flat_map(|family| family(random)).collect();
    for kernel in ALL {
        assert!(cases.iter().any(|case| case.kernel.name() == kernel.name()), "{}", kernel.name());
    }
}

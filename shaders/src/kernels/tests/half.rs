//! What f16 must not cost: long sums, small gradients, large numbers. At random shapes its kernels have the cases of all tiles.

use super::*;
use crate::engine::products::{Preset, Product};
use crate::kernels::tiles::GRADIENT_SCALE;

/// A product of M x K and K x N by f16, of constants: of the twin, and of the GPU where there is one that has f16.
fn constants(product: Product, [m, n, k]: [usize; 3], [a, b]: [f32; 2]) -> Vec<Vec<f32>> {
    // M, N and K of the words: of the gradient of weights, rows and columns are N and K.
    let words = match product {
        Product::Forward => vec![m, n, k, 0, 0, 1],
        Product::BackwardInput => vec![m, k, n, 0],
        _ => vec![k, m, n, 0, 1, 1],
    };
    let arguments = vec![vec![word(a); m * k], vec![word(b); n * k], poison(m * n)];
    let words = words.into_iter().map(|word| word as u32).collect();
    let kernel = Preset::Half64.kernel(product, false);
    let case = Case { kernel, arguments, words, expected: Vec::new(), tolerance: 0.0 };
    let floats = |mut found: Vec<Vec<u32>>| found.remove(2).into_iter().map(f32::from_bits).collect();
    let mut all = vec![floats(run(&case, &mut CpuExecutor::new(None), 0))];
    #[cfg(feature = "gpu")]
    if let Some(mut gpu) = gpu().filter(|gpu| gpu.info().f16) {
        all.push(floats(run(&case, &mut gpu, 0)));
    }
    all
}

fn assert_all(found: &[Vec<f32>], expected: f32, what: &str) {
    for numbers in found {
        for number in numbers {
            assert!(((number - expected) / expected).abs() < 1e-3, "{what}: {number}, not {expected}");
        }
    }
}

const BACKWARD: [Product; 2] = [Product::BackwardInput, Product::BackwardWeight];
const ALL_LINEAR: [Product; 3] = [Product::Forward, Product::BackwardInput, Product::BackwardWeight];

/// A sum of ones in f16 ends at 2048.
#[test]
fn sums_are_of_single_precision() {
    for product in ALL_LINEAR {
        assert_all(&constants(product, [3, 5, 5000], [1.0; 2]), 5000.0, product.name());
    }
}

/// Far below the least f16, 6e-8, and the least one that is not subnormal, 6e-5.
#[test]
fn small_gradients_do_not_vanish() {
    for product in BACKWARD {
        for small in [1e-3, 1.3e-6, 1.7e-8] {
            assert_all(&constants(product, [4, 3, 40], [small, 0.7]), 40.0 * 0.7 * small, product.name());
        }
    }
}

/// Beyond what f16 holds there is the largest f16, and no infinity.
#[test]
fn what_is_too_large_is_clamped() {
    let largest = 65504.0;
    let of_gradients = largest / GRADIENT_SCALE as f32;
    for product in BACKWARD {
        for sign in [1.0, -1.0] {
            let found = constants(product, [4, 3, 20], [sign * 1e30, 0.5]);
            assert_all(&found, sign * 10.0 * of_gradients, product.name());
        }
    }
    assert_all(&constants(Product::Forward, [4, 3, 20], [1e6, -1e6]), -20.0 * largest * largest, "forward");
}

/// By either operand, and by every kernel that rounds.
#[test]
fn what_is_no_number_stays_none() {
    for product in ALL_LINEAR {
        for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for operands in [[broken, 0.5], [0.5, broken]] {
                for numbers in constants(product, [4, 3, 20], operands) {
                    let what = product.name();
                    assert!(numbers.iter().all(|number| !number.is_finite()), "{what} of {operands:?}: {numbers:?}");
                }
            }
        }
    }
}

/// Operands of six bits, so that neither rounding nor short sums lose anything: the same to the bit, however a device rounds.
#[cfg(feature = "gpu")]
#[test]
fn the_gpu_computes_what_the_twin_computes() {
    let Some(mut gpu) = gpu().filter(|gpu| gpu.info().f16) else { return };
    let random = &mut Random(ChaCha8Rng::seed_from_u64(5));
    for product in ALL_LINEAR {
        let [m, n, k] = [70, 66, 9];
        let mut few = |n: usize| (0..n).map(|_| word(random.below(64) as f32 / 32.0 - 1.0)).collect::<Vec<_>>();
        let (first, second, third) = match product {
            Product::Forward => (few(m * k), few(n * k), m * n),
            Product::BackwardInput => (few(m * n), few(n * k), m * k),
            _ => (few(m * n), few(m * k), n * k),
        };
        let kernel = Preset::Half64.kernel(product, false);
        let words = match product {
            Product::Forward => extents([m, n, k, 0, 0, 1]),
            Product::BackwardInput => extents([m, n, k, 0]),
            _ => extents([m, n, k, 0, 1, 1]),
        };
        let case =
            Case { kernel, arguments: vec![first, second, poison(third)], words, expected: Vec::new(), tolerance: 0.0 };
        let by_twin = run(&case, &mut CpuExecutor::new(None), BEHIND);
        assert_eq!(run(&case, &mut gpu, BEHIND), by_twin, "{}", kernel.name());
    }
}

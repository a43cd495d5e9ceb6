//! Plain loops that a compiler turns into vectors: e^z, sums, the largest. Called on a processor's widest vectors
//! (`threads::share_parts`, `threads::wide`), they take as many numbers at a time as it has lanes, and make the same bits on all.

/// ln 2 in two parts, the first with few digits, so that a small multiple of it is exact.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
/// 1.5 * 2^23: what is added to it has no digits left behind the point.
const WHOLE: f32 = 12_582_912.0;
/// Where e^z is a normal number.
const EXPONENT: [f32; 2] = [-87.3, 88.0];

/// e^z to an ulp or two (the polynomial of Cephes' expf), that of the nearest end beyond -87.3 and 88, NaN for NaN.
///
/// Of multiplications, additions and bits alone: a loop takes as many numbers at a time as the processor has lanes, where the library's
/// function is called for each.
#[inline(always)]
pub(super) fn exp(z: f32) -> f32 {
    let z = z.clamp(EXPONENT[0], EXPONENT[1]);
    let shifted = z * std::f32::consts::LOG2_E + WHOLE;
    let n = shifted - WHOLE;
    let r = z - n * LN_2[0] - n * LN_2[1];
    let p = 1.987_569_2e-4 * r + 1.398_199_9e-3;
    let p = ((p * r + 8.333_452e-3) * r + 4.166_579_6e-2) * r + 1.666_666_5e-1;
    let p = ((p * r + 0.5) * r * r + r) + 1.0;
    // n is in the lowest bits of `shifted`, and becomes the exponent.
    p * f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23))
}

/// The sum of `f` over what lies side by side in slices of one length, in eight sums: an order as good as another one, and eight
/// times as fast.
#[inline(always)]
pub(super) fn sum_by<const N: usize>(slices: [&[f32]; N], f: impl Fn([f32; N]) -> f32) -> f32 {
    let lanes = slices.map(|slice| slice.as_chunks::<8>().0);
    let rests = slices.map(|slice| slice.as_chunks::<8>().1);
    let mut sums = [0.0f32; 8];
    for i in 0..lanes[0].len() {
        let lanes = lanes.map(|lanes| &lanes[i]);
        for (l, sum) in sums.iter_mut().enumerate() {
            *sum += f(lanes.map(|lane| lane[l]));
        }
    }
    let rest: f32 = (0..rests[0].len()).map(|i| f(rests.map(|rest| rest[i]))).sum();
    sums.iter().sum::<f32>() + rest
}

/// See [`sum_by`].
#[inline(always)]
pub(super) fn sum(values: &[f32]) -> f32 {
    sum_by([values], |[value]| value)
}

/// The largest number; what is none is passed over.
#[inline(always)]
pub(super) fn largest(values: &[f32]) -> f32 {
    let (lanes, rest) = values.as_chunks::<8>();
    let mut best = [f32::MIN; 8];
    lanes.iter().for_each(|lane| best.iter_mut().zip(lane).for_each(|(best, value)| *best = best.max(*value)));
    best.iter().chain(rest).copied().fold(f32::MIN, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_ulps_and_ends_in_numbers() {
        for i in -87_300..88_000 {
            let z = i as f32 / 1000.0;
            let wanted = f64::from(z).exp();
            let error = (f64::from(exp(z)) - wanted).abs() / wanted;
            assert!(error < 2.0 * f64::from(f32::EPSILON), "exp {z}: {error:e}");
        }
        assert_eq!(exp(0.0), 1.0);
        let ends = [f32::NEG_INFINITY, -1000.0, 1000.0, f32::INFINITY].map(exp);
        assert!(ends.iter().all(|end| end.is_normal()) && ends[0] < 1.3e-38 && ends[3] > 1e38, "{ends:?}");
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn sums_and_the_largest_see_every_number() {
        for n in [1, 7, 8, 9, 100] {
            let values: Vec<f32> = (0..n).map(|i| (i * 37 % n) as f32 - 3.0).collect();
            assert_eq!(sum(&values), values.iter().sum::<f32>());
            assert_eq!(sum_by([&values, &values], |[a, b]| a - b), 0.0);
            assert_eq!(largest(&values), (n - 1) as f32 - 3.0);
        }
        assert!(sum(&[1.0, f32::NAN]).is_nan() && largest(&[f32::NAN, 1.0]) == 1.0);
    }
}

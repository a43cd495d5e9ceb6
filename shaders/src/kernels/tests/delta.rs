//! What a delta is made of: lengths of the residual, and its largest numbers.

use protocol::codec::{self, CHUNK, Decoded, Packing};
use protocol::fixed::{Weight, to_f32};

use super::Expected::{Anything, Floats, Words};
use super::*;

pub(super) fn cases(random: &mut Random) -> Vec<Case> {
    vec![measure_case(random), base_weights_case(random), select_case(random), decode_case(random)]
}

fn measure_case(random: &mut Random) -> Case {
    let d = random.extent(1000);
    let s = random.extent(d);
    let base = random.indices(d, 1 << 25);
    let mut theta = random.floats(d);
    let (t, b) = (values(&theta), base.iter().map(|&b| f64::from(b) / f64::from(1 << 24)).collect::<Vec<_>>());
    let part = |of: &dyn Fn(usize) -> f64, s0: usize| (s0..d).step_by(s).map(of).sum::<f64>();
    let mut squares: Vec<f64> = (0..s).map(|s0| part(&|i| (t[i] - b[i]).powi(2), s0)).collect();
    squares.extend((0..s).map(|s0| part(&|i| b[i] * b[i], s0)));
    let mut expected = vec![(2, Floats(squares)), (3, Words(vec![0; s]))];
    // In every second case some weights are no numbers: they are counted, and the sums say nothing.
    if random.below(2) == 0 {
        let mut broken = vec![0; s];
        for i in (0..d).step_by(1 + random.below(40)) {
            theta[i] = word([f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -f32::NAN][i % 4]);
            broken[i % s] += 1;
        }
        expected = vec![(2, Anything), (3, Words(broken))];
    }
    Case {
        kernel: &residual_measure::ResidualMeasure,
        arguments: vec![theta, base, poison(2 * s), poison(s)],
        words: extents([d, s]),
        expected,
        tolerance: ELEMENT,
    }
}

fn base_weights_case(random: &mut Random) -> Case {
    let d = random.extent(300);
    let base: Vec<u32> = (0..d).map(|_| random.0.next_u32()).collect();
    let weights = base.iter().map(|&b| f64::from(b as i32) / f64::from(1 << 24)).collect();
    Case {
        kernel: &base_weights::BaseWeights,
        arguments: vec![base, poison(d)],
        words: vec![d as u32],
        expected: vec![(1, Floats(weights))],
        tolerance: ELEMENT,
    }
}

fn select_case(random: &mut Random) -> Case {
    let d = random.extent(3 * CHUNK);
    let kept = [16, 32, 64, 128, 256][random.below(5)];
    // Few different numbers make many ties, zeros among them; all zero is a case of its own.
    let kinds = [0, 1, 3, 50, 1 << 20][random.below(5)] as f32;
    let theta: Vec<f32> = (0..d).map(|_| (random.float() * kinds).round() / 64.0).collect();
    let base: Vec<i32> =
        (0..d).map(|i| if kinds > 1.0 && i % 3 == 0 { random.below(1 << 12) as i32 } else { 0 }).collect();
    let factor = if random.below(2) == 0 { 1.0 } else { random.float().abs() };
    let e: Vec<f32> =
        theta.iter().zip(&base).map(|(t, &b)| factor * (t - (f64::from(b) / f64::from(1 << 24)) as f32)).collect();
    let mut pairs = Vec::new();
    for (chunk, e) in e.chunks(CHUNK).enumerate() {
        let mut places: Vec<usize> = (0..e.len()).collect();
        places.sort_by(|&a, &b| e[b].abs().total_cmp(&e[a].abs()));
        places.truncate((e.len() * kept).div_ceil(CHUNK));
        places.sort_unstable();
        pairs.extend(places.iter().flat_map(|&i| [(chunk * CHUNK + i) as u32, e[i].to_bits()]));
    }
    Case {
        kernel: &select_largest::SelectLargest,
        arguments: vec![
            theta.into_iter().map(word).collect(),
            base.into_iter().map(|b| b as u32).collect(),
            poison(pairs.len()),
        ],
        words: vec![d as u32, kept as u32, word(factor)],
        expected: vec![(2, Words(pairs))],
        tolerance: 0.0,
    }
}

/// What `protocol` decodes of a payload, added as it says: to the bit.
fn decode_case(random: &mut Random) -> Case {
    let sparse: Vec<_> = codec::ALL.iter().filter_map(|codec| Some((codec, codec.density()?))).collect();
    let (codec, density) = sparse[random.below(sparse.len())];
    let d = random.extent(3 * CHUNK);
    let residual: Vec<f32> = (0..d).map(|_| random.float().powi(3)).collect();
    let mut payload = Vec::new();
    codec.encode(&residual, &mut payload);
    let weight = [Weight::HALF, Weight::ONE][random.below(2)];
    let packing = [Packing::Heard, Packing::Own, Packing::Retracted][random.below(3)];
    let (mut decoded, mut packed) = (Decoded::default(), Vec::new());
    codec.decode(&payload, d, weight, &mut decoded).unwrap();
    density.pack(&payload, d, weight, packing, &mut packed).unwrap();
    // A base near the end of its range: adds wrap on both sides alike.
    let base: Vec<i32> = (0..d).map(|_| i32::MAX - random.below(1 << 20) as i32).collect();
    let theta: Vec<f32> = (0..d).map(|_| random.float()).collect();
    let (mut base_after, mut theta_after) = (base.clone(), theta.clone());
    for (i, value, add) in decoded.iter() {
        let add = if packing == Packing::Retracted { -add } else { add };
        base_after[i] = base_after[i].wrapping_add(add);
        theta_after[i] += to_f32(add) - if packing == Packing::Own { value } else { 0.0 };
    }
    let integers = |of: Vec<i32>| of.into_iter().map(|b| b as u32).collect::<Vec<_>>();
    let floats = |of: Vec<f32>| of.into_iter().map(word).collect::<Vec<_>>();
    Case {
        kernel: &decode_top_k_2bit::DecodeTopK2Bit,
        arguments: vec![integers(base), floats(theta), packed],
        words: extents([d, density.kept, packing.table_words()]),
        expected: vec![(0, Words(integers(base_after))), (1, Words(floats(theta_after)))],
        tolerance: 0.0,
    }
}

//! Conformance of every codec in [`ALL`], and what is particular to one.

use proptest::prelude::*;

use super::*;
use crate::fixed::{CONTRIBUTION_MAX, to_f32};

fn decode(codec: &dyn Codec, payload: &[u8], parameters: usize, weight: Weight) -> Result<Decoded, CodecError> {
    let mut out = Decoded::default();
    codec.decode(payload, parameters, weight, &mut out).map(|()| out)
}

fn encode(codec: &dyn Codec, residual: &[f32]) -> Vec<u8> {
    let mut payload = Vec::new();
    codec.encode(residual, &mut payload);
    payload
}

fn residual() -> impl Strategy<Value = Vec<f32>> {
    // Lengths around chunk borders; magnitudes as training makes them, with zeros and ties among them.
    let length = prop_oneof![1usize..200, 4090usize..4100, 8190usize..8200];
    length.prop_flat_map(|n| prop::collection::vec(prop_oneof![4 => -0.1f32..0.1, 1 => Just(0.0), 1 => Just(0.05)], n))
}

#[test]
fn names_and_wire_ids_are_unique_and_lead_back() {
    for (i, codec) in ALL.iter().enumerate() {
        assert_eq!(by_name(codec.name()).map(Codec::wire_id), Some(codec.wire_id()));
        assert_eq!(by_wire_id(codec.wire_id()).map(Codec::name), Some(codec.name()));
        assert!(ALL[..i].iter().all(|other| other.name() != codec.name() && other.wire_id() != codec.wire_id()));
    }
    assert!(by_name("dense_f64").is_none() && by_wire_id(255).is_none());
}

#[test]
fn a_full_model_is_as_much_smaller_as_the_docs_say() {
    let parameters = 101_770;
    let dense = DenseF32.payload_bytes_max(parameters);
    let sparse = TopK2Bit.payload_bytes_max(parameters);
    assert_eq!((dense, sparse), (407_080, 24 * 114 + 99));
    assert!(dense / sparse >= 143, "{dense} / {sparse}");
    // "...: Nx smaller than f32" in the line about a codec is what a model of full chunks saves.
    for codec in ALL {
        let Some(claim) = codec.about().rsplit_once("x smaller").and_then(|(text, _)| text.rsplit(' ').next()) else {
            continue;
        };
        let found = (4 * 4096 * 100) as f64 / codec.payload_bytes_max(4096 * 100) as f64;
        let claim: f64 = claim.parse().expect("a number");
        assert!((found / claim - 1.0).abs() < 0.02, "{}: {found}, not {claim}", codec.name());
    }
}

#[test]
fn zero_says_nothing_and_stays_zero() {
    for codec in ALL {
        let decoded = decode(*codec, &encode(*codec, &[0.0; 5000]), 5000, Weight::HALF).expect("own bytes decode");
        assert!(decoded.iter().all(|(_, value, add)| value == 0.0 && add == 0), "{}", codec.name());
    }
}

#[test]
fn the_largest_magnitudes_are_kept_and_ties_go_to_the_lower_index() {
    let mut residual = vec![0.25f32; 128];
    residual[100] = -1.0;
    let decoded = decode(&TopK2Bit, &encode(&TopK2Bit, &residual), 128, Weight::ONE).expect("own bytes decode");
    assert_eq!(decoded.indices, [0, 100]);
    assert!(decoded.values[0] > 0.0 && decoded.values[1] < 0.0);
}

#[test]
fn error_feedback_says_everything_in_the_end() {
    for codec in ALL {
        let mut residual: Vec<f32> = (0..4500).map(|i| ((i * 7919 % 1000) as f32 - 500.0) / 5000.0).collect();
        let energy = |residual: &[f32]| residual.iter().map(|r| r * r).sum::<f32>();
        let begin = energy(&residual);
        // The sparsest says 16 of 4,096 at a time: 256 rounds to name each element once.
        let mut rounds = 0;
        while rounds < 2000 && energy(&residual) >= 1e-3 * begin {
            rounds += 1;
            let decoded =
                decode(*codec, &encode(*codec, &residual), residual.len(), Weight::ONE).expect("own bytes decode");
            for (i, value, _) in decoded.iter() {
                residual[i] -= value;
            }
        }
        let end = energy(&residual);
        assert!(end < 1e-3 * begin, "{}: {begin} -> {end} in {rounds} rounds", codec.name());
    }
}

/// Bytes that other releases say and hear, and the contributions that they mean. A change here is a change of
/// `schema::CODEC_VERSION`.
#[test]
fn golden_payloads_and_contributions() {
    let residual: Vec<f32> = (0..4400i64).map(|i| ((i * 7919 % 2003) as f32 - 1001.0) / 7919.0).collect();
    let mut lines = String::new();
    for codec in ALL {
        let payload = encode(*codec, &residual);
        let decoded = decode(*codec, &payload, residual.len(), Weight::for_swarm(1.0, 3)).expect("own bytes decode");
        let mut adds = blake3::Hasher::new();
        for (i, _, add) in decoded.iter() {
            adds.update(&(i as u64).to_le_bytes()).update(&add.to_le_bytes());
        }
        let (bytes, adds) = (blake3::hash(&payload).to_hex(), adds.finalize().to_hex());
        lines += &format!("{} {} {} {} {}\n", codec.wire_id(), codec.name(), payload.len(), &bytes[..16], &adds[..16]);
    }
    assert_eq!(lines, GOLDEN);
}

/// Wire id, name, bytes, hash of the bytes, hash of the contributions.
const GOLDEN: &str = "\
0 dense_f32 17600 fc8f05fb85d9638f 0444641bf7c73858
1 top_k_2bit 126 5e34b22529472af2 a44e232e33e3be75
2 dense_f16 8800 e8de47ec2f7502a4 a0559cd48d903413
3 int8 4436 974e40f4258996f8 a1ca1044d60a6bf4
4 sign 554 c10241d0f54d6ff5 89b8b5ef4cf35cb3
5 top_k_2bit:16 36 a204610394837fb8 7420d745b519e883
6 top_k_2bit:32 66 784fcbdafb04b303 4d8e2902391ff98b
7 top_k_2bit:128 246 2dd390f73f3d2dd9 60065e6e93054d2b
8 top_k_2bit:256 486 787dadabe58558db cbaef9e0db305514
";

/// Largest |e - v| that the docs of a dense codec promise for every element.
fn error_bound(codec: &dyn Codec, residual: &[f32], i: usize) -> f32 {
    match codec.name() {
        "dense_f32" => 0.0,
        "dense_f16" => (residual[i].abs() / 2048.0).max(1.0 / (1u32 << 25) as f32),
        "int8" => {
            let block = residual.chunks(256).nth(i / 256).expect("in range");
            block.iter().fold(0.0f32, |most, e| most.max(e.abs())) / 252.0
        }
        _ => f32::INFINITY,
    }
}

#[test]
fn sign_says_the_mean_magnitude_of_a_chunk() {
    let residual: Vec<f32> = (0..4096 + 3).map(|i| if i % 3 == 0 { -0.3 } else { 0.1 }).collect();
    let decoded = decode(&Sign, &encode(&Sign, &residual), residual.len(), Weight::ONE).expect("own bytes decode");
    assert!(decoded.is_dense());
    for (i, value, add) in decoded.iter() {
        assert!((value.abs() - 0.5 / 3.0).abs() < 2e-4, "{value}");
        assert_eq!((value < 0.0, add < 0), (i % 3 == 0, i % 3 == 0));
    }
}

#[test]
fn what_a_half_cannot_hold_is_said_as_far_as_it_goes() {
    let payload = encode(&DenseF16, &[1e9, -1e9, 65_519.0]);
    assert_eq!(payload, [0xff, 0x7b, 0xff, 0xfb, 0xff, 0x7b]);
    assert!(matches!(decode(&DenseF16, &payload, 3, Weight::ONE), Err(CodecError::Contribution { element: 0 })));
    // Every codec: what is beyond the cap of a contribution is an error at the origin, not a saturation.
    for codec in ALL {
        for huge in [1e9, f32::MAX] {
            let payload = encode(*codec, &[huge; 300]);
            let found = decode(*codec, &payload, 300, Weight::ONE);
            assert!(matches!(found, Err(CodecError::Contribution { .. })), "{}: {found:?}", codec.name());
        }
    }
}

#[test]
fn small_residuals_are_said_by_int8_down_to_the_unit_of_the_base() {
    let residual: Vec<f32> = (-128..=127).map(|i| i as f32 * crate::fixed::UNIT).collect();
    let decoded = decode(&Int8, &encode(&Int8, &residual), 256, Weight::ONE).expect("own bytes decode");
    assert!(decoded.iter().all(|(i, _, add)| (add - (i as i32 - 128)).abs() <= 1));
    let tiny = [f32::from_bits(1), -f32::from_bits(200)];
    assert!(decode(&Int8, &encode(&Int8, &tiny), 2, Weight::ONE).is_ok(), "subnormals");
}

proptest! {
    #[test]
    fn round_trip_within_the_size_bound(residual in residual(), raw in 1u32..=65536) {
        let weight = Weight::from_raw(raw).expect("in range");
        for codec in ALL {
            let payload = encode(*codec, &residual);
            prop_assert!(payload.len() <= codec.payload_bytes_max(residual.len()));
            prop_assert_eq!(&payload, &encode(*codec, &residual), "deterministic");
            let decoded = decode(*codec, &payload, residual.len(), weight)?;
            prop_assert_eq!(decoded.values.len(), decoded.adds.len());
            prop_assert!(decoded.indices.is_empty() || decoded.indices.len() == decoded.values.len());
            prop_assert!(decoded.indices.is_sorted_by(|a, b| a < b));
            for (i, value, add) in decoded.iter() {
                prop_assert!(i < residual.len());
                let bound = error_bound(*codec, &residual, i);
                prop_assert!((value - residual[i]).abs() <= bound, "{}: {} for {}", codec.name(), value, residual[i]);
                // Half a unit of rounding, and the float error of the comparison itself.
                let exact = f64::from(weight.as_f32()) * f64::from(value);
                prop_assert!((f64::from(to_f32(add)) - exact).abs() <= 0.5001 / f64::from(1u32 << 24));
            }
            // What is said is said well: the residual never grows.
            let mut rest = residual.clone();
            for (i, value, _) in decoded.iter() {
                rest[i] -= value;
            }
            let norm = |v: &[f32]| v.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>();
            prop_assert!(norm(&rest) <= norm(&residual) * 1.0001);
        }
    }

    #[test]
    fn hostile_bytes_are_refused_or_harmless(mut payload in prop::collection::vec(any::<u8>(), 0..600), parameters in 1usize..9000, raw in 1u32..=65536) {
        let weight = Weight::from_raw(raw).expect("in range");
        for codec in ALL {
            for exact in [false, true] {
                if exact {
                    payload.resize(codec.payload_bytes_max(parameters), 0xa5);
                }
                if let Ok(decoded) = decode(*codec, &payload, parameters, weight) {
                    for (i, value, add) in decoded.iter() {
                        prop_assert!(i < parameters && value.is_finite() && add.abs() <= CONTRIBUTION_MAX);
                    }
                }
            }
        }
    }

    #[test]
    fn a_truncated_or_longer_payload_is_refused(residual in residual(), cut in 1usize..50) {
        for codec in ALL {
            let mut payload = encode(*codec, &residual);
            payload.push(0);
            prop_assert!(decode(*codec, &payload, residual.len(), Weight::ONE).is_err());
            payload.truncate(payload.len().saturating_sub(1 + cut));
            prop_assert!(decode(*codec, &payload, residual.len(), Weight::ONE).is_err());
        }
    }
}

#[test]
fn each_kind_of_malformed_chunk_has_its_error() {
    let good = encode(&TopK2Bit, &(0..130).map(|i| i as f32 / 100.0).collect::<Vec<_>>());
    assert_eq!(good.len(), 2 + 5 + 1, "three kept: 36 bits of index, 6 of codes");
    let with = |at: usize, byte: u8| {
        let mut payload = good.clone();
        payload[at] = byte;
        decode(&TopK2Bit, &payload, 130, Weight::ONE)
    };
    assert!(matches!(with(1, 0x7c), Err(CodecError::Value { .. })), "an infinite scale");
    assert!(matches!(with(1, 0xbc), Err(CodecError::Value { .. })), "a negative scale");
    assert!(matches!(with(1, 0x78), Err(CodecError::Contribution { .. })), "32,768 is over the cap");
    assert!(matches!(with(2, 0xff), Err(CodecError::Index { .. })), "an index past the chunk");
    assert!(matches!(with(6, 0xf0), Err(CodecError::Index { .. }) | Err(CodecError::Value { .. })), "set padding");
    assert!(matches!(with(7, 0xff), Err(CodecError::Value { .. })), "set padding behind the codes");
    let nan = f32::NAN.to_le_bytes();
    assert!(matches!(decode(&DenseF32, &nan, 1, Weight::ONE), Err(CodecError::Value { element: 0 })));
    let huge = 1e30f32.to_le_bytes();
    assert!(matches!(decode(&DenseF32, &huge, 1, Weight::ONE), Err(CodecError::Contribution { element: 0 })));
}

#[test]
fn each_kind_of_malformed_dense_payload_has_its_error() {
    for bits in [0x7c00u16, 0xfc00, 0x7e00] {
        let found = decode(&DenseF16, &bits.to_le_bytes(), 1, Weight::ONE);
        assert_eq!(found, Err(CodecError::Value { element: 0 }), "{bits:x}");
        // The scale of the signs is a half too.
        let [low, high] = bits.to_le_bytes();
        assert_eq!(decode(&Sign, &[low, high, 0], 8, Weight::ONE), Err(CodecError::Value { element: 0 }), "{bits:x}");
    }
    assert_eq!(decode(&Sign, &[0, 0xbc, 0], 8, Weight::ONE), Err(CodecError::Value { element: 0 }), "negative");
    assert_eq!(decode(&Sign, &[0, 0x3c, 0x10], 4, Weight::ONE), Err(CodecError::Value { element: 4 }), "padding");
    assert!(decode(&Sign, &[0, 0x3c, 0x0f], 4, Weight::ONE).is_ok());

    let int8 = |scale: f32, code: u8| {
        let mut payload = half::bf16::from_f32(scale).to_le_bytes().to_vec();
        payload.extend([1, code]);
        decode(&Int8, &payload, 2, Weight::ONE)
    };
    for scale in [f32::NAN, f32::INFINITY, -1.0, -0.0] {
        assert_eq!(int8(scale, 1), Err(CodecError::Value { element: 0 }), "{scale}");
    }
    assert_eq!(int8(0.01, 0x80), Err(CodecError::Value { element: 1 }), "-128");
    assert_eq!(int8(1.0, 127), Err(CodecError::Contribution { element: 1 }));
    assert_eq!(int8(0.25, 0x81).map(|decoded| decoded.values), Ok(vec![0.25, -31.75]));
}

//! The base, and what is said and heard of it.

use protocol::codec::{CHUNK, Codec as _, Packing, TopK2Bit};
use protocol::fixed::Weight;

use super::{Beside, Fill, KEPT, STREAMED, Shape, Slices, stream};

/// theta, base, and what comes behind them; words d and those.
pub(super) fn of_base(size: usize, slices: Slices, rest: fn(usize) -> (Vec<Fill>, Vec<u32>)) -> Shape {
    let d = STREAMED[size];
    let (results, words) = rest(d);
    let arguments = [vec![Fill::Floats(d), Fill::Below(d, 1 << 24)], results].concat();
    let beside = Beside::Slices(slices, d);
    Shape { arguments, beside, words: [vec![d as u32], words].concat(), ..stream(size, 0, &[]) }
}

pub(super) fn base_weights(size: usize) -> Shape {
    let d = STREAMED[size];
    let arguments = vec![Fill::Below(d, 1 << 24), Fill::Floats(d)];
    Shape { arguments, beside: Beside::Slices(Slices::Weights, d), ..stream(size, 0, &[]) }
}

/// A delta of a sparse codec that is heard.
pub(super) fn scatter_add(size: usize) -> Shape {
    let d = STREAMED[size];
    let kept = d / (CHUNK / KEPT);
    let entry = |i: usize| [(i * (CHUNK / KEPT)) as u32, 1, 0];
    let entries = Fill::Given((0..kept).flat_map(entry).collect());
    Shape {
        arguments: vec![Fill::Below(d, 1 << 24), Fill::Floats(d), entries],
        words: vec![kept as u32, 0],
        beside: Beside::Slices(Slices::Add, d),
        ..stream(size, 0, &[])
    }
}

/// The same as it goes up to a device: compressed.
pub(super) fn decode_top_k_2bit(size: usize) -> Shape {
    let d = STREAMED[size];
    let (mut payload, mut packed) = (Vec::new(), Vec::new());
    TopK2Bit.encode(&vec![0.01; d], &mut payload);
    let packing = Packing::Heard;
    let density = TopK2Bit.density();
    // What was encoded here is taken.
    let taken = density.is_some_and(|of| of.pack(&payload, d, Weight::HALF, packing, &mut packed).is_ok());
    debug_assert!(taken, "a payload of our own");
    Shape {
        arguments: vec![Fill::Below(d, 1 << 24), Fill::Floats(d), Fill::Given(packed)],
        words: vec![d as u32, KEPT as u32, packing.table_words() as u32],
        beside: Beside::Slices(Slices::Add, d),
        ..stream(size, 0, &[])
    }
}

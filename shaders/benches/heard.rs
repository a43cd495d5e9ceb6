//! What it takes to add a heard delta: as its bits and a table a chunk, beside its places and numbers one by one; both after the host has
//! decoded it, which it does to see whether it may be added.
//!
//! `cargo bench -p shaders --bench heard`

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use protocol::codec::{ALL, Decoded, Packing};
use protocol::fixed::Weight;
use shaders::engine::{DeviceChoice, Recording, open};
use shaders::kernels::decode_top_k_2bit::DecodeTopK2Bit;
use shaders::kernels::scatter_add::ScatterAdd;

/// Parameters: of the demo job's size, of a small language model, of a large perceptron.
const SIZES: [usize; 3] = [101_770, 1_017_216, 10_000_000];
const ROUNDS: usize = 20;

fn best_of(mut run: impl FnMut()) -> Duration {
    let time = |_| {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    (0..ROUNDS).map(time).min().unwrap()
}

/// As `cargo bench` calls it; nothing is measured by `cargo test --benches`.
fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    for choice in [DeviceChoice::Cpu, DeviceChoice::Auto] {
        let mut on = open(&choice, 1).unwrap();
        let info = on.info().clone();
        if choice == DeviceChoice::Auto && info.backend == "cpu" {
            println!("no GPU adapter: the GPU executor is not measured");
            continue;
        }
        for d in SIZES {
            let [base, theta] = [(); 2].map(|()| on.allocate(d).unwrap());
            let residual: Vec<f32> =
                (0..d).map(|i| ((i as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 24) as f32 - 0.5).collect();
            for codec in ALL {
                let Some(density) = codec.density() else { continue };
                let (mut payload, mut decoded) = (Vec::new(), Decoded::default());
                codec.encode(&residual, &mut payload);
                codec.decode(&payload, d, Weight::HALF, &mut decoded).unwrap();
                let places = on.allocate(3 * decoded.values.len()).unwrap();
                let mut recording = Recording::default();
                recording.push(&ScatterAdd, &[base, theta, places], &[decoded.values.len() as u32, 0]);
                let scatter = on.prepare(recording).unwrap();
                let packed = on.allocate(density.packed_words(d, Packing::Heard)).unwrap();
                let mut recording = Recording::default();
                recording.push(&DecodeTopK2Bit, &[base, theta, packed], &[d as u32, density.kept as u32, 2]);
                let decode = on.prepare(recording).unwrap();
                let mut words = Vec::new();
                let one_by_one = best_of(|| {
                    words.clear();
                    for (i, _, add) in decoded.iter() {
                        words.extend([i as u32, add as u32, 0]);
                    }
                    on.write(places, 0, &words).unwrap();
                    on.run(scatter, 1).unwrap();
                    on.read(base, 1, &mut Vec::new()).unwrap();
                });
                let before = 4 * words.len();
                let compressed = best_of(|| {
                    density.pack(black_box(&payload), d, Weight::HALF, Packing::Heard, &mut words).unwrap();
                    on.write(packed, 0, &words).unwrap();
                    on.run(decode, 1).unwrap();
                    on.read(base, 1, &mut Vec::new()).unwrap();
                });
                println!(
                    "{:<16} {d:>9} parameters on {}: {:>9} bytes up, {:>9} one by one; {:.3} ms, {:.3} one by one",
                    codec.name(),
                    info.name,
                    4 * words.len(),
                    before,
                    1e3 * compressed.as_secs_f64(),
                    1e3 * one_by_one.as_secs_f64(),
                );
            }
        }
    }
}

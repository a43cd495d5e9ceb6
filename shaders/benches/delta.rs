//! What it takes to choose a delta: the device finds the largest of every chunk and the host makes the payload of them, beside the
//! host reading the whole residual and encoding it, and beside copying as many bytes as the device reads.
//!
//! `cargo bench -p shaders --bench delta`

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use protocol::codec::{Codec as _, TopK2Bit};
use protocol::fixed::from_f32;
use shaders::engine::{DeviceChoice, Recording, open};
use shaders::kernels::residual::Residual;
use shaders::kernels::select_largest::SelectLargest;

/// Parameters: of the demo job's size, of a small language model, of a large perceptron.
const SIZES: [usize; 3] = [101_770, 1_017_216, 10_000_000];
const ROUNDS: usize = 10;

fn best_of<T>(mut run: impl FnMut() -> T) -> Duration {
    let time = |_| {
        let start = Instant::now();
        black_box(run());
        start.elapsed()
    };
    (0..ROUNDS).map(time).min().unwrap()
}

/// As `cargo bench` calls it; nothing is measured by `cargo test --benches`.
fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let density = TopK2Bit.density().unwrap();
    for d in SIZES {
        // Weights as far from the base as training takes them, no two alike.
        let number =
            |i: usize, salt: u32| ((i as u32 ^ salt).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 24) as f32 - 0.5;
        let base: Vec<i32> = (0..d).map(|i| from_f32(number(i, 7))).collect();
        let theta: Vec<f32> = (0..d).map(|i| number(i, 7) + 0.01 * number(i, 99).powi(3)).collect();
        let mut copy = vec![0u64; d];
        let source = vec![1u64; d];
        let copied = best_of(|| copy.copy_from_slice(black_box(&source)));
        for choice in [DeviceChoice::Cpu, DeviceChoice::Auto] {
            let mut on = open(&choice, 1).unwrap();
            let info = on.info().clone();
            if choice == DeviceChoice::Auto && info.backend == "cpu" {
                println!("no GPU adapter: the GPU executor is not measured");
                continue;
            }
            let [t, b, scratch] = [(); 3].map(|()| on.allocate(d).unwrap());
            on.write(t, 0, bytemuck::cast_slice(&theta)).unwrap();
            on.write(b, 0, bytemuck::cast_slice(&base)).unwrap();
            let kept = on.allocate(2 * density.kept_of(d)).unwrap();
            let mut recording = Recording::default();
            recording.push(&SelectLargest, &[t, b, kept], &[d as u32, density.kept as u32, 1f32.to_bits()]);
            let choose = on.prepare(recording).unwrap();
            let mut recording = Recording::default();
            recording.push(&Residual, &[t, b, scratch], &[d as u32]);
            let residual = on.prepare(recording).unwrap();
            let (mut out, mut payload, mut whole) = (Vec::new(), Vec::new(), Vec::new());
            let chosen = best_of(|| {
                payload.clear();
                on.run(choose, 1).unwrap();
                on.read(kept, 2 * density.kept_of(d), &mut out).unwrap();
                let pairs: Vec<_> = out.as_chunks::<2>().0.iter().map(|&[i, bits]| (i, f32::from_bits(bits))).collect();
                density.encode_kept(d, &pairs, &mut payload);
            });
            let read = best_of(|| {
                whole.clear();
                on.run(residual, 1).unwrap();
                on.read(scratch, d, &mut out).unwrap();
                TopK2Bit.encode(bytemuck::cast_slice(&out), &mut whole);
            });
            assert_eq!(payload, whole, "the same bytes");
            let [chosen, read, copied] = [chosen, read, copied].map(|time| 1e3 * time.as_secs_f64());
            println!(
                "{d} parameters on {}: {chosen:.2} ms, {:.2} times reading all of it ({read:.2} ms), {:.1} times a copy of 8 bytes a parameter",
                info.name,
                chosen / read,
                chosen / copied,
            );
        }
    }
}

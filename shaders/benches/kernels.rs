//! Every kernel at three sizes on each executor, beside its reference in the same run: a product by the `gemm` crate on one thread, a
//! copy of as many bytes (on the same device), or what `protocol` does with slices.
//!
//! `cargo bench -p shaders --bench kernels [-- PART_OF_A_NAME]`
//!
//! The shapes are in `shaders::bench`; a test there holds that no kernel is left out.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

use std::time::Duration;

use shaders::bench::kernels::{Row, SIZES, measure};
use shaders::engine::{DeviceChoice, open};
use shaders::kernels::ALL;

/// Time of each measurement: every kernel at three sizes on two executors, each beside a reference, takes minutes.
const BUDGET: Duration = Duration::from_millis(60);

fn line(row: &Row, backend: &str) -> String {
    let rate = |work: u64| if work == 0 { "-".into() } else { format!("{:.2}", work as f64 / row.seconds / 1e9) };
    format!(
        "{:<29} {:<20} {backend:<7} {:>10.3} {:>9} {:>8} {:>7} {:>10.3} {:>7.2}",
        row.kernel,
        row.size,
        1e3 * row.seconds,
        rate(row.flops),
        rate(row.bytes),
        row.reference,
        1e3 * row.reference_seconds,
        row.reference_seconds / row.seconds,
    )
}

/// As `cargo bench` calls it; nothing is measured by `cargo test --benches`.
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let wanted = arguments.iter().find(|argument| !argument.starts_with('-'));
    println!(
        "{:<29} {:<20} {:<7} {:>10} {:>9} {:>8} {:>7} {:>10} {:>7}",
        "kernel", "size", "on", "ms", "Gflop/s", "GB/s", "beside", "ms", "of it"
    );
    let has_gpu = open(&DeviceChoice::Auto, 1).unwrap().info().backend != "cpu";
    if !has_gpu {
        println!("no GPU adapter: the GPU executor is not measured");
    }
    for kernel in ALL.iter().filter(|kernel| wanted.is_none_or(|part| kernel.name().contains(part.as_str()))) {
        for choice in [DeviceChoice::Cpu, DeviceChoice::Auto].into_iter().take(if has_gpu { 2 } else { 1 }) {
            // A device a kernel: what one takes is free for the next.
            let mut on = open(&choice, 1).unwrap();
            let backend = on.info().backend.clone();
            for size in 0..SIZES {
                match measure(on.as_mut(), *kernel, size, BUDGET).unwrap() {
                    Some(row) => println!("{}", line(&row, &backend)),
                    None => println!("{:<29} not on {backend}: it has no f16", kernel.name()),
                }
            }
        }
    }
}

//! A training step on each executor, beside its own matrix products by the `gemm` crate in the same run, without and with one pass over what
//! its optimizer reads and writes; steps of the CPU executor on one thread and on two, and steps a second of processor time, which other
//! work on the machine spoils less.
//!
//! `cargo bench -p shaders`

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use protocol::learner::{Learner as _, Progress};
use shaders::data::{Dataset, Split};
use shaders::engine::{DeviceChoice, open};
use shaders::kernels::matmul::{Layout, matmul};
use shaders::models::ModelSpec;
use shaders::optim::OptimizerSpec;
use shaders::optim::schedule::Schedule;
use shaders::{LearnerSpec, TrainingLearner};

/// Steps a call: what a peer asks of its learner at once.
const STEPS: u32 = 10;

struct Shape {
    name: &'static str,
    widths: &'static [usize],
    batch: usize,
}

const SHAPES: [Shape; 2] = [
    Shape { name: "64-64-64-10_batch_32", widths: &[64, 64, 64, 10], batch: 32 },
    Shape { name: "784-128-10_batch_64", widths: &[784, 128, 10], batch: 64 },
];

fn dataset(features: usize) -> Arc<Dataset> {
    let samples = 512usize;
    let value = |i: usize| ((i * 31 % 97) as f32) / 97.0;
    let split = Split {
        features: (0..samples * features).map(value).collect(),
        labels: (0..samples as u32).map(|i| i % 10).collect(),
    };
    Arc::new(Dataset {
        name: "bench".into(),
        shape: vec![features],
        classes: 10,
        train: split.clone(),
        test: split,
        ..Dataset::default()
    })
}

fn learner(shape: &Shape, device: &DeviceChoice, threads: usize) -> TrainingLearner {
    let dataset = dataset(shape.widths[0]);
    let hidden = shape.widths[1..shape.widths.len() - 1].iter().map(|&w| w as u32).collect();
    let spec = LearnerSpec {
        model: Arc::new(ModelSpec::Mlp { hidden }.build(&dataset.shape, dataset.classes).unwrap()),
        optimizer: OptimizerSpec::Adam { learning_rate: 0.001 },
        schedule: Schedule::default(),
        clip: None,
        batch: shape.batch,
        init_seed: [1; 32],
        order_seed: 1,
        shard: (0..dataset.train.len() as u32).collect(),
        dealt: None,
        dataset,
    };
    TrainingLearner::new(spec, open(device, threads).unwrap()).unwrap()
}

/// The products of one step: forward, weight gradient, and input gradient of all layers but the first.
fn products(shape: &Shape, buffers: &mut [Vec<f32>; 3]) {
    let m = shape.batch;
    let [a, b, c] = buffers;
    for (i, pair) in shape.widths.windows(2).enumerate() {
        let (k, n) = (pair[0], pair[1]);
        matmul(Layout::NormalTransposed, [m, n, k], a, b, false, c);
        matmul(Layout::TransposedNormal, [n, k, m], a, b, false, c);
        if i > 0 {
            matmul(Layout::Normal, [m, k, n], a, b, false, c);
        }
    }
}

/// Numbers of the model's weights and biases.
fn parameters(shape: &Shape) -> usize {
    shape.widths.windows(2).map(|pair| pair[1] * (pair[0] + 1)).sum()
}

/// What an optimizer such as Adam cannot do without: weights, both moments and the gradient are read, and all but the gradient written, at the
/// rate that memory or a cache gives. Its roots and quotients are left out.
fn pass([theta, first, second, gradient]: &mut [Vec<f32>; 4]) {
    for (((theta, first), second), gradient) in theta.iter_mut().zip(first).zip(second).zip(&*gradient) {
        *first = 0.9 * *first + 0.1 * gradient;
        *second = 0.999 * *second + 0.001 * gradient;
        *theta -= 0.001 * *first + 0.001 * *second;
    }
}

fn scratch() -> [Vec<f32>; 3] {
    [(); 3].map(|()| vec![0.5f32; 784 * 128])
}

fn best_of<T>(rounds: usize, mut run: impl FnMut() -> T) -> Duration {
    let time = |_| {
        let start = Instant::now();
        black_box(run());
        start.elapsed()
    };
    (0..rounds).map(time).min().unwrap()
}

/// Seconds that this process has computed, on Linux.
fn processor_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which may hold blanks, utime and stime are the 12th and 13th, in hundredths.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<f64>().ok();
    Some((next()? + next()?) / 100.0)
}

/// A call and all that it set going: a device goes on beside the host.
fn call(learner: &mut TrainingLearner) {
    learner.train(STEPS, Progress::START).unwrap();
    learner.finish().unwrap();
}

/// Steps a second of processor time, over two seconds.
fn steps_a_processor_second(learner: &mut TrainingLearner) -> f64 {
    let (from, start, mut steps) = (processor_seconds().unwrap_or(0.0), Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(2) {
        call(learner);
        steps += STEPS;
    }
    f64::from(steps) / processor_seconds().map_or(f64::NAN, |now| now - from)
}

fn steps(c: &mut Criterion) {
    let mut ratios = Vec::new();
    for shape in &SHAPES {
        let mut group = c.benchmark_group(shape.name);
        let mut buffers = scratch();
        group.bench_function("gemm_products_of_10_steps", |b| {
            b.iter(|| (0..STEPS).for_each(|_| products(shape, black_box(&mut buffers))));
        });
        let mut vectors = [(); 4].map(|()| vec![0.5f32; parameters(shape)]);
        group.bench_function("gemm_products_and_optimizer_passes_of_10_steps", |b| {
            b.iter(|| {
                (0..STEPS).for_each(|_| {
                    products(shape, black_box(&mut buffers));
                    pass(black_box(&mut vectors));
                });
            });
        });
        let gemm = best_of(200, || (0..STEPS).for_each(|_| products(shape, &mut buffers)));
        let passes = best_of(200, || (0..STEPS).for_each(|_| pass(black_box(&mut vectors))));
        let mut alone = 0.0;
        for (choice, threads) in [(DeviceChoice::Cpu, 1), (DeviceChoice::Cpu, 2), (DeviceChoice::Auto, 1)] {
            let mut learner = learner(shape, &choice, threads);
            let info = learner.info().clone();
            if choice == DeviceChoice::Auto && info.backend == "cpu" {
                println!("no GPU adapter: the GPU executor is not measured");
                continue;
            }
            group.bench_function(format!("10_steps_on_{}_{threads}", info.backend), |b| b.iter(|| call(&mut learner)));
            let best = best_of(100, || call(&mut learner));
            let [beside_gemm, beside_both] =
                [gemm, gemm + passes].map(|least| best.as_secs_f64() / least.as_secs_f64());
            let rate = f64::from(STEPS) / best.as_secs_f64();
            if alone == 0.0 {
                alone = rate;
            }
            ratios.push(format!(
                "{} on {}, {threads} threads of the host: {rate:.0} steps/s, {:.0} a processor second, {beside_gemm:.2} times its gemm \
                 products, {beside_both:.2} times them and an optimizer pass, {:.2} times one CPU thread",
                shape.name,
                info.name,
                steps_a_processor_second(&mut learner),
                rate / alone,
            ));
        }
        group.finish();
    }
    println!("\n{}", ratios.join("\n"));
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(20);
    targets = steps
}
criterion_main!(benches);

//! A training step by burn (its wgpu back end, fused and autotuned) beside starling's GPU executor, on one adapter in one run.
//!
//! `cargo run --release [mlp|cnn|lm]...` in this folder. Same model, batch, optimizer and data; batches are gathered by index on the
//! device in both. Calls of both take turns, after calls that only warm up, in which burn tunes its kernels. A call ends when its
//! last loss has been read. A ratio above 1 means that starling is faster.
//!
//! Two things differ: starling computes GELU in its tanh form and burn by `erf` (its own kernel), and burn's rotary positions turn
//! neighbouring pairs by products with a small matrix. Neither has dropout.
//!
//! A workspace of its own, so that starling's builds and tests never meet burn.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{
    Embedding, EmbeddingConfig, Initializer, Linear, LinearConfig, PaddingConfig2d, RmsNorm, RmsNormConfig,
    RotaryEncoding, RotaryEncodingConfig,
};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::{gelu, relu};
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, DeviceKind, Int, Tensor, TensorData};
use protocol::learner::{Learner as _, Progress};
use shaders::data::{Dataset, Split};
use shaders::engine::{DeviceChoice, open};
use shaders::models::{ActivationKind, CnnSpec, LmSpec, ModelSpec, NormKind};
use shaders::optim::OptimizerSpec;
use shaders::optim::schedule::Schedule;
use shaders::{LearnerSpec, TrainingLearner};

/// Calls that only warm up: burn tunes a kernel when it first meets its shapes.
const WARM_UP: usize = 3;
/// Measured calls of each.
const ROUNDS: usize = 9;
const SAMPLES: usize = 512;
const LEARNING_RATE: f64 = 0.001;
/// As starling's Adam has it; burn's own default is 1e-5.
const EPSILON: f32 = 1e-8;
const CONTEXT: usize = 64;
const WIDTH: usize = 128;
const HEADS: usize = 4;
const LAYERS: usize = 5;
const VOCABULARY: usize = 256;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// One model and how it is trained.
struct Case {
    name: &'static str,
    title: &'static str,
    model: ModelSpec,
    shape: &'static [usize],
    classes: usize,
    batch: usize,
    /// Steps of a call.
    steps: u32,
}

fn cases() -> [Case; 3] {
    let lm = LmSpec {
        context: CONTEXT as u32,
        width: WIDTH as u32,
        layers: LAYERS as u32,
        heads: HEADS as u32,
        norm: NormKind::Rms,
        activation: ActivationKind::Gelu,
        dropout: 0.0,
    };
    [
        Case {
            name: "mlp",
            title: "mlp 784-128-10, batch 64",
            model: ModelSpec::Mlp { hidden: vec![128] },
            shape: &[784],
            classes: 10,
            batch: 64,
            steps: 20,
        },
        Case {
            name: "cnn",
            title: "cnn 16-32, 28 x 28, batch 32",
            model: ModelSpec::Cnn(CnnSpec { channels: vec![16, 32], residual_blocks: 0, hidden: vec![] }),
            shape: &[28, 28],
            classes: 10,
            batch: 32,
            steps: 8,
        },
        Case {
            name: "lm",
            title: "lm 5 x 128, context 64, batch 8",
            model: ModelSpec::Lm(lm),
            shape: &[CONTEXT + 1],
            classes: VOCABULARY,
            batch: 8,
            steps: 2,
        },
    ]
}

/// Of a text whole numbers below the vocabulary, else parts of 1.
fn dataset(case: &Case) -> Arc<Dataset> {
    let n: usize = case.shape.iter().product();
    let text = case.name == "lm";
    let value = |i: usize| if text { (i * i % VOCABULARY) as f32 } else { (i * 31 % 97) as f32 / 97.0 };
    let split = Split {
        features: (0..SAMPLES * n).map(value).collect(),
        labels: (0..SAMPLES as u32).map(|i| i % 10).collect(),
    };
    let (shape, classes) = (case.shape.to_vec(), case.classes);
    Arc::new(Dataset { name: "bench".into(), shape, classes, train: split.clone(), test: split, ..Dataset::default() })
}

fn starling(case: &Case, data: &Arc<Dataset>) -> Outcome<TrainingLearner> {
    let spec = LearnerSpec {
        model: Arc::new(case.model.build(&data.shape, data.classes)?),
        optimizer: OptimizerSpec::Adam { learning_rate: LEARNING_RATE as f32 },
        schedule: Schedule::default(),
        clip: None,
        batch: case.batch,
        init_seed: [1; 32],
        order_seed: 1,
        shard: (0..SAMPLES as u32).collect(),
        dealt: None,
        dataset: Arc::clone(data),
    };
    Ok(TrainingLearner::new(spec, open(&DeviceChoice::Auto, 1)?)?)
}

/// A model of burn: from the rows of a batch to logits, a row for every label.
trait Net: Module + Clone {
    fn logits(&self, rows: Tensor<2>) -> (Tensor<2>, Option<Tensor<1, Int>>);
}

#[derive(Module, Debug)]
struct Mlp {
    hidden: Linear,
    output: Linear,
}

impl Net for Mlp {
    fn logits(&self, rows: Tensor<2>) -> (Tensor<2>, Option<Tensor<1, Int>>) {
        (self.output.forward(relu(self.hidden.forward(rows))), None)
    }
}

#[derive(Module, Debug)]
struct Cnn {
    first: Conv2d,
    second: Conv2d,
    pool: MaxPool2d,
    output: Linear,
}

impl Net for Cnn {
    fn logits(&self, rows: Tensor<2>) -> (Tensor<2>, Option<Tensor<1, Int>>) {
        let [batch, _] = rows.dims();
        let x = self.pool.forward(relu(self.first.forward(rows.reshape([batch, 1, 28, 28]))));
        let x = self.pool.forward(relu(self.second.forward(x)));
        (self.output.forward(x.reshape([batch, 32 * 7 * 7])), None)
    }
}

#[derive(Module, Debug)]
struct Layer {
    norm1: RmsNorm,
    qkv: Linear,
    out: Linear,
    norm2: RmsNorm,
    up: Linear,
    down: Linear,
}

#[derive(Module, Debug)]
struct Lm {
    embedding: Embedding,
    rotary: RotaryEncoding,
    layers: Vec<Layer>,
    norm: RmsNorm,
}

impl Net for Lm {
    fn logits(&self, rows: Tensor<2>) -> (Tensor<2>, Option<Tensor<1, Int>>) {
        let [batch, _] = rows.dims();
        let tokens = rows.int();
        let labels = tokens.clone().slice([0..batch, 1..CONTEXT + 1]).reshape([batch * CONTEXT]);
        let mut x = self.embedding.forward(tokens.slice([0..batch, 0..CONTEXT]));
        for layer in &self.layers {
            let qkv = layer.qkv.forward(layer.norm1.forward(x.clone()));
            let head = |i: usize| {
                let part = qkv.clone().slice([0..batch, 0..CONTEXT, i * WIDTH..(i + 1) * WIDTH]);
                part.reshape([batch, CONTEXT, HEADS, WIDTH / HEADS]).swap_dims(1, 2)
            };
            let (q, k) = (self.rotary.forward(head(0)), self.rotary.forward(head(1)));
            let options = AttentionModuleOptions { is_causal: true, ..Default::default() };
            let mixed = attention(q, k, head(2), None, None, options);
            x = x + layer.out.forward(mixed.swap_dims(1, 2).reshape([batch, CONTEXT, WIDTH]));
            x = x.clone() + layer.down.forward(gelu(layer.up.forward(layer.norm2.forward(x))));
        }
        let x = self.norm.forward(x).reshape([batch * CONTEXT, WIDTH]);
        (x.matmul(self.embedding.weight.val().transpose()), Some(labels))
    }
}

fn mlp(device: &Device) -> Mlp {
    Mlp { hidden: LinearConfig::new(784, 128).init(device), output: LinearConfig::new(128, 10).init(device) }
}

fn cnn(device: &Device) -> Cnn {
    let conv =
        |channels| Conv2dConfig::new(channels, [3, 3]).with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(device);
    Cnn {
        first: conv([1, 16]),
        second: conv([16, 32]),
        pool: MaxPool2dConfig::new([2, 2]).init(),
        output: LinearConfig::new(32 * 7 * 7, 10).init(device),
    }
}

fn lm(device: &Device) -> Lm {
    let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).with_bias(false).init(device);
    let norm = || RmsNormConfig::new(WIDTH).init(device);
    let layer = |_| Layer {
        norm1: norm(),
        qkv: linear(WIDTH, 3 * WIDTH),
        out: linear(WIDTH, WIDTH),
        norm2: norm(),
        up: linear(WIDTH, 4 * WIDTH),
        down: linear(4 * WIDTH, WIDTH),
    };
    Lm {
        // As starling begins: burn's own deviation of 1 would make logits of a tied head large.
        embedding: EmbeddingConfig::new(VOCABULARY, WIDTH)
            .with_initializer(Initializer::Normal { mean: 0.0, std: 0.02 })
            .init(device),
        rotary: RotaryEncodingConfig::new(CONTEXT, WIDTH / HEADS).init(device),
        layers: (0..LAYERS).map(layer).collect(),
        norm: norm(),
    }
}

/// A call of burn's: trains so many steps and returns the last loss.
fn burn_call<N: Net + 'static>(mut net: N, case: &Case, data: &Dataset, device: &Device) -> Box<dyn FnMut() -> f32> {
    let features = TensorData::new(data.train.features.resident().unwrap_or_default().to_vec(), [SAMPLES, case.shape.iter().product()]);
    let features = Tensor::<2>::from_data(features, device);
    let labels: Vec<i32> = data.train.labels.iter().map(|&label| label as i32).collect();
    let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [SAMPLES]), device);
    let mut optimizer = AdamConfig::new().with_epsilon(EPSILON).init();
    let criterion = CrossEntropyLossConfig::new().init(device);
    let (batch, steps, device) = (case.batch, case.steps, device.clone());
    let mut next = 0usize;
    Box::new(move || {
        let mut last = None;
        for _ in 0..steps {
            // 167 and the number of samples have no common divisor: every sample in turn, out of order.
            let rows: Vec<i32> = (next..next + batch).map(|i| (i * 167 % SAMPLES) as i32).collect();
            next += batch;
            let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [batch]), &device);
            let (logits, targets) = net.logits(features.clone().select(0, rows.clone()));
            let targets = targets.unwrap_or_else(|| labels.clone().select(0, rows));
            let loss = criterion.forward(logits, targets);
            let gradients = GradientsParams::from_grads(loss.backward(), &net);
            net = optimizer.step(LEARNING_RATE, net.clone(), gradients);
            last = Some(loss);
        }
        let loss = last.map_or(f32::NAN, |loss| loss.into_scalar::<f32>());
        device.sync().expect("burn's device finishes its work");
        loss
    })
}

fn milliseconds(steps: u32, run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64() * 1e3 / f64::from(steps)
}

/// Best and median.
fn summary(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[0], times[times.len() / 2])
}

fn measure(case: &Case) -> Outcome<()> {
    let data = dataset(case);
    let mut learner = starling(case, &data)?;
    let info = learner.info().clone();
    if info.backend == "cpu" {
        return Err("no Vulkan adapter: install a driver (Mesa's lavapipe computes on the processor)".into());
    }
    let software = info.name.contains("llvmpipe") || info.name.contains("lavapipe");
    let device = Device::wgpu(if software { DeviceKind::Cpu } else { DeviceKind::DefaultDevice });
    let theirs = device.identity().map_or_else(String::new, |identity| identity.name);
    if !info.name.contains(&theirs) && !theirs.contains(&info.name) {
        return Err(format!(
            "starling is on {}, burn on {theirs}: name one with CUBECL_WGPU_DEFAULT_DEVICE",
            info.name
        )
        .into());
    }
    let device = device.autodiff();
    let mut rival = match case.name {
        "mlp" => burn_call(mlp(&device), case, &data, &device),
        "cnn" => burn_call(cnn(&device), case, &data, &device),
        _ => burn_call(lm(&device), case, &data, &device),
    };
    let mut first = f32::NAN;
    for round in 0..WARM_UP {
        learner.train(case.steps, Progress::START)?;
        learner.finish()?;
        let loss = rival();
        if round == 0 {
            first = loss;
        }
    }
    let (mut ours, mut burns, mut last) = (Vec::new(), Vec::new(), f32::NAN);
    for _ in 0..ROUNDS {
        let mut outcome = Ok(());
        ours.push(milliseconds(case.steps, || {
            // Losses of starling come a call later unless they are waited for; burn's closure waits for its own.
            outcome = learner.train(case.steps, Progress::START).and_then(|_| learner.finish());
        }));
        outcome?;
        burns.push(milliseconds(case.steps, || last = rival()));
    }
    let ((best, median), (burn_best, burn_median)) = (summary(ours), summary(burns));
    println!(
        "| {} | {} | {best:.2} / {median:.2} | {burn_best:.2} / {burn_median:.2} | {:.2} / {:.2} | {first:.3} to {last:.3} |",
        case.title,
        info.name,
        burn_best / best,
        burn_median / median,
    );
    Ok(())
}

fn main() -> Outcome<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    println!("Milliseconds a step, best / median of {ROUNDS} calls:\n");
    println!("| model | adapter | starling | burn | ratio | burn's loss |\n|---|---|---|---|---|---|");
    for case in cases() {
        if wanted.is_empty() || wanted.iter().any(|name| name == case.name) {
            measure(&case)?;
        }
    }
    Ok(())
}

//! A network: layers over values, in the order in which they run, and the parameters that they share.
//!
//! Plain data that a model builds and a learner records. Value 0 is the batch; every layer writes one value; the last value is
//! what the loss is taken of, [rows, classes]. A value may be read by several layers (a residual connection): their gradients
//! are added.
//!
//! Nothing here owns device memory but the batch itself ([`Inputs`]): activations and gradients are drafted, and placed by their
//! lifetimes (`engine::plan`).

use std::sync::Arc;

use protocol::fixed::from_f32;
use protocol::schema::{Schema, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

use crate::engine::plan::Draft;
use crate::engine::{Buffer, Executor, ExecutorError};
use crate::kernels::accumulate::Accumulate;
use crate::kernels::class_weights::ClassWeights;
use crate::kernels::mean_squared_error::MeanSquaredError;
use crate::kernels::next_token::NextToken;
use crate::kernels::softmax_cross_entropy::SoftmaxCrossEntropy;
use crate::kernels::softmax_cross_entropy_shared::{self as shared, SoftmaxCrossEntropyShared};
use crate::layers::{Backward, Forward, Gradient, Layer};
use crate::models::steps::Steps;

/// Number of a value of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value(usize);

/// What a tensor is before the first step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// All the same.
    Constant(f32),
    /// Uniform in +-bound.
    Uniform(f64),
}

impl Init {
    /// Uniform in +-sqrt(6 / K) for a layer of K inputs (He et al. 2015, arXiv 1502.01852).
    #[must_use]
    pub fn he(inputs: usize) -> Self {
        Self::Uniform((6.0 / inputs as f64).sqrt())
    }

    /// Uniform with that standard deviation.
    #[must_use]
    pub fn deviation(deviation: f64) -> Self {
        Self::Uniform(3f64.sqrt() * deviation)
    }
}

/// What is made small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// See `kernels::softmax_cross_entropy`.
    #[default]
    CrossEntropy,
    /// See `kernels::mean_squared_error`; the target is 1 at the class and 0 elsewhere.
    MeanSquaredError,
}

impl Loss {
    /// All of them, and one line about each.
    pub const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (Self::CrossEntropy, "cross_entropy", "minus the logarithm of the probability of the class, by softmax"),
        (Self::MeanSquaredError, "mean_squared_error", "squared distance to 1 at the class and 0 elsewhere"),
    ];

    /// As in a job file.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(loss, ..)| *loss == self).map_or("", |(_, name, _)| name)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Network {
    /// Of the last value.
    pub loss: Loss,
    /// Whether the backward pass computes again what lies inside a segment, instead of keeping it (Chen et al. 2016, arXiv
    /// 1604.06174): less memory, a third more work, the same bits.
    pub recompute: bool,
    /// Where training begins, of d numbers, in place of what is drawn.
    pub start: Option<Arc<[i32]>>,
    /// Number of the table with the weight of each class, where they count unequally.
    class_weights: Option<usize>,
    /// The last node of every segment.
    segments: Vec<usize>,
    tensors: Vec<(Tensor, Init)>,
    parameters: usize,
    nodes: Vec<Node>,
    /// Words of every value, of one sample.
    widths: Vec<usize>,
    /// Whether anybody asks for its gradient.
    differentiable: Vec<bool>,
    /// What layers read beside values and parameters.
    tables: Vec<Table>,
    /// The same model at one place of a text, where it can be had.
    pub(super) steps: Option<Box<Steps>>,
    classes: usize,
    /// Of a text: places of a window. The batch is then [T + 1] tokens, value 0 the first T of them, and the labels the last T.
    context: Option<usize>,
}

/// What a layer reads beside values and parameters.
#[derive(Debug)]
enum Table {
    /// Written once.
    Constants(Vec<u32>),
    /// So many words that the host or the layer writes.
    Room(usize),
}

/// A layer in its place.
#[derive(Debug)]
struct Node {
    layer: Box<dyn Layer>,
    inputs: Vec<Value>,
    output: Value,
}

/// Buffers of one batch, written by the host or by `gather`.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// Samples.
    pub samples: usize,
    /// The batch [samples, features].
    pub x: Buffer,
    /// A label of each sample.
    pub labels: Buffer,
    /// Loss and correctness of each row [rows, 2].
    pub results: Buffer,
    /// By their numbers.
    pub(super) tables: Vec<Buffer>,
}

/// What the forward pass leaves for the backward pass.
#[derive(Debug)]
pub struct Tape {
    samples: usize,
    state: Option<Buffer>,
    tables: Vec<Buffer>,
    values: Vec<Buffer>,
    saved: Vec<Option<Buffer>>,
}

impl Network {
    /// A network without layers on samples of that many features.
    #[must_use]
    pub fn new(features: usize, classes: usize) -> Self {
        Self { widths: vec![features], differentiable: vec![false], classes, ..Self::default() }
    }

    /// A network without layers on windows of a text, that predicts the next token at each of `context` places.
    #[must_use]
    pub fn text(context: usize, vocabulary: usize) -> Self {
        Self { context: Some(context), ..Self::new(context + 1, vocabulary) }
    }

    /// The batch, or its tokens.
    #[must_use]
    pub fn batch(&self) -> Value {
        Value(0)
    }

    /// Registers a tensor behind those that there are; where it begins.
    pub fn tensor(&mut self, name: String, shape: &[usize], init: Init) -> usize {
        let offset = self.parameters;
        // Saturating: what is too large is refused when the model is complete, before anything is as large.
        let elements = shape.iter().fold(1, |product: usize, &extent| product.saturating_mul(extent));
        self.parameters = self.parameters.saturating_add(elements);
        let shape = shape.iter().map(|&extent| extent as u32).collect();
        self.tensors.push((Tensor { name, shape }, init));
        offset
    }

    /// Registers a table of constants; its number.
    pub fn table(&mut self, words: Vec<u32>) -> usize {
        self.tables.push(Table::Constants(words));
        self.tables.len() - 1
    }

    /// Registers a table of so many words that somebody else writes; its number.
    pub fn room(&mut self, words: usize) -> usize {
        self.tables.push(Table::Room(words));
        self.tables.len() - 1
    }

    /// Counts rows of the loss in training by the weight of their class; `weights` has one for each. What is measured of the loss is without them.
    pub fn weigh_classes(&mut self, weights: &[f32]) {
        self.class_weights = Some(self.table(weights.iter().map(|weight| weight.to_bits()).collect()));
    }

    /// Appends a layer; the value that it writes.
    pub fn add(&mut self, layer: impl Layer + 'static, inputs: &[Value]) -> Value {
        let output = Value(self.widths.len());
        self.widths.push(layer.width());
        self.differentiable.push(true);
        self.nodes.push(Node { layer: Box::new(layer), inputs: inputs.to_vec(), output });
        output
    }

    /// Ends a segment: the value that was added last is kept, what lies between it and the end before need not be.
    pub fn end_segment(&mut self) {
        self.segments.extend(self.nodes.len().checked_sub(1));
    }

    /// Names and shapes, in buffer order.
    #[must_use]
    pub fn schema(&self) -> Schema {
        Schema { tensors: self.tensors.iter().map(|(tensor, _)| tensor.clone()).collect() }
    }

    /// d.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// Numbers of a logit's row.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Numbers of a sample as it is given, of a text one token more than it has places.
    #[must_use]
    pub fn features(&self) -> usize {
        self.context.map_or_else(|| self.widths.first().copied().unwrap_or(0), |context| context + 1)
    }

    /// Places of a window of a text; `None` of anything else.
    #[must_use]
    pub fn context(&self) -> Option<usize> {
        self.context
    }

    /// The same model place by place, where it continues a text.
    #[must_use]
    pub fn steps(&self) -> Option<&Steps> {
        self.steps.as_deref()
    }

    /// Rows of the loss for one sample.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.widths.last().map_or(0, |width| width / self.classes)
    }

    /// Words of the widest value, of one sample.
    #[must_use]
    pub fn widest(&self) -> usize {
        self.widths.iter().copied().max().unwrap_or(0)
    }

    /// Initial base b0, where nothing else is given from a seed: every uniform number from 53 random bits, in buffer order. Products and square roots of f64
    /// are exact to the bit on every IEEE machine, so every peer starts from the same bits.
    #[must_use]
    pub fn initial_base(&self, seed: [u8; 32]) -> Vec<i32> {
        let mut base = Vec::with_capacity(self.parameters);
        self.begin(&mut base, seed);
        base
    }

    /// As [`Self::initial_base`], where there may be no room for it.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn try_initial_base(&self, seed: [u8; 32]) -> Result<Vec<i32>, ExecutorError> {
        let mut base = Vec::new();
        base.try_reserve_exact(self.parameters).map_err(|_| ExecutorError::no_memory(self.parameters, ""))?;
        self.begin(&mut base, seed);
        Ok(base)
    }

    fn begin(&self, base: &mut Vec<i32>, seed: [u8; 32]) {
        if let Some(start) = &self.start {
            base.extend_from_slice(start);
            return;
        }
        let mut rng = ChaCha8Rng::from_seed(seed);
        for (tensor, init) in &self.tensors {
            let elements = tensor.shape.iter().map(|&extent| extent as usize).product();
            match *init {
                Init::Constant(value) => base.resize(base.len() + elements, from_f32(value)),
                Init::Uniform(bound) => base.extend((0..elements).map(|_| {
                    let unit = (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
                    from_f32(((2.0 * unit - 1.0) * bound) as f32)
                })),
            }
        }
    }

    /// Buffers for batches of that many samples.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn inputs(&self, executor: &mut dyn Executor, samples: usize) -> Result<Inputs, ExecutorError> {
        let tables = self.tables.iter().map(|table| match table {
            Table::Constants(words) => {
                let buffer = executor.allocate(words.len())?;
                executor.write(buffer, 0, words)?;
                Ok(buffer)
            }
            Table::Room(words) => executor.allocate(*words),
        });
        let tables = tables.collect::<Result<_, ExecutorError>>()?;
        let x = executor.allocate(samples * self.widths[0])?;
        let labels = executor.allocate(samples)?;
        let results = executor.allocate(2 * samples * self.rows())?;
        Ok(Inputs { samples, x, labels, results, tables })
    }

    /// Drafts the forward pass with the loss of every row. With `state` it is a pass of training: what the backward pass needs
    /// is kept, and dropout drops.
    pub fn forward(&self, draft: &mut Draft, theta: Buffer, inputs: &Inputs, state: Option<Buffer>) -> Tape {
        let (tape, labels) = self.values(draft, theta, inputs, state, &[]);
        if let Some(&logits) = tape.values.last() {
            let [rows, classes] = [inputs.samples * self.rows(), self.classes].map(|word| word as u32);
            let arguments = [logits, labels, inputs.results];
            match self.loss {
                Loss::CrossEntropy if draft.choices().shares_memory() && shared::pays(classes) => {
                    draft.push(&SoftmaxCrossEntropyShared, &arguments, &[rows, classes]);
                }
                Loss::CrossEntropy => draft.push(&SoftmaxCrossEntropy, &arguments, &[rows, classes]),
                Loss::MeanSquaredError => draft.push(&MeanSquaredError, &arguments, &[rows, classes]),
            }
            if let Some(table) = self.class_weights.filter(|_| state.is_some()) {
                draft.push(&ClassWeights, &[logits, labels, inputs.tables[table]], &[rows, classes]);
            }
        }
        tape
    }

    /// Drafts the forward pass of an evaluation without its loss: the logits [samples, rows, classes] go into `logits`. Labels are not
    /// looked at.
    pub fn logits(&self, draft: &mut Draft, theta: Buffer, inputs: &Inputs, logits: Buffer) {
        self.logits_keeping(draft, theta, inputs, logits, &[]);
    }

    /// The same, with these values in these buffers, where they are afterwards.
    pub(super) fn logits_keeping(
        &self,
        draft: &mut Draft,
        theta: Buffer,
        inputs: &Inputs,
        logits: Buffer,
        kept: &[(Value, Buffer)],
    ) {
        let last = (Value(self.nodes.len()), logits);
        self.values(draft, theta, inputs, None, &[kept, &[last]].concat());
    }

    /// All values, those with a place in it; and where the labels are.
    fn values(
        &self,
        draft: &mut Draft,
        theta: Buffer,
        inputs: &Inputs,
        state: Option<Buffer>,
        placed: &[(Value, Buffer)],
    ) -> (Tape, Buffer) {
        let (mut batch, mut labels) = (inputs.x, inputs.labels);
        if let Some(context) = self.context {
            [batch, labels] = [(); 2].map(|()| draft.buffer(inputs.samples * context));
            draft.push(&NextToken, &[inputs.x, batch, labels], &[inputs.samples as u32, context as u32]);
        }
        let mut tape = Tape {
            samples: inputs.samples,
            state,
            tables: inputs.tables.clone(),
            values: vec![batch],
            saved: Vec::new(),
        };
        for node in &self.nodes {
            let words = if state.is_some() { node.layer.saved(inputs.samples) } else { 0 };
            tape.saved.push((words > 0).then(|| draft.buffer(words)));
            let place = placed.iter().find(|(value, _)| *value == node.output).map(|(_, buffer)| *buffer);
            tape.values.push(place.unwrap_or_else(|| draft.buffer(inputs.samples * self.widths[node.output.0])));
            let x = tape.inputs(node);
            node.layer.forward(draft, &tape.forward(node, tape.saved.len() - 1, theta, &x));
        }
        (tape, labels)
    }

    /// Drafts the backward pass: the flat gradient of the mean loss.
    pub fn backward(&self, draft: &mut Draft, theta: Buffer, gradient: Buffer, mut tape: Tape) {
        let mut gradients: Vec<Option<Buffer>> = vec![None; tape.values.len()];
        // The loss has turned the logits into their own gradient.
        if let (Some(gradient), Some(&logits)) = (gradients.last_mut(), tape.values.last()) {
            *gradient = Some(logits);
        }
        for (i, node) in self.nodes.iter().enumerate().rev() {
            if self.recompute && self.segments.contains(&i) {
                self.replay(draft, theta, &mut tape, i);
            }
            let Some(dy) = gradients[node.output.0] else { continue };
            let mut later = Vec::new();
            let mut dx = Vec::new();
            for &Value(value) in &node.inputs {
                if !(self.differentiable[value] && node.layer.differentiable()) {
                    dx.push(None);
                    continue;
                }
                let words = tape.samples * self.widths[value];
                let buffer = match gradients[value] {
                    Some(buffer) if node.layer.adds() => buffer,
                    Some(total) => {
                        let part = draft.buffer(words);
                        later.push((part, total, words));
                        part
                    }
                    None => draft.buffer(words),
                };
                let add = gradients[value] == Some(buffer);
                gradients[value].get_or_insert(buffer);
                dx.push(Some(Gradient { buffer, add }));
            }
            let x = tape.inputs(node);
            let forward = tape.forward(node, i, theta, &x);
            node.layer.backward(draft, &Backward { forward, gradient, dy, dx: &dx });
            for (part, total, words) in later {
                draft.push(&Accumulate, &[part, total], &[words as u32, 1]);
            }
        }
    }
}

impl Network {
    /// Computes a segment again, into buffers of its own: those of the forward pass are then over before the backward pass
    /// begins, and the plan gives their places away. Its end is read by what comes after it, and so is still there.
    fn replay(&self, draft: &mut Draft, theta: Buffer, tape: &mut Tape, end: usize) {
        let begin = self.segments.iter().rev().find(|&&earlier| earlier < end).map_or(0, |earlier| earlier + 1);
        for (i, node) in self.nodes.iter().enumerate().take(end).skip(begin) {
            let words = node.layer.saved(tape.samples);
            tape.saved[i] = (words > 0).then(|| draft.buffer(words));
            tape.values[node.output.0] = draft.buffer(tape.samples * self.widths[node.output.0]);
            let x = tape.inputs(node);
            node.layer.forward(draft, &tape.forward(node, i, theta, &x));
        }
    }
}

impl Tape {
    fn inputs(&self, node: &Node) -> Vec<Buffer> {
        node.inputs.iter().map(|value| self.values[value.0]).collect()
    }

    /// What node `i` was given.
    fn forward<'a>(&'a self, node: &Node, i: usize, theta: Buffer, x: &'a [Buffer]) -> Forward<'a> {
        Forward {
            samples: self.samples,
            theta,
            state: self.state,
            x,
            y: self.values[node.output.0],
            saved: self.saved[i],
            tables: &self.tables,
        }
    }
}

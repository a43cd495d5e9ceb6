//! Decoder language models: what comes next in a text, byte by byte.
//!
//! In the manner of GPT-2 (Radford et al. 2019) with norms before the sublayers, rotary positions and a head tied to the embedding:
//!
//! ```text
//! x = embedding[tokens]
//! x += dropout( out(attention(qkv(norm(x)))) )        x += dropout( down(act(up(norm(x)))) )        for every layer
//! logits = norm(x) embedding^T
//! ```
//!
//! Linear layers have no bias with RMS norm (as in Llama) and one with layer norm (as in GPT-2). A sample is a window of
//! `context` + 1 tokens; every place of it is a row of the loss.
//!
//! Parameters in buffer order: `embedding` [V, D], `layers.L.{norm1, qkv, out, norm2, up, down}`, `norm`.

use super::network::{Init, Network, Value};
use super::steps::Steps;
use super::{LmSpec, ModelError, NormKind};
use crate::kernels::Activation;
use crate::layers::add::Add;
use crate::layers::attention::{self, Attention, HEAD_WIDTH_MAX, HEAD_WIDTH_STEP, Step};
use crate::layers::dropout::Dropout;
use crate::layers::embedding::Embedding;
use crate::layers::linear::Linear;
use crate::layers::norm::{Kind, Norm};

/// Deviation of the embedding's numbers, as in GPT-2.
const EMBEDDING_DEVIATION: f64 = 0.02;

/// A network in the making.
struct Builder<'a> {
    spec: &'a LmSpec,
    network: Network,
    /// Of a sample.
    places: usize,
    dropouts: u32,
}

/// The model for windows of these extents, [context + 1], and the same at one place.
pub(super) fn build(spec: &LmSpec, shape: &[usize], vocabulary: usize) -> Result<Network, ModelError> {
    let [context, width, heads] = [spec.context, spec.width, spec.heads].map(|extent| extent as usize);
    if shape != [context + 1] {
        let wanted = format!("windows of {} tokens of a text (data.path = \"FILE.txt\")", context + 1);
        return Err(ModelError::Shape { model: "lm", wanted, found: shape.to_vec() });
    }
    let head_width = width / heads.max(1);
    if heads * head_width != width
        || !head_width.is_multiple_of(HEAD_WIDTH_STEP)
        || !(1..=HEAD_WIDTH_MAX).contains(&head_width)
    {
        return Err(ModelError::Heads { width: spec.width, heads: spec.heads });
    }
    let mut read = Vec::new();
    let mut window = Network::text(context, vocabulary);
    let angles = window.table(attention::angles(context, head_width));
    let mut window = assemble(spec, window, |network, qkv| {
        read.push(qkv);
        network.add(Attention { places: context, heads, head_width, angles }, &[qkv])
    });
    let mut caches = Vec::new();
    let mut step = Network::text(1, vocabulary);
    let (angles, place) = (step.room(head_width), step.room(1));
    let network = assemble(spec, step, |network, qkv| {
        let cache = network.room(Step::cached(context, heads, head_width));
        caches.push(cache);
        network.add(Step { places: context, heads, head_width, angles, place, cache }, &[qkv])
    });
    let kept = read.into_iter().zip(caches).collect();
    window.steps = Some(Box::new(Steps { network, kept, angles, place, head_width }));
    Ok(window)
}

/// All layers, of which attention is left to `attend`. Where parameters lie does not depend on the number of places.
fn assemble(spec: &LmSpec, mut network: Network, mut attend: impl FnMut(&mut Network, Value) -> Value) -> Network {
    let (width, vocabulary) = (spec.width as usize, network.classes());
    let places = network.context().unwrap_or(1);
    let offset = network.tensor("embedding".into(), &[vocabulary, width], Init::deviation(EMBEDDING_DEVIATION));
    let batch = network.batch();
    let mut x = network.add(Embedding { places, vocabulary, channels: width, offset }, &[batch]);
    let mut builder = Builder { spec, network, places, dropouts: 0 };
    for layer in 0..spec.layers {
        let name = |part: &str| format!("layers.{layer}.{part}");
        let h = builder.norm(&name("norm1"), x);
        let h = builder.linear(&name("qkv"), [width, 3 * width], Activation::None, h);
        let h = attend(&mut builder.network, h);
        let h = builder.linear(&name("out"), [width, width], Activation::None, h);
        x = builder.residual(x, h);
        let h = builder.norm(&name("norm2"), x);
        let h = builder.linear(&name("up"), [width, 4 * width], spec.activation.kernel(), h);
        let h = builder.linear(&name("down"), [4 * width, width], Activation::None, h);
        x = builder.residual(x, h);
        builder.network.end_segment();
    }
    x = builder.norm("norm", x);
    let Builder { mut network, .. } = builder;
    let (activation, bias) = (Activation::None, false);
    network.add(Linear { inputs: width, outputs: vocabulary, activation, bias, offset, rows: places }, &[x]);
    network
}

impl Builder<'_> {
    fn norm(&mut self, name: &str, x: Value) -> Value {
        let channels = self.spec.width as usize;
        let offset = self.network.tensor(format!("{name}.weight"), &[channels], Init::Constant(1.0));
        let kind = match self.spec.norm {
            NormKind::Rms => Kind::Rms,
            NormKind::Layer => {
                self.network.tensor(format!("{name}.bias"), &[channels], Init::Constant(0.0));
                Kind::Layer
            }
        };
        self.network.add(Norm { kind, places: self.places, channels, activation: Activation::None, offset }, &[x])
    }

    fn linear(&mut self, name: &str, [inputs, outputs]: [usize; 2], activation: Activation, x: Value) -> Value {
        // What is added to x by all layers together grows with their number: those that add begin smaller.
        let adds = name.ends_with("out") || name.ends_with("down");
        let scale = if adds { 1.0 / f64::from(2 * self.spec.layers).sqrt() } else { 1.0 };
        let init = Init::deviation(scale / (inputs as f64).sqrt());
        let offset = self.network.tensor(format!("{name}.weight"), &[outputs, inputs], init);
        let bias = self.spec.norm == NormKind::Layer;
        if bias {
            self.network.tensor(format!("{name}.bias"), &[outputs], Init::Constant(0.0));
        }
        self.network.add(Linear { inputs, outputs, activation, bias, offset, rows: self.places }, &[x])
    }

    fn residual(&mut self, x: Value, mut h: Value) -> Value {
        let width = self.places * self.spec.width as usize;
        if self.spec.dropout > 0.0 {
            self.dropouts += 1;
            let dropout = Dropout { width, probability: self.spec.dropout, layer: self.dropouts };
            h = self.network.add(dropout, &[h]);
        }
        self.network.add(Add { width, activation: Activation::None }, &[x, h])
    }
}

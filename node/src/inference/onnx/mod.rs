//! A model as an ONNX graph: what it computes in words that other runtimes know.
//!
//! Operators of the default domain, opset 17, of which every runtime of these years has all. Group norm is instance norm over groups, as PyTorch
//! exports it: an operator of that name came later, and meant two things.

mod graph;
mod proto;

use prost::Message as _;
use shaders::models::layout::{Named, sample_shape};
use shaders::models::{CnnSpec, ModelSpec, norm_groups};

use self::graph::Graph;
use crate::error::{Error, Kind};
use crate::store::checkpoint::About;

/// Largest file: protobuf counts bytes in 31 bits.
const BYTES_MAX: usize = i32::MAX as usize;
/// As in the layers of the model.
const EPSILON: f32 = 1e-5;

/// The bytes of the file. `weights` are in the layout of [`shaders::models::layout`].
///
/// # Errors
/// A language model, or one too large for the format.
pub(super) fn bytes(about: &About, weights: Vec<Named>, metadata: &[(&str, &str)]) -> Result<Vec<u8>, Error> {
    let mut graph = Graph::new(weights);
    let x = graph.input("input", &sample_shape(&about.model, &about.shape));
    let x = normalized(&mut graph, x, about);
    let logits = match &about.model {
        ModelSpec::Mlp { hidden } => {
            let x = graph.node("Flatten", &[&x], |node| node.int("axis", 1));
            perceptron(&mut graph, x, hidden.len())
        }
        ModelSpec::Cnn(spec) => cnn(&mut graph, x, spec),
        ModelSpec::Lm(_) => {
            return Err(Error::new(
                Kind::Usage,
                "--format onnx: a language model has no ONNX form here, \"mlp\" and \"cnn\" have",
            )
            .hint("--format safetensors"));
        }
    };
    let model = graph.finish(&logits, about.classes, metadata);
    if model.encoded_len() > BYTES_MAX {
        let message = format!("--format onnx: {} bytes, the format holds {BYTES_MAX}", model.encoded_len());
        return Err(Error::new(Kind::Input, message).hint("--format safetensors"));
    }
    Ok(model.encode_to_vec())
}

/// What the loaders do with numbers before a model sees them is part of the graph: it takes them as they stand in the data.
fn normalized(graph: &mut Graph, x: String, about: &About) -> String {
    let Some(normalization) = &about.encoding.normalization else { return x };
    let shape = sample_shape(&about.model, &about.shape);
    let place = |values: &[f32]| match (&about.model, &about.shape[..]) {
        (ModelSpec::Cnn(_), &[height, width, channels]) => {
            let pixels = height * width;
            (0..channels * pixels).map(|i| values[i % pixels * channels + i / pixels]).collect()
        }
        _ => values.to_vec(),
    };
    let mean = graph.floats("normalization.mean", &shape, &place(&normalization.mean));
    let deviation = graph.floats("normalization.deviation", &shape, &place(&normalization.deviation));
    let x = graph.node("Sub", &[&x, &mean], |node| node);
    graph.node("Div", &[&x, &deviation], |node| node)
}

fn relu(graph: &mut Graph, x: &str) -> String {
    graph.node("Relu", &[x], |node| node)
}

/// `layers.I` with ReLU between them.
fn perceptron(graph: &mut Graph, mut x: String, hidden: usize) -> String {
    for i in 0..=hidden {
        let (weight, bias) = (format!("layers.{i}.weight"), format!("layers.{i}.bias"));
        x = graph.node("Gemm", &[&x, &weight, &bias], |node| node.int("transB", 1));
        if i < hidden {
            x = relu(graph, &x);
        }
    }
    x
}

fn convolution(graph: &mut Graph, x: &str, name: &str, kernel: i64, stride: i64) -> String {
    let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
    graph.node("Conv", &[x, &weight, &bias], |node| {
        node.ints("kernel_shape", &[kernel; 2]).ints("pads", &[kernel / 2; 4]).ints("strides", &[stride; 2])
    })
}

fn cnn(graph: &mut Graph, mut x: String, spec: &CnnSpec) -> String {
    if spec.residual_blocks == 0 {
        for i in 0..spec.channels.len() {
            x = convolution(graph, &x, &format!("convolutions.{i}"), 3, 1);
            x = relu(graph, &x);
            x = graph.node("MaxPool", &[&x], |node| node.ints("kernel_shape", &[2; 2]).ints("strides", &[2; 2]));
        }
    } else {
        x = convolution(graph, &x, "stem", 3, 1);
        x = relu(graph, &x);
        let mut before = spec.channels.first().copied().unwrap_or(1);
        for (stage, &channels) in spec.channels.iter().enumerate() {
            for block in 0..spec.residual_blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let name = format!("stages.{stage}.blocks.{block}");
                x = residual(graph, &x, &name, channels as usize, (stride, before != channels));
                before = channels;
            }
        }
        x = graph.node("GlobalAveragePool", &[&x], |node| node);
    }
    x = graph.node("Flatten", &[&x], |node| node.int("axis", 1));
    perceptron(graph, x, spec.hidden.len())
}

/// relu( norm(conv( relu(norm(conv(x))) )) + shortcut(x) )
fn residual(graph: &mut Graph, x: &str, name: &str, channels: usize, (stride, widens): (i64, bool)) -> String {
    let h = convolution(graph, x, &format!("{name}.conv1"), 3, stride);
    let h = norm(graph, &h, &format!("{name}.norm1"), channels);
    let h = relu(graph, &h);
    let h = convolution(graph, &h, &format!("{name}.conv2"), 3, 1);
    let h = norm(graph, &h, &format!("{name}.norm2"), channels);
    let shortcut =
        if stride > 1 || widens { convolution(graph, x, &format!("{name}.shortcut"), 1, stride) } else { x.to_owned() };
    let sum = graph.node("Add", &[&h, &shortcut], |node| node);
    relu(graph, &sum)
}

/// Group norm: (x - mean) / sqrt(variance + epsilon) of every group, then gamma and beta of every channel.
fn norm(graph: &mut Graph, x: &str, name: &str, channels: usize) -> String {
    let groups = norm_groups(channels);
    let shape = graph.node("Shape", &[x], |node| node);
    let split = graph.integers(&format!("{name}.groups"), &[0, groups as i64, -1]);
    let (ones, zeros) = (vec![1.0; groups], vec![0.0; groups]);
    let ones = graph.floats(&format!("{name}.ones"), &[groups], &ones);
    let zeros = graph.floats(&format!("{name}.zeros"), &[groups], &zeros);
    let h = graph.node("Reshape", &[x, &split], |node| node);
    let h = graph.node("InstanceNormalization", &[&h, &ones, &zeros], |node| node.float("epsilon", EPSILON));
    let h = graph.node("Reshape", &[&h, &shape], |node| node);
    let gamma = graph.reshaped(&format!("{name}.weight"), &[channels, 1, 1]);
    let beta = graph.reshaped(&format!("{name}.bias"), &[channels, 1, 1]);
    let h = graph.node("Mul", &[&h, &gamma], |node| node);
    graph.node("Add", &[&h, &beta], |node| node)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use shaders::data::{Encoding, Normalization};
    use shaders::models::layout;

    use super::proto::ModelProto;
    use super::*;

    fn floats(model: &ModelProto, name: &str) -> (Vec<i64>, Vec<f32>) {
        let graph = model.graph.as_ref().unwrap();
        let tensor = graph.initializer.iter().find(|tensor| tensor.name == name).unwrap();
        let values = tensor.raw_data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        (tensor.dims.clone(), values.collect())
    }

    #[test]
    fn a_graph_takes_numbers_as_they_stand_in_the_data() {
        // 2 x 2 pixels of 3 channels: pixel p of channel c is number 3p + c of a sample, and number 4c + p of the graph's input.
        let shape = vec![2, 2, 3];
        let specs = [
            ModelSpec::Cnn(CnnSpec { channels: vec![2], residual_blocks: 0, hidden: vec![] }),
            ModelSpec::Mlp { hidden: vec![2] },
        ];
        for spec in specs {
            let network = spec.build(&shape, 2).unwrap();
            let (run, data) = (String::new(), String::new());
            let mut about = About::new(run, Vec::new(), spec.clone(), &network, shape.clone(), data);
            let weights = || layout::to_named(&spec, &shape, &network, &vec![0.0; network.parameters()]);
            let plain = ModelProto::decode(&bytes(&about, weights(), &[]).unwrap()[..]).unwrap();
            let mean: Vec<f32> = (0..12u8).map(f32::from).collect();
            let deviation: Vec<f32> = mean.iter().map(|mean| mean + 1.0).collect();
            let normalization = Some(Normalization { mean: mean.clone(), deviation: deviation.clone() });
            about.encoding = Encoding { normalization, ..Encoding::default() };
            let model = ModelProto::decode(&bytes(&about, weights(), &[]).unwrap()[..]).unwrap();
            let nodes = &model.graph.as_ref().unwrap().node;
            assert_eq!(nodes.len(), plain.graph.unwrap().node.len() + 2);
            assert_eq!(
                (&nodes[0].op_type[..], &nodes[0].input[..]),
                ("Sub", &["input", "normalization.mean"].map(String::from)[..])
            );
            let divided = [nodes[0].output[0].clone(), "normalization.deviation".to_owned()];
            assert_eq!((&nodes[1].op_type[..], &nodes[1].input[..]), ("Div", &divided[..]));
            assert_eq!(nodes[2].input[0], nodes[1].output[0]);
            for (name, of_sample) in [("normalization.mean", mean), ("normalization.deviation", deviation)] {
                let (dims, found) = floats(&model, name);
                let expected: Vec<f32> = match &spec {
                    ModelSpec::Cnn(_) => (0..12).map(|i| of_sample[3 * (i % 4) + i / 4]).collect(),
                    _ => of_sample,
                };
                let extents = if matches!(spec, ModelSpec::Cnn(_)) { [3, 2, 2] } else { [2, 2, 3] };
                assert_eq!((dims, found), (extents.to_vec(), expected));
            }
        }
    }
}

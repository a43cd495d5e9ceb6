//! A graph in the making: values have names, every operator makes a new one.

use std::collections::BTreeMap;

use shaders::models::layout::Named;

use super::proto::{
    Dimension, FLOAT, GraphProto, INT64, ModelProto, Node, OperatorSet, Property, Shape, TensorProto, TensorType, Type,
    ValueInfo, dimension,
};

/// Version of the format itself: of the opset's time.
const IR_VERSION: i64 = 8;
/// Version of the operators.
const OPSET: i64 = 17;

/// See the module.
pub(super) struct Graph {
    weights: BTreeMap<String, Named>,
    graph: GraphProto,
}

impl Graph {
    pub(super) fn new(weights: Vec<Named>) -> Self {
        let weights = weights.into_iter().map(|named| (named.name.clone(), named)).collect();
        Self { weights, graph: GraphProto { name: "starling".to_owned(), ..GraphProto::default() } }
    }

    /// A batch of samples of that shape.
    pub(super) fn input(&mut self, name: &str, shape: &[usize]) -> String {
        self.graph.input.push(value(name, shape));
        name.to_owned()
    }

    /// An operator on values; an initializer that it names is taken from the weights.
    pub(super) fn node(&mut self, op: &str, inputs: &[&str], attributes: impl FnOnce(Node) -> Node) -> String {
        for name in inputs {
            if let Some(Named { name, shape, values }) = self.weights.remove(*name) {
                self.floats(&name, &shape, &values);
            }
        }
        let output = format!("{}_{}", op.to_lowercase(), self.graph.node.len());
        self.graph.node.push(attributes(Node {
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.clone()],
            name: output.clone(),
            op_type: op.to_owned(),
            attribute: Vec::new(),
        }));
        output
    }

    /// A weight in another shape.
    pub(super) fn reshaped(&mut self, name: &str, shape: &[usize]) -> String {
        let values = self.weights.remove(name).map(|named| named.values).unwrap_or_default();
        self.floats(name, shape, &values)
    }

    pub(super) fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initializer(name, shape, FLOAT, bytes)
    }

    pub(super) fn integers(&mut self, name: &str, values: &[i64]) -> String {
        self.initializer(name, &[values.len()], INT64, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    fn initializer(&mut self, name: &str, shape: &[usize], data_type: i32, raw_data: Vec<u8>) -> String {
        let dims = shape.iter().map(|&extent| extent as i64).collect();
        self.graph.initializer.push(TensorProto { dims, data_type, name: name.to_owned(), raw_data });
        name.to_owned()
    }

    /// The whole file.
    pub(super) fn finish(mut self, logits: &str, classes: usize, metadata: &[(&str, &str)]) -> ModelProto {
        // The last operator's value gets the name that users see.
        if let Some(last) = self.graph.node.last_mut().filter(|node| node.output[0] == logits) {
            "logits".clone_into(&mut last.output[0]);
        }
        self.graph.output.push(value("logits", &[classes]));
        let property = |&(key, value): &(&str, &str)| Property { key: key.to_owned(), value: value.to_owned() };
        ModelProto {
            ir_version: IR_VERSION,
            producer_name: "starling".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(self.graph),
            opset_import: vec![OperatorSet { domain: String::new(), version: OPSET }],
            metadata_props: metadata.iter().map(property).collect(),
        }
    }
}

/// Floats of that shape, in any number.
fn value(name: &str, shape: &[usize]) -> ValueInfo {
    let extent = |&extent: &usize| Dimension { value: Some(dimension::Value::DimValue(extent as i64)) };
    let batch = Dimension { value: Some(dimension::Value::DimParam("batch".to_owned())) };
    let shape = Shape { dim: std::iter::once(batch).chain(shape.iter().map(extent)).collect() };
    let tensor = TensorType { elem_type: FLOAT, shape: Some(shape) };
    ValueInfo { name: name.to_owned(), r#type: Some(Type { tensor_type: Some(tensor) }) }
}

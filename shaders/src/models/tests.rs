#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::engine::Executor;
use crate::engine::cpu::CpuExecutor;
use crate::engine::plan::Draft;
use crate::kernels::advance::STATE_WORDS;

const FEATURES: usize = 5;
const CLASSES: usize = 3;
const ROWS: usize = 4;

/// Mean cross-entropy of the MLP 5-6-4-3, naively and in f64.
fn loss(theta: &[f64], x: &[f64], labels: &[u32]) -> f64 {
    let mut values = x.to_vec();
    let mut offset = 0;
    for (inputs, outputs, relu) in [(5, 6, true), (6, 4, true), (4, 3, false)] {
        let mut next = Vec::new();
        for row in values.chunks(inputs) {
            for n in 0..outputs {
                let w = &theta[offset + n * inputs..offset + (n + 1) * inputs];
                let z = theta[offset + inputs * outputs + n] + row.iter().zip(w).map(|(x, w)| x * w).sum::<f64>();
                next.push(if relu { z.max(0.0) } else { z });
            }
        }
        offset += inputs * outputs + outputs;
        values = next;
    }
    let row_loss = |(row, label): (&[f64], &u32)| row.iter().map(|z| z.exp()).sum::<f64>().ln() - row[*label as usize];
    values.chunks(CLASSES).zip(labels).map(row_loss).sum::<f64>() / ROWS as f64
}

/// Flat gradient of a network's mean loss on a batch, and the sum of the losses of its rows.
fn gradient_and_loss(network: &Network, theta: &[f32], x: &[f32], labels: &[u32]) -> (Vec<f32>, f64) {
    let on = &mut CpuExecutor::new(None);
    let inputs = network.inputs(on, labels.len()).unwrap();
    let [weights, gradient, state] = [theta.len(), theta.len(), STATE_WORDS].map(|words| on.allocate(words).unwrap());
    on.write(weights, 0, bytemuck::cast_slice(theta)).unwrap();
    on.write(inputs.x, 0, bytemuck::cast_slice(x)).unwrap();
    on.write(inputs.labels, 0, labels).unwrap();
    let mut draft = Draft::default();
    let tape = network.forward(&mut draft, weights, &inputs, Some(state));
    network.backward(&mut draft, weights, gradient, &tape);
    let recording = draft.place(on).unwrap();
    let prepared = on.prepare(recording).unwrap();
    on.run(prepared, 1).unwrap();
    let (mut found, mut rows) = (Vec::new(), Vec::new());
    on.read(gradient, theta.len(), &mut found).unwrap();
    on.read(inputs.results, 2 * labels.len() * network.rows(), &mut rows).unwrap();
    let loss = rows.iter().step_by(2).map(|bits| f64::from(f32::from_bits(*bits))).sum();
    (bytemuck::cast_slice(&found).to_vec(), loss)
}

/// Finite differences of every parameter, those in the middle of the graph among them: a backward kernel that forgets the
/// gradient from above passes only as the last one.
#[test]
fn gradients_equal_finite_differences_in_every_layer() {
    let model = ModelSpec::Mlp { hidden: vec![6, 4] }.build(&[FEATURES], CLASSES).unwrap();
    let base = model.initial_base([3; 32]);
    let theta: Vec<f32> =
        base.iter().enumerate().map(|(i, &b)| protocol::fixed::to_f32(b) + 0.01 * (i % 5) as f32).collect();
    let x: Vec<f32> = (0..ROWS * FEATURES).map(|i| ((i * 7 % 11) as f32 - 4.0) / 5.0).collect();
    let labels = [0, 2, 1, 2];
    let (found, _) = gradient_and_loss(&model, &theta, &x, &labels);

    let theta: Vec<f64> = theta.into_iter().map(f64::from).collect();
    let x: Vec<f64> = x.into_iter().map(f64::from).collect();
    let mut nonzero = 0;
    for i in 0..theta.len() {
        let at = |shift: f64| {
            let mut theta = theta.clone();
            theta[i] += shift;
            loss(&theta, &x, &labels)
        };
        let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
        let found = f64::from(found[i]);
        assert!((found - expected).abs() < 1e-5, "parameter {i}: {found}, finite difference {expected}");
        nonzero += usize::from(expected.abs() > 1e-6);
    }
    assert!(nonzero > theta.len() / 2, "{nonzero} of {} gradients say anything", theta.len());
}

#[test]
fn schema_and_initial_weights_fit() {
    let model = ModelSpec::Mlp { hidden: vec![64, 64] }.build(&[8, 8], 10).unwrap();
    let schema = model.schema();
    assert_eq!(schema.parameters(), model.parameters());
    assert_eq!(model.parameters(), 64 * 64 + 64 + 64 * 64 + 64 + 640 + 10);
    assert_eq!(schema.tensors[0].name, "layers.0.weight");
    assert_eq!(schema.tensors[5].shape, [10]);
    let base = model.initial_base([1; 32]);
    assert_eq!(base.len(), model.parameters());
    assert_eq!(base, model.initial_base([1; 32]));
    assert_ne!(base, model.initial_base([2; 32]));
    let linear = ModelSpec::Mlp { hidden: vec![] }.build(&[8, 8], 10).unwrap();
    assert_eq!(linear.parameters(), 650);
}

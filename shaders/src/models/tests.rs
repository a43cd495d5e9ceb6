#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::engine::cpu::CpuExecutor;
use crate::engine::{Executor, Recording};

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

/// Finite differences of every parameter, those in the middle of the graph among them: a backward kernel that forgets the
/// gradient from above passes only as the last one.
#[test]
fn gradients_equal_finite_differences_in_every_layer() {
    let model = ModelSpec::Mlp { hidden: vec![6, 4] }.build(FEATURES, CLASSES);
    let base = model.initial_base([3; 32]);
    let theta: Vec<f32> =
        base.iter().enumerate().map(|(i, &b)| protocol::fixed::to_f32(b) + 0.01 * (i % 5) as f32).collect();
    let x: Vec<f32> = (0..ROWS * FEATURES).map(|i| ((i * 7 % 11) as f32 - 4.0) / 5.0).collect();
    let labels = [0, 2, 1, 2];

    let mut executor = CpuExecutor::new(None);
    let workspace = model.workspace(&mut executor, ROWS, true).unwrap();
    let (weights, gradient) = (executor.allocate(theta.len()).unwrap(), executor.allocate(theta.len()).unwrap());
    executor.write(weights, 0, bytemuck::cast_slice(&theta)).unwrap();
    executor.write(workspace.x, 0, bytemuck::cast_slice(&x)).unwrap();
    executor.write(workspace.labels, 0, &labels).unwrap();
    let mut recording = Recording::default();
    model.forward(&mut recording, weights, &workspace);
    model.backward(&mut recording, weights, gradient, &workspace);
    let prepared = executor.prepare(recording).unwrap();
    executor.run(prepared, 1).unwrap();
    let mut found = Vec::new();
    executor.read(gradient, theta.len(), &mut found).unwrap();

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
        let found = f64::from(f32::from_bits(found[i]));
        assert!((found - expected).abs() < 1e-5, "parameter {i}: {found}, finite difference {expected}");
        nonzero += usize::from(expected.abs() > 1e-6);
    }
    assert!(nonzero > theta.len() / 2, "{nonzero} of {} gradients say anything", theta.len());
}

#[test]
fn schema_and_initial_weights_fit() {
    let model = ModelSpec::Mlp { hidden: vec![64, 64] }.build(64, 10);
    let schema = model.schema();
    assert_eq!(schema.parameters(), model.parameters());
    assert_eq!(model.parameters(), 64 * 64 + 64 + 64 * 64 + 64 + 640 + 10);
    assert_eq!(schema.tensors[0].name, "layers.0.weight");
    assert_eq!(schema.tensors[5].shape, [10]);
    let base = model.initial_base([1; 32]);
    assert_eq!(base.len(), model.parameters());
    assert_eq!(base, model.initial_base([1; 32]));
    assert_ne!(base, model.initial_base([2; 32]));
    let linear = ModelSpec::Mlp { hidden: vec![] }.build(64, 10);
    assert_eq!(linear.parameters(), 650);
}

//! A learner as a GPU runs it, on the adapter that there is: words in uniforms, kernels whose workgroups share memory, products by different
//! presets in one step, losses that come a call later, a delta that is chosen on the device beside the steps.

use std::collections::BTreeSet;

use protocol::learner::Take;

use super::*;

/// Each class of products of the model by another preset, as if somebody had tuned for it.
fn mixed(spec: &LearnerSpec, info: &DeviceInfo) -> Choices {
    let shapes = products(spec, info).unwrap();
    let presets = Preset::ALL.iter().cycle().map(|(preset, ..)| *preset);
    let tuned = shapes.iter().zip(presets).map(|(shape, preset)| (shape.class(), preset)).collect();
    let choices = Choices::untuned(info).with(tuned);
    let chosen: BTreeSet<Preset> = shapes.iter().map(|shape| choices.preset(shape)).collect();
    assert!(chosen.len() >= 4, "{chosen:?}");
    choices
}

#[test]
fn a_learner_on_hardware_learns_what_the_cpu_learns() {
    let Some(mut gpu) = crate::kernels::tests::gpu() else { return };
    gpu.count_as_hardware();
    let (text, norm, activation) = (lm(0.2), NormKind::Rms, ActivationKind::Gelu);
    let model = LmSpec { context: 16, width: 32, layers: 1, heads: 2, norm, activation, dropout: 0.2 };
    // 256 rows: sums that are long enough for two parts.
    let spec = LearnerSpec {
        model: network(&ModelSpec::Lm(model), &text.dataset),
        optimizer: OptimizerSpec::Sgd { learning_rate: 0.1, momentum: 0.9, nesterov: true },
        batch: 16,
        ..text
    };
    gpu.choose(mixed(&spec, gpu.info()));
    let mut gpu = TrainingLearner::new(spec.clone(), Box::new(gpu)).unwrap();
    let mut cpu = TrainingLearner::new(spec, Box::new(CpuExecutor::new(None))).unwrap();
    assert_eq!(DeviceKind::of(gpu.info()), DeviceKind::Gpu);
    for learner in [&mut gpu, &mut cpu] {
        learner.train(2, Progress::START).unwrap();
        learner.train(2, Progress::START).unwrap();
    }
    let [a, b] = [&mut gpu, &mut cpu].map(|learner| learner.evaluate(Weights::Local).unwrap());
    assert!((a.loss - b.loss).abs() < 1e-4 * b.loss, "{a:?} and {b:?}");
    let worst = theta(&mut gpu).iter().zip(theta(&mut cpu)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-4, "{worst}");
    // What is said beside steps is in the base, to the bit.
    let mut base = gpu.base().unwrap();
    let take = Take { codec: &TopK2Bit, weight: Weight::HALF, norm_max: f32::INFINITY };
    let mut said = Vec::new();
    gpu.take_delta_then_train(take, 1, Progress::START, &mut |taken| said.push(taken.payload)).unwrap();
    let mut decoded = Decoded::default();
    TopK2Bit.decode(&said[0], base.len(), Weight::HALF, &mut decoded).unwrap();
    decoded.iter().for_each(|(i, _, add)| base[i] = base[i].wrapping_add(add));
    assert!(said.len() == 1 && gpu.base().unwrap() == base);
}

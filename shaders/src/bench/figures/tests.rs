#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::engine::{DeviceChoice, open};

#[test]
fn what_would_take_too_long_is_left_out_with_the_reason() {
    let effort = Effort { threads: 1, quick: false };
    let budget = PIECE_BUDGET.as_secs_f64();
    assert_eq!(effort.too_long(0.4 * budget, 1e9), None);
    let why = effort.too_long(0.6 * budget, 2e9).unwrap();
    assert!(why.contains("2.0 Gflop/s") && why.contains("more than the 8 s"), "{why}");
    assert_eq!(effort.too_long(f64::NAN, f64::NAN), None, "nothing is known before the first");
}

#[test]
fn what_is_streamed_is_larger_than_caches_where_there_is_room() {
    let gpu = DeviceInfo { backend: "vulkan".into(), ..DeviceInfo::default() };
    let [whole, quick] = [false, true].map(|quick| Effort { threads: 1, quick });
    assert_eq!((whole.streamed(&gpu), quick.streamed(&gpu)), (STREAMED, QUICK_STREAMED));
    for small in [
        DeviceInfo { largest_buffer: Some(128 << 20), ..gpu.clone() },
        DeviceInfo { free_memory: Some(3 << 30), ..gpu.clone() },
        DeviceInfo { software: true, ..gpu },
    ] {
        assert_eq!(whole.streamed(&small), LESS_STREAMED, "{small:?}");
    }
}

#[test]
fn a_quick_look_at_the_cpu_has_every_figure() {
    let mut told = 0;
    let effort = Effort { threads: 1, quick: true };
    let open = || open(&DeviceChoice::Cpu, 1);
    let figures = measure(&open, effort, &mut |_| told += 1).unwrap();
    assert!(told > 5, "{told}");
    let positive = |value: f64| value.is_finite() && value > 0.0;
    assert!(positive(figures.copy_gbs));
    assert_eq!(figures.matmul[0].m, EXTENTS[0]);
    assert!(figures.matmul.iter().all(|product| positive(product.gflops)));
    assert!(figures.matmul.iter().all(|product| product.reference_gflops.is_none_or(positive)));
    let (adam, top_k) = (figures.adam.unwrap(), figures.top_k.unwrap());
    let chosen = [top_k.gbs, top_k.of_copy, top_k.encode_s, top_k.encode_of_copy];
    assert!([adam.gbs, adam.of_copy].into_iter().chain(chosen).all(positive));
    assert!(figures.steps.iter().all(|steps| positive(steps.steps_per_s) && steps.backend == "cpu"));
    // Whatever the machine: each size and model is measured or named as left out.
    let named = |name: &str| figures.left_out.iter().any(|left| left.what.starts_with(name));
    assert!(EXTENTS.iter().all(|extent| {
        figures.matmul.iter().any(|product| product.n == *extent) || named(&format!("matmul {extent}"))
    }));
    for model in models::ALL {
        assert!(figures.steps.iter().any(|steps| steps.model == model.name) || named(model.name), "{}", model.name);
    }
    for gossip in &figures.gossip {
        assert!(positive(gossip.steps_per_s_on) && positive(gossip.say_s) && gossip.deltas > 0, "{gossip:?}");
        assert!(
            gossip.pairs.len() == QUICK_STRETCHES.pairs && gossip.pairs.iter().flatten().all(|rate| positive(*rate))
        );
    }
}

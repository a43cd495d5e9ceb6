//! What every rule promises, over [`ALL`].

use proptest::prelude::*;

use super::*;

fn merge(rule: &dyn Merge, own: &[f32], others: &[Vec<f32>]) -> Vec<f32> {
    let slices: Vec<&[f32]> = others.iter().map(Vec::as_slice).collect();
    let mut out = vec![7.0; 3];
    rule.merge(own, &slices, &mut out).expect("finite, and of one shape");
    out
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn names_lead_back() {
    for rule in ALL {
        assert_eq!(by_name(rule.name()).map(Merge::name), Some(rule.name()));
        assert!(!rule.about().is_empty());
    }
    assert!(by_name("krum").is_none());
}

#[test]
fn another_length_or_a_diverged_model_of_our_own_is_an_error() {
    for rule in ALL {
        let mut out = vec![1.0];
        let error = rule.merge(&[1.0, 2.0], &[&[1.0, 2.0], &[1.0]], &mut out);
        assert_eq!(error, Err(MergeError::Shape { found: 1, expected: 2 }), "{}", rule.name());
        assert!(out.is_empty());
        let error = rule.merge(&[1.0, f32::NAN], &[&[1.0, 2.0]], &mut out);
        assert_eq!(error, Err(MergeError::NonFinite { count: 1, parameters: 2 }), "{}", rule.name());
        rule.merge(&[], &[&[]], &mut out).expect("a model of nothing");
        assert!(out.is_empty());
    }
}

#[test]
fn the_claims_of_the_rules() {
    // What a rule does not claim is not tested below: hold the claims fast.
    let claims: Vec<_> = ALL.iter().map(|rule| (rule.name(), rule.keeps_mean(), rule.hostile_max(16))).collect();
    let expected =
        [("average", true, 0), ("clipped", false, 0), ("coordinate_median", false, 7), ("trimmed_mean", false, 4)];
    assert_eq!(claims, expected);
}

/// Any finite float, the largest among them.
fn weight() -> impl Strategy<Value = f32> {
    prop_oneof![4 => -10f32..10.0, 1 => any::<f32>().prop_filter("finite", |value| value.is_finite())]
}

/// 1 to 12 models of 1 to 6 weights.
fn models() -> impl Strategy<Value = Vec<Vec<f32>>> {
    (1usize..=6).prop_flat_map(|d| proptest::collection::vec(proptest::collection::vec(weight(), d), 1..=12))
}

proptest! {
    #[test]
    fn the_order_of_others_makes_no_difference(models in models(), seed in any::<u64>()) {
        let (own, others) = models.split_first().expect("at least one");
        let mut shuffled = others.to_vec();
        for i in (1..shuffled.len()).rev() {
            shuffled.swap(i, (seed >> (i % 60)) as usize % (i + 1));
        }
        for rule in ALL {
            let (a, b) = (merge(*rule, own, others), merge(*rule, own, &shuffled));
            prop_assert_eq!(bits(&a), bits(&b), "{}", rule.name());
        }
    }

    #[test]
    fn alone_and_among_equals_nothing_changes(model in proptest::collection::vec(weight(), 1..20), n in 0usize..12) {
        for rule in ALL {
            // -0.0 and 0.0 are one weight.
            prop_assert_eq!(&merge(*rule, &model, &vec![model.clone(); n]), &model, "{}", rule.name());
        }
    }

    #[test]
    fn the_result_is_finite_and_between_the_inputs(models in models()) {
        let (own, others) = models.split_first().expect("at least one");
        for rule in ALL {
            for (i, value) in merge(*rule, own, others).into_iter().enumerate() {
                let (low, high) = range(&models, i);
                let slack = 1e-6 * low.abs().max(high.abs());
                prop_assert!(value >= low - slack && value <= high + slack, "{}: {value} of {low}..{high}", rule.name());
                prop_assert!(value.is_finite());
            }
        }
    }

    #[test]
    fn a_model_that_is_not_finite_counts_as_absent(
        models in models(),
        bad in prop_oneof![Just(f32::NAN), Just(f32::INFINITY), Just(f32::NEG_INFINITY)],
        place in any::<proptest::sample::Index>(),
    ) {
        let (own, others) = models.split_first().expect("at least one");
        let mut poisoned = own.to_vec();
        poisoned[place.index(own.len())] = bad;
        let mut with = others.to_vec();
        with.insert(place.index(others.len() + 1), poisoned);
        for rule in ALL {
            prop_assert_eq!(bits(&merge(*rule, own, others)), bits(&merge(*rule, own, &with)), "{}", rule.name());
        }
    }

    #[test]
    fn the_mean_is_kept_where_claimed(
        models in (1usize..=6).prop_flat_map(|d| proptest::collection::vec(proptest::collection::vec(-10f32..10.0, d), 2..=12)),
    ) {
        for rule in ALL.iter().filter(|rule| rule.keeps_mean()) {
            let merged: Vec<Vec<f32>> = (0..models.len())
                .map(|us| {
                    let others: Vec<_> = (0..models.len()).filter(|&i| i != us).map(|i| models[i].clone()).collect();
                    merge(*rule, &models[us], &others)
                })
                .collect();
            for i in 0..models[0].len() {
                let sum = |models: &[Vec<f32>]| models.iter().map(|model| f64::from(model[i])).sum::<f64>();
                prop_assert!((sum(&merged) - sum(&models)).abs() < 1e-4, "{}", rule.name());
            }
        }
    }

    /// Liars send whatever they like, NaN and infinities among it; fewer than a third of all, and no more than the rule claims.
    #[test]
    fn robust_rules_stay_within_the_honest_range(
        honest in (1usize..=4).prop_flat_map(|d| proptest::collection::vec(proptest::collection::vec(-10f32..10.0, d), 1..=12)),
        lies in proptest::collection::vec(proptest::collection::vec(any::<f32>(), 4), 0..6),
        scale in prop_oneof![Just(1.0f32), Just(1e6), Just(f32::MAX)],
    ) {
        let d = honest[0].len();
        for rule in ALL {
            let mut others = honest[1..].to_vec();
            for lie in &lies {
                let present = |others: &[Vec<f32>]| 1 + others.iter().filter(|o| o.iter().all(|v| v.is_finite())).count();
                let lie: Vec<f32> = lie[..d].iter().map(|value| value * scale).collect();
                let absent = lie.iter().any(|value| !value.is_finite());
                let liars = present(&others) - honest.len() + 1;
                let models = present(&others) + 1;
                if absent || (3 * liars < models && liars <= rule.hostile_max(models)) {
                    others.push(lie);
                }
            }
            for (i, value) in merge(*rule, &honest[0], &others).into_iter().enumerate() {
                let (low, high) = range(&honest, i);
                let slack = 1e-5;
                prop_assert!(value >= low - slack && value <= high + slack, "{}: {value} of {low}..{high}", rule.name());
            }
        }
    }
}

fn range(models: &[Vec<f32>], i: usize) -> (f32, f32) {
    let values = || models.iter().map(|model| model[i]);
    (values().fold(f32::INFINITY, f32::min), values().fold(f32::NEG_INFINITY, f32::max))
}

#[test]
fn without_a_robust_rule_one_liar_of_ten_decides() {
    // The negative control of the test above.
    let others = [vec![vec![1.0f32]; 8], vec![vec![1e9]]].concat();
    for rule in ALL {
        let moved = merge(*rule, &[1.0], &others)[0] > 2.0;
        assert_eq!(moved, rule.name() == "average", "{}", rule.name());
    }
}

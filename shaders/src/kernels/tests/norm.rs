//! Group, layer and RMS norm.

use super::Expected::Floats;
use super::linear::activate;
use super::*;

const EPSILON: f32 = 1e-5;

/// A norm, read off its formula.
#[derive(Clone, Copy)]
struct Norm {
    n: usize,
    places: usize,
    c: usize,
    groups: usize,
    centred: bool,
}

impl Norm {
    fn group(&self, e: usize) -> usize {
        e / (self.places * self.c) * self.groups + e % self.c / (self.c / self.groups)
    }

    /// Mean and inverse deviation of every group.
    fn statistics(&self, x: &[f64]) -> Vec<f64> {
        let members = |group: usize| (0..x.len()).filter(move |&e| self.group(e) == group);
        (0..self.n * self.groups)
            .flat_map(|group| {
                let count = members(group).count() as f64;
                let mean = if self.centred { members(group).map(|e| x[e]).sum::<f64>() / count } else { 0.0 };
                let square = members(group).map(|e| (x[e] - mean).powi(2)).sum::<f64>() / count;
                [mean, 1.0 / (square + f64::from(EPSILON)).sqrt()]
            })
            .collect()
    }

    /// The two means of every group that its gradient needs.
    fn means(&self, x: &[f64], dy: &[f64], gamma: &[f64]) -> Vec<f64> {
        let statistics = self.statistics(x);
        let members = |group: usize| (0..x.len()).filter(move |&e| self.group(e) == group);
        let h = |e: usize| (x[e] - statistics[2 * self.group(e)]) * statistics[2 * self.group(e) + 1];
        let of_group = |group: usize| {
            let mean = |term: &dyn Fn(usize) -> f64| {
                let terms = members(group).map(|e| dy[e] * gamma[e % self.c] * term(e));
                terms.sum::<f64>() / members(group).count() as f64
            };
            [if self.centred { mean(&|_| 1.0) } else { 0.0 }, mean(&h)]
        };
        (0..self.n * self.groups).flat_map(of_group).collect()
    }

    fn forward(&self, x: &[f64], gamma: &[f64], beta: &[f64]) -> Vec<f64> {
        let statistics = self.statistics(x);
        let at = |e: usize| {
            let (group, c) = (self.group(e), e % self.c);
            let shift = if self.centred { beta[c] } else { 0.0 };
            gamma[c] * (x[e] - statistics[2 * group]) * statistics[2 * group + 1] + shift
        };
        (0..x.len()).map(at).collect()
    }
}

fn floats(values: &[f64]) -> Vec<u32> {
    values.iter().map(|value| word(*value as f32)).collect()
}

pub(super) fn cases(random: &mut Random) -> Vec<Case> {
    let [n, places, groups, each, offset, slices] = [3, 6, 4, 4, 5, 4].map(|most| random.extent(most));
    // Of a group of two numbers the gradient is next to nothing: a difference that f32 does not know to 1e-5.
    let c = groups * (each + 2);
    let norm = Norm { n, places, c, groups, centred: random.below(2) == 0 };
    let tensors = if norm.centred { 2 * c } else { c };
    let x: Vec<u32> = (0..n * places * c).map(|e| word(random.float() + (e * 7 % 5) as f32)).collect();
    let (dy, parameters) = (random.floats(x.len()), random.floats(offset + tensors));
    let [xs, dys, p] = [&x, &dy, &parameters].map(|words| values(words));
    let (gamma, beta) = p[offset..].split_at(c);
    let kind = random.below(4);
    let statistics = norm.statistics(&xs);
    let y = norm.forward(&xs, gamma, beta).into_iter().map(|z| activate(kind as u32, z)).collect();
    let means = norm.means(&xs, &dys, gamma);
    let dx = derivative(&xs, |x| dot(&norm.forward(x, gamma, beta), &dys));
    let stretch = (n * places).div_ceil(slices) * c;
    let mut parts = Vec::new();
    for part in 0..slices {
        let inside = |i: usize| (part * stretch..(part + 1) * stretch).contains(&i);
        let dys: Vec<f64> = (0..dys.len()).map(|i| if inside(i) { dys[i] } else { 0.0 }).collect();
        parts.extend(derivative(gamma, |gamma| dot(&norm.forward(&xs, gamma, beta), &dys)));
        parts.extend(derivative(beta, |beta| dot(&norm.forward(&xs, gamma, beta), &dys)));
    }
    let words = |last: [usize; 2]| {
        let rms = usize::from(!norm.centred);
        [extents([n, places, c, groups, offset, rms]), vec![word(EPSILON)], extents(last)].concat()
    };
    let (known, known_means) = (floats(&statistics), floats(&means));
    let mut cases = vec![
        Case {
            kernel: &norm_statistics::NormStatistics,
            arguments: vec![x.clone(), poison(statistics.len())],
            words: words([0, 0]),
            expected: vec![(1, Floats(statistics))],
            tolerance: PRODUCT,
        },
        Case {
            kernel: &norm_forward::NormForward,
            arguments: vec![x.clone(), parameters.clone(), known.clone(), poison(x.len())],
            words: words([kind, 0]),
            expected: vec![(3, Floats(y))],
            tolerance: PRODUCT,
        },
        Case {
            kernel: &norm_backward_statistics::NormBackwardStatistics,
            arguments: vec![dy.clone(), x.clone(), parameters.clone(), known.clone(), poison(means.len())],
            words: words([0, 0]),
            expected: vec![(4, Floats(means))],
            tolerance: PRODUCT,
        },
        Case {
            kernel: &norm_backward_input::NormBackwardInput,
            arguments: vec![dy.clone(), x.clone(), parameters, known.clone(), known_means, poison(x.len())],
            words: words([0, 0]),
            expected: vec![(5, Floats(dx))],
            tolerance: PRODUCT,
        },
        Case {
            kernel: &norm_backward_weight::NormBackwardWeight,
            arguments: vec![dy, x, known, poison(parts.len())],
            words: words([0, slices]),
            expected: vec![(3, Floats(parts))],
            tolerance: PRODUCT,
        },
    ];
    cases.extend(shared(random));
    cases
}

/// Statistics by the kernels whose workgroups share a group: of fewer and of more numbers than it has invocations.
fn shared(random: &mut Random) -> Vec<Case> {
    let [n, places, groups, each, offset] = [2, 5, 3, 60, 5].map(|most| random.extent(most));
    let c = groups * (each + 2);
    let norm = Norm { n, places, c, groups, centred: random.below(2) == 0 };
    let x: Vec<u32> = (0..n * places * c).map(|e| word(random.float() + (e * 7 % 5) as f32)).collect();
    let (dy, parameters) = (random.floats(x.len()), random.floats(offset + 2 * c));
    let [xs, dys, p] = [&x, &dy, &parameters].map(|words| values(words));
    let statistics = norm.statistics(&xs);
    let means = norm.means(&xs, &dys, &p[offset..][..c]);
    let rms = usize::from(!norm.centred);
    let words = [extents([n, places, c, groups, offset, rms]), vec![word(EPSILON)]].concat();
    let (known, count) = (floats(&statistics), means.len());
    vec![
        Case {
            kernel: &norm_statistics_shared::NormStatisticsShared,
            arguments: vec![x.clone(), poison(count)],
            words: words.clone(),
            expected: vec![(1, Floats(statistics))],
            tolerance: PRODUCT,
        },
        Case {
            kernel: &norm_backward_statistics_shared::NormBackwardStatisticsShared,
            arguments: vec![dy, x, parameters, known, poison(count)],
            words,
            expected: vec![(4, Floats(means))],
            tolerance: PRODUCT,
        },
    ]
}

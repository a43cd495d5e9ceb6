#import words
#import sums

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> parameters: array<f32>;
@group(0) @binding(3) var<storage, read> statistics: array<f32>;
@group(0) @binding(4) var<storage, read_write> means: array<f32>;
@group(0) @binding(5) var<uniform> words: Words;

@compute @workgroup_size(GROUP)
fn main(
    @builtin(local_invocation_index) t: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = group.y * groups.x + group.x;
    let P = words.a.y;
    let C = words.a.z;
    let G = words.a.w;
    if i >= words.a.x * G {
        return;
    }
    let D = C / G;
    let channel = i % G * D;
    let begin = i / G * P * C + channel;
    let gamma = words.b.x + channel;
    let mean = statistics[2u * i];
    let inverse = statistics[2u * i + 1u];
    let members = P * D;
    var own_first = 0.0;
    var own_second = 0.0;
    for (var e = t; e < members; e += GROUP) {
        let at = begin + e / D * C + e % D;
        let d = dy[at] * parameters[gamma + e % D];
        own_first += d;
        own_second = fma(d, (x[at] - mean) * inverse, own_second);
    }
    let first = sum_of_all(t, own_first);
    let second = sum_of_all(t, own_second);
    if t == 0u {
        let n = f32(members);
        means[2u * i] = select(0.0, first / n, words.b.y == 0u);
        means[2u * i + 1u] = second / n;
    }
}

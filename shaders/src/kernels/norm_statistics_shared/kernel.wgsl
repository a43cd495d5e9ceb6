#import words
#import sums

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> statistics: array<f32>;
@group(0) @binding(2) var<uniform> words: Words;

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
    let begin = i / G * P * C + i % G * D;
    let n = P * D;
    var mean = 0.0;
    if words.b.y == 0u {
        var own = 0.0;
        for (var e = t; e < n; e += GROUP) {
            own += x[begin + e / D * C + e % D];
        }
        mean = sum_of_all(t, own) / f32(n);
    }
    var own = 0.0;
    for (var e = t; e < n; e += GROUP) {
        let away = x[begin + e / D * C + e % D] - mean;
        own = fma(away, away, own);
    }
    let squares = sum_of_all(t, own);
    if t == 0u {
        statistics[2u * i] = mean;
        statistics[2u * i + 1u] = 1.0 / sqrt(squares / f32(n) + bitcast<f32>(words.b.z));
    }
}

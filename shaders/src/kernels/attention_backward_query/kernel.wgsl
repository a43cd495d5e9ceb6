#import words
#import index

@group(0) @binding(0) var<storage, read> qkv: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> y: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;
@group(0) @binding(4) var<storage, read_write> dqkv: array<vec4<f32>>;
@group(0) @binding(5) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    let E4 = words.a.w / 4u;
    let H = words.a.z;
    let T = words.a.y;
    if i >= words.a.x * T * H {
        return;
    }
    let h = i % H;
    let t = i / H % T;
    let row = 3u * H * E4;
    let first = i / H / T * T * row + h * E4;
    let scale = inverseSqrt(f32(words.a.w));
    var q: array<vec4<f32>, 16>;
    var d: array<vec4<f32>, 16>;
    var total: array<vec4<f32>, 16>;
    var delta = 0.0;
    for (var e = 0u; e < E4; e++) {
        q[e] = qkv[first + t * row + e] * scale;
        d[e] = dy[i * E4 + e];
        delta += dot(d[e], y[i * E4 + e]);
        total[e] = vec4<f32>();
    }
    let log_sum = sums[2u * i];
    sums[2u * i + 1u] = delta;
    for (var u = 0u; u <= t; u++) {
        let key = first + u * row + H * E4;
        var s = 0.0;
        var dp = 0.0;
        for (var e = 0u; e < E4; e++) {
            s += dot(q[e], qkv[key + e]);
            dp += dot(d[e], qkv[key + H * E4 + e]);
        }
        let ds = exp(s - log_sum) * (dp - delta) * scale;
        for (var e = 0u; e < E4; e++) {
            total[e] += qkv[key + e] * ds;
        }
    }
    for (var e = 0u; e < E4; e++) {
        dqkv[first + t * row + e] = total[e];
    }
}

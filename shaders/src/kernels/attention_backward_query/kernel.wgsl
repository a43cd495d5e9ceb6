#import words
#import index
#import heads

@group(0) @binding(0) var<storage, read> qkv: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> y: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;
@group(0) @binding(4) var<storage, read_write> dqkv: array<vec4<f32>>;
@group(0) @binding(5) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    if i >= words.a.x * words.a.y * words.a.z {
        return;
    }
    let head = head_of(i, words);
    let E4 = head.e4;
    let own = head.first + head.t * head.row;
    var q: array<vec4<f32>, 16>;
    var d: array<vec4<f32>, 16>;
    var total: array<vec4<f32>, 16>;
    var delta = 0.0;
    for (var e = 0u; e < E4; e++) {
        q[e] = qkv[own + e] * head.scale;
        d[e] = dy[i * E4 + e];
        delta += dot(d[e], y[i * E4 + e]);
        total[e] = vec4<f32>();
    }
    let log_sum = sums[2u * i];
    sums[2u * i + 1u] = delta;
    for (var u = 0u; u <= head.t; u++) {
        let key = head.first + u * head.row + head.part;
        var s = 0.0;
        var dp = 0.0;
        for (var e = 0u; e < E4; e++) {
            s += dot(q[e], qkv[key + e]);
            dp += dot(d[e], qkv[key + head.part + e]);
        }
        let ds = exp(s - log_sum) * (dp - delta) * head.scale;
        for (var e = 0u; e < E4; e++) {
            total[e] += qkv[key + e] * ds;
        }
    }
    for (var e = 0u; e < E4; e++) {
        dqkv[own + e] = total[e];
    }
}

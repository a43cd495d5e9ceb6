#import words
#import index

@group(0) @binding(0) var<storage, read> qkv: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> sums: array<f32>;
@group(0) @binding(3) var<storage, read_write> dqkv: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> words: Words;

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
    let u = i / H % T;
    let sample = i / H / T * T;
    let row = 3u * H * E4;
    let first = sample * row + h * E4;
    let key = first + u * row + H * E4;
    let scale = inverseSqrt(f32(words.a.w));
    var k: array<vec4<f32>, 16>;
    var v: array<vec4<f32>, 16>;
    var dk: array<vec4<f32>, 16>;
    var dv: array<vec4<f32>, 16>;
    for (var e = 0u; e < E4; e++) {
        k[e] = qkv[key + e] * scale;
        v[e] = qkv[key + H * E4 + e];
        dk[e] = vec4<f32>();
        dv[e] = vec4<f32>();
    }
    for (var t = u; t < T; t++) {
        let query = first + t * row;
        let place = (sample + t) * H + h;
        var s = 0.0;
        var dp = 0.0;
        for (var e = 0u; e < E4; e++) {
            s += dot(k[e], qkv[query + e]);
            dp += dot(v[e], dy[place * E4 + e]);
        }
        let p = exp(s - sums[2u * place]);
        let ds = p * (dp - sums[2u * place + 1u]) * scale;
        for (var e = 0u; e < E4; e++) {
            dk[e] += qkv[query + e] * ds;
            dv[e] += dy[place * E4 + e] * p;
        }
    }
    for (var e = 0u; e < E4; e++) {
        dqkv[key + e] = dk[e];
        dqkv[key + H * E4 + e] = dv[e];
    }
}

#import words
#import index
#import heads

@group(0) @binding(0) var<storage, read> qkv: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> sums: array<f32>;
@group(0) @binding(3) var<storage, read_write> dqkv: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    if i >= words.a.x * words.a.y * words.a.z {
        return;
    }
    let head = head_of(i, words);
    let E4 = head.e4;
    let key = head.first + head.t * head.row + head.part;
    var k: array<vec4<f32>, 16>;
    var v: array<vec4<f32>, 16>;
    var dk: array<vec4<f32>, 16>;
    var dv: array<vec4<f32>, 16>;
    for (var e = 0u; e < E4; e++) {
        k[e] = qkv[key + e] * head.scale;
        v[e] = qkv[key + head.part + e];
        dk[e] = vec4<f32>();
        dv[e] = vec4<f32>();
    }
    for (var t = head.t; t < words.a.y; t++) {
        let query = head.first + t * head.row;
        let place = (head.before + t) * words.a.z + head.h;
        var s = 0.0;
        var dp = 0.0;
        for (var e = 0u; e < E4; e++) {
            s += dot(k[e], qkv[query + e]);
            dp += dot(v[e], dy[place * E4 + e]);
        }
        let p = exp(s - sums[2u * place]);
        let ds = p * (dp - sums[2u * place + 1u]) * head.scale;
        for (var e = 0u; e < E4; e++) {
            dk[e] += qkv[query + e] * ds;
            dv[e] += dy[place * E4 + e] * p;
        }
    }
    for (var e = 0u; e < E4; e++) {
        dqkv[key + e] = dk[e];
        dqkv[key + head.part + e] = dv[e];
    }
}

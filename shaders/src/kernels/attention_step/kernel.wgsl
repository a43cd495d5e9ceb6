#import words
#import index
#import heads

@group(0) @binding(0) var<storage, read> qkv: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> place: array<u32>;
@group(0) @binding(2) var<storage, read_write> cache: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    let H = words.a.z;
    if i >= words.a.x * H {
        return;
    }
    let b = i / H;
    let head = head_of((b * words.a.y + min(place[0], words.a.y - 1u)) * H + i % H, words);
    let E4 = head.e4;
    let fresh = b * head.row + head.h * E4;
    let own = head.first + head.t * head.row;
    var q: array<vec4<f32>, 16>;
    var total: array<vec4<f32>, 16>;
    for (var e = 0u; e < E4; e++) {
        let query = qkv[fresh + e];
        cache[own + e] = query;
        cache[own + head.part + e] = qkv[fresh + head.part + e];
        cache[own + 2u * head.part + e] = qkv[fresh + 2u * head.part + e];
        q[e] = query * head.scale;
        total[e] = vec4<f32>();
    }
    var largest = -3.0e38;
    var sum = 0.0;
    for (var u = 0u; u <= head.t; u++) {
        let key = head.first + u * head.row + head.part;
        var s = 0.0;
        for (var e = 0u; e < E4; e++) {
            s += dot(q[e], cache[key + e]);
        }
        let before = largest;
        largest = max(largest, s);
        let keep = exp(before - largest);
        let p = exp(s - largest);
        sum = sum * keep + p;
        for (var e = 0u; e < E4; e++) {
            total[e] = total[e] * keep + cache[key + head.part + e] * p;
        }
    }
    for (var e = 0u; e < E4; e++) {
        y[i * E4 + e] = total[e] / sum;
    }
}

#import words
#import index
#import fixed

@group(0) @binding(0) var<storage, read_write> base: array<i32>;
@group(0) @binding(1) var<storage, read_write> theta: array<f32>;
@group(0) @binding(2) var<storage, read> entries: array<u32>;
@group(0) @binding(3) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let e = flat_index(id, groups);
    if e >= words.a.x {
        return;
    }
    var i = e;
    var at = 2u * e;
    if words.a.y == 0u {
        i = entries[3u * e];
        at = 3u * e + 1u;
    }
    let add = bitcast<i32>(entries[at]);
    base[i] += add;
    theta[i] += to_f32(add) - bitcast<f32>(entries[at + 1u]);
}

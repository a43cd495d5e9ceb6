#import words
#import index

@group(0) @binding(0) var<storage, read> tokens: array<u32>;
@group(0) @binding(1) var<storage, read> chain: array<u32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(4) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    let M = words.a.x;
    let D = words.a.y;
    let last = i / D;
    if last >= M || chain[2u * min(last, M - 1u) + 1u] == 0u {
        return;
    }
    let d = i % D;
    var sum = 0.0;
    for (var m = last; m < M; m = chain[2u * m]) {
        sum += dy[m * D + d];
    }
    let e = words.a.z + min(tokens[last], words.a.w - 1u) * D + d;
    gradient[e] = gradient[e] + sum;
}

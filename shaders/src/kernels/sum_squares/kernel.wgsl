#import words
#import index

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> parts: array<f32>;
@group(0) @binding(2) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    let d = words.a.x;
    let S = words.a.y;
    if i >= S {
        return;
    }
    // Of x: i, i + S, i + 2 S, ...
    let count = select(0u, (d - 1u - i) / S + 1u, i < d);
    var sum = 0.0;
    var n = 0u;
    // Eight at a time: see `kernels::loops`.
    for (; n + 7u < count; n += 8u) {
        let e = i + n * S;
        #for j 8
        sum = fma(x[e + $ju * S], x[e + $ju * S], sum);
        #end
    }
    for (; n < count; n++) {
        let e = i + n * S;
        sum = fma(x[e], x[e], sum);
    }
    parts[i] = sum;
}

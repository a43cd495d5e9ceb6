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
    let stretch = (d + S - 1u) / S;
    var sum = 0.0;
    for (var e = i * stretch; e < min(d, (i + 1u) * stretch); e++) {
        sum = fma(x[e], x[e], sum);
    }
    parts[i] = sum;
}

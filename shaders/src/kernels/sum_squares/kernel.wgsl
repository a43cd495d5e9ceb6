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
    let last = min(d, (i + 1u) * stretch);
    var e = i * stretch;
    // Eight at a time: see `kernels::loops`.
    for (; e + 7u < last; e += 8u) {
        #for j 8
        sum = fma(x[e + $ju], x[e + $ju], sum);
        #end
    }
    for (; e < last; e++) {
        sum = fma(x[e], x[e], sum);
    }
    parts[i] = sum;
}

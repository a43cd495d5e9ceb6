#import words
#import index

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> tokens: array<u32>;
@group(0) @binding(2) var<storage, read_write> targets: array<u32>;
@group(0) @binding(3) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    let T = words.a.y;
    if i < words.a.x * T {
        let p = i / T * (T + 1u) + i % T;
        tokens[i] = u32(x[p]);
        targets[i] = u32(x[p + 1u]);
    }
}

#import words
#import index

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    if i < words.a.x {
        // A branch and no select: a copy is not to read what it overwrites.
        if words.a.y != 0u {
            y[i] += x[i];
        } else {
            y[i] = x[i];
        }
    }
}

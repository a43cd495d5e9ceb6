#import words
#import index
#import fixed

@group(0) @binding(0) var<storage, read> base: array<i32>;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    if i < words.a.x {
        x[i] = to_f32(base[i]);
    }
}

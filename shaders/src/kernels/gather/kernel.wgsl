#import words
#import index

@group(0) @binding(0) var<storage, read> features: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> state: array<u32>;
@group(0) @binding(4) var<storage, read_write> x: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<u32>;
@group(0) @binding(6) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let batch = words.a.x;
    let width = words.a.y;
    let e = flat_index(id, groups);
    if e >= batch * width {
        return;
    }
    let i = e / width;
    let f = e % width;
    let row = order[state[1] * batch + i];
    x[e] = features[row * width + f];
    if f == 0u {
        y[i] = labels[row];
    }
}

#import words
#import index

@group(0) @binding(0) var<storage, read_write> theta: array<f32>;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> m: array<f32>;
@group(0) @binding(3) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    if i >= words.a.x {
        return;
    }
    let rate = bitcast<f32>(words.a.y);
    let momentum = bitcast<f32>(words.a.z);
    let velocity = momentum * m[i] + gradient[i];
    m[i] = velocity;
    theta[i] -= rate * select(velocity, gradient[i] + momentum * velocity, words.a.w != 0u);
}

#import words
#import index

@group(0) @binding(0) var<storage, read_write> theta: array<f32>;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> m: array<f32>;
@group(0) @binding(3) var<storage, read> state: array<f32>;
@group(0) @binding(4) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    if i >= words.a.x {
        return;
    }
    let rate = bitcast<f32>(words.a.y);
    let b1 = bitcast<f32>(words.a.z);
    let epsilon = bitcast<f32>(words.a.w);
    let correct = 1.0 / (1.0 - state[4]);
    let scale = rate * correct / (sqrt(state[6] / (1.0 - state[5])) + epsilon);
    let first = b1 * m[i] + (1.0 - b1) * gradient[i];
    m[i] = first;
    theta[i] -= scale * first;
}

#import words
#import index

@group(0) @binding(0) var<storage, read_write> theta: array<f32>;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> m: array<f32>;
@group(0) @binding(3) var<storage, read_write> v: array<f32>;
@group(0) @binding(4) var<storage, read> state: array<u32>;
@group(0) @binding(5) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    if i >= words.a.x {
        return;
    }
    let rate = bitcast<f32>(words.a.y);
    let b1 = bitcast<f32>(words.a.z);
    let b2 = bitcast<f32>(words.a.w);
    let epsilon = bitcast<f32>(words.b.x);
    let keep = 1.0 - rate * bitcast<f32>(words.b.y);
    let correct_1 = 1.0 / (1.0 - bitcast<f32>(state[4]));
    let correct_2 = 1.0 / (1.0 - bitcast<f32>(state[5]));
    let g = gradient[i];
    let first = b1 * m[i] + (1.0 - b1) * g;
    let second = b2 * v[i] + (1.0 - b2) * g * g;
    m[i] = first;
    v[i] = second;
    theta[i] = keep * theta[i] - rate * (first * correct_1) / (sqrt(second * correct_2) + epsilon);
}

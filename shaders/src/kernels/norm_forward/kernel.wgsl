#import words
#import index
#import activation

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> parameters: array<f32>;
@group(0) @binding(2) var<storage, read> statistics: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    let P = words.a.y;
    let C = words.a.z;
    let G = words.a.w;
    if i >= words.a.x * P * C {
        return;
    }
    let c = i % C;
    let group = 2u * (i / (P * C) * G + c / (C / G));
    var z = parameters[words.b.x + c] * (x[i] - statistics[group]) * statistics[group + 1u];
    if words.b.y == 0u {
        z += parameters[words.b.x + C + c];
    }
    y[i] = activate(z, words.b.w);
}

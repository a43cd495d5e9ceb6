#import words
#import index

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> parameters: array<f32>;
@group(0) @binding(3) var<storage, read> statistics: array<f32>;
@group(0) @binding(4) var<storage, read> means: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;
@group(0) @binding(6) var<uniform> words: Words;

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
    let inverse = statistics[group + 1u];
    let h = (x[i] - statistics[group]) * inverse;
    dx[i] = inverse * (dy[i] * parameters[words.b.x + c] - means[group] - h * means[group + 1u]);
}

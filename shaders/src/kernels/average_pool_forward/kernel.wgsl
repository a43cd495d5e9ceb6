#import words
#import index
#import windows

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    let C = words.a.w;
    if i >= words.a.x * words.b.x * words.b.y * C {
        return;
    }
    let corner = corner_of(i, words);
    var sum = 0.0;
    for (var ky = 0u; ky < words.b.z; ky++) {
        for (var kx = 0u; kx < words.b.w; kx++) {
            sum += x[corner + (ky * words.a.z + kx) * C];
        }
    }
    y[i] = sum / f32(words.b.z * words.b.w);
}

#import words
#import index

@group(0) @binding(0) var<storage, read> parts: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    let P = words.a.y;
    if i >= P {
        return;
    }
    var sum = 0.0;
    for (var s = 0u; s < words.a.x; s++) {
        sum += parts[s * P + i];
    }
    y[words.a.z + i] = sum;
}

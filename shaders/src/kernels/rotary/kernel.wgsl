#import words
#import index

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read> angles: array<f32>;
@group(0) @binding(2) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    let half = words.a.w / 2u;
    let pairs = words.a.z * half;
    let m = i / max(pairs, 1u);
    if m >= words.a.x || pairs == 0u {
        return;
    }
    let j = i % half;
    let p = m * words.a.y + i % pairs / half * words.a.w + j;
    let angle = 2u * (m % words.b.x * half + j);
    let cosine = angles[angle];
    let sine = select(angles[angle + 1u], -angles[angle + 1u], words.b.y != 0u);
    let a = x[p];
    let b = x[p + half];
    x[p] = a * cosine - b * sine;
    x[p + half] = b * cosine + a * sine;
}

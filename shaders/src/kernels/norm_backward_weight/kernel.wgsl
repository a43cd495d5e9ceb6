#import words
#import index

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> statistics: array<f32>;
@group(0) @binding(3) var<storage, read_write> parts: array<f32>;
@group(0) @binding(4) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    let P = words.a.y;
    let C = words.a.z;
    let G = words.a.w;
    let S = words.c.x;
    let part = i / C;
    if part >= S {
        return;
    }
    let c = i % C;
    let M = words.a.x * P;
    let stretch = (M + S - 1u) / S;
    var gamma = 0.0;
    var beta = 0.0;
    for (var m = part * stretch; m < min(M, (part + 1u) * stretch); m++) {
        let group = 2u * (m / P * G + c / (C / G));
        let d = dy[m * C + c];
        gamma = fma(d, (x[m * C + c] - statistics[group]) * statistics[group + 1u], gamma);
        beta += d;
    }
    if words.b.y == 0u {
        parts[2u * part * C + c] = gamma;
        parts[2u * part * C + C + c] = beta;
    } else {
        parts[i] = gamma;
    }
}

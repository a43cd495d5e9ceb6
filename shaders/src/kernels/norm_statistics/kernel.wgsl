#import words
#import index

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> statistics: array<f32>;
@group(0) @binding(2) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    let P = words.a.y;
    let C = words.a.z;
    let G = words.a.w;
    if i >= words.a.x * G {
        return;
    }
    let D = C / G;
    let begin = i / G * P * C + i % G * D;
    let n = f32(P * D);
    var mean = 0.0;
    if words.b.y == 0u {
        for (var p = 0u; p < P; p++) {
            for (var c = 0u; c < D; c++) {
                mean += x[begin + p * C + c];
            }
        }
        mean /= n;
    }
    var squares = 0.0;
    for (var p = 0u; p < P; p++) {
        for (var c = 0u; c < D; c++) {
            let away = x[begin + p * C + c] - mean;
            squares = fma(away, away, squares);
        }
    }
    statistics[2u * i] = mean;
    statistics[2u * i + 1u] = 1.0 / sqrt(squares / n + bitcast<f32>(words.b.z));
}

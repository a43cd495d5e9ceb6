#import words
#import index

@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read_write> rows: array<u32>;
@group(0) @binding(3) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    let M = words.a.x;
    let C = words.a.y;
    if i >= M {
        return;
    }
    let label = labels[i];
    var best = 0u;
    var largest = y[i * C];
    var loss = 0.0;
    for (var c = 0u; c < C; c++) {
        let value = y[i * C + c];
        if value > largest {
            largest = value;
            best = c;
        }
        let away = value - select(0.0, 1.0, c == label);
        loss = fma(away, away, loss);
        y[i * C + c] = 2.0 * away / f32(M * C);
    }
    rows[2u * i] = bitcast<u32>(loss / f32(C));
    rows[2u * i + 1u] = u32(best == label);
}

#import words
#import index

@group(0) @binding(0) var<storage, read_write> logits: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read_write> rows: array<u32>;
@group(0) @binding(3) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let M = words.a.x;
    let C = words.a.y;
    let m = flat_index(id, groups);
    if m >= M {
        return;
    }
    let start = m * C;
    let label = labels[m];
    var best = 0u;
    var largest = logits[start];
    for (var c = 1u; c < C; c++) {
        let value = logits[start + c];
        if value > largest {
            largest = value;
            best = c;
        }
    }
    let at_label = logits[start + label] - largest;
    var sum = 0.0;
    for (var c = 0u; c < C; c++) {
        let e = exp(logits[start + c] - largest);
        logits[start + c] = e;
        sum += e;
    }
    let scale = 1.0 / (sum * f32(M));
    for (var c = 0u; c < C; c++) {
        let target_share = select(0.0, 1.0 / f32(M), c == label);
        logits[start + c] = logits[start + c] * scale - target_share;
    }
    rows[2u * m] = bitcast<u32>(log(sum) - at_label);
    rows[2u * m + 1u] = u32(best == label);
}

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
    // Four at a time, here and below: see `kernels::loops`.
    var c = 0u;
    for (; c + 3u < C; c += 4u) {
        #for j 4
        let value$j = logits[start + c + $ju];
        best = select(best, c + $ju, value$j > largest);
        largest = select(largest, value$j, value$j > largest);
        #end
    }
    for (; c < C; c++) {
        let value = logits[start + c];
        best = select(best, c, value > largest);
        largest = select(largest, value, value > largest);
    }
    let at_label = logits[start + label] - largest;
    var sum = 0.0;
    for (c = 0u; c + 3u < C; c += 4u) {
        #for j 4
        let e$j = exp(logits[start + c + $ju] - largest);
        logits[start + c + $ju] = e$j;
        sum += e$j;
        #end
    }
    for (; c < C; c++) {
        let e = exp(logits[start + c] - largest);
        logits[start + c] = e;
        sum += e;
    }
    let scale = 1.0 / (sum * f32(M));
    let target_share = 1.0 / f32(M);
    for (c = 0u; c + 3u < C; c += 4u) {
        #for j 4
        logits[start + c + $ju] = logits[start + c + $ju] * scale - select(0.0, target_share, c + $ju == label);
        #end
    }
    for (; c < C; c++) {
        logits[start + c] = logits[start + c] * scale - select(0.0, target_share, c == label);
    }
    rows[2u * m] = bitcast<u32>(log(sum) - at_label);
    rows[2u * m + 1u] = u32(best == label);
}

#import words
#import sums

@group(0) @binding(0) var<storage, read_write> logits: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read_write> rows: array<u32>;
@group(0) @binding(3) var<uniform> words: Words;

// The largest logit that an invocation has seen, and where it first was.
var<workgroup> values: array<f32, GROUP>;
var<workgroup> places: array<u32, GROUP>;

@compute @workgroup_size(GROUP)
fn main(
    @builtin(local_invocation_index) t: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let M = words.a.x;
    let C = words.a.y;
    let m = group.y * groups.x + group.x;
    if m >= M {
        return;
    }
    let start = m * C;
    let label = labels[m];
    // Whoever has none begins with the last one: it is another's, too, and seen once more it changes nothing.
    var best = min(t, C - 1u);
    var largest = logits[start + best];
    for (var c = t; c < C; c += GROUP) {
        let value = logits[start + c];
        best = select(best, c, value > largest);
        largest = select(largest, value, value > largest);
    }
    values[t] = largest;
    places[t] = best;
    workgroupBarrier();
    for (var step = GROUP / 2u; step > 0u; step /= 2u) {
        if t < step {
            let value = values[t + step];
            let place = places[t + step];
            if value > values[t] || (value == values[t] && place < places[t]) {
                values[t] = value;
                places[t] = place;
            }
        }
        workgroupBarrier();
    }
    largest = values[0];
    best = places[0];
    let at_label = logits[start + label] - largest;
    var own = 0.0;
    for (var c = t; c < C; c += GROUP) {
        own += exp(logits[start + c] - largest);
    }
    let sum = sum_of_all(t, own);
    // Everybody has read the logits that the gradient overwrites, another's among them: the barriers of the sum are for workgroup memory alone.
    storageBarrier();
    let scale = 1.0 / (sum * f32(M));
    let target_share = 1.0 / f32(M);
    for (var c = t; c < C; c += GROUP) {
        let e = exp(logits[start + c] - largest);
        logits[start + c] = e * scale - select(0.0, target_share, c == label);
    }
    if t == 0u {
        rows[2u * m] = bitcast<u32>(log(sum) - at_label);
        rows[2u * m + 1u] = u32(best == label);
    }
}

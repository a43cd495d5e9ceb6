#import words

@group(0) @binding(0) var<storage, read> gradient: array<f32>;
@group(0) @binding(1) var<storage, read_write> state: array<f32>;
@group(0) @binding(2) var<uniform> words: Words;

const LANES = 256u;
var<workgroup> sums: array<f32, LANES>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
    let d = words.a.x;
    var sum = 0.0;
    for (var i = lane; i < d; i += LANES) {
        sum += gradient[i] * gradient[i];
    }
    sums[lane] = sum;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if lane < half {
            sums[lane] += sums[lane + half];
        }
        workgroupBarrier();
    }
    if lane == 0u {
        let b2 = bitcast<f32>(words.a.y);
        state[6] = b2 * state[6] + (1.0 - b2) * sums[0] / f32(max(d, 1u));
    }
}

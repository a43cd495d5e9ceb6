#import words

@group(0) @binding(0) var<storage, read_write> state: array<u32>;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<uniform> words: Words;

@compute @workgroup_size(1)
fn main() {
    var loss = 0.0;
    let M = words.a.x;
    var m = 0u;
    // Eight at a time: see `kernels::loops`.
    for (; m + 7u < M; m += 8u) {
        var some = 0.0;
        #for j 8
        some += bitcast<f32>(rows[2u * m + 2u * $ju]);
        #end
        loss += some;
    }
    for (; m < M; m++) {
        loss += bitcast<f32>(rows[2u * m]);
    }
    state[8u + min(state[0], 255u)] = bitcast<u32>(loss);
    state[0] += 1u;
    state[1] += 1u;
    state[4] = bitcast<u32>(bitcast<f32>(state[4]) * bitcast<f32>(words.a.y));
    state[5] = bitcast<u32>(bitcast<f32>(state[5]) * bitcast<f32>(words.a.z));
    state[7] += 1u;
}

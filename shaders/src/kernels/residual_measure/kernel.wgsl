#import words
#import index
#import fixed

const EXPONENT: u32 = 0x7f800000u;

@group(0) @binding(0) var<storage, read> theta: array<u32>;
@group(0) @binding(1) var<storage, read> base: array<i32>;
@group(0) @binding(2) var<storage, read_write> parts: array<f32>;
@group(0) @binding(3) var<storage, read_write> broken: array<u32>;
@group(0) @binding(4) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let s = flat_index(id, groups);
    let d = words.a.x;
    let S = words.a.y;
    if s >= S {
        return;
    }
    var squares = 0.0;
    var bases = 0.0;
    var count = 0u;
    for (var i = s; i < d; i += S) {
        let bits = theta[i];
        let b = to_f32(base[i]);
        let e = bitcast<f32>(bits) - b;
        squares = fma(e, e, squares);
        bases = fma(b, b, bases);
        count += select(0u, 1u, (bits & EXPONENT) == EXPONENT);
    }
    parts[s] = squares;
    parts[S + s] = bases;
    broken[s] = count;
}

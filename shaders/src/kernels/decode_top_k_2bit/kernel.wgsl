#import words
#import index
#import fixed

@group(0) @binding(0) var<storage, read_write> base: array<i32>;
@group(0) @binding(1) var<storage, read_write> theta: array<f32>;
@group(0) @binding(2) var<storage, read> packed: array<u32>;
@group(0) @binding(3) var<uniform> words: Words;

const CHUNK: u32 = 4096u;

// `count` bits from the `bit`-th one behind a byte on, the least first.
fn bits(first: u32, bit: u32, count: u32) -> u32 {
    let byte = first + bit / 8u;
    let shift = byte % 4u * 8u + bit % 8u;
    var value = packed[byte / 4u] >> shift;
    if shift + count > 32u {
        value |= packed[byte / 4u + 1u] << (32u - shift);
    }
    return value & ((1u << count) - 1u);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let e = flat_index(id, groups);
    let d = words.a.x;
    let K = words.a.y;
    let T = words.a.z;
    let full = d / CHUNK;
    let each = CHUNK / K;
    let last = (d % CHUNK + each - 1u) / each;
    if e >= full * K + last {
        return;
    }
    let chunk = e / K;
    let j = e % K;
    let chunks = (d + CHUNK - 1u) / CHUNK;
    let indices = (12u * K + 7u) / 8u;
    let start = 4u * chunks * T + chunk * (indices + (2u * K + 7u) / 8u);
    let codes = start + select((12u * last + 7u) / 8u, indices, chunk < full);
    let i = chunk * CHUNK + bits(start, 12u * j, 12u);
    let code = bits(codes, 2u * j, 2u);
    let negative = (code & 1u) == 1u;
    let level = code >> 1u;
    let amount = bitcast<i32>(packed[chunk * T + level]);
    let add = select(amount, -amount, negative);
    var size = 0.0;
    if T > 2u {
        size = bitcast<f32>(packed[chunk * T + 2u]) * f32(level + 1u);
    }
    base[i] += add;
    theta[i] += to_f32(add) - select(size, -size, negative);
}

#import words
#import fixed

const CHUNK: u32 = 4096u;
const EACH: u32 = 16u;
const ROW: u32 = 16u;
const SIGN: u32 = 0x80000000u;

@group(0) @binding(0) var<storage, read> theta: array<f32>;
@group(0) @binding(1) var<storage, read> base: array<i32>;
@group(0) @binding(2) var<storage, read_write> kept: array<u32>;
@group(0) @binding(3) var<uniform> words: Words;

// How many numbers have each digit; then, of each invocation, how many of its numbers come before.
var<workgroup> bins: array<atomic<u32>, 256>;
var<workgroup> before: array<u32, 256>;
var<workgroup> rows: array<u32, 16>;
// The digits found so far, and how many numbers that have them are to be kept.
var<workgroup> threshold: u32;
var<workgroup> left: u32;

@compute @workgroup_size(256)
fn main(
    @builtin(local_invocation_index) t: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let chunk = group.y * groups.x + group.x;
    let d = words.a.x;
    let K = words.a.y;
    let factor = bitcast<f32>(words.a.z);
    let start = chunk * CHUNK;
    // A grid that is folded ends in workgroups without a chunk.
    if start >= d {
        return;
    }
    let n = min(CHUNK, d - start);
    let k = (n * K + CHUNK - 1u) / CHUNK;

    // What lies behind the end is a zero behind every other one, so it is never among the k.
    var bits: array<u32, 16>;
    for (var j = 0u; j < EACH; j++) {
        let i = t * EACH + j;
        bits[j] = 0u;
        if i < n {
            bits[j] = bitcast<u32>(factor * (theta[start + i] - to_f32(base[start + i])));
        }
    }

    if t == 0u {
        threshold = 0u;
        left = k;
    }
    for (var shift = 24i; shift >= 0; shift -= 8) {
        atomicStore(&bins[t], 0u);
        workgroupBarrier();
        let found = threshold;
        let above = select(0xffffffffu << (u32(shift) + 8u), 0u, shift == 24);
        for (var j = 0u; j < EACH; j++) {
            let key = bits[j] & ~SIGN;
            if (key & above) == found {
                atomicAdd(&bins[(key >> u32(shift)) & 255u], 1u);
            }
        }
        workgroupBarrier();
        if t < ROW {
            var sum = 0u;
            for (var j = 0u; j < ROW; j++) {
                sum += atomicLoad(&bins[t * ROW + j]);
            }
            rows[t] = sum;
        }
        workgroupBarrier();
        if t == 0u {
            // From the largest digit down, until so many are there as are to be kept.
            var need = left;
            var row = ROW - 1u;
            while rows[row] < need {
                need -= rows[row];
                row -= 1u;
            }
            var digit = row * ROW + ROW - 1u;
            var count = atomicLoad(&bins[digit]);
            while count < need {
                need -= count;
                digit -= 1u;
                count = atomicLoad(&bins[digit]);
            }
            threshold = found | (digit << u32(shift));
            left = need;
        }
        workgroupBarrier();
    }

    // Those above the threshold in the low half, those at it in the high half.
    let edge = threshold;
    let ties = left;
    var mine = 0u;
    for (var j = 0u; j < EACH; j++) {
        let key = bits[j] & ~SIGN;
        mine += select(0u, 1u, key > edge) + select(0u, 0x10000u, key == edge);
    }
    before[t] = mine;
    workgroupBarrier();
    if t < ROW {
        var sum = 0u;
        for (var j = 0u; j < ROW; j++) {
            let count = before[t * ROW + j];
            before[t * ROW + j] = sum;
            sum += count;
        }
        rows[t] = sum;
    }
    workgroupBarrier();
    var earlier = before[t];
    for (var row = 0u; row < t / ROW; row++) {
        earlier += rows[row];
    }
    var equal = earlier >> 16u;
    // Chunks before this one are full.
    var at = 2u * (chunk * K + (earlier & 0xffffu) + min(equal, ties));
    for (var j = 0u; j < EACH; j++) {
        let key = bits[j] & ~SIGN;
        let tied = key == edge;
        if key > edge || (tied && equal < ties) {
            kept[at] = start + t * EACH + j;
            kept[at + 1u] = bits[j];
            at += 2u;
        }
        equal += select(0u, 1u, tied);
    }
}

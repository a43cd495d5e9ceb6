#import words
#import index

@group(0) @binding(0) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> parts: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> words: Words;

// Channels and place in the patch of the k-th four weights.
struct Weight {
    channel: i32,
    down: i32,
    right: i32,
}

fn weight(k: u32) -> Weight {
    let C4 = words.a.w / 4u;
    let K = words.c.x;
    let padding = i32(words.c.z);
    return Weight(i32(k % C4), i32(k / C4 / K) - padding, i32(k / C4 % K) - padding);
}

fn pixels(at: Weight, picture: i32, top: i32, left: i32) -> vec4<f32> {
    let row = top + at.down;
    let column = left + at.right;
    let H = i32(words.a.y);
    let W = i32(words.a.z);
    if row < 0 || row >= H || column < 0 || column >= W {
        return vec4<f32>();
    }
    return x[(picture * H * W + row * W + column) * i32(words.a.w / 4u) + at.channel];
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    let OH = words.b.x;
    let OW = words.b.y;
    let O4 = words.b.z / 4u;
    let S = words.d.x;
    let M = words.a.x * OH * OW;
    let P4 = words.c.x * words.c.x * words.a.w / 4u;
    let columns = (P4 + 1u) / 2u;
    let tiles = columns * ((O4 + 1u) / 2u);
    let part = i / tiles;
    if part >= S {
        return;
    }
    let o = 2u * (i % tiles / columns);
    let k = 2u * (i % columns);
    // The second half may lie past the edge: it then repeats the first, and is not stored.
    let o1 = min(o + 1u, O4 - 1u);
    let at = weight(k);
    let at1 = weight(min(k + 1u, P4 - 1u));
    let stretch = (M + S - 1u) / S;
    var a0 = vec4<f32>();
    var a1 = vec4<f32>();
    var a2 = vec4<f32>();
    var a3 = vec4<f32>();
    var a4 = vec4<f32>();
    var a5 = vec4<f32>();
    var a6 = vec4<f32>();
    var a7 = vec4<f32>();
    var b0 = vec4<f32>();
    var b1 = vec4<f32>();
    var b2 = vec4<f32>();
    var b3 = vec4<f32>();
    var b4 = vec4<f32>();
    var b5 = vec4<f32>();
    var b6 = vec4<f32>();
    var b7 = vec4<f32>();
    var bias0 = vec4<f32>();
    var bias1 = vec4<f32>();
    for (var m = part * stretch; m < min(M, (part + 1u) * stretch); m++) {
        let picture = i32(m / (OH * OW));
        let top = i32(m / OW % OH * words.c.y);
        let left = i32(m % OW * words.c.y);
        let d = dy[m * O4 + o];
        let e = dy[m * O4 + o1];
        let v = pixels(at, picture, top, left);
        let w = pixels(at1, picture, top, left);
        a0 = fma(vec4<f32>(d.x), v, a0);
        a1 = fma(vec4<f32>(d.y), v, a1);
        a2 = fma(vec4<f32>(d.z), v, a2);
        a3 = fma(vec4<f32>(d.w), v, a3);
        a4 = fma(vec4<f32>(e.x), v, a4);
        a5 = fma(vec4<f32>(e.y), v, a5);
        a6 = fma(vec4<f32>(e.z), v, a6);
        a7 = fma(vec4<f32>(e.w), v, a7);
        b0 = fma(vec4<f32>(d.x), w, b0);
        b1 = fma(vec4<f32>(d.y), w, b1);
        b2 = fma(vec4<f32>(d.z), w, b2);
        b3 = fma(vec4<f32>(d.w), w, b3);
        b4 = fma(vec4<f32>(e.x), w, b4);
        b5 = fma(vec4<f32>(e.y), w, b5);
        b6 = fma(vec4<f32>(e.z), w, b6);
        b7 = fma(vec4<f32>(e.w), w, b7);
        bias0 += d;
        bias1 += e;
    }
    let begin = part * (4u * O4 * P4 + O4);
    var first = array<vec4<f32>, 8>(a0, a1, a2, a3, a4, a5, a6, a7);
    var second = array<vec4<f32>, 8>(b0, b1, b2, b3, b4, b5, b6, b7);
    for (var r = 0u; r < select(4u, 8u, o + 1u < O4); r++) {
        let row = begin + (4u * o + r) * P4;
        parts[row + k] = first[r];
        if k + 1u < P4 {
            parts[row + k + 1u] = second[r];
        }
    }
    if k == 0u {
        let beta = begin + 4u * O4 * P4 + o;
        parts[beta] = bias0;
        if o + 1u < O4 {
            parts[beta + 1u] = bias1;
        }
    }
}

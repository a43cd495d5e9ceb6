#import words
#import patches
#import tiles

#if WIDE
@group(0) @binding(0) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4<f32>>;
#else
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> parameters: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
#end
@group(0) @binding(3) var<uniform> words: Words;

// Pixels, channels, and what each hears from: every place of the kernel with every output.
fn extents() -> vec3<u32> {
    return vec3<u32>(words.a.x * words.a.y * words.a.z, words.a.w, words.c.x * words.c.x * words.b.z);
}

fn parts() -> u32 {
    return 1u;
}

// The k-th that four pixels from `first` on hear from: where they lie in dy, and whether they are there.
struct Places {
    at: vec4<u32>,
    inside: vec4<bool>,
}

fn places(first: u32, k: u32) -> Places {
    let m = first + vec4<u32>(0u, 1u, 2u, 3u);
    let H = words.a.y;
    let W = words.a.z;
    let OH = i32(words.b.x);
    let OW = i32(words.b.y);
    let O = words.b.z;
    let stride = i32(words.c.y);
    let place = k / O;
    let row = vec4<i32>(m / W % H) + i32(words.c.z) - i32(place / words.c.x);
    let column = vec4<i32>(m % W) + i32(words.c.z) - i32(place % words.c.x);
    let oy = row / stride;
    let ox = column / stride;
    let zero = vec4<i32>();
    let whole = (row >= zero) & (column >= zero) & (row % stride == zero) & (column % stride == zero);
    let there = (m < vec4<u32>(words.a.x * H * W)) & vec4<bool>(k < words.c.x * words.c.x * O);
    let inside = whole & within(oy, ox, OH, OW) & there;
    let patch_number = vec4<i32>(m / (H * W)) * OH * OW + oy * OW + ox;
    return Places(vec4<u32>(select(zero, patch_number * i32(O) + i32(k % O), inside)), inside);
}

// Where w begins for the k-th and column c.
fn weight(c: u32, k: u32) -> u32 {
    let O = words.b.z;
    return words.b.w + (k % O * words.c.x * words.c.x + k / O) * words.a.w + c;
}

#if WIDE
fn block_a(m: u32, k: u32) -> mat4x4<f32> {
    let p = places(m, k);
    let at = p.at / 4u;
    let zero = vec4<f32>();
    return transpose(mat4x4<f32>(
        select(zero, dy[at.x], p.inside.x),
        select(zero, dy[at.y], p.inside.y),
        select(zero, dy[at.z], p.inside.z),
        select(zero, dy[at.w], p.inside.w),
    ));
}

fn four_w(c: u32, k: u32) -> vec4<f32> {
    let inside = c < words.a.w && k < words.c.x * words.c.x * words.b.z;
    return select(vec4<f32>(), parameters[select(0u, weight(c, k) / 4u, inside)], inside);
}
#else
fn four_dy(m: u32, k: u32) -> vec4<f32> {
    let p = places(m, k);
    return select(vec4<f32>(), vec4<f32>(dy[p.at.x], dy[p.at.y], dy[p.at.z], dy[p.at.w]), p.inside);
}

fn block_a(m: u32, k: u32) -> mat4x4<f32> {
    return mat4x4<f32>(four_dy(m, k), four_dy(m, k + 1u), four_dy(m, k + 2u), four_dy(m, k + 3u));
}

fn one_w(c: u32, k: u32) -> f32 {
    let inside = c < words.a.w && k < words.c.x * words.c.x * words.b.z;
    return select(0.0, parameters[select(0u, weight(c, k), inside)], inside);
}

fn four_w(c: u32, k: u32) -> vec4<f32> {
    return vec4<f32>(one_w(c, k), one_w(c + 1u, k), one_w(c + 2u, k), one_w(c + 3u, k));
}
#end

fn block_b(c: u32, k: u32) -> mat4x4<f32> {
    return mat4x4<f32>(four_w(c, k), four_w(c, k + 1u), four_w(c, k + 2u), four_w(c, k + 3u));
}

fn store(slice: u32, m: u32, c: u32, sums: vec4<f32>) {
    let C = words.a.w;
    if m >= words.a.x * words.a.y * words.a.z {
        return;
    }
    #if WIDE
    if c < C {
        dx[(m * C + c) / 4u] = sums;
    }
    #else
    #for j 4
    if c + $ju < C {
        dx[m * C + c + $ju] = sums[$j];
    }
    #end
    #end
}

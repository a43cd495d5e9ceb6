#import words
#import activation
#import patches
#import tiles

#if WIDE
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
#else
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> parameters: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
#end
@group(0) @binding(3) var<uniform> words: Words;

fn patch_size() -> u32 {
    return words.c.x * words.c.x * words.a.w;
}

// Patches, channels, numbers of a patch.
fn extents() -> vec3<u32> {
    return vec3<u32>(words.a.x * words.b.x * words.b.y, words.b.z, patch_size());
}

fn parts() -> u32 {
    return 1u;
}

// Number k of four patches from m on: where they lie in x, and whether they are there.
struct Places {
    at: vec4<u32>,
    inside: vec4<bool>,
}

fn places(first: u32, k: u32) -> Places {
    let m = first + vec4<u32>(0u, 1u, 2u, 3u);
    let OH = words.b.x;
    let OW = words.b.y;
    let H = i32(words.a.y);
    let W = i32(words.a.z);
    let C = words.a.w;
    let place = k / C;
    let row = vec4<i32>(m / OW % OH * words.c.y) + i32(place / words.c.x) - i32(words.c.z);
    let column = vec4<i32>(m % OW * words.c.y) + i32(place % words.c.x) - i32(words.c.z);
    let there = (m < vec4<u32>(words.a.x * OH * OW)) & vec4<bool>(k < patch_size());
    let inside = within(row, column, H, W) & there;
    let pixel = vec4<i32>(m / (OH * OW)) * H * W + row * W + column;
    return Places(vec4<u32>(select(vec4<i32>(), pixel * i32(C) + i32(k % C), inside)), inside);
}

#if WIDE
fn block_a(m: u32, k: u32) -> mat4x4<f32> {
    let p = places(m, k);
    let at = p.at / 4u;
    let zero = vec4<f32>();
    return transpose(mat4x4<f32>(
        select(zero, x[at.x], p.inside.x),
        select(zero, x[at.y], p.inside.y),
        select(zero, x[at.z], p.inside.z),
        select(zero, x[at.w], p.inside.w),
    ));
}

fn four_w(o: u32, k: u32) -> vec4<f32> {
    let inside = o < words.b.z && k < patch_size();
    return select(vec4<f32>(), parameters[select(0u, (words.b.w + o * patch_size() + k) / 4u, inside)], inside);
}

fn parameter(i: u32) -> f32 {
    return parameters[i / 4u][i % 4u];
}
#else
fn four_x(m: u32, k: u32) -> vec4<f32> {
    let p = places(m, k);
    return select(vec4<f32>(), vec4<f32>(x[p.at.x], x[p.at.y], x[p.at.z], x[p.at.w]), p.inside);
}

fn block_a(m: u32, k: u32) -> mat4x4<f32> {
    return mat4x4<f32>(four_x(m, k), four_x(m, k + 1u), four_x(m, k + 2u), four_x(m, k + 3u));
}

fn one_w(o: u32, k: u32) -> f32 {
    let inside = o < words.b.z && k < patch_size();
    return select(0.0, parameters[select(0u, words.b.w + o * patch_size() + k, inside)], inside);
}

fn four_w(o: u32, k: u32) -> vec4<f32> {
    return vec4<f32>(one_w(o, k), one_w(o, k + 1u), one_w(o, k + 2u), one_w(o, k + 3u));
}

fn parameter(i: u32) -> f32 {
    return parameters[i];
}
#end

fn block_b(o: u32, k: u32) -> mat4x4<f32> {
    return transpose(mat4x4<f32>(four_w(o, k), four_w(o + 1u, k), four_w(o + 2u, k), four_w(o + 3u, k)));
}

fn store(slice: u32, m: u32, o: u32, sums: vec4<f32>) {
    let O = words.b.z;
    if m >= words.a.x * words.b.x * words.b.y {
        return;
    }
    let beta = words.b.w + O * patch_size() + o;
    #for c 4
    if o + $cu < O {
        y[m * O + o + $cu] = activate(sums[$c] + parameter(beta + $cu), words.c.w);
    }
    #end
}

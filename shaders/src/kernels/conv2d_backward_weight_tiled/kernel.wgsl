#import words
#import patches
#import tiles

#if WIDE
@group(0) @binding(0) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> gradient: array<vec4<f32>>;
#else
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> gradient: array<f32>;
#end
@group(0) @binding(3) var<uniform> words: Words;

fn patch_size() -> u32 {
    return words.c.x * words.c.x * words.a.w;
}

// Outputs, numbers of a patch, patches.
fn extents() -> vec3<u32> {
    return vec3<u32>(words.b.z, patch_size(), words.a.x * words.b.x * words.b.y);
}

fn parts() -> u32 {
    return words.d.x;
}

// Where part `slice` begins.
fn origin(slice: u32) -> u32 {
    return slice * words.b.z * (patch_size() + 1u);
}

#if WIDE
fn four_dy(o: u32, m: u32) -> vec4<f32> {
    let inside = o < words.b.z && m < words.a.x * words.b.x * words.b.y;
    return select(vec4<f32>(), dy[select(0u, (m * words.b.z + o) / 4u, inside)], inside);
}
#else
fn one_dy(o: u32, m: u32) -> f32 {
    let inside = o < words.b.z && m < words.a.x * words.b.x * words.b.y;
    return select(0.0, dy[select(0u, m * words.b.z + o, inside)], inside);
}

fn four_dy(o: u32, m: u32) -> vec4<f32> {
    return vec4<f32>(one_dy(o, m), one_dy(o + 1u, m), one_dy(o + 2u, m), one_dy(o + 3u, m));
}
#end

// Numbers k to k + 3 of patch m.
fn four_x(first: u32, m: u32) -> vec4<f32> {
    let OH = words.b.x;
    let OW = words.b.y;
    let H = i32(words.a.y);
    let W = i32(words.a.z);
    let C = words.a.w;
    #if WIDE
    // All of one pixel.
    let k = vec4<u32>(first);
    #else
    let k = first + vec4<u32>(0u, 1u, 2u, 3u);
    #end
    let place = k / C;
    let row = vec4<i32>(place / words.c.x) + i32(m / OW % OH * words.c.y) - i32(words.c.z);
    let column = vec4<i32>(place % words.c.x) + i32(m % OW * words.c.y) - i32(words.c.z);
    let there = (k < vec4<u32>(patch_size())) & vec4<bool>(m < words.a.x * OH * OW);
    let inside = within(row, column, H, W) & there;
    let pixel = i32(m / (OH * OW)) * H * W + row * W + column;
    let at = vec4<u32>(select(vec4<i32>(), pixel * i32(C) + vec4<i32>(k % C), inside));
    #if WIDE
    return select(vec4<f32>(), x[at.x / 4u], inside);
    #else
    return select(vec4<f32>(), vec4<f32>(x[at.x], x[at.y], x[at.z], x[at.w]), inside);
    #end
}

fn block_a(o: u32, m: u32) -> mat4x4<f32> {
    return mat4x4<f32>(four_dy(o, m), four_dy(o, m + 1u), four_dy(o, m + 2u), four_dy(o, m + 3u));
}

fn block_b(k: u32, m: u32) -> mat4x4<f32> {
    return mat4x4<f32>(four_x(k, m), four_x(k, m + 1u), four_x(k, m + 2u), four_x(k, m + 3u));
}

fn store(slice: u32, o: u32, k: u32, sums: vec4<f32>) {
    if o >= words.b.z {
        return;
    }
    let place = origin(slice) + o * patch_size() + k;
    #if WIDE
    if k < patch_size() {
        gradient[place / 4u] = sums;
    }
    #else
    #for c 4
    if k + $cu < patch_size() {
        gradient[place + $cu] = sums[$c];
    }
    #end
    #end
}

fn store_bias(slice: u32, o: u32, sums: vec4<f32>) {
    let place = origin(slice) + words.b.z * patch_size() + o;
    #if WIDE
    if o < words.b.z {
        gradient[place / 4u] = sums;
    }
    #else
    #for c 4
    if o + $cu < words.b.z {
        gradient[place + $cu] = sums[$c];
    }
    #end
    #end
}

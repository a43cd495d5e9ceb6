#import words
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

fn extents() -> vec3<u32> {
    return words.a.yzx;
}

fn parts() -> u32 {
    return words.b.y;
}

// Where the gradient, or a part of it, begins.
fn origin(slice: u32) -> u32 {
    let N = words.a.y;
    return words.a.w + slice * (N * words.a.z + select(N, 0u, words.b.x != 0u));
}

#if WIDE
fn four_dy(n: u32, m: u32) -> vec4<f32> {
    let inside = m < words.a.x && n < words.a.y;
    return select(vec4<f32>(), dy[select(0u, (m * words.a.y + n) / 4u, inside)], inside);
}

fn four_x(k: u32, m: u32) -> vec4<f32> {
    let inside = m < words.a.x && k < words.a.z;
    return select(vec4<f32>(), x[select(0u, (m * words.a.z + k) / 4u, inside)], inside);
}
#else
fn one_dy(n: u32, m: u32) -> f32 {
    let inside = m < words.a.x && n < words.a.y;
    return select(0.0, dy[select(0u, m * words.a.y + n, inside)], inside);
}

fn four_dy(n: u32, m: u32) -> vec4<f32> {
    return vec4<f32>(one_dy(n, m), one_dy(n + 1u, m), one_dy(n + 2u, m), one_dy(n + 3u, m));
}

fn one_x(k: u32, m: u32) -> f32 {
    let inside = m < words.a.x && k < words.a.z;
    return select(0.0, x[select(0u, m * words.a.z + k, inside)], inside);
}

fn four_x(k: u32, m: u32) -> vec4<f32> {
    return vec4<f32>(one_x(k, m), one_x(k + 1u, m), one_x(k + 2u, m), one_x(k + 3u, m));
}
#end

fn block_a(n: u32, m: u32) -> mat4x4<f32> {
    return mat4x4<f32>(four_dy(n, m), four_dy(n, m + 1u), four_dy(n, m + 2u), four_dy(n, m + 3u));
}

fn block_b(k: u32, m: u32) -> mat4x4<f32> {
    return mat4x4<f32>(four_x(k, m), four_x(k, m + 1u), four_x(k, m + 2u), four_x(k, m + 3u));
}

fn store(slice: u32, n: u32, k: u32, sums: vec4<f32>) {
    let K = words.a.z;
    if n >= words.a.y {
        return;
    }
    let place = origin(slice) + n * K + k;
    #if WIDE
    if k < K {
        gradient[place / 4u] = sums;
    }
    #else
    #for c 4
    if k + $cu < K {
        gradient[place + $cu] = sums[$c];
    }
    #end
    #end
}

fn store_bias(slice: u32, n: u32, sums: vec4<f32>) {
    let N = words.a.y;
    if words.b.x != 0u {
        return;
    }
    let place = origin(slice) + N * words.a.z + n;
    #if WIDE
    if n < N {
        gradient[place / 4u] = sums;
    }
    #else
    #for c 4
    if n + $cu < N {
        gradient[place + $cu] = sums[$c];
    }
    #end
    #end
}

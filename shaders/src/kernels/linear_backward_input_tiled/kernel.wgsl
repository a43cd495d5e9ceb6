#import words
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

fn extents() -> vec3<u32> {
    return words.a.xzy;
}

fn parts() -> u32 {
    return 1u;
}

#if WIDE
fn four_dy(m: u32, n: u32) -> vec4<f32> {
    let inside = m < words.a.x && n < words.a.y;
    return select(vec4<f32>(), dy[select(0u, (m * words.a.y + n) / 4u, inside)], inside);
}

fn four_w(n: u32, k: u32) -> vec4<f32> {
    let inside = n < words.a.y && k < words.a.z;
    return select(vec4<f32>(), parameters[select(0u, (words.a.w + n * words.a.z + k) / 4u, inside)], inside);
}
#else
fn one_dy(m: u32, n: u32) -> f32 {
    let inside = m < words.a.x && n < words.a.y;
    return select(0.0, dy[select(0u, m * words.a.y + n, inside)], inside);
}

fn four_dy(m: u32, n: u32) -> vec4<f32> {
    return vec4<f32>(one_dy(m, n), one_dy(m, n + 1u), one_dy(m, n + 2u), one_dy(m, n + 3u));
}

fn one_w(n: u32, k: u32) -> f32 {
    let inside = n < words.a.y && k < words.a.z;
    return select(0.0, parameters[select(0u, words.a.w + n * words.a.z + k, inside)], inside);
}

fn four_w(n: u32, k: u32) -> vec4<f32> {
    return vec4<f32>(one_w(n, k), one_w(n, k + 1u), one_w(n, k + 2u), one_w(n, k + 3u));
}
#end

fn block_a(m: u32, n: u32) -> mat4x4<f32> {
    return transpose(mat4x4<f32>(four_dy(m, n), four_dy(m + 1u, n), four_dy(m + 2u, n), four_dy(m + 3u, n)));
}

fn block_b(k: u32, n: u32) -> mat4x4<f32> {
    return mat4x4<f32>(four_w(n, k), four_w(n + 1u, k), four_w(n + 2u, k), four_w(n + 3u, k));
}

fn store(slice: u32, m: u32, k: u32, sums: vec4<f32>) {
    let K = words.a.z;
    if m >= words.a.x {
        return;
    }
    #if WIDE
    if k < K {
        dx[(m * K + k) / 4u] = sums;
    }
    #else
    #for c 4
    if k + $cu < K {
        dx[m * K + k + $cu] = sums[$c];
    }
    #end
    #end
}

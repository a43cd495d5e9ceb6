#import words
#import activation
#import tiles

#if WIDE
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> parameters: array<vec4<f32>>;
#else
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> parameters: array<f32>;
#end
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> words: Words;

fn extents() -> vec3<u32> {
    return words.a.xyz;
}

fn parts() -> u32 {
    return 1u;
}

#if WIDE
fn four_x(m: u32, k: u32) -> vec4<f32> {
    let inside = m < words.a.x && k < words.a.z;
    return select(vec4<f32>(), x[select(0u, m * (words.a.z / 4u) + k / 4u, inside)], inside);
}

fn four_w(n: u32, k: u32) -> vec4<f32> {
    let inside = n < words.a.y && k < words.a.z;
    return select(vec4<f32>(), parameters[select(0u, (words.b.x + n * words.a.z + k) / 4u, inside)], inside);
}

fn parameter(i: u32) -> f32 {
    return parameters[i / 4u][i % 4u];
}
#else
fn one_x(m: u32, k: u32) -> f32 {
    let inside = m < words.a.x && k < words.a.z;
    return select(0.0, x[select(0u, m * words.a.z + k, inside)], inside);
}

fn four_x(m: u32, k: u32) -> vec4<f32> {
    return vec4<f32>(one_x(m, k), one_x(m, k + 1u), one_x(m, k + 2u), one_x(m, k + 3u));
}

fn one_w(n: u32, k: u32) -> f32 {
    let inside = n < words.a.y && k < words.a.z;
    return select(0.0, parameters[select(0u, words.b.x + n * words.a.z + k, inside)], inside);
}

fn four_w(n: u32, k: u32) -> vec4<f32> {
    return vec4<f32>(one_w(n, k), one_w(n, k + 1u), one_w(n, k + 2u), one_w(n, k + 3u));
}

fn parameter(i: u32) -> f32 {
    return parameters[i];
}
#end

fn block_a(m: u32, k: u32) -> mat4x4<f32> {
    return transpose(mat4x4<f32>(four_x(m, k), four_x(m + 1u, k), four_x(m + 2u, k), four_x(m + 3u, k)));
}

fn block_b(n: u32, k: u32) -> mat4x4<f32> {
    return transpose(mat4x4<f32>(four_w(n, k), four_w(n + 1u, k), four_w(n + 2u, k), four_w(n + 3u, k)));
}

fn store(slice: u32, m: u32, n: u32, sums: vec4<f32>) {
    let N = words.a.y;
    if m >= words.a.x {
        return;
    }
    let beta = words.b.x + N * words.a.z + n;
    #for c 4
    if n + $cu < N {
        var z$c = sums[$c];
        if words.b.y == 0u {
            z$c += parameter(beta + $cu);
        }
        y[m * N + n + $cu] = activate(z$c, words.a.w);
    }
    #end
}

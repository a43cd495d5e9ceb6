#import words

@group(0) @binding(0) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> gradient: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> words: Words;

@compute @workgroup_size(8, 4)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let M = words.a.x;
    let N4 = words.a.y / 4u;
    let K4 = words.a.z / 4u;
    let n = 2u * id.y;
    let k = 2u * id.x;
    if n >= N4 || k >= K4 {
        return;
    }
    // The second half may lie past the edge: it then repeats the first, and is not stored.
    let n1 = min(n + 1u, N4 - 1u);
    let k1 = min(k + 1u, K4 - 1u);
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
    for (var m = 0u; m < M; m++) {
        let d = dy[m * N4 + n];
        let e = dy[m * N4 + n1];
        let v = x[m * K4 + k];
        let w = x[m * K4 + k1];
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
    let offset = words.a.w / 4u;
    var first = array<vec4<f32>, 8>(a0, a1, a2, a3, a4, a5, a6, a7);
    var second = array<vec4<f32>, 8>(b0, b1, b2, b3, b4, b5, b6, b7);
    for (var i = 0u; i < select(4u, 8u, n + 1u < N4); i++) {
        let row = offset + (4u * n + i) * K4;
        gradient[row + k] = first[i];
        if k + 1u < K4 {
            gradient[row + k + 1u] = second[i];
        }
    }
    if k == 0u && words.b.x == 0u {
        let beta = offset + 4u * N4 * K4 + n;
        gradient[beta] = bias0;
        if n + 1u < N4 {
            gradient[beta + 1u] = bias1;
        }
    }
}

#import words
#import tile

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(3) var<uniform> words: Words;

@compute @workgroup_size(8, 4)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let M = words.a.x;
    let N = words.a.y;
    let K = words.a.z;
    let n0 = id.y * 4u;
    let k0 = id.x * 4u;
    if n0 >= N || k0 >= K {
        return;
    }
    let r = four(n0, N);
    let c = four(k0, K);
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    var bias = vec4<f32>();
    for (var m = 0u; m < M; m++) {
        let p = m * N;
        let q = m * K;
        let d = vec4<f32>(dy[p + r.x], dy[p + r.y], dy[p + r.z], dy[p + r.w]);
        let v = vec4<f32>(x[q + c.x], x[q + c.y], x[q + c.z], x[q + c.w]);
        s0 = fma(vec4<f32>(d.x), v, s0);
        s1 = fma(vec4<f32>(d.y), v, s1);
        s2 = fma(vec4<f32>(d.z), v, s2);
        s3 = fma(vec4<f32>(d.w), v, s3);
        bias += d;
    }
    let offset = words.a.w;
    let rows = min(4u, N - n0);
    let columns = min(4u, K - k0);
    var sums = array<vec4<f32>, 4>(s0, s1, s2, s3);
    for (var i = 0u; i < rows; i++) {
        for (var j = 0u; j < columns; j++) {
            gradient[offset + (n0 + i) * K + k0 + j] = sums[i][j];
        }
        if k0 == 0u && words.b.x == 0u {
            gradient[offset + N * K + n0 + i] = bias[i];
        }
    }
}

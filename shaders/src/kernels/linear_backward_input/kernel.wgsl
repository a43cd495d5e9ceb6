#import words
#import tile

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> parameters: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@group(0) @binding(3) var<uniform> words: Words;

@compute @workgroup_size(8, 4)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let M = words.a.x;
    let N = words.a.y;
    let K = words.a.z;
    let m0 = id.y * 4u;
    let k0 = id.x * 4u;
    if m0 >= M || k0 >= K {
        return;
    }
    let r = four(m0, M) * N;
    let c = four(k0, K);
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    for (var n = 0u; n < N; n++) {
        let q = words.a.w + n * K;
        let w = vec4<f32>(parameters[q + c.x], parameters[q + c.y], parameters[q + c.z], parameters[q + c.w]);
        s0 = fma(vec4<f32>(dy[r.x + n]), w, s0);
        s1 = fma(vec4<f32>(dy[r.y + n]), w, s1);
        s2 = fma(vec4<f32>(dy[r.z + n]), w, s2);
        s3 = fma(vec4<f32>(dy[r.w + n]), w, s3);
    }
    let rows = min(4u, M - m0);
    let columns = min(4u, K - k0);
    var sums = array<vec4<f32>, 4>(s0, s1, s2, s3);
    for (var i = 0u; i < rows; i++) {
        for (var j = 0u; j < columns; j++) {
            dx[(m0 + i) * K + k0 + j] = sums[i][j];
        }
    }
}

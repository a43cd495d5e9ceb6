#import words
#import activation
#import tile

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> parameters: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> words: Words;

@compute @workgroup_size(8, 4)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let M = words.a.x;
    let N = words.a.y;
    let K = words.a.z;
    let m0 = id.y * 4u;
    let n0 = id.x * 4u;
    if m0 >= M || n0 >= N {
        return;
    }
    let r = four(m0, M) * K;
    let c = four(n0, N);
    let offset = words.b.x;
    let q = c * K + offset;
    let beta = offset + N * K;
    var bias = vec4<f32>();
    if words.b.y == 0u {
        bias = vec4<f32>(parameters[beta + c.x], parameters[beta + c.y], parameters[beta + c.z], parameters[beta + c.w]);
    }
    var s0 = bias;
    var s1 = bias;
    var s2 = bias;
    var s3 = bias;
    for (var k = 0u; k < K; k++) {
        let w = vec4<f32>(parameters[q.x + k], parameters[q.y + k], parameters[q.z + k], parameters[q.w + k]);
        s0 = fma(vec4<f32>(x[r.x + k]), w, s0);
        s1 = fma(vec4<f32>(x[r.y + k]), w, s1);
        s2 = fma(vec4<f32>(x[r.z + k]), w, s2);
        s3 = fma(vec4<f32>(x[r.w + k]), w, s3);
    }
    let rows = min(4u, M - m0);
    let columns = min(4u, N - n0);
    var sums = array<vec4<f32>, 4>(s0, s1, s2, s3);
    for (var i = 0u; i < rows; i++) {
        for (var j = 0u; j < columns; j++) {
            y[(m0 + i) * N + n0 + j] = activate(sums[i][j], words.a.w);
        }
    }
}

#import words
#import activation
#import tile

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> words: Words;

fn bias(n: u32) -> f32 {
    let beta = words.b.x + words.a.y * words.a.z + n;
    return select(parameters[beta / 4u][beta % 4u], 0.0, words.b.y != 0u);
}

@compute @workgroup_size(8, 4)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let M = words.a.x;
    let N = words.a.y;
    let K4 = words.a.z / 4u;
    let m0 = id.y * 4u;
    let n0 = id.x * 4u;
    if m0 >= M || n0 >= N {
        return;
    }
    let r = four(m0, M) * K4;
    let c = four(n0, N) * K4 + words.b.x / 4u;
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    for (var k = 0u; k < K4; k++) {
        let w0 = parameters[c.x + k];
        let w1 = parameters[c.y + k];
        let w2 = parameters[c.z + k];
        let w3 = parameters[c.w + k];
        let x0 = x[r.x + k];
        s0 += vec4<f32>(dot(x0, w0), dot(x0, w1), dot(x0, w2), dot(x0, w3));
        let x1 = x[r.y + k];
        s1 += vec4<f32>(dot(x1, w0), dot(x1, w1), dot(x1, w2), dot(x1, w3));
        let x2 = x[r.z + k];
        s2 += vec4<f32>(dot(x2, w0), dot(x2, w1), dot(x2, w2), dot(x2, w3));
        let x3 = x[r.w + k];
        s3 += vec4<f32>(dot(x3, w0), dot(x3, w1), dot(x3, w2), dot(x3, w3));
    }
    let rows = min(4u, M - m0);
    let columns = min(4u, N - n0);
    var sums = array<vec4<f32>, 4>(s0, s1, s2, s3);
    for (var j = 0u; j < columns; j++) {
        let beta = bias(n0 + j);
        for (var i = 0u; i < rows; i++) {
            y[(m0 + i) * N + n0 + j] = activate(sums[i][j] + beta, words.a.w);
        }
    }
}

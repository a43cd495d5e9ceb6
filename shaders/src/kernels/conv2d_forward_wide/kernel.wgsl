#import words
#import index
#import activation
#import tile
#import patches

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> words: Words;

fn bias(o: u32) -> f32 {
    let beta = words.b.w + words.b.z * words.c.x * words.c.x * words.a.w + o;
    return parameters[beta / 4u][beta % 4u];
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    let H = i32(words.a.y);
    let W = i32(words.a.z);
    let C4 = words.a.w / 4u;
    let OH = words.b.x;
    let OW = words.b.y;
    let O = words.b.z;
    let K = words.c.x;
    let stride = words.c.y;
    let padding = i32(words.c.z);
    let M = words.a.x * OH * OW;
    let columns = (O + 3u) / 4u;
    let m0 = 4u * (i / columns);
    let o0 = 4u * (i % columns);
    if m0 >= M {
        return;
    }
    let m = four(m0, M);
    let o = four(o0, O);
    let picture = vec4<i32>(m / (OH * OW)) * H * W;
    let top = vec4<i32>((m / OW) % OH * stride) - padding;
    let left = vec4<i32>(m % OW * stride) - padding;
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    for (var k = 0u; k < K * K; k++) {
        let row = top + i32(k / K);
        let column = left + i32(k % K);
        let inside = within(row, column, H, W);
        let p = vec4<u32>(select(vec4<i32>(), picture + row * W + column, inside)) * C4;
        let q = words.b.w / 4u + (o * K * K + k) * C4;
        for (var c = 0u; c < C4; c++) {
            let w0 = parameters[q.x + c];
            let w1 = parameters[q.y + c];
            let w2 = parameters[q.z + c];
            let w3 = parameters[q.w + c];
            let x0 = select(vec4<f32>(), x[p.x + c], inside.x);
            s0 += vec4<f32>(dot(x0, w0), dot(x0, w1), dot(x0, w2), dot(x0, w3));
            let x1 = select(vec4<f32>(), x[p.y + c], inside.y);
            s1 += vec4<f32>(dot(x1, w0), dot(x1, w1), dot(x1, w2), dot(x1, w3));
            let x2 = select(vec4<f32>(), x[p.z + c], inside.z);
            s2 += vec4<f32>(dot(x2, w0), dot(x2, w1), dot(x2, w2), dot(x2, w3));
            let x3 = select(vec4<f32>(), x[p.w + c], inside.w);
            s3 += vec4<f32>(dot(x3, w0), dot(x3, w1), dot(x3, w2), dot(x3, w3));
        }
    }
    let rows = min(4u, M - m0);
    let valid = min(4u, O - o0);
    var sums = array<vec4<f32>, 4>(s0, s1, s2, s3);
    for (var j = 0u; j < valid; j++) {
        let beta = bias(o0 + j);
        for (var r = 0u; r < rows; r++) {
            y[(m0 + r) * O + o0 + j] = activate(sums[r][j] + beta, words.c.w);
        }
    }
}

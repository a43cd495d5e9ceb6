#import words
#import index
#import activation
#import tile
#import patches

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> parameters: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    let H = i32(words.a.y);
    let W = i32(words.a.z);
    let C = words.a.w;
    let OH = words.b.x;
    let OW = words.b.y;
    let O = words.b.z;
    let offset = words.b.w;
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
    let beta = offset + O * K * K * C + o;
    let bias = vec4<f32>(parameters[beta.x], parameters[beta.y], parameters[beta.z], parameters[beta.w]);
    var s0 = bias;
    var s1 = bias;
    var s2 = bias;
    var s3 = bias;
    for (var k = 0u; k < K * K; k++) {
        let row = top + i32(k / K);
        let column = left + i32(k % K);
        let inside = within(row, column, H, W);
        let p = vec4<u32>(select(vec4<i32>(), picture + row * W + column, inside)) * C;
        let q = offset + (o * K * K + k) * C;
        for (var c = 0u; c < C; c++) {
            let read = vec4<f32>(x[p.x + c], x[p.y + c], x[p.z + c], x[p.w + c]);
            let v = select(vec4<f32>(), read, inside);
            let w = vec4<f32>(parameters[q.x + c], parameters[q.y + c], parameters[q.z + c], parameters[q.w + c]);
            s0 = fma(vec4<f32>(v.x), w, s0);
            s1 = fma(vec4<f32>(v.y), w, s1);
            s2 = fma(vec4<f32>(v.z), w, s2);
            s3 = fma(vec4<f32>(v.w), w, s3);
        }
    }
    let rows = min(4u, M - m0);
    let valid = min(4u, O - o0);
    var sums = array<vec4<f32>, 4>(s0, s1, s2, s3);
    for (var r = 0u; r < rows; r++) {
        for (var j = 0u; j < valid; j++) {
            y[(m0 + r) * O + o0 + j] = activate(sums[r][j], words.c.w);
        }
    }
}

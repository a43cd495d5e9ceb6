#import words
#import index
#import tile
#import patches

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> parameters: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@group(0) @binding(3) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    let H = words.a.y;
    let W = words.a.z;
    let C = words.a.w;
    let OH = i32(words.b.x);
    let OW = i32(words.b.y);
    let O = words.b.z;
    let offset = words.b.w;
    let K = words.c.x;
    let stride = i32(words.c.y);
    let padding = i32(words.c.z);
    let M = words.a.x * H * W;
    let columns = (C + 3u) / 4u;
    let m0 = 4u * (i / columns);
    let c0 = 4u * (i % columns);
    if m0 >= M {
        return;
    }
    let m = four(m0, M);
    let c = four(c0, C);
    let picture = vec4<i32>(m / (H * W)) * OH * OW;
    let top = vec4<i32>((m / W) % H) + padding;
    let left = vec4<i32>(m % W) + padding;
    let zero = vec4<i32>();
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    for (var k = 0u; k < K * K; k++) {
        let row = top - i32(k / K);
        let column = left - i32(k % K);
        let oy = row / stride;
        let ox = column / stride;
        let inside = (row % stride == zero) & (column % stride == zero) & within(oy, ox, OH, OW);
        let p = vec4<u32>(select(zero, picture + oy * OW + ox, inside)) * O;
        for (var o = 0u; o < O; o++) {
            let read = vec4<f32>(dy[p.x + o], dy[p.y + o], dy[p.z + o], dy[p.w + o]);
            let d = select(vec4<f32>(), read, inside);
            let q = offset + (o * K * K + k) * C + c;
            let w = vec4<f32>(parameters[q.x], parameters[q.y], parameters[q.z], parameters[q.w]);
            s0 = fma(vec4<f32>(d.x), w, s0);
            s1 = fma(vec4<f32>(d.y), w, s1);
            s2 = fma(vec4<f32>(d.z), w, s2);
            s3 = fma(vec4<f32>(d.w), w, s3);
        }
    }
    let rows = min(4u, M - m0);
    let valid = min(4u, C - c0);
    var sums = array<vec4<f32>, 4>(s0, s1, s2, s3);
    for (var r = 0u; r < rows; r++) {
        for (var j = 0u; j < valid; j++) {
            dx[(m0 + r) * C + c0 + j] = sums[r][j];
        }
    }
}

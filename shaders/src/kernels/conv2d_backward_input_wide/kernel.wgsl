#import words
#import index
#import tile
#import patches

@group(0) @binding(0) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    let H = words.a.y;
    let W = words.a.z;
    let C4 = words.a.w / 4u;
    let OH = i32(words.b.x);
    let OW = i32(words.b.y);
    let O4 = words.b.z / 4u;
    let K = words.c.x;
    let stride = i32(words.c.y);
    let padding = i32(words.c.z);
    let M = words.a.x * H * W;
    let m0 = 4u * (i / C4);
    let c = i % C4;
    if m0 >= M {
        return;
    }
    let m = four(m0, M);
    let picture = vec4<i32>(m / (H * W)) * OH * OW;
    let top = vec4<i32>((m / W) % H) + padding;
    let left = vec4<i32>(m % W) + padding;
    let zero = vec4<i32>();
    let next = K * K * C4;
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
        let p = vec4<u32>(select(zero, picture + oy * OW + ox, inside)) * O4;
        for (var o = 0u; o < O4; o++) {
            let q = words.b.w / 4u + (4u * o * K * K + k) * C4 + c;
            let w = mat4x4<f32>(parameters[q], parameters[q + next], parameters[q + 2u * next], parameters[q + 3u * next]);
            s0 += w * select(vec4<f32>(), dy[p.x + o], inside.x);
            s1 += w * select(vec4<f32>(), dy[p.y + o], inside.y);
            s2 += w * select(vec4<f32>(), dy[p.z + o], inside.z);
            s3 += w * select(vec4<f32>(), dy[p.w + o], inside.w);
        }
    }
    var sums = array<vec4<f32>, 4>(s0, s1, s2, s3);
    for (var r = 0u; r < min(4u, M - m0); r++) {
        dx[(m0 + r) * C4 + c] = sums[r];
    }
}

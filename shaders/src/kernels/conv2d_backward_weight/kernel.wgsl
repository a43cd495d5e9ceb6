#import words
#import index
#import tile
#import patches

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> parts: array<f32>;
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
    let K = words.c.x;
    let stride = words.c.y;
    let padding = i32(words.c.z);
    let S = words.d.x;
    let M = words.a.x * OH * OW;
    let P = K * K * C;
    let columns = (P + 3u) / 4u;
    let tiles = columns * ((O + 3u) / 4u);
    let part = i / tiles;
    if part >= S {
        return;
    }
    let o0 = 4u * (i % tiles / columns);
    let k0 = 4u * (i % columns);
    let o = four(o0, O);
    let k = four(k0, P);
    let c = vec4<i32>(k % C);
    let down = vec4<i32>(k / C / K) - padding;
    let right = vec4<i32>(k / C % K) - padding;
    let stretch = (M + S - 1u) / S;
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    var bias = vec4<f32>();
    for (var m = part * stretch; m < min(M, (part + 1u) * stretch); m++) {
        let row = down + i32(m / OW % OH * stride);
        let column = right + i32(m % OW * stride);
        let inside = within(row, column, H, W);
        let picture = i32(m / (OH * OW)) * H * W;
        let p = vec4<u32>(select(vec4<i32>(), (picture + row * W + column) * i32(C) + c, inside));
        let v = select(vec4<f32>(), vec4<f32>(x[p.x], x[p.y], x[p.z], x[p.w]), inside);
        let q = m * O + o;
        let d = vec4<f32>(dy[q.x], dy[q.y], dy[q.z], dy[q.w]);
        s0 = fma(vec4<f32>(d.x), v, s0);
        s1 = fma(vec4<f32>(d.y), v, s1);
        s2 = fma(vec4<f32>(d.z), v, s2);
        s3 = fma(vec4<f32>(d.w), v, s3);
        bias += d;
    }
    let begin = part * (O * P + O);
    let rows = min(4u, O - o0);
    let valid = min(4u, P - k0);
    var sums = array<vec4<f32>, 4>(s0, s1, s2, s3);
    for (var r = 0u; r < rows; r++) {
        for (var j = 0u; j < valid; j++) {
            parts[begin + (o0 + r) * P + k0 + j] = sums[r][j];
        }
        if k0 == 0u {
            parts[begin + O * P + o0 + r] = bias[r];
        }
    }
}

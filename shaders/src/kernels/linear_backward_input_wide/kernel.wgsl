#import words
#import tile

@group(0) @binding(0) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> words: Words;

@compute @workgroup_size(8, 4)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let M = words.a.x;
    let N4 = words.a.y / 4u;
    let K4 = words.a.z / 4u;
    let m0 = id.y * 4u;
    let k = id.x;
    if m0 >= M || k >= K4 {
        return;
    }
    let r = four(m0, M) * N4;
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    for (var n = 0u; n < N4; n++) {
        let q = words.a.w / 4u + 4u * n * K4 + k;
        let w = mat4x4<f32>(parameters[q], parameters[q + K4], parameters[q + 2u * K4], parameters[q + 3u * K4]);
        s0 += w * dy[r.x + n];
        s1 += w * dy[r.y + n];
        s2 += w * dy[r.z + n];
        s3 += w * dy[r.w + n];
    }
    var sums = array<vec4<f32>, 4>(s0, s1, s2, s3);
    for (var i = 0u; i < min(4u, M - m0); i++) {
        dx[(m0 + i) * K4 + k] = sums[i];
    }
}

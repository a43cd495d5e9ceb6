#import words
#import heads

@group(0) @binding(0) var<storage, read> qkv: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> y: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;
@group(0) @binding(4) var<storage, read_write> dqkv: array<vec4<f32>>;
@group(0) @binding(5) var<uniform> words: Words;

var<workgroup> tile_k: array<array<vec4<f32>, E4>, 16>;
var<workgroup> tile_v: array<array<vec4<f32>, E4>, 16>;

const TILE: u32 = 16u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) l: u32) {
    let T = words.a.y;
    let H = words.a.z;
    let t = group.x * 64u + l;
    // Who lies behind the last place loads, and stores nothing.
    let place = min(t, T - 1u);
    let i = (group.y / H * T + place) * H + group.y % H;
    let head = head_of(i, words);
    let own = head.first + place * head.row;
    var delta = 0.0;
    #for e E4
    let q$e = qkv[own + $eu] * head.scale;
    let d$e = dy[i * E4 + $eu];
    delta += dot(d$e, y[i * E4 + $eu]);
    var total$e = vec4<f32>();
    #end
    let log_sum = sums[2u * i];
    let end = min(group.x * 64u + 64u, T);
    for (var u0 = 0u; u0 < end; u0 += TILE) {
        workgroupBarrier();
        for (var j = l; j < TILE * E4; j += 64u) {
            let key = head.first + min(u0 + j / E4, T - 1u) * head.row + head.part + j % E4;
            tile_k[j / E4][j % E4] = qkv[key];
            tile_v[j / E4][j % E4] = qkv[key + head.part];
        }
        workgroupBarrier();
        // As many of these keys as the query sees.
        let seen = min(TILE, max(t + 1u, u0) - u0);
        for (var u = 0u; u < seen; u++) {
            var s = 0.0;
            var dp = 0.0;
            #for e E4
            s += dot(q$e, tile_k[u][$eu]);
            dp += dot(d$e, tile_v[u][$eu]);
            #end
            let ds = exp(s - log_sum) * (dp - delta) * head.scale;
            #for e E4
            total$e += tile_k[u][$eu] * ds;
            #end
        }
    }
    if t < T {
        sums[2u * i + 1u] = delta;
        #for e E4
        dqkv[own + $eu] = total$e;
        #end
    }
}

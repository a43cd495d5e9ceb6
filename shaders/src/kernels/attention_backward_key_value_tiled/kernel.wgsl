#import words
#import heads

@group(0) @binding(0) var<storage, read> qkv: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> sums: array<f32>;
@group(0) @binding(3) var<storage, read_write> dqkv: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> words: Words;

var<workgroup> tile_q: array<array<vec4<f32>, E4>, 16>;
var<workgroup> tile_d: array<array<vec4<f32>, E4>, 16>;
var<workgroup> tile_s: array<vec2<f32>, 16>;

const TILE: u32 = 16u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) l: u32) {
    let T = words.a.y;
    let H = words.a.z;
    let t = group.x * 64u + l;
    // Who lies behind the last place loads, and stores nothing.
    let place = min(t, T - 1u);
    let head = head_of((group.y / H * T + place) * H + group.y % H, words);
    let own = head.first + place * head.row;
    let key = own + head.part;
    #for e E4
    let k$e = qkv[key + $eu] * head.scale;
    let v$e = qkv[key + head.part + $eu];
    var dk$e = vec4<f32>();
    var dv$e = vec4<f32>();
    #end
    for (var t0 = group.x * 64u; t0 < T; t0 += TILE) {
        workgroupBarrier();
        for (var i = l; i < TILE * E4; i += 64u) {
            let query = min(t0 + i / E4, T - 1u);
            tile_q[i / E4][i % E4] = qkv[head.first + query * head.row + i % E4];
            tile_d[i / E4][i % E4] = dy[((head.before + query) * H + head.h) * E4 + i % E4];
        }
        if l < TILE {
            let at = 2u * ((head.before + min(t0 + l, T - 1u)) * H + head.h);
            tile_s[l] = vec2<f32>(sums[at], sums[at + 1u]);
        }
        workgroupBarrier();
        // The queries that see the key.
        let count = min(TILE, T - t0);
        for (var u = max(t, t0) - t0; u < count; u++) {
            var s = 0.0;
            var dp = 0.0;
            #for e E4
            s += dot(k$e, tile_q[u][$eu]);
            dp += dot(v$e, tile_d[u][$eu]);
            #end
            let p = exp(s - tile_s[u].x);
            let ds = p * (dp - tile_s[u].y) * head.scale;
            #for e E4
            dk$e += tile_q[u][$eu] * ds;
            dv$e += tile_d[u][$eu] * p;
            #end
        }
    }
    if t < T {
        #for e E4
        dqkv[key + $eu] = dk$e;
        dqkv[key + head.part + $eu] = dv$e;
        #end
    }
}

#import words
#import index

@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read_write> rows: array<u32>;
@group(0) @binding(3) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    let M = words.a.x;
    let C = words.a.y;
    if i >= M {
        return;
    }
    var best = 0u;
    var wanted = 0u;
    var largest = y[i * C];
    var largest_wanted = -3.0e38;
    var loss = 0.0;
    for (var c = 0u; c < C; c++) {
        var t = select(0.0, 1.0, targets[min(i, M - 1u)] == c);
        if words.a.z == 0u {
            t = bitcast<f32>(targets[i * C + c]);
        }
        let value = y[i * C + c];
        if value > largest {
            largest = value;
            best = c;
        }
        if t > largest_wanted {
            largest_wanted = t;
            wanted = c;
        }
        loss = fma(value - t, value - t, loss);
        y[i * C + c] = 2.0 * (value - t) / f32(M * C);
    }
    rows[2u * i] = bitcast<u32>(loss / f32(C));
    rows[2u * i + 1u] = u32(best == wanted);
}

#import words
#import index
#import windows

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<f32>;
@group(0) @binding(2) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    let C = words.a.w;
    if i >= words.a.x * words.a.y * words.a.z * C {
        return;
    }
    let over = windows_over(i, words);
    var sum = 0.0;
    for (var oy = over.rows.x; oy < over.rows.y; oy++) {
        for (var ox = over.columns.x; ox < over.columns.y; ox++) {
            sum += dy[((over.before + oy) * words.b.y + ox) * C + i % C];
        }
    }
    dx[i] = sum / f32(words.b.z * words.b.w);
}

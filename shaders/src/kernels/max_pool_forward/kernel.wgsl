#import words
#import index

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> chosen: array<u32>;
@group(0) @binding(3) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    let C = words.a.w;
    let OH = words.b.x;
    let OW = words.b.y;
    if i >= words.a.x * OH * OW * C {
        return;
    }
    let m = i / C;
    let top = m / OW % OH * words.c.x;
    let left = m % OW * words.c.x;
    let corner = ((m / (OH * OW) * words.a.y + top) * words.a.z + left) * C + i % C;
    var best = corner;
    var largest = x[corner];
    for (var ky = 0u; ky < words.b.z; ky++) {
        for (var kx = 0u; kx < words.b.w; kx++) {
            let place = corner + (ky * words.a.z + kx) * C;
            let value = x[place];
            if value > largest {
                largest = value;
                best = place;
            }
        }
    }
    y[i] = largest;
    chosen[i] = best;
}

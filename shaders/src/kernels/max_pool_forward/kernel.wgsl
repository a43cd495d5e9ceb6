#import words
#import index
#import windows

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> chosen: array<u32>;
@group(0) @binding(3) var<uniform> words: Words;

// By its bits: by floats a compiler may suppose that there is none.
fn is_nan(number: f32) -> bool {
    return (bitcast<u32>(number) & 0x7fffffffu) > 0x7f800000u;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    let C = words.a.w;
    if i >= words.a.x * words.b.x * words.b.y * C {
        return;
    }
    let corner = corner_of(i, words);
    var best = corner;
    var largest = x[corner];
    for (var ky = 0u; ky < words.b.z; ky++) {
        for (var kx = 0u; kx < words.b.w; kx++) {
            let place = corner + (ky * words.a.z + kx) * C;
            let value = x[place];
            if !is_nan(largest) && (is_nan(value) || value > largest) {
                largest = value;
                best = place;
            }
        }
    }
    y[i] = largest;
    chosen[i] = best;
}

#import words

@group(0) @binding(0) var<storage, read> parts: array<f32>;
@group(0) @binding(1) var<storage, read_write> state: array<f32>;
@group(0) @binding(2) var<uniform> words: Words;

@compute @workgroup_size(1)
fn main() {
    var sum = 0.0;
    for (var s = 0u; s < words.a.x; s++) {
        sum += parts[s];
    }
    let b2 = bitcast<f32>(words.a.z);
    state[6] = b2 * state[6] + (1.0 - b2) * sum / f32(words.a.y);
}

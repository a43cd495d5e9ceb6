#import words
#import index

@group(0) @binding(0) var<storage, read> tokens: array<u32>;
@group(0) @binding(1) var<storage, read_write> chain: array<u32>;
@group(0) @binding(2) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    let M = words.a.x;
    if i >= M {
        return;
    }
    let token = tokens[i];
    var before = M;
    for (var j = i; j > 0u; j--) {
        if tokens[j - 1u] == token {
            before = j - 1u;
            break;
        }
    }
    var last = 1u;
    for (var j = i + 1u; j < M; j++) {
        if tokens[j] == token {
            last = 0u;
            break;
        }
    }
    chain[2u * i] = before;
    chain[2u * i + 1u] = last;
}

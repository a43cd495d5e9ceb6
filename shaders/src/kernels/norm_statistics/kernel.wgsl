#import words
#import index
#import members

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> statistics: array<f32>;
@group(0) @binding(2) var<uniform> words: Words;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups);
    let P = words.a.y;
    let C = words.a.z;
    let G = words.a.w;
    if i >= words.a.x * G {
        return;
    }
    let D = C / G;
    let begin = i / G * P * C + i % G * D;
    let n = P * D;
    var mean = 0.0;
    var member: Member;
    var e = 0u;
    // Four at a time, here and below: see `kernels::loops`.
    if words.b.y == 0u {
        member = Member(begin, 0u);
        e = 0u;
        for (; e + 3u < n; e += 4u) {
            #for j 4
            mean += x[member.at];
            member = behind(member, C, D);
            #end
        }
        for (; e < n; e++) {
            mean += x[member.at];
            member = behind(member, C, D);
        }
        mean /= f32(n);
    }
    var squares = 0.0;
    member = Member(begin, 0u);
    e = 0u;
    for (; e + 3u < n; e += 4u) {
        #for j 4
        squares = fma(x[member.at] - mean, x[member.at] - mean, squares);
        member = behind(member, C, D);
        #end
    }
    for (; e < n; e++) {
        squares = fma(x[member.at] - mean, x[member.at] - mean, squares);
        member = behind(member, C, D);
    }
    statistics[2u * i] = mean;
    statistics[2u * i + 1u] = 1.0 / sqrt(squares / f32(n) + bitcast<f32>(words.b.z));
}

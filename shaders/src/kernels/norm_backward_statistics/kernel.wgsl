#import words
#import index
#import members

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> parameters: array<f32>;
@group(0) @binding(3) var<storage, read> statistics: array<f32>;
@group(0) @binding(4) var<storage, read_write> means: array<f32>;
@group(0) @binding(5) var<uniform> words: Words;

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
    let channel = i % G * D;
    let begin = i / G * P * C + channel;
    let gamma = words.b.x + channel;
    let mean = statistics[2u * i];
    let inverse = statistics[2u * i + 1u];
    var first = 0.0;
    var second = 0.0;
    let members = P * D;
    var member: Member;
    var e = 0u;
    // Four at a time: see `kernels::loops`.
    member = Member(begin, 0u);
    e = 0u;
    var d = 0.0;
    for (; e + 3u < members; e += 4u) {
        #for j 4
        d = dy[member.at] * parameters[gamma + member.channel];
        first += d;
        second = fma(d, (x[member.at] - mean) * inverse, second);
        member = behind(member, C, D);
        #end
    }
    for (; e < members; e++) {
        d = dy[member.at] * parameters[gamma + member.channel];
        first += d;
        second = fma(d, (x[member.at] - mean) * inverse, second);
        member = behind(member, C, D);
    }
    let n = f32(members);
    means[2u * i] = select(0.0, first / n, words.b.y == 0u);
    means[2u * i + 1u] = second / n;
}

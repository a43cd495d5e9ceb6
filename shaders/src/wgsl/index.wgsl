// Number of an invocation in a grid of workgroups of 64 that may fold from x into y.
fn flat_index(id: vec3<u32>, groups: vec3<u32>) -> u32 {
    return id.y * groups.x * 64u + id.x;
}

// Four in a row from `first` on. Past the edge the last one is read again; it is not stored.
fn four(first: u32, extent: u32) -> vec4<u32> {
    return min(first + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(extent - 1u));
}

// The windows along one axis that hold a place: first, and one behind the last.
fn windows_over(place: u32, windows: u32, extent: u32, stride: u32) -> vec2<u32> {
    let first = select(0u, (place + stride - extent) / stride, place >= extent);
    return vec2<u32>(first, min(windows, place / stride + 1u));
}

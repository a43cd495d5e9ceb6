// Windows of a pool by its words: N, H, W, C, OH, OW, rows and columns of a window, stride.

// Place in x of the corner of the i-th window.
fn corner_of(i: u32, words: Words) -> u32 {
    let m = i / words.a.w;
    let top = m / words.b.y % words.b.x * words.c.x;
    let left = m % words.b.y * words.c.x;
    return ((m / (words.b.x * words.b.y) * words.a.y + top) * words.a.z + left) * words.a.w + i % words.a.w;
}

// The windows along one axis that hold a place: first, and one behind the last.
fn windows_along(place: u32, windows: u32, extent: u32, stride: u32) -> vec2<u32> {
    let first = select(0u, (place + stride - extent) / stride, place >= extent);
    return vec2<u32>(first, min(windows, place / stride + 1u));
}

// The windows that hold the i-th number of x, as rows and columns; numbers of rows before its picture.
struct Holding {
    rows: vec2<u32>,
    columns: vec2<u32>,
    before: u32,
}

fn windows_over(i: u32, words: Words) -> Holding {
    let m = i / words.a.w;
    let rows = windows_along(m / words.a.z % words.a.y, words.b.x, words.b.z, words.c.x);
    let columns = windows_along(m % words.a.z, words.b.y, words.b.w, words.c.x);
    return Holding(rows, columns, m / words.a.z / words.a.y * words.b.x);
}

// The head of an attention that an invocation works on, by the words N, T, H, E. qkv is [N, T, 3, H, E], in fours.
struct Head {
    // Number of the head, and place t of T.
    h: u32,
    t: u32,
    // E / 4, and fours of a row of qkv.
    e4: u32,
    row: u32,
    // Rows before the sample, and where the head's queries begin.
    before: u32,
    first: u32,
    // Fours from a query to its key, and from there to its value.
    part: u32,
    scale: f32,
}

fn head_of(i: u32, words: Words) -> Head {
    let e4 = words.a.w / 4u;
    let h = i % words.a.z;
    let row = 3u * words.a.z * e4;
    let before = i / words.a.z / words.a.y * words.a.y;
    let t = i / words.a.z % words.a.y;
    return Head(h, t, e4, row, before, before * row + h * e4, words.a.z * e4, inverseSqrt(f32(words.a.w)));
}

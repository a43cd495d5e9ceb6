// Which of four places lie in a picture.
fn within(row: vec4<i32>, column: vec4<i32>, height: i32, width: i32) -> vec4<bool> {
    let zero = vec4<i32>();
    return (row >= zero) & (row < vec4<i32>(height)) & (column >= zero) & (column < vec4<i32>(width));
}

// The words of a dispatch: eight u32, floats by their bits.
struct Words {
    a: vec4<u32>,
    b: vec4<u32>,
}

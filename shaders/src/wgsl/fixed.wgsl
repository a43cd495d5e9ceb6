// A base coordinate (units of 2^-24) as the float nearest to it.
fn to_f32(fixed: i32) -> f32 {
    return f32(fixed) * 0.000000059604644775390625;
}

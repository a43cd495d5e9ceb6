// The sum of what GROUP invocations have of a row: halves are added to halves, in one order. All of a workgroup call it together.
var<workgroup> sums_of: array<f32, GROUP>;

fn sum_of_all(t: u32, own: f32) -> f32 {
    sums_of[t] = own;
    workgroupBarrier();
    for (var step = GROUP / 2u; step > 0u; step /= 2u) {
        if t < step {
            sums_of[t] += sums_of[t + step];
        }
        workgroupBarrier();
    }
    let sum = sums_of[0];
    // Everybody has read it before it is written again.
    workgroupBarrier();
    return sum;
}

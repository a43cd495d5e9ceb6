// C [R, S] = sum over D of A and B, by tiles of ROWS x COLUMNS results a workgroup: see kernels::tiles. Who imports this says what is
// multiplied: extents() is (R, S, D), parts() how many workgroups share a sum; block_a and block_b give four depths of four rows of A,
// or of four columns of B, one depth a column of the matrix and zero outside; store takes four results of a row.
const THREADS: u32 = ROWS * COLUMNS / (16u * ROW_FOURS * COLUMN_FOURS);
const HALF: u32 = THREADS / 2u;
const THREADS_X: u32 = COLUMNS / (4u * COLUMN_FOURS);
const THREADS_Y: u32 = ROWS / (4u * ROW_FOURS);

#if F16
alias Operands = vec4<f16>;
#else
alias Operands = vec4<f32>;
#end

// The first index is a constant wherever time matters, so that nothing but the second is checked, and that once.
var<workgroup> tile_a: array<array<Operands, ROWS / 4u>, DEPTH>;
var<workgroup> tile_b: array<array<Operands, COLUMNS / 4u>, DEPTH>;
#if F16
#if BIAS
// A bias is summed of what is not rounded.
var<workgroup> tile_bias: array<array<vec4<f32>, ROWS / 4u>, 4>;
#end

const EXPONENT: u32 = 0x7f800000u;

// What is beyond the largest f16 becomes that: of such numbers a conversion makes anything. What is no number stays none, by its bits: of a
// NaN a clamp may make anything, and who trains on would not see that it has diverged.
fn operands(numbers: vec4<f32>) -> Operands {
    let broken = (bitcast<vec4<u32>>(numbers) & vec4<u32>(EXPONENT)) == vec4<u32>(EXPONENT);
    return Operands(select(clamp(numbers, vec4<f32>(-65504.0), vec4<f32>(65504.0)), numbers, broken));
}
#end

fn block(of_a: bool, row: u32, column: u32, depth: u32) -> mat4x4<f32> {
    if of_a {
        return block_a(row, depth);
    }
    return block_b(column, depth);
}

@compute @workgroup_size(8, THREADS / 8u)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let size = extents();
    let row_groups = (size.x + ROWS - 1u) / ROWS;
    let slice = group.y / row_groups;
    let row0 = group.y % row_groups * ROWS;
    let column0 = group.x * COLUMNS;
    let part = ((size.z + DEPTH - 1u) / DEPTH + parts() - 1u) / parts() * DEPTH;
    let first = slice * part;
    let last = min(first + part, size.z);

    // What it loads: half of the threads a block of A each, the others one of B. Eight neighbours lie side by side in the tile.
    let of_a = t < HALF;
    let u = t % HALF;
    let four = u % 8u + u / 32u * 8u;
    let d = 4u * (u / 8u % 4u);
    // What it computes: 32 neighbours share 8 fours of columns and 4 of rows.
    let tx = t % 8u + t / 32u % (THREADS_X / 8u) * 8u;
    let ty = t / 8u % 4u + t / 32u / (THREADS_X / 8u) * 4u;

    #for i ROW_FOURS
    #for r 4
    #for j COLUMN_FOURS
    var s$i_$r_$j = vec4<f32>();
    #end
    #end
    #end
    #if BIAS
    var bias = vec4<f32>();
    #end
    // The next tile is on its way while this one is multiplied.
    var next = block(of_a, row0 + 4u * four, column0 + 4u * four, first + d);
    for (var depth = first; depth < last; depth += DEPTH) {
        if of_a {
            #for j 4
            #if F16
            tile_a[d + $ju][four] = operands(f32(SCALE) * next[$j]);
            #else
            tile_a[d + $ju][four] = next[$j];
            #end
            #end
        } else {
            #for j 4
            #if F16
            tile_b[d + $ju][four] = operands(next[$j]);
            #else
            tile_b[d + $ju][four] = next[$j];
            #end
            #end
        }
        #if BIAS
        bias += next[0] + next[1] + next[2] + next[3];
        #end
        workgroupBarrier();
        if depth + DEPTH < last {
            next = block(of_a, row0 + 4u * four, column0 + 4u * four, depth + DEPTH + d);
        }
        #for k DEPTH
        {
            #for i ROW_FOURS
            let a$i = vec4<f32>(tile_a[$k][ty + $iu * THREADS_Y]);
            #end
            #for j COLUMN_FOURS
            let b$j = vec4<f32>(tile_b[$k][tx + $ju * THREADS_X]);
            #end
            #for i ROW_FOURS
            #for r 4
            #for j COLUMN_FOURS
            s$i_$r_$j = fma(vec4<f32>(a$i[$r]), b$j, s$i_$r_$j);
            #end
            #end
            #end
        }
        #end
        workgroupBarrier();
    }
    #for i ROW_FOURS
    #for r 4
    #for j COLUMN_FOURS
    #if F16
    s$i_$r_$j *= 1.0 / f32(SCALE);
    #end
    store(slice, row0 + 4u * (ty + $iu * THREADS_Y) + $ru, column0 + 4u * (tx + $ju * THREADS_X), s$i_$r_$j);
    #end
    #end
    #end
    #if BIAS
    // Sums of the rows of A, that its loaders have by the way: four of them for every row.
    #if F16
    if of_a {
        tile_bias[d / 4u][four] = bias;
    }
    workgroupBarrier();
    if column0 == 0u && t < ROWS / 4u {
        store_bias(slice, row0 + 4u * t, tile_bias[0][t] + tile_bias[1][t] + tile_bias[2][t] + tile_bias[3][t]);
    }
    #else
    if of_a {
        tile_a[d / 4u][four] = bias;
    }
    workgroupBarrier();
    if column0 == 0u && t < ROWS / 4u {
        store_bias(slice, row0 + 4u * t, tile_a[0][t] + tile_a[1][t] + tile_a[2][t] + tile_a[3][t]);
    }
    #end
    #end
}

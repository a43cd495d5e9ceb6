use super::{
    Argument, STATE_BATCH, STATE_LOSSES, STATE_POWER_1, STATE_POWER_2, STATE_STEPS, STATE_TOTAL, STEPS_MAX, WORDS,
};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [state, rows] = arguments else { return };
    let mut loss = 0.0f32;
    let rows = &rows.words()[..2 * words[0] as usize];
    // Eight and eight: sums of short sums round less than one long one.
    for rows in rows.as_chunks::<2>().0.chunks(8) {
        loss += rows.iter().map(|row| f32::from_bits(row[0])).sum::<f32>();
    }
    let state = state.words_mut();
    let scale = |word: &mut u32, value: u32| *word = (f32::from_bits(*word) * f32::from_bits(value)).to_bits();
    let step = (state[STATE_STEPS] as usize).min(STEPS_MAX - 1);
    state[STATE_LOSSES + step] = loss.to_bits();
    state[STATE_STEPS] += 1;
    state[STATE_BATCH] += 1;
    state[STATE_TOTAL] = state[STATE_TOTAL].wrapping_add(1);
    scale(&mut state[STATE_POWER_1], words[1]);
    scale(&mut state[STATE_POWER_2], words[2]);
}

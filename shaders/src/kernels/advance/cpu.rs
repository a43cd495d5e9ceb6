use super::{
    Argument, STATE_BATCH, STATE_CORRECT, STATE_LOSS, STATE_POWER_1, STATE_POWER_2, STATE_STEPS, STATE_TOTAL, WORDS,
};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [state, rows] = arguments else { return };
    let mut loss = 0.0f32;
    let mut correct = 0;
    for row in rows.words().chunks_exact(2).take(words[0] as usize) {
        loss += f32::from_bits(row[0]);
        correct += row[1];
    }
    let state = state.words_mut();
    let add = |word: &mut u32, value: f32| *word = (f32::from_bits(*word) + value).to_bits();
    let scale = |word: &mut u32, value: u32| *word = (f32::from_bits(*word) * f32::from_bits(value)).to_bits();
    state[STATE_STEPS] += 1;
    state[STATE_BATCH] += 1;
    add(&mut state[STATE_LOSS], loss);
    state[STATE_CORRECT] += correct;
    state[STATE_TOTAL] = state[STATE_TOTAL].wrapping_add(1);
    scale(&mut state[STATE_POWER_1], words[1]);
    scale(&mut state[STATE_POWER_2], words[2]);
}

use super::super::patches::Windows;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [dy, chosen, dx] = arguments else { return };
    let windows = Windows::new(words);
    let dx = &mut dx.f32_mut()[..windows.pixels()];
    dx.fill(0.0);
    for (dy, place) in dy.f32()[..windows.outputs()].iter().zip(chosen.words()) {
        dx[*place as usize] += dy;
    }
}

use super::super::patches::Windows;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [dy, dx] = arguments else { return };
    let windows = Windows::new(words);
    let (dy, dx) = (dy.f32(), dx.f32_mut());
    dx[..windows.pixels()].fill(0.0);
    windows.each(|i, corner, places| {
        let share = dy[i] / places.len() as f32;
        places.iter().for_each(|place| dx[corner + place] += share);
    });
}

use super::super::patches::Windows;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [x, y, chosen] = arguments else { return };
    let windows = Windows::new(words);
    let (x, y, chosen) = (x.f32(), y.f32_mut(), chosen.words_mut());
    windows.each(|i, corner, places| {
        let mut best = corner;
        for &place in places {
            if x[corner + place] > x[best] {
                best = corner + place;
            }
        }
        y[i] = x[best];
        chosen[i] = best as u32;
    });
}

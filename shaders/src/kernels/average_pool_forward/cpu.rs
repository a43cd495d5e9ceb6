use super::super::patches::Windows;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [x, y] = arguments else { return };
    let windows = Windows::new(words);
    let (x, y) = (x.f32(), y.f32_mut());
    windows.each(|i, corner, places| {
        y[i] = places.iter().map(|place| x[corner + place]).sum::<f32>() / places.len() as f32;
    });
}

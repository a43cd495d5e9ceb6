use super::super::patches::Windows;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [dy, chosen, dx] = arguments else { return };
    let windows = Windows::new(words);
    let (dy, chosen, results) = (dy.f32(), chosen.words(), windows.results());
    windows.share([dx.f32_mut()], windows.picture(), |first, [dx]| {
        dx.fill(0.0);
        let start = first * windows.picture();
        let some = first * results..(first + dx.len() / windows.picture()) * results;
        for (dy, place) in dy[some.clone()].iter().zip(&chosen[some]) {
            dx[*place as usize - start] += dy;
        }
    });
}

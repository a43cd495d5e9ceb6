use super::super::patches::Windows;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [x, y] = arguments else { return };
    let windows = Windows::new(words);
    let (x, places, c, results) = (x.f32(), windows.places(), windows.channels(), windows.results());
    windows.share([y.f32_mut()], results, |first, [y]| {
        for (picture, y) in (first..).zip(y.chunks_exact_mut(results)) {
            let x = &x[picture * windows.picture()..];
            for (i, corner) in windows.corners() {
                let y = &mut y[i..i + c];
                y.fill(0.0);
                for place in &places {
                    y.iter_mut().zip(&x[corner + place..]).for_each(|(y, x)| *y += x);
                }
                y.iter_mut().for_each(|y| *y /= places.len() as f32);
            }
        }
    });
}

use super::super::patches::Windows;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [dy, dx] = arguments else { return };
    let windows = Windows::new(words);
    let (dy, places, c) = (dy.f32(), windows.places(), windows.channels());
    windows.share([dx.f32_mut()], windows.picture(), |first, [dx]| {
        dx.fill(0.0);
        for (picture, dx) in (first..).zip(dx.chunks_exact_mut(windows.picture())) {
            let dy = &dy[picture * windows.results()..][..windows.results()];
            for (i, corner) in windows.corners() {
                for place in &places {
                    let dx = dx[corner + place..][..c].iter_mut();
                    dx.zip(&dy[i..]).for_each(|(dx, dy)| *dx += dy / places.len() as f32);
                }
            }
        }
    });
}

use super::super::patches::Windows;
use super::{Argument, WORDS};

pub(super) fn run(arguments: &mut [Argument<'_>], words: &[u32; WORDS]) {
    let [x, y, chosen] = arguments else { return };
    let windows = Windows::new(words);
    let (x, places, c) = (x.f32(), windows.places(), windows.channels());
    let results = windows.results();
    windows.share([y.f32_mut(), chosen.f32_mut()], results, |first, [y, chosen]| {
        let chosen: &mut [u32] = bytemuck::cast_slice_mut(chosen);
        let pictures = y.chunks_exact_mut(results).zip(chosen.chunks_exact_mut(results));
        for (picture, (y, chosen)) in (first..).zip(pictures) {
            let start = picture * windows.picture();
            for (i, corner) in windows.corners() {
                let (y, chosen, corner) = (&mut y[i..i + c], &mut chosen[i..i + c], start + corner);
                y.copy_from_slice(&x[corner..corner + c]);
                (corner..).zip(chosen.iter_mut()).for_each(|(at, chosen)| *chosen = at as u32);
                // Channels side by side; of equal numbers the first, and what is no number before all.
                for place in &places[1..] {
                    let at = corner + place;
                    for (i, ((y, chosen), x)) in y.iter_mut().zip(chosen.iter_mut()).zip(&x[at..at + c]).enumerate() {
                        let larger = !(y.is_nan() | (*x <= *y));
                        *y = if larger { *x } else { *y };
                        *chosen = if larger { (at + i) as u32 } else { *chosen };
                    }
                }
            }
        }
    });
}

//! Pictures that are changed a little each time they are trained on: moved by some pixels, mirrored.
//!
//! What happens to a picture follows from a seed and the number of the sample in the life of a peer, so that a run that is resumed goes on as
//! if it had not been stopped. Done on the host: the rows of the next steps are changed before they are uploaded.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

/// Farthest that a picture is moved, pixels.
pub const SHIFT_MAX: u32 = 32;

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Augment {
    /// Up to so many pixels, in each direction; what comes in is 0.
    pub shift: u32,
    /// Left becomes right, every other time.
    pub flip: bool,
}

impl Augment {
    /// Whether nothing is changed.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::default()
    }

    /// Changes rows of pictures [H, W] or [H, W, C], the first of which is sample number `first` of a peer's life.
    pub fn apply(self, shape: &[usize], rows: &mut [f32], seed: u64, first: u64) {
        let [height, width, channels] = match *shape {
            [height, width] => [height, width, 1],
            [height, width, channels] => [height, width, channels],
            _ => return,
        };
        let mut moved = vec![0.0; height * width * channels];
        for (i, row) in rows.chunks_exact_mut(moved.len().max(1)).enumerate() {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(first + i as u64);
            let span = 2 * u64::from(self.shift) + 1;
            let mut draw = || (rng.next_u64() % span) as isize - self.shift as isize;
            let (down, right) = (draw(), draw());
            let flip = self.flip && rng.next_u64() & 1 == 1;
            for y in 0..height {
                for x in 0..width {
                    let across = if flip { width - 1 - x } else { x };
                    let (from_y, from_x) = (y as isize - down, across as isize - right);
                    let inside = (0..height as isize).contains(&from_y) && (0..width as isize).contains(&from_x);
                    let to = (y * width + x) * channels;
                    if inside {
                        let from = (from_y as usize * width + from_x as usize) * channels;
                        moved[to..to + channels].copy_from_slice(&row[from..from + channels]);
                    } else {
                        moved[to..to + channels].fill(0.0);
                    }
                }
            }
            row.copy_from_slice(&moved);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_move_and_turn_as_the_seed_says_and_nothing_else() {
        let picture: Vec<f32> = (1..=20).map(|i| i as f32).collect();
        let shape = [4, 5];
        let changed = |augment: Augment, seed, first| {
            let mut rows = picture.repeat(8);
            augment.apply(&shape, &mut rows, seed, first);
            rows
        };
        assert_eq!(changed(Augment::default(), 1, 0), picture.repeat(8));
        let augment = Augment { shift: 1, flip: true };
        let rows = changed(augment, 1, 0);
        assert_eq!(rows, changed(augment, 1, 0), "a function of the seed");
        assert_ne!(rows, changed(augment, 2, 0));
        assert_eq!(rows[20..], changed(augment, 1, 1)[..140], "and of the number of the sample");
        for row in rows.chunks(20) {
            // Every candidate by hand.
            let matches = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dy, dx))).any(|(dy, dx): (isize, isize)| {
                [false, true].iter().any(|&flip| {
                    (0..4isize).all(|y| {
                        (0..5isize).all(|x| {
                            let (v, u) = (y - dy, if flip { 4 - x } else { x } - dx);
                            let inside = (0..4).contains(&v) && (0..5).contains(&u);
                            row[(y * 5 + x) as usize] == if inside { picture[(v * 5 + u) as usize] } else { 0.0 }
                        })
                    })
                })
            });
            assert!(matches, "{row:?}");
        }
    }
}

//! Which samples are trained on, which are for validation, and which are tested on, where the data do not say: a fixed choice that
//! follows from a seed.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::split::shuffle;

/// Parts of a set that are not trained on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// Evaluated on while training goes on; 0 for none.
    pub validation: f32,
    /// Tested on, where the data have no test part of their own.
    pub test: f32,
}

/// Largest share of each.
pub const SHARE_MAX: f32 = 0.5;

impl Default for Shares {
    fn default() -> Self {
        Self { validation: 0.0, test: 0.1 }
    }
}

impl Shares {
    /// How many of `n` samples are trained on, for validation, and tested on; at least one where the share is not 0. `None` when there
    /// are too few.
    #[must_use]
    pub fn of(self, n: u64) -> Option<[u64; 3]> {
        // A tenth of 100 is 10, although the float 0.1 is a little more than a tenth.
        let part = |share: f32| (n as f64 * f64::from(share) * (1.0 - 1e-6)).ceil() as u64;
        let (validation, test) = (part(self.validation), part(self.test));
        let train = n.checked_sub(validation)?.checked_sub(test)?;
        (train > 0 && test > 0).then_some([train, validation, test])
    }
}

/// The samples of each part, ascending: for training, validation, testing.
pub(crate) fn choose(n: u32, shares: Shares, seed: u64) -> Option<[Vec<u32>; 3]> {
    let [_, validation, test] = shares.of(u64::from(n))?.map(|part| part as usize);
    let mut order: Vec<u32> = (0..n).collect();
    shuffle(&mut order, &mut ChaCha8Rng::seed_from_u64(seed));
    let mut rest = order.split_off(test);
    let mut train = rest.split_off(validation);
    let (mut validation, mut test) = (rest, order);
    [&mut train, &mut validation, &mut test].into_iter().for_each(|part| part.sort_unstable());
    Some([train, validation, test])
}

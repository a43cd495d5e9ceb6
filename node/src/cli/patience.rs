//! When to stop early: `[training] patience = N` epochs in a row without a lower loss on what is evaluated on.

use crate::store::checkpoint::Trend;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    epochs: Option<u32>,
    trend: Trend,
    told: bool,
}

impl Patience {
    /// So many epochs, `None`: for ever; of a run that came so far.
    pub(super) fn new(epochs: Option<u32>, trend: Trend) -> Self {
        Self { epochs, trend, told: false }
    }

    /// Hears of an epoch's loss; whether this is the moment to stop. Told once.
    pub(super) fn is_over(&mut self, loss: f32) -> bool {
        let over = !self.trend.hear(loss) && self.epochs.is_some_and(|epochs| self.trend.since >= epochs);
        over && !std::mem::replace(&mut self.told, true)
    }

    /// For people.
    pub(super) fn described(&self) -> String {
        let Trend { best, since } = self.trend;
        let best = best.unwrap_or(f32::NAN);
        format!("stopped early: no lower loss than {best:.4} in {since} epochs (training.patience)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_after_so_many_epochs_without_a_lower_loss() {
        let over = |epochs, losses: &[f32]| {
            let mut patience = Patience::new(epochs, Trend::default());
            losses.iter().map(|&loss| patience.is_over(loss)).collect::<Vec<_>>()
        };
        assert_eq!(
            over(Some(2), &[1.0, 0.5, 0.5, 0.4, 0.6, 0.4, 0.1]),
            [false, false, false, false, false, true, false]
        );
        assert_eq!(over(Some(1), &[f32::NAN, 1.0]), [true, false], "what is no number is not lower");
        assert_eq!(over(None, &[1.0, 2.0, 3.0]), [false; 3]);
        let mut resumed = Patience::new(Some(3), Trend { best: Some(0.5), since: 2 });
        assert!(resumed.is_over(0.6), "it remembers what came before");
        assert!(!resumed.is_over(0.6), "told once");
    }
}

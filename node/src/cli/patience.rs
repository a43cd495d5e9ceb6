//! When to stop early: `[training] patience = N` epochs in a row without a lower loss on what is evaluated on.

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    epochs: Option<u32>,
    best: f32,
    since: u32,
}

impl Patience {
    /// So many epochs; `None`: for ever.
    pub(super) fn new(epochs: Option<u32>) -> Self {
        Self { epochs, best: f32::INFINITY, since: 0 }
    }

    /// Hears of an epoch's loss; whether this is the moment to stop. Told once.
    pub(super) fn is_over(&mut self, loss: f32) -> bool {
        if loss < self.best {
            (self.best, self.since) = (loss, 0);
            return false;
        }
        self.since += 1;
        self.epochs == Some(self.since)
    }

    /// For people.
    pub(super) fn described(&self) -> String {
        format!("stopped early: no lower loss than {:.4} in {} epochs (training.patience)", self.best, self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_after_so_many_epochs_without_a_lower_loss() {
        let over = |epochs, losses: &[f32]| {
            let mut patience = Patience::new(epochs);
            losses.iter().map(|&loss| patience.is_over(loss)).collect::<Vec<_>>()
        };
        assert_eq!(
            over(Some(2), &[1.0, 0.5, 0.5, 0.4, 0.6, 0.4, 0.1]),
            [false, false, false, false, false, true, false]
        );
        assert_eq!(over(Some(1), &[f32::NAN, 1.0]), [true, false], "what is no number is not lower");
        assert_eq!(over(None, &[1.0, 2.0, 3.0]), [false; 3]);
    }
}

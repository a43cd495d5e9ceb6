//! `starling run --overfit-one-batch`: a model that cannot learn one batch by heart learns nothing from more of them.

use sim::report::SimReport;

use super::say;
use crate::error::{Error, Kind};

/// Epochs where none are asked for, of 50 steps each.
pub(super) const EPOCHS_DEFAULT: u32 = 4;
/// Share of the batch that must be right in the end.
const ACCURACY_MIN: f32 = 0.95;

/// Whether the batch was learnt: the last evaluation was on it.
pub(super) fn verdict(report: &SimReport) -> Result<(), Error> {
    let peer = report.peers.first();
    let accuracy = peer.and_then(|peer| peer.test_accuracy).unwrap_or(0.0);
    let loss = peer.and_then(|peer| peer.test_loss).unwrap_or(f32::NAN);
    let steps = peer.map_or(0, |peer| peer.steps);
    let what = format!("after {steps} steps on one batch {:.1} % of it are right, loss {loss:.4}", 100.0 * accuracy);
    if accuracy >= ACCURACY_MIN {
        return say::aside(&format!("{what}: the model can learn"));
    }
    Err(Error::new(Kind::Input, format!("{what}: at least {} % are wanted", 100.0 * ACCURACY_MIN))
        .hint("another optimizer.learning_rate or a wider model; more --epochs for a large one; are the labels those of the samples?"))
}

#[cfg(test)]
mod tests {
    use sim::report::PeerReport;

    use super::*;

    #[test]
    fn what_is_not_learnt_is_an_error() {
        let of = |accuracy| {
            let peer = PeerReport { test_accuracy: accuracy, ..PeerReport::default() };
            verdict(&SimReport { peers: vec![peer], ..SimReport::default() })
        };
        assert!(of(Some(1.0)).is_ok());
        assert!(of(Some(0.9)).is_err_and(|error| error.message.contains("90.0 %")));
        assert!(of(None).is_err());
    }
}

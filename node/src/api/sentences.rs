//! What the peer's events are to people.

use protocol::Event;
use protocol::id::PeerId;

use super::events::{Kind, Level};

/// A sentence of an event that has no line of its own in the watcher; `None` for what happens many times a second.
pub(super) fn sentence(event: &Event) -> Option<(Kind, Level, Option<PeerId>, String)> {
    use Level::{Error, Info, Warning};
    Some(match event {
        Event::DeltaRefused { from, origin, seq, reason } => {
            let text = format!("delta {seq} of {} was refused: {reason}", origin.peer.short());
            (Kind::Trust, Warning, Some(*from), text)
        }
        Event::Offence { peer, what } => (Kind::Trust, Warning, Some(*peer), format!("{}: {what}", peer.short())),
        Event::Held { origin, reason, .. } => {
            let text = format!("deltas of {} wait: it is suspected ({reason:?})", origin.peer.short());
            (Kind::Trust, Warning, Some(origin.peer), text)
        }
        Event::Released { origin } => {
            let text = format!("deltas of {} go in: no majority in time", origin.peer.short());
            (Kind::Trust, Info, Some(origin.peer), text)
        }
        Event::Excluded { origin, why, retracted, .. } => {
            let name = origin.peer.short();
            let text = format!("the swarm has excluded {name} ({why}); {retracted} of its deltas were taken back");
            (Kind::Trust, Warning, Some(origin.peer), text)
        }
        Event::RoundEvicted { peer, round } => {
            let text = format!("round {round} goes on without {}: its delta is overdue", peer.short());
            (Kind::Peers, Warning, Some(*peer), text)
        }
        Event::ExchangeRefused { from, reason } => {
            (Kind::Trust, Warning, Some(*from), format!("an exchange with {} was refused: {reason}", from.short()))
        }
        Event::SnapshotServed { to, bytes } => {
            (Kind::Snapshot, Info, Some(*to), format!("a snapshot of {bytes} bytes went to {}", to.short()))
        }
        Event::SnapshotRestored { from, bytes, deltas, fetched_in, witness } => {
            let witness = witness
                .map_or("nobody could confirm it".to_owned(), |peer| format!("{} found the same base", peer.short()));
            let from_name = from.short();
            let seconds = fetched_in.as_secs_f64();
            let text = format!(
                "caught up by a snapshot of {from_name}: {bytes} bytes in {seconds:.1} s, {deltas} deltas; {witness}"
            );
            (Kind::Snapshot, Info, Some(*from), text)
        }
        Event::SnapshotFailed { from, reason } => {
            (Kind::Snapshot, Warning, Some(*from), format!("a snapshot of {} was given up: {reason}", from.short()))
        }
        Event::Unconfirmed { from, failures } => {
            let text = format!(
                "cannot catch up: {failures} times nobody could confirm what {} has, or too few. If most peers were resumed from old checkpoints, \
                 start some of them, and this one, without --resume",
                from.short()
            );
            (Kind::Snapshot, Warning, Some(*from), text)
        }
        Event::HistoryYielded { from, origins, .. } => {
            let name = from.short();
            let text = format!("a longer history of {name} replaces ours; {origins} chains are renounced");
            (Kind::Snapshot, Warning, Some(*from), text)
        }
        Event::BaseMismatch { peer, .. } => {
            let text = format!("BASE MISMATCH with {}: the same deltas, another model", peer.short());
            (Kind::Trust, Error, Some(*peer), text)
        }
        Event::HeadMismatch { peer, origin, seq } => {
            let text = format!(
                "{} has another delta {seq} of {} than we, and ours is no longer in the log: the models differ under one name",
                peer.short(),
                origin.peer.short()
            );
            (Kind::Trust, Error, Some(*peer), text)
        }
        Event::Dealt { peers, samples } => {
            (Kind::Peers, Info, None, format!("trains on {samples} samples, its share among {peers} peers"))
        }
        Event::LearnerFailed(error) => (Kind::Device, Error, None, format!("the learner failed: {error}")),
        _ => return None,
    })
}

//! Copies of the base for whoever looks at the model. The learner makes one between two stretches of steps when somebody asks and the last
//! one is old: training pays for a copy a second at most, and for none when nobody looks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::board::{Board, Copied};
use super::problem::Problem;
use crate::driver::Control;

/// A copy that is no older than this still answers while a new one is made.
pub(super) const RECENT: Duration = Duration::from_secs(10);
/// A copy that is younger is good enough.
const FRESH: Duration = Duration::from_secs(1);
/// How long a copy may take: the command in hand, and the device.
const COPY_MAX: Duration = Duration::from_secs(10);
/// Largest model that is copied for people, parameters: 256 MiB.
pub(super) const PARAMETERS_MAX: usize = 64 << 20;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Bases {
    copies: watch::Receiver<Option<Copied>>,
    control: mpsc::Sender<Control>,
    parameters: usize,
    /// When a copy was last wanted at once. Others are made for the histories, too, and may be as old as nobody noticed.
    wanted: Arc<Mutex<Option<Instant>>>,
}

impl Bases {
    pub(super) fn new(board: &Board, control: mpsc::Sender<Control>) -> Self {
        let parameters = board.status().run.parameters;
        Self { copies: board.bases(), control, parameters, wanted: Arc::default() }
    }

    /// A copy that is not old; waits for it.
    pub(super) async fn fresh(&self) -> Result<Copied, Problem> {
        let asked = Instant::now();
        if let Some(copied) = self.last()
            && copied.at.elapsed() < FRESH
        {
            return Ok(copied);
        }
        self.ask()?;
        let mut copies = self.copies.clone();
        let newer = copies.wait_for(|copied| copied.as_ref().is_some_and(|copied| copied.at >= asked));
        match timeout(COPY_MAX, newer).await {
            Ok(Ok(copied)) => copied.clone().ok_or_else(late),
            Ok(Err(_)) | Err(_) => Err(late()),
        }
    }

    /// A copy that may be some seconds old, at once; a newer one is asked for. Waits only for the first of a row of requests.
    pub(super) async fn recent(&self) -> Result<Copied, Problem> {
        let before = self.wanted.lock().unwrap_or_else(PoisonError::into_inner).replace(Instant::now());
        let in_a_row = before.is_some_and(|before| before.elapsed() < RECENT);
        match self.last() {
            Some(copied) if copied.at.elapsed() < FRESH => Ok(copied),
            Some(copied) if in_a_row && copied.at.elapsed() < RECENT => {
                // Where the driver is too busy for it, this one has to do.
                let _ = self.ask();
                Ok(copied)
            }
            _ => self.fresh().await,
        }
    }

    fn last(&self) -> Option<Copied> {
        self.copies.borrow().clone()
    }

    fn ask(&self) -> Result<(), Problem> {
        if self.parameters > PARAMETERS_MAX {
            let error = format!("{} parameters: models of more than {PARAMETERS_MAX} are not copied", self.parameters);
            let hint = "`starling predict --checkpoint DIR` answers from a checkpoint";
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, error, hint));
        }
        self.control.try_send(Control::Show).map_err(|_| busy())
    }
}

/// Lets go of copies that are too old to answer anybody, which may be a quarter of a GiB, as long as the server lives.
pub(super) async fn tidy(board: Arc<Board>, age: Duration) {
    loop {
        sleep(age / 2).await;
        board.drop_base(age);
    }
}

/// The driver's queue is full, or it is gone.
pub(super) fn busy() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the peer is busy or leaving", "try again in a moment")
}

fn late() -> Problem {
    let error = format!("no copy of the model within {} s", COPY_MAX.as_secs());
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, error, "the learner may still be starting, or busy: try again")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use protocol::event::Shown;
    use protocol::id::Hash;

    use super::*;
    use crate::api::Snapshot;

    fn shown() -> Arc<Shown> {
        Arc::new(Shown { base: vec![1; 1000], heard: Hash::ZERO, samples: 0, steps: 0, epoch: 0 })
    }

    #[test]
    fn a_copy_is_hashed_once_whoever_asks() {
        let board = Board::new(Snapshot::default());
        board.note_base(shown());
        let [first, second] = [(); 2].map(|()| board.bases().borrow().clone().unwrap());
        assert!(first.hashed().is_none(), "nobody has asked");
        let hash = first.hash();
        assert_eq!(second.hashed(), Some(&hash), "the other one need not count again");
        board.note_base(shown());
        assert!(board.bases().borrow().as_ref().unwrap().hashed().is_none(), "a copy of its own");
    }

    #[tokio::test]
    async fn a_copy_that_answers_nobody_any_more_takes_no_memory() {
        let board = Arc::new(Board::new(Snapshot::default()));
        board.note_base(shown());
        let kept = Arc::downgrade(&board.bases().borrow().as_ref().unwrap().shown);
        board.drop_base(COPY_MAX);
        assert!(kept.upgrade().is_some(), "a young one stays");
        let age = Duration::from_millis(200);
        let tidying = tokio::spawn(tidy(Arc::clone(&board), age));
        timeout(COPY_MAX, async {
            while kept.upgrade().is_some() {
                sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .unwrap();
        board.note_base(shown());
        assert!(board.bases().borrow().is_some(), "the next one stands");
        tidying.abort();
    }
}

//! When a checkpoint is taken, and what becomes of it.
//!
//! ```text
//! due -> Input::Save(Evaluation) -> Output::Saved, then the report of that evaluation -> the thread that writes
//!        no evaluation in time   -> Input::Save(Now), without a report
//! ```
//!
//! A checkpoint that is taken right before an evaluation knows what it is worth, and can be the best; so one that is due waits a little for the
//! end of an epoch. Nothing waits for the disk: what finds it busy makes room for what comes after it, and only the end of a peer waits.

use std::time::Duration;

use protocol::event::Report;
use protocol::id::Hash;
use protocol::{Checkpoint, Input, SaveAt, Standing};
use tokio::time::Instant;

use super::Driver;
use crate::error::{Error, Kind};
use crate::store::checkpoint::chain::Chain;
use crate::store::checkpoint::{Course, Fork, Item, Keeper, News, Worth};

/// What is due waits so long for the end of an epoch, and no longer than until the next one is due.
const EVALUATION_WAIT: Duration = Duration::from_secs(10);
/// How long the end of a peer waits for its last checkpoint to be on the disk.
const CLOSE_MAX: Duration = Duration::from_secs(30);

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// By the clock.
    Time(Duration),
    /// With the evaluation of every so many epochs.
    Epochs(u32),
}

/// What a peer needs to keep checkpoints.
#[derive(Debug)]
pub struct Checkpoints {
    keeper: Keeper,
    every: Every,
    chain: Chain,
    course: Course,
    /// What this process began with.
    fork: Option<Fork>,
    /// When the next one is due.
    due: Option<Instant>,
    /// From when on it waits for no evaluation any more.
    late: Option<Instant>,
    /// It waits for its report.
    held: Option<Box<Checkpoint>>,
    last: Option<Last>,
    /// It found the disk busy.
    spare: Option<Item>,
    /// Whether the last one that was told of is on the disk.
    written: bool,
    busy: u64,
}

/// The last one that was handed over.
#[derive(Clone, Copy, Debug)]
struct Last {
    steps: u64,
    incarnation: u64,
    /// Own deltas in it.
    said: u64,
    base: Hash,
    evaluated: bool,
}

impl Checkpoints {
    /// Through that thread, so often; by the process `course.branch`, which begins with `fork`.
    #[must_use]
    pub fn new(keeper: Keeper, every: Every, chain: Chain, course: Course, fork: Option<Fork>) -> Self {
        Self {
            keeper,
            every,
            chain,
            course,
            fork,
            due: None,
            late: None,
            held: None,
            last: None,
            spare: None,
            written: false,
            busy: 0,
        }
    }

    fn hand_over(&mut self, checkpoint: Box<Checkpoint>, worth: Option<Worth>) {
        let Standing { steps, origin, .. } = checkpoint.standing;
        let (said, base, evaluated) = (checkpoint.standing.said(), checkpoint.base_hash, worth.is_some());
        // The end of a run is often that of an epoch, too.
        let same = |last: &Last| last.steps == steps && last.base == base && (last.evaluated || !evaluated);
        if steps == 0 || self.last.as_ref().is_some_and(same) {
            return self.plan_next(); // A peer that waits for company has nothing to keep yet.
        }
        let last = Last { steps, incarnation: origin.incarnation, said, base, evaluated };
        self.last = Some(last);
        if self.spare.replace(Item { checkpoint, worth, course: self.course }).is_some() {
            self.busy += 1;
            tracing::warn!(left_out = self.busy, "a checkpoint is left out: the disk is busy with one before it");
        }
        self.try_spare();
        self.plan_next();
    }

    fn try_spare(&mut self) {
        self.spare = self.spare.take().and_then(|item| self.keeper.write(item).err());
    }

    fn plan_next(&mut self) {
        if let Every::Time(every) = self.every {
            (self.due, self.late) = (Some(Instant::now() + every), None);
        }
    }

    /// When there is something to do.
    pub(super) fn next(&self) -> Option<Instant> {
        self.late.or(self.due)
    }

    pub(super) async fn news(&mut self) -> Option<News> {
        let news = self.keeper.news().await;
        self.note(news.as_ref());
        self.try_spare();
        news
    }

    fn note(&mut self, news: Option<&News>) {
        self.written = news.map_or(self.written, |news| matches!(news, News::Written { .. }));
    }
}

impl Driver<'_> {
    /// Before the first input.
    pub(super) fn begin_checkpoints(&mut self, incarnation: u64, said: u64) -> Result<(), Error> {
        let Some(checkpoints) = &mut self.checkpoints else { return Ok(()) };
        checkpoints.chain.stand(incarnation, said, checkpoints.course.branch, checkpoints.fork).map_err(|error| {
            Error::new(
                Kind::Input,
                format!("the mark of this peer's chain, beside its identity, cannot be written: {error}"),
            )
            .hint("--identity FILE names one in a folder that you may write to, or leave --checkpoint out")
        })?;
        match checkpoints.every {
            Every::Time(every) => checkpoints.due = Some(Instant::now() + every),
            Every::Epochs(epochs) => self.peer.handle(self.clock.now(), Input::Save(SaveAt::EveryEpochs(epochs))),
        }
        Ok(())
    }

    /// The moment of [`Checkpoints::next`] has come.
    pub(super) fn checkpoint_due(&mut self) {
        let Some(Checkpoints { every: Every::Time(every), due, late, .. }) = &mut self.checkpoints else { return };
        let now = Instant::now();
        if late.is_some_and(|late| late <= now) {
            (*due, *late) = (Some(now + *every), None);
            self.handle(Input::Save(SaveAt::Now));
        } else if late.is_none() && due.is_some_and(|due| due <= now) {
            *late = Some(now + EVALUATION_WAIT.min(*every));
            self.handle(Input::Save(SaveAt::Evaluation));
        }
    }

    /// The peer is about to come to its end: the last model is kept.
    pub(super) fn checkpoint_the_end(&mut self) {
        if let Some(checkpoints) = &mut self.checkpoints {
            (checkpoints.due, checkpoints.late) = (None, None);
            self.handle(Input::Save(SaveAt::Evaluation));
        }
    }

    pub(super) fn saved(&mut self, checkpoint: Box<Checkpoint>) {
        let Some(checkpoints) = &mut self.checkpoints else { return };
        if checkpoint.evaluated {
            checkpoints.held = Some(checkpoint);
        } else {
            checkpoints.hand_over(checkpoint, None);
        }
    }

    /// Of the end of an epoch, or of a run: that is no epoch for early stop.
    pub(super) fn reported(&mut self, report: &Report, is_epoch: bool) {
        let Some(checkpoints) = &mut self.checkpoints else { return };
        if is_epoch {
            checkpoints.course.trend.hear(report.evaluation.loss);
        }
        if let Some(checkpoint) = checkpoints.held.take() {
            checkpoints.hand_over(checkpoint, Some(Worth::of(report)));
        }
    }

    /// Before anything goes to anybody.
    pub(super) fn about_to_speak(&mut self) -> Result<(), Error> {
        let Some(checkpoints) = &mut self.checkpoints else { return Ok(()) };
        checkpoints.chain.open()
    }
}

impl Checkpoints {
    /// Waits for the last checkpoint. The chain of a peer that `ended` as it should may go on, when all that it said is written down.
    pub(super) async fn close(mut self, ended: bool, said: u64, tell: &mut (dyn FnMut(News) + Send)) {
        if let Some(checkpoint) = self.held.take() {
            // Its evaluation did not come in time: what it is worth stays unknown, and nothing is lost.
            self.hand_over(checkpoint, None);
        }
        let (last, mut written) = (self.last, self.written);
        for news in self.keeper.close(self.spare.take(), CLOSE_MAX).await {
            written = matches!(news, News::Written { .. });
            tell(news);
        }
        if let Some(last) = last.filter(|last| ended && written && last.said == said)
            && let Err(error) = self.chain.stand(last.incarnation, last.said, self.course.branch, self.fork)
        {
            tracing::debug!(%error, "a resumed peer will begin a new chain");
        }
    }
}

//! What the driver's side writes and the server's side reads. Nobody waits for the other: a state is replaced, lists are copied under a
//! lock that is held for no longer than that, and neither side holds it while it does anything else.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use protocol::event::{Gradient, Shown};
use protocol::learner::base_hash;
use tokio::sync::watch;

use super::events::{Entry, Ring};
use super::history::{Columns, Evaluated, History, Point};
use super::lives::{Lives, Shown as LivesShown};
use super::snapshot::Snapshot;

/// See the module.
#[derive(Debug)]
pub(super) struct Board {
    status: watch::Sender<Arc<Snapshot>>,
    /// Number of the last event.
    news: watch::Sender<u64>,
    events: Mutex<Ring>,
    history: Mutex<History>,
    base: watch::Sender<Option<Copied>>,
    /// The last one that was shown, and when it came.
    gradient: watch::Sender<Option<(Instant, Arc<Gradient>)>>,
    lives: Mutex<Lives>,
    /// How many evaluations there were.
    evaluations: watch::Sender<u64>,
}

/// A copy of the base.
#[derive(Clone, Debug)]
pub(super) struct Copied {
    /// When it came.
    pub(super) at: Instant,
    pub(super) shown: Arc<Shown>,
    /// Its hash, once somebody has asked: a page asks with every picture, and a large base takes a tenth of a second.
    hash: Arc<OnceLock<String>>,
}

impl Copied {
    fn new(shown: Arc<Shown>) -> Self {
        Self { at: Instant::now(), shown, hash: Arc::default() }
    }

    /// The hash, if it is known.
    #[cfg(test)]
    pub(super) fn hashed(&self) -> Option<&String> {
        self.hash.get()
    }

    /// Hash of the base. The first who asks waits for it.
    pub(super) fn hash(&self) -> String {
        self.hash.get_or_init(|| base_hash(&self.shown.base).to_string()).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Board {
    pub(super) fn new(first: Snapshot) -> Self {
        Self {
            status: watch::Sender::new(Arc::new(first)),
            news: watch::Sender::new(0),
            events: Mutex::default(),
            history: Mutex::default(),
            base: watch::Sender::new(None),
            gradient: watch::Sender::new(None),
            lives: Mutex::default(),
            evaluations: watch::Sender::new(0),
        }
    }

    pub(super) fn publish(&self, snapshot: Snapshot) {
        self.status.send_replace(Arc::new(snapshot));
    }

    pub(super) fn note(&self, make: impl FnOnce(u64) -> Entry) {
        let seq = lock(&self.events).push(make);
        self.news.send_replace(seq);
    }

    pub(super) fn note_point(&self, point: Point) {
        lock(&self.history).note(point);
    }

    pub(super) fn note_evaluation(&self, evaluated: Evaluated) {
        lock(&self.history).note_evaluation(evaluated);
        self.evaluations.send_modify(|count| *count += 1);
    }

    pub(super) fn note_base(&self, shown: Arc<Shown>) {
        self.base.send_replace(Some(Copied::new(shown)));
    }

    pub(super) fn note_gradient(&self, gradient: Arc<Gradient>) {
        self.gradient.send_replace(Some((Instant::now(), gradient)));
    }

    /// Lets go of copies of that age, which answer nobody any more.
    pub(super) fn drop_base(&self, age: Duration) {
        self.gradient.send_if_modified(|gradient| gradient.take_if(|(at, _)| at.elapsed() >= age).is_some());
        self.base.send_if_modified(|base| base.take_if(|copied| copied.at.elapsed() >= age).is_some());
    }

    pub(super) fn status(&self) -> Arc<Snapshot> {
        Arc::clone(&self.status.borrow())
    }

    pub(super) fn statuses(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.status.subscribe()
    }

    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    pub(super) fn bases(&self) -> watch::Receiver<Option<Copied>> {
        self.base.subscribe()
    }

    pub(super) fn gradients(&self) -> watch::Receiver<Option<(Instant, Arc<Gradient>)>> {
        self.gradient.subscribe()
    }

    pub(super) fn gradient(&self) -> Option<Arc<Gradient>> {
        self.gradient.borrow().as_ref().map(|(_, gradient)| Arc::clone(gradient))
    }

    /// Changes the lives of deltas.
    pub(super) fn note_lives(&self, change: impl FnOnce(&mut Lives)) {
        change(&mut lock(&self.lives));
    }

    pub(super) fn lives(&self) -> LivesShown {
        lock(&self.lives).shown()
    }

    pub(super) fn evaluations(&self) -> watch::Receiver<u64> {
        self.evaluations.subscribe()
    }

    pub(super) fn events_after(&self, seq: u64) -> Vec<Arc<Entry>> {
        lock(&self.events).after(seq)
    }

    pub(super) fn history(&self) -> Columns {
        lock(&self.history).columns()
    }
}

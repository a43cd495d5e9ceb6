#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Mutex;
use std::sync::atomic::AtomicI64;

use protocol::codec::{Codec, DenseF32, TopK2Bit};
use protocol::fixed::Weight;
use protocol::learner::{Learner as _, Progress, Take, Weights, base_hash};

use super::*;
use crate::bench::gossip::{self, Stretches};
use crate::engine::cpu::CpuExecutor;
use crate::engine::{Buffer, Prepared, Recording, Timed};
use crate::learner::tests::spec;
use crate::models::ModelSpec;
use crate::optim::OptimizerSpec;

/// A device that is lost at a certain call.
struct Failing {
    inner: CpuExecutor,
    info: DeviceInfo,
    /// Calls that it answers still.
    left: Arc<AtomicI64>,
    /// Whether what is asked for comes to nothing without a word, and only who reads learns of it: a GPU is like that, and goes on while
    /// the host does something else.
    late: bool,
}

/// More calls than any test makes.
const FOR_EVER: i64 = 1 << 40;

impl Failing {
    fn after(calls: i64, late: bool) -> Self {
        let inner = CpuExecutor::new(None);
        Self { info: inner.info().clone(), inner, left: Arc::new(AtomicI64::new(calls)), late }
    }

    /// The same as a driver that computes on the CPU.
    fn software(self) -> Self {
        Self { info: DeviceInfo { software: true, ..self.info }, ..self }
    }

    fn is_lost(&self) -> bool {
        self.left.fetch_sub(1, Ordering::Relaxed) <= 0
    }

    fn lost<T>() -> Result<T, ExecutorError> {
        Err(ExecutorError("lost on purpose".into()))
    }
}

impl Executor for Failing {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn runs_ahead(&self) -> bool {
        self.late
    }

    fn allocate(&mut self, words: usize) -> Result<Buffer, ExecutorError> {
        if self.is_lost() { Self::lost() } else { self.inner.allocate(words) }
    }

    fn write(&mut self, buffer: Buffer, offset: usize, words: &[u32]) -> Result<(), ExecutorError> {
        match (self.is_lost(), self.late) {
            (false, _) => self.inner.write(buffer, offset, words),
            (true, true) => Ok(()),
            (true, false) => Self::lost(),
        }
    }

    fn read_at(&mut self, buffer: Buffer, offset: usize, out: &mut [u32]) -> Result<(), ExecutorError> {
        if self.is_lost() { Self::lost() } else { self.inner.read_at(buffer, offset, out) }
    }

    fn prepare(&mut self, recording: Recording) -> Result<Prepared, ExecutorError> {
        if self.is_lost() { Self::lost() } else { self.inner.prepare(recording) }
    }

    fn set_words(&mut self, prepared: Prepared, index: usize, words: &[u32]) -> Result<(), ExecutorError> {
        match (self.is_lost(), self.late) {
            (false, _) => self.inner.set_words(prepared, index, words),
            (true, true) => Ok(()),
            (true, false) => Self::lost(),
        }
    }

    fn run(&mut self, prepared: Prepared, times: u32) -> Result<(), ExecutorError> {
        match (self.is_lost(), self.late) {
            (false, _) => self.inner.run(prepared, times),
            (true, true) => Ok(()),
            (true, false) => Self::lost(),
        }
    }

    fn profile(&mut self, _: Prepared, _: u32) -> Result<Vec<Timed>, ExecutorError> {
        Self::lost()
    }

    fn lose(&mut self) {
        self.left.store(0, Ordering::Relaxed);
    }
}

fn small() -> LearnerSpec {
    let spec = spec(OptimizerSpec::Sgd { learning_rate: 0.05, momentum: 0.9, nesterov: false });
    let model = ModelSpec::Mlp { hidden: vec![16] }.build(&spec.dataset.shape, spec.dataset.classes).unwrap();
    LearnerSpec { model: Arc::new(model), ..spec }
}

/// A learner on that device, what it tells, and the wish to lose the device.
fn learner(
    device: Box<dyn Executor>,
    reopen: impl Fn(Again) -> Result<Box<dyn Executor>, ExecutorError> + Send + Sync + 'static,
) -> (TrainingLearner, Arc<Mutex<Vec<Recovered>>>, Arc<AtomicBool>) {
    let (told, lose) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let tell = Arc::clone(&told);
    let recovery = Recovery {
        reopen: Arc::new(reopen),
        tell: Box::new(move |recovered| tell.lock().unwrap().push(recovered)),
        lose: Arc::clone(&lose),
    };
    (TrainingLearner::recovering(small(), device, recovery).unwrap(), told, lose)
}

fn works(_: Again) -> Result<Box<dyn Executor>, ExecutorError> {
    Ok(Box::new(Failing::after(FOR_EVER, false)))
}

fn gone(_: Again) -> Result<Box<dyn Executor>, ExecutorError> {
    Failing::lost()
}

fn only_cpu(again: Again) -> Result<Box<dyn Executor>, ExecutorError> {
    match again {
        Again::Same => Failing::lost(),
        Again::Cpu => Ok(Box::new(CpuExecutor::new(None))),
    }
}

/// What a payload adds, computed by nobody that is tested here.
fn add_to(base: &mut [i32], codec: &dyn Codec, weight: Weight, payload: &[u8], sign: i32) {
    let mut decoded = Decoded::default();
    codec.decode(payload, base.len(), weight, &mut decoded).unwrap();
    decoded.iter().for_each(|(i, _, add)| base[i] = base[i].wrapping_add(sign * add));
}

/// Everything that a learner can be asked for, and the base that must come of it.
fn everything(learner: &mut TrainingLearner) -> Vec<i32> {
    let mut base = learner.initial_base();
    let d = base.len();
    let weight = Weight::HALF;
    let values: Vec<f32> = (0..d).map(|i| (i as f32).sin() / 100.0).collect();
    let mut heard = Vec::new();
    TopK2Bit.encode(&values, &mut heard);
    learner.train(3, Progress::START).unwrap();
    let codecs: [&'static dyn Codec; 2] = [&TopK2Bit, &DenseF32];
    for codec in codecs {
        let taken = learner.take_delta(codec, weight, f32::INFINITY).unwrap();
        add_to(&mut base, codec, weight, &taken.payload, 1);
        assert!(taken.l2_norm.is_finite() && learner.measure().unwrap().residual_norm.is_finite());
        learner.apply(&TopK2Bit, weight, &heard).unwrap();
        add_to(&mut base, &TopK2Bit, weight, &heard, 1);
        assert_eq!(learner.train(2, Progress::START).unwrap().steps, 2);
        let mut taken = None;
        let take = Take { codec, weight, norm_max: f32::INFINITY };
        let trained = learner.take_delta_then_train(take, 1, Progress::START, &mut |delta| taken = Some(delta));
        assert_eq!(trained.unwrap().steps, 1);
        add_to(&mut base, codec, weight, &taken.unwrap().payload, 1);
    }
    learner.retract(&TopK2Bit, weight, &heard).unwrap();
    add_to(&mut base, &TopK2Bit, weight, &heard, -1);
    assert_eq!(learner.base_hash().unwrap(), base_hash(&base));
    let restored: Vec<i32> = base.iter().map(|b| b + 1000).collect();
    learner.restore(&restored, 0.5).unwrap();
    assert_eq!(learner.base().unwrap(), restored);
    let folded = learner.fold().unwrap();
    let by: Vec<i32> = (0..d as i32).collect();
    learner.shift(&by).unwrap();
    assert!(learner.evaluate(Weights::Base).unwrap().loss.is_finite());
    assert!(learner.evaluate(Weights::Local).unwrap().loss.is_finite());
    folded.base.iter().zip(by).map(|(base, by)| base.wrapping_add(by)).collect()
}

#[test]
fn a_device_may_be_lost_at_any_call_and_the_base_is_exact() {
    for late in [false, true] {
        let device = Failing::after(FOR_EVER, late);
        let left = Arc::clone(&device.left);
        let (mut undisturbed, _, _) = learner(Box::new(device), gone);
        let built = FOR_EVER - left.load(Ordering::Relaxed);
        everything(&mut undisturbed);
        let calls = FOR_EVER - left.load(Ordering::Relaxed);
        assert!(calls - built > 50, "{calls} calls, {built} of them to build it");
        for lost_at in built..calls {
            let (mut learner, told, _) = learner(Box::new(Failing::after(lost_at, late)), works);
            let expected = everything(&mut learner);
            assert_eq!(learner.base().unwrap(), expected, "lost at call {lost_at}");
            let residual = learner.read_residual().unwrap();
            assert!(residual.iter().all(|unsaid| unsaid.abs() < 1.0), "lost at call {lost_at}");
            let told = told.lock().unwrap();
            assert_eq!(told.len(), 1, "lost at call {lost_at}");
            assert!(told[0].same && told[0].steps <= 9 && told[0].why.contains("on purpose"), "{:?}", told[0]);
        }
    }
}

#[test]
fn where_the_residual_is_not_copied_the_base_is_exact_and_what_was_not_said_is_lost() {
    let device = Failing::after(FOR_EVER, false).software();
    let left = Arc::clone(&device.left);
    let (mut undisturbed, ..) = learner(Box::new(device), gone);
    assert!(undisturbed.kept.as_ref().unwrap().residual().is_none());
    assert_eq!(undisturbed.kept.as_ref().unwrap().patience, SOFTWARE_REBUILD_MAX);
    let built = FOR_EVER - left.load(Ordering::Relaxed);
    everything(&mut undisturbed);
    let calls = FOR_EVER - left.load(Ordering::Relaxed);
    let software = |_: Again| Ok(Box::new(Failing::after(FOR_EVER, false).software()) as Box<dyn Executor>);
    for lost_at in built..calls {
        let (mut learner, told, _) = learner(Box::new(Failing::after(lost_at, false).software()), software);
        let expected = everything(&mut learner);
        assert_eq!(learner.base().unwrap(), expected, "lost at call {lost_at}");
        assert_eq!(told.lock().unwrap().len(), 1, "lost at call {lost_at}");
    }
    let (mut learner, told, lose) = learner(Box::new(Failing::after(FOR_EVER, false).software()), software);
    learner.train(5, Progress::START).unwrap();
    learner.take_delta(&TopK2Bit, Weight::HALF, f32::INFINITY).unwrap();
    learner.train(3, Progress::START).unwrap();
    lose.store(true, Ordering::Relaxed);
    let base = learner.base().unwrap();
    // The steps that are begun with the device fail with it, and are taken again on the next one.
    learner.train(1, Progress::START).unwrap();
    assert_eq!(told.lock().unwrap()[0].steps, 8);
    assert_eq!(learner.base().unwrap(), base);
}

#[test]
fn what_was_learnt_is_kept_but_for_the_last_moments() {
    let (mut learner, told, lose) = learner(Box::new(Failing::after(FOR_EVER, false)), works);
    learner.kept.as_mut().unwrap().every = Duration::ZERO;
    for _ in 0..100 {
        learner.train(5, Progress::START).unwrap();
        // As if it had taken no time: how long a copy takes is no matter here.
        learner.kept.as_mut().unwrap().cost = Duration::ZERO;
    }
    let before = (learner.evaluate(Weights::Local).unwrap(), learner.read_residual().unwrap());
    assert!(before.0.accuracy > 0.9, "{:?}", before.0);
    lose.store(true, Ordering::Relaxed);
    learner.train(1, Progress::START).unwrap();
    assert!(!lose.load(Ordering::Relaxed), "once");
    assert_eq!(told.lock().unwrap().iter().map(|told| told.steps).collect::<Vec<_>>(), [0]);
    // One step of a velocity of zero away from where it was.
    let after = learner.read_residual().unwrap();
    let moved = protocol::learner::norm(before.1.iter().zip(&after).map(|(a, b)| a - b));
    assert!(moved > 0.0 && moved < 0.05 * protocol::learner::norm(&before.1), "{moved}");
    assert!((learner.evaluate(Weights::Local).unwrap().accuracy - before.0.accuracy).abs() < 0.05);
}

#[test]
fn what_was_said_since_the_copy_is_not_said_again() {
    let recovery = Recovery { reopen: Arc::new(gone), tell: Box::new(drop), lose: Arc::default() };
    let mut kept = Kept::new(vec![0; 4], true, recovery);
    kept.residual = Some(Arc::new(vec![0.5, 0.5, -0.5, 0.0]));
    let mut said = Vec::new();
    DenseF32.encode(&[0.25, 0.75, 0.25, 0.25], &mut said);
    let mut decoded = Decoded::default();
    DenseF32.decode(&said, 4, Weight::HALF, &mut decoded).unwrap();
    let mut exact = kept.residual().unwrap().to_vec();
    decoded.iter().for_each(|(i, value, _)| exact[i] -= value);
    kept.steps = 1;
    kept.add(&decoded, true);
    assert_eq!(kept.residual().unwrap(), [0.25, 0.0, 0.0, 0.0], "an old copy says no more than there is to say");
    kept.residual = Some(Arc::new(vec![0.5, 0.5, -0.5, 0.0]));
    kept.steps = 0;
    kept.add(&decoded, true);
    assert_eq!(kept.residual().unwrap(), exact, "a copy of this moment is exact");
    kept.add(&decoded, false);
    assert_eq!(kept.residual().unwrap(), exact, "what others say is none of it");
}

#[test]
fn the_cpu_takes_over_after_some_tries_and_then_there_is_nobody() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let ask = Arc::clone(&asked);
    let reopen = move |again| {
        ask.lock().unwrap().push(again);
        only_cpu(again)
    };
    let (mut learner, told, lose) = learner(Box::new(Failing::after(FOR_EVER, false)), reopen);
    lose.store(true, Ordering::Relaxed);
    learner.train(2, Progress::START).unwrap();
    assert_eq!(*asked.lock().unwrap(), [Again::Same, Again::Same, Again::Same, Again::Cpu]);
    assert!(!told.lock().unwrap()[0].same);
    assert!(learner.kept.is_none(), "the host needs no copy of its own memory");
    let expected = everything(&mut learner);
    assert_eq!(learner.base().unwrap(), expected);
}

#[test]
fn a_driver_that_does_not_come_back_is_left_behind_and_the_cpu_takes_over() {
    let (release, blocked) = channel::<()>();
    let (blocked, asked) = (Mutex::new(blocked), Arc::new(Mutex::new(Vec::new())));
    // Whoever holds the late device holds this, too.
    let left = Arc::new(AtomicI64::new(FOR_EVER));
    let (ask, late) = (Arc::clone(&asked), Arc::clone(&left));
    let reopen = move |again: Again| {
        ask.lock().unwrap().push(again);
        if again == Again::Cpu {
            return only_cpu(again);
        }
        let _ = blocked.lock().unwrap().recv();
        Ok(Box::new(Failing { left: Arc::clone(&late), ..Failing::after(FOR_EVER, false) }) as Box<dyn Executor>)
    };
    let (mut learner, told, lose) = learner(Box::new(Failing::after(FOR_EVER, false)), reopen);
    let patience = learner.kept.as_ref().unwrap().patience;
    assert!(patience > REBUILD_MAX && patience < REBUILD_MAX + Duration::from_secs(1), "{patience:?}");
    learner.kept.as_mut().unwrap().patience = Duration::from_millis(100);
    learner.train(3, Progress::START).unwrap();
    learner.take_delta(&TopK2Bit, Weight::HALF, f32::INFINITY).unwrap();
    let hash = learner.base_hash().unwrap();
    lose.store(true, Ordering::Relaxed);
    assert_eq!(learner.train(2, Progress::START).unwrap().steps, 2);
    assert_eq!(*asked.lock().unwrap(), [Again::Same, Again::Cpu], "once is enough");
    assert_eq!(learner.base_hash().unwrap(), hash);
    let residual = learner.read_residual().unwrap();
    assert!(residual.iter().any(|unsaid| *unsaid != 0.0), "it trains");
    assert!(Arc::strong_count(&left) > 1, "the driver hangs still");
    drop(release);
    let begun = Instant::now();
    while Arc::strong_count(&left) > 1 && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(Arc::strong_count(&left) == 1 && left.load(Ordering::Relaxed) < FOR_EVER, "built, and dropped");
    assert_eq!(learner.read_residual().unwrap(), residual);
    let (mut expected, mut heard) = (learner.base().unwrap(), Vec::new());
    TopK2Bit.encode(&residual, &mut heard);
    learner.apply(&TopK2Bit, Weight::HALF, &heard).unwrap();
    add_to(&mut expected, &TopK2Bit, Weight::HALF, &heard, 1);
    assert_eq!(learner.base().unwrap(), expected);
    assert_eq!(learner.train(2, Progress::START).unwrap().steps, 2);
    let told = told.lock().unwrap();
    assert!(told.len() == 1 && !told[0].same && told[0].device.backend == "cpu", "{told:?}");
    assert!(told[0].why.ends_with("lost on purpose; the driver did not come back in 0 s"), "{}", told[0].why);
}

#[test]
fn what_the_host_holds_is_shared_with_nobody_once_a_device_is_built() {
    let (mut learner, told, lose) = learner(Box::new(Failing::after(FOR_EVER, false)), works);
    lose.store(true, Ordering::Relaxed);
    learner.train(1, Progress::START).unwrap();
    assert!(told.lock().unwrap()[0].same);
    let kept = learner.kept.as_ref().unwrap();
    assert_eq!((Arc::strong_count(&kept.base), Arc::strong_count(kept.residual.as_ref().unwrap())), (1, 1));
}

#[test]
fn without_a_device_that_could_take_over_the_error_names_both() {
    let (mut learner, told, lose) = learner(Box::new(Failing::after(FOR_EVER, false)), gone);
    lose.store(true, Ordering::Relaxed);
    let error = learner.train(2, Progress::START).unwrap_err().to_string();
    assert!(error.contains("lost on purpose; and no device could take over"), "{error}");
    assert!(told.lock().unwrap().is_empty());
}

#[test]
fn an_adapter_that_fails_again_and_again_is_left() {
    let recovery = Recovery { reopen: Arc::new(gone), tell: Box::new(drop), lose: Arc::default() };
    let mut kept = Kept::new(vec![0; 4], true, recovery);
    let start = Instant::now();
    let mut next = |seconds| kept.next_try(start + Duration::from_secs(seconds), false);
    assert_eq!([next(0), next(100), next(200)], [Some(Again::Same); 3]);
    assert_eq!(next(300), Some(Again::Cpu), "the fourth within the window");
    assert_eq!(next(601), Some(Again::Same), "the first is long ago");
    assert_eq!(kept.next_try(start + Duration::from_secs(602), true), None, "the CPU failed, too");
}

#[test]
fn a_device_that_computes_another_base_counts_as_failed() {
    let (mut learner, told, _) = learner(Box::new(Failing::after(FOR_EVER, false)), works);
    let base = learner.base().unwrap();
    let buffer = learner.machine.buffers.base;
    learner.machine.executor.write(buffer, 7, &[12345]).unwrap();
    assert_eq!(learner.base_hash().unwrap(), base_hash(&base));
    assert!(told.lock().unwrap()[0].why.contains("computes wrongly"));
}

#[cfg(feature = "gpu")]
#[test]
fn a_gpu_that_is_lost_in_the_middle_of_its_work_is_opened_again() {
    let Some(gpu) = crate::kernels::tests::gpu() else { return };
    let info = gpu.info().clone();
    let again = info.clone();
    let reopen = move |_| crate::engine::reopen(&again);
    let (mut learner, told, lose) = learner(Box::new(gpu), reopen);
    learner.train(5, Progress::START).unwrap();
    for round in 1..=2 {
        lose.store(true, Ordering::Relaxed);
        learner.train(20, Progress::START).unwrap();
        let told = told.lock().unwrap();
        assert_eq!(told.len(), round);
        assert!(told[round - 1].same && told[round - 1].device == info || info.software, "{told:?}");
    }
    let expected = everything(&mut learner);
    assert_eq!(learner.base().unwrap(), expected);
    // And in between, where a write learns of it first.
    learner.machine.executor.lose();
    let mut said = Vec::new();
    TopK2Bit.encode(&vec![0.01; expected.len()], &mut said);
    learner.apply(&TopK2Bit, Weight::HALF, &said).unwrap();
    let mut expected = expected;
    add_to(&mut expected, &TopK2Bit, Weight::HALF, &said, 1);
    assert_eq!(learner.base().unwrap(), expected);
    assert_eq!(told.lock().unwrap().len(), 3);
}

/// What is measured with and without gossip is that, and not which of the two a copy fell into.
#[test]
fn no_copy_falls_into_what_is_measured() {
    let (mut learner, ..) = learner(Box::new(Failing::after(FOR_EVER, false)), gone);
    learner.kept.as_mut().unwrap().every = Duration::ZERO;
    learner.train(1, Progress::START).unwrap();
    assert_eq!(learner.kept.as_ref().unwrap().steps, 0, "a copy is due after each call");
    let stretches = Stretches { pairs: 2, seconds: 0.02 };
    let figures = gossip::measure(&mut learner, ("small", 32), 1e-3, stretches).unwrap();
    assert_eq!(figures.pairs.len(), 2);
    assert!(learner.kept.as_ref().unwrap().steps >= 4, "each stretch has a step at least");
}

//! Measures every preset of a product on a device: what `starling device tune` does.
//!
//! Presets take turns, so that what disturbs one disturbs all, and the shortest of several runs counts. Before it is measured a preset
//! is held against the twin on the CPU, on the same random numbers and into memory full of NaN: what a driver computes wrongly, or leaves
//! out, is not chosen. What a device has no room for is left out ([`fitting`]).

use std::time::{Duration, Instant};

use super::cpu::CpuExecutor;
use super::products::{Preset, Product, Shape};
use super::{Buffer, DeviceInfo, Executor, ExecutorError, Prepared, Recording};
use crate::kernels::sum_slices::SumSlices;
use crate::kernels::word;

/// Runs of each preset, of which the shortest counts.
const ROUNDS: usize = 7;
/// Rounds that every shape gets, however long they take: of one alone nobody knows what disturbed it.
const ROUNDS_LEAST: usize = 3;
/// A shape whose rounds have taken so long gets no more.
const SHAPE_TIME: Duration = Duration::from_secs(3);
/// Relative L2 distance to the twin from which on a preset is wrong: other orders of the sums are far below.
const WRONG: f64 = 1e-3;
/// The same of f16.
const WRONG_HALF: f64 = 1e-2;
/// Share of what is free that measuring takes at most: the other half is for who works beside it, and the twin's memory.
const MEMORY_SHARE: u64 = 2;
/// Replays that are timed together where the device has no clock for its work.
const REPLAYS: u32 = 16;

/// A preset on a shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Which.
    pub preset: Preset,
    /// Seconds of one product; `None`: its results are wrong on this device.
    pub seconds: Option<f64>,
}

/// The fastest of those that are right and compute in f32: f16 is another result, and nobody's choice but the job's.
#[must_use]
pub fn winner(measured: &[Measured]) -> Option<Preset> {
    let single = measured.iter().filter(|one| one.preset != Preset::Half64);
    let right = single.filter_map(|one| one.seconds.map(|seconds| (one.preset, seconds)));
    right.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(preset, _)| preset)
}

/// Of the shapes of one class the one with the most work.
#[must_use]
pub fn representatives(shapes: &[Shape]) -> Vec<Shape> {
    let mut all = shapes.to_vec();
    all.sort_by_key(|shape| (shape.class(), std::cmp::Reverse(shape.cost().flops)));
    all.dedup_by_key(|shape| shape.class());
    all
}

/// Buffers that all shapes share: a device frees none before its end.
#[derive(Debug)]
pub struct Tuner {
    /// Where presets are measured.
    device: Buffers,
    /// Where the twin says what they are to find.
    host: Buffers,
    twin: CpuExecutor,
}

/// Operands, results, parts of results.
#[derive(Debug)]
struct Buffers {
    a: Buffer,
    b: Buffer,
    out: Buffer,
    parts: Buffer,
}

/// Words of the buffers that so many shapes share.
fn words_of(shapes: &[Shape]) -> [usize; 4] {
    let most = |words: &dyn Fn(&Shape) -> usize| shapes.iter().map(words).max().unwrap_or(0).max(1);
    [most(&|shape| operands(shape)[0]), most(&|shape| operands(shape)[1]), most(&results), most(&parts)]
}

impl Buffers {
    fn new(on: &mut dyn Executor, words: [usize; 4]) -> Result<Self, ExecutorError> {
        let [a, b, out, parts] = words;
        let buffers =
            Self { a: on.allocate(a)?, b: on.allocate(b)?, out: on.allocate(out)?, parts: on.allocate(parts)? };
        for (buffer, words) in [(buffers.a, a), (buffers.b, b)] {
            on.write(buffer, 0, &numbers(words))?;
        }
        Ok(buffers)
    }

    /// NaN where a shape's results and parts are to go.
    fn poison(&self, on: &mut dyn Executor, shape: &Shape) -> Result<(), ExecutorError> {
        on.write(self.out, 0, &vec![word(f32::NAN); results(shape)])?;
        on.write(self.parts, 0, &vec![word(f32::NAN); parts(shape)])
    }
}

/// Of these shapes those that a device has room for side by side with what the twin takes, and the others, with what they would take in
/// bytes.
#[must_use]
pub fn fitting(shapes: &[Shape], info: &DeviceInfo) -> (Vec<Shape>, Vec<(Shape, u64)>) {
    let largest = info.largest_buffer.unwrap_or(u64::MAX);
    let free = info.free_memory.or(info.free_host_memory).unwrap_or(u64::MAX) / MEMORY_SHARE;
    let bytes = |words: [usize; 4]| words.map(|words| 4 * words as u64);
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    for shape in shapes {
        // Once on the device and once for the twin.
        let with = |shapes: &[Shape]| 2 * bytes(words_of(shapes)).iter().sum::<u64>();
        let one = bytes(words_of(std::slice::from_ref(shape)));
        inside.push(*shape);
        if one.iter().any(|bytes| *bytes > largest) || with(&inside) > free {
            inside.pop();
            outside.push((*shape, with(std::slice::from_ref(shape))));
        }
    }
    (inside, outside)
}

impl Tuner {
    /// Room for these shapes, and numbers to multiply.
    ///
    /// # Errors
    /// When the device has no room: see [`fitting`].
    pub fn new(on: &mut dyn Executor, shapes: &[Shape]) -> Result<Self, ExecutorError> {
        let mut twin = CpuExecutor::new(None);
        let words = words_of(shapes);
        Ok(Self { device: Buffers::new(on, words)?, host: Buffers::new(&mut twin, words)?, twin })
    }

    /// What a preset is to find: the twin of the plain kernel, or of f16.
    fn expected(&mut self, preset: Preset, shape: &Shape) -> Result<Vec<u32>, ExecutorError> {
        let prepared = self.twin.prepare(record(&self.host, preset, shape))?;
        self.host.poison(&mut self.twin, shape)?;
        self.twin.run(prepared, 1)?;
        let mut expected = Vec::new();
        self.twin.read(self.host.out, results(shape), &mut expected)?;
        Ok(expected)
    }

    /// Every preset of a shape, in their order; f16 last, where the device has it.
    ///
    /// # Errors
    /// When the device fails.
    pub fn measure(&mut self, on: &mut dyn Executor, shape: &Shape) -> Result<Vec<Measured>, ExecutorError> {
        let half = on.info().f16.then_some(&Preset::HALF);
        let presets = Preset::ALL.iter().chain(half).map(|(preset, ..)| *preset).filter(|preset| preset.fits(shape));
        let expected = self.expected(Preset::Plain, shape)?;
        let mut all = Vec::new();
        for preset in presets {
            // A driver may refuse one and compute the others.
            let Ok(prepared) = on.prepare(record(&self.device, preset, shape)) else { continue };
            self.device.poison(on, shape)?;
            // Compiled and warm.
            on.run(prepared, 1)?;
            let mut found = Vec::new();
            on.read(self.device.out, results(shape), &mut found)?;
            let right = match preset {
                Preset::Half64 => distance(&found, &self.expected(preset, shape)?) < WRONG_HALF,
                _ => distance(&found, &expected) < WRONG,
            };
            all.push((prepared, Measured { preset, seconds: right.then_some(f64::INFINITY) }));
        }
        // The twin's time is not theirs.
        let begun = Instant::now();
        for round in 1..=ROUNDS {
            for (prepared, measured) in &mut all {
                if let Some(best) = &mut measured.seconds {
                    *best = best.min(once(on, *prepared, self.device.out)?);
                }
            }
            if round >= ROUNDS_LEAST && begun.elapsed() > SHAPE_TIME {
                break;
            }
        }
        Ok(all.into_iter().map(|(_, measured)| measured).collect())
    }
}

/// The product as a layer records it, with a bias.
fn record(buffers: &Buffers, preset: Preset, shape: &Shape) -> Recording {
    let mut recording = Recording::default();
    let kernel = preset.kernel(shape.product, shape.wide);
    let (mut words, parts) = (shape.words, parts_of(preset, shape));
    words[offset_word(shape.product)] = 0;
    if shape.product == Product::BackwardWeight {
        // Of all presets one number of words.
        (words[4], words[5]) = (0, parts);
    }
    let split = parts > 1 || shape.product == Product::ConvBackwardWeight;
    let out = if split { buffers.parts } else { buffers.out };
    recording.push(kernel, &[buffers.a, buffers.b, out], &words);
    if split {
        recording.push(&SumSlices, &[buffers.parts, buffers.out], &[parts, results(shape) as u32, 0]);
    }
    recording
}

/// Where the words say at which parameter the layer begins.
fn offset_word(product: Product) -> usize {
    match product {
        Product::Forward => 4,
        Product::BackwardInput | Product::BackwardWeight => 3,
        Product::ConvForward | Product::ConvBackwardInput | Product::ConvBackwardWeight => 7,
    }
}

/// Words of what a kernel reads: of both its arguments, weights with their bias.
fn operands(shape: &Shape) -> [usize; 2] {
    let [rows, columns, depth] = shape.extents().map(|extent| extent as usize);
    let [samples, height, width, channels, out_height, out_width, outputs, ..] = shape.words.map(|word| word as usize);
    let (x, y) = (samples * height * width * channels, samples * out_height * out_width * outputs);
    match shape.product {
        Product::Forward => [rows * depth, columns * (depth + 1)],
        Product::BackwardInput => [rows * depth, columns * depth],
        Product::BackwardWeight => [rows * depth, columns * depth],
        Product::ConvForward => [x, columns * (depth + 1)],
        Product::ConvBackwardInput => [y, columns * depth],
        Product::ConvBackwardWeight => [y, x],
    }
}

/// Words of what is left in the end: results, or the gradient of weights and bias.
fn results(shape: &Shape) -> usize {
    let [rows, columns, _] = shape.extents().map(|extent| extent as usize);
    match shape.product {
        Product::BackwardWeight | Product::ConvBackwardWeight => rows * (columns + 1),
        _ => rows * columns,
    }
}

/// Parts of a shape's sums: of a convolution as many as its layer makes, whatever the preset.
fn parts_of(preset: Preset, shape: &Shape) -> u32 {
    if shape.product == Product::ConvBackwardWeight { shape.words[12] } else { preset.parts(shape) }
}

/// Words of the parts, where there are most.
fn parts(shape: &Shape) -> usize {
    let most = Preset::ALL.iter().map(|(preset, ..)| parts_of(*preset, shape)).max().unwrap_or(1);
    if most == 1 && shape.product != Product::ConvBackwardWeight { 1 } else { most as usize * results(shape) }
}

/// Numbers in -1..1 that look random, the same every time.
fn numbers(words: usize) -> Vec<u32> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        word((state >> 8) as f32 / (1 << 23) as f32 - 1.0)
    };
    (0..words).map(|_| next()).collect()
}

/// Relative L2 distance; infinite where there is a NaN.
fn distance(found: &[u32], expected: &[u32]) -> f64 {
    let float = |bits: &u32| f64::from(f32::from_bits(*bits));
    let pairs = found.iter().zip(expected).map(|(a, b)| (float(a) - float(b), float(b)));
    let (difference, size) = pairs.fold((0.0, 0.0), |(difference, size), (a, b)| (difference + a * a, size + b * b));
    let relative: f64 = (difference / f64::max(size, 1e-30)).sqrt();
    if relative.is_nan() { f64::INFINITY } else { relative }
}

/// Seconds of one replay: by the device's clock, else by ours.
fn once(on: &mut dyn Executor, prepared: Prepared, out: Buffer) -> Result<f64, ExecutorError> {
    if let Ok(timed) = on.profile(prepared, 1) {
        return Ok(timed.iter().map(|timed| timed.seconds).sum::<f64>().max(1e-9));
    }
    let begun = Instant::now();
    on.run(prepared, REPLAYS)?;
    on.read(out, 1, &mut Vec::new())?;
    Ok(begun.elapsed().as_secs_f64() / f64::from(REPLAYS))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::engine::cpu::CpuExecutor;

    fn shapes() -> Vec<Shape> {
        let linear = [Product::Forward, Product::BackwardInput, Product::BackwardWeight];
        let convolutions = [Product::ConvForward, Product::ConvBackwardInput, Product::ConvBackwardWeight];
        let of = |products: [Product; 3], wide, words: &[u32]| products.map(|product| Shape::new(product, wide, words));
        [
            of(linear, true, &[300, 12, 20]),
            of(linear, false, &[300, 13, 21]),
            of(convolutions, true, &[2, 9, 8, 4, 5, 4, 8, 0, 3, 2, 1, 0, 2]),
            of(convolutions, false, &[2, 9, 8, 3, 5, 4, 5, 0, 3, 2, 1, 0, 2]),
        ]
        .concat()
    }

    fn assert_measures(on: &mut dyn Executor) {
        let mut tuner = Tuner::new(on, &shapes()).unwrap();
        for shape in shapes() {
            let measured = tuner.measure(on, &shape).unwrap();
            let splits = if shape.product == Product::BackwardWeight { 2 } else { 0 };
            let half = usize::from(on.info().f16);
            assert_eq!(measured.len(), 4 + splits + half, "{shape:?}");
            let plausible = |one: &Measured| one.seconds.is_some_and(|seconds| (1e-9..100.0).contains(&seconds));
            assert!(measured.iter().all(plausible), "{shape:?}: {measured:?}");
            assert!(winner(&measured).is_some_and(|preset| preset != Preset::Half64));
            assert_eq!(winner(&[Measured { preset: Preset::Half64, seconds: Some(0.0) }]), None, "f16 is not tuned");
        }
    }

    #[test]
    fn every_preset_is_right_and_measured_on_every_executor() {
        assert_measures(&mut CpuExecutor::new(None));
        #[cfg(feature = "gpu")]
        if let Some(mut gpu) = crate::kernels::tests::gpu() {
            assert_measures(&mut gpu);
        }
    }

    #[test]
    fn the_fastest_that_is_right_wins() {
        let measured = [(Preset::Plain, Some(3.0)), (Preset::Tile32, Some(2.0)), (Preset::Tile64, None)];
        let measured = measured.map(|(preset, seconds)| Measured { preset, seconds });
        assert_eq!(winner(&measured), Some(Preset::Tile32));
        assert_eq!(winner(&measured[2..]), None);
        let ones = vec![word(1.0); 3];
        assert_eq!(distance(&ones, &ones), 0.0);
        assert!(distance(&[word(1.0), word(1.0), word(f32::NAN)], &ones) > WRONG);
        assert!(distance(&[word(1.0), word(1.0), word(1.01)], &ones) > WRONG);
    }

    /// A driver that computes one kernel in two wrongly, or leaves out the end of what it writes.
    struct Broken(CpuExecutor, usize);

    impl Executor for Broken {
        fn info(&self) -> &DeviceInfo {
            self.0.info()
        }

        fn allocate(&mut self, words: usize) -> Result<Buffer, ExecutorError> {
            self.0.allocate(words)
        }

        fn write(&mut self, buffer: Buffer, offset: usize, words: &[u32]) -> Result<(), ExecutorError> {
            self.0.write(buffer, offset, words)
        }

        fn read_at(&mut self, buffer: Buffer, offset: usize, out: &mut [u32]) -> Result<(), ExecutorError> {
            self.0.read_at(buffer, offset, out)
        }

        fn prepare(&mut self, mut recording: Recording) -> Result<Prepared, ExecutorError> {
            self.1 += 1;
            if self.1 > 1 {
                // Only the plain one, which comes first, is right: the others leave out what they are to do.
                recording.dispatches.clear();
            }
            self.0.prepare(recording)
        }

        fn set_words(&mut self, prepared: Prepared, index: usize, words: &[u32]) -> Result<(), ExecutorError> {
            self.0.set_words(prepared, index, words)
        }

        fn run(&mut self, prepared: Prepared, times: u32) -> Result<(), ExecutorError> {
            self.0.run(prepared, times)
        }

        fn profile(&mut self, prepared: Prepared, times: u32) -> Result<Vec<crate::engine::Timed>, ExecutorError> {
            self.0.profile(prepared, times)
        }
    }

    #[test]
    fn a_preset_that_writes_nothing_does_not_pass_by_what_another_one_left() {
        let shape = shapes()[0];
        let mut on = Broken(CpuExecutor::new(None), 0);
        let mut tuner = Tuner::new(&mut on, &[shape]).unwrap();
        let measured = tuner.measure(&mut on, &shape).unwrap();
        assert!(measured.len() > 2 && measured[1..].iter().all(|one| one.seconds.is_none()), "{measured:?}");
        assert_eq!(winner(&measured), Some(Preset::Plain));
    }

    #[test]
    fn what_a_device_has_no_room_for_is_left_out() {
        let shape = |m| Shape::new(Product::Forward, true, &[m, 64, 64]);
        let all = [shape(64), shape(1 << 20)];
        let none = DeviceInfo::default();
        assert_eq!(fitting(&all, &none).0, all);
        let bytes = 4 * (1 << 20) * 64;
        for info in [
            DeviceInfo { largest_buffer: Some(bytes - 1), ..none.clone() },
            DeviceInfo { free_memory: Some(2 * bytes), ..none },
        ] {
            let (inside, outside) = fitting(&all, &info);
            assert_eq!(inside, all[..1]);
            assert!(outside.len() == 1 && outside[0].1 > 2 * bytes, "{outside:?}");
        }
    }

    #[test]
    fn a_class_is_measured_once_by_its_largest() {
        let shape = |m| Shape::new(Product::Forward, true, &[m, 64, 64]);
        assert_eq!(representatives(&[shape(40), shape(64), shape(50), shape(65)]), [shape(64), shape(65)]);
    }
}

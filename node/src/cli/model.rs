//! `starling generate|eval|export`, and the model that they and `predict` ask.

use std::io::{self, Write as _};
use std::path::Path;
use std::thread;

use serde_json::json;
use shaders::data::{Classes, Vocabulary, takes_size};
use shaders::models::ModelSpec;
use shaders::predict::Sampler;

use super::args::{EvalArgs, ExportArgs, GenerateArgs, ModelAt};
use super::files::{JsonTarget, TextTarget, replace};
use super::{engine, inputs, say};
use crate::config::data::RawClasses;
use crate::config::raw::RawData;
use crate::config::{Job, RawJob};
use crate::error::{Error, Kind};
use crate::inference::measure::{self, Measures, PICTURE_CLASSES_MAX, Tally};
use crate::inference::text::Utf8Stream;
use crate::inference::{Answers, export};
use crate::store::checkpoint::{self, About, Model};
use crate::text::escape;

/// Pixels of a PNG for one of the drawing.
const PNG_SCALE: f64 = 2.0;
/// Samples that are evaluated at once.
const SAMPLES_AT_ONCE: usize = 256;

/// The newest whole model of a folder; what is damaged is said on standard error.
fn model(dir: &Path) -> Result<Model, Error> {
    let found = checkpoint::latest(dir)?;
    for why in &found.damaged {
        say::aside(&format!("warning: {why}: the one before is used"))?;
    }
    checkpoint::model(&found)
}

pub(super) fn answers(at: &ModelAt) -> Result<Answers, Error> {
    let model = model(&at.checkpoint)?;
    let threads = at.threads.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from);
    Answers::new(model, engine::open_for_answers(&at.device, threads)?)
}

pub(super) fn generate(args: &GenerateArgs) -> Result<(), Error> {
    let mut answers = answers(&args.model)?;
    if args.prompt.is_empty() {
        return Err(Error::new(Kind::Usage, "--prompt is empty: there is nothing to continue")
            .hint("leave it out to begin with a new line"));
    }
    let seed = match args.seed {
        Some(seed) => seed,
        None => {
            let mut bytes = [0; 8];
            getrandom::fill(&mut bytes)
                .map_err(|error| Error::new(Kind::Internal, format!("no random seed: {error}")))?;
            u64::from_le_bytes(bytes)
        }
    };
    let mut sampler = Sampler::new(args.temperature, args.top_k as usize, seed);
    let mut out = io::stdout();
    let mut text = Utf8Stream::default();
    let (mut written, mut prompt) = (Ok(()), Some(args.prompt.as_bytes()));
    let mut sink = |byte| {
        // The prompt with the first of them: a model that cannot continue it has written nothing.
        let before = prompt.take().unwrap_or_default();
        // Bytes as they come: whoever reads sees the text grow.
        let now = out.write_all(before).and_then(|()| out.write_all(text.push(byte).as_bytes()));
        written = now.and_then(|()| out.flush());
        written.is_ok()
    };
    answers.generate(&args.prompt, args.tokens as usize, &mut sampler, &mut sink)?;
    let written = written.and_then(|()| out.write_all(prompt.unwrap_or_default()));
    let written = written.and_then(|()| writeln!(out, "{}", text.finish())).and_then(|()| out.flush());
    say::written(written)
}

pub(super) fn eval(args: &EvalArgs) -> Result<(), Error> {
    let json = JsonTarget::new("--json", args.json.as_deref())?;
    let picture = args.picture.as_deref().map(picture_kind).transpose()?;
    let mut answers = answers(&args.model)?;
    let mut dataset = engine::load(&job_of(&answers.about, args)?)?;
    let about = answers.about.clone();
    if let Some(normalization) = &about.encoding.normalization {
        dataset.normalize(normalization);
    }
    if dataset.shape != about.shape || dataset.classes > about.classes {
        let message = format!(
            "{}: samples of {:?} in {} classes, the model reads {:?} and knows {}",
            dataset.name, dataset.shape, dataset.classes, about.shape, about.classes
        );
        return Err(Error::new(Kind::Input, message).hint("--data PATH names data like those that it was trained on"));
    }
    let text = matches!(about.model, ModelSpec::Lm(_));
    let measures = measure(&mut answers, &dataset.test, text)?;
    if let (Some(kind), Some(path)) = (picture, args.picture.as_deref()) {
        draw(kind, path, &measures, &about)?;
    }
    if !json.is_stdout() {
        say::line(&words(&measures, &about))?;
    }
    let mut report = json!(measures);
    report["model_hash"] = answers.hash.as_str().into();
    report["data"] = dataset.name.as_str().into();
    json.write(&report)
}

fn measure(answers: &mut Answers, split: &shaders::data::Split, text: bool) -> Result<Measures, Error> {
    let features = answers.features();
    let mut tally = Tally::new(answers.about.classes, !text);
    for (i, labels) in split.labels.chunks(SAMPLES_AT_ONCE).enumerate() {
        let first = i * SAMPLES_AT_ONCE;
        let rows = inputs::rows(split, features, first..first + labels.len())?;
        let logits = answers.logits(&rows)?;
        if text {
            let next = rows.chunks(features).flat_map(|window| &window[1..]).map(|&token| token as usize);
            tally.add(labels.len() as u64, &logits, next);
        } else {
            tally.add(labels.len() as u64, &logits, labels.iter().map(|&label| label as usize));
        }
    }
    Ok(tally.finish(|class| answers.class_name(class)))
}

/// The job whose data are evaluated on: the set of the run by its name, or what is given.
fn job_of(about: &About, args: &EvalArgs) -> Result<Job, Error> {
    let of = |key: &str| about.job.iter().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).map(str::to_owned);
    let set = of("data.set").filter(|set| set != "folder");
    // Read as in the run; numbers are brought to its mean and deviation, and not to those of these data.
    let mut as_in_run = RawData::of_canonical(&about.job)?;
    as_in_run.normalize = Some("none".into());
    if as_in_run.classes.is_none() && !about.class_names.is_empty() {
        as_in_run.classes = Some(RawClasses::Names(about.class_names.clone()));
    }
    as_in_run.label.clone_from(&args.label);
    // Files hold samples of their own extents: whether those are the model's is seen when they are read.
    if args.data.as_deref().is_some_and(|path| !takes_size(path)) {
        as_in_run.size = None;
    }
    let data = match (&args.data, set) {
        (Some(path), _) => RawData { path: Some(path.clone()), ..as_in_run },
        (None, Some(set)) => RawData { set: Some(set), ..as_in_run },
        (None, None) => {
            return Err(Error::new(
                Kind::Usage,
                format!("the run was trained on files ({}): which are these here?", about.data),
            )
            .hint("--data PATH"));
        }
    };
    let mut raw = RawJob { data, ..RawJob::default() };
    raw.training.seed = of("training.seed").and_then(|seed| seed.parse().ok());
    let mut job = Job::new(raw).map_err(|error| Error { kind: Kind::Usage, ..error })?;
    job.model = about.model.clone();
    job.reading.columns.clone_from(&about.encoding.columns);
    // What is evaluated on may be of one class only.
    if args.data.is_some() && job.reading.classes == Classes::Found && !matches!(about.model, ModelSpec::Lm(_)) {
        job.reading.classes = u32::try_from(about.classes).map_or(Classes::Found, Classes::Count);
    }
    if !about.encoding.characters.is_empty() {
        job.reading.vocabulary = Vocabulary::These(about.encoding.characters.clone());
    }
    Ok(job)
}

fn words(measures: &Measures, about: &About) -> String {
    use std::fmt::Write as _;
    let mut out = format!(
        "{} samples, loss {:.4} nats, accuracy {:.2} %",
        measures.samples,
        measures.loss,
        100.0 * measures.accuracy
    );
    if let Some(perplexity) = measures.perplexity {
        let bits = measures.loss / std::f64::consts::LN_2;
        let unit = match about.classes {
            _ if !about.encoding.characters.is_empty() => "character",
            256 => "byte",
            _ => "token",
        };
        let _ = write!(out, ", perplexity {perplexity:.3}, {bits:.3} bits a {unit}");
    }
    if let Some(f1) = measures.macro_f1 {
        let _ = write!(out, ", macro F1 {f1:.4}");
    }
    let _ = write!(out, "\nmodel of {} steps, {} parameters", about.steps, about.parameters);
    if !measures.classes.is_empty() {
        let _ = write!(out, "\n{:<20} {:>8} {:>9} {:>9} {:>9}", "class", "samples", "precision", "recall", "F1");
    }
    let share = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{share:.4}"));
    for class in &measures.classes {
        let name = escape(&class.name, 20);
        let [precision, recall, f1] = [class.precision, class.recall, class.f1].map(share);
        let _ = write!(out, "\n{name:<20} {:>8} {precision:>9} {recall:>9} {f1:>9}", class.samples);
    }
    out
}

/// What a picture is drawn as.
#[derive(Clone, Copy)]
enum Picture {
    Svg,
    Png,
}

fn picture_kind(path: &Path) -> Result<Picture, Error> {
    let kind = match path.extension().and_then(|extension| extension.to_str()) {
        Some("svg") => Picture::Svg,
        Some("png") => Picture::Png,
        _ => {
            return Err(Error::new(Kind::Usage, format!("--picture {}: no such form", path.display()))
                .hint("a name that ends in .svg or .png"));
        }
    };
    TextTarget::new("--picture", path)?;
    Ok(kind)
}

fn draw(kind: Picture, path: &Path, measures: &Measures, about: &About) -> Result<(), Error> {
    let classes = measures.confusion.len();
    if !(1..=PICTURE_CLASSES_MAX).contains(&classes) {
        let message = format!(
            "--picture: a confusion matrix of {classes} classes cannot be drawn, only of 1 to {PICTURE_CLASSES_MAX}"
        );
        return Err(Error::new(Kind::Usage, message).hint("--json has all the figures"));
    }
    let title = format!("{}: accuracy {:.2} %, rows are what is", about.data, 100.0 * measures.accuracy);
    let picture = measure::picture(measures, &title);
    let unwritable =
        |error: &dyn std::fmt::Display| Error::new(Kind::Input, format!("--picture {}: {error}", path.display()));
    let bytes = match kind {
        Picture::Svg => picture.svg().into_bytes(),
        Picture::Png => picture.png(PNG_SCALE).map_err(|error| unwritable(&error))?,
    };
    replace(path, &bytes).map_err(|error| unwritable(&error))
}

pub(super) fn export(args: &ExportArgs) -> Result<(), Error> {
    let target = TextTarget::new("FILE", &args.file)?;
    let model = model(&args.checkpoint)?;
    let bytes = export::bytes(&model, args.format)?;
    target.write_bytes(&bytes)?;
    say::line(&format!("{}: {} bytes, model of {} steps", args.file.display(), bytes.len(), model.about.steps))
}

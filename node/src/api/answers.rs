//! `POST /v1/predict`, `POST /v1/generate` and `GET /v1/confusion`: the shared model answers while it is trained.
//!
//! Answers come from a copy of the base on a thread of its own, by the CPU: the learner's device is not asked, and training pays for the copy
//! alone. Of two requests within a second the second is answered from the copy of the first; a copy that is older is replaced behind the answer,
//! so nobody waits for it but the first.

use std::convert::Infallible;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use protocol::event::Shown;
use protocol::fixed::to_f32;
use serde::{Deserialize, Serialize};
use shaders::data::Dataset;
use shaders::predict::Sampler;
use tokio::sync::{mpsc, oneshot};

use super::bases::busy;
use super::board::Copied;
use super::judge::{JUDGE_EVERY, Judgement, judge};
use super::metrics::PREFIX;
use super::problem::Problem;
use super::routes::{Shared, malformed};
use crate::error::{Error, Kind};
use crate::inference::Answers;
use crate::inference::text::Utf8Stream;

/// Builds what answers, on its thread, when it is first asked.
pub type MakeAnswers = Box<dyn FnOnce() -> Result<Answers, Error> + Send>;

/// Requests that may wait for the thread.
const ORDERS_MAX: usize = 32;
/// Samples of a request.
const SAMPLES_MAX: usize = 1024;
/// Bytes of text of a request.
const GENERATED_BYTES_MAX: usize = 4096;
/// Longest prompt, bytes.
const PROMPT_BYTES_MAX: usize = 64 << 10;
/// A text that is not done by then ends there.
const GENERATE_MAX: Duration = Duration::from_secs(60);
/// Upper ends of the histogram of answers, seconds.
const BUCKETS: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0];

/// Hands requests to the thread.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    orders: SyncSender<Order>,
    took: Histogram,
}

enum Order {
    Predict { of: Copied, inputs: Vec<Vec<f32>>, reply: oneshot::Sender<Result<Predicted, Problem>> },
    Generate { of: Copied, wish: Wish, reply: oneshot::Sender<Result<ModelOf, Problem>>, text: mpsc::Sender<String> },
    Judge { of: Copied, reply: oneshot::Sender<Result<Arc<Judged>, Problem>> },
    Sample { of: Copied, reply: oneshot::Sender<String> },
}

/// `GET /v1/confusion`
#[derive(Debug, Serialize)]
struct Judged {
    model: ModelOf,
    #[serde(flatten)]
    judgement: Judgement,
}

/// Bytes of a text that shows how a language model does.
const SAMPLE_BYTES: usize = 160;
/// How long it may take.
const SAMPLE_MAX: Duration = Duration::from_secs(2);
/// The same draws each time: what differs is the model.
const SAMPLE_SEED: u64 = 1;
/// The start of a line.
const SAMPLE_PROMPT: &str = "\n";

/// Which model has answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct ModelOf {
    base_hash: String,
    heard: String,
    samples: u64,
    steps: u64,
    epoch: u32,
}

#[derive(Debug, Serialize)]
struct Predicted {
    model: ModelOf,
    predictions: Vec<OfSample>,
}

#[derive(Debug, Serialize)]
struct OfSample {
    class: usize,
    name: String,
    probability: f64,
    probabilities: Vec<f64>,
}

/// `POST /v1/predict`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Inputs {
    inputs: Vec<Vec<f32>>,
}

/// `POST /v1/generate`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    prompt: String,
    #[serde(default = "bytes_default")]
    bytes: usize,
    #[serde(default = "temperature_default")]
    temperature: f32,
    #[serde(default)]
    top_k: usize,
    seed: Option<u64>,
}

fn bytes_default() -> usize {
    256
}

fn temperature_default() -> f32 {
    0.8
}

impl Desk {
    /// Starts the thread.
    pub(super) fn open(make: MakeAnswers, data: Option<Arc<Dataset>>, registry: &mut Registry) -> Result<Self, Error> {
        let took = Histogram::new(BUCKETS);
        let about = "From a request for predictions to its answer";
        let ours = registry.sub_registry_with_prefix(PREFIX);
        ours.register_with_unit("prediction", about, Unit::Seconds, took.clone());
        let (orders, waiting) = sync_channel(ORDERS_MAX);
        let clerk = std::thread::Builder::new().name("answers".to_owned()).spawn(move || serve(make, data, &waiting));
        clerk.map_err(|error| Error::new(Kind::Internal, format!("cannot start the thread of answers: {error}")))?;
        Ok(Self { orders, took })
    }

    /// A text by a language model; `None` where there is none, or the thread is busy.
    pub(super) async fn sample(&self, of: Copied) -> Option<String> {
        let (reply, answer) = oneshot::channel();
        self.place(Order::Sample { of, reply }).ok()?;
        answer.await.ok()
    }

    fn place(&self, order: Order) -> Result<(), Problem> {
        self.orders.try_send(order).map_err(|error| match error {
            TrySendError::Full(_) => {
                let text = format!("{ORDERS_MAX} requests wait already");
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, text, "ask more slowly, or more samples at a time")
            }
            TrySendError::Disconnected(_) => busy(),
        })
    }
}

pub(super) async fn predict(
    State(shared): State<Shared>,
    inputs: Result<Json<Inputs>, JsonRejection>,
) -> Result<Response, Problem> {
    let begun = Instant::now();
    let form = "{\"inputs\": [[numbers of a sample], ...]}";
    let Json(Inputs { inputs }) = inputs.map_err(|error| malformed(&error, form))?;
    if inputs.is_empty() || inputs.len() > SAMPLES_MAX {
        let error = format!("{} inputs: from 1 to {SAMPLES_MAX}", inputs.len());
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error, form));
    }
    let of = shared.bases.recent().await?;
    let (reply, answer) = oneshot::channel();
    shared.desk.place(Order::Predict { of, inputs, reply })?;
    let predicted = answer.await.map_err(|_| busy())??;
    shared.desk.took.observe(begun.elapsed().as_secs_f64());
    Ok(Json(predicted).into_response())
}

pub(super) async fn generate(
    State(shared): State<Shared>,
    wish: Result<Json<Wish>, JsonRejection>,
) -> Result<Response, Problem> {
    let form = "{\"prompt\": \"...\", \"bytes\": 256, \"temperature\": 0.8, \"top_k\": 0, \"seed\": 1}; all but the prompt may be left out";
    let Json(wish) = wish.map_err(|error| malformed(&error, form))?;
    let prompt = (1..=PROMPT_BYTES_MAX).contains(&wish.prompt.len());
    let bounded = (1..=GENERATED_BYTES_MAX).contains(&wish.bytes) && (0.0..=100.0).contains(&wish.temperature);
    if !prompt || !bounded {
        let error = format!(
            "a prompt of 1 to {PROMPT_BYTES_MAX} bytes, bytes from 1 to {GENERATED_BYTES_MAX}, temperature from 0 to 100"
        );
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error, form));
    }
    let of = shared.bases.recent().await?;
    let (reply, answer) = oneshot::channel();
    // As many as can come: the thread never waits for a reader.
    let (text, pieces) = mpsc::channel(GENERATED_BYTES_MAX + 1);
    shared.desk.place(Order::Generate { of, wish, reply, text })?;
    let model = answer.await.map_err(|_| busy())??;
    let first = Event::default().event("model").json_data(model).map_err(|_| busy())?;
    let stream = futures::stream::unfold((Some(first), Some(pieces)), |(first, pieces)| async move {
        if let Some(first) = first {
            return Some((Ok::<_, Infallible>(first), (None, pieces)));
        }
        let mut pieces = pieces?;
        let (event, rest) = match pieces.recv().await {
            Some(text) => (Event::default().event("text").json_data(text), Some(pieces)),
            None => (Event::default().event("end").json_data(""), None),
        };
        Some((Ok(event.ok()?), (None, rest)))
    });
    Ok(Sse::new(stream).into_response())
}

pub(super) async fn confusion(State(shared): State<Shared>) -> Result<Response, Problem> {
    let of = shared.bases.recent().await?;
    let (reply, answer) = oneshot::channel();
    shared.desk.place(Order::Judge { of, reply })?;
    let judged = answer.await.map_err(|_| busy())??;
    Ok(Json(&*judged).into_response())
}

/// The thread: ends when nobody can ask any more.
fn serve(make: MakeAnswers, data: Option<Arc<Dataset>>, waiting: &Receiver<Order>) {
    let Ok(mut order) = waiting.recv() else { return };
    let mut clerk = match make() {
        Ok(answers) => Clerk { answers, data, of: None, judged: None },
        Err(error) => {
            tracing::warn!(%error, "no predictions");
            // Who waits learns of it by a reply that is gone.
            return;
        }
    };
    loop {
        match order {
            Order::Predict { of, inputs, reply } => drop(reply.send(clerk.predict(&of, &inputs))),
            Order::Generate { of, wish, reply, text } => clerk.generate(&of, &wish, reply, &text),
            Order::Judge { of, reply } => drop(reply.send(clerk.judge(&of))),
            Order::Sample { of, reply } => {
                // What cannot be said is not: whoever asked goes on.
                if let Ok(text) = clerk.sample(&of) {
                    let _ = reply.send(text);
                }
            }
        }
        match waiting.recv() {
            Ok(next) => order = next,
            Err(_) => return,
        }
    }
}

struct Clerk {
    answers: Answers,
    /// What is tested on.
    data: Option<Arc<Dataset>>,
    /// The copy whose weights are loaded, which is not kept for that, and its name.
    of: Option<(Weak<Shown>, ModelOf)>,
    /// The last judgement, and when it was made.
    judged: Option<(Instant, Arc<Judged>)>,
}

impl Clerk {
    fn load(&mut self, copied: &Copied) -> Result<ModelOf, Problem> {
        let shown = &copied.shown;
        let name = Arc::downgrade(shown);
        if let Some((loaded, model)) = &self.of
            && loaded.ptr_eq(&name)
        {
            return Ok(model.clone());
        }
        let weights: Vec<f32> = shown.base.iter().map(|&value| to_f32(value)).collect();
        let model = ModelOf {
            base_hash: copied.hash(),
            heard: shown.heard.to_string(),
            samples: shown.samples,
            steps: shown.steps,
            epoch: shown.epoch,
        };
        self.of = None;
        self.answers.set_weights(&weights, model.base_hash.clone()).map_err(|error| refused(&error))?;
        self.of = Some((name, model.clone()));
        Ok(model)
    }

    fn judge(&mut self, of: &Copied) -> Result<Arc<Judged>, Problem> {
        if let Some((at, judged)) = &self.judged
            && at.elapsed() < JUDGE_EVERY
        {
            return Ok(Arc::clone(judged));
        }
        let Some(data) = self.data.clone() else {
            let error = "this peer has no test samples at hand";
            return Err(Problem::new(
                StatusCode::CONFLICT,
                error,
                "`starling eval --checkpoint DIR` judges a checkpoint",
            ));
        };
        let model = self.load(of)?;
        let judgement = judge(&mut self.answers, &data).map_err(|error| refused(&error))?;
        let judged = Arc::new(Judged { model, judgement });
        self.judged = Some((Instant::now(), Arc::clone(&judged)));
        Ok(judged)
    }

    fn sample(&mut self, of: &Copied) -> Result<String, Problem> {
        self.load(of)?;
        let mut sampler = Sampler::new(temperature_default(), 0, SAMPLE_SEED);
        let (mut utf8, mut text, until) = (Utf8Stream::default(), String::new(), Instant::now() + SAMPLE_MAX);
        let mut sink = |byte: u8| {
            text.push_str(&utf8.push(byte));
            Instant::now() < until
        };
        let done = self.answers.generate(SAMPLE_PROMPT, SAMPLE_BYTES, &mut sampler, &mut sink);
        done.map_err(|error| refused(&error))?;
        text.push_str(&utf8.finish());
        Ok(text)
    }

    fn predict(&mut self, of: &Copied, inputs: &[Vec<f32>]) -> Result<Predicted, Problem> {
        let features = self.answers.features();
        let hint = "as many numbers as a sample of the training data has, as they stand there; from 0 to 1 for pictures of bytes";
        if let Some(wrong) = inputs.iter().find(|input| input.len() != features) {
            let error = format!("an input of {} numbers, the model takes {features}", wrong.len());
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error, hint));
        }
        let mut samples = inputs.concat();
        if let Some(normalization) = &self.answers.about.encoding.normalization {
            normalization.apply(&mut samples);
        }
        if samples.iter().any(|value| !value.is_finite()) {
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "an input that is not finite", hint));
        }
        let model = self.load(of)?;
        let predictions = self.answers.predict(&samples).map_err(|error| refused(&error))?;
        let of_sample = |prediction: crate::inference::Prediction| OfSample {
            class: prediction.class,
            name: self.answers.class_name(prediction.class),
            probability: prediction.probabilities.get(prediction.class).copied().unwrap_or(0.0),
            probabilities: prediction.probabilities,
        };
        Ok(Predicted { model, predictions: predictions.into_iter().map(of_sample).collect() })
    }

    fn generate(
        &mut self,
        of: &Copied,
        wish: &Wish,
        reply: oneshot::Sender<Result<ModelOf, Problem>>,
        text: &mpsc::Sender<String>,
    ) {
        let mut reply = Some(reply);
        let mut begin = |answer| {
            if let Some(reply) = reply.take() {
                let _ = reply.send(answer);
            }
        };
        let model = match self.load(of) {
            Ok(model) => model,
            Err(problem) => return begin(Err(problem)),
        };
        let seed = wish.seed.unwrap_or_else(|| {
            let mut random = [0; 8];
            // Without randomness the same text comes twice: no reason to say none.
            let _ = getrandom::fill(&mut random);
            u64::from_le_bytes(random)
        });
        let mut sampler = Sampler::new(wish.temperature, wish.top_k, seed);
        let (mut utf8, until) = (Utf8Stream::default(), Instant::now() + GENERATE_MAX);
        let mut sink = |byte: u8| {
            begin(Ok(model.clone()));
            let piece = utf8.push(byte);
            let heard = piece.is_empty() || text.try_send(piece).is_ok();
            heard && !text.is_closed() && Instant::now() < until
        };
        let done = self.answers.generate(&wish.prompt, wish.bytes, &mut sampler, &mut sink);
        match done {
            Ok(()) => drop(text.try_send(utf8.finish())),
            Err(error) => begin(Err(refused(&error))),
        }
    }
}

/// What the model does not do is the request's fault, the rest is ours.
fn refused(error: &Error) -> Problem {
    let status =
        if error.kind == Kind::Input { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::INTERNAL_SERVER_ERROR };
    Problem::new(
        status,
        error.message.clone(),
        "POST /v1/predict asks a classifier, POST /v1/generate a language model",
    )
}

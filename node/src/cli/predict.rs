//! `starling predict`: files as a whole, and rows from a pipe as they come.

use std::io::{self, BufReader};
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use serde::Serialize;
use serde_json::json;
use shaders::data::{DataError, Row, Rows};

use super::args::PredictArgs;
use super::files::JsonTarget;
use super::{inputs, model, say};
use crate::error::{Error, Kind};
use crate::inference::{Answers, Prediction};
use crate::text::escape;

/// Standard input, in place of a file.
const PIPE: &str = "-";
/// And in messages.
const PIPE_SHOWN: &str = "(standard input)";
/// Rows that wait for the model: a pipe that is quicker waits.
const ROWS_WAITING: usize = 1024;
/// Rows that are answered together, when so many are there.
const ROWS_AT_ONCE: usize = 256;

/// One answer.
#[derive(Serialize)]
struct Answer<'a> {
    input: &'a str,
    class: usize,
    name: String,
    probabilities: &'a [f64],
    logits: &'a [f32],
}

fn answer<'a>(answers: &Answers, name: &'a str, prediction: &'a Prediction) -> Answer<'a> {
    Answer {
        input: name,
        class: prediction.class,
        name: answers.class_name(prediction.class),
        probabilities: &prediction.probabilities,
        logits: &prediction.logits,
    }
}

/// For people.
fn sentence(answers: &Answers, name: &str, prediction: &Prediction) -> String {
    let share = 100.0 * prediction.probabilities[prediction.class];
    format!("{}: {} ({share:.1} %)", escape(name, 256), escape(&answers.class_name(prediction.class), 64))
}

pub(super) fn predict(args: &PredictArgs) -> Result<(), Error> {
    let json = JsonTarget::new("--json", args.json.as_deref())?;
    let pipes = args.inputs.iter().filter(|path| path.as_path() == Path::new(PIPE)).count();
    if pipes > 0 && args.inputs.len() > 1 {
        return Err(Error::new(
            Kind::Usage,
            "- is standard input, which is answered as it comes: with nothing beside it",
        )
        .hint("ask about files in a second command"));
    }
    if pipes > 0 && args.json.is_some() && !json.is_stdout() {
        return Err(Error::new(
            Kind::Usage,
            "--json FILE is written when all is answered, and standard input has no end to wait for",
        )
        .hint("`--json - > FILE` writes a line for each row as it comes"));
    }
    let mut answers = model::answers(&args.model)?;
    // A model that reads no samples says so before any is read.
    answers.predict(&[])?;
    if pipes > 0 {
        return piped(&mut answers, json.is_stdout());
    }
    let mut all: Vec<(String, Prediction)> = Vec::new();
    for path in &args.inputs {
        let found = inputs::read(path, &answers.about)?;
        let predictions = answers.predict(&found.features)?;
        for (name, prediction) in found.names.into_iter().zip(predictions) {
            if !json.is_stdout() {
                say::line(&sentence(&answers, &name, &prediction))?;
            }
            all.push((name, prediction));
        }
    }
    let predictions: Vec<_> = all.iter().map(|(name, prediction)| answer(&answers, name, prediction)).collect();
    json.write(&json!({ "model_hash": answers.hash, "run": answers.about.run, "steps": answers.about.steps, "predictions": predictions }))
}

/// Answers each row when it is there. A row that is none is said, and ends it at the end: who has written a thousand good ones wants them.
fn piped(answers: &mut Answers, as_json: bool) -> Result<(), Error> {
    let rows = from_pipe(answers)?;
    let mut wrong: Option<String> = None;
    let complain = |why: String| -> Result<Option<String>, Error> {
        say::aside(&format!("error: {why}"))?;
        Ok(Some(why))
    };
    while let Ok(first) = rows.recv() {
        let (mut good, mut next) = (Vec::new(), Some(first));
        while let Some(row) = next {
            match row {
                Ok(row) => good.push(row),
                Err(error) => wrong = complain(error.to_string())?,
            }
            next = if good.len() < ROWS_AT_ONCE { rows.try_recv().ok() } else { None };
        }
        let features: Vec<f32> = good.iter().flat_map(|row| row.features.iter().copied()).collect();
        // Where one has no answer, each is asked about by itself: the others have one.
        let predictions: Vec<Result<Prediction, Error>> = match answers.predict(&features) {
            Ok(predictions) => predictions.into_iter().map(Ok).collect(),
            Err(_) => good.iter().map(|row| answers.predict_one(&row.features)).collect(),
        };
        for (row, prediction) in good.iter().zip(predictions) {
            let prediction = match prediction {
                Ok(prediction) => prediction,
                Err(error) if error.kind == Kind::Input => {
                    wrong = complain(format!("line {}: {}", row.line, error.message))?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let name = format!("line {}", row.line);
            let text = if as_json {
                json!(answer(answers, &name, &prediction)).to_string()
            } else {
                sentence(answers, &name, &prediction)
            };
            // As other programs in a row of pipes: whoever has read enough ends it.
            if !say::line_to_reader(&text)? {
                return Ok(());
            }
        }
    }
    let Some(wrong) = wrong else { return Ok(()) };
    Err(Error::new(Kind::Input, format!("not every row was answered; the last of those that were not: {wrong}")))
}

/// Rows, read by a thread of their own: the model answers what is there, and waits for no more.
fn from_pipe(answers: &Answers) -> Result<Receiver<Result<Row, DataError>>, Error> {
    let (shape, encoding) = (&answers.about.shape, &answers.about.encoding);
    let rows = Rows::new(BufReader::new(io::stdin()), Path::new(PIPE_SHOWN), shape, encoding);
    let mut rows = rows.map_err(|error| Error::new(Kind::Input, error))?;
    let (sender, receiver) = sync_channel(ROWS_WAITING);
    thread::spawn(move || {
        loop {
            let row = match rows.next_row() {
                Ok(Some(row)) => Ok(row),
                Ok(None) => return,
                Err(error) => Err(error),
            };
            // A pipe that is broken is so again and again.
            let is_over = matches!(row, Err(DataError::Read { .. }));
            if sender.send(row).is_err() || is_over {
                return;
            }
        }
    });
    Ok(receiver)
}

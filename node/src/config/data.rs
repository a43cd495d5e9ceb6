//! `[data]`: where samples come from, and how they are read.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use shaders::data::augment::{Augment, SHIFT_MAX};
use shaders::data::{self, CLASSES_MAX, Classes, Column, Normalize, Options, SHARE_MAX, Shares, Vocabulary};

use super::checks::{Bits, invalid, within};
use super::raw::RawData;
use crate::error::{Error, Kind};

/// Largest side of `data.size`, pixels.
pub const SIDE_MAX: u32 = 4096;
/// Most tokens that a job names.
const TOKENS_MAX: u32 = 1 << 16;

/// Where the samples come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// A set by its name.
    Embedded(String),
    /// A file or folder on this machine.
    Folder(PathBuf),
}

/// `data.classes`: how many, or their names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "must be how many classes there are, as 3, or their names, as [\"cat\", \"dog\"]")]
pub enum RawClasses {
    /// How many.
    Count(u32),
    /// Their names, in order.
    Names(Vec<String>),
}

/// How samples are read. Where the label stands is of this machine, all else of the run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// Column of the label.
    pub label: Option<String>,
    /// What the classes are.
    pub classes: Classes,
    /// Columns of a table that a model was trained on; of no job, but of whoever asks a model.
    pub columns: Vec<Column>,
    /// What is not trained on.
    pub shares: Shares,
    /// Whether numbers are normalised.
    pub normalize: Normalize,
    /// Height and width of pictures.
    pub size: Option<[u32; 2]>,
    /// How pictures change in training.
    pub augment: Augment,
    /// What the tokens of a text are.
    pub vocabulary: Vocabulary,
}

impl Reading {
    /// What a layer says.
    pub(super) fn new(raw: &RawData) -> Result<Self, Error> {
        let default = Shares::default();
        let share = |key: &str, value: Option<f32>, default: f32, least: f32| match value {
            Some(value) if !(least..=SHARE_MAX).contains(&value) => {
                Err(invalid(key, &value.to_string(), &format!("must be from {least} to {SHARE_MAX}")))
            }
            value => Ok(value.unwrap_or(default)),
        };
        let normalize = match raw.normalize.as_deref() {
            None => Normalize::Auto,
            Some(name) => match Normalize::ALL.iter().find(|(_, known, _)| *known == name) {
                Some((rule, ..)) => *rule,
                None => {
                    let known: Vec<_> = Normalize::ALL.iter().map(|(_, name, _)| format!("`{name}`")).collect();
                    let error = invalid("data.normalize", &format!("{name:?}"), "no such rule");
                    return Err(error.hint(known.join(", ")));
                }
            },
        };
        if let Some([height, width]) = raw.size {
            within("data.size", height, 1, SIDE_MAX)?;
            within("data.size", width, 1, SIDE_MAX)?;
        }
        Ok(Self {
            label: raw.label.clone(),
            classes: classes(raw.classes.clone())?,
            columns: Vec::new(),
            shares: Shares {
                validation: share("data.validation", raw.validation, default.validation, 0.0)?,
                // A part of nothing could not be evaluated on.
                test: share("data.test", raw.test, default.test, 0.001)?,
            },
            normalize,
            size: raw.size,
            augment: Augment {
                shift: within("data.shift", raw.shift.unwrap_or(0), 0, SHIFT_MAX)?,
                flip: raw.flip.unwrap_or(false),
            },
            vocabulary: vocabulary(raw.vocabulary.as_deref().unwrap_or("bytes"))?,
        })
    }

    /// For the loaders.
    #[must_use]
    pub fn options(&self, seed: u64, context: Option<usize>) -> Options {
        Options {
            label: self.label.clone(),
            classes: self.classes.clone(),
            columns: self.columns.clone(),
            shares: self.shares,
            seed,
            normalize: self.normalize,
            size: self.size,
            context,
            vocabulary: self.vocabulary.clone(),
            ..Options::default()
        }
    }

    /// Keys, values and whether they are written in a job file as they are in the canonical form. Only what is not as without it: such jobs
    /// keep their runs.
    fn keys(&self) -> Vec<(&'static str, String)> {
        let default = Self::default();
        let mut keys = Vec::new();
        match &self.classes {
            Classes::Found => {}
            Classes::Count(count) => keys.push(("classes", count.to_string())),
            Classes::Named(names) => {
                let quoted: Vec<_> = names.iter().map(|name| toml::Value::String(name.clone()).to_string()).collect();
                keys.push(("classes", format!("[{}]", quoted.join(", "))));
            }
        }
        if self.shares.test != default.shares.test {
            keys.push(("test", format!("{:?}", self.shares.test)));
        }
        if self.shares.validation != default.shares.validation {
            keys.push(("validation", format!("{:?}", self.shares.validation)));
        }
        if self.normalize != default.normalize {
            keys.push(("normalize", format!("{:?}", self.normalize.name())));
        }
        if self.vocabulary != default.vocabulary {
            keys.push(("vocabulary", format!("{:?}", self.vocabulary.name())));
        }
        if let Some([height, width]) = self.size {
            keys.push(("size", format!("[{height}, {width}]")));
        }
        if self.augment.shift > 0 {
            keys.push(("shift", self.augment.shift.to_string()));
        }
        if self.augment.flip {
            keys.push(("flip", "true".into()));
        }
        keys
    }

    /// Its part of the canonical form.
    pub(super) fn canonical(&self, line: &mut impl FnMut(&str, &dyn fmt::Display)) {
        for (key, value) in self.keys() {
            match key {
                "test" => line("data.test", &Bits(self.shares.test)),
                "validation" => line("data.validation", &Bits(self.shares.validation)),
                key => line(&format!("data.{key}"), &value),
            }
        }
    }

    /// Its part of a job file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let label = self.label.as_ref().map(|label| ("label", toml::Value::String(label.clone()).to_string()));
        label.into_iter().chain(self.keys()).map(|(key, value)| format!("{key} = {value}\n")).collect()
    }
}

fn vocabulary(name: &str) -> Result<Vocabulary, Error> {
    match name {
        "bytes" => Ok(Vocabulary::Bytes),
        "characters" => Ok(Vocabulary::Characters),
        _ => {
            let known: Vec<_> = Vocabulary::ALL.iter().map(|(name, _)| format!("`{name}`")).collect();
            Err(invalid("data.vocabulary", &format!("{name:?}"), "no such vocabulary").hint(known.join(", ")))
        }
    }
}

fn classes(raw: Option<RawClasses>) -> Result<Classes, Error> {
    Ok(match raw {
        None => Classes::Found,
        Some(RawClasses::Count(count)) => Classes::Count(within("data.classes", count, 2, TOKENS_MAX)?),
        Some(RawClasses::Names(names)) => {
            let count = u32::try_from(names.len()).unwrap_or(u32::MAX);
            within("data.classes", count, 2, CLASSES_MAX)?;
            if let Some(twice) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
                return Err(invalid("data.classes", &format!("{:?}", twice.1), "a class that is named twice"));
            }
            Classes::Named(names)
        }
    })
}

/// Where the samples come from.
pub(super) fn source(set: Option<String>, path: Option<PathBuf>) -> Result<Data, Error> {
    match (set, path) {
        (Some(_), Some(_)) => Err(Error::new(Kind::Input, "data.set and data.path are both given")
            .hint("`set` names a set that is known, `path` a file or folder: keep one of them")),
        (_, Some(path)) => Ok(Data::Folder(path)),
        (Some(set), None) if data::ALL.iter().any(|known| known.name == set) => Ok(Data::Embedded(set)),
        (set, None) => {
            let known: Vec<_> = data::ALL.iter().map(|set| format!("`{}`", set.name)).collect();
            let error = invalid("data.set", &format!("{:?}", set.unwrap_or_default()), "no such set");
            Err(error.hint(format!("{}; or `path = \"PATH\"` for data of your own", known.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::config::{Job, RawJob};

    fn reading(text: &str) -> Result<Reading, Error> {
        Ok(Job::new(RawJob::parse(&format!("[data]\n{text}"), "a")?)?.reading)
    }

    #[test]
    fn classes_of_another_type_are_told_in_words_of_a_job() {
        for text in ["classes = true", "classes = -1", "classes = [1]"] {
            let error = reading(text).unwrap_err().to_string();
            assert!(error.contains("their names") && !error.contains("RawClasses"), "{text}: {error}");
        }
    }

    #[test]
    fn what_cannot_be_read_so_is_refused_with_its_limit() {
        for (text, key) in [
            ("classes = 1", "data.classes"),
            ("classes = [\"a\", \"a\"]", "named twice"),
            ("validation = 0.9", "data.validation"),
            ("test = 0.0", "data.test"),
            ("normalize = \"some\"", "data.normalize"),
            ("vocabulary = \"words\"", "data.vocabulary"),
            ("size = [0, 4]", "data.size"),
            ("shift = 33", "data.shift"),
        ] {
            let error = reading(text).unwrap_err();
            assert!(error.message.contains(key), "{text}: {error}");
            assert_eq!(error.kind, Kind::Input);
        }
    }

    #[test]
    fn where_the_label_stands_is_of_this_machine_and_all_else_of_the_run() {
        let run = |text: &str| Job::new(RawJob::parse(&format!("[data]\n{text}"), "a").unwrap()).unwrap().run_id();
        assert_eq!(run(""), run("label = \"kind\""));
        assert_eq!(
            run(""),
            run("test = 0.1\nvalidation = 0.0\nshift = 0\nflip = false\nnormalize = \"auto\"\nvocabulary = \"bytes\"")
        );
        for text in [
            "classes = 3",
            "classes = [\"a\", \"b\"]",
            "test = 0.2",
            "validation = 0.1",
            "normalize = \"none\"",
            "vocabulary = \"characters\"",
            "size = [8, 8]",
            "shift = 1",
            "flip = true",
        ] {
            assert_ne!(run(""), run(text), "{text}");
        }
    }
}

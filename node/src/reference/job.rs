//! `job.md`: keys, types and meanings are those of `config::raw`; values, choices and their words are those of the template that
//! `job init` writes; defaults, ranges and whether a key is part of the run are found out by asking [`Job::new`].

use std::collections::BTreeSet;
use std::fmt::Write as _;

use toml::{Table, Value};

use crate::config::raw::{Key, RawData, RawGossip, RawModel, RawOptimizer, RawSwarm, RawTraining, RawTrust};
use crate::config::{Job, RawJob, template};
use crate::error::Error;

/// The sections in the order of the template, and what each is about.
const SECTIONS: &[(&str, &str, &[Key])] = &[
    ("swarm", "who may join", RawSwarm::KEYS),
    ("model", "what is trained", RawModel::KEYS),
    ("data", "on what", RawData::KEYS),
    ("optimizer", "how a peer steps", RawOptimizer::KEYS),
    ("gossip", "how progress is shared", RawGossip::KEYS),
    ("trust", "who is believed", RawTrust::KEYS),
    ("training", "how far", RawTraining::KEYS),
];
/// What else a job says where a key belongs to a kind of something: the first that allows the key is named in the table.
const CONTEXTS: &[(&str, &str)] = &[
    ("", ""),
    ("kind = \"cnn\"", "[model]\nkind = \"cnn\""),
    ("kind = \"lm\"", "[model]\nkind = \"lm\"\n[data]\npath = \"x.txt\""),
    ("kind = \"adamw\"", "[optimizer]\nkind = \"adamw\""),
    ("schedule = \"cosine\"", "[optimizer]\nschedule = \"cosine\"\ntotal_samples = 1000"),
    ("mode = \"full_sync\"", "[gossip]\nmode = \"full_sync\""),
    ("mode = \"pairwise\"", "[gossip]\nmode = \"pairwise\""),
    ("partner = \"fixed\"", "[gossip]\npartner = \"fixed\"\npartner_graph = [[\"ID0\", \"ID1\"]]"),
];
/// Values of each type of TOML that are tried in place of the template's, to see whether a run depends on a key.
const OTHERS: &[&str] = &[
    "2",
    "16",
    "64",
    "\"dirichlet:0.1\"",
    "3",
    "0.25",
    "0.5",
    "true",
    "false",
    "\"a\"",
    "\"b\"",
    "[3]",
    "[5]",
    "[8, 8]",
    "[9, 9]",
    "[\"ID0\"]",
    "[\"ID1\"]",
    "[[\"ID0\", \"ID1\"]]",
    "[[\"ID1\", \"ID2\"]]",
    "\"KEY\"",
];
/// Values that no key takes, to be told its limits.
const BEYOND: &[&str] = &["4294967295", "9223372036854775807", "0", "-1.0", "1e30", "\"?\""];
/// The same for lists: too long, and with elements out of range.
const BEYOND_LISTS: &[(&str, usize)] = &[("4294967295", 1), ("0", 1), ("1", 1000), ("\"ID0\"", 5000)];

/// What the template shows of a key.
#[derive(Default)]
struct Shown {
    value: String,
    choices: Vec<(String, String)>,
}

#[test]
fn the_reference_of_the_job_file_is_what_the_code_takes() {
    let template = template("flock", Some([7; 32]));
    let mut text = String::from(
        "# Job file\n\nA job says what a swarm trains, and is its invitation. `starling job init` writes one with every key explained; \
         what is left out has its default. `starling job show FILE` spells a job out, `starling job check FILE` checks it and its data.\n\n\
         *Same* says whether all peers of a run must have the same value (`run`): peers whose values differ are of different runs \
         and do not meet. Each `machine` may have its own value of the others.\n\n\
         Ids are 64 hex digits (`starling id show`). A key that is unknown, or that belongs to a kind which the job has not, is an error.\n",
    );
    for (section, about, keys) in SECTIONS {
        let _ = writeln!(text, "\n## [{section}]: {about}\n");
        let _ = writeln!(text, "| key | type | default | range | same | meaning |\n|---|---|---|---|---|---|");
        let mut choices = String::new();
        for key in *keys {
            let mut shown = shown(&template, section, key.name);
            let _ = writeln!(text, "{}", row(section, key, &mut shown));
            if !shown.choices.is_empty() {
                let _ = writeln!(choices, "\n`{}`:\n", key.name);
                for (name, about) in &shown.choices {
                    let _ = writeln!(choices, "- `{name}`: {about}");
                }
            }
        }
        text.push_str(&choices);
    }
    super::check("job.md", &text);
}

/// A line of the table; choices that the template does not explain are added to what is shown.
fn row(section: &str, key: &Key, shown: &mut Shown) -> String {
    let id = format!("{section}.{}", key.name);
    let accepted = |context: &str, value: &str| with(context, section, key.name, value).ok();
    let simple: Vec<&str> = [shown.value.as_str()].into_iter().chain(OTHERS.iter().copied()).collect();
    let (words, context) = CONTEXTS
        .iter()
        .find(|(_, context)| simple.iter().any(|value| !value.is_empty() && accepted(context, value).is_some()))
        .unwrap_or_else(|| panic!("{id}: no value of it is accepted; what else must a job say? CONTEXTS"));
    let mut range = range(context, section, key);
    if range.contains(": ") {
        // Forms with an explanation each, as those of a split: they have room below the table.
        let forms = range.split("; ").filter_map(|form| form.split_once(": "));
        shown.choices = forms.map(|(form, about)| (form.to_owned(), about.to_owned())).collect();
        range = "see below".to_owned();
    }
    let named = range.split('`').skip(1).step_by(2).map(|name| format!("{name:?}"));
    let values: Vec<String> = simple.iter().map(|value| (*value).to_owned()).chain(named).collect();
    // A kind that wants more than its name has a context of its own.
    let own = format!("[{section}]\n{} = ", key.name);
    let contexts = CONTEXTS.iter().filter(|(_, context)| !shown.choices.is_empty() && context.starts_with(&own));
    let jobs = values.iter().filter_map(|value| accepted(context, value));
    let jobs = jobs.chain(contexts.filter_map(|(_, context)| with(context, section, "", "").ok()));
    let runs: BTreeSet<_> = jobs.map(|job| job.run_id().0).collect();
    let without = with(context, section, "", "").ok().map(|job| format!("{job:?}"));
    let is_default =
        |value: &&str| accepted(context, value).map(|job| format!("{job:?}")) == without && without.is_some();
    let default = [shown.value.as_str(), "0", "false"].into_iter().find(is_default);
    super::row(&[
        &format!("`{}`", key.name),
        kind(&id, key.kind),
        &default.map_or_else(|| "-".to_owned(), |value| format!("`{value}`")),
        &range,
        if runs.len() > 1 { "run" } else { "machine" },
        &format!("{}{}", key.about.trim(), if words.is_empty() { String::new() } else { format!(" With `{words}`.") }),
    ])
}

/// Names of types, for people.
fn kind(id: &str, kind: &str) -> &'static str {
    match kind.replace(' ', "").as_str() {
        "String" => "text",
        "PathBuf" => "path",
        "bool" => "`true`, `false`",
        "u32" | "u64" => "whole number",
        "f32" | "f64" => "number",
        "Vec<u32>" => "list of whole numbers",
        "[u32;2]" => "`[H, W]`",
        "Vec<PeerId>" => "list of ids",
        "Vec<(PeerId,PeerId)>" => "list of pairs of ids",
        "RawClasses" => "whole number, or list of texts",
        "RawClassWeights" => "`\"balanced\"`, or list of numbers",
        "Loss" | "NormKind" | "ActivationKind" | "Mode" | "MergeRule" | "PartnerRule" | "Distance" | "TriggerRule"
        | "Precision" => "name",
        other => panic!("{id}: how is the type {other} called in the reference?"),
    }
}

/// The limits that the code names when it refuses a value.
fn range(context: &str, section: &str, key: &Key) -> String {
    let id = format!("{section}.{}", key.name);
    let lists = BEYOND_LISTS.iter().map(|(value, times)| format!("[{}]", vec![*value; *times].join(", ")));
    let values = BEYOND.iter().map(|value| (*value).to_owned()).chain(lists);
    let mut limits: Vec<String> = Vec::new();
    for value in values {
        let Err(error) = with(context, section, key.name, &value) else { continue };
        let Some(limit) = limit(&id, &error) else { continue };
        if !limits.contains(&limit) {
            limits.push(limit);
        }
    }
    limits.join("; ")
}

/// "must be from 1 to 5", or the choices of a hint, from what the code says against a value of this key.
fn limit(id: &str, error: &Error) -> Option<String> {
    if let Some((_, known)) = error.message.split_once("unknown variant `?`, expected ") {
        return Some(known.lines().next()?.trim_start_matches("one of ").to_owned());
    }
    let why = error.message.strip_prefix(id)?.split_once(" = ")?.1;
    if why.starts_with("\"?\":") {
        return Some(error.hint.clone().unwrap_or_default());
    }
    let why = why.split_once(": ")?.1;
    why.strip_prefix("must be ").or_else(|| why.starts_with("at most").then_some(why)).map(str::to_owned)
}

/// The job of a context with one more key, or a value in place of the context's.
fn with(context: &str, section: &str, key: &str, value: &str) -> Result<Job, Error> {
    let named = |text: &str| {
        let ids =
            (0..3).fold(text.to_owned(), |text, i| text.replace(&format!("ID{i}"), &format!("{i}{}", "a".repeat(63))));
        ids.replace("\"ID\", \"ID\"", &format!("\"{}\", \"{}\"", "b".repeat(64), "c".repeat(64)))
            .replace("KEY", &"7".repeat(64))
    };
    let wrong = |error: toml::de::Error| Error::new(crate::error::Kind::Input, error.to_string());
    let mut job: Table = named(context).parse().map_err(wrong)?;
    let keys = job.entry(section).or_insert_with(|| Value::Table(Table::new())).as_table_mut().unwrap();
    if !key.is_empty() {
        let line: Table = named(&format!("{key} = {value}")).parse().map_err(wrong)?;
        keys.extend(line);
    }
    Job::new(RawJob::parse(&job.to_string(), "a job")?)
}

/// What the template says of a key: its value, commented out or not, and the names that stand above it.
fn shown(template: &str, section: &str, key: &str) -> Shown {
    let lines = template.lines().skip_while(|line| *line != format!("[{section}]")).skip(1);
    let mut shown = Shown::default();
    for line in lines.take_while(|line| !line.starts_with('[')) {
        let words = line.trim_start_matches('#').trim();
        if let Some(value) = words.strip_prefix(key).and_then(|rest| rest.strip_prefix(" = ")) {
            shown.value = value.to_owned();
            return shown;
        }
        if let Some((name, about)) = line.strip_prefix("#   ").and_then(|line| line.split_once(' ')) {
            shown.choices.push((name.to_owned(), about.trim().to_owned()));
        } else if !line.starts_with("# ") || words.split(' ').nth(1) == Some("=") {
            // Another key: what stood above it is of that key.
            shown.choices.clear();
        }
    }
    // It stands within a sentence, as `path` does, or nowhere.
    Shown::default()
}

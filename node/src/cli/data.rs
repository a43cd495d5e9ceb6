//! `starling data show|ls`.

use std::fmt::Write as _;
use std::path::Path;

use shaders::data::summary::{self, Picture, Summary};
use shaders::data::{self, Dataset, Options};

use super::args::{DataCommand, DataShowArgs};
use super::files::{JsonTarget, TextTarget};
use super::say;
use crate::error::{Error, Kind};
use crate::text::escape;

/// Window of a text where none is named.
const CONTEXT_DEFAULT: usize = 64;
/// Ends of names of what is shown as a text.
const TEXT_ENDS: [&str; 5] = [".txt", ".txt.gz", ".bin", ".u16", ".tokens"];
/// Longest bar of a class, characters.
const BAR: usize = 30;
/// Classes that a person reads.
const CLASSES_SHOWN: usize = 30;
/// Columns of a terminal that pictures fill.
const TERMINAL: usize = 100;
/// Widest picture that is drawn; a wider one is drawn in every second or third pixel.
const PICTURE_WIDTH: usize = 28;
/// Shades from dark to light.
const SHADES: &[u8] = b" .:-=+*#%@";
/// Characters of a text that are shown.
const TEXT_CHARS: usize = 400;

pub(super) fn run(command: &DataCommand) -> Result<(), Error> {
    match command {
        DataCommand::Show(args) => show(args),
        DataCommand::Ls => list(),
    }
}

fn list() -> Result<(), Error> {
    say::line("sets ([data] set = NAME)")?;
    for set in data::ALL {
        let there = if set.is_there() { "" } else { "  (not installed)" };
        say::line(&format!("  {:<14} {}{there}", set.name, set.about))?;
    }
    say::line("formats (--data PATH, [data] path = PATH), told by content")?;
    for (name, about) in data::FORMATS {
        say::line(&format!("  {name:<14} {about}"))?;
    }
    Ok(())
}

fn png_target(path: &Path) -> Result<TextTarget, Error> {
    if path.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("png")) {
        return Err(
            Error::new(Kind::Usage, format!("--png {}: no such form", path.display())).hint("a name that ends in .png")
        );
    }
    TextTarget::new("--png", path)
}

fn show(args: &DataShowArgs) -> Result<(), Error> {
    let json = JsonTarget::new("--json", args.json.as_deref())?;
    let png = args.png.as_deref().map(png_target).transpose()?;
    let (dataset, is_text) = load(args)?;
    let failed = |error| Error::new(Kind::Input, error);
    let summary = Summary::of(&dataset).map_err(failed)?;
    json.write(&summary)?;
    if let Some(png) = png {
        let picture = summary::montage(&dataset).map_err(failed)?;
        let picture = picture.ok_or_else(|| {
            Error::new(Kind::Usage, format!("--png: the samples are {:?}, no pictures", dataset.shape))
                .hint("leave it out")
        })?;
        png.write_bytes(&picture)?;
    }
    if json.is_stdout() {
        return Ok(());
    }
    say::whole(&described(&summary, is_text))?;
    if is_text {
        return say::whole(&excerpt(&dataset)?);
    }
    for pictures in summary::pictures(&dataset, 1).map_err(failed)?.chunks(TERMINAL / (PICTURE_WIDTH + 1)) {
        let row: Vec<&Picture> = pictures.iter().flatten().collect();
        say::whole(&drawn(&row))?;
    }
    Ok(())
}

/// The set of that name, or what is at that path; and whether it is a text.
fn load(args: &DataShowArgs) -> Result<(Dataset, bool), Error> {
    let name = args.what.to_string_lossy();
    let known = data::ALL.iter().any(|set| set.name == name) && !args.what.exists();
    let is_text = args.context.is_some()
        || (known && data::ALL.iter().any(|set| set.name == name && set.is_text()))
        || TEXT_ENDS.iter().any(|end| name.ends_with(end));
    let options = Options {
        label: args.label.clone(),
        size: args.size,
        context: is_text.then(|| args.context.map_or(CONTEXT_DEFAULT, |context| context as usize)),
        // Who looks at data wants to see what is wrong with them.
        one_label: true,
        ..Options::default()
    };
    let loaded = if known { data::named(&name, &options) } else { data::open(Path::new(&*name), &options) };
    let dataset = loaded.map_err(|error| {
        let error = Error::new(Kind::Input, error);
        if args.what.exists() || known {
            error
        } else {
            error.hint("`starling data ls` lists the sets that have a name")
        }
    })?;
    Ok((dataset, is_text))
}

fn described(summary: &Summary, is_text: bool) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(text, "{name:<11}{value}");
    };
    line("set", &escape(&summary.name, 200));
    line("sample", &format_args!("{:?}", summary.shape));
    let [low, high, mean] = summary.range;
    if is_text {
        line("tokens", &summary.classes);
    } else {
        line("classes", &summary.classes);
        let how = if summary.normalized { ", normalised by the training part" } else { "" };
        line("numbers", &format_args!("{low:.3} to {high:.3}, mean {mean:.3}{how}"));
    }
    if summary.streamed {
        line("memory", &"rows stay in the file and are read when they are needed");
    }
    for part in &summary.parts {
        line(part.name, &format_args!("{} {}", part.samples, if is_text { "windows" } else { "samples" }));
    }
    for (name, values) in &summary.columns {
        let shown = if values.is_empty() { "numbers".to_owned() } else { format!("one of {}", values.join(", ")) };
        line("column", &format_args!("{}: {}", escape(name, 80), escape(&shown, 200)));
    }
    if !is_text && let Some(train) = summary.parts.first() {
        let most = train.balance.iter().copied().max().unwrap_or(1).max(1);
        for class in 0..summary.classes.min(CLASSES_SHOWN) {
            let count = train.balance.get(class).copied().unwrap_or(0);
            let name = summary.class_names.get(class).cloned().unwrap_or_else(|| class.to_string());
            let bar = "#".repeat((count * BAR).div_ceil(most));
            line("class", &format_args!("{:<16} {count:>8}  {bar}", escape(&name, 40)));
        }
        if summary.classes > CLASSES_SHOWN {
            line("", &format_args!("and {} more classes", summary.classes - CLASSES_SHOWN));
        }
    }
    text
}

/// The beginning of a text of bytes.
fn excerpt(dataset: &Dataset) -> Result<String, Error> {
    if dataset.classes > data::text::VOCABULARY {
        return Ok(String::new());
    }
    let (mut bytes, mut rows) = (Vec::new(), Vec::new());
    for i in 0..dataset.train.len() {
        rows.clear();
        let row = dataset.train.features.read_range(dataset.features(), i..i + 1, &mut rows);
        row.map_err(|error| Error::new(Kind::Input, error))?;
        // The last token of a window is the first of the next one.
        bytes.extend(rows.iter().take(dataset.features() - 1).map(|&token| token as u8));
        if bytes.len() >= TEXT_CHARS {
            break;
        }
    }
    bytes.truncate(TEXT_CHARS);
    let text = crate::text::escape_lines(&String::from_utf8_lossy(&bytes));
    Ok(format!("begins     {}\n", text.replace('\n', "\n           ")))
}

/// Pictures side by side, two rows of pixels a line.
fn drawn(pictures: &[&Picture]) -> String {
    let mut text = String::new();
    let step = |picture: &Picture| picture.first().map_or(1, |line| line.len().div_ceil(PICTURE_WIDTH)).max(1);
    let lines = pictures.iter().map(|picture| picture.len().div_ceil(2 * step(picture))).max().unwrap_or(0);
    for line in 0..lines {
        for picture in pictures {
            let step = step(picture);
            let width = picture.first().map_or(0, Vec::len);
            for x in (0..width).step_by(step) {
                let rows = [2 * line * step, (2 * line + 1) * step];
                let values = rows.iter().filter_map(|&y| picture.get(y)).map(|row| row[x].iter().sum::<f32>() / 3.0);
                let (sum, count) = values.fold((0.0, 0.0f32), |(sum, count), value| (sum + value, count + 1.0));
                let shade = (sum / count.max(1.0) * (SHADES.len() - 1) as f32).round() as usize;
                text.push(char::from(SHADES[shade.min(SHADES.len() - 1)]));
            }
            text.push(' ');
        }
        text.push('\n');
    }
    text.push('\n');
    text
}

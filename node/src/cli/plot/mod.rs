//! `starling plot RUN...`: curves of runs beside each other, weights of checkpoints, as SVG or PNG.

mod read;
mod weights;

use std::path::Path;

use sim::report::drawing::Drawing;
use sim::report::plot::{self, RUNS_MAX};

use super::args::PlotArgs;
use super::files::TextTarget;
use super::say;
use crate::error::{Error, Kind};
use crate::store::checkpoint;
use crate::text::escape;

/// Longest name of a run, characters.
const NAME_CHARS_MAX: usize = 80;

/// What is written.
#[derive(Clone, Copy, Debug)]
enum Form {
    Svg,
    Png,
}

pub(super) fn run(args: &PlotArgs) -> Result<(), Error> {
    let form = match args.out.extension().and_then(|extension| extension.to_str()) {
        Some("svg") => Form::Svg,
        Some("png") => Form::Png,
        _ => {
            return Err(Error::new(Kind::Usage, format!("--out {}: no such form", args.out.display()))
                .hint("a name that ends in .svg or .png"));
        }
    };
    let target = TextTarget::new("--out", &args.out)?;
    let drawing = drawing(args)?;
    let bytes = match form {
        Form::Svg => drawing.svg().into_bytes(),
        Form::Png => drawing.png(f64::from(args.scale)).map_err(|error| {
            Error::new(Kind::Usage, error).hint("a smaller --scale, fewer runs, or .svg, which has no pixels")
        })?,
    };
    target.write_bytes(&bytes)?;
    say::line(&format!("{}: {}, {} bytes", args.out.display(), escape(&drawing.title, 400), bytes.len()))
}

fn drawing(args: &PlotArgs) -> Result<Drawing, Error> {
    let (mut runs, mut models) = (Vec::new(), Vec::new());
    for (path, name) in args.runs.iter().zip(names(args)) {
        if path.is_dir() {
            let found = checkpoint::latest(path)?;
            for why in &found.damaged {
                say::aside(&format!("warning: {why}: the one before is used"))?;
            }
            models.push(weights::draw(&checkpoint::model(&found)?, &name));
        } else {
            runs.extend(read::runs(path, &name)?);
        }
    }
    let all = runs.len();
    if all > RUNS_MAX {
        return Err(Error::new(
            Kind::Usage,
            format!("{all} runs, and {RUNS_MAX} at most are told apart in one picture"),
        )
        .hint("fewer files; of a scenario, `sim --virtual --variant NAME`"));
    }
    let curves = plot::curves(&runs, args.x);
    if curves.is_none() && !runs.is_empty() {
        let known = plot::Across::ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        return Err(Error::new(Kind::Usage, "no run has figures over what --x names")
            .hint(format_args!("one of {known}; virtual peers and metrics do not have them all")));
    }
    Ok(below(curves.into_iter().chain(models)))
}

/// One below the other on one sheet.
fn below(parts: impl Iterator<Item = Drawing>) -> Drawing {
    let mut sheet = Drawing::new(0.0, 0.0, "");
    for part in parts {
        let title =
            if sheet.title.is_empty() { part.title.clone() } else { format!("{}; {}", sheet.title, part.title) };
        let (width, height) = (sheet.width.max(part.width), sheet.height + part.height);
        let y = sheet.height;
        sheet.paste([0.0, y], part);
        (sheet.width, sheet.height, sheet.title) = (width, height, title);
    }
    sheet
}

/// What the runs are called: their files without folder and extension, or with them where two are called alike.
fn names(args: &PlotArgs) -> Vec<String> {
    let text =
        |name: Option<&std::ffi::OsStr>| name.map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let short = |path: &Path| text(if path.is_dir() { path.file_name() } else { path.file_stem() });
    let called = |path: &Path| {
        let name = short(path);
        let alike = args.runs.iter().filter(|other| short(other) == name).count();
        let name = if alike > 1 || name.is_empty() { path.display().to_string() } else { name };
        escape(&name, NAME_CHARS_MAX)
    };
    args.runs.iter().map(|path| called(path)).collect()
}

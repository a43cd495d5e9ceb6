//! What a run keeps and what it goes on from: folders, chains and lives, before a peer lives.

use std::path::{Path, PathBuf};

use protocol::Standing;
use protocol::id::PeerId;
use protocol::learner::{Saved, Weights};
use shaders::data::Column;

use super::args::{EVERY_DEFAULT, KEEP_DEFAULT, Keeping};
use crate::driver::Checkpoints;
use crate::error::{Error, Kind};
use crate::store::checkpoint::chain::Chain;
use crate::store::checkpoint::{self, About, Course, Folder, Fork, Keeper, Name, Resume, Trend};
use crate::text::escape;

/// A checkpoint to go on from.
pub(super) struct Earlier {
    pub(super) learner: Saved,
    pub(super) standing: Standing,
    pub(super) course: Course,
    /// What its model is.
    about: About,
    /// What the user should know.
    pub(super) notes: Vec<String>,
    /// Its folder of checkpoints.
    dir: PathBuf,
    name: Name,
}

/// What `--resume` names, if it is of this run.
pub(super) fn earlier(keeping: &Keeping, run: &str, job: &str) -> Result<Option<Earlier>, Error> {
    let Some(dir) = &keeping.resume else { return Ok(None) };
    let found = checkpoint::latest(dir)?;
    let mut notes: Vec<String> =
        found.damaged.iter().map(|why| format!("WARNING: {why}: the one before it is used")).collect();
    let Resume { learner, standing, course, run: theirs, about, path } = checkpoint::resume(&found)?;
    if theirs != run {
        let message = format!("{} is of run {}, this job's is {}", path.display(), short(&theirs), short(run));
        return Err(Error::new(Kind::Input, message).hint(difference(&about.job, job)));
    }
    notes.push(format!("going on from {}: {} steps, {} epochs", path.display(), standing.steps, standing.epochs));
    // One that was taken out of the row comes behind all of as many steps.
    let name = path.file_name().and_then(|name| name.to_str()).and_then(Name::parse);
    let name = name.unwrap_or(Name { steps: standing.steps, again: u32::MAX });
    // A checkpoint itself may be named; further ones lie beside it.
    let dir = if path == *dir { path.parent().map_or_else(|| ".".into(), Path::to_path_buf) } else { dir.clone() };
    Ok(Some(Earlier { learner, standing, course, about, notes, dir, name }))
}

/// An error where a peer that gossips would go on from a life that did not: what was learnt lies in weights of its own, and its base, which
/// a swarm shares, is where it began.
pub(super) fn refuse_own_weights(earlier: Option<&Earlier>) -> Result<(), Error> {
    let Some(Earlier { about, dir, .. }) = earlier else { return Ok(()) };
    if about.which() != Weights::Local {
        return Ok(());
    }
    let message = "the checkpoint is of a peer that trained alone (--no-gossip): no swarm has its model";
    Err(Error::new(Kind::Input, message).hint(format!(
        "--no-gossip goes on with it; --init {} without --resume begins a swarm with its weights",
        dir.display()
    )))
}

/// An error where a job's data are others than those that its checkpoint was trained on, as far as the model shows it; a run's name does not
/// say what lies at a path.
pub(super) fn refuse_other_data(earlier: Option<&Earlier>, ours: &About) -> Result<(), Error> {
    let Some(Earlier { about: theirs, .. }) = earlier else { return Ok(()) };
    let names = |about: &About| {
        let columns = about.encoding.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
        let columns = if columns.is_empty() { String::new() } else { format!(" (columns {})", escape(&columns, 200)) };
        format!("samples of {:?}{columns} in {} classes", about.shape, about.classes)
    };
    let Some(difference) = first_difference(theirs, ours) else { return Ok(()) };
    let message = format!(
        "the checkpoint was trained on other data: on {} with {}; {} here has {}: {difference}",
        escape(&theirs.data, 200),
        names(theirs),
        escape(&ours.data, 200),
        names(ours)
    );
    Err(Error::new(Kind::Input, message)
        .hint("--data PATH (data.path) names those that it was trained on; without --resume a new model is begun"))
}

/// Where the numbers of two data sets first mean something else. A checkpoint of an older release has no columns and no characters.
fn first_difference(theirs: &About, ours: &About) -> Option<String> {
    if theirs.shape != ours.shape {
        return Some(format!("samples of {:?} there, of {:?} here", theirs.shape, ours.shape));
    }
    if theirs.classes != ours.classes {
        return Some(format!("{} classes there, {} here", theirs.classes, ours.classes));
    }
    let differ = |what: String, theirs: &str, ours: &str| {
        format!("{what} is \"{}\" there, \"{}\" here", escape(theirs, 80), escape(ours, 80))
    };
    let columns = [theirs, ours].map(|about| &about.encoding.columns);
    let spelled = |column: Option<&Column>| match column {
        None => "none".to_owned(),
        Some(column) if column.values.is_empty() => format!("{} (numbers)", column.name),
        Some(column) => format!("{} (one of {})", column.name, column.values.join(", ")),
    };
    let known = if columns[0].is_empty() { 0 } else { columns[0].len().max(columns[1].len()) };
    for at in 0..known {
        let [theirs, ours] = columns.map(|columns| columns.get(at));
        if theirs != ours {
            return Some(differ(format!("column {at}"), &spelled(theirs), &spelled(ours)));
        }
    }
    let characters = [theirs, ours].map(|about| about.encoding.characters.chars().collect::<Vec<char>>());
    let known = if characters[0].is_empty() { 0 } else { characters[0].len().max(characters[1].len()) };
    for at in 0..known {
        let [theirs, ours] = [&characters[0], &characters[1]].map(|characters| characters.get(at));
        if theirs != ours {
            let [theirs, ours] = [theirs, ours].map(|character| character.map_or_else(String::new, char::to_string));
            return Some(differ(format!("character {at}"), &theirs, &ours));
        }
    }
    // A class without a name is called by its number.
    let called =
        |about: &About, class: usize| about.class_names.get(class).cloned().unwrap_or_else(|| class.to_string());
    (0..theirs.class_names.len().max(ours.class_names.len()))
        .map(|class| (class, called(theirs, class), called(ours, class)))
        .find(|(_, theirs, ours)| theirs != ours)
        .map(|(class, theirs, ours)| differ(format!("class {class}"), &theirs, &ours))
}

fn short(run: &str) -> &str {
    &run[..run.len().min(8)]
}

/// The first key in which two jobs differ.
fn difference(theirs: &[String], ours: &str) -> String {
    let missing = |of: &[String], from: &[String]| of.iter().find(|line| !from.contains(line)).cloned();
    let ours: Vec<String> = ours.lines().map(str::to_owned).collect();
    let hint = "give the --job (and --init) that it was written with";
    match (missing(theirs, &ours), missing(&ours, theirs)) {
        (Some(theirs), Some(ours)) => format!("{hint}: there {theirs}, here {ours}"),
        (Some(theirs), None) => format!("{hint}: there {theirs}, here nothing of it"),
        (None, Some(ours)) => format!("{hint}: here {ours}, there nothing of it"),
        (None, None) => format!("{hint}: the two have other swarm keys"),
    }
}

/// Which life begins: that of the checkpoint, where its chain may go on, else a new one, higher than all that this peer has had.
pub(super) fn incarnation(now: u64, us: PeerId, earlier: Option<&Earlier>, chain: &Chain) -> u64 {
    let Some(Earlier { standing, course, .. }) = earlier else { return now };
    if standing.origin.peer == us && chain.goes_on(standing, *course) {
        return standing.origin.incarnation;
    }
    let lives = standing.heads.iter().map(|head| head.origin).chain([standing.origin]);
    let last = lives.filter(|origin| origin.peer == us).map(|origin| origin.incarnation).max().unwrap_or(0);
    now.max(last.saturating_add(1))
}

/// The checkpoints that are asked for. Where there are none, a peer that `speaks` to others leaves nothing behind that an earlier life could go
/// on from: that one would speak after a later life, as two processes with one key do.
pub(super) fn checkpoints(
    keeping: &Keeping,
    earlier: Option<&Earlier>,
    about: About,
    mut chain: Chain,
    branch: u64,
    speaks: bool,
) -> Result<Option<Checkpoints>, Error> {
    let Some(dir) = keeping.checkpoint.as_ref().or(earlier.map(|earlier| &earlier.dir)) else {
        let flags = [("--checkpoint-every", keeping.checkpoint_every.is_some()), ("--keep", keeping.keep.is_some())];
        return match flags.iter().find(|(_, given)| *given) {
            Some((flag, _)) => Err(Error::new(Kind::Usage, format!("{flag}: no checkpoint is written"))
                .hint("--checkpoint DIR names the folder")),
            None if speaks => chain.give_up().map(|()| None),
            None => Ok(None),
        };
    };
    let same = |earlier: &Earlier| match (earlier.dir.canonicalize(), dir.canonicalize()) {
        (Ok(theirs), Ok(ours)) => theirs == ours,
        _ => false,
    };
    let from = earlier.filter(|earlier| same(earlier)).map(|earlier| earlier.name);
    let folder = Folder::open(dir, about, keeping.keep.unwrap_or(KEEP_DEFAULT), from)?;
    let trend = earlier.map_or(Trend::default(), |earlier| earlier.course.trend);
    let fork = earlier.map(|earlier| Fork {
        branch: earlier.course.branch,
        steps: earlier.standing.steps,
        said: earlier.standing.said(),
    });
    let every = keeping.checkpoint_every.unwrap_or(EVERY_DEFAULT);
    Ok(Some(Checkpoints::new(Keeper::start(folder), every, chain, Course { branch, trend }, fork)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use shaders::models::ModelSpec;

    use super::*;

    fn about(columns: &[(&str, &[&str])], class_names: &[&str], characters: &str) -> About {
        let model = ModelSpec::Mlp { hidden: Vec::new() };
        let network = model.build(&[2], 3).unwrap();
        let mut about = About::new(String::new(), Vec::new(), model, &network, vec![2], "table.csv".to_owned());
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        about.class_names = texts(class_names);
        about.encoding.columns =
            columns.iter().map(|(name, values)| Column { name: (*name).to_owned(), values: texts(values) }).collect();
        about.encoding.characters = characters.to_owned();
        about
    }

    #[test]
    fn data_that_mean_something_else_are_told_by_the_first_difference() {
        let soil: &[(&str, &[&str])] = &[("size", &[]), ("soil", &["dry", "wet"])];
        let ours = about(soil, &["a", "b", "c"], "abc");
        assert_eq!(first_difference(&ours, &ours), None);
        let long = "x".repeat(100);
        for (theirs, told) in [
            (about(&soil[..1], &["a", "b", "c"], "abc"), "column 1 is \"none\" there, \"soil (one of dry, wet)\" here"),
            (
                about(&[("size", &[]), ("soil", &["dry", "mud"])], &["a", "b", "c"], "abc"),
                "column 1 is \"soil (one of dry, mud)\" there, \"soil (one of dry, wet)\" here",
            ),
            (about(soil, &["a", "c", "b"], "abc"), "class 1 is \"c\" there, \"b\" here"),
            (about(soil, &[], "abc"), "class 0 is \"0\" there, \"a\" here"),
            (about(soil, &["a", "b", "c"], "ab\n"), "character 2 is \"\\n\" there, \"c\" here"),
            (about(soil, &["a", "b", "c"], "ab"), "character 2 is \"\" there, \"c\" here"),
        ] {
            assert_eq!(first_difference(&theirs, &ours).as_deref(), Some(told));
        }
        let [one, two] = ["1", "2"].map(|end| about(&[], &[&format!("{long}{end}")], ""));
        assert!(first_difference(&one, &two).is_some(), "what is cut off for show is compared");
        // Of an older release, and numbers that are names.
        let [older, plain] = [about(&[], &["a", "b", "c"], ""), about(&[], &[], "")];
        assert_eq!(first_difference(&older, &ours), None);
        assert_eq!(first_difference(&plain, &about(&[], &["0", "1", "2"], "")), None);
    }
}

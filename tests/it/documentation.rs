//! The documentation tells the truth: its links lead somewhere, its book is whole, its commands do what they say.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser as _;
use clap::error::ErrorKind;
use harness::cli;
use harness::documented::script::Shell;
use harness::documented::table::{COMMANDS, Change, How, SCRIPTS, filled_in, shortened};
use harness::documented::{Block, blocks, links, pages, root, words};
use node::cli::args::Cli;

/// Generous: the machine may be busy with other tests.
const DEADLINE: Duration = Duration::from_secs(120);

/// Every block of commands of the documentation.
fn all_blocks() -> Vec<Block> {
    pages().iter().flat_map(blocks).collect()
}

#[test]
fn every_link_of_the_documentation_leads_somewhere() {
    let broken = links::broken(&pages());
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_job_of_the_documentation_is_one() {
    let home = tempfile::tempdir().unwrap();
    let files = fs::read_dir(root().join("docs/jobs")).unwrap().map(|entry| entry.unwrap().path());
    let mut jobs: Vec<PathBuf> = files.collect();
    assert!(jobs.len() >= 4, "{jobs:?}");
    for page in pages() {
        let text = fs::read_to_string(root().join(&page.path)).unwrap();
        for (i, rest) in text.split("```toml\n").skip(1).enumerate() {
            let name = page.path.file_stem().unwrap().to_str().unwrap();
            let path = home.path().join(format!("{name}-{i}.toml"));
            fs::write(&path, rest.split("```").next().unwrap()).unwrap();
            jobs.push(path);
        }
    }
    for job in jobs {
        cli::run(home.path(), &["job", "show", job.to_str().unwrap()], DEADLINE).assert_succeeds();
    }
}

#[test]
fn every_page_is_in_the_book() {
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let listed: BTreeSet<&str> = summary.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    let pages = pages();
    let there: BTreeSet<&str> = pages
        .iter()
        .filter_map(|page| page.path.strip_prefix("docs").ok()?.to_str())
        .filter(|path| *path != "SUMMARY.md")
        .collect();
    assert_eq!(listed, there, "docs/SUMMARY.md lists the pages below docs/");
}

/// The words of a command of ours, as they follow `starling`.
fn ours(command: &str) -> Option<Vec<String>> {
    let words = words(command);
    let starts = [&["starling"][..], &["cargo", "run", "--release", "--"], &["sudo", "target/release/starling"]];
    let start = starts.iter().find(|start| words.len() >= start.len() && words[..start.len()] == ***start)?;
    Some(words[start.len()..].to_vec())
}

#[test]
fn every_documented_command_has_an_entry_and_is_read_by_our_parser() {
    let shown: BTreeSet<(String, String)> = all_blocks()
        .iter()
        .filter(|block| !SCRIPTS.contains(&block.page.to_str().unwrap()))
        .flat_map(|block| {
            let place = format!("{}:{}", block.page.display(), block.line);
            block.commands.iter().map(move |command| (command.clone(), place.clone()))
        })
        .collect();
    let listed: BTreeSet<&str> = COMMANDS.iter().map(|entry| entry.0).collect();
    assert_eq!(listed.len(), COMMANDS.len(), "an entry twice");
    let missing: Vec<_> = shown.iter().filter(|(command, _)| !listed.contains(command.as_str())).collect();
    assert!(missing.is_empty(), "no entry in tests/src/documented/table.rs: {missing:#?}");
    let commands: BTreeSet<&str> = shown.iter().map(|(command, _)| command.as_str()).collect();
    let stale: Vec<_> = listed.difference(&commands).collect();
    assert!(stale.is_empty(), "entries of tests/src/documented/table.rs that no page shows: {stale:#?}");
    for (command, place) in &shown {
        let Some(words) = ours(command) else { continue };
        let words = match COMMANDS.iter().find(|entry| entry.0 == command) {
            Some((_, How::Runs(changes))) => filled_in(&words, changes),
            _ => words,
        };
        // What a shell does with the output is the shell's.
        let words = words.into_iter().take_while(|word| !["|", ">", "&"].contains(&word.as_str()));
        let read = Cli::try_parse_from(std::iter::once("starling".to_owned()).chain(words));
        if let Err(error) = read {
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            assert!(asked, "{place}: $ {command}\n{error}");
        }
    }
}

/// What the commands of the documentation find in their folder.
fn prepare(home: &Path) {
    let starling = |line: &str| {
        let arguments: Vec<String> =
            words(line).into_iter().map(|word| word.replace("HERE", home.to_str().unwrap())).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        cli::run(home, &arguments, DEADLINE).assert_succeeds();
    };
    starling("job init HERE/job.toml");
    fs::copy(root().join("docs/tutorial/flowers.csv"), home.join("table.csv")).unwrap();
    fs::write(home.join("cnn.toml"), "[model]\nkind = \"cnn\"\nchannels = [4]\n[data]\nbatch = 16\n").unwrap();
    let lm = "[model]\nkind = \"lm\"\ncontext = 16\nwidth = 16\nlayers = 1\nheads = 2\n[data]\npath = \"some.txt\"\nshards = 1\n";
    fs::write(home.join("lm.toml"), lm).unwrap();
    fs::write(home.join("some.txt"), "To be, or not to be, that is the question.\n".repeat(200)).unwrap();
    let mut pictures = vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 8, 0, 0, 0, 8];
    pictures.resize(16 + 2 * 64, 7);
    fs::write(home.join("pictures.idx"), pictures).unwrap();
    let alone = "--no-gossip --device cpu --threads 1 --audit none --dashboard none --epochs 1";
    starling(&format!("run --job HERE/job.toml {alone} --checkpoint HERE/kept"));
    starling(&format!("run --job HERE/lm.toml {alone} --checkpoint HERE/kept-lm"));
    starling(
        "run --job HERE/job.toml --no-gossip --device cpu --threads 1 --dashboard none --epochs 1 --audit HERE/audit",
    );
    for name in ["before", "after"] {
        starling(&format!("sim --virtual --peers 2 --epochs 1 --seed 1 --json HERE/{name}.json"));
    }
}

#[test]
fn documented_commands_do_what_they_say() {
    let home = tempfile::tempdir().unwrap();
    prepare(home.path());
    let mut shell = Shell::new(home.path());
    let mut ran = 0;
    for (command, how) in COMMANDS {
        let How::Runs(changes) = how else { continue };
        let line = ours(command).map_or_else(
            || (*command).to_owned(),
            |words| format!("starling {}", shortened(&words, changes).join(" ")),
        );
        let done = shell.run(&line, DEADLINE);
        let expected = changes.iter().find_map(|change| match change {
            Change::Fails(code) => Some(*code),
            _ => None,
        });
        assert_eq!(done.code, expected.unwrap_or(0), "$ {command}\nas {line}\n{}", done.printed);
        assert!(!done.printed.contains("panicked"), "{}", done.printed);
        ran += 1;
    }
    assert!(ran >= 20, "only {ran} commands are run");
}

/// What a reader of the README has besides its commands: a table, and rows to predict.
fn table_of_a_reader(folder: &Path) {
    let row = |i: u32| format!("{}.{},{}.{}", i % 7, i, 3 * (i % 2), i % 5);
    let rows = |kind: bool| {
        let of = |i: u32| {
            if kind { format!("{},{}\n", row(i), ["a", "b"][i as usize % 2]) } else { format!("{}\n", row(i)) }
        };
        (0..200).map(of).collect::<String>()
    };
    fs::write(folder.join("table.csv"), format!("width,height,kind\n{}", rows(true))).unwrap();
    fs::write(folder.join("new.csv"), format!("width,height\n{}", rows(false))).unwrap();
}

/// Each on the files that those before it have left, by the names that stand there. What the table of commands changes of files and names is for a
/// folder in which all pages meet; here it is left out, so that what is run is what stands there, shortened.
#[test]
fn the_readme_is_true_from_an_empty_folder() {
    let home = tempfile::tempdir().unwrap();
    let mut shell = Shell::new(home.path());
    table_of_a_reader(home.path());
    let page = pages().into_iter().find(|page| page.path == Path::new("README.md")).unwrap();
    // A command in a block of another kind would be seen by nobody.
    let fences = page.text.lines().filter_map(|line| line.strip_prefix("```")).filter(|kind| !kind.is_empty());
    let other: Vec<_> = fences.filter(|kind| !["console", "text"].contains(kind)).collect();
    assert!(other.is_empty(), "README.md shows commands as `console` and all else as `text`: {other:?}");
    let (mut ran, mut elsewhere) = (Vec::new(), Vec::new());
    for command in blocks(&page).iter().flat_map(|block| &block.commands) {
        let entry = COMMANDS.iter().find(|entry| entry.0 == command);
        let changes = match entry.map(|entry| entry.1) {
            Some(How::Runs(changes)) => changes,
            Some(How::Foreign(why) | How::Reads(why)) => {
                assert!(!why.is_empty(), "$ {command}");
                elsewhere.push(command.clone());
                continue;
            }
            None => panic!(
                "README.md shows a command that nothing runs or excuses in tests/src/documented/table.rs: $ {command}"
            ),
        };
        let shorter: Vec<Change> = changes
            .iter()
            .copied()
            .filter(|change| !matches!(change, Change::Word(..) | Change::Set("--checkpoint", _)))
            .collect();
        let words = ours(command).unwrap_or_else(|| panic!("$ {command} is none of ours and runs"));
        let done = shell.run(&format!("starling {}", shortened(&words, &shorter).join(" ")), DEADLINE);
        assert_eq!(done.code, 0, "$ {command}\n{}", done.printed);
        assert!(!done.printed.contains("panicked"), "$ {command}\n{}", done.printed);
        ran.push(command.clone());
    }
    assert!(home.path().join("model.onnx").exists() && home.path().join("kept").is_dir(), "what the commands leave");
    // Whoever excuses one more command here says why it need not be true for a newcomer.
    assert_eq!(elsewhere, ["./test.sh", "cargo install --locked --path node"], "run elsewhere");
    assert!(ran.len() >= 8, "{ran:?}");
}

#[test]
fn the_tutorial_is_true_from_its_first_line_to_its_last() {
    let home = tempfile::tempdir().unwrap();
    let mut shell = Shell::new(home.path());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let page = pages().into_iter().find(|page| page.path.ends_with("docs/tutorial.md")).unwrap();
    let blocks = blocks(&page);
    assert!(blocks.len() > 8, "{}", blocks.len());
    let mut promised = 0;
    for block in &blocks {
        // All that is changed: a port that is free here, and no GPU, whose driver may be a slow one.
        let here = |script: String| {
            let script = script.replace("/tcp/4101", &format!("/tcp/{port}"));
            format!("export VK_DRIVER_FILES=/nonexistent VK_ICD_FILENAMES=/nonexistent\n{script}")
        };
        let done = shell.check(block, here, DEADLINE);
        promised += block.output.len();
        let fails = block.heading == "What can go wrong";
        assert_eq!(done.code != 0, fails, "{}:{}\n{}", block.page.display(), block.line, done.printed);
        assert!(!done.printed.contains("panicked"), "{}", done.printed);
    }
    assert!(promised > 30, "the tutorial shows what is printed");
}

#[test]
fn every_bug_that_was_found_is_seen_by_something_that_exists() {
    let root = root();
    let page = fs::read_to_string(root.join("docs/bugs.md")).unwrap();
    let mut folders: Vec<_> = ["protocol", "shaders", "sim", "node", "tests"].map(|member| root.join(member)).into();
    let mut all = String::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                all.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut looked_at = 0;
    for row in page.lines().filter(|line| line.starts_with("| ") && line.matches(" | ").count() == 2).skip(1) {
        let seen_by = row.trim_end_matches('|').rsplit(" | ").next().unwrap();
        // A command is read by the test of commands within sentences.
        let names = seen_by.split('`').skip(1).step_by(2).filter(|name| !name.starts_with("starling "));
        for name in names {
            looked_at += 1;
            let there =
                if name.contains('/') { root.join(name).exists() } else { all.contains(&format!("fn {name}(")) };
            assert!(there, "{name} is neither a test nor a file: {row}");
        }
    }
    assert!(looked_at > 20, "{looked_at}");
}

#[test]
fn commands_within_sentences_have_words_and_flags_that_exist() {
    let mut read = 0;
    let mut wrong = Vec::new();
    for page in pages() {
        // What a changelog says was true when it was said.
        if page.path.ends_with("CHANGELOG.md") {
            continue;
        }
        // A command may go on in the next line.
        let text = page.text.replace('\n', " ");
        for span in text.split('`').filter(|span| span.starts_with("starling ")) {
            let words = words(&span.replace(['[', ']'], ""));
            let words = words.into_iter().take_while(|word| !["|", ">", "&"].contains(&word.as_str()));
            // Alternatives and what is left out are for people: `completions bash|zsh|...`.
            let plain = words.filter(|word| !word.contains("...") && !word.contains('|'));
            let Err(error) = Cli::try_parse_from(plain) else {
                read += 1;
                continue;
            };
            // A value may be a word that stands for one.
            if matches!(error.kind(), ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand) {
                wrong.push(format!("{}: {span}: {}", page.path.display(), error.to_string().lines().next().unwrap()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(read > 20, "{read}");
}

#[test]
fn examples_of_the_help_are_read_by_our_parser() {
    let page = fs::read_to_string(root().join("docs/reference/cli.md")).unwrap();
    // An example is indented, and what it does stands behind two blanks.
    let lines = page.lines().filter_map(|line| line.strip_prefix("  "));
    let examples = lines.filter(|line| line.starts_with("starling ") || line.starts_with("sudo starling "));
    let mut read = 0;
    for example in examples {
        let command = example.trim_start_matches("sudo ").split("  ").next().unwrap();
        let words = words(command).into_iter().take_while(|word| !["|", ">"].contains(&word.as_str()));
        if let Err(error) = Cli::try_parse_from(words) {
            panic!("{example}\n{error}");
        }
        read += 1;
    }
    assert!(read > 20, "{read}");
}

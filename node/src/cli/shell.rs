//! `starling completions SHELL`, `starling man DIR`: made from the very definition that the command line is read by.

use std::collections::BTreeSet;
use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::args::Cli;
use super::say;
use crate::error::{Error, Kind};

/// Name of the program.
const NAME: &str = "starling";

/// Prints what a shell reads to complete our words.
pub(super) fn completions(shell: Shell) -> Result<(), Error> {
    say::whole(&script(shell))
}

fn script(shell: Shell) -> String {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), NAME, &mut bytes);
    let script = String::from_utf8_lossy(&bytes);
    hidden().iter().fold(script.into_owned(), |script, flag| without(shell, &script, flag))
}

/// Flags that are for our own launcher.
fn hidden() -> BTreeSet<String> {
    let command = Cli::command();
    let flags = command.get_subcommands().flat_map(|command| command.get_arguments()).filter(|flag| flag.is_hide_set());
    flags.filter_map(|flag| flag.get_long().map(str::to_owned)).collect()
}

/// The generators offer hidden flags, too: each stands on a line of its own, but in bash among others.
fn without(shell: Shell, script: &str, flag: &str) -> String {
    if shell == Shell::Bash {
        return script.replace(&format!(" --{flag} "), " ");
    }
    let offers = [
        format!("-l {flag} "),
        format!("cand --{flag} "),
        format!("'--{flag}'"),
        format!("'--{flag}["),
        format!("'--{flag}=["),
    ];
    let kept = script.lines().filter(|line| !offers.iter().any(|offer| line.contains(offer)));
    kept.flat_map(|line| [line, "\n"]).collect()
}

/// Writes a page for each command into a folder, which is made when it is not there.
pub(super) fn man(dir: &Path) -> Result<(), Error> {
    let failed = |error: std::io::Error| {
        Error::new(Kind::Input, format!("cannot write man pages to {}: {error}", dir.display()))
            .hint("name a folder that you may write to")
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), dir).map_err(failed)?;
    let pages = std::fs::read_dir(dir).map_err(failed)?.count();
    say::line(&format!("{pages} files in {}; man -l {}", dir.display(), dir.join("starling.1").display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use clap::ValueEnum as _;

    use super::*;

    /// Every command that people are shown, and a flag of one.
    fn words() -> Vec<String> {
        let shown = Cli::command();
        let names = shown.get_subcommands().filter(|command| !command.is_hide_set());
        names.map(|command| command.get_name().to_owned()).chain(["dashboard".to_owned()]).collect()
    }

    #[test]
    fn every_shell_knows_every_command() {
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for word in words() {
                assert!(script.contains(&word), "{shell}: {word}");
            }
        }
    }

    #[test]
    fn no_shell_offers_what_is_hidden() {
        assert!(hidden().contains("child"), "{:?}", hidden());
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for flag in hidden() {
                // What it excludes, and how a word behind it would be completed, may stay.
                let offers =
                    [format!("-l {flag} "), format!("cand --{flag} "), format!("'--{flag}"), format!(" --{flag} ")];
                let is_offer =
                    |line: &&str| offers.iter().any(|offer| line.replace("(--child --company)", "").contains(offer));
                let offered: Vec<_> = script.lines().filter(is_offer).collect();
                assert!(offered.is_empty(), "{shell}: {offered:#?}");
            }
        }
    }

    /// `STARLING_BLESS=1 cargo nextest run -p node --lib shell` writes them again; look at what changes.
    #[test]
    fn what_a_shell_and_man_read_is_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        man(dir.path()).unwrap();
        let page = std::fs::read_to_string(dir.path().join("starling-run.1")).unwrap();
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/shell");
        for (name, text) in [("starling.fish", script(Shell::Fish)), ("starling-run.1", page)] {
            let path = kept.join(name);
            if std::env::var_os("STARLING_BLESS").is_some() {
                std::fs::create_dir_all(&kept).unwrap();
                std::fs::write(&path, &text).unwrap();
            }
            let before = std::fs::read_to_string(&path).unwrap();
            let differs = text.lines().zip(before.lines()).find(|(now, before)| now != before);
            assert!(text == before, "{name} was another one, first at {differs:?}");
        }
    }

    #[test]
    fn every_command_has_a_page() {
        let dir = tempfile::tempdir().unwrap();
        man(dir.path()).unwrap();
        let top = std::fs::read_to_string(dir.path().join("starling.1")).unwrap();
        assert!(top.starts_with(".ie") || top.contains(".TH"), "roff: {}", &top[..60]);
        for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = command.get_name();
            assert!(dir.path().join(format!("starling-{name}.1")).exists(), "{name}");
        }
        let run = std::fs::read_to_string(dir.path().join("starling-run.1")).unwrap();
        assert!(run.contains("\\-\\-dashboard") && run.contains("\\-\\-listen"), "its flags");
        assert!(man(&dir.path().join("starling.1")).is_err(), "a file is no folder");
    }
}

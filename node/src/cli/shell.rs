//! `starling completions SHELL`, `starling man DIR`: made from the very definition that the command line is read by.

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
    String::from_utf8_lossy(&bytes).into_owned()
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

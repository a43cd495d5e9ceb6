//! What shells and `man` make of what we print for them.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use harness::cli;

/// Generous: the machine may be busy with other tests.
const DEADLINE: Duration = Duration::from_secs(60);

/// What bash offers for the last of these words, after it has read our script.
fn offered(home: &Path, words: &[&str]) -> String {
    let (last, before) = (words.last().unwrap(), words[words.len() - 2]);
    let script = format!(
        "source starling.bash; COMP_WORDS=({}); COMP_CWORD={}; _starling starling '{last}' '{before}'; echo \"${{COMPREPLY[*]}}\"",
        words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
        words.len() - 1
    );
    let done = Command::new("bash").args(["--norc", "-c", &script]).current_dir(home).output().expect("bash is there");
    assert!(done.status.success() && done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let home = tempfile::tempdir().unwrap();
    let script = cli::run(home.path(), &["completions", "bash"], DEADLINE);
    script.assert_succeeds();
    std::fs::write(home.path().join("starling.bash"), script.stdout).unwrap();
    for (words, offer) in [
        (&["starling", "ru"][..], "run"),
        (&["starling", "sim", "comp"], "compare"),
        (&["starling", "job", ""], "init check show help"),
        (&["starling", "run", "--checkp"], "--checkpoint --checkpoint-every"),
        (&["starling", "run", "--log-format", ""], "text json"),
        (&["starling", "run", "--nothing"], ""),
    ] {
        let offered = offered(home.path(), words);
        // More of the same beginning may come.
        let all = offer.split(' ').all(|word| offered.split(' ').any(|found| found == word));
        assert!(all && (offer.is_empty() == offered.is_empty()), "{words:?}: {offered:?}, wanted {offer:?}");
    }
}

#[test]
fn man_shows_a_page_of_every_command() {
    let home = tempfile::tempdir().unwrap();
    let pages = home.path().join("man1");
    cli::run(home.path(), &["man", pages.to_str().unwrap()], DEADLINE).assert_succeeds();
    for (page, words) in [
        ("starling.1", ["NAME", "SUBCOMMANDS", "starling-run(1)", "Exit codes"]),
        ("starling-run.1", ["SYNOPSIS", "--checkpoint-every", "starling run --open", "OPTIONS"]),
        ("starling-sim-compare.1", ["NAME", "starling-sim-compare", "SYNOPSIS", "The earlier report"]),
    ] {
        let shown = Command::new("man").args(["-P", "cat", "-l"]).arg(pages.join(page)).env("MANWIDTH", "200").output();
        let Ok(shown) = shown else {
            eprintln!("SKIPPED: no man");
            return;
        };
        // Bold and underlined letters are struck twice, where the terminal is none.
        let text = String::from_utf8_lossy(&shown.stdout).replace('\u{8}', "");
        assert!(shown.status.success() && shown.stderr.is_empty(), "{}", String::from_utf8_lossy(&shown.stderr));
        for word in words {
            assert!(text.to_lowercase().contains(&word.to_lowercase()), "{page}: {word} in\n{text}");
        }
    }
}

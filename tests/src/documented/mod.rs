//! The documentation as a thing that is tested: its pages, their links, and the commands that they show.
//!
//! A command stands in a block of the kind `console`, on a line that begins with `$ `. What comes after `#` is said to people. Lines without
//! `$ ` are what the commands print; `...` stands for whatever is there.

pub mod links;
pub mod script;
pub mod table;

use std::fs;
use std::path::{Path, PathBuf};

/// A file of the documentation.
#[derive(Clone, Debug)]
pub struct Page {
    /// From the root of the repository.
    pub path: PathBuf,
    /// Its content.
    pub text: String,
}

/// A block of commands, and what they print.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// The page, from the root of the repository.
    pub page: PathBuf,
    /// The heading above it.
    pub heading: String,
    /// Number of the line of its first command.
    pub line: usize,
    /// Commands without `$ ` and without remarks.
    pub commands: Vec<String>,
    /// Everything else.
    pub output: Vec<String>,
}

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All pages: those at the root, and everything below `docs/`.
///
/// # Panics
/// When they cannot be read.
#[must_use]
pub fn pages() -> Vec<Page> {
    let root = root();
    let mut folders = vec![root.join("docs")];
    let mut paths: Vec<PathBuf> = listed(&root).into_iter().filter(|path| !path.is_dir()).collect();
    while let Some(folder) = folders.pop() {
        let (deeper, files): (Vec<_>, Vec<_>) = listed(&folder).into_iter().partition(|path| path.is_dir());
        folders.extend(deeper);
        paths.extend(files);
    }
    paths.retain(|path| path.extension().is_some_and(|end| end == "md"));
    paths.sort();
    let page = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a page can be read");
        Page { path: path.strip_prefix(&root).expect("below the root").to_owned(), text }
    };
    paths.into_iter().map(page).collect()
}

fn listed(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of the documentation");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

/// The blocks of commands of a page.
///
/// # Panics
/// When a block has no end.
#[must_use]
pub fn blocks(page: &Page) -> Vec<Block> {
    let (mut blocks, mut block, mut heading): (Vec<Block>, Option<Block>, String) = Default::default();
    let mut other = false;
    for (number, line) in page.text.lines().enumerate() {
        match &mut block {
            Some(open) if line == "```" => {
                let open = std::mem::take(open);
                block = None;
                blocks.push(open);
            }
            Some(open) => match line.strip_prefix("$ ") {
                Some(command) => {
                    if open.commands.is_empty() {
                        open.line = number + 1;
                    }
                    open.commands.push(without_remark(command).to_owned());
                }
                None => open.output.push(line.to_owned()),
            },
            None if line == "```console" => {
                block = Some(Block { page: page.path.clone(), heading: heading.clone(), ..Block::default() });
            }
            None if line.starts_with("```") => other = !other,
            None if line.starts_with('#') && !other => line.trim_start_matches('#').trim().clone_into(&mut heading),
            None => {}
        }
    }
    assert!(block.is_none() && !other, "{}: a block without an end", page.path.display());
    blocks
}

/// A command without what stands behind `#`, which is no part of a word and not quoted.
fn without_remark(command: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in command.char_indices() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, '#') if before == ' ' => return command[..at].trim_end(),
            _ => {}
        }
        before = c;
    }
    command.trim_end()
}

/// The words of a command as a shell takes them apart, where it is one plain command.
#[must_use]
pub fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote): (Vec<String>, Option<String>, Option<char>) = Default::default();
    for c in command.chars() {
        match (quote, c) {
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(open), c) if open == c => quote = None,
            (None, ' ') => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_remarks_and_output_are_told_apart() {
        let text = "# Top\n```text\n$ no command\n# no heading\n```\n## Below\n```console\n$ a --b 'c # d' # e\n$ f#g\nout\n```\n";
        let page = Page { path: "p.md".into(), text: text.to_owned() };
        let blocks = blocks(&page);
        assert_eq!(blocks.len(), 1);
        let block = &blocks[0];
        assert_eq!((block.heading.as_str(), block.line, block.output.len()), ("Below", 8, 1));
        assert_eq!(block.commands, ["a --b 'c # d'", "f#g"]);
        assert_eq!(words(&block.commands[0]), ["a", "--b", "c # d"]);
        assert_eq!(words("x  \"\" 'a b'c"), ["x", "", "a bc"]);
    }
}

//! Where the links of the documentation lead.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::{Page, root};

/// Every link that leads nowhere: the page, the line, the target.
#[must_use]
pub fn broken(pages: &[Page]) -> Vec<String> {
    let anchors: BTreeMap<PathBuf, Vec<String>> =
        pages.iter().map(|page| (page.path.clone(), anchors(&page.text))).collect();
    let mut broken = Vec::new();
    for page in pages {
        for (line, target) in targets(&page.text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let folder = page.path.parent().unwrap_or(Path::new(""));
            let path = if file.is_empty() { page.path.clone() } else { plain(&folder.join(file)) };
            let there = root().join(&path).exists();
            let named =
                anchor.is_empty() || anchors.get(&path).is_some_and(|names| names.iter().any(|name| name == anchor));
            if !there || !named {
                broken.push(format!("{}:{line}: {target}", page.path.display()));
            }
        }
    }
    broken
}

/// Targets of links and pictures outside of code, with the numbers of their lines.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut targets = Vec::new();
    for (line, words) in prose(text) {
        let mut rest = words.as_str();
        while let Some(at) = rest.find("](") {
            rest = &rest[at + 2..];
            let end = rest.find([')', ' ']).unwrap_or(rest.len());
            targets.push((line, rest[..end].to_owned()));
        }
        for part in words.split("src=\"").skip(1) {
            targets.push((line, part.split('"').next().unwrap_or("").to_owned()));
        }
    }
    targets
}

/// Lines that are no code; spans of code within them are left out.
fn prose(text: &str) -> Vec<(usize, String)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let words: String = line.split('`').step_by(2).collect();
            lines.push((number + 1, words));
        }
    }
    lines
}

/// The names of a page's headings, as GitHub and mdBook make them.
fn anchors(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut names: Vec<String> = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        let title = line.trim_start_matches('#');
        if fenced || title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let kept = |c: &char| c.is_alphanumeric() || ['-', '_', ' '].contains(c);
        let name: String = title.trim().to_lowercase().chars().filter(kept).collect();
        let name = name.replace(' ', "-");
        let again = names.iter().filter(|known| **known == name).count();
        names.push(if again == 0 { name } else { format!("{name}-{again}") });
    }
    names
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            part => plain.push(part),
        }
        plain
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_nowhere_is_found() {
        let text = "# A b, `c`: (d)\n[x](README.md) [y](#a-b-c-d) [z](nothing.md) `[n](o.md)`\n```\n[n](o.md)\n```\n[w](README.md#nothing) \
                    <img src=\"none.svg\"> [u](https://example.org/)\n";
        let page = Page { path: "README.md".into(), text: text.to_owned() };
        assert_eq!(
            broken(&[page]),
            ["README.md:2: nothing.md", "README.md:6: README.md#nothing", "README.md:6: none.svg"]
        );
    }
}

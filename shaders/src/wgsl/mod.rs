//! `#import name` for WGSL: the line is replaced by the snippet of that name, once a file.

/// The snippets.
const SNIPPETS: &[(&str, &str)] = &[
    ("words", include_str!("words.wgsl")),
    ("index", include_str!("index.wgsl")),
    ("activation", include_str!("activation.wgsl")),
    ("windows", include_str!("windows.wgsl")),
    ("tile", include_str!("tile.wgsl")),
    ("patches", include_str!("patches.wgsl")),
    ("heads", include_str!("heads.wgsl")),
    ("fixed", include_str!("fixed.wgsl")),
];

/// `source` with its imports in place. Lines keep their order; an import that appears again becomes an empty line.
///
/// # Panics
/// When a kernel imports what is not there; the tests expand every kernel.
#[must_use]
pub fn expand(source: &str) -> String {
    let mut seen: Vec<&str> = Vec::new();
    let mut out = String::with_capacity(2 * source.len());
    for line in source.lines() {
        match line.trim().strip_prefix("#import ") {
            None => out.push_str(line),
            Some(name) if seen.contains(&name) => {}
            Some(name) => {
                let snippet = SNIPPETS.iter().find(|(known, _)| *known == name);
                out.push_str(snippet.unwrap_or_else(|| panic!("no WGSL snippet is named {name:?}")).1);
                seen.push(name);
            }
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::ALL;

    #[test]
    fn every_snippet_is_shared() {
        for (name, _) in SNIPPETS {
            let import = format!("#import {name}");
            let users = ALL.iter().filter(|kernel| kernel.wgsl().lines().any(|line| line.trim() == import));
            assert!(users.count() > 1, "{name} belongs into the one kernel that has it");
        }
    }

    #[test]
    fn imports_are_replaced_once() {
        let expanded = expand("#import words\n#import words\nfn main() {}");
        assert_eq!(expanded.matches("struct Words").count(), 1);
        assert!(expanded.ends_with("fn main() {}\n"));
    }
}

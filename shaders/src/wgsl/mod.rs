//! What kernels share, and what one text of theirs is made into: lines of WGSL that begin with `#`.
//!
//! ```text
//! #import name        the snippet of that name, once a file
//! #if NAME            what follows, where the constant is not 0; else what stands behind #else; up to #end
//! #for i COUNT        what follows up to #end, COUNT times (a number or a constant), `$i` replaced by 0, 1, ...
//! ```
//!
//! The constants are those of the kernel ([`Kernel::constants`]); WGSL sees them, too. A loop that is written out has no counter, and
//! names where a loop would have indices: these stay in registers.

use crate::kernels::Kernel;

/// The snippets.
const SNIPPETS: &[(&str, &str)] = &[
    ("words", include_str!("words.wgsl")),
    ("index", include_str!("index.wgsl")),
    ("activation", include_str!("activation.wgsl")),
    ("windows", include_str!("windows.wgsl")),
    ("tile", include_str!("tile.wgsl")),
    ("tiles", include_str!("tiles.wgsl")),
    ("patches", include_str!("patches.wgsl")),
    ("heads", include_str!("heads.wgsl")),
    ("members", include_str!("members.wgsl")),
    ("fixed", include_str!("fixed.wgsl")),
    ("sums", include_str!("sums.wgsl")),
];

/// What a device is given of a kernel.
#[must_use]
pub fn source(kernel: &dyn Kernel) -> String {
    // A directive stands before all else.
    let enable = if kernel.needs_f16() { "enable f16;\n" } else { "" };
    enable.to_owned() + &expand(kernel.wgsl(), &kernel.constants())
}

/// How a kernel declares its words, and how it does where they lie in storage.
const WORDS_IN: [&str; 2] = ["var<uniform> words: Words;", "var<storage, read> words: Words;"];

/// The same with the words of a dispatch in storage: for drivers that compile a kernel anew for the words that they find in a uniform
/// (`engine::gpu::bind`).
#[must_use]
pub fn source_with_words_in_storage(kernel: &dyn Kernel) -> String {
    source(kernel).replacen(WORDS_IN[0], WORDS_IN[1], 1)
}

/// `source` with its imports, conditions and repetitions in place.
///
/// # Panics
/// When a kernel asks for what is not there; the tests expand every kernel.
fn expand(source: &str, constants: &[(&str, u32)]) -> String {
    let imported = import(source);
    let lines: Vec<&str> = imported.lines().collect();
    let mut out = String::with_capacity(2 * imported.len());
    for (name, value) in constants {
        out.push_str(&format!("const {name}: u32 = {value}u;\n"));
    }
    write_out(&lines, constants, &mut out);
    out
}

/// Lines keep their order; an import that appears again becomes an empty line.
fn import(source: &str) -> String {
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

/// Value of a number or a constant.
fn value(text: &str, constants: &[(&str, u32)]) -> u32 {
    let known = constants.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    known.or_else(|| text.parse().ok()).unwrap_or_else(|| panic!("no constant of the kernel is named {text:?}"))
}

/// Number of the `#end` that belongs to the line before `lines`, and of its `#else`.
fn end(lines: &[&str]) -> (usize, Option<usize>) {
    let (mut depth, mut otherwise) = (0, None);
    for (i, line) in lines.iter().enumerate() {
        match line.trim() {
            "#end" if depth == 0 => return (i, otherwise),
            "#else" if depth == 0 => otherwise = Some(i),
            "#end" => depth -= 1,
            line if line.starts_with("#if ") || line.starts_with("#for ") => depth += 1,
            _ => {}
        }
    }
    panic!("a #if or #for without #end");
}

fn write_out(lines: &[&str], constants: &[(&str, u32)], out: &mut String) {
    let mut at = 0;
    while let Some(&line) = lines.get(at) {
        at += 1;
        if let Some(name) = line.trim().strip_prefix("#if ") {
            let (close, otherwise) = end(&lines[at..]);
            let body = &lines[at..at + close];
            let middle = otherwise.unwrap_or(close);
            let chosen =
                if value(name, constants) == 0 { body.get(middle + 1..).unwrap_or(&[]) } else { &body[..middle] };
            write_out(chosen, constants, out);
            at += close + 1;
        } else if let Some(rest) = line.trim().strip_prefix("#for ") {
            let (name, count) = rest.split_once(' ').unwrap_or_else(|| panic!("{line:?} wants a name and a number"));
            let (close, _) = end(&lines[at..]);
            for i in 0..value(count, constants) {
                let replace = |line: &&str| line.replace(&format!("${name}"), &i.to_string());
                let body: Vec<String> = lines[at..at + close].iter().map(replace).collect();
                write_out(&body.iter().map(String::as_str).collect::<Vec<_>>(), constants, out);
            }
            at += close + 1;
        } else {
            out.push_str(line);
            out.push('\n');
        }
    }
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
        let expanded = expand("#import words\n#import words\nfn main() {}", &[]);
        assert_eq!(expanded.matches("struct Words").count(), 1);
        assert!(expanded.ends_with("fn main() {}\n"));
    }

    #[test]
    fn repetitions_and_conditions_are_written_out() {
        let source = "#for i TWO\n#for j 2\na$i_$ju\n#end\n#if ZERO\nno\n#if TWO\nno\n#else\nno\n#end\n#else\nb$i\n#end\n#end\n\
            #if ZERO\nno\n#end\n#if TWO\nc\n#else\nno\n#end";
        let expanded = expand(source, &[("TWO", 2), ("ZERO", 0)]);
        let found: Vec<_> = expanded.lines().skip(2).collect();
        assert_eq!(found, ["a0_0u", "a0_1u", "b0", "a1_0u", "a1_1u", "b1", "c"]);
        assert!(expanded.starts_with("const TWO: u32 = 2u;\n"));
    }

    #[test]
    #[should_panic(expected = "no constant of the kernel is named \"THREE\"")]
    fn what_no_kernel_has_is_not_repeated() {
        let _ = expand("#for i THREE\n#end", &[("TWO", 2)]);
    }
}

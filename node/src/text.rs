//! Text from other machines and other people's files, made harmless: whoever chose it must neither steer a terminal nor fill
//! a log.
//!
//! Everything that a peer can word passes through here before it is shown or kept: addresses that are passed on, what
//! libraries log of it (the agent string of identify among them), the reasons of refusals, the words of a dying child.

/// Longest text of a peer in an audit record, a note or a reason, characters.
pub(crate) const TEXT_CHARS_MAX: usize = 400;
/// Longest line of a log, characters: what a library logs of a peer's message has no other bound.
pub(crate) const LOG_LINE_CHARS_MAX: usize = 4096;

/// No control characters, no marks that reorder a line, at most `chars_max` characters of the original.
pub(crate) fn escape(text: &str, chars_max: usize) -> String {
    let mut shown = String::new();
    let mut chars = text.chars();
    for c in chars.by_ref().take(chars_max) {
        push(c, &mut shown);
    }
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

/// The same for text of several lines, which keeps them.
pub(crate) fn escape_lines(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\n' | '\t') { shown.push(c) } else { push(c, &mut shown) }
    }
    shown
}

fn push(c: char, shown: &mut String) {
    if c.is_control() || is_layout_mark(c) {
        shown.extend(c.escape_default());
    } else {
        shown.push(c);
    }
}

/// Marks that reorder what follows them on a terminal, or begin a line of their own.
fn is_layout_mark(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_text_cannot_write_on_the_terminal() {
        assert_eq!(escape("a\u{1b}[2Jb\n\u{202e}", 80), "a\\u{1b}[2Jb\\n\\u{202e}");
        assert_eq!(escape("\u{9b}31m\u{7f}\u{2028}", 80), "\\u{9b}31m\\u{7f}\\u{2028}", "C1 codes steer, too");
        assert_eq!(escape_lines("a\tb\n\u{1b}[31mred\r"), "a\tb\n\\u{1b}[31mred\\r");
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(escape("abcdef", 3), "abc…");
        assert_eq!(escape("abc", 3), "abc");
        assert!(escape(&"\u{1b}".repeat(10_000), TEXT_CHARS_MAX).len() < 10 * TEXT_CHARS_MAX);
    }
}

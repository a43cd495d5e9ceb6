//! The characters of a text as its tokens, numbered in the order of their code points; beside bytes, which need no vocabulary.

use std::collections::BTreeSet;
use std::path::Path;

use crate::data::error::{DataError, Place, no_utf8};

/// Most characters that are told apart: tokens have 16 bits.
const CHARACTERS_MAX: usize = 1 << 16;

/// What the tokens of a text are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Vocabulary {
    /// Its bytes: any text.
    #[default]
    Bytes,
    /// The characters that it has.
    Characters,
    /// These, as of a model that was trained on them: ascending, none twice.
    These(String),
}

impl Vocabulary {
    /// Names in job files, and one line about each.
    pub const ALL: &'static [(&'static str, &'static str)] = &[
        ("bytes", "256 tokens, whatever the text"),
        ("characters", "a token for every character that the text has; fewer places for a text that is not ASCII"),
    ];

    /// As in a job file.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Characters | Self::These(_) => "characters",
        }
    }
}

/// Numbers of 16 bits, little-endian, for the characters of a text, and the characters in their order.
pub(crate) fn tokens(path: &Path, text: &[u8], vocabulary: &Vocabulary) -> Result<(Vec<u8>, String), DataError> {
    let text = std::str::from_utf8(text)
        .map_err(|error| no_utf8(path, text, error.valid_up_to(), "data.vocabulary = \"bytes\" takes any"))?;
    let characters: Vec<char> = match vocabulary {
        Vocabulary::These(these) => these.chars().collect(),
        _ => text.chars().collect::<BTreeSet<char>>().into_iter().collect(),
    };
    if characters.len() > CHARACTERS_MAX {
        let what = format!("{} different characters, and at most {CHARACTERS_MAX} are told apart", characters.len());
        return Err(DataError::whole(path, what, "data.vocabulary = \"bytes\""));
    }
    let mut out = Vec::with_capacity(2 * text.len());
    for (at, character) in text.char_indices() {
        let Ok(token) = characters.binary_search(&character) else {
            let what = format!("the character {character:?}, which the model does not know");
            return Err(DataError::at(
                path,
                line_of(&text.as_bytes()[..at]),
                what,
                "a text of the characters that it was trained on",
            ));
        };
        out.extend_from_slice(&(token as u16).to_le_bytes());
    }
    Ok((out, characters.into_iter().collect()))
}

/// The line that comes behind this much of a text.
fn line_of(before: &[u8]) -> Place {
    Place::Lines(vec![1 + before.iter().filter(|byte| **byte == b'\n').count() as u64])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn characters_are_numbered_in_their_order() {
        let path = Path::new("a.txt");
        let (tokens, found) = tokens(path, "é鳥a\néa".as_bytes(), &Vocabulary::Characters).unwrap();
        assert_eq!(found, "\naé鳥");
        let numbers: Vec<u16> = tokens.as_chunks::<2>().0.iter().map(|token| u16::from_le_bytes(*token)).collect();
        assert_eq!(numbers, [2, 3, 1, 0, 2, 1]);
    }

    #[test]
    fn what_is_no_text_or_not_known_is_told_with_its_line() {
        let path = Path::new("a.txt");
        let error = tokens(path, b"a\nb\xff", &Vocabulary::Characters).unwrap_err().to_string();
        assert!(error.contains("a.txt, line 2") && error.contains("UTF-8"), "{error}");
        let error = tokens(path, b"ab\n\nc", &Vocabulary::These("\nab".into())).unwrap_err().to_string();
        assert!(error.contains("line 3") && error.contains("'c'"), "{error}");
        let (known, _) = tokens(path, b"ba", &Vocabulary::These("\nab".into())).unwrap();
        assert_eq!(known, [2, 0, 1, 0]);
    }
}

//! How a text becomes the tokens of a model, and back.

use crate::error::{Error, Kind};
use crate::store::checkpoint::About;

/// Vocabulary of a model whose tokens are bytes.
const BYTES: usize = 256;
/// Characters that a message names at most.
const CHARACTERS_SHOWN: usize = 100;

/// See the module.
#[derive(Debug)]
pub(super) enum Spelling {
    Bytes,
    /// Ascending, in the order of the tokens.
    Characters(Vec<char>),
}

impl Spelling {
    /// Of a model; of one that reads no text bytes, since it says so itself.
    pub(super) fn of(about: &About, reads_text: bool) -> Result<Self, Error> {
        let characters: Vec<char> = about.encoding.characters.chars().collect();
        if !characters.is_empty() && characters.is_sorted() && characters.len() <= about.classes {
            return Ok(Self::Characters(characters));
        }
        if reads_text && about.classes != BYTES {
            let message = format!(
                "this model has a vocabulary of {} tokens, and only bytes and characters are written here",
                about.classes
            );
            return Err(Error::new(Kind::Input, message).hint("a model that was trained on a text, and not on tokens"));
        }
        Ok(Self::Bytes)
    }

    pub(super) fn tokens(&self, text: &str) -> Result<Vec<u32>, Error> {
        match self {
            Self::Bytes => Ok(text.bytes().map(u32::from).collect()),
            Self::Characters(known) => {
                let unknown = |character: char| {
                    let mut shown: String = known.iter().take(CHARACTERS_SHOWN).collect();
                    if known.len() > CHARACTERS_SHOWN {
                        shown.push('\u{2026}');
                    }
                    Error::new(Kind::Input, format!("the model does not know the character {character:?}"))
                        .hint(format!("it was trained on a text of {} characters: {shown:?}", known.len()))
                };
                let token = |character| known.binary_search(&character).map_err(|_| unknown(character));
                text.chars().map(|character| token(character).map(|token| token as u32)).collect()
            }
        }
    }

    /// Of a token; of one that no character has, as there is where a vocabulary is of one character, none.
    pub(super) fn bytes(&self, token: u32) -> Vec<u8> {
        match self {
            Self::Bytes => vec![token as u8],
            Self::Characters(known) => {
                let character = known.get(token as usize);
                character.map(|character| character.to_string().into_bytes()).unwrap_or_default()
            }
        }
    }
}

//! A pairing code: eight characters that one person reads out and another one types.

use std::fmt;

use zeroize::Zeroizing;

use crate::error::{Error, Kind};

/// Characters of a code, five bits each.
pub(crate) const CODE_CHARS: usize = 8;
/// Crockford's base 32: no letter looks or sounds like a digit.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// 40 random bits. Who guesses has three tries (`member.rs`): one chance in 360 thousand million.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Code(Zeroizing<[u8; CODE_CHARS]>);

impl Code {
    /// A new one.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub(crate) fn draw() -> Result<Self, Error> {
        let mut bytes = Zeroizing::new([0; CODE_CHARS]);
        getrandom::fill(&mut *bytes)
            .map_err(|error| Error::new(Kind::Internal, format!("the system gives no randomness: {error}")))?;
        for byte in &mut *bytes {
            *byte = ALPHABET[usize::from(*byte % 32)];
        }
        Ok(Self(bytes))
    }

    /// What was typed: in either case, with or without the hyphen, and with O for 0 and I or L for 1.
    ///
    /// # Errors
    /// It cannot be a code.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let refuse = || format!("a pairing code is {CODE_CHARS} letters and digits, as `starling swarm pair` shows it");
        let mut code = Zeroizing::new([0; CODE_CHARS]);
        let mut typed = text.chars().filter(|c| !matches!(c, '-' | ' '));
        for place in &mut *code {
            let c = match typed.next().ok_or_else(refuse)?.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                c => c,
            };
            *place = u8::try_from(c).ok().filter(|byte| ALPHABET.contains(byte)).ok_or_else(refuse)?;
        }
        if typed.next().is_none() { Ok(Self(code)) } else { Err(refuse()) }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &*self.0
    }
}

impl fmt::Display for Code {
    /// In two halves.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let half = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (first, second) = self.0.split_at(CODE_CHARS / 2);
        write!(f, "{}-{}", half(first), half(second))
    }
}

impl fmt::Debug for Code {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let code = Code::draw().unwrap();
        let shown = code.to_string();
        assert_eq!(shown.len(), CODE_CHARS + 1);
        for typed in
            [shown.clone(), shown.to_lowercase(), shown.replace('-', ""), format!(" {} ", shown.replace('-', " "))]
        {
            assert!(Code::parse(&typed).unwrap() == code, "{typed}");
        }
        assert_eq!(Code::parse("oil0-7kqm").unwrap().to_string(), "0110-7KQM");
        for bad in ["", "ABCD", "ABCD-EFG", "ABCD-EFGHJ", "ABCD-EFG!", "UUUU-UUUU", "ABCD-EFGé"] {
            assert!(Code::parse(bad).is_err(), "{bad}");
        }
        assert!(Code::draw().unwrap() != code, "drawn, not made up");
        assert!(!format!("{code:?}").contains(&shown[..4]));
    }
}

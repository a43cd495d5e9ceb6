//! Bytes of a model as text, while they come: what is no UTF-8 becomes U+FFFD, and a character is shown when it is whole.

/// Longest character, bytes.
const CHARACTER_BYTES_MAX: usize = 4;

/// See the module.
#[derive(Debug, Default)]
pub struct Utf8Stream {
    pending: Vec<u8>,
}

impl Utf8Stream {
    /// What can be shown after this byte.
    pub fn push(&mut self, byte: u8) -> String {
        self.pending.push(byte);
        let mut out = String::new();
        while !self.pending.is_empty() {
            match std::str::from_utf8(&self.pending) {
                Ok(text) => {
                    out.push_str(text);
                    self.pending.clear();
                }
                Err(error) => {
                    let (good, bad) = (error.valid_up_to(), error.error_len());
                    out.push_str(&String::from_utf8_lossy(&self.pending[..good]));
                    self.pending.drain(..good);
                    match bad {
                        Some(length) => {
                            out.push(char::REPLACEMENT_CHARACTER);
                            self.pending.drain(..length);
                        }
                        // The beginning of a character.
                        None => {
                            debug_assert!(self.pending.len() < CHARACTER_BYTES_MAX);
                            break;
                        }
                    }
                }
            }
        }
        out
    }

    /// What is left at the end.
    #[must_use]
    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.pending).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_come_whole_and_nonsense_is_marked_as_a_library_would() {
        let cases: [&[u8]; 7] = [
            "naïve 鳥 🐦".as_bytes(),
            b"a\xffb",
            b"\xe9\xb3",
            b"\xc3(",
            b"\xf0\x9f\x90",
            b"\x80\x80",
            b"\xed\xa0\x80x",
        ];
        for bytes in cases {
            let mut stream = Utf8Stream::default();
            let mut out: String = bytes.iter().map(|&byte| stream.push(byte)).collect();
            out += &stream.finish();
            assert_eq!(out, String::from_utf8_lossy(bytes), "{bytes:?}");
        }
        let mut stream = Utf8Stream::default();
        assert_eq!((stream.push(0xc3), stream.push(0xa9)), (String::new(), "é".to_owned()));
    }
}

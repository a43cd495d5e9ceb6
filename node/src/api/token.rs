//! The bearer token: who holds it may look and act. It lies in a file that its owner alone can read, as the identity's key does.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::{Error, Kind};
use crate::platform;

/// Longest token, characters.
pub(super) const TOKEN_CHARS_MAX: usize = 256;
/// Shortest token, characters: one that is made has 64 hex digits.
const TOKEN_CHARS_MIN: usize = 16;
const MODE_OTHERS: u32 = 0o077;
const RANDOM_BYTES: usize = 32;
/// Digits of a cookie's name: of some peers of one person no two have the same.
const NAME_DIGITS: usize = 8;

/// What is kept of a token: enough to know it again.
#[derive(Clone, Copy, Debug)]
pub struct Token {
    digest: blake3::Hash,
    session: blake3::Hash,
    name: blake3::Hash,
}

impl Token {
    /// Of these characters.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let derive = |purpose, text: &str| blake3::Hash::from_bytes(blake3::derive_key(purpose, text.as_bytes()));
        Self {
            digest: derive("starling 1 dashboard token", text),
            session: derive("starling 1 dashboard session", text),
            name: derive("starling 1 dashboard cookie", text),
        }
    }

    /// Whether that is the token. Takes as long whatever differs.
    pub(super) fn is(&self, text: &str) -> bool {
        Self::of(text).digest == self.digest
    }

    /// What a browser's cookie holds in its place.
    pub(super) fn session(&self) -> String {
        self.session.to_hex().to_string()
    }

    /// What tells that cookie from those of other tokens, and nothing of the token.
    pub(super) fn name(&self) -> String {
        self.name.to_hex()[..NAME_DIGITS].to_owned()
    }

    /// Whether a cookie is ours.
    pub(super) fn is_session(&self, cookie: &str) -> bool {
        blake3::Hash::from_hex(cookie).is_ok_and(|hash| hash == self.session)
    }
}

/// The token in the file at `path`; a new one, in a new file, when there is none.
///
/// # Errors
/// [`Kind::Input`] when the file is open to others, no regular file, unreadable, or holds no token.
pub fn load_or_create(path: &Path) -> Result<Token, Error> {
    // To open a named pipe is to wait for its writer.
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => Err(bad(path, "is no regular file")),
        Ok(_) => Ok(Token::of(&read(path)?)),
        Err(error) if error.kind() == ErrorKind::NotFound => create(path),
        Err(error) => Err(bad(path, &error.to_string())),
    }
}

/// The characters of the token in the file at `path`, for who brings it to a peer.
///
/// # Errors
/// [`Kind::Input`] when the file is not there, open to others, no regular file, unreadable, or holds no token.
pub fn read(path: &Path) -> Result<Zeroizing<String>, Error> {
    let found = fs::metadata(path).map_err(|error| bad(path, &error.to_string()))?;
    if !found.is_file() {
        return Err(bad(path, "is no regular file"));
    }
    let file = File::open(path).map_err(|error| bad(path, &error.to_string()))?;
    let found = file.metadata().map_err(|error| bad(path, &error.to_string()))?;
    if let Some(mode) = platform::mode(&found).filter(|mode| mode & MODE_OTHERS != 0) {
        let message = format!("the token file {} is open to others (mode {mode:03o})", path.display());
        return Err(Error::new(Kind::Input, message).hint(format_args!("chmod 600 {}", path.display())));
    }
    let mut text = Zeroizing::new(String::with_capacity(TOKEN_CHARS_MAX + 2));
    let most = TOKEN_CHARS_MAX as u64 + 2;
    file.take(most).read_to_string(&mut text).map_err(|error| bad(path, &error.to_string()))?;
    let token = text.trim();
    let fits = (TOKEN_CHARS_MIN..=TOKEN_CHARS_MAX).contains(&token.len());
    if !fits || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        let what = format!("holds no token: one line of {TOKEN_CHARS_MIN} to {TOKEN_CHARS_MAX} printable characters");
        return Err(bad(path, &what));
    }
    Ok(Zeroizing::new(token.to_owned()))
}

fn create(path: &Path) -> Result<Token, Error> {
    let mut random = Zeroizing::new([0; RANDOM_BYTES]);
    let failed = |error: &dyn std::fmt::Display| Error::new(Kind::Internal, format!("no randomness: {error}"));
    getrandom::fill(random.as_mut()).map_err(|error| failed(&error))?;
    let mut text = Zeroizing::new(String::with_capacity(2 * RANDOM_BYTES + 1));
    for byte in random.iter() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    let token = Token::of(&text);
    text.push('\n');
    let written =
        platform::private(&mut OpenOptions::new()).write(true).create_new(true).open(path).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
    written.map_err(|error| {
        Error::new(Kind::Input, format!("cannot write the token file {}: {error}", path.display()))
            .hint("--dashboard-token FILE names another place")
    })?;
    Ok(token)
}

fn bad(path: &Path, what: &str) -> Error {
    Error::new(Kind::Input, format!("the token file {}: {what}", path.display()))
        .hint("a file that is not there yet is made, with a new token in it")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_token_is_made_once_kept_and_ours_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let made = load_or_create(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(made.is(text.trim()) && !made.is("something else") && !made.is(""));
        assert!(load_or_create(&path).unwrap().is(text.trim()), "it stays");
        assert!(made.is_session(&made.session()) && !made.is_session(text.trim()), "a cookie is not the token");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(load_or_create(&path).unwrap_err().to_string().contains("chmod 600"));
        let short = dir.path().join("short");
        platform::private(&mut OpenOptions::new())
            .write(true)
            .create_new(true)
            .open(&short)
            .unwrap()
            .write_all(b"short")
            .unwrap();
        assert!(load_or_create(&short).unwrap_err().to_string().contains("holds no token"));
        assert!(load_or_create(dir.path()).unwrap_err().to_string().contains("no regular file"));
    }
}

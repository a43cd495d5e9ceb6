//! `--peers FILE`: addresses to dial, one a line; `#` begins a comment.

use std::path::Path;

use crate::error::{Error, Kind};
use crate::store::bounded::read_text;
use crate::swarm::parse_address;

/// Longest file that is read.
const FILE_BYTES_MAX: u64 = 64 << 10;
/// Most addresses in it: each is dialled again and again until it answers, and a few that live are enough.
const PEERS_MAX: usize = 256;
const HINT: &str = "one address a line, as /ip4/192.0.2.7/tcp/4001; # begins a comment";

/// The addresses of a file, in order.
pub(super) fn read(path: &Path) -> Result<Vec<String>, Error> {
    let input = |message: String| Error::new(Kind::Input, message).hint(HINT);
    let text =
        read_text(path, FILE_BYTES_MAX).map_err(|error| input(format!("--peers {}: {error}", path.display())))?;
    let mut peers = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let address = line.split_once('#').map_or(line, |(before, _)| before).trim();
        if address.is_empty() {
            continue;
        }
        let here = || format!("--peers {}, line {}", path.display(), number + 1);
        parse_address(address).map_err(|error| input(format!("{}: {}", here(), error.message)))?;
        if peers.len() == PEERS_MAX {
            return Err(input(format!("{}: more than {PEERS_MAX} addresses, the most that are dialled", here())));
        }
        peers.push(address.to_owned());
    }
    Ok(peers)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_file_of_peers_is_read_or_its_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peers");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read(&path)
        };
        let found = read("# ours\n\n/ip4/192.0.2.7/tcp/4001 # the first\r\n  /dns4/a.example/udp/1/quic-v1\n").unwrap();
        assert_eq!(found, ["/ip4/192.0.2.7/tcp/4001", "/dns4/a.example/udp/1/quic-v1"]);
        assert!(read("").unwrap().is_empty());
        let error = read("# ours\n/ip4/192.0.2.7/tcp/4001\nlocalhost:1\n").unwrap_err();
        assert_eq!(error.kind, Kind::Input);
        assert!(error.message.contains("line 3") && error.message.contains("`localhost:1`"), "{error}");
        let error = read(&"/ip4/192.0.2.7/tcp/1\n".repeat(PEERS_MAX + 1)).unwrap_err();
        assert!(error.message.contains("line 257") && error.message.contains("256"), "{error}");
        let error = read(&"#".repeat(FILE_BYTES_MAX as usize + 1)).unwrap_err();
        assert!(error.message.contains("65536"), "{error}");
    }
}

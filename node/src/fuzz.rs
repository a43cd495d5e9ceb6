//! What the tests under fuzz (`tests/src/fuzz`) call of this crate: parsers of bytes from outside, each asked whether what it read is
//! what it says. Not an interface.

use futures::executor::block_on;
use futures::io::Cursor;
use protocol::wire::{FRAME_BYTES_MAX, Message, decode_body};

use crate::config::Job;
use crate::config::raw::RawJob;
use crate::store::checkpoint;
use crate::swarm;

/// The bytes of an admitted link.
///
/// # Panics
/// When something costs more than it is long.
pub fn link(bytes: &[u8]) {
    let (mut reader, mut body) = (Cursor::new(bytes), Vec::new());
    while let Ok(item) = block_on(swarm::frame::read_item(&mut reader, FRAME_BYTES_MAX, &mut body)) {
        if matches!(item, swarm::frame::Item::Data(_)) {
            let _ = decode_body::<Message>(&body);
        }
    }
    assert!(body.capacity() <= 2 * bytes.len() + (64 << 10), "{} bytes for {}", body.capacity(), bytes.len());
}

/// The text of an announcement on the LAN, a `key=value` a line; the first 8 bytes are two addresses.
///
/// # Panics
/// When what was read is not what is announced of it.
pub fn announcement(bytes: &[u8]) {
    swarm::lan::read_lines(bytes);
}

/// A file of a checkpoint; the first byte says which.
///
/// # Panics
/// When what was read is not what it says it is.
pub fn checkpoint(bytes: &[u8]) {
    checkpoint::fuzz::part(bytes);
}

/// The text of a job file.
///
/// # Panics
/// When a job that is accepted has no one form.
pub fn job(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(job) = RawJob::parse(text, "fuzz").and_then(|raw| Job::layered(RawJob::default(), raw)) {
        let again = RawJob::parse(text, "fuzz").and_then(|raw| Job::layered(RawJob::default(), raw));
        assert!(again.is_ok_and(|again| again.run_id() == job.run_id()), "one file, one run");
        assert!(!job.canonical().contains('\r'), "a line is a line");
    }
}

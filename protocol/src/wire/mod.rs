//! Bytes on the wire: versioned, bounded, one meaning for one byte string. bincode lives here and nowhere else.
//!
//! ```text
//! stream  = frame*                      frame   = length: u32 LE | body (at most FRAME_BYTES_MAX)
//! body    = VERSION: u8 | message       message = bincode 2, standard (little-endian, varint), trailing bytes refused
//! ```
//!
//! A link begins with the handshake of [`crate::trust::admission`], whose messages are a type of their own
//! ([`Greeting`]): a peer that was not admitted cannot even name another message.
//! Tensors are byte strings inside a message, never sequences of numbers: bincode copies them whole.

mod base_part;
mod bounds;
mod message;

pub use base_part::{BasePart, LoosePart};
pub use bounds::{DELTAS_BYTES_MAX, DELTAS_MAX, ORIGINS_MAX, SEQ_MAX};
pub(crate) use message::{ADDRESS_BYTES_MAX, ADDRESSES_MAX, PEER_RECORDS_MAX, RANGES_MAX, STATUS_NEIGHBOURS_MAX};
pub use message::{Exchange, Greeting, Message, Part, PeerRecord, Range, Refusal, SnapshotHead, Status};

use bincode::config::{self, Config};
use bincode::enc::EncoderImpl;
use bincode::enc::write::SizeWriter;
use bincode::{Decode, Encode};

/// Version of everything in this module. Another version is refused in the handshake.
pub const VERSION: u8 = 8;
/// Protocol name of the link's stream.
pub const STREAM_PROTOCOL: &str = "/starling/delta/1";
/// Largest frame body: a dense f32 delta of 16 million parameters fits.
pub const FRAME_BYTES_MAX: usize = 64 << 20;
/// Largest body of a handshake frame: nobody gets more of our memory before it is admitted.
pub const GREETING_BYTES_MAX: usize = 1 << 10;
/// Bytes of the length prefix.
pub const LENGTH_BYTES: usize = 4;
/// Bytes of a snapshot in one message: small, so that deltas pass between two parts.
pub const SNAPSHOT_PART_BYTES: usize = 256 << 10;
/// Room for everything in a message but a payload: [`ORIGINS_MAX`] heads of 91 bytes, and as many lives that are left out.
const MESSAGE_OVERHEAD_BYTES: usize = 3 << 20;

/// Why bytes are no message.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WireError {
    /// No byte at all.
    #[error("an empty frame")]
    Empty,
    /// Another version.
    #[error("wire version {found}, this peer speaks {VERSION}: run the same release on both sides")]
    Version {
        /// First byte of the frame.
        found: u8,
    },
    /// More than a frame may hold.
    #[error("a frame of {found} bytes, the limit is {limit}")]
    TooLong {
        /// Bytes announced or found.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// Not what bincode makes of any message.
    #[error("malformed: {0}")]
    Malformed(String),
    /// Bytes behind the message.
    #[error("{0} bytes behind the message")]
    Trailing(usize),
}

/// Largest frame body that a run with such deltas ever needs; a longer frame is refused before it is read.
#[must_use]
pub fn frame_bytes_max(payload_bytes_max: usize) -> usize {
    (payload_bytes_max.max(SNAPSHOT_PART_BYTES) + MESSAGE_OVERHEAD_BYTES).min(FRAME_BYTES_MAX)
}

/// Appends length prefix and body to `out`.
///
/// # Errors
/// [`WireError::TooLong`]; `out` is as before then.
pub fn encode_frame<M: Encode>(message: &M, out: &mut Vec<u8>) -> Result<(), WireError> {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    out.push(VERSION);
    let written = bincode::encode_into_std_write(message, out, codec());
    let body = out.len() - start - LENGTH_BYTES;
    if let Err(error) = written {
        out.truncate(start);
        return Err(WireError::Malformed(error.to_string()));
    }
    if body > FRAME_BYTES_MAX {
        out.truncate(start);
        return Err(WireError::TooLong { found: body, limit: FRAME_BYTES_MAX });
    }
    out[start..start + LENGTH_BYTES].copy_from_slice(&(body as u32).to_le_bytes());
    Ok(())
}

/// Bytes of the frame that [`encode_frame`] makes of a message, without making it.
#[must_use]
pub fn frame_bytes<M: Encode>(message: &M) -> usize {
    let mut encoder = EncoderImpl::new(SizeWriter::default(), codec());
    // Counting plain data has no way to fail; if it had, the message could not be sent either.
    let _ = message.encode(&mut encoder);
    LENGTH_BYTES + 1 + encoder.into_writer().bytes_written
}

/// Reads one message out of a frame body.
///
/// # Errors
/// [`WireError`]; hostile bytes cost no more memory than they are long, within [`FRAME_BYTES_MAX`].
pub fn decode_body<M: Decode<()>>(body: &[u8]) -> Result<M, WireError> {
    let (&version, rest) = body.split_first().ok_or(WireError::Empty)?;
    if version != VERSION {
        return Err(WireError::Version { found: version });
    }
    if body.len() > FRAME_BYTES_MAX {
        return Err(WireError::TooLong { found: body.len(), limit: FRAME_BYTES_MAX });
    }
    decode_bounded(rest)
}

/// Length of the body that a prefix announces.
///
/// # Errors
/// [`WireError::Empty`] or [`WireError::TooLong`].
pub fn body_length(prefix: [u8; LENGTH_BYTES], limit: usize) -> Result<usize, WireError> {
    let found = u32::from_le_bytes(prefix) as usize;
    match found {
        0 => Err(WireError::Empty),
        _ if found > limit => Err(WireError::TooLong { found, limit }),
        _ => Ok(found),
    }
}

/// The one byte form of a value, for hashing. Only for types whose encoding cannot fail.
pub(crate) fn canonical<T: Encode>(value: &T) -> Vec<u8> {
    // Encoding plain data into a Vec has no way to fail; an empty result would only make a hash that matches nothing.
    bincode::encode_to_vec(value, codec()).unwrap_or_default()
}

/// bincode allocates what a length prefix claims, up to its limit; so the limit is the smallest power of 4 times 1 KiB
/// that holds the bytes at hand: a claim may cost a few times its message, never gigabytes.
fn decode_bounded<M: Decode<()>>(bytes: &[u8]) -> Result<M, WireError> {
    let (message, read) = match bytes.len() {
        0..=0x1000 => bincode::decode_from_slice(bytes, config::standard().with_limit::<0x4000>()),
        0x1001..=0x4_0000 => bincode::decode_from_slice(bytes, config::standard().with_limit::<0x10_0000>()),
        _ => bincode::decode_from_slice(bytes, config::standard().with_limit::<{ 2 * FRAME_BYTES_MAX }>()),
    }
    .map_err(|error| WireError::Malformed(error.to_string()))?;
    match bytes.len() - read {
        0 => Ok(message),
        trailing => Err(WireError::Trailing(trailing)),
    }
}

fn codec() -> impl Config {
    config::standard()
}

#[cfg(test)]
mod tests;

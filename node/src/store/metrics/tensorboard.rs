//! TensorBoard's event files.
//!
//! ```text
//! file    record*            record   length: u64 | masked crc of length | data | masked crc of data          little-endian
//! data    Event, a protocol buffer: wall_time, step, file_version (of the first one) or summary { tag, simple_value }
//! masked  (crc >> 15 | crc << 17) + 0xa282ead8     crc: CRC-32C (Castagnoli)
//! ```
//!
//! (tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto, tensorflow/core/lib/hash/crc32c.h; Apache 2.0.)

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use prost::Message as _;

use super::append;

/// Of files of this form.
const FILE_VERSION: &str = "brain.Event:2";
/// See the module.
const MASK: u32 = 0xa282_ead8;

#[derive(Clone, PartialEq, prost::Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    // Optional, so that a figure of 0 is written too.
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// A file of events.
#[derive(Debug)]
pub(super) struct Events(File);

impl Events {
    /// A new file in that folder, which is made when it is not there.
    pub(super) fn create(dir: &Path, wall_time: f64) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let name = format!("events.out.tfevents.{}.starling.{}", wall_time as u64, std::process::id());
        let mut events = Self(OpenOptions::new().append(true).create(true).open(dir.join(name))?);
        let first = Event { wall_time, file_version: Some(FILE_VERSION.to_owned()), ..Event::default() };
        events.record(&first.encode_to_vec())?;
        Ok(events)
    }

    /// Figures of a moment; those that are missing are left out.
    pub(super) fn write(&mut self, wall_time: f64, step: u64, figures: &[(&str, Option<f64>)]) -> io::Result<()> {
        let value = |&(tag, value): &(&str, Option<f64>)| {
            value.map(|value| Value { tag: tag.to_owned(), simple_value: Some(value as f32) })
        };
        let summary = Summary { value: figures.iter().filter_map(value).collect() };
        let event = Event { wall_time, step: step as i64, file_version: None, summary: Some(summary) };
        self.record(&event.encode_to_vec())
    }

    fn record(&mut self, data: &[u8]) -> io::Result<()> {
        let length = (data.len() as u64).to_le_bytes();
        let mut record = length.to_vec();
        record.extend(masked(&length).to_le_bytes());
        record.extend(data);
        record.extend(masked(data).to_le_bytes());
        append(&self.0, &record)
    }
}

fn masked(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(MASK)
}

/// Bit by bit: a record has some hundred bytes, and there is one an epoch.
fn crc32c(data: &[u8]) -> u32 {
    const REFLECTED: u32 = 0x82f6_3b78;
    let bit = |crc: u32, _| crc >> 1 ^ (REFLECTED & (crc & 1).wrapping_neg());
    !data.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), bit))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn records_have_the_form_that_readers_check() {
        // RFC 3720, B.4: 32 bytes of zeros.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(masked(&[0; 32]), 0x8a91_36aau32.rotate_right(15).wrapping_add(MASK));
        let dir = tempfile::tempdir().unwrap();
        let mut events = Events::create(dir.path(), 1.5).unwrap();
        events.write(2.5, 7, &[("a", Some(0.0)), ("b", None), ("c", Some(3.0))]).unwrap();
        let path = fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
        let mut rest = &fs::read(path).unwrap()[..];
        let mut found = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            assert_eq!(u32::from_le_bytes(rest[8..12].try_into().unwrap()), masked(&rest[..8]));
            let data = &rest[12..12 + length];
            assert_eq!(u32::from_le_bytes(rest[12 + length..16 + length].try_into().unwrap()), masked(data));
            found.push(Event::decode(data).unwrap());
            rest = &rest[16 + length..];
        }
        assert_eq!((found.len(), found[0].file_version.as_deref()), (2, Some(FILE_VERSION)));
        let tags: Vec<_> =
            found[1].summary.clone().unwrap().value.into_iter().map(|v| (v.tag, v.simple_value)).collect();
        assert_eq!(tags, [("a".to_owned(), Some(0.0)), ("c".to_owned(), Some(3.0))]);
        assert_eq!((found[1].step, found[1].wall_time), (7, 2.5));
    }
}

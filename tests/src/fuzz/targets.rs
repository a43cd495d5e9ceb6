//! Targets that read bytes and nothing more. What is read is asked whether it means what it says.

use std::sync::Arc;

use protocol::codec::{self, Decoded};
use protocol::fixed::Weight;
use protocol::log::{Delta, SignedDelta};
use protocol::wire::{
    FRAME_BYTES_MAX, GREETING_BYTES_MAX, Greeting, LENGTH_BYTES, Message, body_length, decode_body, encode_frame,
    frame_bytes,
};
use shaders::data::idx::{self, Dimensions};
use shaders::data::{Options, open};

use super::peers::{PARAMETERS, context};

/// A body: of a greeting, or of a message. Read, said again and read again it is the same bytes.
pub(super) fn frame(bytes: &[u8]) {
    node::fuzz::link(bytes);
    if let Some(prefix) = bytes.first_chunk::<LENGTH_BYTES>()
        && let Ok(length) = body_length(*prefix, FRAME_BYTES_MAX)
    {
        assert!((1..=FRAME_BYTES_MAX).contains(&length), "{length}");
    }
    if let Ok(message) = decode_body::<Message>(bytes) {
        let mut frame = Vec::new();
        encode_frame(&message, &mut frame).expect("what fits a frame fits it again");
        assert_eq!(frame.len(), frame_bytes(&message));
        let again: Message = decode_body(&frame[LENGTH_BYTES..]).expect("what was said is read");
        // By their bytes: a NaN is not equal to itself.
        let mut twice = Vec::new();
        encode_frame(&again, &mut twice).expect("as before");
        assert_eq!(frame, twice);
        let _ = message.out_of_bounds();
    }
    if bytes.len() <= GREETING_BYTES_MAX
        && let Ok(greeting) = decode_body::<Greeting>(bytes)
    {
        let mut frame = Vec::new();
        encode_frame(&greeting, &mut frame).expect("it fits");
        assert_eq!(decode_body::<Greeting>(&frame[LENGTH_BYTES..]).expect("read again"), greeting);
    }
}

/// The text of an mDNS announcement, one `key=value` a line.
pub(super) fn announcement(bytes: &[u8]) {
    node::fuzz::announcement(bytes);
}

/// The first byte chooses the codec, two more the weight, and the rest is a payload; or all of it is a delta that claims to be signed.
pub(super) fn delta(bytes: &[u8]) {
    let mut decoded = Decoded::default();
    if let Some((&[which, low, high], payload)) = bytes.split_first_chunk::<3>() {
        let codec = codec::ALL[usize::from(which) % codec::ALL.len()];
        let weight = Weight::from_raw(u32::from(u16::from_le_bytes([low, high])));
        if let Some(weight) = weight
            && codec.decode(payload, PARAMETERS, weight, &mut decoded).is_ok()
        {
            let mut again = Decoded::default();
            codec.decode(payload, PARAMETERS, weight, &mut again).expect("read once, read twice");
            assert_eq!(format!("{decoded:?}"), format!("{again:?}"), "one payload, one meaning");
        }
    }
    let signed: Vec<Arc<SignedDelta>> = match decode_body::<Message>(bytes) {
        Ok(Message::Delta(signed)) => vec![signed],
        Ok(Message::Deltas(chain)) => chain,
        _ => Vec::new(),
    };
    for signed in signed {
        let _ = Delta::check(&context(), signed, &mut decoded);
    }
}

/// A job file.
pub(super) fn job(bytes: &[u8]) {
    node::fuzz::job(bytes);
}

thread_local! {
    /// Where the files of this thread are written.
    static FOLDER: tempfile::TempDir = tempfile::tempdir().expect("a folder");
}

/// A file of data whose content tells what it is: CSV, TSV, NPY, NPZ. What is read is a set: as many labels as samples, each of a class.
pub(super) fn data(bytes: &[u8]) {
    let path = FOLDER.with(|folder| folder.path().join("file"));
    std::fs::write(&path, bytes).expect("the file is written");
    if let Ok(set) = open(&path, &Options::default()) {
        for part in [&set.train, &set.test] {
            assert_eq!(part.features.len(), (part.len() * set.features()) as u64, "a label a sample");
            assert!(part.labels.iter().all(|&label| (label as usize) < set.classes), "a label of a class");
        }
    }
}

/// A file of a checkpoint.
pub(super) fn checkpoint(bytes: &[u8]) {
    node::fuzz::checkpoint(bytes);
}

/// A file of data, gzipped or not.
pub(super) fn idx(bytes: &[u8]) {
    for dimensions in [Dimensions::Exactly(1), Dimensions::AtLeast(2)] {
        if let Ok(read) = idx::parse(bytes.to_vec(), dimensions) {
            assert_eq!(read.extents.iter().product::<usize>(), read.values.len(), "as announced");
        }
    }
}

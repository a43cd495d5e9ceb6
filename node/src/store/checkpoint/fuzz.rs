//! For the tests under fuzz: a file of a checkpoint read as if its manifest vouched for it, since a hash lets no mutation through.

use super::manifest::Manifest;
use super::{Config, read, standing};

/// The first byte says which file the others are: 0 manifest, 1 configuration, 2 weights, 3 what training goes on from.
///
/// # Panics
/// When what was read is not what it says it is.
pub(crate) fn part(bytes: &[u8]) {
    let Some((&which, file)) = bytes.split_first() else { return };
    match which % 4 {
        0 => manifest(file),
        1 => configuration(file),
        2 => weights(file),
        _ => state(file),
    }
}

fn manifest(file: &[u8]) {
    if let Some(manifest) = std::str::from_utf8(file).ok().and_then(Manifest::parse) {
        assert_eq!(manifest.to_text().as_bytes(), file, "a manifest has one form");
    }
}

fn configuration(file: &[u8]) {
    let Ok(config) = Config::parse(file) else { return };
    if let Ok(network) = config.starling.network() {
        let about = &config.starling;
        assert_eq!((network.parameters(), network.classes()), (about.parameters, about.classes), "as it says");
    }
    if let Ok(text) = config.to_text() {
        assert!(Config::parse(text.as_bytes()).is_ok(), "what was read is written and read again");
    }
}

fn weights(file: &[u8]) {
    if read::begun_at(file).is_ok() {
        assert!(file.len() >= 8, "no safetensors file is shorter than the length of its header");
    }
}

fn state(file: &[u8]) {
    let Ok((learner, at, course, run)) = read::state(file) else { return };
    let words = learner.base.len() + learner.theta.len() + learner.own.values().map(Vec::len).sum::<usize>();
    assert!(4 * words <= file.len(), "{words} words out of {} bytes", file.len());
    if let Ok(text) = standing::to_text(&at, course, &run) {
        assert!(
            standing::parse(&text).is_ok_and(|again| again == (at, course, run)),
            "where a peer stands has one meaning"
        );
    }
}

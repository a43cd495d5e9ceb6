#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::path::Path;

use proptest::prelude::*;

use super::files::read_within;
use super::idx::{Dimensions, IdxError, parse};
use super::*;

mod formats;
mod hostile;
mod streamed;

fn idx_bytes(extents: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, extents.len() as u8];
    extents.iter().for_each(|extent| bytes.extend_from_slice(&extent.to_be_bytes()));
    bytes.extend_from_slice(values);
    bytes
}

/// Rows of a split, in memory or not.
fn rows(split: &Split, width: usize) -> Vec<f32> {
    let mut out = Vec::new();
    split.features.read_range(width, 0..split.len(), &mut out).unwrap();
    out
}

#[test]
fn every_set_that_is_there_opens_and_is_sound() {
    for set in ALL.iter().filter(|set| set.is_there()) {
        let options = Options { context: set.is_text().then_some(16), ..Options::default() };
        let data = named(set.name, &options).unwrap();
        for split in [&data.train, &data.test] {
            assert_eq!(split.features.len(), (split.len() * data.features()) as u64);
            if !set.is_text() {
                assert!(rows(split, data.features()).iter().all(|value| (0.0..=1.0).contains(value)));
                assert!(split.labels.iter().all(|&label| (label as usize) < data.classes));
                assert!((0..data.classes as u32).all(|class| split.labels.contains(&class)), "every class is there");
            }
        }
    }
}

#[test]
fn a_set_that_is_not_installed_names_its_package() {
    let looked = vec!["/nowhere".into()];
    let error = DataError::NotInstalled { name: "fashion-mnist", looked, remedy: named::remedy("fashion-mnist") };
    for part in ["fashion-mnist", "/nowhere", "apt-get install dataset-fashion-mnist", "--data"] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn the_plays_are_what_the_notice_says() {
    let options = Options { context: Some(64), ..Options::default() };
    let plays = named("shakespeare", &options).unwrap();
    // 535,348 bytes in windows of 64.
    assert_eq!((plays.train.len(), plays.test.len(), plays.classes), (7527, 837, 256));
    let first: Vec<u8> = rows(&plays.train, 65)[..24].iter().map(|&token| token as u8).collect();
    assert_eq!(first, b"HAMLET, PRINCE OF DENMAR");
    let wrong = named("shakespeare", &Options::default()).unwrap_err().to_string();
    assert!(wrong.contains("model.kind = \"lm\""), "{wrong}");
    assert!(named("digits", &options).unwrap_err().to_string().contains("pictures"));
}

#[test]
fn digits_are_what_the_notice_says() {
    let digits = embedded("digits").unwrap();
    assert_eq!((digits.train.len(), digits.test.len(), digits.classes), (1437, 360, 10));
    assert_eq!(digits.shape, [8, 8]);
    assert!(matches!(embedded("digit"), Err(DataError::Unknown { .. })));
}

#[test]
fn each_kind_of_damage_has_its_error() {
    let at_least_2 = Dimensions::AtLeast(2);
    let good = idx_bytes(&[2, 3], &[1, 2, 3, 4, 5, 6]);
    assert_eq!(parse(good.clone(), at_least_2).unwrap().extents, [2, 3]);
    assert!(matches!(parse(good[..good.len() - 1].to_vec(), at_least_2), Err(IdxError::Length { .. })));
    assert!(matches!(parse([&good[..], &[0]].concat(), at_least_2), Err(IdxError::Length { .. })));
    assert!(matches!(parse(good[..7].to_vec(), at_least_2), Err(IdxError::Length { .. })));
    assert!(matches!(parse(b"\x89PNG".to_vec(), at_least_2), Err(IdxError::Magic { .. })));
    assert!(matches!(parse(vec![], at_least_2), Err(IdxError::Magic { .. })));
    assert!(matches!(parse(vec![0, 0, 13, 2], at_least_2), Err(IdxError::Type { found: 13 })));
    assert!(matches!(parse(good, Dimensions::Exactly(1)), Err(IdxError::Rank { found: 2, .. })));
    let claim = idx_bytes(&[u32::MAX, u32::MAX, u32::MAX], &[]);
    assert!(matches!(parse(claim, at_least_2), Err(IdxError::TooLarge { .. })));
}

#[test]
fn gzip_is_read_and_its_damage_found() {
    let good = idx_bytes(&[4], &[1, 2, 3, 4]);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&good).unwrap();
    let zipped = encoder.finish().unwrap();
    assert_eq!(parse(zipped.clone(), Dimensions::Exactly(1)), parse(good, Dimensions::Exactly(1)));
    let cut = zipped[..zipped.len() - 9].to_vec();
    assert!(matches!(parse(cut, Dimensions::Exactly(1)), Err(IdxError::Gzip(_))));
}

#[test]
fn no_file_costs_more_than_the_limit() {
    let path = std::env::temp_dir().join(format!("starling-limit-{}", std::process::id()));
    std::fs::write(&path, [7; 100]).unwrap();
    assert_eq!(read_within(&path, 100).unwrap(), [7; 100]);
    let too_large = read_within(&path, 99).unwrap_err().to_string();
    assert!(too_large.contains("100 bytes") && too_large.contains("99"), "{too_large}");
    // What says that it is empty, and has no end; and what is longer than it says.
    let endless = read_within(Path::new("/dev/zero"), 99).unwrap_err().to_string();
    assert!(endless.contains("no regular file"), "{endless}");
    let longer = read_within(Path::new("/proc/meminfo"), 99).unwrap_err().to_string();
    assert!(longer.contains("the limit is 99"), "{longer}");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&[7; 5000]).unwrap();
    let bomb = encoder.finish().unwrap();
    assert_eq!(idx::unzipped(bomb.clone(), 5000).unwrap(), [7; 5000]);
    assert_eq!(idx::unzipped(bomb, 4999), Err(IdxError::TooLarge { bytes: 5000, limit: 4999 }));
    std::fs::remove_file(&path).unwrap();
}

proptest! {
    #[test]
    fn random_bytes_are_refused_or_consistent(mut bytes in prop::collection::vec(any::<u8>(), 0..200), header in any::<bool>()) {
        if header && bytes.len() >= 4 {
            bytes[..3].copy_from_slice(&[0, 0, 8]);
            bytes[3] %= 5;
        }
        if let Ok(idx) = parse(bytes, Dimensions::AtLeast(1)) {
            prop_assert_eq!(idx.values.len(), idx.extents.iter().product::<usize>());
        }
    }
}

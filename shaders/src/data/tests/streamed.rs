//! Rows that stay in their file are the rows that would lie in memory.

use super::super::*;
use super::formats::{Folder, floats, npy};
use super::{idx_bytes, rows};

#[test]
fn what_stays_in_its_file_is_what_memory_would_hold() {
    let folder = Folder::new("streamed");
    let pixels: Vec<u8> = (0..600u32).map(|i| (i * 7 % 256) as u8).collect();
    let images = folder.write("a-images-idx3-ubyte", idx_bytes(&[100, 2, 3], &pixels));
    folder.write("a-labels-idx1-ubyte", idx_bytes(&[100], &(0..100).map(|i| i % 3).collect::<Vec<_>>()));
    let values: Vec<f32> = (0..300).map(|i| (i as f32).sin()).collect();
    let array = folder.write("x.npy", npy("<f4", "(100, 3)", &floats(&values)));
    folder.write("y.npy", npy("|u1", "(100,)", &(0..100).map(|i| i % 2).collect::<Vec<_>>()));
    let text = folder.write("t.txt", "what comes next ".repeat(40));
    let shares = Shares { validation: 0.2, test: 0.1 };
    let options = Options { shares, ..Options::default() };
    let whole: Vec<f32> = (0..400).map(|i| if i % 4 == 0 { (i / 4 % 2) as f32 } else { (i as f32).cos() }).collect();
    // The label first, amid, and last.
    let tables: Vec<_> = (0..4)
        .map(|label| {
            let rows: Vec<f32> = whole.chunks(4).flat_map(|row| (0..4).map(|i| row[(i + 4 - label) % 4])).collect();
            let name = format!("label-{label}.npy");
            (
                folder.write(&name, npy("<f4", "(100, 4)", &floats(&rows))),
                Options { label: Some(label.to_string()), ..options.clone() },
            )
        })
        .collect();
    for (path, options) in tables.into_iter().chain([
        (images, options.clone()),
        (array, Options { label: Some("y.npy".into()), ..options.clone() }),
        (text, Options { context: Some(8), ..options }),
    ]) {
        let held = open(&path, &options).unwrap();
        let streamed = open(&path, &Options { resident_bytes_max: 0, ..options }).unwrap();
        assert_eq!(held.shape, streamed.shape);
        assert_eq!(held.encoding, streamed.encoding, "the same mean and deviation");
        let parts = |data: &Dataset| {
            [&data.train, &data.validation, &data.test]
                .map(|split| (rows(split, data.features()), split.labels.clone()))
        };
        assert_eq!(parts(&held), parts(&streamed));
        assert!(held.train.features.resident().is_some() && streamed.train.features.resident().is_none());
        let mut some = Vec::new();
        streamed.train.features.read(streamed.features(), &[5, 0], &mut some).unwrap();
        let all = rows(&held.train, held.features());
        let width = held.features();
        assert_eq!(some, [&all[5 * width..6 * width], &all[..width]].concat());
        assert_eq!(
            rows(&Split { features: streamed.test.features.choose(width, vec![1]), labels: vec![0] }, width),
            rows(&held.test, width)[width..2 * width]
        );
    }
}

#[test]
fn a_file_that_is_cut_off_while_it_is_read_is_an_error() {
    let folder = Folder::new("shrinking");
    let path = folder.write("a-images-idx3-ubyte", idx_bytes(&[100, 2, 3], &[9; 600]));
    folder.write("a-labels-idx1-ubyte", idx_bytes(&[100], &(0..100).map(|i| i % 2).collect::<Vec<_>>()));
    let data = open(&path, &Options { resident_bytes_max: 0, ..Options::default() }).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(100).unwrap();
    let error = data.train.features.read(6, &[89], &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("a-images-idx3-ubyte"), "{error}");
}

#[test]
fn a_number_that_is_not_finite_is_told_with_its_file_and_sample() {
    let folder = Folder::new("not-finite");
    let mut values = vec![1.0f32; 200];
    values[2 * 70 + 1] = f32::NAN;
    let path = folder.write("x.npy", npy("<f4", "(100, 2)", &floats(&values)));
    folder.write("y.npy", npy("|u1", "(100,)", &(0..100).map(|i| i % 2).collect::<Vec<_>>()));
    let options = Options {
        label: Some("y.npy".into()),
        normalize: Normalize::None,
        resident_bytes_max: 0,
        ..Options::default()
    };
    let data = open(&path, &options).unwrap();
    let mut found = Vec::new();
    for split in [&data.train, &data.test] {
        for row in 0..split.len() as u32 {
            found.extend(split.features.read(2, &[row], &mut Vec::new()).err().map(|error| error.to_string()));
        }
    }
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("x.npy, sample 70") && found[0].contains("not finite") && found[0].contains("replace it")
    );
}

#[test]
fn wide_rows_are_looked_at_in_pieces() {
    let folder = Folder::new("pieces");
    let path = folder.write(
        "a-images-idx3-ubyte",
        idx_bytes(&[100, 2, 3], &(0..600u32).map(|i| (i % 251) as u8).collect::<Vec<_>>()),
    );
    folder.write("a-labels-idx1-ubyte", idx_bytes(&[100], &(0..100).map(|i| i % 2).collect::<Vec<_>>()));
    let data = open(&path, &Options { resident_bytes_max: 0, ..Options::default() }).unwrap();
    let chosen: Vec<u32> = (0..90).collect();
    for (bytes, most) in [(0, 1), (23, 1), (24 * 7, 7), (1 << 20, 90)] {
        let (mut all, mut widest) = (Vec::new(), 0);
        let seen = |piece: &[f32]| {
            widest = widest.max(piece.len() / 6);
            all.extend_from_slice(piece);
        };
        data.train.features.each_piece(6, &chosen, bytes, seen).unwrap();
        assert_eq!((widest, all), (most, rows(&data.train, 6)), "{bytes} bytes");
    }
}

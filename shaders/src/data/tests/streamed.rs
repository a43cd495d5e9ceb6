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
    for (path, options) in [
        (images, options.clone()),
        (array, Options { label: Some("y.npy".into()), ..options.clone() }),
        (text, Options { context: Some(8), ..options }),
    ] {
        let held = open(&path, &options).unwrap();
        let streamed = open(&path, &Options { resident_bytes_max: 0, ..options }).unwrap();
        assert_eq!(held.shape, streamed.shape);
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
    folder.write("a-labels-idx1-ubyte", idx_bytes(&[100], &[1; 100]));
    let data = open(&path, &Options { resident_bytes_max: 0, ..Options::default() }).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(100).unwrap();
    let error = data.train.features.read(6, &[89], &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("a-images-idx3-ubyte"), "{error}");
}

//! Each format, from a file that is as it should be to numbers that are known.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::super::summary::{Summary, montage};
use super::super::*;
use super::{idx_bytes, rows};

/// A folder that is gone afterwards.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("starling-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(super) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn plain() -> Options {
    Options { normalize: Normalize::None, ..Options::default() }
}

/// All samples with their labels, in the order of their first number: parts are drawn.
fn all(data: &Dataset) -> Vec<(Vec<f32>, u32)> {
    let mut found = Vec::new();
    for split in [&data.train, &data.validation, &data.test] {
        let width = data.features();
        let rows = rows(split, width);
        found.extend(rows.chunks(width).map(<[f32]>::to_vec).zip(split.labels.iter().copied()));
    }
    found.sort_by(|a, b| a.0[0].total_cmp(&b.0[0]));
    found
}

pub(super) fn npy(descr: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(values);
    bytes
}

pub(super) fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

pub(super) fn npz(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

pub(super) fn picture(width: u32, height: u32, grey: u8) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::GrayImage::from_pixel(width, height, image::Luma([grey]))
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

#[test]
fn tables_with_and_without_header_quotes_and_texts() {
    let folder = Folder::new("tables");
    let path = folder.write("a.csv", "size,colour,\"the, kind\",x\n1,red,\"a \"\"b\"\"\",5\n2,blue,c,6\n3,red,c,7\n");
    let options = Options { label: Some("the, kind".into()), ..plain() };
    let data = open(&path, &options).unwrap();
    assert_eq!(data.encoding.class_names, ["a \"b\"", "c"]);
    let expected = [(vec![1.0, 0.0, 1.0, 5.0], 0), (vec![2.0, 1.0, 0.0, 6.0], 1), (vec![3.0, 0.0, 1.0, 7.0], 1)];
    assert_eq!(all(&data), expected);
    assert_eq!(data.encoding.columns[1].values, ["blue", "red"]);
    assert_eq!(open(&path, &Options { label: Some("2".into()), ..plain() }).map(|data| all(&data)).unwrap(), expected);
    // Without a header, tabs between, the label last; or a column called class.
    let path = folder.write("b.tsv", "1\t2\t0\n3\t4\t1\n5\t6\t1\n");
    assert_eq!(all(&open(&path, &plain()).unwrap()), [(vec![1.0, 2.0], 0), (vec![3.0, 4.0], 1), (vec![5.0, 6.0], 1)]);
    let path = folder.write("c.csv", "\u{feff}Class;a;b\r\n2;1;9\r\n0;2;8\r\n\r\n1;3;7\r\n");
    let data = open(&path, &plain()).unwrap();
    assert_eq!((data.classes, all(&data)), (3, vec![(vec![1.0, 9.0], 2), (vec![2.0, 8.0], 0), (vec![3.0, 7.0], 1)]));
    let zipped = gzip(&fs::read(&path).unwrap());
    assert_eq!(all(&open(&folder.write("c.csv.gz", zipped), &plain()).unwrap()).len(), 3);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_table_for_a_model_is_encoded_as_that_was_trained() {
    let folder = Folder::new("as-trained");
    let trained = open(&folder.write("a.csv", "size,soil,kind\n1,wet,x\n2,dry,y\n3,mud,x\n"), &plain()).unwrap();
    let options = Options { columns: trained.encoding.columns.clone(), ..plain() };
    // Columns stand elsewhere, the last one is no label, there is another one, and fewer texts.
    let other = folder.write("b.csv", "kind,note,soil,size\nx,,wet,1\ny,,dry,2\nx,,wet,5\n");
    let options = Options { label: Some("kind".into()), ..options };
    let data = open(&other, &options).unwrap();
    assert_eq!(data.encoding.columns, trained.encoding.columns);
    let expected = [(vec![1.0, 0.0, 0.0, 1.0], 0), (vec![2.0, 1.0, 0.0, 0.0], 1), (vec![5.0, 0.0, 0.0, 1.0], 0)];
    assert_eq!(all(&data), expected);
    let last = folder.write("c.csv", "soil,kind,size\nwet,x,1\ndry,y,2\nwet,x,5\n");
    assert_eq!(all(&open(&last, &Options { label: None, ..options }).unwrap()), expected, "what is read is no label");
    // Without a header columns are where they were.
    let trained =
        open(&folder.write("d.csv", "7,0,70\n8,1,80\n"), &Options { label: Some("1".into()), ..plain() }).unwrap();
    let again = Options { columns: trained.encoding.columns.clone(), ..plain() };
    assert_eq!(
        all(&open(&folder.write("e.csv", "5,1,50\n6,0,60\n"), &again).unwrap()),
        [(vec![5.0, 50.0], 1), (vec![6.0, 60.0], 0)]
    );
}

#[test]
fn a_model_of_one_column_is_asked_with_one() {
    let folder = Folder::new("one-column");
    let data = open(&folder.write("a.csv", "size,label\n1,0\n2,1\n3,1\n"), &plain()).unwrap();
    for (name, text) in [("named.csv", "size\n7\n8\n"), ("bare.csv", "7\n8\n\n")] {
        assert_eq!(inputs(&folder.write(name, text), &data.shape, &data.encoding).unwrap().features, [7.0, 8.0]);
    }
    let gap = inputs(&folder.write("gap.csv", "size\n7\n\n8\n"), &data.shape, &data.encoding).unwrap_err().to_string();
    assert!(gap.contains("line 3") && gap.contains("missing"), "{gap}");
}

#[test]
fn normalisation_is_of_the_training_part_alone() {
    let folder = Folder::new("normalised");
    let lines: String = (0..100).map(|i| format!("{i},{},{}\n", i * i, i % 2)).collect();
    let path = folder.write("a.csv", lines);
    let raw = open(&path, &plain()).unwrap();
    let data = open(&path, &Options::default()).unwrap();
    let normalization = data.encoding.normalization.clone().unwrap();
    let train = rows(&raw.train, 2);
    for column in 0..2 {
        let values: Vec<f64> = train.iter().skip(column).step_by(2).map(|&value| f64::from(value)).collect();
        let mean = values.iter().sum::<f64>() / 90.0;
        let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 90.0).sqrt();
        assert!((f64::from(normalization.mean[column]) - mean).abs() < 1e-3 * mean);
        assert!((f64::from(normalization.deviation[column]) - deviation).abs() < 1e-3 * deviation);
    }
    let expected: Vec<f32> = rows(&raw.test, 2)
        .chunks(2)
        .flat_map(|row| [0, 1].map(|i| (row[i] - normalization.mean[i]) / normalization.deviation[i]))
        .collect();
    assert_eq!(rows(&data.test, 2), expected, "the test part by the same numbers");
    // What a model is given later goes the same way.
    let given = folder.write("given.csv", "7,49\n");
    let found = inputs(&given, &data.shape, &data.encoding).unwrap();
    assert_eq!(found.features, [0, 1].map(|i| ([7.0, 49.0][i] - normalization.mean[i]) / normalization.deviation[i]));
}

#[test]
fn parts_are_drawn_by_the_seed_and_share_nothing() {
    let folder = Folder::new("parts");
    let path = folder.write("a.csv", (0..100).map(|i| format!("{i},{}\n", i % 2)).collect::<String>());
    let parts = |seed, validation, test| {
        let data = open(&path, &Options { seed, shares: Shares { validation, test }, ..plain() }).unwrap();
        assert_eq!(
            all(&data).iter().map(|(row, _)| row[0]).collect::<Vec<_>>(),
            (0..100).map(|i| i as f32).collect::<Vec<_>>()
        );
        assert_eq!(data.evaluated().len(), if validation > 0.0 { data.validation.len() } else { data.test.len() });
        [rows(&data.train, 1), rows(&data.validation, 1), rows(&data.test, 1)]
    };
    let lengths = |parts: &[Vec<f32>; 3]| parts.each_ref().map(Vec::len);
    assert_eq!(lengths(&parts(1, 0.0, 0.1)), [90, 0, 10]);
    assert_eq!(lengths(&parts(1, 0.2, 0.25)), [55, 20, 25]);
    assert_eq!(parts(1, 0.2, 0.1), parts(1, 0.2, 0.1));
    assert_ne!(parts(1, 0.2, 0.1), parts(2, 0.2, 0.1));
    // A set with a test part of its own keeps it.
    let digits =
        named("digits", &Options { shares: Shares { validation: 0.1, test: 0.1 }, ..Options::default() }).unwrap();
    assert_eq!([digits.train.len(), digits.validation.len(), digits.test.len()], [1293, 144, 360]);
}

#[test]
fn arrays_alone_in_folders_and_in_archives() {
    let folder = Folder::new("arrays");
    let expected = [(vec![1.0, 2.0], 1), (vec![3.0, 4.0], 0), (vec![5.0, 6.0], 1)];
    let samples = npy("<f4", "(3, 2)", &floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    let labels = npy("<i8", "(3,)", &[1i64, 0, 1].iter().flat_map(|label| label.to_le_bytes()).collect::<Vec<_>>());
    let x = folder.write("one/x.npy", &samples);
    folder.write("one/y.npy", &labels);
    let with_labels = Options { label: Some("y.npy".into()), ..plain() };
    assert_eq!(all(&open(&x, &with_labels).unwrap()), expected);
    let together = npy(
        ">f8",
        "(3, 3)",
        &[1.0f64, 2.0, 1.0, 3.0, 4.0, 0.0, 5.0, 6.0, 1.0].iter().flat_map(|v| v.to_be_bytes()).collect::<Vec<_>>(),
    );
    let together = folder.write("together.npy", together);
    assert_eq!(all(&open(&together, &plain()).unwrap()), expected);
    assert_eq!(all(&open(&together, &Options { label: Some("2".into()), ..plain() }).unwrap()), expected);
    let archive = folder.write("both.npz", npz(&[("x", samples.clone()), ("y", labels.clone())]));
    assert_eq!(all(&open(&archive, &plain()).unwrap()), expected);
    for (name, bytes) in [("x_train", &samples), ("y_train", &labels), ("x_test", &samples), ("y_test", &labels)] {
        folder.write(&format!("four/{name}.npy"), bytes);
    }
    let four = open(&folder.path().join("four"), &plain()).unwrap();
    assert_eq!((four.train.len(), four.test.len()), (3, 3));
    // Bytes with rows and columns are pictures.
    let pictures = npy("|u1", "(2, 1, 2)", &[0, 255, 51, 102]);
    let archive = npz(&[
        ("x_train", pictures.clone()),
        ("y_train", npy("|u1", "(2,)", &[0, 1])),
        ("x_test", pictures),
        ("y_test", npy("|u1", "(2,)", &[0, 1])),
    ]);
    let data = open(&folder.write("pictures.npz", archive), &Options::default()).unwrap();
    assert_eq!((data.shape.clone(), rows(&data.train, 2)), (vec![1, 2], vec![0.0, 1.0, 0.2, 0.4]));
    let input = inputs(&x, &[2], &Encoding::default()).unwrap();
    assert_eq!((input.features.len(), input.names.len()), (6, 3));
    let all = inputs::inputs_within(&x, &[2], &Encoding::default(), 24).unwrap();
    assert_eq!(all, input);
    let most = inputs::inputs_within(&x, &[2], &Encoding::default(), 23).unwrap_err().to_string();
    assert!(most.contains("x.npy: 3 samples") && most.contains("a part at a time"), "{most}");
}

#[test]
fn idx_files_alone_are_paired_by_name() {
    let folder = Folder::new("idx-alone");
    let path = folder.write("my-images-idx3-ubyte", idx_bytes(&[4, 1, 2], &[0, 255, 1, 2, 3, 4, 5, 6]));
    assert!(open(&path, &Options::default()).unwrap_err().to_string().contains("my-labels-idx1-ubyte"));
    folder.write("my-labels-idx1-ubyte", idx_bytes(&[4], &[0, 1, 2, 0]));
    let data = open(&path, &Options::default()).unwrap();
    assert_eq!((data.shape.clone(), data.classes, data.train.len() + data.test.len()), (vec![1, 2], 3, 4));
    assert_eq!(all(&data)[0].0, [0.0, 1.0]);
}

#[test]
fn folders_of_pictures() {
    let folder = Folder::new("pictures");
    for (class, grey) in [("cat", 0), ("dog", 255)] {
        for i in 0..3 {
            folder.write(&format!("set/{class}/{i}.png"), picture(4, 3, grey));
        }
    }
    let set = folder.path().join("set");
    let data = open(&set, &Options::default()).unwrap();
    assert_eq!((data.shape.clone(), data.encoding.class_names.clone()), (vec![3, 4], vec!["cat".into(), "dog".into()]));
    assert!(all(&data).iter().all(|(row, class)| row.iter().all(|value| *value == *class as f32)));
    let summary = Summary::of(&data).unwrap();
    assert_eq!(summary.parts.iter().map(|part| part.samples).sum::<usize>(), 6);
    let sheet = image::load_from_memory(&montage(&data).unwrap().unwrap()).unwrap();
    assert_eq!((sheet.width(), sheet.height()), (60, 10));
    // Another size is an error that names both, or made one.
    folder.write("set/dog/large.png", picture(8, 6, 255));
    let error = open(&set, &Options::default()).unwrap_err().to_string();
    assert!(
        error.contains("large.png")
            && error.contains("[6, 8]")
            && error.contains("[3, 4]")
            && error.contains("data.size"),
        "{error}"
    );
    let sized = open(&set, &Options { size: Some([2, 2]), ..Options::default() }).unwrap();
    assert_eq!(sized.shape, [2, 2]);
    let one = inputs(&set.join("dog/large.png"), &sized.shape, &sized.encoding).unwrap();
    assert_eq!(one.features, [1.0; 4], "brought to the size of the training");
    // With colour all have three channels.
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(2, 2, image::Rgb([255, 0, 0])).write_to(&mut bytes, image::ImageFormat::Jpeg).unwrap();
    folder.write("set/dog/red.jpg", bytes.into_inner());
    assert_eq!(open(&set, &Options { size: Some([2, 2]), ..Options::default() }).unwrap().shape, [2, 2, 3]);
    let one = inputs(&set.join("cat/0.png"), &[3, 4], &Encoding::default()).unwrap();
    assert_eq!(one.features, [0.0; 12]);
    assert!(
        inputs(&set.join("dog/large.png"), &[3, 4], &Encoding::default()).unwrap_err().to_string().contains("[6, 8]")
    );
    // Parts that are there already.
    for part in ["train", "test"] {
        for class in ["a", "b"] {
            folder.write(&format!("parted/{part}/{class}/0.png"), picture(2, 2, 9));
        }
    }
    let parted = open(&folder.path().join("parted"), &Options::default()).unwrap();
    assert_eq!((parted.train.len(), parted.test.len(), parted.classes), (2, 2, 2));
}

#[test]
fn a_text_is_windows_that_overlap_by_a_byte() {
    let text: Vec<u8> = (0..=250).map(|i| i % 90 + 32).collect();
    let folder = Folder::new("text");
    let path = folder.write("a.txt", &text[..]);
    let options = |context| Options { context: Some(context), ..Options::default() };
    let data = open(&path, &options(10)).unwrap();
    assert_eq!((data.train.len(), data.test.len(), data.features(), data.classes), (22, 3, 11, 256));
    for (i, window) in rows(&data.train, 11).chunks(11).enumerate() {
        assert!(window.iter().enumerate().all(|(j, &token)| token == f32::from(text[10 * i + j])));
    }
    assert_eq!(rows(&data.test, 11)[0], f32::from(text[220]), "what is evaluated on comes behind");
    assert!(data.train.labels.is_sorted() && data.train.labels.contains(&9));
    for (short, least) in [(1, 21), (10, 21), (20, 21)] {
        let error = open(&folder.write("short.txt", &text[..short]), &options(10)).unwrap_err().to_string();
        assert!(error.contains(&format!("{short} tokens")) && error.contains(&format!("at least {least}")), "{error}");
    }
    assert!(open(&folder.write("short.txt", &text[..21]), &options(10)).is_ok());
    let zipped = folder.write("a.txt.gz", gzip(&text));
    assert_eq!(open(&zipped, &options(10)).unwrap().train.len(), 22);
    let held = Options { shares: Shares { validation: 0.2, test: 0.1 }, ..options(10) };
    let held = open(&path, &held).unwrap();
    assert_eq!([held.train.len(), held.validation.len(), held.test.len()], [17, 5, 3]);
}

#[test]
fn tokens_of_two_bytes() {
    let folder = Folder::new("tokens");
    let tokens: Vec<u16> = (0..100).map(|i| i * 3).collect();
    let bytes: Vec<u8> = tokens.iter().flat_map(|token| token.to_le_bytes()).collect();
    let options = Options { context: Some(9), ..Options::default() };
    for path in [folder.write("train.bin", &bytes), folder.write("t.npy", npy("<u2", "(100,)", &bytes))] {
        let data = open(&path, &options).unwrap();
        assert_eq!((data.classes, data.train.len() + data.test.len()), (298, 11));
        assert_eq!(rows(&data.train, 10)[..10], [0.0, 3.0, 6.0, 9.0, 12.0, 15.0, 18.0, 21.0, 24.0, 27.0]);
        let said = Options { classes: Classes::Count(50_257), ..options.clone() };
        assert_eq!(open(&path, &said).unwrap().classes, 50_257);
        let few = Options { classes: Classes::Count(100), ..options.clone() };
        assert!(open(&path, &few).unwrap_err().to_string().contains("token 297"));
    }
    let odd = folder.write("odd.bin", &bytes[1..]);
    for resident_bytes_max in [0, 1 << 20] {
        let error = open(&odd, &Options { resident_bytes_max, ..options.clone() }).unwrap_err().to_string();
        assert!(error.contains("odd number of bytes") && error.contains("cut off"), "{error}");
    }
}

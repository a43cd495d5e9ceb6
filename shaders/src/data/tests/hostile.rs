//! Files that are cut off, empty, of another kind, or lie about themselves: an error that names the file, the place and what to do, whatever
//! the bytes; never a panic, nor memory by what a header claims.

use std::path::Path;

use proptest::prelude::*;

use super::super::*;
use super::formats::{Folder, floats, npy, npz, picture};
use super::idx_bytes;

fn refused(path: &Path, options: &Options, parts: &[&str]) {
    let error = open(path, options).map(|data| data.name).unwrap_err();
    // Whatever it is, it says what to do.
    let (error, remedy) = (error.to_string(), error.remedy());
    assert!(remedy.len() > 10 && error.ends_with(&format!("; {remedy}")), "{error}");
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    for part in parts.iter().copied().chain([name.as_str()]) {
        assert!(error.contains(part), "{part:?} is missing: {error}");
    }
}

#[test]
fn tables_that_cannot_be_trained_on() {
    let folder = Folder::new("bad-tables");
    let label = |label: &str| Options { label: Some(label.into()), ..Options::default() };
    let cases: &[(&str, &str, Options, &[&str])] = &[
        ("empty.csv", "", Options::default(), &["no samples"]),
        ("header.csv", "a,label\n", Options::default(), &["a header (a, label)", "no row below it"]),
        (
            "same.csv",
            "a,label\n1,x\n2,x\n3,x\n",
            Options::default(),
            &["all 3 samples", "\"x\"", "--label", "data.classes"],
        ),
        ("ones.csv", "1,1\n2,1\n3,1\n", Options::default(), &["all 3 samples", "\"1\""]),
        ("last_quote.csv", "a,label\n1,0\n2,\"1\n3,0\n4,1\n", Options::default(), &["line 3", "never closed"]),
        ("quote.csv", "a,label\n1,0\n\"2,1\n3,0\n", Options::default(), &["line 3", "never closed"]),
        ("huge.csv", "a,label\n1,0\n1e300,1\n2,0\n", Options::default(), &["line 3", "1e300", "32 bits"]),
        (
            "comma.csv",
            "a;label\n3,14;0\n2;1\n0,5;0\n",
            Options::default(),
            &["column \"a\"", "\"3,14\"", "2 of 3 rows", "decimal point"],
        ),
        // Without a header nothing but the numbers tells what separates them.
        (
            "bare.csv",
            "1,5;0\n2,5;1\n",
            Options::default(),
            &["column \"0\"", "\"1,5\"", "2 of 2 rows", "decimal point"],
        ),
        ("more.csv", "1,5;2,5;rose\n2,5;1;lily\n", Options::default(), &["column \"0\"", "\"1,5\"", "decimal point"]),
        ("tabs.csv", "1,5\t2,5\n2\t1\n3\t1\n", label("1"), &["column \"0\"", "\"1,5\"", "1 of 3 rows"]),
        (
            "both.csv",
            "a;label\n1;0,5\n2;1,5\n3;1\n",
            Options::default(),
            &["column \"label\"", "\"0,5\"", "decimal point"],
        ),
        ("named.csv", "a;b\n1,5;0,5\n2,5;1,5\n", label("b"), &["column \"a\"", "\"1,5\"", "2 of 2 rows"]),
        (
            "sized.csv",
            "a,label\n1,0\n2,1\n",
            Options { size: Some([8, 9]), ..Options::default() },
            &["8 x 9", "folder of pictures", "data.size"],
        ),
        ("one.csv", "1\n2\n3\n", Options::default(), &["column", "comma"]),
        (
            "missing.csv",
            "a,label\n1,0\n,1\n3,NA\n4,1\n",
            Options::default(),
            &["lines 3, 4", "missing", "column \"a\"", "leave these rows out"],
        ),
        ("uneven.csv", "a,b,label\n1,2,0\n1,2\n1,2,1\n", Options::default(), &["line 3", "2 columns", "3"]),
        ("odd.csv", "a,label\n1,0\n2,1\nx,0\n4,1\n", Options::default(), &["column \"a\"", "\"x\"", "line 4"]),
        ("label.csv", "a,b\n1,0\n2,1\n", label("kind"), &["\"kind\"", "a, b", "--label"]),
        ("number.csv", "1,0\n2,1\n", label("7"), &["\"7\"", "--label"]),
        ("price.csv", "a,b\n1,0.5\n2,1.25\n", Options::default(), &["line 2", "0.5", "no class", "--label"]),
        ("minus.csv", "a,b\n1,0\n2,1\n3,-1\n", Options::default(), &["line 4", "-1 in column \"b\"", "no class"]),
        ("huge.csv", "a,b\n1,999999999\n2,1\n", Options::default(), &["line 2", "999999999", "0 to 999"]),
        ("infinite.csv", "a,label\ninf,0\n1,1\n2,1\n", Options::default(), &["\"inf\"", "line 2"]),
        ("alone.csv", "1,0\n", Options::default(), &["1 samples", "at least two"]),
    ];
    for (name, text, options, parts) in cases {
        refused(&folder.write(name, text), options, parts);
    }
    let texts: String = (0..60).map(|i| format!("name {i},{}\n", i % 2)).collect();
    refused(
        &folder.write("names.csv", texts),
        &Options::default(),
        &["column \"0\"", "32 different texts", "remove the column"],
    );
    refused(
        &folder.write("latin.csv", b"a,label\n1,0\n\xe9,1\n"),
        &Options::default(),
        &["line 3", "byte 12 (0xe9)", "iconv"],
    );
    let many = Options { classes: Classes::Count(1001), ..Options::default() };
    refused(&folder.write("many.csv", "a,label\n1,0\n2,1\n"), &many, &["data.classes = 1001", "at most 1000"]);
    let classes = Options { classes: Classes::Count(2), ..Options::default() };
    let parts = ["line 3", "label \"2\"", "column \"1\"", "class 2 of 2", "raise data.classes"];
    refused(&folder.write("classes.csv", "1,0\n2,1\n3,2\n"), &classes, &parts);
    let parts = ["line 5", "label \"c\"", "column \"kind\"", "class 2 of 2", "raise data.classes"];
    refused(&folder.write("texts.csv", "x,kind\n1,a\n2,b\n3,a\n4,c\n"), &classes, &parts);
    let named = Options { classes: Classes::Named(vec!["a".into(), "b".into()]), ..Options::default() };
    refused(&folder.write("named.csv", "x,label\n1,a\n2,c\n"), &named, &["line 3", "\"c\"", "data.classes"]);
}

/// Whoever trains is told that there is nothing to learn; whoever looks at data sees that it is so.
#[test]
fn samples_of_one_label_are_looked_at() {
    let folder = Folder::new("one-label");
    let looked = Options { one_label: true, ..Options::default() };
    let texts = open(&folder.write("texts.csv", "a,label\n1,x\n2,x\n3,x\n"), &looked).unwrap();
    assert_eq!((texts.classes, &texts.encoding.class_names[..]), (1, &["x".to_owned()][..]));
    let numbers = open(&folder.write("numbers.csv", "1,3\n2,3\n3,3\n"), &looked).unwrap();
    assert_eq!((numbers.classes, numbers.train.len() + numbers.test.len()), (4, 3));
}

#[test]
fn one_sample_has_two_classes_all_the_same() {
    let folder = Folder::new("one-sample");
    for part in ["train", "t10k"] {
        folder.write(&format!("{part}-images-idx3-ubyte"), idx_bytes(&[1, 1, 2], &[1, 2]));
        folder.write(&format!("{part}-labels-idx1-ubyte"), idx_bytes(&[1], &[0]));
    }
    let data = open(folder.path(), &Options::default()).unwrap();
    assert_eq!((data.train.len(), data.classes), (1, 2), "the loss of one output is none");
}

#[test]
fn folders_of_pictures_and_nothing_else_take_a_size() {
    let folder = Folder::new("sizes");
    folder.write("set/a/0.png", picture(2, 2, 9));
    folder.write("parts/train/a/0.png", picture(2, 2, 9));
    folder.write("idx/train-images-idx3-ubyte", idx_bytes(&[1, 1, 2], &[1, 2]));
    folder.write("idx/a/0.png", picture(2, 2, 9));
    folder.write("npy/x_train.npy", npy("<f4", "(1, 1)", &floats(&[1.0])));
    folder.write("a.csv", "a,label\n1,0\n2,1\n");
    for (name, takes) in
        [("set", true), ("parts", true), ("idx", false), ("npy", false), ("a.csv", false), ("none", false)]
    {
        assert_eq!(takes_size(&folder.path().join(name)), takes, "{name}");
    }
}

#[test]
fn arrays_that_are_not_what_they_say() {
    let folder = Folder::new("bad-arrays");
    let good = npy("<f4", "(3, 2)", &floats(&[1.0, 0.0, 2.0, 1.0, 3.0, 1.0]));
    assert!(open(&folder.write("good.npy", &good), &Options::default()).is_ok());
    for (name, bytes, parts) in [
        ("cut.npy", good[..good.len() - 1].to_vec(), ["24 bytes", "23"]),
        ("header.npy", good[..30].to_vec(), ["cut off", "numpy.save"]),
        ("long.npy", [&good[..], &[0]].concat(), ["24 bytes", "25"]),
        ("claim.npy", npy("<f4", "(4294967296, 4294967296)", &[]), ["more than 2^64", "numpy.save"]),
        ("large.npy", npy("<f4", "(1000000000, 1000)", &[]), ["4000000000000 bytes", "there are 0"]),
        ("objects.npy", npy("|O", "(3, 2)", &[0; 24]), ["|O", "f2 to f8"]),
        (
            "columns.npy",
            b"\x93NUMPY\x01\x00\x40\x00{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2), }      \n\n\n".to_vec(),
            ["fortran_order", "ascontiguousarray"],
        ),
        ("version.npy", b"\x93NUMPY\x09\x00\x00\x00".to_vec(), ["version 9", "1 to 3"]),
        ("huge.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff{'descr'".to_vec(), ["4294967295 bytes", "65536"]),
        ("nan.npy", npy("<f4", "(2, 2)", &floats(&[1.0, 0.0, f32::NAN, 1.0])), ["not finite", "sample 1"]),
        ("labels.npy", npy("<f4", "(2, 2)", &floats(&[1.0, 0.5, 1.0, 1.0])), ["label 0.5", "whole numbers"]),
        ("rank.npy", npy("<f4", "(2, 2, 1)", &floats(&[1.0; 4])), ["[2, 2, 1]", "--label"]),
        ("nothing.npy", npy("<f4", "(0, 2)", &[]), ["no samples", ""]),
    ] {
        refused(&folder.write(name, bytes), &Options::default(), &parts);
    }
    let archive = npz(&[("x", good.clone()), ("y", npy("|u1", "(3,)", &[0, 1, 1]))]);
    assert!(open(&folder.write("good.npz", &archive), &Options::default()).is_ok());
    refused(
        &folder.write("cut.npz", &archive[..archive.len() / 2]),
        &Options::default(),
        &["damaged or cut off", "numpy.savez"],
    );
    let mut flipped = archive;
    // A byte of the packed numbers: the checksum finds it.
    flipped[60] ^= 0x55;
    refused(&folder.write("flipped.npz", flipped), &Options::default(), &["numpy.savez"]);
    refused(&folder.write("names.npz", npz(&[("a", good)])), &Options::default(), &["\"a\"", "x_train"]);
    let count = npz(&[("x", npy("|u1", "(2, 1)", &[1, 2])), ("y", npy("|u1", "(3,)", &[0, 1, 1]))]);
    refused(&folder.write("count.npz", count), &Options::default(), &["2 samples", "3 labels"]);
}

#[test]
fn pictures_that_are_none() {
    let folder = Folder::new("bad-pictures");
    let good = picture(3, 3, 5);
    for (name, bytes) in
        [("cut.png", good[..good.len() - 20].to_vec()), ("empty.png", vec![]), ("text.jpg", b"no picture".to_vec())]
    {
        let set = format!("{name}-set");
        folder.write(&format!("{set}/a/0.png"), &good);
        folder.write(&format!("{set}/b/{name}"), bytes);
        let error = open(&folder.path().join(&set), &Options::default()).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("no picture") && error.contains("replace"), "{error}");
    }
    // A header that claims more pixels than anybody has.
    let mut claim = good.clone();
    claim[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    folder.write("claim/a/0.png", claim);
    folder.write("claim/b/0.png", &good);
    assert!(open(&folder.path().join("claim"), &Options::default()).unwrap_err().to_string().contains("0.png"));
    refused(&folder.write("alone.png", good), &Options::default(), &["one picture alone", "folder"]);
    let odd = Options { classes: Classes::Named(vec!["a".into(), "z".into()]), ..Options::default() };
    assert!(open(&folder.path().join("cut.png-set"), &odd).unwrap_err().to_string().contains("\"b\""));
}

#[test]
fn files_of_other_kinds_say_what_to_do() {
    let folder = Folder::new("bad-kinds");
    let parquet: &[&str] =
        if cfg!(feature = "parquet") { &["damaged"] } else { &["Parquet", "feature `parquet`", "to_csv"] };
    refused(&folder.write("a.parquet", b"PAR1\x15\x00PAR1"), &Options::default(), parquet);
    refused(
        &folder.write("a.exe", b"\x7fELF\x02\x01\x01\0\0\0\0\0"),
        &Options::default(),
        &["formats", "starling data ls"],
    );
    let lm = Options { context: Some(8), ..Options::default() };
    refused(&folder.write("b.exe", b"\x7fELF\x02\x01\x01\0\0\0\0\0"), &lm, &["neither text nor tokens", ".u16"]);
    refused(&folder.write("empty.txt", b""), &lm, &["no samples"]);
    refused(folder.path(), &lm, &["folder", "text"]);
    let images = folder.write("t-images-idx3-ubyte", idx_bytes(&[2, 1, 1], &[1, 2]));
    folder.write("t-labels-idx1-ubyte", idx_bytes(&[2], &[0, 255]));
    let two = Options { classes: Classes::Count(10), ..Options::default() };
    let error = open(&images, &two).unwrap_err().to_string();
    assert!(error.contains("t-labels-idx1-ubyte") && error.contains("label 255 of sample 1"), "{error}");
}

/// Errors that say where and what, each with its remedy.
#[test]
fn every_error_says_what_to_do() {
    let folder = Folder::new("remedies");
    let plain = Options::default();
    refused(&folder.path().join("none.csv"), &plain, &["none.csv", "No such file", "is the path right"]);
    for (part, what, rank, values) in
        [("a", "images-idx3", [2u32, 1, 1], &[1u8, 2][..]), ("b", "images-idx3", [2, 1, 1], &[1, 2])]
    {
        folder.write(&format!("{part}-{what}-ubyte"), idx_bytes(&rank, values));
    }
    folder.write("b-labels-idx1-ubyte", idx_bytes(&[2, 1], &[0, 1]));
    let label = |name: &str| folder.path().join(name);
    let error = |path: &Path| open(path, &plain).map(|data| data.name).unwrap_err().to_string();
    for (file, bytes, parts) in [
        ("c-images-idx3-ubyte", idx_bytes(&[2, 1, 1], &[1]), ["announce 2 bytes", "copy it again"]),
        ("d-images-idx3-ubyte", vec![0, 0, 13, 3, 0, 0, 0, 0], ["type 0x0d", "numpy.save"]),
        ("e-images-idx3-ubyte", idx_bytes(&[2], &[1, 2]), ["1 dimensions", "each other's place"]),
    ] {
        refused(&folder.write(file, bytes), &plain, &parts);
    }
    let zipped = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], b"not deflated"].concat();
    refused(&folder.write("f.csv.gz", zipped), &plain, &["gzip", "again"]);
    assert!(error(&label("a-images-idx3-ubyte")).contains("is the path right"));
    assert!(error(&label("b-images-idx3-ubyte")).contains("each other's place"));
    folder.write("four/train-images-idx3-ubyte", idx_bytes(&[2, 1, 1], &[1, 2]));
    refused(&label("four"), &plain, &["there is no train-labels-idx1-ubyte", "put it there"]);
    for (name, extents, values) in [
        ("train-images-idx3-ubyte", &[2, 1, 1][..], &[1, 2][..]),
        ("train-labels-idx1-ubyte", &[2], &[0, 1]),
        ("t10k-images-idx3-ubyte", &[2, 1, 2], &[1, 2, 3, 4]),
        ("t10k-labels-idx1-ubyte", &[2], &[0, 1]),
    ] {
        folder.write(&format!("four/{name}"), idx_bytes(extents, values));
    }
    assert!(error(&label("four")).contains("[1, 2]") && error(&label("four")).contains("same extents"));
    refused(folder.path(), &plain, &["nothing in this folder", "four idx files"]);
    let lm = Options { context: Some(8), ..Options::default() };
    refused(&folder.write("short.txt", "abc"), &lm, &["3 tokens", "shorter model.context"]);
    // What needs no file.
    let others = [
        DataError::Unknown { name: "x".into() },
        DataError::NotInstalled { name: "x", looked: vec![], remedy: "install it" },
        DataError::Label { path: "x".into(), label: 3, sample: 0, classes: 2 },
        DataError::Count { path: "x".into(), images: 1, labels: 2 },
        DataError::Empty { path: "x".into() },
    ];
    for error in others {
        assert!(error.remedy().len() > 8 && error.to_string().ends_with(&error.remedy()), "{error}");
    }
}

#[test]
fn a_class_that_is_tested_on_alone_is_named() {
    let folder = Folder::new("odd-class");
    for name in ["train/a/0.png", "train/b/0.png", "test/a/0.png", "test/c/0.png"] {
        folder.write(name, picture(2, 2, 9));
    }
    let error = open(folder.path(), &Options::default()).unwrap_err().to_string();
    assert!(
        error.contains("test: the folder \"c\"") && error.contains("(a, b)") && error.contains("train/"),
        "{error}"
    );
    let named = Options { classes: Classes::Named(vec!["a".into(), "b".into(), "c".into()]), ..Options::default() };
    assert_eq!(open(folder.path(), &named).unwrap().test.labels, [0, 2], "a job may know more");
}

#[test]
fn a_table_of_another_kind_than_the_model_s_is_no_table_for_it() {
    let folder = Folder::new("other-columns");
    let column =
        |name: &str, values: &[&str]| Column { name: name.into(), values: values.iter().map(|&v| v.into()).collect() };
    let columns = vec![column("size", &[]), column("soil", &["dry", "wet"])];
    let options = Options { columns, ..Options::default() };
    refused(&folder.write("lacks.csv", "size,kind\n1,a\n2,b\n"), &options, &["no column \"soil\"", "size, kind"]);
    let odd = "soil,kind,size\nwet,a,1\nmud,b,2\nmud,a,3\n";
    refused(&folder.write("mud.csv", odd), &options, &["line 3", "\"mud\"", "soil"]);
    refused(&folder.write("bare.csv", "size,soil\n1,wet\n2,dry\n"), &options, &["no column beside", "label"]);
    let label = Options { label: Some("size".into()), ..options.clone() };
    refused(&folder.write("asked.csv", odd), &label, &["\"size\"", "the model reads", "--label"]);
    refused(&folder.write("plain.csv", "1,2,0\n1,2,1\n"), &options, &["without a header", "add a header"]);
}

/// How a file of each kind begins, for bytes that get further than the first check.
const BEGINNINGS: &[&[u8]] = &[
    b"",
    b"\0\0\x08\x03",
    b"\0\0\x08\x01\0\0\0\x02",
    b"\x93NUMPY\x01\0\x20\0{'descr': '<f4', 'shape': (",
    b"PK\x03\x04\x14\0\0\0\x08\0",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    b"\xff\xd8\xff\xe0",
    b"PAR1",
    b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
    b"a,b,label\n1,2,0\n",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_refused_or_a_sound_set(
        which in 0..BEGINNINGS.len(), tail in prop::collection::vec(any::<u8>(), 0..300), text in "[-0-9.,\n\t;|a-c\"]{0,60}", name in 0usize..4,
    ) {
        let folder = Folder::new(&format!("any-{:?}", std::thread::current().id()).replace(['(', ')'], ""));
        let bytes = [BEGINNINGS[which], if tail.len() % 2 == 0 { &tail } else { text.as_bytes() }].concat();
        let name = ["a", "a-images-idx3-ubyte", "a.bin", "set/c/0.png"][name];
        let path = folder.write(name, &bytes);
        folder.write("a-labels-idx1-ubyte", idx_bytes(&[1], &[0]));
        let whole = folder.path().join("set");
        let lm = Options { context: Some(3), ..Options::default() };
        for (path, options) in [(&path, Options::default()), (&path, lm), (&whole, Options::default())] {
            match open(path, &options) {
                Ok(data) => {
                    for split in [&data.train, &data.validation, &data.test] {
                        prop_assert_eq!(split.features.len(), (split.len() * data.features()) as u64);
                    }
                    prop_assert!(!data.train.is_empty() && !data.test.is_empty());
                }
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
            let _ = inputs(path, &[3], &Encoding::default());
        }
    }
}

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use crate::data::{Classes, DataError, Dataset, Encoding, Options, inputs, open};

const SCHEMA: &str =
    "message t { REQUIRED FLOAT a; OPTIONAL INT64 b; REQUIRED BINARY colour (UTF8); REQUIRED BINARY kind (UTF8); }";

struct File(PathBuf);

impl File {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("starling-{}-{name}.parquet", std::process::id())))
    }

    fn open(&self) -> Result<Dataset, DataError> {
        open(&self.0, &Options { label: Some("kind".into()), ..Options::default() })
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Rows (number, number or none, colour, kind) in groups of so many.
fn write(file: &File, compression: Compression, rows: &[(f32, Option<i64>, &str, &str)], group: usize) {
    let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
    let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
    let mut writer = SerializedFileWriter::new(std::fs::File::create(&file.0).unwrap(), schema, properties).unwrap();
    for rows in rows.chunks(group) {
        let mut into = writer.next_row_group().unwrap();
        let mut at = 0;
        while let Some(mut column) = into.next_column().unwrap() {
            let texts: Vec<ByteArray> =
                rows.iter().map(|row| ByteArray::from(if at == 2 { row.2 } else { row.3 })).collect();
            match column.untyped() {
                ColumnWriter::FloatColumnWriter(column) => {
                    let values: Vec<f32> = rows.iter().map(|row| row.0).collect();
                    column.write_batch(&values, None, None).unwrap();
                }
                ColumnWriter::Int64ColumnWriter(column) => {
                    let values: Vec<i64> = rows.iter().filter_map(|row| row.1).collect();
                    let levels: Vec<i16> = rows.iter().map(|row| i16::from(row.1.is_some())).collect();
                    column.write_batch(&values, Some(&levels), None).unwrap();
                }
                ColumnWriter::ByteArrayColumnWriter(column) => drop(column.write_batch(&texts, None, None).unwrap()),
                _ => panic!("no such column"),
            }
            column.close().unwrap();
            at += 1;
        }
        into.close().unwrap();
    }
    writer.close().unwrap();
}

fn rows(n: usize) -> Vec<(f32, Option<i64>, &'static str, &'static str)> {
    (0..n).map(|i| (i as f32 * 0.1, Some(i as i64 - 5), ["red", "blue"][i % 2], ["dog", "ant", "cat"][i % 3])).collect()
}

#[test]
fn columns_are_those_of_a_table_over_row_groups_and_compressions() {
    let all = rows(100);
    let file = File::new("whole");
    let csv = std::env::temp_dir().join(format!("starling-{}-parquet.csv", std::process::id()));
    let lines: String =
        all.iter().map(|(a, b, colour, kind)| format!("{a},{},{colour},{kind}\n", b.unwrap())).collect();
    std::fs::write(&csv, format!("a,b,colour,kind\n{lines}")).unwrap();
    let as_csv = open(&csv, &Options { label: Some("kind".into()), ..Options::default() }).unwrap();
    std::fs::remove_file(&csv).unwrap();
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::ZSTD(ZstdLevel::default()),
    ] {
        write(&file, compression, &all, 30);
        let data = file.open().unwrap();
        assert_eq!(data.shape, [4], "two numbers, and two colours");
        assert_eq!(data.encoding, as_csv.encoding);
        assert_eq!(data.encoding.class_names, ["ant", "cat", "dog"]);
        assert_eq!(
            (data.train.features.resident(), &data.train.labels),
            (as_csv.train.features.resident(), &as_csv.train.labels)
        );
        assert_eq!(data.test.features.resident(), as_csv.test.features.resident());
        // For a model that was trained on it.
        let found = inputs(&file.0, &data.shape, &data.encoding).unwrap();
        assert_eq!(found.features.len(), 400);
    }
}

#[test]
fn what_is_missing_or_no_number_is_told_by_row_and_column() {
    let refused = |file: &File, parts: &[&str]| {
        let error = file.open().unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    };
    let file = File::new("missing");
    let mut all = rows(20);
    (all[3].1, all[7].1) = (None, None);
    write(&file, Compression::SNAPPY, &all, 5);
    refused(&file, &["rows 4, 8", "missing", "column \"b\"", "leave these rows out"]);
    let named = Options {
        label: Some("kind".into()),
        classes: Classes::Named(vec!["ant".into(), "dog".into()]),
        ..Options::default()
    };
    write(&file, Compression::SNAPPY, &rows(9), 9);
    let error = open(&file.0, &named).unwrap_err().to_string();
    assert!(error.contains("row 3") && error.contains("\"cat\""), "{error}");
    write(&file, Compression::SNAPPY, &[], 1);
    refused(&file, &["no samples"]);
    // Lists are no numbers.
    let schema = "message t { REQUIRED GROUP l (LIST) { REPEATED GROUP list { REQUIRED FLOAT element; } } REQUIRED INT32 label; }";
    let writer = SerializedFileWriter::new(
        std::fs::File::create(&file.0).unwrap(),
        Arc::new(parse_message_type(schema).unwrap()),
        Arc::new(WriterProperties::builder().build()),
    );
    let mut writer = writer.unwrap();
    let mut group = writer.next_row_group().unwrap();
    while let Some(mut column) = group.next_column().unwrap() {
        match column.untyped() {
            ColumnWriter::FloatColumnWriter(column) => {
                column.write_batch(&[1.0, 2.0], Some(&[1, 1]), Some(&[0, 0])).unwrap();
            }
            ColumnWriter::Int32ColumnWriter(column) => drop(column.write_batch(&[0, 1], None, None).unwrap()),
            _ => panic!("no such column"),
        }
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    let error = open(&file.0, &Options::default()).unwrap_err().to_string();
    assert!(error.contains("column \"l\"") && error.contains("lists"), "{error}");
}

/// Cut at every byte, and with every byte turned over: refused, or the rows that are there; nothing else.
#[test]
fn what_is_cut_or_altered_anywhere_is_refused_or_sound() {
    let file = File::new("hostile");
    write(&file, Compression::SNAPPY, &rows(12), 4);
    let whole = std::fs::read(&file.0).unwrap();
    let quiet = std::panic::take_hook();
    // A panic of the reader is caught, and need not be printed.
    std::panic::set_hook(Box::new(|_| {}));
    let mut refused = 0;
    let mut look = |bytes: &[u8]| {
        std::fs::write(&file.0, bytes).unwrap();
        match file.open() {
            Ok(data) => assert_eq!(data.train.features.len(), (data.train.len() * data.features()) as u64),
            Err(error) => {
                assert!(error.to_string().contains("hostile.parquet"), "{error}");
                refused += 1;
            }
        }
        let _ = inputs(&file.0, &[4], &Encoding::default());
    };
    for cut in 0..whole.len() {
        look(&whole[..cut]);
    }
    for at in 0..whole.len() {
        let mut altered = whole.clone();
        altered[at] ^= 0xff;
        look(&altered);
    }
    std::panic::set_hook(quiet);
    assert!(refused > whole.len(), "{refused} of {}", 2 * whole.len());
}

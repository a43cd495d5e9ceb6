//! Whatever is done to a log shows.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::time::SystemTime;

use serde_json::json;
use tempfile::TempDir;

use super::super::chain::{Bounds, Chain};
use super::*;

/// A log of three files, as bytes, and its head.
fn log() -> (TempDir, Vec<(PathBuf, Vec<u8>)>, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut chain = Chain::open(folder.path(), "aa", Bounds { file_bytes_max: 1500, files_max: 9 }).unwrap();
    for i in 0..9 {
        chain.append(SystemTime::now(), Kind::Admit, &json!({ "peer": i, "address": "/ip4/192.0.2.7/tcp/1" })).unwrap();
    }
    let head = chain.head().hash;
    drop(chain);
    let files = files(folder.path()).unwrap();
    let files: Vec<_> = files.into_iter().map(|(_, path)| (path.clone(), fs::read(path).unwrap())).collect();
    assert_eq!(files.len(), 3);
    (folder, files, head)
}

fn problems(folder: &TempDir, head: Option<&str>) -> Vec<Problem> {
    verify(folder.path(), head).unwrap().problems
}

#[test]
fn an_untouched_log_is_sound() {
    let (folder, _, head) = log();
    let report = verify(folder.path(), Some(&head)).unwrap();
    assert!(report.sound && !report.pruned, "{report:?}");
    assert_eq!((report.head, report.records, report.files, report.peer.as_str()), (head, 12, 3, "aa"));
}

#[test]
fn every_single_bit_counts() {
    let (folder, files, _) = log();
    let flip = |folder: &TempDir, (path, bytes): &(PathBuf, Vec<u8>), bits: &mut dyn Iterator<Item = usize>| {
        for bit in bits {
            let mut altered = bytes.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            fs::write(path, &altered).unwrap();
            let found = problems(folder, None);
            assert!(!found.is_empty(), "bit {bit} of {}", path.display());
        }
        fs::write(path, bytes).unwrap();
    };
    files.iter().for_each(|file| flip(&folder, file, &mut (0..8 * file.1.len()).step_by(41)));
    assert!(problems(&folder, None).is_empty());
    // And each of a short log.
    let short = tempfile::tempdir().unwrap();
    let two_lines = lines(&files).into_iter().take(2).flat_map(|(_, line)| line).collect();
    let file = (short.path().join("audit-000001.jsonl"), two_lines);
    flip(&short, &file, &mut (0..8 * file.1.len()));
    assert!(problems(&short, None).is_empty());
}

/// All lines of the log with their file.
fn lines(files: &[(PathBuf, Vec<u8>)]) -> Vec<(usize, Vec<u8>)> {
    let of = |(i, (_, bytes)): (usize, &(PathBuf, Vec<u8>))| {
        bytes.split_inclusive(|&byte| byte == b'\n').map(move |line| (i, line.to_vec())).collect::<Vec<_>>()
    };
    files.iter().enumerate().flat_map(of).collect()
}

fn write(files: &[(PathBuf, Vec<u8>)], lines: &[(usize, Vec<u8>)]) {
    for (i, (path, _)) in files.iter().enumerate() {
        let of_file = lines.iter().filter(|(file, _)| *file == i).flat_map(|(_, line)| line.clone());
        fs::write(path, of_file.collect::<Vec<u8>>()).unwrap();
    }
}

#[test]
fn lines_that_are_removed_doubled_or_moved_show() {
    let (folder, files, head) = log();
    let all = lines(&files);
    for i in 0..all.len() {
        let mut without = all.clone();
        without.remove(i);
        write(&files, &without);
        // A chain cannot know its end: only a head that was noted does.
        let is_last = i + 1 == all.len();
        assert_eq!(problems(&folder, None).is_empty(), is_last, "line {i} removed");
        assert!(!problems(&folder, Some(&head)).is_empty(), "line {i} removed");

        let mut doubled = all.clone();
        doubled.insert(i, all[i].clone());
        write(&files, &doubled);
        assert!(!problems(&folder, None).is_empty(), "line {i} doubled");

        for j in 0..i {
            let mut swapped = all.clone();
            (swapped[i].1, swapped[j].1) = (all[j].1.clone(), all[i].1.clone());
            write(&files, &swapped);
            assert!(!problems(&folder, None).is_empty(), "lines {i} and {j} swapped");
        }
    }
}

#[test]
fn every_truncation_shows_and_a_clean_one_against_a_noted_head() {
    let (folder, files, head) = log();
    for (i, (path, bytes)) in files.iter().enumerate() {
        for length in 0..bytes.len() {
            fs::write(path, &bytes[..length]).unwrap();
            let clean = i + 1 == files.len() && length > 0 && bytes[length - 1] == b'\n';
            assert_eq!(problems(&folder, None).is_empty(), clean, "file {i} cut to {length} bytes");
            assert!(!problems(&folder, Some(&head)).is_empty(), "file {i} cut to {length} bytes");
        }
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn a_log_that_was_emptied_is_not_sound() {
    let (folder, files, _) = log();
    for (path, _) in &files {
        fs::write(path, []).unwrap();
    }
    let report = verify(folder.path(), None).unwrap();
    assert!(!report.sound && report.records == 0, "{report:?}");
    assert_eq!(report.problems.iter().filter(|problem| problem.what == "is empty").count(), files.len());
}

#[test]
fn files_that_are_removed_or_renamed_show() {
    let (folder, files, head) = log();
    for (i, (path, bytes)) in files.iter().enumerate() {
        fs::remove_file(path).unwrap();
        assert_eq!(problems(&folder, None).is_empty(), i == 2, "file {i} removed");
        assert!(!problems(&folder, Some(&head)).is_empty());
        fs::write(path, bytes).unwrap();
    }
    fs::rename(&files[2].0, folder.path().join("audit-000004.jsonl")).unwrap();
    assert!(!problems(&folder, None).is_empty());
}

#[test]
fn a_forged_record_breaks_the_chain_behind_it() {
    let (folder, files, _) = log();
    let all = lines(&files);
    let old = parse(all[1].1.trim_ascii_end()).unwrap();
    let (forged, _) = super::super::line::encode(1, SystemTime::now(), Kind::Admit, &json!({}), &old.previous);
    let mut with = all.clone();
    with[1].1 = forged.into_bytes();
    write(&files, &with);
    let found = problems(&folder, None);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].file.as_str(), found[0].line), ("audit-000001.jsonl", 3));
    assert!(found[0].what.contains("not chained") && found[0].means.contains("replaced"));
}

#[test]
fn one_alteration_is_one_problem_at_its_line() {
    let (folder, files, _) = log();
    let mut all = lines(&files);
    all[2].1 = String::from_utf8(all[2].1.clone()).unwrap().replace("192.0.2.7", "192.0.2.8").into_bytes();
    all[9].1 = b"{}\n".to_vec();
    write(&files, &all);
    let found = problems(&folder, None);
    let places: Vec<_> = found.iter().map(|problem| (problem.file.as_str(), problem.line)).collect();
    assert_eq!(places, [("audit-000001.jsonl", 3), ("audit-000002.jsonl", 5)], "{found:?}");
}

#[test]
fn garbage_and_lines_without_an_end_are_told_and_cost_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("audit-000001.jsonl"), vec![b'x'; 1 << 20]).unwrap();
    let report = verify(folder.path(), None).unwrap();
    assert!(!report.sound && report.problems.len() == PROBLEMS_MAX && report.more_problems > 0);
    assert!(verify(&folder.path().join("none"), None).is_err());
    assert!(verify(tempfile::tempdir().unwrap().path(), None).is_err());
}

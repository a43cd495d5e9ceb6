#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, OpenOptions};

use protocol::fixed::from_f32;
use protocol::id::{Hash, Origin, PeerId};
use protocol::learner::{Saved, Weights};
use protocol::log::Head;
use protocol::{Checkpoint, Standing};
use shaders::models::ModelSpec;

use super::*;

const RUN: &str = "abababababababababababababababababababababababababababababababab";

fn about() -> About {
    let model = ModelSpec::Mlp { hidden: vec![3] };
    let network = model.build(&[2, 2], 3).unwrap();
    let job = vec!["starling=1".to_owned(), "model.kind=mlp".to_owned()];
    About::new(RUN.to_owned(), job, model, &network, vec![2, 2], "test".to_owned())
}

/// One that differs in every vector by its steps.
fn checkpoint(steps: u64) -> Checkpoint {
    let d = about().parameters;
    let theta: Vec<f32> = (0..d).map(|i| (i as f32 - 10.0) / 7.0 + steps as f32).collect();
    let base = theta.iter().map(|value| from_f32(value / 2.0)).collect();
    let own = [("moments.0".to_owned(), vec![steps as u32; d]), ("order.next".to_owned(), vec![1, 0])].into();
    let origin = Origin { peer: PeerId([7; 32]), incarnation: 1_700_000_000_000 };
    let other = Origin { peer: PeerId([9; 32]), incarnation: 3 };
    let head = |origin, seq| Head { origin, seq, hash: Hash([seq as u8; 32]), samples: u64::MAX };
    Checkpoint {
        learner: Saved { base, theta, own },
        standing: Standing {
            origin,
            heads: vec![head(origin, 5), head(other, 6)],
            steps,
            epochs: 2,
            samples: 640,
            since_delta: 3,
            unsaid_steps: 4,
            unsaid_samples: 128,
            samples_per_step: 32,
        },
        base_hash: Hash([3; 32]),
        evaluated: true,
    }
}

fn worth(loss: f32) -> Option<Worth> {
    Some(Worth { loss: Some(loss), accuracy: 0.5, samples: 10 })
}

fn open(dir: &Path, keep: u32, fresh: bool) -> Folder {
    Folder::open(dir, about(), keep, if fresh { None } else { Some(Name { steps: u64::MAX, again: 0 }) }).unwrap()
}

fn steps_in(dir: &Path) -> Vec<String> {
    names(dir).unwrap().into_iter().map(|name| name.to_string()).collect()
}

#[test]
fn what_is_read_is_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = open(dir.path(), 3, true);
    let written = checkpoint(100);
    let course = Course { branch: u64::MAX, trend: Trend { best: Some(0.123_456_79), since: 3 } };
    let (path, bytes) = folder.write(&written, worth(0.5), course).unwrap();
    let found = latest(dir.path()).unwrap();
    assert_eq!((&found.path, found.damaged.len()), (&path, 0));
    let resume = resume(&found).unwrap();
    assert_eq!(
        (resume.learner, resume.standing, resume.course, resume.run.as_str()),
        (written.learner.clone(), written.standing.clone(), course, RUN)
    );
    let model = model(&found).unwrap();
    let base: Vec<f32> = written.learner.base.iter().map(|&b| protocol::fixed::to_f32(b)).collect();
    assert_eq!(model.weights, base);
    assert_eq!((model.about.steps, model.about.samples, model.about.evaluation), (100, 640, worth(0.5)));
    let lengths: u64 = FILES.iter().map(|file| fs::metadata(path.join(file)).unwrap().len()).sum();
    assert_eq!(bytes, lengths);
    // A checkpoint itself may be named.
    assert_eq!(latest(&path).unwrap().path, path);
    // Equal ones have equal bytes: whoever compares files compares models.
    let again = tempfile::tempdir().unwrap();
    let (other, _) = open(again.path(), 3, true).write(&written, worth(0.5), course).unwrap();
    for file in FILES.into_iter().chain([MANIFEST]) {
        assert_eq!(fs::read(path.join(file)).unwrap(), fs::read(other.join(file)).unwrap(), "{file}");
    }
}

#[test]
fn a_run_without_gossip_keeps_what_it_has_trained() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::open(dir.path(), about().of_weights(Weights::Local), 3, None).unwrap();
    folder.write(&checkpoint(100), None, Course::default()).unwrap();
    assert_eq!(model(&latest(dir.path()).unwrap()).unwrap().weights, checkpoint(100).learner.theta);
}

#[test]
fn the_newest_and_the_best_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = open(dir.path(), 2, true);
    for (steps, loss) in [(10, 0.9), (20, 0.4), (30, 0.6), (40, 0.7), (50, 0.5)] {
        folder.write(&checkpoint(steps), worth(loss), Course::default()).unwrap();
    }
    assert_eq!(steps_in(dir.path()), ["step-50", "step-40", "step-20"]);
    drop(folder);
    // Another process knows which is the best.
    let mut folder = open(dir.path(), 2, false);
    folder.write(&checkpoint(60), None, Course::default()).unwrap();
    folder.write(&checkpoint(60), worth(0.3), Course::default()).unwrap();
    assert_eq!(steps_in(dir.path()), ["step-60.1", "step-60"], "never over one that is there");
}

#[test]
fn who_goes_on_from_an_earlier_one_does_not_keep_the_later_ones_in_the_row() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = open(dir.path(), 2, true);
    for steps in [100, 200, 300] {
        folder.write(&checkpoint(steps), worth(1.0 / steps as f32), Course::default()).unwrap();
    }
    drop(folder);
    let mut folder = Folder::open(dir.path(), about(), 2, Some(Name { steps: 200, again: 0 })).unwrap();
    assert_eq!(steps_in(dir.path()), ["step-300", "step-200"], "nothing has gone on from it yet");
    folder.write(&checkpoint(250), worth(0.5), Course::default()).unwrap();
    assert_eq!(steps_in(dir.path()), ["step-250", "step-200"], "the new one is the newest");
    assert_eq!(latest(dir.path()).unwrap().about().unwrap().steps, 250);
    let aside = dir.path().join("later-step-300");
    assert_eq!(latest(&aside).unwrap().about().unwrap().steps, 300, "it is still there for whoever wants it");
}

#[test]
fn whatever_is_cut_or_flipped_is_found_and_the_one_before_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = open(dir.path(), 3, true);
    let (before, _) = folder.write(&checkpoint(1), None, Course::default()).unwrap();
    let (path, _) = folder.write(&checkpoint(2), worth(0.5), Course::default()).unwrap();
    let falls_back = |what: &str| {
        let found = latest(dir.path()).unwrap();
        assert_eq!(found.path, before, "{what} is not noticed");
        assert_eq!(found.damaged.len(), 1, "{what}");
        assert!(latest(&path).unwrap_err().to_string().contains("is damaged"), "{what}");
    };
    let mut cases = 0;
    for file in FILES.into_iter().chain([MANIFEST]) {
        let place = path.join(file);
        let whole = fs::read(&place).unwrap();
        for i in 0..whole.len() {
            fs::write(&place, &whole[..i]).unwrap();
            falls_back(&format!("{file} cut at {i}"));
            let mut flipped = whole.clone();
            flipped[i] ^= 1 << (i % 8);
            fs::write(&place, &flipped).unwrap();
            falls_back(&format!("{file} flipped at {i}"));
            cases += 2;
        }
        fs::write(&place, [&whole[..], b"\n"].concat()).unwrap();
        falls_back(&format!("{file} prolonged"));
        fs::remove_file(&place).unwrap();
        if file != MANIFEST {
            falls_back(&format!("{file} removed"));
        }
        fs::write(&place, &whole).unwrap();
        assert_eq!(latest(dir.path()).unwrap().path, path);
    }
    assert!(cases > 5000, "{cases}");
    drop(folder);
    // Whoever writes on puts it aside, and a step of that number is written again.
    fs::write(path.join(MODEL), b"").unwrap();
    let mut folder = open(dir.path(), 3, false);
    assert_eq!(steps_in(dir.path()), ["step-1"]);
    assert!(dir.path().join("damaged-step-2").exists());
    folder.write(&checkpoint(2), None, Course::default()).unwrap();
    assert_eq!(steps_in(dir.path()), ["step-2", "step-1"]);
}

#[test]
fn when_none_is_whole_the_error_names_them_all() {
    let dir = tempfile::tempdir().unwrap();
    let error = latest(dir.path()).unwrap_err();
    assert!(error.message.contains("no checkpoint is there") && error.hint.is_some(), "{error}");
    assert!(latest(&dir.path().join("none")).unwrap_err().message.contains("No such file"));
    let mut folder = open(dir.path(), 3, true);
    for steps in [1, 2] {
        let (path, _) = folder.write(&checkpoint(steps), None, Course::default()).unwrap();
        fs::write(path.join(STATE), b"").unwrap();
    }
    let error = latest(dir.path()).unwrap_err().to_string();
    assert!(
        error.contains("step-1 is damaged") && error.contains("step-2 is damaged") && error.contains(STATE),
        "{error}"
    );
}

#[test]
fn a_folder_is_one_process_s_and_one_run_s() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = open(dir.path(), 3, true);
    let error = Folder::open(dir.path(), about(), 3, None).unwrap_err().to_string();
    assert!(error.contains("another starling writes there"), "{error}");
    folder.write(&checkpoint(1), None, Course::default()).unwrap();
    drop(folder);
    let error = Folder::open(dir.path(), about(), 3, None).unwrap_err().to_string();
    assert!(error.contains("--resume"), "{error}");
    // What a write that was killed has left is cleared away.
    fs::create_dir(dir.path().join(".writing-step-9")).unwrap();
    fs::write(dir.path().join(".writing-step-9").join(MODEL), b"half").unwrap();
    drop(open(dir.path(), 3, false));
    assert!(!dir.path().join(".writing-step-9").exists());
}

#[test]
fn what_cannot_be_written_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = open(dir.path(), 1, true);
    folder.write(&checkpoint(1), None, Course::default()).unwrap();
    // Where its folder should be made there is a file: no system makes one there, not even for root.
    fs::write(dir.path().join(".writing-step-2"), b"").unwrap();
    assert!(folder.write(&checkpoint(2), None, Course::default()).is_err());
    assert_eq!(steps_in(dir.path()), ["step-1"]);
    assert!(latest(dir.path()).unwrap().damaged.is_empty());
    fs::remove_file(dir.path().join(".writing-step-2")).unwrap();
    folder.write(&checkpoint(2), None, Course::default()).unwrap();
    assert_eq!(steps_in(dir.path()), ["step-2"]);
}

#[test]
fn weights_of_others_are_taken_by_name_or_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _) = open(dir.path(), 1, true).write(&checkpoint(1), None, Course::default()).unwrap();
    let (about, file) = (about(), path.join(MODEL));
    let network = about.network().unwrap();
    let (weights, hash) = weights_of(&file, &about, &network).unwrap();
    assert_eq!(weights.len(), about.parameters);
    assert_eq!(hash, *blake3::hash(&fs::read(&file).unwrap()).as_bytes());
    let other = ModelSpec::Mlp { hidden: vec![4] };
    let theirs = other.build(&[2, 2], 3).unwrap();
    let wrong = About::new(RUN.to_owned(), Vec::new(), other, &theirs, vec![2, 2], String::new());
    let error = weights_of(&file, &wrong, &theirs).unwrap_err().to_string();
    assert!(error.contains("\"layers.0.weight\" is [3, 4], the model's is [4, 4]"), "{error}");
    let (huge, _) = open(dir.path(), 9, false).write(&checkpoint(200), None, Course::default()).unwrap();
    let error = weights_of(&huge.join(MODEL), &about, &network).unwrap_err().to_string();
    assert!(error.contains("below 64"), "{error}");
    for (content, what) in
        [(&b""[..], "is no safetensors file"), (b"\xff\xff\xff\xff\xff\xff\xff\x7f{}", "is no safetensors file")]
    {
        fs::write(&file, content).unwrap();
        let error = weights_of(&file, &about, &network).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    OpenOptions::new().write(true).open(&file).unwrap().set_len(9).unwrap();
    assert!(weights_of(&file, &about, &network).is_err());
    assert!(weights_of(Path::new("/dev/zero"), &about, &network).unwrap_err().to_string().contains("no regular file"));
}

#[test]
fn names_are_told_apart() {
    for (text, steps, again) in [("step-0", 0, 0), ("step-12.3", 12, 3)] {
        assert_eq!(Name::parse(text), Some(Name { steps, again }));
        assert_eq!(Name { steps, again }.to_string(), text);
    }
    for odd in [
        "step-",
        "step-x",
        "step-007",
        "step-+7",
        "step-7.0",
        "step-7.",
        "step-7.x",
        "damaged-step-7",
        ".writing-step-7",
    ] {
        assert_eq!(Name::parse(odd), None, "{odd}");
    }
}

#[test]
fn the_last_one_is_written_however_busy_the_disk_is() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = Keeper::start(open(dir.path(), 100, true));
    let (mut spare, mut busy) = (None, 0);
    for steps in 1..=50 {
        spare = keeper
            .write(Item { checkpoint: Box::new(checkpoint(steps)), worth: None, course: Course::default() })
            .err();
        busy += usize::from(spare.is_some());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let news = runtime.block_on(keeper.close(spare, std::time::Duration::from_secs(30)));
    assert!(news.iter().all(|news| matches!(news, News::Written { .. })), "{news:?}");
    assert_eq!(news.len(), steps_in(dir.path()).len());
    assert_eq!(latest(dir.path()).unwrap().about().unwrap().steps, 50, "{busy} found it busy");
}

#[test]
fn a_configuration_that_somebody_made_up_costs_nothing() {
    let lm = |layers| {
        format!(
            r#"{{"kind":"lm","context":8,"width":8,"layers":{layers},"heads":1,"norm":"rms","activation":"gelu","dropout":0.0}}"#
        )
    };
    let good = serde_json::to_value(about()).unwrap();
    let cases: [(&str, String); 8] = [
        ("model", lm(4_000_000_000u32)),
        ("model", r#"{"kind":"mlp","hidden":[0]}"#.to_owned()),
        ("model", r#"{"kind":"cnn","channels":[],"residual_blocks":1,"hidden":[]}"#.to_owned()),
        ("classes", "0".to_owned()),
        ("shape", "[]".to_owned()),
        ("shape", "[0, 4]".to_owned()),
        ("parameters", "7".to_owned()),
        ("encoding", r#"{"normalization":{"mean":[0.5],"deviation":[1.0]}}"#.to_owned()),
    ];
    for (key, value) in cases {
        let mut odd = good.clone();
        odd[key] = serde_json::from_str(&value).unwrap();
        let odd: About = serde_json::from_value(odd).unwrap();
        assert!(odd.network().is_err(), "{key} {value}");
    }
    let standing = standing::to_text(&checkpoint(1).standing, Course::default(), RUN).unwrap();
    assert!(standing::parse(&standing).is_ok());
    let endless = standing.replace("\"lowest_loss\":null", "\"lowest_loss\":1e39");
    assert_eq!(standing::parse(&endless).unwrap().1.trend.best, None, "no loss that there can be");
    for (from, to) in [
        ("\"seq\":5", "\"seq\":18446744073709551615"),
        ("\"seq\":5", "\"seq\":0"),
        ("\"epochs\":2", "\"epochs\":4294967295"),
    ] {
        let odd = standing.replace(from, to);
        assert!(odd != standing && standing::parse(&odd).is_err(), "{to}");
    }
}

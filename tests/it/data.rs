//! From a user's own file to a model that answers: the loaders, wired up.

use std::fs;
use std::path::Path;
use std::time::Duration;

use harness::cli::{Finished, run};
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(120);

fn starling(home: &Path, line: &str) -> Finished {
    run(home, &line.split_whitespace().collect::<Vec<_>>(), DEADLINE)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// 300 flowers of three kinds that their sizes tell apart, with a column of text.
fn write_table(path: &Path) {
    let kinds = ["lily", "rose", "tulip"];
    let row = |i: usize| {
        let (kind, size) = (i % 3, i % 3 * 100 + i % 7);
        format!("{size},{},{},{}\n", ["wet", "dry"][i % 2], kinds[kind], 5 + i % 4)
    };
    fs::write(path, format!("size,soil,kind,petals\n{}", (0..300).map(row).collect::<String>())).unwrap();
}

#[test]
fn a_table_is_shown_trained_on_and_asked_about() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    write_table(&home.path().join("flowers.csv"));
    let shown = starling(home.path(), &format!("data show {} --label kind --json -", path("flowers.csv")));
    shown.assert_succeeds();
    let shown = json(&shown.stdout);
    assert_eq!(shown["class_names"], serde_json::json!(["lily", "rose", "tulip"]));
    assert_eq!((&shown["shape"], &shown["parts"][0]["samples"]), (&serde_json::json!([4]), &serde_json::json!(270)));
    let words = starling(home.path(), &format!("data show {} --label kind", path("flowers.csv")));
    assert!(words.stdout.contains("soil: one of dry, wet") && words.stdout.contains("tulip"), "{}", words.stdout);

    fs::write(home.path().join("job.toml"), "[optimizer]\nkind = \"adam\"\n[data]\nshards = 1\n").unwrap();
    let own =
        format!("--job {} --data {} --label kind --device cpu --audit none", path("job.toml"), path("flowers.csv"));
    let trained =
        format!("run --open --no-gossip {own} --epochs 40 --checkpoint {} --json {}", path("kept"), path("out.json"));
    starling(home.path(), &trained).assert_succeeds();
    let report = json(&fs::read_to_string(path("out.json")).unwrap());
    assert!(report["peers"][0]["test_accuracy"].as_f64().unwrap() > 0.95, "{report}");

    // Columns by their names, in another order, without the label; unknown texts are named.
    fs::write(home.path().join("new.csv"), "petals,soil,size\n6,dry,203\n6,wet,2\n").unwrap();
    let asked =
        starling(home.path(), &format!("predict --checkpoint {} --device cpu {}", path("kept"), path("new.csv")));
    asked.assert_succeeds();
    let lines: Vec<&str> = asked.stdout.lines().collect();
    assert!(lines[0].contains("new.csv 0: tulip") && lines[1].contains("new.csv 1: lily"), "{}", asked.stdout);
    fs::write(home.path().join("odd.csv"), "petals,soil,size\n6,dry,203\n6,mud,2\n").unwrap();
    starling(home.path(), &format!("predict --checkpoint {} --device cpu {}", path("kept"), path("odd.csv")))
        .assert_fails(3, &["odd.csv", "line 3", "\"mud\"", "soil"]);
    let eval =
        format!("eval --checkpoint {} --device cpu --data {} --label kind --json -", path("kept"), path("flowers.csv"));
    let eval = starling(home.path(), &eval);
    eval.assert_succeeds();
    let measured = json(&eval.stdout)["accuracy"].as_f64().unwrap();
    assert!(
        (measured - report["peers"][0]["test_accuracy"].as_f64().unwrap()).abs() < 1e-6,
        "the same held-out rows, brought to the same scale"
    );

    // Can it learn a batch at all? With such a rate not.
    starling(home.path(), &format!("run --overfit-one-batch {own}")).assert_succeeds();
    fs::write(home.path().join("job.toml"), "[optimizer]\nkind = \"adam\"\nlearning_rate = 1e-9\n[data]\nshards = 1\n")
        .unwrap();
    starling(home.path(), &format!("run --overfit-one-batch {own}")).assert_fails(3, &["one batch", "learning_rate"]);
}

/// Nineteen of twenty samples are of one class, and the other class overlaps with it: who counts samples alike calls nearly all of them the first.
#[test]
fn balanced_classes_are_found_where_one_is_rare() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let row = |i: usize| {
        let rare = i.is_multiple_of(20);
        let noise = (i * 7919 % 1000) as f64 / 250.0 - 2.0;
        format!("{},{}\n", noise + if rare { 1.5 } else { 0.0 }, u8::from(rare))
    };
    fs::write(path("rare.csv"), format!("x,label\n{}", (0..6000).map(row).collect::<String>())).unwrap();
    let recall = |weights: &str| {
        let job = format!("[model]\nhidden = []\n[data]\nshards = 1\n[training]\n{weights}");
        fs::write(path("job.toml"), job).unwrap();
        let kept = path(&format!("kept{}", weights.len()));
        let own = format!("--job {} --data {} --device cpu --audit none", path("job.toml"), path("rare.csv"));
        starling(home.path(), &format!("run --open --no-gossip {own} --epochs 20 --checkpoint {kept}"))
            .assert_succeeds();
        let line = format!("eval --checkpoint {kept} --device cpu --data {} --json -", path("rare.csv"));
        let measured = starling(home.path(), &line);
        measured.assert_succeeds();
        json(&measured.stdout)["classes"][1]["recall"].as_f64().unwrap()
    };
    let (plain, balanced) = (recall(""), recall("class_weights = \"balanced\""));
    assert!(plain < 0.3 && balanced > 0.45, "{plain} {balanced}");
    fs::write(path("job.toml"), "[data]\nshards = 1\n[training]\nclass_weights = [1.0, 2.0, 3.0]\n").unwrap();
    let line = format!(
        "run --open --no-gossip --job {} --data {} --device cpu --audit none --epochs 1",
        path("job.toml"),
        path("rare.csv")
    );
    starling(home.path(), &line).assert_fails(3, &["3 weights", "2 classes"]);
}

#[test]
fn patience_ends_a_run_and_remembers_when_it_is_resumed() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    // A rate at which nothing changes.
    fs::write(home.path().join("job.toml"), "[optimizer]\nlearning_rate = 1e-30\n[training]\npatience = 3\n").unwrap();
    let line = format!("--job {} --device cpu --epochs 100000 --json {}", path("job.toml"), path("out.json"));
    let begun =
        starling(home.path(), &format!("run --open --no-gossip --audit none {line} --checkpoint {}", path("kept")));
    begun.assert_succeeds();
    assert!(begun.stdout.contains("in 3 epochs"), "{}", begun.stdout);
    assert!(begun.stdout.contains("mlp of 8970 parameters, about "), "before training: {}", begun.stdout);
    let report = json(&fs::read_to_string(path("out.json")).unwrap());
    let epochs = report["peers"][0]["epochs"].as_u64().unwrap();
    assert!((4..1000).contains(&epochs) && report["interrupted"] == false, "{epochs}");
    let resumed =
        starling(home.path(), &format!("run --open --no-gossip --audit none {line} --resume {}", path("kept")));
    resumed.assert_succeeds();
    // The first epoch was the best, and the first one of this process is one too many.
    let told = format!("in {epochs} epochs");
    assert!(resumed.stdout.contains(&told), "the epochs before count, and nothing else: {told}, {}", resumed.stdout);
}

#[test]
fn sets_and_formats_are_listed_and_a_wrong_path_says_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let listed = starling(home.path(), "data ls");
    listed.assert_succeeds();
    for part in ["digits", "fashion-mnist", "shakespeare", "csv", "npz", "--label"] {
        assert!(listed.stdout.contains(part), "{part}: {}", listed.stdout);
    }
    // Nothing can be learnt from one label, and it is seen that it is one.
    let alike = home.path().join("alike.csv");
    fs::write(&alike, "a,label\n1,ripe\n2,ripe\n3,ripe\n").unwrap();
    let shown = starling(home.path(), &format!("data show {}", alike.display()));
    shown.assert_succeeds();
    assert!(shown.stdout.contains("classes    1\n") && shown.stdout.contains("ripe"), "{}", shown.stdout);
    starling(home.path(), &format!("run --open --no-gossip --device cpu --audit none --data {}", alike.display()))
        .assert_fails(3, &["alike.csv", "same label \"ripe\""]);
    starling(home.path(), "data show nowhere.csv").assert_fails(3, &["nowhere.csv", "starling data ls"]);
    let plays = starling(home.path(), "data show shakespeare");
    plays.assert_succeeds();
    assert!(
        plays.stdout.contains("HAMLET, PRINCE OF DENMARK") && plays.stdout.contains("7527 windows"),
        "{}",
        plays.stdout
    );
    let digits = starling(home.path(), &format!("data show digits --png {}", home.path().join("d.png").display()));
    digits.assert_succeeds();
    assert!(fs::read(home.path().join("d.png")).unwrap().starts_with(b"\x89PNG"));
    starling(home.path(), "data show digits --png d.jpg").assert_fails(2, &["--png d.jpg", "ends in .png"]);
}

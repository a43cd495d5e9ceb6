//! What is done with a trained model: predictions, text, measurements, other tools.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use harness::cli::{Finished, command, run};
use harness::data::{idx, png, write_stripes};
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(120);

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A home with data and a trained model in it.
struct Trained {
    home: tempfile::TempDir,
}

impl Trained {
    /// Of a job, alone on the CPU.
    fn new(job: &str, data: &str, epochs: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        write_stripes(home.path(), 300);
        let lines = ["To be, or not to be: that is the question.", "Whether 'tis nobler in the mind to suffer"];
        fs::write(home.path().join("text.txt"), lines.join("\n").repeat(60)).unwrap();
        fs::write(home.path().join("job.toml"), job).unwrap();
        let trained = Self { home };
        let [job, kept] = ["job.toml", "kept"].map(|name| trained.path(name));
        let mut arguments =
            vec!["run", "--open", "--no-gossip", "--device", "cpu", "--job", text(&job), "--epochs", epochs];
        // Else the order of the samples is drawn from the new identity.
        arguments.extend(["--shard", "0"]);
        let path = trained.path(data);
        if !data.is_empty() {
            arguments.extend(["--data", text(&path)]);
        }
        arguments.extend(["--checkpoint", text(&kept), "--audit", "none"]);
        run(trained.home.path(), &arguments, DEADLINE).assert_succeeds();
        trained
    }

    fn path(&self, name: &str) -> PathBuf {
        if name == "." { self.home.path().to_owned() } else { self.home.path().join(name) }
    }

    /// A command on the model.
    fn ask(&self, command: &str, rest: &[&str]) -> Finished {
        let kept = self.path("kept");
        let device: &[&str] = if command == "export" { &[] } else { &["--device", "cpu"] };
        run(self.home.path(), &[&[command, "--checkpoint", text(&kept)], device, rest].concat(), DEADLINE)
    }

    fn newest(&self) -> PathBuf {
        let entries = fs::read_dir(self.path("kept")).unwrap().map(|entry| entry.unwrap().path());
        let step = |path: &PathBuf| path.file_name()?.to_str()?.strip_prefix("step-")?.parse::<u64>().ok();
        entries.filter(|path| step(path).is_some()).max_by_key(step).unwrap()
    }
}

#[test]
fn a_classifier_answers_is_measured_and_drawn() {
    let trained = Trained::new("[model]\nkind = \"mlp\"\nhidden = [16]\n", ".", "40");
    let picture = trained.path("one.idx");
    // Row 1 is bright: class 1.
    let pixels: Vec<u8> = (0..16).map(|pixel| if pixel / 4 == 1 { 200 } else { pixel }).collect();
    fs::write(&picture, idx(&[4, 4], &pixels)).unwrap();
    let said = trained.ask("predict", &[text(&picture)]);
    said.assert_succeeds();
    assert!(said.stdout.contains("one.idx") && said.stdout.contains(": 1 ("), "{}", said.stdout);
    let images = trained.path("t10k-images-idx3-ubyte");
    let all = trained.ask("predict", &[text(&images), text(&picture), "--json", "-"]);
    all.assert_succeeds();
    let answer: Value = serde_json::from_str(&all.stdout).unwrap();
    let predictions = answer["predictions"].as_array().unwrap();
    assert_eq!(predictions.len(), 76);
    assert_eq!(
        answer["model_hash"],
        blake3::hash(&fs::read(trained.newest().join("model.safetensors")).unwrap()).to_hex().as_str()
    );
    for (i, prediction) in predictions.iter().take(75).enumerate() {
        assert_eq!(prediction["class"], (i % 3) as u64, "{prediction}");
        let sum: f64 = prediction["probabilities"].as_array().unwrap().iter().map(|p| p.as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-9);
    }

    let [svg, png] = ["matrix.svg", "matrix.png"].map(|name| trained.path(name));
    let data = trained.path(".");
    let measured = trained.ask("eval", &["--data", text(&data), "--json", "-", "--picture", text(&svg)]);
    measured.assert_succeeds();
    let measures: Value = serde_json::from_str(&measured.stdout).unwrap();
    let config = json(&trained.newest().join("config.json"));
    let worth = &config["starling"]["evaluation"];
    assert_eq!(measures["samples"], 75);
    let differs = |key: &str| (measures[key].as_f64().unwrap() - worth[key].as_f64().unwrap()).abs();
    assert!(differs("accuracy") < 1e-6 && differs("loss") < 1e-5, "{measures} {worth}");
    assert_eq!(measures["confusion"][1], serde_json::json!([0, 25, 0]));
    assert!(fs::read_to_string(&svg).unwrap().contains(">25<"));
    let people = trained.ask("eval", &["--data", text(&data), "--picture", text(&png)]);
    people.assert_succeeds();
    assert!(people.stdout.contains("accuracy 100.00 %") && people.stdout.contains("recall"), "{}", people.stdout);
    assert!(fs::read(&png).unwrap().starts_with(b"\x89PNG"));

    trained.ask("eval", &[]).assert_fails(2, &["--data PATH"]);
    trained.ask("eval", &["--data", text(&data), "--picture", "x.gif"]).assert_fails(2, &[".svg or .png"]);
    trained.ask("predict", &["none.idx"]).assert_fails(3, &["none.idx"]);
    fs::write(&picture, idx(&[2, 4], &pixels[..8])).unwrap();
    trained.ask("predict", &[text(&picture)]).assert_fails(3, &["one.idx", "[2, 4]", "[4, 4]"]);
    let refused = trained.ask("generate", &["--prompt", "x"]);
    refused.assert_fails(3, &["reads no text"]);
    assert_eq!(refused.stdout, "", "nothing is written before it is known that it goes on");
    fs::create_dir_all(trained.path("set/cat")).unwrap();
    trained.ask("predict", &[text(&trained.path("set"))]).assert_fails(3, &["no PNG or JPEG", "set/cat"]);
    let job = trained.path("job.toml");
    run(trained.home.path(), &["predict", "--checkpoint", text(&job), text(&images)], DEADLINE)
        .assert_fails(3, &["job.toml"]);
}

/// A pipe that stays open: each row is answered before the next one is written.
#[test]
fn rows_from_a_pipe_are_answered_as_they_come() {
    let job = "[model]\nkind = \"mlp\"\nhidden = [8]\n[data]\nbatch = 8\nnormalize = \"standard\"\n[optimizer]\nkind = \"adam\"\nlearning_rate = 0.02\n";
    let table: String = (0..120)
        .map(|i| format!("{},{},{}\n", i % 7, if i % 2 == 0 { 30 + i % 5 } else { i % 5 }, ["tall", "short"][i % 2]))
        .collect();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("flowers.csv");
    fs::write(&data, format!("width,length,label\n{table}")).unwrap();
    let trained = Trained::new(job, text(&data), "60");
    let kept = trained.path("kept");
    let arguments = |more: &[&'static str]| {
        let all = [&["predict", "--checkpoint", text(&kept), "--device", "cpu", "-"], more].concat();
        command(trained.home.path(), &all)
    };
    let mut asking =
        arguments(&[]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut rows, mut said) = (asking.stdin.take().unwrap(), BufReader::new(asking.stdout.take().unwrap()));
    let mut ask = |row: &str| {
        rows.write_all(row.as_bytes()).unwrap();
        let mut answer = String::new();
        said.read_line(&mut answer).unwrap();
        answer
    };
    assert!(ask("length,width\n31,3\n").starts_with("line 2: tall ("));
    assert!(ask("2,3\n").starts_with("line 3: short ("));
    assert!(ask("many,3\n33,1\n").starts_with("line 5: tall ("), "a bad row is passed over");
    drop(rows);
    let ended = asking.wait_with_output().unwrap();
    let errors = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(3), "{errors}");
    assert!(errors.contains("(standard input), line 4") && errors.contains("not every row"), "{errors}");

    let mut asking = arguments(&["--json", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut rows = asking.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        rows.write_all(b"width,length\n").unwrap();
        (0..3000).for_each(|i| rows.write_all(format!("3,{}\n", 30 * (i % 2)).as_bytes()).unwrap());
    });
    let lines: Vec<Value> = BufReader::new(asking.stdout.take().unwrap())
        .lines()
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    writer.join().unwrap();
    assert!(asking.wait().unwrap().success());
    assert_eq!(lines.len(), 3000);
    assert!(lines.iter().zip(["short", "tall"].iter().cycle()).all(|(line, name)| line["name"] == **name));
    trained.ask("predict", &["-", "more.csv"]).assert_fails(2, &["nothing beside it"]);
    trained.ask("predict", &["-", "--json", "out.json"]).assert_fails(2, &["--json - > FILE"]);
}

/// Such a table calls its columns 0, 1 ...: a row that holds one of these numbers is a row.
#[test]
fn rows_of_a_table_without_a_header_are_all_answered() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("bare.csv");
    let table: String = (0..120).map(|i| format!("{},{},{}\n", i % 3, 40 * (i % 2), ["low", "high"][i % 2])).collect();
    fs::write(&data, table).unwrap();
    let job = "[model]\nkind = \"mlp\"\nhidden = [8]\n[data]\nbatch = 8\n[optimizer]\nkind = \"adam\"\nlearning_rate = 0.02\n";
    let trained = Trained::new(job, text(&data), "60");
    let kept = trained.path("kept");
    let mut asking = command(trained.home.path(), &["predict", "--checkpoint", text(&kept), "--device", "cpu", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    asking.stdin.take().unwrap().write_all(b"1,40\n0,0\r\n2,40\r1,0").unwrap();
    let answers: Vec<String> = BufReader::new(asking.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
    assert!(asking.wait().unwrap().success());
    let expected = ["line 1: high (", "line 2: low (", "line 3: high (", "line 4: low ("];
    assert_eq!(answers.len(), expected.len(), "{answers:?}");
    assert!(answers.iter().zip(expected).all(|(answer, begin)| answer.starts_with(begin)), "{answers:?}");
}

/// A folder of pictures is brought to a size, and files that hold samples of that size are not asked for one.
#[test]
fn a_model_of_pictures_is_measured_on_files_of_any_form() {
    let home = tempfile::tempdir().unwrap();
    for (class, name) in ["a_top", "b_upper", "c_lower"].iter().enumerate() {
        fs::create_dir_all(home.path().join("photos").join(name)).unwrap();
        for i in 0..24 {
            // 8 x 8, two rows for each of the 4.
            let pixels: Vec<u8> =
                (0..64).map(|pixel| if pixel / 16 == class { 200 } else { pixel as u8 / 4 }).collect();
            fs::write(home.path().join(format!("photos/{name}/{i}.png")), png(8, &pixels)).unwrap();
        }
    }
    let job = "[model]\nkind = \"mlp\"\nhidden = [8]\n[data]\nsize = [4, 4]\nbatch = 8\n[optimizer]\nkind = \"adam\"\nlearning_rate = 0.02\n";
    let trained = Trained::new(job, text(&home.path().join("photos")), "30");
    let images = trained.path("t10k-images-idx3-ubyte");
    for data in [home.path().join("photos"), trained.path("."), images] {
        let measured = trained.ask("eval", &["--data", text(&data), "--json", "-"]);
        measured.assert_succeeds();
        let measures: Value = serde_json::from_str(&measured.stdout).unwrap();
        assert!(measures["accuracy"].as_f64().unwrap() > 0.9, "{}: {measures}", data.display());
    }
    let other = home.path().join("t10k-images-idx3-ubyte");
    fs::write(&other, idx(&[6, 2, 2], &[7; 24])).unwrap();
    fs::write(home.path().join("t10k-labels-idx1-ubyte"), idx(&[6], &[0, 1, 2, 0, 1, 2])).unwrap();
    trained.ask("eval", &["--data", text(&other)]).assert_fails(3, &["[2, 2]", "[4, 4]"]);
}

#[test]
fn a_language_model_continues_a_text() {
    let lm = "[model]\nkind = \"lm\"\ncontext = 32\nwidth = 32\nlayers = 1\nheads = 2\n[data]\nbatch = 8\n[optimizer]\nkind = \"adam\"\nlearning_rate = 0.01\n";
    let trained = Trained::new(lm, "text.txt", "40");
    let greedy = trained.ask("generate", &["--prompt", "To be, or not", "--tokens", "30", "--temperature", "0"]);
    greedy.assert_succeeds();
    assert!(greedy.stdout.starts_with("To be, or not to be: that"), "{}", greedy.stdout);
    assert_eq!(greedy.stdout.len(), "To be, or not".len() + 30 + 1);
    let drawn = |seed: &str| {
        trained
            .ask(
                "generate",
                &["--prompt", "Whether é ", "--tokens", "200", "--temperature", "2", "--top-k", "0", "--seed", seed],
            )
            .stdout
    };
    assert_eq!(drawn("1"), drawn("1"));
    assert_ne!(drawn("1"), drawn("2"));
    let data = trained.path("text.txt");
    let measured = trained.ask("eval", &["--data", text(&data), "--json", "-"]);
    measured.assert_succeeds();
    let measures: Value = serde_json::from_str(&measured.stdout).unwrap();
    let [loss, perplexity] = ["loss", "perplexity"].map(|key| measures[key].as_f64().unwrap());
    assert!(loss < 1.0 && (perplexity.ln() - loss).abs() < 1e-9, "{measures}");
    trained.ask("predict", &[text(&data)]).assert_fails(3, &["generate"]);
    let file = trained.path("lm.onnx");
    trained.ask("export", &["--format", "onnx", text(&file)]).assert_fails(2, &["onnx", "safetensors"]);
    trained.ask("generate", &["--temperature", "-1"]).assert_fails(2, &["temperature"]);
}

#[test]
fn a_model_of_characters_knows_them_wherever_it_is_asked() {
    let lm = "[model]\nkind = \"lm\"\ncontext = 32\nwidth = 32\nlayers = 1\nheads = 2\n[data]\nvocabulary = \"characters\"\nbatch = 8\n[optimizer]\nkind = \"adam\"\nlearning_rate = 0.01\n";
    let trained = Trained::new(lm, "text.txt", "40");
    let config = &json(&trained.newest().join("config.json"))["starling"];
    let characters = config["encoding"]["characters"].as_str().unwrap();
    assert!(characters.starts_with("\n ',.:") && config["classes"] == characters.chars().count(), "{config}");
    let greedy = trained.ask("generate", &["--prompt", "To be, or not", "--tokens", "30", "--temperature", "0"]);
    greedy.assert_succeeds();
    assert!(greedy.stdout.starts_with("To be, or not to be: that"), "{}", greedy.stdout);
    assert_eq!(greedy.stdout.len(), "To be, or not".len() + 30 + 1);
    trained.ask("generate", &["--prompt", "Zoë"]).assert_fails(3, &["'Z'", "characters", "trained"]);
    // Of another text, by the same numbers.
    let other = trained.path("other.txt");
    fs::write(&other, "Whether to be ".repeat(30)).unwrap();
    let measured = trained.ask("eval", &["--data", text(&other)]);
    measured.assert_succeeds();
    assert!(measured.stdout.contains("bits a character"), "{}", measured.stdout);
    fs::write(&other, "Whether\nto ß ".repeat(30)).unwrap();
    trained.ask("eval", &["--data", text(&other)]).assert_fails(3, &["other.txt", "line 2", "'ß'"]);
}

/// The interpreter that has what a check imports; says loudly when there is none.
fn python(needs: &str) -> Option<String> {
    let python = std::env::var("STARLING_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let works = Command::new(&python)
        .args(["-c", &format!("import {needs}")])
        .output()
        .is_ok_and(|output| output.status.success());
    if !works {
        eprintln!(
            "SKIPPED: {python} lacks one of {needs} (pip install them; STARLING_PYTHON names another interpreter)"
        );
    }
    works.then_some(python)
}

#[test]
fn pytorch_and_onnxruntime_say_what_starling_says() {
    let Some(python) = python("torch, onnx, onnxruntime, safetensors, numpy") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/check_export.py");
    let jobs = [
        "[model]\nkind = \"mlp\"\nhidden = [48, 20]\n",
        "[model]\nkind = \"mlp\"\nhidden = []\n",
        "[model]\nkind = \"cnn\"\nchannels = [6, 10]\nhidden = [24]\n",
        "[model]\nkind = \"cnn\"\nchannels = [8, 16]\nresidual_blocks = 2\nhidden = []\n",
        "[model]\nkind = \"mlp\"\nhidden = [16]\n[data]\nnormalize = \"standard\"\n",
        "[model]\nkind = \"cnn\"\nchannels = [6]\nhidden = []\n[data]\nnormalize = \"standard\"\n",
    ];
    for job in jobs {
        let trained = Trained::new(job, ".", "20");
        let images = trained.path("t10k-images-idx3-ubyte");
        let [said, onnx, weights] = ["said.json", "model.onnx", "model.safetensors"].map(|name| trained.path(name));
        trained.ask("predict", &[text(&images), "--json", text(&said)]).assert_succeeds();
        trained.ask("export", &["--format", "onnx", text(&onnx)]).assert_succeeds();
        trained.ask("export", &["--format", "safetensors", text(&weights)]).assert_succeeds();
        assert_eq!(fs::read(&weights).unwrap(), fs::read(trained.newest().join("model.safetensors")).unwrap());
        let config = trained.newest().join("config.json");
        let output =
            Command::new(&python).arg(&script).args([&config, &weights, &said, &images, &onnx]).output().unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(output.status.success(), "{job}: {out}{err}");
        println!("{}: {out}", job.replace('\n', " "));
    }
}

#[test]
fn tensorboard_reads_what_is_written_for_it() {
    let Some(python) = python("tensorboard") else { return };
    let home = tempfile::tempdir().unwrap();
    let [events, rows] = ["events", "rows.jsonl"].map(|name| home.path().join(name));
    let alone = ["run", "--open", "--no-gossip", "--device", "cpu", "--audit", "none", "--epochs", "5"];
    let kept = ["--tensorboard", text(&events), "--metrics", text(&rows)];
    run(home.path(), &[&alone[..], &kept].concat(), DEADLINE).assert_succeeds();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/check_events.py");
    let output = Command::new(&python).arg(&script).arg(&events).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows: Vec<Value> =
        fs::read_to_string(&rows).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 5);
    let steps: Vec<&Value> = rows.iter().map(|row| &row["step"]).collect();
    assert_eq!(read["test_loss"]["steps"].as_array().unwrap().iter().collect::<Vec<_>>(), steps);
    let [theirs, ours] = [&read["test_loss"]["last"], &rows[4]["test_loss"]].map(|value| value.as_f64().unwrap());
    assert!((theirs - ours).abs() < 1e-6, "{read}");
}

#[test]
fn a_table_is_asked_about_as_it_was_trained_on() {
    let home = tempfile::tempdir().unwrap();
    // The label hangs on a number far from 0 and on a word.
    let row = |i: u32| (1000 + i * 37 % 100, if i.is_multiple_of(2) { "red" } else { "green" });
    let label = |(size, colour): (u32, &str)| if size > 1050 && colour == "red" { "large" } else { "other" };
    let (mut train, mut ask, mut expected) = ("size,colour,label\n".to_owned(), "colour,size\n".to_owned(), Vec::new());
    for i in 0..400 {
        let (size, colour) = row(i);
        train += &format!("{size},{colour},{}\n", label((size, colour)));
        if i < 40 {
            ask += &format!("{colour},{size}\n");
            expected.push(label((size, colour)));
        }
    }
    let [table, asked, job, kept] = ["train.csv", "ask.csv", "job.toml", "kept"].map(|name| home.path().join(name));
    fs::write(&table, train).unwrap();
    fs::write(&asked, ask).unwrap();
    fs::write(&job, "[model]\nkind = \"mlp\"\nhidden = [16]\n[optimizer]\nkind = \"adam\"\nlearning_rate = 0.01\n")
        .unwrap();
    let alone = ["run", "--open", "--no-gossip", "--device", "cpu", "--audit", "none", "--epochs", "200"];
    let rest = ["--job", text(&job), "--data", text(&table), "--checkpoint", text(&kept)];
    run(home.path(), &[&alone[..], &rest].concat(), DEADLINE).assert_succeeds();
    let ask = ["predict", "--checkpoint", text(&kept), "--device", "cpu", text(&asked), "--json", "-"];
    let said = run(home.path(), &ask, DEADLINE);
    said.assert_succeeds();
    let answer: Value = serde_json::from_str(&said.stdout).unwrap();
    let names: Vec<&str> =
        answer["predictions"].as_array().unwrap().iter().map(|answer| answer["name"].as_str().unwrap()).collect();
    let right = names.iter().zip(&expected).filter(|(said, is)| said == is).count();
    assert!(names.len() == 40 && right >= 36, "{right} of {}: {names:?}", names.len());

    // Measured by names as well: the file of before with its columns elsewhere, and one that lacks a colour.
    let eval = |name: &str, rows: String| {
        let path = home.path().join(name);
        fs::write(&path, rows).unwrap();
        let ask = ["eval", "--checkpoint", text(&kept), "--device", "cpu", "--data", text(&path), "--label", "label"];
        run(home.path(), &[&ask[..], &["--json", "-"]].concat(), DEADLINE)
    };
    let figures = |finished: Finished| {
        finished.assert_succeeds();
        let measures: Value = serde_json::from_str(&finished.stdout).unwrap();
        ["loss", "accuracy"].map(|key| measures[key].as_f64().unwrap())
    };
    let lines = |columns: fn(u32, &str, &str) -> String, header: &str, of: fn(&(u32, &str)) -> bool| {
        let rows = (0..400).map(row).filter(of).map(|row| columns(row.0, row.1, label(row)));
        format!("{header}\n{}", rows.collect::<String>())
    };
    let trained = lines(|size, colour, label| format!("{size},{colour},{label}\n"), "size,colour,label", |_| true);
    let swapped = lines(|size, colour, label| format!("{label},{colour},{size}\n"), "label,colour,size", |_| true);
    let [loss, accuracy] = figures(eval("trained.csv", trained));
    assert!(accuracy > 0.9, "{accuracy}");
    assert_eq!(figures(eval("swapped.csv", swapped)), [loss, accuracy]);
    let green =
        lines(|size, colour, label| format!("{colour},{size},{label}\n"), "colour,size,label", |row| row.1 == "green");
    assert!(figures(eval("green.csv", green))[1] > 0.9, "a text that is not there moves no other one's place");
    let lacks = lines(|size, _, label| format!("{size},{label}\n"), "size,label", |_| true);
    eval("lacks.csv", lacks).assert_fails(3, &["lacks.csv", "no column \"colour\"", "size, label"]);
    let blue = lines(|size, _, label| format!("{size},blue,{label}\n"), "size,colour,label", |_| true);
    eval("blue.csv", blue).assert_fails(3, &["blue.csv", "line 2", "\"blue\"", "trained"]);
}

//! What users get wrong: an error that names the thing and the remedy, the documented exit code, and no panic.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use harness::cli::{self, Finished};
use harness::data::{idx, write_stripes};

const DEADLINE: Duration = Duration::from_secs(30);

fn starling(home: &Path, arguments: &[&str]) -> Finished {
    cli::run(home, arguments, DEADLINE)
}

#[test]
fn flags() {
    let home = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| starling(home.path(), arguments);
    run(&["sim", "--nonsense"]).assert_fails(2, &["--nonsense"]);
    run(&["sim", "--virtual", "--json", "one", "--html", "one"])
        .assert_fails(2, &["--html and --json", "one for each"]);
    run(&["sim", "--peers", "0"]).assert_fails(2, &["--peers", "1..=100000"]);
    run(&["sim", "--peers", "257"]).assert_fails(2, &["--peers", "256"]);
    run(&["sim", "--device", "cpu", "--lose-device", "1@2"]).assert_fails(2, &["--lose-device", "CPU"]);
    run(&["sim", "--lose-device", "9@2"]).assert_fails(2, &["no peer 9"]);
    run(&["sim", "--epochs", "0"]).assert_fails(2, &["epochs"]);
    run(&["sim", "--steps", "0"]).assert_fails(2, &["steps"]);
    run(&["sim", "--lr", "-1"]).assert_fails(2, &["learning"]);
    run(&["sim", "--lr", "NaN"]).assert_fails(2, &["learning"]);
    run(&["sim", "--gain", "100"]).assert_fails(2, &["gain"]);
    run(&["sim", "--batch", "0"]).assert_fails(2, &["batch"]);
    run(&["sim", "--codec", "zip"]).assert_fails(2, &["zip", "top_k_2bit"]);
    run(&["sim", "--optimizer", "lion"]).assert_fails(2, &["lion", "adam"]);
    run(&["sim", "--split", "dirichlet:0"]).assert_fails(2, &["dirichlet"]);
    run(&["sim", "--kill", "9@1"]).assert_fails(2, &["9"]);
    run(&["run"]).assert_fails(2, &["--open", "--job"]);
    run(&["run", "--open", "--listen", "localhost:4001"]).assert_fails(2, &["localhost:4001"]);
}

#[test]
fn a_device_that_is_not_there() {
    let home = tempfile::tempdir().unwrap();
    starling(home.path(), &["sim", "--device", "voodoo2"]).assert_fails(5, &["voodoo2"]);
    for command in [&["run", "--no-gossip"][..], &["sim"], &["device", "plan"]] {
        starling(home.path(), &[command, &["--device", ""]].concat())
            .assert_fails(5, &["no device is named \"\"", "\"cpu\""]);
    }
    starling(home.path(), &["device", "tune", "--device", "voodoo2"]).assert_fails(5, &["voodoo2"]);
    starling(home.path(), &["device", "tune", "--device", "cpu"]).assert_fails(5, &["nothing to tune", "device ls"]);
}

/// The address space of a process that is too small for its model: an error with the remedy, on whatever device.
#[cfg(target_os = "linux")]
#[test]
fn too_little_memory() {
    let home = tempfile::tempdir().unwrap();
    let job = home.path().join("job.toml");
    fs::write(&job, "[model]\nkind = \"mlp\"\nhidden = [3100, 3100]\n[data]\nbatch = 16\n").unwrap();
    let arguments = ["run", "--no-gossip", "--dashboard", "none", "--epochs", "1", "--threads", "2", "--job"];
    for device in ["cpu", "auto"] {
        let mut limited = Command::new("sh");
        limited.args(["-c", "ulimit -v 600000 && exec \"$0\" \"$@\""]).arg(cli::binary());
        limited.args(arguments).arg(&job).args(["--device", device]).env("HOME", home.path());
        cli::start(limited).finish(DEADLINE).assert_fails(5, &["emory", "--device cpu"]);
    }
}

#[test]
fn training_that_diverges() {
    let home = tempfile::tempdir().unwrap();
    let job = home.path().join("job.toml");
    let diverges = "[model]\nloss = \"mean_squared_error\"\n[optimizer]\nkind = \"sgd\"\nlearning_rate = 100.0\n";
    fs::write(&job, diverges).unwrap();
    let arguments = ["run", "--open", "--no-gossip", "--device", "cpu", "--job", job.to_str().unwrap()];
    starling(home.path(), &arguments).assert_fails(3, &["the loss is NaN in step", "learning_rate", "optimizer.clip"]);
}

#[test]
fn job_files() {
    let home = tempfile::tempdir().unwrap();
    let job = home.path().join("job.toml");
    let name = job.to_str().unwrap();
    let run = || starling(home.path(), &["run", "--job", name]);
    run().assert_fails(3, &["job.toml"]);
    fs::write(&job, "[model]\nkind = \"mlp\"\nhidden = [64,\n").unwrap();
    run().assert_fails(3, &["job.toml", "line"]);
    fs::write(&job, "[model]\nhiden = [64]\n").unwrap();
    run().assert_fails(3, &["hiden", "hidden"]);
    fs::write(&job, "[optimizer]\nlearning_rate = -3.0\n").unwrap();
    run().assert_fails(3, &["learning_rate"]);
    fs::write(&job, "[swarm]\nkey = \"abc\"\n").unwrap();
    run().assert_fails(3, &["key", "64"]);
    fs::write(&job, [0xff, 0xfe, 0x00]).unwrap();
    run().assert_fails(3, &["job.toml"]);
    fs::write(&job, vec![b'#'; 10 << 20]).unwrap();
    run().assert_fails(3, &["job.toml"]);
}

#[test]
fn job_init_writes_an_invitation_and_never_overwrites() {
    let home = tempfile::tempdir().unwrap();
    let job = home.path().join("job.toml");
    let name = job.to_str().unwrap();
    starling(home.path(), &["job", "init", name]).assert_succeeds();
    assert_eq!(fs::metadata(&job).unwrap().permissions().mode() & 0o777, 0o600);
    let first = fs::read_to_string(&job).unwrap();
    assert!(first.contains("key = \""));
    starling(home.path(), &["job", "check", name]).assert_succeeds();
    let shown = starling(home.path(), &["job", "show", name]);
    shown.assert_succeeds();
    starling(home.path(), &["job", "init", name]).assert_fails(3, &["job.toml"]);
    assert_eq!(fs::read_to_string(&job).unwrap(), first);

    let other = home.path().join("other.toml");
    starling(home.path(), &["job", "init", other.to_str().unwrap()]).assert_succeeds();
    assert_ne!(fs::read_to_string(&other).unwrap(), first, "every swarm has a key of its own");
}

#[test]
fn data_folders() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("set");
    let path = folder.to_str().unwrap();
    let run = || starling(home.path(), &["sim", "--device", "cpu", "--data", path]);
    run().assert_fails(3, &["set"]);
    fs::create_dir(&folder).unwrap();
    run().assert_fails(3, &["train-images"]);

    let reset = || write_stripes(&folder, 120);
    let images = folder.join("train-images-idx3-ubyte");
    let labels = folder.join("train-labels-idx1-ubyte");
    reset();
    let whole = fs::read(&images).unwrap();
    fs::write(&images, &whole[..whole.len() - 5]).unwrap();
    run().assert_fails(3, &["train-images-idx3-ubyte"]);
    fs::write(&images, b"not an idx file at all").unwrap();
    run().assert_fails(3, &["train-images-idx3-ubyte"]);
    fs::write(&images, idx(&[u32::MAX, u32::MAX, u32::MAX], &[1, 2, 3])).unwrap();
    run().assert_fails(3, &["train-images-idx3-ubyte"]);
    fs::write(&images, b"").unwrap();
    run().assert_fails(3, &["train-images-idx3-ubyte"]);
    reset();
    fs::write(&labels, idx(&[119], &[0; 119])).unwrap();
    run().assert_fails(3, &["119", "120"]);
    reset();
    fs::write(folder.join("t10k-labels-idx1-ubyte"), idx(&[30], &[200; 30])).unwrap();
    run().assert_fails(3, &["t10k-labels-idx1-ubyte", "200"]);
}

#[test]
fn a_report_that_cannot_be_written() {
    let home = tempfile::tempdir().unwrap();
    // Far more epochs than the deadline allows: it must be found before the training.
    for command in [&["sim"][..], &["run", "--no-gossip"]] {
        let arguments = [command, &["--device", "cpu", "--epochs", "1000000", "--json", "/proc/report.json"]].concat();
        starling(home.path(), &arguments).assert_fails(3, &["--json", "/proc/report.json"]);
    }
}

#[test]
fn a_port_in_use() {
    let home = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("/ip4/127.0.0.1/tcp/{}", taken.local_addr().unwrap().port());
    let arguments = ["run", "--open", "--no-mdns", "--device", "cpu", "--listen", &address];
    starling(home.path(), &arguments).assert_fails(4, &[&address]);
}

#[test]
fn identity_keys() {
    let home = tempfile::tempdir().unwrap();
    let key = home.path().join("identity.key");
    let name = key.to_str().unwrap();
    let run = || {
        let network = ["--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"];
        let arguments =
            [&["run", "--open", "--device", "cpu", "--epochs", "1", "--identity", name], &network[..]].concat();
        starling(home.path(), &arguments)
    };
    run().assert_succeeds();
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    run().assert_fails(3, &["identity.key", "chmod 600"]);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&key, "not a key").unwrap();
    run().assert_fails(3, &["identity.key"]);
    fs::remove_file(&key).unwrap();
    fs::create_dir(&key).unwrap();
    run().assert_fails(3, &["identity.key"]);
}

/// An open swarm is asked for by name wherever it would be reached from elsewhere, and everywhere else, too.
#[test]
fn a_swarm_is_private_or_open_by_name() {
    let home = tempfile::tempdir().unwrap();
    let job = home.path().join("job.toml");
    let name = job.to_str().unwrap();
    starling(home.path(), &["job", "init", "--open", name]).assert_succeeds();
    for listen in ["/ip4/0.0.0.0/tcp/0", "/ip4/192.0.2.1/tcp/0", "/ip4/127.0.0.1/tcp/0"] {
        let run = ["run", "--job", name, "--device", "cpu", "--listen", listen];
        starling(home.path(), &run).assert_fails(2, &["no key", "everyone", "--open"]);
    }
    let swarm = |arguments: &[&str]| {
        let finished = starling(home.path(), &[&["swarm"], arguments].concat());
        finished.assert_succeeds();
        finished.stdout
    };
    assert!(swarm(&["show", name]).contains("open, everybody may join"));
    let made = swarm(&["new", name]);
    let key = fs::read_to_string(&job).unwrap();
    let key = key.lines().find_map(|line| line.strip_prefix("key = \"")?.strip_suffix('"')).unwrap().to_owned();
    let shown = swarm(&["show", name]);
    assert!(shown.contains("private") && shown.contains("fingerprint"), "{shown}");
    assert!([&made, &shown].iter().all(|text| !text.contains(&key[..16])), "the key is not shown");
    let peer = "0e".repeat(32);
    assert!(swarm(&["allow", name, &peer]).contains(&peer));
    assert!(swarm(&["deny", name, &peer]).contains("0 peers"));
    let refused = |arguments: &[&str]| starling(home.path(), &[&["swarm"], arguments].concat());
    refused(&["allow", name, "abc"]).assert_fails(2, &["64 hex digits"]);
    refused(&["allow", name]).assert_fails(2, &["PEER_ID"]);
    refused(&["deny", name, &peer]).assert_fails(3, &["not on the list"]);
    refused(&["new", "/proc/none.toml"]).assert_fails(3, &["/proc/none.toml", "job init"]);
}

#[test]
fn identities_are_shown_made_and_kept() {
    let home = tempfile::tempdir().unwrap();
    let id = |arguments: &[&str]| starling(home.path(), &[&["id"], arguments].concat());
    let shown = |arguments: &[&str]| {
        let finished = id(arguments);
        finished.assert_succeeds();
        finished.stdout
    };
    id(&["show"]).assert_fails(3, &["there is no identity key", "starling id new"]);
    let first = shown(&["new"]);
    assert!(first.contains("identity.key") && first.contains("mode 600"), "{first}");
    assert_eq!(shown(&["show"]), first);
    id(&["new"]).assert_fails(3, &["already", "--force"]);
    assert_eq!(shown(&["show"]), first, "it was left alone");
    assert_ne!(shown(&["new", "--force"]), first);
    let key = home.path().join("other.key");
    let other = shown(&["new", "--identity", key.to_str().unwrap()]);
    assert!(other.contains("other.key"), "{other}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o604)).unwrap();
    id(&["show", "--identity", key.to_str().unwrap()]).assert_fails(3, &["open to others", "chmod 600"]);
}

#[test]
fn models_that_do_not_fit_their_data_or_device() {
    let home = tempfile::tempdir().unwrap();
    let job = home.path().join("job.toml");
    let name = job.to_str().unwrap();
    let plan = || starling(home.path(), &["device", "plan", "--device", "cpu", "--job", name]);
    // A language model reads a text, others do not.
    fs::write(&job, "[model]\nkind = \"lm\"\n").unwrap();
    plan().assert_fails(3, &["digits", "data.path"]);
    fs::write(home.path().join("text.txt"), "what comes next ".repeat(200)).unwrap();
    fs::write(&job, "[model]\nkind = \"cnn\"\n[data]\npath = \"text.txt\"\n").unwrap();
    plan().assert_fails(3, &["text.txt", "lm"]);
    fs::write(&job, "[model]\nkind = \"lm\"\nheads = 3\n[data]\npath = \"text.txt\"\n").unwrap();
    plan().assert_fails(3, &["128", "3 heads", "multiple of 4"]);
    fs::write(&job, "[model]\nkind = \"lm\"\n[data]\npath = \"text.txt\"\n").unwrap();
    let fits = plan();
    fits.assert_succeeds();
    assert!(fits.stdout.contains("parameters") && fits.stdout.contains("it fits"), "{}", fits.stdout);
    // No machine that runs tests has that much.
    let huge = "width = 4096\nheads = 64\nlayers = 5\ncontext = 256\n[data]\npath = \"text.txt\"\nbatch = 65536\n";
    fs::write(&job, format!("[model]\nkind = \"lm\"\n{huge}")).unwrap();
    plan().assert_fails(5, &["MiB", "smaller batch or model"]);
    starling(home.path(), &["run", "--open", "--device", "cpu", "--job", name]).assert_fails(5, &["MiB"]);
    starling(home.path(), &["sim", "--virtual", "--peers", "2", "--job", name]).assert_fails(5, &["MiB", "--peers"]);
    // What a billion parameters take is said without taking it, whether this machine has that much or not.
    let layers = ["8192"; 15].join(", ");
    fs::write(&job, format!("[model]\nhidden = [{layers}]\n[optimizer]\nkind = \"adam\"\n")).unwrap();
    let billion = plan();
    // theta, base, gradient, and two moments.
    for part in ["940253194 parameters", "10760.3 MiB", "7173.6 MiB"] {
        assert!(billion.stdout.contains(part), "{part}: {}", billion.stdout);
    }
    // No offset counts that many parameters: an error, not an abort, wherever the job is read.
    fs::write(&job, format!("[model]\nkind = \"lm\"\n{}", huge.replace("layers = 5", "layers = 96"))).unwrap();
    for command in [
        &["device", "plan", "--device", "cpu", "--job", name][..],
        &["job", "check", name],
        &["run", "--open", "--device", "cpu", "--job", name],
        &["run", "--open", "--job", name],
        &["sim", "--peers", "2", "--job", name],
        &["sim", "--virtual", "--peers", "2", "--job", name],
    ] {
        starling(home.path(), command).assert_fails(3, &["19329191936", "parameters", "1073741824", "narrower"]);
    }
}

/// What a model reads decides what its data must be.
#[test]
fn texts_and_folders() {
    let home = tempfile::tempdir().unwrap();
    let job = home.path().join("job.toml");
    let name = job.to_str().unwrap();
    fs::write(home.path().join("text.txt"), "what comes next ".repeat(200)).unwrap();
    fs::write(home.path().join("short.txt"), "short").unwrap();
    fs::create_dir(home.path().join("set")).unwrap();
    write_stripes(&home.path().join("set"), 120);
    let check = |model: &str, path: &str| {
        fs::write(&job, format!("[model]\nkind = \"{model}\"\n[data]\npath = \"{path}\"\n")).unwrap();
        starling(home.path(), &["job", "check", name])
    };
    check("lm", "text.txt").assert_succeeds();
    check("mlp", "set").assert_succeeds();
    check("mlp", "text.txt").assert_fails(3, &["text.txt", "kind = \"lm\""]);
    check("lm", "set").assert_fails(3, &["set", "folder", "text", "kind = \"mlp\""]);
    check("lm", "short.txt").assert_fails(3, &["short.txt", "5 tokens", "129"]);
    check("lm", "none.txt").assert_fails(3, &["none.txt"]);
}

/// A scenario that is over in a moment.
const QUICK: &str = "peers = 3\nlearner = \"quadratic\"\nsteps = 100\nevaluations = 1\nquadratic.parameters = 8\n";

#[test]
fn files_without_an_end() {
    let home = tempfile::tempdir().unwrap();
    let pipe = home.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Nobody will ever write into it, and the other never ends.
    for file in [pipe.to_str().unwrap(), "/dev/zero"] {
        let text = home.path().join("text.toml");
        fs::write(&text, format!("[model]\nkind = \"lm\"\n[data]\npath = {file:?}\n")).unwrap();
        let refused = |arguments: &[&str]| starling(home.path(), arguments).assert_fails(3, &[file]);
        refused(&["sim", "--virtual", file]);
        refused(&["sim", "compare", file, file]);
        refused(&["sim", "saturation", "--job", file]);
        refused(&["job", "check", file]);
        refused(&["job", "check", text.to_str().unwrap()]);
        refused(&["run", "--open", "--job", file]);
        refused(&["run", "--open", "--device", "cpu", "--identity", file]);
        refused(&["sim", "--device", "cpu", "--data", file]);
    }
    let long = home.path().join("long.toml");
    fs::write(&long, vec![b'#'; 1 << 20]).unwrap();
    starling(home.path(), &["sim", "--virtual", long.to_str().unwrap()]).assert_fails(3, &["long.toml", "262144"]);
}

#[test]
fn outputs_that_cannot_be_written() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let scenario = home.path().join("quick.toml");
    fs::write(&scenario, QUICK).unwrap();
    let quick = ["sim", "--virtual", scenario.to_str().unwrap()];
    for flag in ["--json", "--html"] {
        starling(home.path(), &[&quick[..], &[flag, "/dev/full"]].concat()).assert_fails(3, &[flag, "/dev/full"]);
    }
    let report = home.path().join("a.json");
    let report = report.to_str().unwrap();
    starling(home.path(), &[&quick[..], &["--json", report]].concat()).assert_succeeds();
    let json = [&quick[..], &["--json", "-"]].concat();
    let alone = ["run", "--no-gossip", "--device", "cpu", "--epochs", "1"];
    let commands = [
        &quick[..],
        &json,
        &alone,
        &["sim", "compare", report, report],
        &["sim", "--peers", "2", "--epochs", "1", "--device", "cpu"],
        &["job", "show"],
        &["job", "check"],
        &["job", "init", "--stdout"],
        &["device", "plan", "--device", "cpu"],
        &["--help"],
    ];
    for arguments in commands {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let done = cli::command(home.path(), arguments).stdin(Stdio::null()).stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(3), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    }
}

#[test]
fn flags_of_virtual_swarms() {
    let home = tempfile::tempdir().unwrap();
    let scenario = home.path().join("quick.toml");
    let write = |more: &str| fs::write(&scenario, format!("{QUICK}{more}")).unwrap();
    write("");
    let run = |arguments: &[&str]| {
        starling(home.path(), &[&["sim", "--virtual", scenario.to_str().unwrap()], arguments].concat())
    };
    // What would change nothing is not taken for an answer.
    let ignored = [
        ["--lr", "1"],
        ["--epochs", "3"],
        ["--batch", "3"],
        ["--model", "8"],
        ["--optimizer", "sgd"],
        ["--split", "iid"],
        ["--data", "x"],
        ["--device", "voodoo2"],
    ];
    for flags in ignored {
        run(&flags).assert_fails(2, &[flags[0]]);
    }
    run(&["--gain", "99"]).assert_fails(2, &["--gain"]);
    run(&["--variant", "b"]).assert_fails(2, &["--variant"]);
    run(&["--until", "0"]).assert_fails(2, &["--until"]);
    for seeds in ["5..5", "0..2000000", "18446744073709551614..18446744073709551615", "1..99999999999999999999"] {
        run(&["--seeds", seeds]).assert_fails(2, &["--seeds"]);
    }
    run(&["--seed", "18446744073709551615"]).assert_fails(2, &["--seed"]);
    run(&["--seed", "9223372036854775807"]).assert_succeeds();
    write("[[faults]]\nat_s = 0.1\naction = \"kill\"\npeers = [2]\n");
    run(&["--peers", "2"]).assert_fails(2, &["--peers 2", "faults.peers"]);
    // And in the file it is the file's fault.
    write("seeds = 0\n");
    run(&[]).assert_fails(3, &["seeds"]);
    write("[job.gossip]\ngain = 99\n");
    run(&[]).assert_fails(3, &["gain"]);
    write(&format!(
        "[job.gossip]\npartner = \"fixed\"\npartner_graph = [[\"{}\", \"{}\"]]\n",
        "0a".repeat(32),
        "0b".repeat(32)
    ));
    run(&[]).assert_fails(3, &["partner_graph", "none of the 3 virtual peers"]);
}

#[test]
fn what_only_virtual_peers_can_do_and_names_that_are_none() {
    let home = tempfile::tempdir().unwrap();
    let job = home.path().join("groups.toml");
    fs::write(&job, "[gossip]\ngroups = 4\n").unwrap();
    starling(home.path(), &["run", "--open", "--job", job.to_str().unwrap()]).assert_fails(3, &["gossip.groups"]);
    starling(home.path(), &["sim", "--job", job.to_str().unwrap()]).assert_fails(3, &["gossip.groups"]);
    for name in ["", "a\nb", "a\"b", &"x".repeat(65)] {
        starling(home.path(), &["job", "init", "--stdout", "--name", name]).assert_fails(2, &["name"]);
    }
    starling(home.path(), &["sim", "--twin", "1", "--peers", "1"]).assert_fails(2, &["--twin", "--peers 2"]);
    let short = ["sim", "--twin", "1", "--peers", "2", "--epochs", "1", "--device", "cpu"];
    starling(home.path(), &short).assert_fails(2, &["too short", "--epochs"]);
}

//! What `device plan` says is what a peer takes.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use harness::cli;

const DEADLINE: Duration = Duration::from_secs(120);
/// Measured by estimated. Below it the estimate frightens people off, above it a machine that should do is killed.
const BOUNDS: std::ops::Range<f64> = 0.85..1.35;

/// 2.4 M parameters: large beside the process itself.
const JOB: &str = "[model]\nkind = \"mlp\"\nhidden = [1500, 1500]\n[data]\nbatch = 16\n[optimizer]\nkind = \"adam\"\n";

/// Peak resident memory of a run to its end, bytes.
fn peak(home: &Path, arguments: &[&str]) -> u64 {
    let mut child = cli::command(home, arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (begun, mut most) = (Instant::now(), 0);
    loop {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        most = most.max(kib.unwrap_or(0) << 10);
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{arguments:?}: {status}");
            return most;
        }
        if begun.elapsed() > DEADLINE {
            child.kill().unwrap();
            panic!("{arguments:?} takes more than {DEADLINE:?}");
        }
        // The peak stands in the file until the end.
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The bytes that a line of the plan says.
fn planned(home: &Path, device: &str, job: &str, line: &str) -> u64 {
    let plan = cli::run(home, &["device", "plan", "--device", device, "--job", job], DEADLINE);
    assert_eq!(plan.code(), 0, "{}", plan.stderr);
    let found = plan.stdout.lines().find_map(|text| text.strip_prefix(line)?.trim().split_once(" MiB"));
    let mebibytes: f64 = found.unwrap_or_else(|| panic!("no {line:?} in {}", plan.stdout)).0.parse().unwrap();
    (mebibytes * f64::from(1 << 20)) as u64
}

#[test]
fn the_plan_is_what_a_peer_takes() {
    let home = tempfile::tempdir().unwrap();
    let job = home.path().join("job.toml");
    fs::write(&job, JOB).unwrap();
    let name = job.to_str().unwrap();
    let listed = cli::run(home.path(), &["device", "ls"], DEADLINE).stdout;
    let devices = ["cpu", "llvmpipe"].into_iter().filter(|device| *device == "cpu" || listed.contains(device));
    for device in devices {
        let run = ["run", "--job", name, "--device", device, "--epochs", "2"];
        for (line, more) in
            [("alone", &["--no-gossip"][..]), ("gossip", &["--open", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"])]
        {
            let (estimated, measured) =
                (planned(home.path(), device, name, line), peak(home.path(), &[&run, more].concat()));
            let ratio = measured as f64 / estimated as f64;
            println!("{device} {line}: {} MiB of {} MiB, {ratio:.2}", measured >> 20, estimated >> 20);
            assert!(BOUNDS.contains(&ratio), "{device} {line}: {measured} bytes, {estimated} estimated: {ratio:.2}");
        }
    }
}

/// A header of MNIST's format, and so many zeros behind it: a file of its length that takes no room.
fn idx(path: &Path, extents: &[u32], zeros: u64) -> fs::File {
    let mut bytes = vec![0, 0, 8, extents.len() as u8];
    extents.iter().for_each(|extent| bytes.extend_from_slice(&extent.to_be_bytes()));
    fs::write(path, &bytes).unwrap();
    let file = fs::File::options().append(true).open(path).unwrap();
    file.set_len(bytes.len() as u64 + zeros).unwrap();
    file
}

/// Pictures of 134 MiB, which software Vulkan does not bind at once.
#[test]
fn a_set_that_is_larger_than_a_binding_fits_every_device() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("pictures");
    fs::create_dir(&folder).unwrap();
    for (part, n) in [("train", 45_000u32), ("t10k", 100)] {
        idx(&folder.join(format!("{part}-images-idx3-ubyte")), &[n, 28, 28], u64::from(n) * 784);
        let labels: Vec<u8> = (0..n).map(|i| (i % 10) as u8).collect();
        let mut file = idx(&folder.join(format!("{part}-labels-idx1-ubyte")), &[n], 0);
        file.write_all(&labels).unwrap();
    }
    let listed = cli::run(home.path(), &["device", "ls"], DEADLINE).stdout;
    let job = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/jobs/fashion-mlp.toml");
    let (job, data) = (job.to_str().unwrap(), folder.to_str().unwrap());
    for device in ["cpu", "llvmpipe"].into_iter().filter(|device| *device == "cpu" || listed.contains(device)) {
        let plan =
            cli::run(home.path(), &["device", "plan", "--device", device, "--job", job, "--data", data], DEADLINE);
        plan.assert_succeeds();
        assert!(plan.stdout.contains("it fits"), "{}", plan.stdout);
    }
    if !listed.contains("llvmpipe") {
        return;
    }
    // Not the plan alone: its rows come a window at a time.
    let run = ["run", "--no-gossip", "--device", "llvmpipe", "--job", job, "--data", data, "--epochs", "1"];
    cli::run(home.path(), &run, DEADLINE).assert_succeeds();
}

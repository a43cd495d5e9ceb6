//! What `device plan` says is what a peer takes.

use std::fs;
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

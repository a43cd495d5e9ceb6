//! Every command that the documentation shows, and what a test does with it. A command without an entry fails the tests.
//!
//! A command that [`How::Runs`] runs on real processes, in a folder with the files that it names, shortened by the changes that stand beside it.
//! One that [`How::Reads`] is read by the program's own parser alone, for the reason that stands there: flags and values must exist. One that is
//! [`How::Foreign`] is none of ours.

/// What is done with a command.
#[derive(Clone, Copy, Debug)]
pub enum How {
    /// It is run, with these changes.
    Runs(&'static [Change]),
    /// It is read by our parser and not run, because.
    Reads(&'static str),
    /// It is another program's, and not run, because.
    Foreign(&'static str),
}

/// How a command is shortened.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    /// The flag has this value, whatever it had.
    Set(&'static str, &'static str),
    /// The flag is left out, with its value when it has one.
    Without(&'static str, bool),
    /// Another word stands in place of one.
    Word(&'static str, &'static str),
    /// A peer by itself, on the CPU, that announces nothing on the network of the machine which runs the tests.
    Alone,
    /// It ends with this exit code.
    Fails(i32),
}

use Change::{Alone, Fails, Set, Without, Word};
use How::{Foreign, Reads, Runs};

/// Pages that are run as scripts, from their first line to their last.
pub const SCRIPTS: &[&str] = &["docs/tutorial.md"];

/// On the CPU, one thread a process.
const CPU: Change = Set("--device", "cpu");
const ONE: Change = Set("--epochs", "1");
const TWO_PEERS: Change = Set("--peers", "2");
/// A simulation in a second or two.
const SHORT: &[Change] = &[CPU, ONE, TWO_PEERS];

const ROOT: &str = "wants root; tests/it runs the same in namespaces where it may";
const NETWORK: &str = "speaks to the network of the machine, which tests leave alone; tests/it runs it in namespaces";
const MINUTES: &str = "takes minutes";
const BUILDS: &str = "builds the project, as the tests have done before";

/// Every command, as it stands on a page without its remark.
pub const COMMANDS: &[(&str, How)] = &[
    // README
    ("cargo run --release -- sim", Runs(SHORT)),
    ("./test.sh", Foreign("runs this test")),
    ("cargo install --locked --path node", Foreign(BUILDS)),
    ("starling job init job.toml", Runs(&[Word("job.toml", "new.toml")])),
    ("starling run --job job.toml", Runs(&[ONE, Alone])),
    ("starling data show table.csv --label kind", Runs(&[])),
    (
        "starling run --job job.toml --data table.csv --label kind --checkpoint kept",
        Runs(&[ONE, Alone, Set("--checkpoint", "kept-table")]),
    ),
    ("starling eval --checkpoint kept --data table.csv --label kind", Runs(&[CPU, Set("--checkpoint", "kept-table")])),
    (
        "starling predict --checkpoint kept new.csv",
        Runs(&[CPU, Set("--checkpoint", "kept-table"), Word("new.csv", "table.csv")]),
    ),
    ("starling export --checkpoint kept --format onnx model.onnx", Runs(&[])),
    // docs/try.md
    (
        "cargo run --release -- sim --epochs 5000 --dashboard 127.0.0.1:7878-7881",
        Reads("takes ports that may be in use"),
    ),
    ("starling top 127.0.0.1:7878-7881", Reads("wants a terminal; tests/it/top.rs gives it one")),
    ("starling sim --epochs 30 --json gossip.json", Runs(SHORT)),
    ("starling sim --epochs 30 --no-gossip --json alone.json", Runs(SHORT)),
    (
        "starling plot gossip.json alone.json --out both.svg",
        Reads("wants both reports; tests/it/plot.rs makes some and draws them"),
    ),
    ("starling plot kept --out weights.png", Runs(&[])),
    ("cargo run --release -- sim --peers 8 --split dirichlet:0.1 --baseline", Runs(SHORT)),
    ("cargo run --release -- sim --optimizer adam --epochs 30 --json out.json", Runs(SHORT)),
    ("cargo run --release -- sim --mode full_sync", Runs(SHORT)),
    ("cargo run --release -- sim --mode pairwise", Runs(SHORT)),
    ("cargo run --release -- sim --job cnn.toml", Runs(SHORT)),
    ("cargo run --release -- sim --peers 8 --twin", Reads(MINUTES)),
    ("cargo run --release -- sim --data DIR", Reads("wants files of MNIST; tests/it/data.rs makes some")),
    (
        "cargo run --release -- sim --epochs 5000 --dashboard 127.0.0.1:7878",
        Runs(&[CPU, ONE, TWO_PEERS, Set("--dashboard", "127.0.0.1:0")]),
    ),
    ("sudo target/release/starling sim --netns", Reads(ROOT)),
    ("cargo run --release -- sim --help", Runs(&[])),
    ("cargo run --release -- device plan --job lm.toml", Runs(&[CPU])),
    ("cargo run --release -- device profile --job lm.toml", Runs(&[CPU])),
    (
        "cargo run --release -- device tune --job lm.toml",
        Reads("measures for half a minute on software Vulkan; tests/it/bench.rs"),
    ),
    ("cargo run --release -- device bench --quick", Reads("measures for half a minute; tests/it/bench.rs")),
    (
        "cargo run --release -- sim --epochs 2000 --kill 2@2 --restart 2@4",
        Reads("tests/it/faults.rs kills and restarts"),
    ),
    ("cargo run --release -- sim --epochs 200 --lose-device 2@2", Reads("tests/it/faults.rs loses devices")),
    (
        "cargo run --release -- sim --device cpu --peers 8 --duration 5m --kill-every 5s --restart-after 2s --pause 6@12+10 --json k.json",
        Reads(MINUTES),
    ),
    (
        "sudo target/release/starling sim --device cpu --netns --peers 8 --steps 100 --duration 80s --cut 20+60 --json c.json",
        Reads(ROOT),
    ),
    ("cargo nextest run -p tests --run-ignored only ten_minutes_of_churn --no-capture", Foreign(MINUTES)),
    ("cargo run --release -- sim --virtual --peers 64 --seed 1", Runs(&[ONE, Set("--peers", "8")])),
    ("cargo run --release -- sim --virtual sim/scenarios/attackers.toml --html page.html", Reads(MINUTES)),
    ("cargo run --release -- sim --virtual sim/scenarios/exactness.toml --seeds 0..20", Reads(MINUTES)),
    ("cargo run --release -- sim compare before.json after.json", Runs(&[])),
    ("starling data ls", Runs(&[])),
    ("starling data show photos/ --png some.png", Runs(&[Word("photos/", "digits")])),
    ("starling sim --data table.csv --label kind", Runs(SHORT)),
    ("starling sim --job docs/jobs/fashion-mlp.toml", Reads("a minute, and wants Fashion-MNIST")),
    ("starling sim --job docs/jobs/shakespeare.toml --epochs 6", Reads(MINUTES)),
    (
        "starling run --job job.toml --overfit-one-batch",
        Runs(&[CPU, Set("--threads", "1"), Set("--dashboard", "none"), Set("--audit", "none")]),
    ),
    ("cargo nextest run -p tests --run-ignored only what_must_hold --no-capture", Foreign(MINUTES)),
    ("FUZZ_SECONDS=20 cargo nextest run -p tests --run-ignored only fuzz_for_long --no-capture", Foreign(MINUTES)),
    ("cargo bench -p protocol", Foreign(MINUTES)),
    ("cargo bench -p shaders", Foreign(MINUTES)),
    ("starling device bench", Reads(MINUTES)),
    ("(cd shaders/benches/rivals/burn && cargo run --release)", Foreign(MINUTES)),
    ("python3 shaders/benches/rivals/pytorch.py", Foreign("wants PyTorch")),
    // docs/checkpoints.md
    ("starling run --job job.toml --checkpoint kept", Runs(&[ONE, Alone, Set("--checkpoint", "kept-new")])),
    ("starling run --job job.toml --resume kept", Runs(&[Set("--epochs", "2"), Alone])),
    ("starling predict --checkpoint kept pictures.idx --json -", Runs(&[CPU])),
    (
        "starling generate --checkpoint kept --prompt \"To be\" --seed 1",
        Runs(&[CPU, Set("--checkpoint", "kept-lm"), Set("--tokens", "20")]),
    ),
    ("starling eval --checkpoint kept --picture confusion.svg", Runs(&[CPU])),
    // docs/scenarios.md
    ("starling sim --virtual sim/scenarios/gain.toml", Reads(MINUTES)),
    ("starling sim --virtual FILE --seeds 0..1000", Reads(MINUTES)),
    ("starling sim --virtual FILE --html page.html --json report.json", Reads("tests/it/virtual_sim.rs writes both")),
    ("starling sim saturation", Reads("takes a minute")),
    ("starling sim compare before.json after.json", Runs(&[])),
    ("starling sim --virtual FILE --variant cut --seed 17", Reads("tests/it/virtual_sim.rs replays")),
    ("starling sim --virtual FILE --variant cut --seed 17 --until 48213", Reads("tests/it/virtual_sim.rs replays")),
    // docs/dashboard.md
    (
        "curl -s 127.0.0.1:7878/v1/predict -H 'content-type: application/json' -d '{\"inputs\": [[0, 0.3, ...]]}'",
        Foreign("tests/it/predictions.rs asks the same"),
    ),
    // docs/performance.md
    ("python3 shaders/benches/rivals/pytorch.py --cuda --json rival.json", Foreign("wants PyTorch and a GPU")),
    ("cargo run --release -- device bench --json here.json --against rival.json", Reads(MINUTES)),
    // docs/operations.md
    ("cargo build --locked --profile dist -p node --bin starling", Foreign(MINUTES)),
    ("starling doctor", Reads(NETWORK)),
    ("starling completions bash > starling.bash", Runs(&[Without(">", true)])),
    ("starling man man1", Runs(&[])),
    ("starling job init job.toml --name flowers", Runs(&[Word("job.toml", "named.toml")])),
    ("starling job check job.toml", Runs(&[])),
    ("starling swarm show job.toml", Runs(&[])),
    ("starling id show", Runs(&[])),
    (
        "starling swarm allow job.toml 5f0c2f5aa0f6b1d7b39d2f0d21f1f9b03f5a6d9f5e0d6c0f6f4f0a7a1c2b3d4e",
        Runs(&[Word("job.toml", "named.toml")]),
    ),
    ("starling run --open", Reads(NETWORK)),
    ("starling run --job job.toml --peer /ip4/192.0.2.7/tcp/4001", Reads(NETWORK)),
    ("starling run --job job.toml --peer /dns4/host.example/udp/4001/quic-v1 --peers more.txt", Reads(NETWORK)),
    (
        "starling run --job job.toml --listen /ip4/0.0.0.0/tcp/4001 --listen /ip4/0.0.0.0/udp/4001/quic-v1",
        Reads(NETWORK),
    ),
    ("sudo nft add rule inet filter input tcp dport 4001 accept", Foreign("changes the machine")),
    ("sudo nft add rule inet filter input udp dport 4001 accept", Foreign("changes the machine")),
    ("starling doctor --job job.toml --peer /ip4/192.0.2.7/tcp/4001", Reads(NETWORK)),
    ("starling audit show audit --kind refuse", Runs(&[])),
    ("starling audit show audit --kind checkpoint", Runs(&[])),
    (
        "starling audit verify audit --head HASH",
        Runs(&[Word("HASH", "0000000000000000000000000000000000000000000000000000000000000000"), Fails(3)]),
    ),
    ("sudo useradd --system --home-dir /var/lib/starling starling", Foreign("changes the machine")),
    ("sudo install -m 0755 target/dist/starling /usr/local/bin/starling", Foreign("changes the machine")),
    ("sudo install -D -m 0400 -o starling job.toml /etc/starling/job.toml", Foreign("changes the machine")),
    (
        "sudo install -m 0644 packaging/starling.service /etc/systemd/system/starling.service",
        Foreign("changes the machine"),
    ),
    ("sudo systemctl enable --now starling", Foreign("changes the machine")),
    (
        "starling run --job job.toml --checkpoint kept --epochs 4",
        Runs(&[ONE, Alone, Set("--checkpoint", "kept-newer")]),
    ),
    ("starling run --job job.toml --resume kept --epochs 8", Runs(&[Set("--epochs", "3"), Alone])),
];

/// The words of a command as they are run, each as a shell takes it for one.
#[must_use]
pub fn shortened(words: &[String], changes: &[Change]) -> Vec<String> {
    changed(words, changes).into_iter().map(quoted).collect()
}

/// The words of a command with something that exists in place of what only stands for it.
#[must_use]
pub fn filled_in(words: &[String], changes: &[Change]) -> Vec<String> {
    let words_alone: Vec<Change> = changes.iter().copied().filter(|change| matches!(change, Word(..))).collect();
    changed(words, &words_alone)
}

fn changed(words: &[String], changes: &[Change]) -> Vec<String> {
    let mut words = words.to_vec();
    let apart = [
        Set("--device", "cpu"),
        Set("--threads", "1"),
        Set("--no-gossip", ""),
        Set("--dashboard", "none"),
        Set("--audit", "none"),
    ];
    let changes = changes
        .iter()
        .flat_map(|change| if matches!(change, Alone) { &apart[..] } else { std::slice::from_ref(change) });
    for change in changes {
        match *change {
            Set(flag, value) => {
                if let Some(at) = words.iter().position(|word| word == flag) {
                    if !value.is_empty() {
                        words[at + 1] = value.to_owned();
                    }
                } else {
                    words.push(flag.to_owned());
                    words.extend((!value.is_empty()).then(|| value.to_owned()));
                }
            }
            Without(flag, valued) => {
                if let Some(at) = words.iter().position(|word| word == flag) {
                    words.drain(at..=at + usize::from(valued));
                }
            }
            Word(from, to) => words.iter_mut().filter(|word| *word == from).for_each(|word| to.clone_into(word)),
            Alone | Fails(_) => {}
        }
    }
    words
}

/// As a shell takes it for one word.
fn quoted(word: String) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,@+=".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shortened_as_the_table_says() {
        let words: Vec<String> = "sim --epochs 9 --json o --x FILE".split(' ').map(str::to_owned).collect();
        let changes = [Set("--epochs", "1"), Set("--device", "cpu"), Without("--json", true), Word("FILE", "a b")];
        assert_eq!(shortened(&words, &changes).join(" "), "sim --epochs 1 --x 'a b' --device cpu");
    }
}

//! Every target of `harness::fuzz`, for a moment, over mutations of its corpus. Longer, one process a target:
//! `FUZZ_SECONDS=600 cargo nextest run -p tests --run-ignored only fuzz_for_long --no-capture`; with libFuzzer, which is better at it:
//! `cd fuzz && RUSTC_BOOTSTRAP=1 cargo fuzz run TARGET`.

use std::fs;
use std::time::Duration;

use harness::fuzz::{self, ALL};

/// For each target: two minutes and a half in all, of an hour that continuous integration has, beside other tests.
const TIME: Duration = Duration::from_secs(20);
/// The same inputs each time: a suite that fails by chance is of no use. The long run draws others.
const SEED: u64 = 5;

fn shake(seed: u64, time: Duration) {
    for &target in ALL {
        match fuzz::shake(target, seed, time) {
            Ok(shaken) => println!("{}: {} inputs, the slowest took {:?}", target.name, shaken.inputs, shaken.slowest),
            Err((input, what)) => {
                let find = std::env::temp_dir().join(format!("starling-find-{}-{}", target.name, blake(&input)));
                fs::write(&find, &input).unwrap();
                panic!("{}: {what}; the input is in {}: add it to fuzz/corpus/{0}", target.name, find.display());
            }
        }
    }
}

fn blake(input: &[u8]) -> String {
    let hash = input
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    format!("{hash:016x}")
}

#[test]
fn no_bytes_from_outside_do_harm() {
    shake(SEED, TIME);
}

#[ignore = "takes as long as FUZZ_SECONDS says, for each target: 60 where it is not set"]
#[test]
fn fuzz_for_long() {
    let seconds = std::env::var("FUZZ_SECONDS").map_or(60, |text| text.parse().expect("FUZZ_SECONDS is a number"));
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
    println!("seed {seed}");
    shake(seed, Duration::from_secs(seconds));
}

/// A fuzzer that cannot find anything would pass everything: this one finds what two changed bytes do.
#[test]
fn the_driver_finds_what_is_wrong() {
    fn wrong(bytes: &[u8]) {
        assert!(!bytes.windows(2).any(|pair| pair == [0xff, 0xff]), "found");
    }
    let target = fuzz::Target { name: "idx", run: wrong };
    let (input, what) = fuzz::shake(target, SEED, Duration::from_secs(60)).unwrap_err();
    assert!(what.contains("found") && input.windows(2).any(|pair| pair == [0xff, 0xff]));
}

#[test]
fn every_target_has_a_file_for_libfuzzer_and_its_seeds_in_the_corpus() {
    for target in ALL {
        let folder = fuzz::corpus_folder(target.name);
        let file = folder.join(format!("../../fuzz_targets/{}.rs", target.name));
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(text.contains(&format!("run({:?}", target.name)), "{text}");
        assert!(fuzz::corpus(target.name).len() <= 200, "{}: keep it small", folder.display());
    }
}

/// Otherwise nothing of what takes a snapshot is under fuzz: a seed of an older wire format is read to its first byte.
#[test]
fn the_corpus_of_snapshots_holds_one_that_is_taken() {
    let taken: Vec<_> = fuzz::corpus("snapshot").iter().map(|input| fuzz::snapshots_taken(input)).collect();
    assert!(taken.iter().any(|&taken| taken > 0), "{taken:?}: run writes_the_seeds");
}

/// After a change of the wire format: `cargo nextest run -p tests --run-ignored only writes_the_seeds`.
#[ignore = "writes fuzz/corpus"]
#[test]
fn writes_the_seeds_of_the_corpus() {
    for target in ALL {
        let folder = fuzz::corpus_folder(target.name);
        fs::create_dir_all(&folder).unwrap();
        for (i, seed) in fuzz::seeds::of(target.name).iter().enumerate() {
            fs::write(folder.join(format!("seed-{i:02}")), seed).unwrap();
        }
    }
}

//! What is built in: floors below which a remote peer can do harm, where packages come from, under which licences, and where
//! `unsafe` may stand. `deny.toml` says the same to `cargo deny`; this needs neither the tool nor the network.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use toml::{Table, Value};

/// Versions that no package of `Cargo.lock` may be below, where it is there at all. Also in `deny.toml`.
const FLOORS: [(&str, [u64; 3]); 3] =
    [("libp2p-gossipsub", [0, 50, 1]), ("yamux", [0, 13, 10]), ("quinn-proto", [0, 11, 15])];
/// Of those, what must be there: a floor under nothing holds nothing.
const PRESENT: [&str; 2] = ["yamux", "quinn-proto"];
/// The advisories that `deny.toml` leaves out, and the package that each is about.
const EXCEPTIONS: [(&str, &str); 2] = [("RUSTSEC-2025-0141", "bincode"), ("RUSTSEC-2024-0436", "paste")];
/// The one module with unsafe code: it calls `gemm`, which takes pointers and strides.
const UNSAFE: &str = "shaders/src/kernels/matmul.rs";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn table(file: &str) -> Table {
    fs::read_to_string(root().join(file)).unwrap().parse().unwrap()
}

/// Name, version and source of every package of the lock file.
fn locked() -> Vec<(String, [u64; 3], Option<String>)> {
    let lock = table("Cargo.lock");
    let text = |package: &Value, key: &str| package.get(key).and_then(Value::as_str).map(str::to_owned);
    let packages = lock["package"].as_array().unwrap().iter();
    packages
        .map(|package| {
            (text(package, "name").unwrap(), version(&text(package, "version").unwrap()), text(package, "source"))
        })
        .collect()
}

/// Without what is behind `-` or `+`.
fn version(text: &str) -> [u64; 3] {
    let numbers: Vec<u64> =
        text.split(['-', '+']).next().unwrap().split('.').map(|part| part.parse().unwrap()).collect();
    numbers.try_into().unwrap()
}

#[test]
fn no_package_is_below_its_floor_or_from_elsewhere() {
    let locked = locked();
    for (name, floor) in FLOORS {
        let found: Vec<_> = locked.iter().filter(|(locked, ..)| locked == name).collect();
        assert!(
            !found.is_empty() || !PRESENT.contains(&name),
            "{name} is not in Cargo.lock: is the floor still of use?"
        );
        for (_, version, _) in found {
            assert!(*version >= floor, "{name} {version:?} is below {floor:?}: cargo update -p {name}");
        }
    }
    assert!(version("0.13.9") < version("0.13.10") && version("1.0.0-rc.1") == [1, 0, 0], "numbers, not text");
    for (name, _, source) in &locked {
        let known =
            source.as_ref().is_none_or(|source| source == "registry+https://github.com/rust-lang/crates.io-index");
        assert!(known, "{name} comes from {source:?}");
    }
}

#[test]
fn what_deny_toml_lets_pass_is_what_is_there() {
    let (deny, locked) = (table("deny.toml"), locked());
    let rules = deny["bans"]["deny"].as_array().unwrap();
    for (name, [major, minor, patch]) in FLOORS {
        let rule = format!("{name}@<{major}.{minor}.{patch}");
        assert!(rules.iter().any(|ban| ban["crate"].as_str() == Some(&rule)), "deny.toml lacks {rule}");
    }
    let ignored: Vec<_> = deny["advisories"]["ignore"].as_array().unwrap().iter().collect();
    assert_eq!(ignored.len(), EXCEPTIONS.len());
    for (id, package) in EXCEPTIONS {
        assert!(ignored.iter().any(|entry| entry["id"].as_str() == Some(id)), "{id} is no exception any more");
        assert!(locked.iter().any(|(name, ..)| name == package), "{package} is gone: remove {id} from deny.toml");
    }
}

#[test]
fn every_licence_is_allowed_by_deny_toml() {
    let deny = table("deny.toml");
    let strings = |value: &Value| -> BTreeSet<String> {
        value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let allowed = strings(&deny["licenses"]["allow"]);
    let exceptions = deny["licenses"]["exceptions"].as_array().unwrap();
    let exceptions: Vec<_> =
        exceptions.iter().map(|entry| (entry["crate"].as_str().unwrap(), strings(&entry["allow"]))).collect();
    // Packages of other systems are not at hand everywhere.
    let manifest = root().join("Cargo.toml");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--filter-platform", "x86_64-unknown-linux-gnu"])
        .arg("--manifest-path")
        .arg(manifest)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100, "all of them");
    let mut needed = BTreeSet::new();
    for package in packages {
        let (name, licence) = (package["name"].as_str().unwrap(), package["license"].as_str().unwrap_or("none"));
        let own = exceptions.iter().find(|(of, _)| *of == name);
        let passes = |licence: &str, with_own: bool| {
            // An older form of "OR".
            let parsed = spdx::Expression::parse_mode(&licence.replace('/', " OR "), spdx::ParseMode::LAX);
            parsed.is_ok_and(|expression| {
                expression.evaluate(|needs| {
                    let id = needs.to_string();
                    allowed.contains(&id) || with_own && own.is_some_and(|(_, own)| own.contains(&id))
                })
            })
        };
        assert!(passes(licence, true), "{name} is under {licence}: not in deny.toml");
        if !passes(licence, false) {
            needed.insert(name);
        }
    }
    let named: BTreeSet<_> = exceptions.iter().map(|&(name, _)| name).collect();
    assert_eq!(needed, named, "an exception for each package that needs one, and no other");
}

/// All Rust files of a crate, benches and tests too.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // A comparison with others is a workspace of its own, and what it built is not ours.
        if path.is_dir() && !path.ends_with("rivals") && !path.ends_with("target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn unsafe_code_is_in_one_module() {
    let root = root();
    for file in ["protocol/src/lib.rs", "sim/src/lib.rs", "node/src/lib.rs", "node/src/main.rs", "tests/src/lib.rs"] {
        let text = fs::read_to_string(root.join(file)).unwrap();
        assert!(text.contains("#![forbid(unsafe_code)]"), "{file} does not forbid unsafe code");
    }
    // The lint of the workspace is `deny`, which the one module lifts by name.
    assert_eq!(table("Cargo.toml")["workspace"]["lints"]["rust"]["unsafe_code"].as_str(), Some("deny"));
    let mut files = Vec::new();
    for member in ["protocol", "shaders", "sim", "node", "tests", "fuzz"] {
        if root.join(member).exists() {
            sources(&root.join(member), &mut files);
        }
    }
    assert!(files.len() > 100, "all of them");
    // In two parts, so that this file is none of those found.
    let (lifted, block) = (concat!("allow(un", "safe_code"), concat!("un", "safe {"));
    let with: Vec<_> = files
        .iter()
        .filter(|file| fs::read_to_string(file).is_ok_and(|text| text.contains(lifted) || text.contains(block)))
        .map(|file| file.strip_prefix(&root).unwrap().to_str().unwrap())
        .collect();
    assert_eq!(with, [UNSAFE]);
}

/// A promise is worth as much as the test that holds it.
#[test]
fn every_promise_of_security_md_names_a_test_that_exists() {
    let root = root();
    let text = fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let mut files = Vec::new();
    for member in ["protocol", "shaders", "sim", "node", "tests"] {
        sources(&root.join(member), &mut files);
    }
    let all: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let promises = text.split("| promise | held by |").nth(1).unwrap();
    let promises: Vec<_> = promises.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert!(promises.len() > 15, "{promises:#?}");
    for promise in promises {
        let held_by = promise.split('|').nth(2).unwrap();
        let names: Vec<_> = held_by.split('`').skip(1).step_by(2).filter(|name| !name.ends_with('/')).collect();
        assert!(!names.is_empty(), "held by nothing: {promise}");
        for name in names {
            assert!(all.contains(&format!("fn {name}(")), "{name} is no test: {promise}");
        }
    }
}

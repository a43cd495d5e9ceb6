//! The arrows of the house: `tests -> node -> sim -> shaders -> protocol`, and what each crate must never import.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Names of the direct dependencies of every workspace member, those of tests and benches left out.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--manifest-path", root])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let normal = dependencies.filter(|dependency| dependency["kind"] != "dev");
            let names = normal.map(|dependency| dependency["name"].as_str().unwrap().to_owned()).collect();
            (package["name"].as_str().unwrap().to_owned(), names)
        })
        .collect()
}

#[test]
fn dependencies_point_one_way() {
    const HOUSE: [&str; 5] = ["protocol", "shaders", "sim", "node", "tests"];
    let dependencies = dependencies();
    assert_eq!(dependencies.keys().map(String::as_str).collect::<BTreeSet<_>>(), HOUSE.into_iter().collect());
    for (i, member) in HOUSE.iter().enumerate() {
        for above in &HOUSE[i..] {
            assert!(!dependencies[*member].contains(*above), "{member} must not depend on {above}");
        }
    }
}

#[test]
fn each_crate_keeps_out_what_is_not_its_business() {
    let forbidden: [(&str, &[&str]); 4] = [
        ("protocol", &["tokio", "libp2p", "libp2p-stream", "wgpu", "getrandom", "futures", "clap"]),
        ("shaders", &["tokio", "libp2p", "libp2p-stream", "clap"]),
        ("sim", &["tokio", "libp2p", "libp2p-stream", "wgpu", "clap"]),
        ("node", &["wgpu", "bincode"]),
    ];
    let dependencies = dependencies();
    for (member, names) in forbidden {
        for name in names {
            assert!(!dependencies[member].contains(*name), "{member} must not depend on {name}");
        }
    }
    let with_bincode: Vec<_> = dependencies.iter().filter(|(_, names)| names.contains("bincode")).collect();
    assert_eq!(with_bincode.len(), 1, "bincode lives in protocol alone");
}

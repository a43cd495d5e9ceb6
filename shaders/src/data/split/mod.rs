//! Who trains on what: the training samples in shards, one a peer.
//!
//! A shard follows from (rule, seed, number of shards) alone: every peer computes the same partition and takes its part.
//! Every sample is in exactly one shard and no shard is empty. By [`rendezvous`] alone shares follow from who lives and how fast, and are dealt again
//! when that changes.
//!
//! Add a rule: one file here, a variant of [`SplitRule`], one line in [`ALL`].

mod classes;
mod dirichlet;
mod iid;
mod regions;
pub mod rendezvous;
mod sizes;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::CLASSES_MAX;

/// Forms of the rules, as in a job file, and one line about each.
pub const ALL: &[(&str, &str)] = &[
    ("iid", "every shard is a random sample of the whole"),
    ("dirichlet:ALPHA", "every class is spread over the shards by a Dirichlet draw; the smaller ALPHA, the less alike"),
    ("classes:K", "every shard holds K classes only; the first shards the first K"),
    ("sizes:ALPHA", "every shard is a random sample, of a size by a Dirichlet draw; the smaller ALPHA, the less equal"),
    ("regions:FILE", "as a file says: a line for each sample of the data, in their order, with the name of its region"),
    ("rendezvous", "random samples, dealt among the peers that live by their pace, and again when peers come and go"),
];

/// Smallest alpha: below it one shard takes a whole class with certainty.
pub const ALPHA_MIN: f64 = 0.001;
/// Largest alpha: beyond it the split is IID.
pub const ALPHA_MAX: f64 = 1_000_000.0;

/// How to split.
#[derive(Clone, Debug, PartialEq)]
pub enum SplitRule {
    /// See [`iid`].
    Iid,
    /// See [`dirichlet`].
    Dirichlet {
        /// Concentration.
        alpha: f64,
    },
    /// See [`classes`].
    Classes {
        /// Classes of a shard.
        per_shard: usize,
    },
    /// See [`sizes`].
    Sizes {
        /// Concentration.
        alpha: f64,
    },
    /// See [`regions`].
    Regions {
        /// The file, on this machine; its lines must be the same on all.
        path: PathBuf,
    },
    /// See [`rendezvous`]; shards are what peers begin with.
    Rendezvous,
}

/// Why there is no such split.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SplitError {
    /// Not one of the forms.
    #[error("{text:?} is no split; there is: iid, dirichlet:ALPHA, classes:K, sizes:ALPHA, regions:FILE, rendezvous")]
    Unknown {
        /// As given.
        text: String,
    },
    /// Alpha is out of range.
    #[error("{rule}:{text}: ALPHA is a number from {ALPHA_MIN} to {ALPHA_MAX}")]
    Alpha {
        /// Name of the rule.
        rule: &'static str,
        /// As given.
        text: String,
    },
    /// No number of classes.
    #[error("classes:{text}: K is a whole number from 1 to {CLASSES_MAX}")]
    Classes {
        /// As given.
        text: String,
    },
    /// A file of regions that does not fit the data.
    #[error("regions:{}: {why}; a line for each sample of the data, those that are held out as well, with the name of its region", path.display())]
    Regions {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A file of regions that cannot be read.
    #[error("regions: {0}")]
    RegionsFile(String),
    /// Fewer samples than shards.
    #[error("{samples} training samples cannot fill {shards} shards")]
    TooFew {
        /// Training samples.
        samples: usize,
        /// Shards.
        shards: usize,
    },
}

impl FromStr for SplitRule {
    type Err = SplitError;

    fn from_str(text: &str) -> Result<Self, SplitError> {
        if text == "iid" {
            return Ok(Self::Iid);
        }
        if text == "rendezvous" {
            return Ok(Self::Rendezvous);
        }
        if let Some(classes) = text.strip_prefix("classes:") {
            return match classes.parse() {
                Ok(per_shard) if (1..=CLASSES_MAX as usize).contains(&per_shard) => Ok(Self::Classes { per_shard }),
                _ => Err(SplitError::Classes { text: classes.into() }),
            };
        }
        if let Some(path) = text.strip_prefix("regions:").filter(|path| !path.is_empty()) {
            return Ok(Self::Regions { path: path.into() });
        }
        let alpha = |rule, text: &str| match text.parse::<f64>() {
            Ok(alpha) if (ALPHA_MIN..=ALPHA_MAX).contains(&alpha) => Ok(alpha),
            _ => Err(SplitError::Alpha { rule, text: text.into() }),
        };
        if let Some(text) = text.strip_prefix("dirichlet:") {
            return alpha("dirichlet", text).map(|alpha| Self::Dirichlet { alpha });
        }
        if let Some(text) = text.strip_prefix("sizes:") {
            return alpha("sizes", text).map(|alpha| Self::Sizes { alpha });
        }
        Err(SplitError::Unknown { text: text.into() })
    }
}

impl fmt::Display for SplitRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Iid => f.write_str("iid"),
            Self::Dirichlet { alpha } => write!(f, "dirichlet:{alpha}"),
            Self::Classes { per_shard } => write!(f, "classes:{per_shard}"),
            Self::Sizes { alpha } => write!(f, "sizes:{alpha}"),
            Self::Regions { path } => write!(f, "regions:{}", path.display()),
            Self::Rendezvous => f.write_str("rendezvous"),
        }
    }
}

impl SplitRule {
    /// The shards of these training labels: for each one its samples, ascending.
    ///
    /// # Errors
    /// [`SplitError::TooFew`], and those of a file of regions.
    pub fn shards(&self, labels: &[u32], shards: usize, seed: u64) -> Result<Vec<Vec<u32>>, SplitError> {
        self.shards_of(labels, None, shards, seed)
    }

    /// The same, where the samples are these of so many rows of the data, all of which a file of regions names.
    pub(crate) fn shards_of(
        &self,
        labels: &[u32],
        origin: Option<(usize, Vec<u32>)>,
        shards: usize,
        seed: u64,
    ) -> Result<Vec<Vec<u32>>, SplitError> {
        if shards == 0 || labels.len() < shards {
            return Err(SplitError::TooFew { samples: labels.len(), shards });
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut parts = match self {
            Self::Iid => iid::shards(labels.len(), shards, &mut rng),
            Self::Dirichlet { alpha } => dirichlet::shards(labels, shards, *alpha, &mut rng),
            Self::Classes { per_shard } => classes::shards(labels, shards, *per_shard, &mut rng),
            Self::Sizes { alpha } => sizes::shards(labels.len(), shards, *alpha, &mut rng),
            Self::Regions { path } => {
                let samples = origin.as_ref().map_or(labels.len(), |(samples, _)| *samples);
                let mut regions = regions::read(path, samples)?;
                if let Some((_, rows)) = origin {
                    regions = rows.iter().map(|&row| regions[row as usize]).collect();
                }
                regions::shards(&regions, shards, &mut rng)
            }
            Self::Rendezvous => rendezvous::shards(labels.len(), shards, seed),
        };
        fill_empty(&mut parts);
        parts.iter_mut().for_each(|part| part.sort_unstable());
        Ok(parts)
    }
}

/// Gives every empty shard a sample of the largest one.
fn fill_empty(parts: &mut [Vec<u32>]) {
    while let Some(empty) = parts.iter().position(Vec::is_empty) {
        let Some(largest) = (0..parts.len()).max_by_key(|&i| parts[i].len()) else { return };
        let Some(sample) = parts[largest].pop() else { return };
        parts[empty].push(sample);
    }
}

/// Fisher-Yates. The bias of the remainder is below 2^-40 for any set that fits in memory.
pub(crate) fn shuffle(values: &mut [u32], rng: &mut ChaCha8Rng) {
    for i in (1..values.len()).rev() {
        values.swap(i, (rng.next_u64() % (i as u64 + 1)) as usize);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_forms_lead_back_and_others_are_refused() {
        for text in ["iid", "dirichlet:0.1", "dirichlet:100", "classes:5", "sizes:0.5", "regions:a/b.txt", "rendezvous"]
        {
            assert_eq!(text.parse::<SplitRule>().unwrap().to_string(), text);
        }
        assert!(matches!("random".parse::<SplitRule>(), Err(SplitError::Unknown { .. })));
        for alpha in ["0", "-1", "NaN", "inf", "x", ""] {
            assert!(
                matches!(format!("dirichlet:{alpha}").parse::<SplitRule>(), Err(SplitError::Alpha { .. })),
                "{alpha}"
            );
        }
    }

    #[test]
    fn shards_of_classes_hold_their_classes_only() {
        let labels: Vec<u32> = (0..1000).map(|i| i % 10).collect();
        let rule = SplitRule::Classes { per_shard: 5 };
        for (i, shard) in rule.shards(&labels, 8, 1).unwrap().iter().enumerate() {
            assert_eq!(shard.len(), 125);
            assert!(shard.iter().all(|&s| (labels[s as usize] < 5) == (i < 4)), "shard {i}");
        }
        let narrow = SplitRule::Classes { per_shard: 1 }.shards(&labels, 3, 1).unwrap();
        assert_eq!(narrow.iter().map(Vec::len).sum::<usize>(), 1000, "more blocks than shards");
        for text in ["0", "-1", "x", ""] {
            assert!(matches!(format!("classes:{text}").parse::<SplitRule>(), Err(SplitError::Classes { .. })));
        }
    }

    #[test]
    fn regions_stay_whole_where_there_are_enough_and_sizes_differ() {
        let path = std::env::temp_dir().join(format!("starling-whole-regions-{}", std::process::id()));
        let region = |i: u32| ["north", "south", "east", "west", "centre"][i as usize % 5];
        std::fs::write(&path, (0..100).map(|i| format!("{}\n", region(i))).collect::<String>()).unwrap();
        let rule: SplitRule = format!("regions:{}", path.display()).parse().unwrap();
        for shards in [2, 5] {
            let parts = rule.shards(&[0; 100], shards, 1).unwrap();
            for name in ["north", "south", "east", "west", "centre"] {
                let holders = parts.iter().filter(|part| part.iter().any(|&i| region(i) == name)).count();
                assert_eq!(holders, 1, "{name} of {shards} shards");
            }
        }
        let shared = rule.shards(&[0; 100], 10, 1).unwrap();
        assert!(shared.iter().all(|part| part.len() == 10 && part.iter().all(|&i| region(i) == region(part[0]))));
        assert!(rule.shards(&[0; 99], 2, 1).unwrap_err().to_string().contains("100 lines, there are 99"));
        std::fs::write(&path, "a\n\nb\n").unwrap();
        assert!(rule.shards(&[0; 3], 2, 1).unwrap_err().to_string().contains("line 2"));
        std::fs::remove_file(&path).unwrap();
        assert!(rule.shards(&[0; 3], 2, 1).unwrap_err().to_string().contains("starling-whole-regions"));
        let sizes = |alpha| {
            let parts = SplitRule::Sizes { alpha }.shards(&[0; 1000], 10, 1).unwrap();
            parts.iter().map(Vec::len).max().unwrap() - parts.iter().map(Vec::len).min().unwrap()
        };
        assert!(sizes(0.3) > 200 && sizes(10_000.0) < 20);
        assert!(matches!("sizes:0".parse::<SplitRule>(), Err(SplitError::Alpha { rule: "sizes", .. })));
    }

    #[test]
    fn a_file_of_regions_names_all_samples_whatever_is_held_out() {
        let folder = std::env::temp_dir().join(format!("starling-regions-of-all-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let [table, regions] = ["a.csv", "regions.txt"].map(|name| folder.join(name));
        // The first number of a sample says its row, and that its region.
        std::fs::write(&table, (0..100).map(|i| format!("{i},{}\n", i % 2)).collect::<String>()).unwrap();
        let region = |row: usize| ["north", "south", "east"][row * row % 7 % 3];
        std::fs::write(&regions, (0..100).map(|i| format!("{}\n", region(i))).collect::<String>()).unwrap();
        let rule = SplitRule::Regions { path: regions.clone() };
        let shares = crate::data::Shares { validation: 0.2, test: 0.1 };
        let normalize = crate::data::Normalize::None;
        for seed in [1, 2] {
            let options = crate::data::Options { shares, seed, normalize, ..Default::default() };
            let data = crate::data::open(&table, &options).unwrap();
            let parts = data.shards(&rule, 3, 1).unwrap();
            let rows = data.train.features.resident().unwrap();
            for part in &parts {
                let of: Vec<&str> = part.iter().map(|&sample| region(rows[sample as usize] as usize)).collect();
                assert!(of.iter().all(|name| *name == of[0]), "{of:?}");
            }
            assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), 70);
        }
        std::fs::write(&regions, "a\n".repeat(70)).unwrap();
        let data = crate::data::open(&table, &crate::data::Options { shares, ..Default::default() }).unwrap();
        let error = data.shards(&rule, 3, 1).unwrap_err().to_string();
        assert!(error.contains("70 lines, there are 100") && error.contains("held out"), "{error}");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_small_alpha_makes_shards_unlike() {
        let labels: Vec<u32> = (0..2000).map(|i| i % 10).collect();
        let classes_seen = |rule: SplitRule| {
            let shards = rule.shards(&labels, 8, 1).unwrap();
            let seen = |shard: &Vec<u32>| {
                (0..10).filter(|c| shard.iter().filter(|&&i| labels[i as usize] == *c).count() >= 10).count()
            };
            shards.iter().map(seen).sum::<usize>() as f64 / 8.0
        };
        assert!(classes_seen(SplitRule::Iid) > 9.5);
        assert!(classes_seen(SplitRule::Dirichlet { alpha: 0.1 }) < 5.0);
        assert!(classes_seen(SplitRule::Dirichlet { alpha: 100.0 }) > 9.0);
    }

    proptest! {
        #[test]
        fn every_split_is_a_partition(
            samples in 1usize..600, shards in 1usize..20, classes in 1u32..12, seed in any::<u64>(), alpha in 0.001f64..100.0,
        ) {
            let labels: Vec<u32> = (0..samples as u32).map(|i| i % classes).collect();
            let path = std::env::temp_dir().join(format!("starling-regions-{}", std::process::id()));
            let regions: String = labels.iter().map(|label| format!("region {}\n", u64::from(*label).wrapping_mul(seed) % 5)).collect();
            std::fs::write(&path, regions).unwrap();
            for rule in [SplitRule::Iid, SplitRule::Dirichlet { alpha }, SplitRule::Classes { per_shard: 1 + seed as usize % 7 }, SplitRule::Sizes { alpha }, SplitRule::Regions { path: path.clone() }, SplitRule::Rendezvous] {
                let parts = rule.shards(&labels, shards, seed);
                if samples < shards {
                    prop_assert!(parts.is_err());
                    continue;
                }
                let parts = parts.unwrap();
                prop_assert_eq!(parts.len(), shards);
                prop_assert!(parts.iter().all(|part| !part.is_empty()));
                let mut all: Vec<u32> = parts.concat();
                all.sort_unstable();
                prop_assert_eq!(all, (0..samples as u32).collect::<Vec<_>>());
                prop_assert_eq!(rule.shards(&labels, shards, seed).unwrap(), parts, "same seed, same split");
            }
        }
    }
}

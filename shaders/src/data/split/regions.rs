//! `regions:FILE`: data that lie where they were taken. The file has a line for each sample of the data, in their order: the name of its region.
//! Which of them are held out a seed says, so those have a line as well. Where the data have a test part of their own, that has none.
//! Regions are dealt to the shards in the order of their names, the largest share of samples still to be dealt deciding how many; with fewer
//! regions than shards, a region is shared by several.

use std::collections::BTreeMap;
use std::path::Path;

use rand_chacha::ChaCha8Rng;

use super::{SplitError, shuffle};

/// Longest file.
const BYTES_MAX: u64 = 1 << 30;

/// The region of each sample, as numbers in the order of the names.
pub(super) fn read(path: &Path, samples: usize) -> Result<Vec<u32>, SplitError> {
    let wrong = |why: String| SplitError::Regions { path: path.into(), why };
    let bytes =
        crate::data::files::read_within(path, BYTES_MAX).map_err(|error| SplitError::RegionsFile(error.to_string()))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| wrong("is no UTF-8 (`iconv -f latin1 -t utf-8` converts it from Latin-1)".into()))?;
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    if let Some(empty) = lines.iter().position(|line| line.is_empty()) {
        return Err(wrong(format!("line {} names no region", empty + 1)));
    }
    if lines.len() != samples {
        return Err(wrong(format!("{} lines, there are {samples} samples", lines.len())));
    }
    let mut numbers: BTreeMap<&str, u32> = lines.iter().map(|line| (*line, 0)).collect();
    numbers.values_mut().enumerate().for_each(|(i, number)| *number = i as u32);
    Ok(lines.iter().map(|line| numbers[line]).collect())
}

/// Whole regions, side by side, so that shards get about equally many samples; a region is cut where there are too few.
pub(super) fn shards(regions: &[u32], shards: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<u32>> {
    let most = regions.iter().copied().max().unwrap_or(0) as usize + 1;
    let mut members = vec![Vec::new(); most];
    regions.iter().enumerate().for_each(|(i, &region)| members[region as usize].push(i as u32));
    // Of a small region all samples may be held out.
    members.retain(|members| !members.is_empty());
    let count = members.len();
    let mut parts = vec![Vec::new(); shards];
    if count >= shards {
        // Each to the shard with the fewest samples, the largest region first: nobody is left without one.
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(|&region| std::cmp::Reverse(members[region].len()));
        for region in order {
            let Some(least) = (0..shards).min_by_key(|&shard| parts[shard].len()) else { continue };
            parts[least].append(&mut members[region]);
        }
        return parts;
    }
    for (region, members) in members.iter_mut().enumerate() {
        shuffle(members, rng);
        let (first, end) = (region * shards / count, (region + 1) * shards / count);
        for (i, sample) in members.iter().enumerate() {
            parts[first + i % (end - first).max(1)].push(*sample);
        }
    }
    parts
}

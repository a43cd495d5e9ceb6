//! Small data sets as files, good and bad.

use std::path::Path;

/// Bytes of an idx file of unsigned bytes with these extents.
#[must_use]
pub fn idx(extents: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0x08, extents.len() as u8];
    extents.iter().for_each(|extent| bytes.extend_from_slice(&extent.to_be_bytes()));
    bytes.extend_from_slice(values);
    bytes
}

/// Writes a data set of `samples` pictures of 4x4 pixels in 3 classes that a linear model tells apart.
pub fn write_stripes(folder: &Path, samples: u32) {
    for (prefix, count) in [("train", samples), ("t10k", samples / 4)] {
        let labels: Vec<u8> = (0..count).map(|i| (i % 3) as u8).collect();
        let picture = |label: u8| (0..16u8).map(move |pixel| if pixel / 4 == label { 200 } else { pixel });
        let pixels: Vec<u8> = labels.iter().flat_map(|&label| picture(label)).collect();
        let write = |name: String, bytes: Vec<u8>| std::fs::write(folder.join(name), bytes).expect("writable");
        write(format!("{prefix}-images-idx3-ubyte"), idx(&[count, 4, 4], &pixels));
        write(format!("{prefix}-labels-idx1-ubyte"), idx(&[count], &labels));
    }
}

//! Small data sets as files, good and bad.

use std::io::Write as _;
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

/// Bytes of a grey PNG of so many pixels a row.
///
/// # Panics
/// When memory is at an end.
#[must_use]
pub fn png(width: u32, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8], data: &[u8]| {
        let mut sum = flate2::Crc::new();
        [kind, data].into_iter().for_each(|part| sum.update(part));
        bytes.extend((data.len() as u32).to_be_bytes());
        bytes.extend([kind, data, &sum.sum().to_be_bytes()].concat());
    };
    let rows = pixels.chunks(width as usize);
    // 8 bits, grey, and no more than there must be.
    let extents = [width.to_be_bytes(), (rows.len() as u32).to_be_bytes()].concat();
    chunk(b"IHDR", &[&extents[..], &[8, 0, 0, 0, 0]].concat());
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    // A row begins with how it is filtered.
    rows.for_each(|row| packed.write_all(&[&[0], row].concat()).expect("memory"));
    chunk(b"IDAT", &packed.finish().expect("memory"));
    chunk(b"IEND", &[]);
    bytes
}

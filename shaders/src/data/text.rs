//! A text as a data set: its bytes are the tokens, its samples windows of `context` + 1 of them.
//!
//! Window i begins at byte i * context, so every byte but the first is predicted once an epoch. The first nine tenths of the
//! windows are trained on, the last tenth is evaluated on. The label of a window is the tenth of the training text that it
//! lies in: a split by labels (`dirichlet:ALPHA`, `classes:K`) gives peers different parts of the text.

use std::path::Path;

use super::{DATA_BYTES_MAX, DataError, Dataset, Split, idx, read_within};

/// Tokens: bytes.
pub const VOCABULARY: usize = 256;
/// Parts of the training text that labels tell apart.
const PARTS: usize = 10;
/// Most bytes of a text: each becomes a float.
const TEXT_BYTES_MAX: u64 = DATA_BYTES_MAX / size_of::<f32>() as u64;
/// One window in so many is evaluated on.
const TEST_ONE_IN: usize = 10;

/// A file of text, plain or gzipped.
///
/// # Errors
/// [`DataError`] that names the file: unreadable, too large, or too short for two windows.
pub fn open(path: &Path, context: usize) -> Result<Dataset, DataError> {
    let packed = read_within(path, TEXT_BYTES_MAX)?;
    let text = idx::unzipped(packed, TEXT_BYTES_MAX).map_err(|source| DataError::Idx { path: path.into(), source })?;
    let name = path.display().to_string();
    windows(name, &text, context).ok_or_else(|| DataError::Short {
        path: path.into(),
        bytes: text.len(),
        least: 2 * context + 1,
    })
}

/// `None` when there are not two windows.
pub(crate) fn windows(name: String, text: &[u8], context: usize) -> Option<Dataset> {
    let count = text.len().checked_sub(1)? / context.max(1);
    let tests = count.div_ceil(TEST_ONE_IN);
    let trained = count.checked_sub(tests).filter(|trained| *trained > 0)?;
    let split = |range: std::ops::Range<usize>| Split {
        labels: range.clone().map(|i| (i.min(trained - 1) * PARTS / trained) as u32).collect(),
        features: range.flat_map(|i| &text[i * context..=(i + 1) * context]).map(|&byte| f32::from(byte)).collect(),
    };
    let (train, test) = (split(0..trained), split(trained..count));
    Some(Dataset { name, shape: vec![context + 1], classes: VOCABULARY, train, test })
}

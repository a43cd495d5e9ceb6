//! [`BasePart`]: a part of a base on its way.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::{Arc, Weak};

use bincode::de::{BorrowDecoder, Decoder};
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{BorrowDecode, Decode, Encode};

/// Bytes of a part of a base: i32 little-endian. What the giver says is a view of the base that it serves, and waits for a slow link as a
/// [`LoosePart`], which keeps no base in memory; what the taker hears is its own.
#[derive(Clone)]
pub struct BasePart(Bytes);

#[derive(Clone)]
enum Bytes {
    View(Arc<Vec<i32>>, Range<usize>),
    Own(Vec<u8>),
}

impl BasePart {
    /// The numbers in `range`, as far as there are any.
    #[must_use]
    pub fn of(base: &Arc<Vec<i32>>, range: Range<usize>) -> Self {
        let end = range.end.min(base.len());
        let range = range.start.min(end)..end;
        if cfg!(target_endian = "little") {
            return Self(Bytes::View(Arc::clone(base), range));
        }
        Self(Bytes::Own(base[range].iter().flat_map(|value| value.to_le_bytes()).collect()))
    }

    /// The same view, without a hold on the base; `None` for bytes of its own.
    #[must_use]
    pub fn loosen(&self) -> Option<LoosePart> {
        match &self.0 {
            Bytes::View(base, range) => Some(LoosePart { base: Arc::downgrade(base), range: range.clone() }),
            Bytes::Own(_) => None,
        }
    }
}

/// A [`BasePart`] for as long as its base is served: whoever lets it wait keeps no copy of the model alive.
#[derive(Clone, Debug)]
pub struct LoosePart {
    base: Weak<Vec<i32>>,
    range: Range<usize>,
}

impl LoosePart {
    /// The part, if its base is still there.
    #[must_use]
    pub fn tighten(&self) -> Option<BasePart> {
        Some(BasePart(Bytes::View(self.base.upgrade()?, self.range.clone())))
    }
}

impl Deref for BasePart {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::View(base, range) => bytemuck::cast_slice(&base[range.clone()]),
            Bytes::Own(bytes) => bytes,
        }
    }
}

impl From<Vec<u8>> for BasePart {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Bytes::Own(bytes))
    }
}

impl PartialEq for BasePart {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for BasePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BasePart({} bytes)", self.len())
    }
}

/// As a `Vec<u8>`.
impl Encode for BasePart {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        (**self).encode(encoder)
    }
}

/// Nothing is borrowed: a message outlives the bytes that it was read from.
impl<'de, Context> BorrowDecode<'de, Context> for BasePart {
    fn borrow_decode<D: BorrowDecoder<'de, Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Self::decode(decoder)
    }
}

impl<Context> Decode<Context> for BasePart {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Vec::<u8>::decode(decoder).map(|bytes| Self(Bytes::Own(bytes)))
    }
}

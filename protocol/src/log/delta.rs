//! One delta: what a peer says of its progress, signed, and chained to what it said before.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};
use ed25519_dalek::{Signature, Signer as _, VerifyingKey};

use crate::codec::{self, Codec, CodecError, Decoded};
use crate::fixed::Weight;
use crate::id::{Hash, Origin, RunId, SchemaHash};
use crate::trust::{Identity, Limits};

use super::chain::Proven;

/// What a delta says of itself. Signed together with run, schema and payload hash, which do not travel: the receiver
/// knows the first two and computes the third.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Header {
    /// Who said it.
    pub origin: Origin,
    /// 1 for the first delta of an origin, then without gaps.
    pub seq: u64,
    /// Hash of the delta `seq - 1` of this origin, [`Hash::ZERO`] for the first.
    pub previous: Hash,
    /// Hash of the version vector that the origin had when it took this delta.
    pub heard: Hash,
    /// Local optimizer steps H since the delta before.
    pub steps: u32,
    /// Samples in those steps.
    pub samples: u64,
    /// Of the mode `full_sync`: the round that it belongs to, from 1; 0 in other modes.
    pub round: u64,
    /// w in units of 2^-16.
    pub weight: u32,
    /// Wire id of the codec.
    pub codec: u8,
    /// ||v||_2 as the origin computed it.
    pub l2_norm: f32,
}

/// A delta as it travels: nothing in it has been checked.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct SignedDelta {
    /// See [`Header`].
    pub header: Header,
    /// Bytes of the codec.
    pub payload: Vec<u8>,
    /// ed25519 over the delta's hash.
    pub signature: [u8; 64],
    /// Not part of it; see [`Checked`].
    pub checked: Checked,
}

/// Remembers in memory, and nowhere else, whether the signature of a delta is good, and for which run: one that is came past [`Delta::check`],
/// and one that was spoiled on the way is not looked at again each time that the delta is passed on. A copy of the fields
/// forgets it, so whatever could have been altered is checked again. A node checks each delta once in any case; in a
/// simulation thousands of peers share one copy, and the signature is checked once for all of them.
#[derive(Default)]
pub struct Checked(OnceLock<(RunId, SchemaHash, Hash, bool)>);

impl Clone for Checked {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Checked {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.get().is_some() { "checked" } else { "unchecked" })
    }
}

impl Encode for Checked {
    fn encode<E: Encoder>(&self, _: &mut E) -> Result<(), EncodeError> {
        Ok(())
    }
}

bincode::impl_borrow_decode!(Checked);

impl<C> Decode<C> for Checked {
    fn decode<D: Decoder<Context = C>>(_: &mut D) -> Result<Self, DecodeError> {
        Ok(Self::default())
    }
}

/// What both sides of a run agree on before any delta: the context of every hash, signature and bound.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// The run.
    pub run: RunId,
    /// The model's shape.
    pub schema: SchemaHash,
    /// d.
    pub parameters: usize,
    /// The run's codec: a delta in another one is refused.
    pub codec: &'static dyn Codec,
    /// Bounds on every delta: of the job, hence the same everywhere.
    pub limits: Limits,
}

/// A delta that passed every check that depends on nothing but itself and the run. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Delta {
    signed: Arc<SignedDelta>,
    hash: Hash,
    codec: &'static dyn Codec,
    weight: Weight,
}

/// Why a delta is no delta of this run, wherever it is looked at.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Invalid {
    /// The origin's key is no ed25519 point.
    #[error("the origin is no ed25519 public key")]
    Key,
    /// The signature does not match: altered on the way, or of another run or schema.
    #[error("the signature does not match (altered, or of another run or model)")]
    Signature,
    /// seq = 0.
    #[error("sequence number 0")]
    Sequence,
    /// w is 0 or over 1.
    #[error("weight {raw}/65536 is outside (0, 1]")]
    Weight {
        /// Units of 2^-16.
        raw: u32,
    },
    /// Not the run's codec.
    #[error("codec {found}, this run uses {expected}")]
    Codec {
        /// Wire id in the header.
        found: u8,
        /// Wire id of the run's codec.
        expected: u8,
    },
    /// w is over what the job allows a delta of that number.
    #[error("weight {raw}/65536 is over the job's cap of {cap}/65536 for a delta of that number")]
    WeightCap {
        /// Units of 2^-16.
        raw: u32,
        /// Units of 2^-16.
        cap: u32,
    },
    /// ||v|| is over what the job allows.
    #[error("norm {found} is over the job's cap of {cap}")]
    NormCap {
        /// As computed.
        found: f32,
        /// The cap.
        cap: f32,
    },
    /// The payload does not decode.
    #[error("payload: {0}")]
    Payload(#[from] CodecError),
    /// The norm in the header is not that of the payload.
    #[error("norm {claimed} in the header, {found} in the payload")]
    Norm {
        /// As claimed.
        claimed: f32,
        /// As computed.
        found: f32,
    },
}

impl Delta {
    /// Signs a delta of one's own.
    #[must_use]
    pub fn sign(context: &Context, header: Header, payload: Vec<u8>, identity: &Identity) -> Self {
        debug_assert_eq!(header.codec, context.codec.wire_id(), "a peer speaks its run's codec");
        debug_assert_eq!(header.origin.peer, identity.peer_id(), "a peer signs for itself");
        let hash = hash(context, &header, &payload);
        let signature = identity.key().sign(&hash.0).to_bytes();
        let weight = Weight::from_raw(header.weight).unwrap_or(Weight::ONE);
        let checked = Checked::default();
        Self {
            signed: Arc::new(SignedDelta { header, payload, signature, checked }),
            hash,
            codec: context.codec,
            weight,
        }
    }

    /// Checks everything that a delta alone can show: signature, ranges, payload. `scratch` is overwritten.
    ///
    /// # Errors
    /// The first [`Invalid`] found, cheapest checks first.
    pub fn check(context: &Context, signed: Arc<SignedDelta>, scratch: &mut Decoded) -> Result<Self, Invalid> {
        let weight = check_header(context, &signed.header)?;
        if let Some(&(run, schema, hash, true)) = signed.checked.0.get()
            && (run, schema) == (context.run, context.schema)
        {
            // Whoever judges it looks at what it decodes to.
            context.codec.decode(&signed.payload, context.parameters, weight, scratch)?;
            return Ok(Self { hash, codec: context.codec, weight, signed });
        }
        let hash = hash(context, &signed.header, &signed.payload);
        check_signature(&signed, hash)?;
        check_payload(context, &signed, weight, scratch)?;
        let _ = signed.checked.0.set((context.run, context.schema, hash, true));
        Ok(Self { hash, codec: context.codec, weight, signed })
    }

    /// As [`Delta::check`] for a delta whose origin speaks for it by a later signature: see [`super::chain`].
    ///
    /// # Errors
    /// As [`Delta::check`], but for key and signature.
    pub(crate) fn check_proven(
        context: &Context,
        signed: Arc<SignedDelta>,
        proven: Proven,
        scratch: &mut Decoded,
    ) -> Result<Self, Invalid> {
        let weight = check_header(context, &signed.header)?;
        check_payload(context, &signed, weight, scratch)?;
        let Proven { hash, signed: by_itself } = proven;
        if by_itself {
            let _ = signed.checked.0.set((context.run, context.schema, hash, true));
        }
        Ok(Self { hash, codec: context.codec, weight, signed })
    }

    /// Whether its own signature is good, too: whoever gets it without its successors asks for that. Looked at once.
    #[must_use]
    pub fn is_signed(&self, context: &Context) -> bool {
        if let Some(&(run, schema, hash, good)) = self.signed.checked.0.get()
            && (run, schema, hash) == (context.run, context.schema, self.hash)
        {
            return good;
        }
        let good = check_signature(&self.signed, self.hash).is_ok();
        let _ = self.signed.checked.0.set((context.run, context.schema, self.hash, good));
        good
    }

    /// What it says of itself.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.signed.header
    }

    /// Who said it.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.signed.header.origin
    }

    /// Its number in the origin's chain.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.signed.header.seq
    }

    /// Name of the delta, and what the next one of the origin is chained to.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// How the payload is encoded.
    #[must_use]
    pub fn codec(&self) -> &'static dyn Codec {
        self.codec
    }

    /// Share that goes into the base.
    #[must_use]
    pub fn weight(&self) -> Weight {
        self.weight
    }

    /// Bytes of the codec.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.signed.payload
    }

    /// The form that travels.
    #[must_use]
    pub fn signed(&self) -> &Arc<SignedDelta> {
        &self.signed
    }

    /// Bytes it takes in the log, within a few.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<SignedDelta>() + self.signed.payload.len()
    }
}

/// Codec of a wire id, for what is printed about a delta that was refused.
#[must_use]
pub fn codec_name(wire_id: u8) -> &'static str {
    codec::by_wire_id(wire_id).map_or("unknown", Codec::name)
}

/// What needs neither payload nor signature.
fn check_header(context: &Context, header: &Header) -> Result<Weight, Invalid> {
    if header.seq == 0 {
        return Err(Invalid::Sequence);
    }
    let weight = Weight::from_raw(header.weight).ok_or(Invalid::Weight { raw: header.weight })?;
    let cap = context.limits.weight_cap(header.seq);
    if weight > cap {
        return Err(Invalid::WeightCap { raw: header.weight, cap: cap.raw() });
    }
    let expected = context.codec.wire_id();
    if header.codec != expected {
        return Err(Invalid::Codec { found: header.codec, expected });
    }
    Ok(weight)
}

pub(super) fn check_signature(signed: &SignedDelta, hash: Hash) -> Result<(), Invalid> {
    let key = VerifyingKey::from_bytes(&signed.header.origin.peer.0).map_err(|_| Invalid::Key)?;
    key.verify_strict(&hash.0, &Signature::from_bytes(&signed.signature)).map_err(|_| Invalid::Signature)
}

fn check_payload(
    context: &Context,
    signed: &SignedDelta,
    weight: Weight,
    scratch: &mut Decoded,
) -> Result<(), Invalid> {
    context.codec.decode(&signed.payload, context.parameters, weight, scratch)?;
    let (claimed, found) = (signed.header.l2_norm, scratch.l2_norm());
    // The same sum over the same bytes: equal up to the last bit on every IEEE machine.
    if claimed.to_bits() != found.to_bits() {
        return Err(Invalid::Norm { claimed, found });
    }
    if found > context.limits.norm_max {
        return Err(Invalid::NormCap { found, cap: context.limits.norm_max });
    }
    Ok(())
}

pub(super) fn hash(context: &Context, header: &Header, payload: &[u8]) -> Hash {
    header.hash(context, &Hash(*blake3::hash(payload).as_bytes()))
}

impl Header {
    /// Name of the delta with this header and a payload of that blake3 hash; what is signed.
    #[must_use]
    pub fn hash(&self, context: &Context, payload: &Hash) -> Hash {
        successor(&self.previous, &self.body(context, payload))
    }

    /// All that it says, in one hash.
    #[must_use]
    pub fn body(&self, context: &Context, payload: &Hash) -> Hash {
        let mut hasher = blake3::Hasher::new_derive_key("starling 1 delta");
        hasher.update(&context.run.0.0);
        hasher.update(&context.schema.0.0);
        hasher.update(&crate::wire::canonical(self));
        hasher.update(&payload.0);
        Hash(*hasher.finalize().as_bytes())
    }
}

/// Name of the delta of that body behind the one of that name. So a chain of names needs no more than the bodies, of 32 bytes each: a proof of
/// what was said earlier (`trust/proof.rs`) ends with a delta that was signed later.
pub(crate) fn successor(previous: &Hash, body: &Hash) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key("starling 2 chain");
    hasher.update(&previous.0);
    hasher.update(&body.0);
    Hash(*hasher.finalize().as_bytes())
}

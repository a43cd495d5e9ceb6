//! Deltas of one chain that travel together: one signature for all of them.
//!
//! A delta names the one before it by its hash, and the hash is what is signed. So whoever has checked the signature of
//! delta `n` knows that its origin has said `n - 1`, and by that `n - 2`, whatever stands in their own signatures. Checking one
//! takes 40 us, a hash less than 1: this is what makes two halves of a swarm one again in seconds and not in minutes.
//!
//! The signatures of the others travel along, since whoever gets a delta alone needs its own. They are looked at when it is
//! passed on ([`Delta::is_signed`]), and what goes out together ends with one that is good. So whoever spoils them on the way
//! makes nobody accept anything, and nobody honest look like a liar.

use std::sync::Arc;

use super::delta::{check_signature, hash};
use super::{Context, Delta, SignedDelta};
use crate::id::Hash;
use crate::wire::{DELTAS_BYTES_MAX, DELTAS_MAX};

/// What is known of a delta whose origin has spoken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Proven {
    /// Of the delta.
    pub(crate) hash: Hash,
    /// Whether it was its own signature that was checked.
    pub(crate) signed: bool,
}

/// One for each of these deltas, when each names the one before it and the last one is signed; `None` otherwise. The first may
/// follow whatever it says.
pub(crate) fn proven(context: &Context, chain: &[Arc<SignedDelta>]) -> Option<Vec<Proven>> {
    let mut hashes: Vec<Hash> = Vec::with_capacity(chain.len());
    for signed in chain {
        if hashes.last().is_some_and(|before| *before != signed.header.previous) {
            return None;
        }
        hashes.push(hash(context, &signed.header, &signed.payload));
    }
    let (last, end) = (chain.last()?, *hashes.last()?);
    check_signature(last, end).ok()?;
    Some(hashes.into_iter().map(|hash| Proven { hash, signed: hash == end }).collect())
}

/// The same for the one that is named so by its successor; `None` when it is another.
pub(crate) fn linked(context: &Context, signed: &SignedDelta, named: Hash) -> Option<Proven> {
    let hash = hash(context, &signed.header, &signed.payload);
    (hash == named).then_some(Proven { hash, signed: false })
}

/// Deltas as they go out: in pieces of one chain each, as long as one message may be, each of which ends with a delta whose
/// own signature is good. Behind the last good signature nothing is sent.
pub(crate) fn pieces(context: &Context, deltas: &[Delta]) -> Vec<Vec<Delta>> {
    let mut pieces: Vec<Vec<Delta>> = Vec::new();
    let mut rest = deltas;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(length_of_piece(rest));
        let signed = piece.iter().rposition(|delta| delta.is_signed(context));
        let Some(last) = signed else {
            // No message may hold more unsigned ones, so there is nothing behind them either.
            rest = behind;
            continue;
        };
        pieces.push(piece[..=last].to_vec());
        rest = &rest[last + 1..];
    }
    pieces
}

/// How many of these follow each other and fit a message; at least one.
fn length_of_piece(deltas: &[Delta]) -> usize {
    let mut bytes = deltas.first().map_or(0, |delta| delta.payload().len());
    let fits = |pair: &&[Delta]| {
        let (before, next) = (&pair[0], &pair[1]);
        bytes += next.payload().len();
        next.origin() == before.origin() && next.seq() == before.seq() + 1 && bytes <= DELTAS_BYTES_MAX
    };
    1 + deltas.windows(2).take(DELTAS_MAX - 1).take_while(fits).count()
}

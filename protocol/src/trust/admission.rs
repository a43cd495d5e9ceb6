//! The handshake that admits a link: same wire version, same run, same model, and proof of the swarm key.
//!
//! ```text
//! both:  Hello { run, schema, nonce }
//! both:  Proof( mac(key; prover, verifier, prover's nonce, verifier's nonce, run) )      mac = keyed blake3
//! both:  Welcome
//! ```
//!
//! The secure channel below has proved both identities, and the proof names them in order: one made for another link, or
//! reflected, does not match, so a man in the middle without the key cannot pass on what he hears. The key never travels.
//! An open job has a public key (all zero); its handshake is the same.
//!
//! Whom a peer links with beyond that is its own affair ([`Guests`], and who has broken the rules): it says so after the other
//! side has proved the key, so a stranger learns nothing of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::id::{PeerId, RunId, SchemaHash};
use crate::wire::{Greeting, Refusal};

/// Secret of a private swarm; all zero for an open one.
pub type SwarmKey = [u8; 32];

/// What this side brings to every handshake.
#[derive(Clone, Copy)]
pub struct Credentials {
    /// Our identity, as the channel has proved it to the other side.
    pub us: PeerId,
    /// Our run.
    pub run: RunId,
    /// Our model.
    pub schema: SchemaHash,
    /// Our swarm key.
    pub swarm_key: SwarmKey,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("us", &self.us).field("run", &self.run).finish_non_exhaustive()
    }
}

/// Whom this peer links with, of those who know the key: everybody, or the peers on a list. A local policy and not part of the
/// run: two peers that list each other meet, whomever else they list. It says who has links and not whose deltas count:
/// those of others come by way of neighbours (the job's `trust.allow` leaves them out, everywhere alike).
#[derive(Clone, Debug, Default)]
pub struct Guests(Option<Arc<BTreeSet<PeerId>>>);

impl Guests {
    /// These only.
    #[must_use]
    pub fn only(peers: impl IntoIterator<Item = PeerId>) -> Self {
        Self(Some(Arc::new(peers.into_iter().collect())))
    }

    /// Why that peer gets no link, if it gets none.
    #[must_use]
    pub fn refusal(&self, peer: PeerId) -> Option<Refusal> {
        let listed = self.0.as_ref().is_none_or(|peers| peers.contains(&peer));
        (!listed).then_some(Refusal::NotAllowed)
    }
}

/// One side of a handshake.
#[derive(Debug)]
pub struct Handshake {
    credentials: Credentials,
    them: PeerId,
    our_nonce: [u8; 32],
    /// What the other side hears once it has proved the key.
    policy: Option<Refusal>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Hello,
    Proof { their_nonce: [u8; 32] },
    Welcome,
    Over,
}

/// What to do after a greeting was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Say this and listen on.
    Say(Greeting),
    /// Both sides agree: messages may pass.
    Admitted,
    /// Say [`Greeting::Refuse`] with this reason, then close.
    Refuse(Refusal),
    /// The other side refused us: close.
    Refused(Refusal),
}

impl Handshake {
    /// Begins; the greeting is to be said first. `nonce` is fresh randomness.
    ///
    /// `them` is the identity that the secure channel has proved.
    #[must_use]
    pub fn begin(credentials: Credentials, them: PeerId, nonce: [u8; 32]) -> (Self, Greeting) {
        let hello = Greeting::Hello { run: credentials.run, schema: credentials.schema, nonce };
        (Self { credentials, them, our_nonce: nonce, policy: None, stage: Stage::Hello }, hello)
    }

    /// Refuses the other side even if it proves the key.
    #[must_use]
    pub fn refusing(mut self, policy: Option<Refusal>) -> Self {
        self.policy = policy;
        self
    }

    /// Takes the next greeting of the other side. `has_room` says whether one more neighbour would be taken.
    pub fn hear(&mut self, greeting: &Greeting, has_room: Result<(), u32>) -> Step {
        let step = match (self.stage, greeting) {
            (_, Greeting::Refuse(refusal)) => Step::Refused(*refusal),
            (Stage::Hello, Greeting::Hello { run, schema, nonce }) => self.hello(*run, *schema, *nonce),
            (Stage::Proof { their_nonce }, Greeting::Proof(proof)) => self.proof(their_nonce, proof, has_room),
            (Stage::Welcome, Greeting::Welcome) => {
                self.stage = Stage::Over;
                return Step::Admitted;
            }
            _ => Step::Refuse(Refusal::Malformed),
        };
        if matches!(step, Step::Refuse(_) | Step::Refused(_)) {
            self.stage = Stage::Over;
        }
        step
    }

    fn hello(&mut self, run: RunId, schema: SchemaHash, their_nonce: [u8; 32]) -> Step {
        if self.them == self.credentials.us {
            return Step::Refuse(Refusal::Identity);
        }
        if run != self.credentials.run {
            return Step::Refuse(Refusal::Run { ours: self.credentials.run, theirs: run });
        }
        if schema != self.credentials.schema {
            return Step::Refuse(Refusal::Schema);
        }
        self.stage = Stage::Proof { their_nonce };
        Step::Say(Greeting::Proof(*self.mac(true, &their_nonce).as_bytes()))
    }

    fn proof(&mut self, their_nonce: [u8; 32], proof: &[u8; 32], has_room: Result<(), u32>) -> Step {
        // blake3 compares in constant time.
        if self.mac(false, &their_nonce) != *proof {
            return Step::Refuse(Refusal::Key);
        }
        if let Some(refusal) = self.policy {
            return Step::Refuse(refusal);
        }
        if let Err(places) = has_room {
            return Step::Refuse(Refusal::Full(places));
        }
        self.stage = Stage::Welcome;
        Step::Say(Greeting::Welcome)
    }

    fn mac(&self, ours: bool, their_nonce: &[u8; 32]) -> blake3::Hash {
        let us = (&self.credentials.us.0, &self.our_nonce);
        let them = (&self.them.0, their_nonce);
        let (prover, verifier) = if ours { (us, them) } else { (them, us) };
        let key = blake3::derive_key("starling 1 admission", &self.credentials.swarm_key);
        let mut hasher = blake3::Hasher::new_keyed(&key);
        for part in [prover.0, verifier.0, prover.1, verifier.1, &self.credentials.run.0.0] {
            hasher.update(part);
        }
        hasher.finalize()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::id::Hash;

    fn credentials(us: u8, run: u8, key: u8) -> Credentials {
        Credentials {
            us: PeerId([us; 32]),
            run: RunId(Hash([run; 32])),
            schema: SchemaHash(Hash([7; 32])),
            swarm_key: [key; 32],
        }
    }

    /// Runs both sides to their end; what each made of it.
    fn meet(a: Credentials, b: Credentials) -> (Step, Step) {
        let (left, hello_left) = Handshake::begin(a, b.us, [1; 32]);
        let (right, hello_right) = Handshake::begin(b, a.us, [2; 32]);
        let mut sides = [left, right];
        let mut inboxes = [vec![hello_right], vec![hello_left]];
        let mut ends = [None, None];
        for turn in 0..16 {
            let (i, other) = (turn % 2, (turn + 1) % 2);
            for greeting in std::mem::take(&mut inboxes[i]) {
                if ends[i].is_some() {
                    continue;
                }
                match sides[i].hear(&greeting, Ok(())) {
                    Step::Say(next) => inboxes[other].push(next),
                    Step::Refuse(reason) => {
                        inboxes[other].push(Greeting::Refuse(reason));
                        ends[i] = Some(Step::Refuse(reason));
                    }
                    step => ends[i] = Some(step),
                }
            }
        }
        let [end_left, end_right] = ends;
        (end_left.unwrap(), end_right.unwrap())
    }

    #[test]
    fn the_same_job_is_admitted() {
        assert_eq!(meet(credentials(1, 5, 9), credentials(2, 5, 9)), (Step::Admitted, Step::Admitted));
    }

    #[test]
    fn another_job_is_refused_with_both_runs_named() {
        let (left, right) = meet(credentials(1, 5, 9), credentials(2, 6, 9));
        for end in [left, right] {
            assert!(matches!(end, Step::Refuse(Refusal::Run { .. }) | Step::Refused(Refusal::Run { .. })), "{end:?}");
        }
    }

    #[test]
    fn a_wrong_key_is_refused_on_both_sides() {
        let (left, right) = meet(credentials(1, 5, 9), credentials(2, 5, 8));
        for end in [left, right] {
            assert!(matches!(end, Step::Refuse(Refusal::Key) | Step::Refused(Refusal::Key)), "{end:?}");
        }
    }

    #[test]
    fn one_identity_on_both_sides_is_refused() {
        let (left, _) = meet(credentials(1, 5, 9), credentials(1, 5, 9));
        assert!(matches!(left, Step::Refuse(Refusal::Identity)));
    }

    #[test]
    fn a_reflected_or_early_proof_is_refused() {
        let us = credentials(1, 5, 9);
        let (mut side, _) = Handshake::begin(us, PeerId([2; 32]), [1; 32]);
        assert_eq!(side.hear(&Greeting::Proof([0; 32]), Ok(())), Step::Refuse(Refusal::Malformed));

        let (mut side, hello) = Handshake::begin(us, PeerId([2; 32]), [1; 32]);
        let Step::Say(own_proof) = side.hear(&hello, Ok(())) else { panic!("a hello is answered by a proof") };
        assert_eq!(side.hear(&own_proof, Ok(())), Step::Refuse(Refusal::Key), "our own proof, sent back");
    }

    #[test]
    fn a_list_of_guests_is_spoken_of_to_those_who_know_the_key_only() {
        let (us, them) = (credentials(1, 5, 9), PeerId([2; 32]));
        assert_eq!(Guests::default().refusal(them), None);
        assert_eq!(Guests::only([PeerId([3; 32]), them]).refusal(them), None);
        let no = Guests::only([PeerId([3; 32])]).refusal(them);
        assert_eq!(no, Some(Refusal::NotAllowed));
        assert_eq!(Guests::only([]).refusal(them), no, "an empty list is nobody");
        for (key, expected) in [(9, Refusal::NotAllowed), (8, Refusal::Key)] {
            let (side, hello) = Handshake::begin(us, them, [1; 32]);
            let mut side = side.refusing(no);
            let (mut guest, hello_guest) = Handshake::begin(credentials(2, 5, key), us.us, [2; 32]);
            let Step::Say(proof) = guest.hear(&hello, Ok(())) else { panic!("a hello is answered by a proof") };
            assert!(matches!(side.hear(&hello_guest, Ok(())), Step::Say(Greeting::Proof(_))));
            assert_eq!(side.hear(&proof, Ok(())), Step::Refuse(expected));
        }
    }

    #[test]
    fn a_full_house_says_so() {
        let (mut left, _) = Handshake::begin(credentials(1, 5, 9), PeerId([2; 32]), [1; 32]);
        let (mut right, hello) = Handshake::begin(credentials(2, 5, 9), PeerId([1; 32]), [2; 32]);
        left.hear(&hello, Ok(()));
        let hello_left =
            Greeting::Hello { run: RunId(Hash([5; 32])), schema: SchemaHash(Hash([7; 32])), nonce: [1; 32] };
        let Step::Say(proof) = right.hear(&hello_left, Ok(())) else { panic!("a hello is answered by a proof") };
        assert_eq!(left.hear(&proof, Err(64)), Step::Refuse(Refusal::Full(64)));
    }
}

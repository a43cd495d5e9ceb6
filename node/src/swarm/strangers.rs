//! What is heard of, and said to, those who are no links: the LAN, and who asks for the job file.

use super::*;

impl Network {
    pub(super) fn on_invitation(&mut self, event: request_response::Event<(), Answer>) {
        if let request_response::Event::Message {
            message: request_response::Message::Request { channel, .. },
            peer,
            connection_id,
        } = event
            && self.answered.insert(connection_id)
        {
            // Anybody may ask, and as often as connections are taken: no line for the operator.
            tracing::debug!(%peer, "asks for the job file");
            // Whoever is gone needs no answer.
            let _ = self.swarm.behaviour_mut().invitation.send_response(channel, self.invitation.clone());
        }
    }

    pub(super) fn on_lan(&mut self, heard: Heard) {
        match heard {
            Heard::Ours(peer, addresses) => {
                let addresses = addresses.iter().map(Multiaddr::to_string).collect();
                self.input(Input::Discovered { peer, addresses });
            }
            // Listed, not dialled.
            Heard::Other(listing) => self.other_job(&listing),
            Heard::Double(listing) => {
                let place = listing.addresses.first().map_or_else(String::new, |address| format!(" at {address}"));
                let (what, peer) = (What::Turned(discriminant(&Refusal::Identity)), listing.peer);
                self.refused(what, Some(peer), &peer.short(), &format!("{}{place}", Refusal::Identity));
            }
            Heard::Trouble(error) => {
                // Once: it is the same trouble on every interface, again and again.
                if !std::mem::replace(&mut self.lan_trouble, true) {
                    self.hidden(format!(
                        "peers on this network may not be found: {error}; `starling doctor` says more"
                    ));
                }
            }
        }
    }

    /// Once for each run: someone who expects to meet these peers reads why that does not happen.
    pub(super) fn other_job(&mut self, listing: &Listing) {
        if listing.run != self.admission.credentials.run {
            tracing::debug!(job = listing.job, run = %listing.run.0.short(), "a peer of another run is on this network");
            return;
        }
        let (refusal, reason) = if listing.wire == VERSION {
            (Refusal::Schema, "it trains a model of another shape under this run's name".to_owned())
        } else {
            let refusal = Refusal::Version { ours: VERSION, theirs: listing.wire };
            (refusal, refusal.to_string())
        };
        let what = What::Turned(discriminant(&refusal));
        self.refused(what, Some(listing.peer), &listing.peer.short(), &reason);
    }
}

/// What to say of a peer that listens everywhere and has no address besides loopback.
pub(super) fn solitude() -> Option<String> {
    let names = interfaces::link_local_only();
    (!names.is_empty()).then(|| {
        let names = names.join(", ");
        format!("no other machine can reach this peer: {names} with nothing but link-local addresses; use DHCP or set one (`starling doctor` says more)")
    })
}

/// A machine without a LAN has no mDNS; its peers can still be named.
pub(super) fn look_around(lan: &LanSetup, credentials: &Credentials) -> Result<Lan, String> {
    let us = Listing {
        peer: credentials.us,
        run: credentials.run,
        schema: credentials.schema,
        wire: VERSION,
        job: lan.job.clone(),
        open: credentials.swarm_key == SwarmKey::default(),
        pairs: false,
        addresses: Vec::new(),
    };
    Lan::open(us).map_err(|error| format!("peers on the LAN are not looked for: mDNS does not work here ({error})"))
}

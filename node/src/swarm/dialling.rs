//! Dials: of peers whom the protocol names, of named addresses, and what becomes of them.

use super::*;

impl Network {
    /// Dials a peer, unless a link to it is up or under way.
    pub(crate) fn dial(&mut self, peer: PeerId, addresses: &[String]) {
        if self.links.contains_key(&peer)
            || self.dialer.is_dialling(peer)
            || self.connections.values().any(|connection| connection.peer == peer)
        {
            return;
        }
        if self.admission.guests.refusal(peer).is_some() {
            // Known from others, and nobody that we link with.
            self.input(Input::DialFailed { peer, refused: true });
            return;
        }
        if self.offenders.remaining(peer, Instant::now()).is_some() {
            self.input(Input::DialFailed { peer, refused: false });
            return;
        }
        // Passed on by others, so bad ones are no news.
        let addresses = addresses.iter().filter_map(|text| address::parse_heard(text));
        let addresses = addresses.map(|address| address::split_peer(address).0);
        let addresses = addresses.filter(|address| self.may_go(address)).collect();
        if self.dialer.begin(peer, addresses, Instant::now()) {
            self.dial_waves(Instant::now());
        } else {
            self.input(Input::DialFailed { peer, refused: false });
        }
    }

    pub(super) fn on_dial_error(&mut self, connection: ConnectionId, error: &DialError) {
        match error {
            DialError::LocalPeerId { address } => {
                self.seeds.forget(connection);
                if !self.listening.contains(&address::split_peer(address.clone()).0) {
                    let what = What::Turned(discriminant(&Refusal::Identity));
                    self.refused(what, None, &address.to_string(), &Refusal::Identity.to_string());
                }
            }
            DialError::WrongPeerId { obtained, address } => {
                self.refused(
                    What::Mistaken,
                    None,
                    &address.to_string(),
                    &format!("another peer than the one named answers there: {obtained}"),
                );
            }
            _ => {}
        }
        if let Some(address) = self.seeds.failed(connection, Instant::now()) {
            self.unreachable(&address, &cause(error));
        }
        if let Some(peer) = self.dialer.failed(connection) {
            self.input(Input::DialFailed { peer, refused: false });
        }
        self.dial_waves(Instant::now());
    }

    pub(super) fn dial_waves(&mut self, now: Instant) {
        while let Some((peer, addresses)) = self.dialer.next_due(now) {
            match self.try_dial(address::to_network(peer), addresses) {
                Ok(connection) => self.dialer.dialled(peer, connection),
                Err(error) => {
                    tracing::debug!(%peer, %error, "cannot dial");
                    if self.dialer.not_dialled(peer) {
                        self.input(Input::DialFailed { peer, refused: false });
                    }
                }
            }
        }
    }

    pub(super) fn dial_seeds(&mut self, now: Instant) {
        let Self { seeds, links, swarm, lookups, .. } = self;
        for seed in seeds.due(now, |peer| links.contains_key(&peer)) {
            if names::is_named(&seed.address) {
                seed.looks_up();
                let address = seed.address.clone();
                lookups.spawn(async { (address.clone(), names::look_up(address).await) });
            } else {
                dial_seed(swarm, seed, seed.address.clone(), now);
            }
        }
    }

    pub(super) fn on_looked_up(&mut self, found: Option<(Multiaddr, io::Result<Vec<Multiaddr>>)>) {
        let (Some((name, found)), now) = (found, Instant::now()) else { return };
        let Some(seed) = self.seeds.looked_up(&name) else { return };
        match found.map(|addresses| seed.turn(&addresses).cloned()) {
            Ok(Some(address)) => dial_seed(&mut self.swarm, seed, address, now),
            Ok(None) => seed.failed(now),
            Err(error) => {
                if seed.failed_for_long(now) {
                    self.unreachable(&name, &error.to_string());
                }
            }
        }
    }

    pub(super) fn try_dial(
        &mut self,
        id: Option<NetworkId>,
        addresses: Vec<Multiaddr>,
    ) -> Result<ConnectionId, DialError> {
        match id {
            Some(id) if !addresses.is_empty() => {
                // Whether we have a connection is for our own records to say: where a cable was cut, libp2p has one until the last
                // words on it have arrived, which may be half a minute after the cable is whole again. And a better way may be
                // under way still.
                dial(&mut self.swarm, Some(id), addresses, PeerCondition::Always)
            }
            _ => Err(DialError::NoAddresses),
        }
    }
}

/// What the system said of a dial: libp2p wraps it several times.
fn cause(error: &DialError) -> String {
    let mut cause: &dyn std::error::Error = error;
    if let DialError::Transport(errors) = error
        && let Some((_, first)) = errors.first()
    {
        cause = first;
    }
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

pub(super) fn dial_seed(swarm: &mut Swarm<Behaviour>, seed: &mut Seed, address: Multiaddr, now: Instant) {
    // Not "and disconnected": see `try_dial`.
    match dial(swarm, seed.named, vec![address], PeerCondition::NotDialing) {
        Ok(connection) => seed.dialled(connection),
        Err(error) => {
            tracing::debug!(address = %seed.address, %error, "not dialled now");
            seed.failed(now);
        }
    }
}

/// Dials `addresses`, or, when nobody was named, the first of them and whoever is there.
pub(super) fn dial(
    swarm: &mut Swarm<Behaviour>,
    id: Option<NetworkId>,
    addresses: Vec<Multiaddr>,
    condition: PeerCondition,
) -> Result<ConnectionId, DialError> {
    let options = match (id, addresses.first()) {
        (Some(id), _) => DialOpts::peer_id(id).condition(condition).addresses(addresses).build(),
        (None, Some(address)) => DialOpts::unknown_peer_id().address(address.clone()).build(),
        (None, None) => return Err(DialError::NoAddresses),
    };
    let connection = options.connection_id();
    swarm.dial(options).map(|()| connection)
}

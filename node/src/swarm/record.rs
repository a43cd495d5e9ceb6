//! What is written down of links: admitted, closed, refused, banned; for the audit log and whoever watches.

use super::*;

/// Lines about refused links for the operator, and so many at once: what people read. What is beyond is in the audit log alone.
pub(super) const REFUSAL_LINES_PER_SECOND: f64 = 0.5;
pub(super) const REFUSAL_LINES_BURST: f64 = 32.0;

impl Network {
    /// The protocol has heard what no honest peer says.
    pub(crate) fn offended(&mut self, peer: PeerId, what: &str) {
        self.penalize(peer, 1, what);
        self.disconnect(peer);
    }

    pub(super) fn penalize(&mut self, peer: PeerId, strikes: u32, what: &str) {
        let Penalty { pause, is_ban, forgotten } = self.offenders.offend(peer, strikes, Instant::now());
        if let Some(forgotten) = forgotten {
            self.unbanned(forgotten, "forgotten for others");
        }
        let seconds = pause.as_secs();
        tracing::warn!(peer = %peer.short(), what, seconds, is_ban, "a neighbour has broken the rules");
        if is_ban {
            self.bans += 1;
            let of_it = self.connections.values().filter(|connection| connection.peer == peer);
            if let Some(from) = of_it.filter_map(|connection| connection.from).next() {
                self.doorway.charge(from, BAN_COST);
            }
            let fields = json!({ "peer": peer, "seconds": seconds, "reason": what });
            self.gathered.note(What::Banned, Some(peer), fields, Instant::now());
            let reason = what.to_owned();
            self.happenings.push_back(Happening::Observe(Observation::Banned {
                peer: peer.to_string(),
                reason,
                seconds,
            }));
        }
    }

    /// Forgives everybody everything, at the operator's wish.
    pub(crate) fn pardon(&mut self) {
        self.doorway.forgive();
        let (peers, banned) = self.offenders.pardon(Instant::now());
        for peer in banned {
            self.unbanned(peer, "pardoned");
        }
        tracing::info!(peers, "all bans and pauses are over");
        self.happenings.push_back(Happening::Observe(Observation::Pardoned { peers }));
    }

    fn unbanned(&mut self, peer: PeerId, why: &str) {
        self.gathered.note(What::Unbanned, Some(peer), json!({ "peer": peer, "why": why }), Instant::now());
        self.happenings.push_back(Happening::Observe(Observation::Unbanned { peer: peer.to_string() }));
    }

    pub(super) fn admitted(&mut self, peer: PeerId, connection: ConnectionId) {
        let address = self.connections.get(&connection).map(|connection| connection.address.to_string());
        let fields = json!({ "peer": peer, "address": address });
        self.gathered.note(What::Admitted, Some(peer), fields, Instant::now());
    }

    pub(super) fn closed(&mut self, peer: PeerId, reason: &str) {
        self.gathered.note(What::Closed, Some(peer), json!({ "peer": peer, "reason": reason }), Instant::now());
    }

    /// Tells of a refusal, if it is news. `shown` is the peer, or where it was looked for; part of the words may be a stranger's.
    pub(super) fn refused(&mut self, what: What, who: Option<PeerId>, shown: &str, reason: &str) {
        let [peer, reason] = [shown, reason].map(|text| escape(text, TEXT_CHARS_MAX));
        let now = Instant::now();
        self.gathered.note(what, who, json!({ "peer": peer, "reason": reason }), now);
        // A stranger chooses its words, and as many names as it likes: of one and the same kind there is one line a minute, and of all no more than
        // people read. The audit log has them all.
        let kind = format!("{what:?}");
        if self.refusals.note(Kind::Refuse, &peer, &kind, now).is_some() && self.refusal_lines.take(1.0, now).is_ok() {
            tracing::warn!(peer, reason, "a link was refused");
            self.happenings.push_back(Happening::Observe(Observation::LinkRefused { peer, reason }));
        }
    }

    /// Tells that nobody answers at an address that the operator named.
    pub(super) fn unreachable(&mut self, address: &Multiaddr, why: &str) {
        let [address, why] = [&address.to_string(), why].map(|text| escape(text, TEXT_CHARS_MAX));
        tracing::warn!(address, why, "a named peer cannot be reached; trying again");
        self.happenings.push_back(Happening::Observe(Observation::Unreachable { address, why }));
    }

    /// Tells that others may not find us, or we them.
    pub(super) fn hidden(&mut self, why: String) {
        tracing::warn!(why, "not everybody can be met");
        self.happenings.push_back(Happening::Observe(Observation::Hidden(escape(&why, TEXT_CHARS_MAX))));
    }

    /// Tells that two processes have one key.
    pub(crate) fn copied(&mut self, peer: &str, reason: &str) {
        if let Some(times) = self.refusals.note(Kind::Copied, peer, reason, Instant::now()) {
            tracing::warn!(peer, reason, "a key was copied");
            self.admission.audit.note(Kind::Copied, json!({ "peer": peer, "reason": reason, "times": times }));
            let (peer, reason) = (peer.to_owned(), reason.to_owned());
            self.happenings.push_back(Happening::Observe(Observation::Copied { peer, reason }));
        }
    }

    /// Of bans that are over, and what was only counted for long enough; at the end, `all`.
    pub(super) fn settle_records(&mut self, now: Instant, all: bool) {
        for peer in self.offenders.released(now) {
            self.unbanned(peer, "over");
        }
        for (kind, peer, reason, times) in self.refusals.untold(now, all) {
            // Of every link that is over or was refused there is a record, or it is counted in one.
            if !matches!(kind, Kind::Closed | Kind::Refuse) {
                self.admission.audit.note(kind, json!({ "peer": peer, "reason": reason, "times": times }));
            }
        }
        self.gathered.settle(now, all);
    }
}

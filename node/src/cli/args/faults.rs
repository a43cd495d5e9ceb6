//! What is done to the peers of a simulation on purpose.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use sim::processes::{Action, Fault, Kills};

use super::PeerAt;
use super::values::{seconds, training_time};

/// Flags of `starling sim` for real processes.
#[derive(Debug, Args)]
pub struct FaultArgs {
    /// Kill a peer (SIGKILL) so many seconds after the start (repeatable); peers are numbered from 0. What is due only
    /// after the last epoch does not happen
    #[arg(long, value_name = "PEER@SECONDS")]
    pub kill: Vec<PeerAt>,
    /// Start a killed peer again, without any state (repeatable)
    #[arg(long, value_name = "PEER@SECONDS")]
    pub restart: Vec<PeerAt>,
    /// Take a peer's device away so many seconds after the start (repeatable): it goes on, on the device opened again or
    /// on the CPU
    #[arg(long, value_name = "PEER@SECONDS")]
    pub lose_device: Vec<PeerAt>,
    /// Stop a peer (SIGSTOP) at AT and let it go on after FOR, as 6@12+10 (repeatable)
    #[arg(long, value_name = "PEER@AT+FOR")]
    pub pause: Vec<PeerFor>,
    /// With --netns: cut the network in two halves at AT, and make it one again after FOR, as 20+60 (repeatable)
    #[arg(long, value_name = "AT+FOR", requires = "netns")]
    pub cut: Vec<SpanOf>,
    /// Train for so long, as 40s, 5m or 2h, instead of a number of epochs
    #[arg(long, value_name = "TIME", value_parser = training_time, conflicts_with = "epochs")]
    pub duration: Option<Duration>,
    /// Kill one peer after the other (SIGKILL), the first one first, one every so many seconds
    #[arg(long, value_name = "TIME", value_parser = seconds, requires = "duration")]
    pub kill_every: Option<Duration>,
    /// And start it again after so long, with nothing but its identity [default: never]
    #[arg(long, value_name = "TIME", value_parser = seconds, requires = "kill_every")]
    pub restart_after: Option<Duration>,
    /// And never these
    #[arg(long, value_name = "PEERS", value_delimiter = ',', requires = "kill_every")]
    pub spare: Vec<u32>,
    /// And nobody in the last so many seconds
    #[arg(long, value_name = "TIME", value_parser = seconds, default_value = "5s", requires = "kill_every")]
    pub calm: Duration,
}

impl FaultArgs {
    /// Whether anything is asked for that only processes can do.
    #[must_use]
    pub fn any(&self) -> bool {
        self.duration.is_some() || !self.pause.is_empty() || !self.cut.is_empty()
    }

    /// What happens to whom, in a swarm of so many peers.
    ///
    /// # Errors
    /// A sentence, when it cannot be done.
    pub fn faults(&self, peers: u32) -> Result<Vec<Fault>, String> {
        let fault = |action| move |at: &PeerAt| Fault { at: at.at, peer: at.peer, action };
        let kinds =
            [(&self.kill, Action::Kill), (&self.restart, Action::Restart), (&self.lose_device, Action::LoseDevice)];
        let mut faults: Vec<Fault> = kinds.into_iter().flat_map(|(at, action)| at.iter().map(fault(action))).collect();
        for PeerFor { peer, span } in &self.pause {
            faults.extend(span.between(*peer, Action::Pause, Action::Resume));
        }
        for span in &self.cut {
            faults.extend(span.between(peers / 2, Action::Cut, Action::Heal));
        }
        if let (Some(every), Some(duration)) = (self.kill_every, self.duration) {
            let kills = Kills {
                every,
                restart_after: self.restart_after,
                spare: self.spare.iter().copied().collect(),
                until: duration.saturating_sub(self.calm),
            };
            faults.extend(kills.faults(peers)?);
        }
        Ok(faults)
    }
}

/// `AT+FOR`, seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanOf {
    /// Since the start.
    pub at: Duration,
    /// From then on.
    pub length: Duration,
}

impl SpanOf {
    fn between(self, peer: u32, begin: Action, end: Action) -> [Fault; 2] {
        [Fault { at: self.at, peer, action: begin }, Fault { at: self.at + self.length, peer, action: end }]
    }
}

impl FromStr for SpanOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (at, length) = text.split_once('+').ok_or("AT+FOR in seconds, as 20+60")?;
        Ok(Self { at: seconds(at)?, length: seconds(length)? })
    }
}

/// `PEER@AT+FOR`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerFor {
    /// From 0.
    pub peer: u32,
    /// When, and for how long.
    pub span: SpanOf,
}

impl FromStr for PeerFor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (peer, span) = text.split_once('@').ok_or("PEER@AT+FOR, as 6@12+10")?;
        let peer = peer.parse().map_err(|_| format!("{peer:?} is no number of a peer"))?;
        Ok(Self { peer, span: span.parse()? })
    }
}

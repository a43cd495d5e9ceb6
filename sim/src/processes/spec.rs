//! What to start: how many peers of which job, how they meet, and what harm comes to them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Most peers of one simulation: each is a process.
pub const PEERS_MAX: u32 = 256;

/// Neighbours that a peer waits for at most before it begins: beyond it a swarm is no full mesh any more.
const COMPANY_MAX: u32 = 8;

/// A swarm to run.
#[derive(Clone, Debug)]
pub struct SwarmSpec {
    /// The `starling` binary.
    pub program: PathBuf,
    /// How many peers, numbered from 0.
    pub peers: u32,
    /// The job file's text.
    pub job: String,
    /// Epochs each peer takes.
    pub epochs: u32,
    /// They train for so long since the start of the swarm, whatever the epochs.
    pub duration: Option<Duration>,
    /// Whether they gossip; without, they need not agree in the end.
    pub gossip: bool,
    /// Further arguments of every child, as `--device cpu`.
    pub arguments: Vec<OsString>,
    /// What happens to whom, in any order.
    pub faults: Vec<Fault>,
    /// How they meet.
    pub arrangement: Arrangement,
    /// Folder of the audit logs, one of each peer.
    pub audit: Option<PathBuf>,
    /// Folder of the checkpoints, a folder of each peer; of each further life of a peer another one, since it begins anew.
    pub checkpoint: Option<PathBuf>,
    /// Where the first peers serve their dashboards, `IP:PORT` each, in the order of their numbers.
    pub dashboards: Vec<String>,
}

/// How the peers of a simulation reach each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Arrangement {
    /// On 127.0.0.1; the launcher tells the others where the first one listens. Nothing is announced on the LAN.
    #[default]
    Loopback,
    /// Each in a network namespace of its own on one bridge, where they find each other by mDNS. Needs root.
    Namespaces,
}

/// Something that happens to a peer, at a time since the start of the swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When.
    pub at: Duration,
    /// To whom. Of a cut: the first peer beyond it.
    pub peer: u32,
    /// What.
    pub action: Action,
}

/// See [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// SIGKILL: it has no chance to say goodbye.
    Kill,
    /// A new process without any state but the identity.
    Restart,
    /// Its device is lost: the process goes on, on the same device opened again or on the CPU.
    LoseDevice,
    /// SIGSTOP: it stands still and says nothing, and its links stay up.
    Pause,
    /// SIGCONT.
    Resume,
    /// In namespaces: those below that peer and the others do not reach each other.
    Cut,
    /// They do again.
    Heal,
}

/// What one process of a peer is born with.
#[derive(Clone, Copy, Debug)]
pub struct Birth<'a> {
    /// Number of the peer.
    pub index: u32,
    /// Folder of the job file and the identities.
    pub home: &'a Path,
    /// Where another peer listens.
    pub bootstrap: Option<&'a str>,
    /// Epochs to take: a peer that is restarted late takes fewer, so that it ends with the others.
    pub epochs: u32,
    /// How often the peer has lived before.
    pub lives: u32,
}

impl SwarmSpec {
    /// Arguments of child `index`: the contract between the launcher and `starling run --child`.
    #[must_use]
    pub fn child_arguments(&self, birth: Birth<'_>) -> Vec<OsString> {
        let Birth { index, home, bootstrap, epochs, lives } = birth;
        let listen = match self.arrangement {
            Arrangement::Loopback => "/ip4/127.0.0.1/tcp/0",
            Arrangement::Namespaces => "/ip4/0.0.0.0/tcp/0",
        };
        let mut arguments: Vec<OsString> = ["run", "--child", "--job"].map(OsString::from).to_vec();
        arguments.push(job_path(home).into());
        arguments.push("--identity".into());
        arguments.push(home.join(format!("peer-{index}.key")).into());
        arguments.extend(["--shard".into(), format!("{index}/{}", self.peers).into()]);
        arguments.extend(["--epochs".into(), epochs.to_string().into()]);
        let audit = self.audit.as_ref().map_or_else(|| "none".into(), |dir| dir.join(format!("peer-{index}")).into());
        arguments.extend(["--audit".into(), audit]);
        if let Some(dir) = &self.checkpoint {
            let life = if lives == 0 { String::new() } else { format!("-life-{}", lives + 1) };
            arguments.extend(["--checkpoint".into(), dir.join(format!("peer-{index}{life}")).into()]);
        }
        if let Some(address) = self.dashboards.get(index as usize) {
            arguments.extend(["--dashboard".into(), address.into()]);
        }
        if self.gossip {
            arguments.extend(["--listen".into(), listen.into()]);
            // A swarm that is started together begins together; whoever comes back takes the first neighbour it finds.
            // (Tried: the first peer waits for all and the others for the first. It spreads the beginnings further.)
            let company = if lives == 0 { (self.peers - 1).min(COMPANY_MAX) } else { 1 };
            arguments.extend(["--company".into(), company.to_string().into()]);
        } else {
            arguments.push("--no-gossip".into());
        }
        if self.arrangement == Arrangement::Loopback {
            arguments.push("--no-mdns".into());
        }
        if let Some(address) = bootstrap {
            arguments.extend(["--peer".into(), address.into()]);
        }
        arguments.extend(self.arguments.iter().cloned());
        arguments
    }

    /// The first fault that does not fit the swarm, as a sentence.
    ///
    /// # Errors
    /// A peer that is not there, a restart of a peer that nobody killed before, something to be mended after the end, or a cut
    /// where there is nothing to cut.
    pub fn check_faults(&self) -> Result<(), String> {
        let mends = |fault: &&Fault| matches!(fault.action, Action::Restart | Action::Resume | Action::Heal);
        if let (Some(end), Some(late)) = (self.duration, self.faults.iter().filter(mends).map(|fault| fault.at).max())
            && late > end
        {
            let (late, end) = (late.as_secs_f64(), end.as_secs_f64());
            return Err(format!("something is to be mended at {late} s only, and the swarm ends at {end} s"));
        }
        if self.arrangement == Arrangement::Loopback && self.faults.iter().any(|fault| fault.action == Action::Cut) {
            return Err(
                "on loopback there is no cable to cut: a cut wants network namespaces (--netns, as root)".into()
            );
        }
        for fault in &self.faults {
            if fault.peer >= self.peers {
                return Err(format!(
                    "there is no peer {}: they are numbered 0 to {}",
                    fault.peer,
                    self.peers.saturating_sub(1)
                ));
            }
            let killed_before =
                self.faults.iter().any(|f| f.action == Action::Kill && f.peer == fault.peer && f.at < fault.at);
            if fault.action == Action::Restart && !killed_before {
                return Err(format!("peer {} cannot be restarted: it is not killed before", fault.peer));
            }
        }
        Ok(())
    }
}

/// The job file of a simulation.
pub(super) fn job_path(home: &Path) -> PathBuf {
    home.join("job.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(faults: Vec<Fault>) -> SwarmSpec {
        SwarmSpec {
            program: "starling".into(),
            peers: 4,
            job: String::new(),
            epochs: 3,
            duration: None,
            gossip: true,
            arguments: vec!["--device".into(), "cpu".into()],
            faults,
            arrangement: Arrangement::Loopback,
            audit: None,
            checkpoint: None,
            dashboards: vec!["127.0.0.1:1".into(), "127.0.0.1:2".into()],
        }
    }

    fn fault(at: u64, peer: u32, action: Action) -> Fault {
        Fault { at: Duration::from_secs(at), peer, action }
    }

    #[test]
    fn a_child_on_loopback_never_announces_itself() {
        let birth =
            Birth { index: 1, home: Path::new("/h"), bootstrap: Some("/ip4/127.0.0.1/tcp/9"), epochs: 3, lives: 0 };
        let arguments = spec(vec![]).child_arguments(birth);
        assert!(arguments.contains(&"--no-mdns".into()));
        assert!(arguments.contains(&"/ip4/127.0.0.1/tcp/0".into()));
        assert_eq!(arguments.last(), Some(&"cpu".into()));
        assert!(arguments.contains(&"127.0.0.1:2".into()), "the second dashboard is that of the second peer");
    }

    #[test]
    fn every_life_of_a_peer_keeps_its_checkpoints_apart() {
        let spec = SwarmSpec { checkpoint: Some("/k".into()), ..spec(vec![]) };
        let folder = |index, lives| {
            let birth = Birth { index, home: Path::new("/h"), bootstrap: None, epochs: 3, lives };
            let arguments = spec.child_arguments(birth);
            let at = arguments.iter().position(|argument| argument == "--checkpoint");
            at.and_then(|at| arguments.get(at + 1).cloned())
        };
        let folders = [folder(0, 0), folder(1, 0), folder(1, 1), folder(1, 2)];
        let expected = ["/k/peer-0", "/k/peer-1", "/k/peer-1-life-2", "/k/peer-1-life-3"];
        assert_eq!(folders, expected.map(|folder| Some(folder.into())));
    }

    #[test]
    fn faults_must_fit_the_swarm() {
        assert!(spec(vec![fault(5, 2, Action::Kill), fault(8, 2, Action::Restart)]).check_faults().is_ok());
        assert!(spec(vec![fault(5, 4, Action::Kill)]).check_faults().is_err(), "no such peer");
        assert!(spec(vec![fault(5, 1, Action::Restart)]).check_faults().is_err(), "never killed");
        assert!(
            spec(vec![fault(5, 1, Action::Kill), fault(4, 1, Action::Restart)]).check_faults().is_err(),
            "too early"
        );
        assert!(spec(vec![fault(5, 2, Action::Cut)]).check_faults().is_err_and(|why| why.contains("--netns")));
        let netns = SwarmSpec { arrangement: Arrangement::Namespaces, ..spec(vec![fault(5, 2, Action::Cut)]) };
        assert!(netns.check_faults().is_ok());
        for (end, fits) in [(8, true), (7, false)] {
            let faults = vec![fault(5, 2, Action::Pause), fault(8, 2, Action::Resume)];
            let spec = SwarmSpec { duration: Some(Duration::from_secs(end)), ..spec(faults) };
            assert_eq!(spec.check_faults().is_ok(), fits, "who is stopped goes on before the end");
        }
    }
}

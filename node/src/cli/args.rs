//! What may be typed. Values are checked where they are understood (`config::job`), not here: `values.rs` only takes them apart.

mod audit;
mod checkpoint;
mod common;
mod dashboard;
mod data;
mod device;
mod faults;
mod id;
mod job;
mod model;
mod network;
mod plot;
mod run;
mod sim;
mod swarm;
mod top;
mod values;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub use audit::{AuditCommand, AuditShowArgs, AuditVerifyArgs};
pub use checkpoint::{EVERY_DEFAULT, KEEP_DEFAULT, Keeping};
pub use common::{Common, LogFormat};
pub use dashboard::{Dashboard, DashboardArgs, Places};
pub use data::{DataCommand, DataShowArgs};
pub use device::{DeviceBenchArgs, DeviceCommand, DeviceJob, DeviceProfileArgs};
pub use faults::{FaultArgs, PeerFor, SpanOf};
pub use id::{IdCommand, IdFile};
pub use job::{JobCommand, JobFileArgs, JobInitArgs};
pub use model::{EvalArgs, ExportArgs, GenerateArgs, ModelAt, PredictArgs};
pub use network::{DoctorArgs, JoinArgs, LsArgs};
pub use plot::PlotArgs;
pub use run::RunArgs;
pub use sim::{CompareArgs, SIM_EPOCHS_DEFAULT, SIM_PEERS_DEFAULT, SaturationArgs, SimArgs, SimCommand};
pub use swarm::{SwarmAllow, SwarmCommand, SwarmDeny, SwarmFile, SwarmPair};
pub use top::TopArgs;
pub use values::{PeerAt, SeedRange, Shard, Widths};

const EXIT_CODES: &str = "\
Exit codes:
  0    done (for `run` without --epochs: stopped by ctrl-c or SIGTERM)
  1    starling itself failed, or a simulation did: a peer died, peers do not agree, an invariant or expectation does not hold
  2    a flag or its value
  3    a file or its content: job, scenario, data, identity, an audit log that is not sound, an output that cannot be written
  4    the network: a port in use, an address that cannot be bound
  5    the device: none of that name, lost, out of memory
  130  stopped by ctrl-c or SIGTERM before the end";

/// Decentralized gossip training: every peer trains on its own data and its own GPU, tells its neighbours what changed,
/// and folds in what it hears. No server.
#[derive(Debug, Parser)]
#[command(name = "starling", version, after_help = EXIT_CODES, max_term_width = 110, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// See [`Cli`].
#[derive(Debug, Subcommand)]
pub enum Command {
    /// One peer: trains, gossips with whom it finds on the LAN, until it is stopped
    #[command(after_help = RUN_EXAMPLES)]
    Run(Box<RunArgs>),
    /// The jobs and peers that are heard on this network
    Ls(LsArgs),
    /// Take part in a job that is heard on this network, or that a peer at an address runs
    #[command(after_help = JOIN_EXAMPLES)]
    Join(Box<JoinArgs>),
    /// Why peers do not meet: this machine, its network, and who is there, each finding with its remedy
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(DoctorArgs),
    /// A swarm of real processes on this machine, with a live table and a summary
    #[command(after_help = SIM_EXAMPLES)]
    Sim(Box<SimArgs>),
    /// Write, check or show a job file: what a swarm trains, and its invitation
    #[command(subcommand)]
    Job(JobCommand),
    /// Who may take part in a job: its key, and whom this machine links with
    #[command(subcommand)]
    Swarm(SwarmCommand),
    /// Show or make the identity of a peer
    #[command(subcommand)]
    Id(IdCommand),
    /// What a trained model says of samples
    Predict(PredictArgs),
    /// Continue a text with a trained language model
    Generate(GenerateArgs),
    /// What a trained model is worth: loss, accuracy, confusion, F1, perplexity
    Eval(EvalArgs),
    /// Write a trained model for other tools
    Export(ExportArgs),
    /// Check or show the log of whom a peer let in and what it took
    #[command(subcommand)]
    Audit(AuditCommand),
    /// What a data set holds, and which sets and formats there are
    #[command(subcommand)]
    Data(DataCommand),
    /// What there is to train on, and what a job would take of it
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Draw curves of runs beside each other, and weights of checkpoints
    #[command(after_help = PLOT_EXAMPLES)]
    Plot(PlotArgs),
    /// How running peers stand, live in this terminal
    #[command(after_help = TOP_EXAMPLES)]
    Top(TopArgs),
    /// Print what a shell needs to complete these words
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// Which shell
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
    /// Write a man page for every command
    Man {
        /// Folder, made when it is not there
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
}

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  starling completions bash > ~/.local/share/bash-completion/completions/starling
  starling completions zsh  > ~/.zfunc/_starling
  starling completions fish > ~/.config/fish/completions/starling.fish";

const PLOT_EXAMPLES: &str = "\
Examples:
  starling sim --epochs 30 --json with.json
  starling sim --epochs 30 --no-gossip --json alone.json
  starling plot with.json alone.json --out both.svg        loss, accuracy, disagreement, bytes of the two, in one picture
  starling plot with.json --out bytes.png --x bytes        over the bytes that a peer has sent
  starling plot metrics.csv --out curves.png               what `run --metrics metrics.csv` writes, while it runs, too
  starling plot kept --out weights.png                     the first and the last layer of the newest checkpoint in kept";

const TOP_EXAMPLES: &str = "\
Examples:
  starling top                                 the peer of this machine, and whom it knows
  starling top 127.0.0.1:7878-7881             the four peers of `starling sim --dashboard 127.0.0.1:7878-7881`
  starling top 192.0.2.7:7878 --dashboard-token identity.token
  starling top --once                          one frame as text
  starling top --json - | jq .[0].status.training
Keys: q quits, p holds the picture, arrows move, ? shows the rest.";

const RUN_EXAMPLES: &str = "\
Examples:
  starling run --open                          the public demo job, with everyone on this LAN who runs it
  starling run --job job.toml                  a job of your own, with every machine that holds the same file
  starling run --job job.toml --listen /ip4/0.0.0.0/tcp/4001
  starling run --job job.toml --peer /ip4/192.0.2.7/tcp/4001
  starling run --job job.toml --peer /dns4/host.example/udp/4001/quic-v1 --peers more.txt
  starling run --job job.toml --epochs 50 --json result.json
  starling run --job job.toml --checkpoint kept          a checkpoint a minute; the newest 3 and the best stay
  starling run --job job.toml --resume kept              go on where it stopped, whatever stopped it";

const JOIN_EXAMPLES: &str = "\
Examples:
  starling ls                                  what is there
  starling join demo                           shows the job file, asks, and trains
  starling join 221de61f --yes --device cpu    by the beginning of the run id; the flags of `run` apply
  starling join /ip4/192.0.2.7/tcp/4001        beyond the LAN
  starling join flock --code 7KQM-4TXD         a private job, whose member has run `starling swarm pair`";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  starling doctor                                              this machine, and who is heard
  starling doctor --job job.toml                               would its peers take this machine as a neighbour?
  starling doctor --job job.toml --peer /ip4/192.0.2.7/tcp/4001
Nothing broken: exit code 0; else that of the worst: 3 a file, 4 the network.";

const SIM_EXAMPLES: &str = "\
Examples:
  starling sim                                             4 peers on loopback, 300 epochs
  starling sim --peers 8 --split dirichlet:0.1 --baseline  what gossip is worth when every peer sees other classes
  starling sim --epochs 5000 --kill 2@5 --restart 2@8      a peer dies without a word and comes back with nothing
  starling sim --peers 8 --duration 1m --kill-every 5s --restart-after 2s --pause 6@12+10
  sudo starling sim --netns --peers 8 --duration 80s --cut 20+60
  sudo starling sim --netns                                a network namespace a peer; they meet by mDNS
  starling sim --json - | jq .bytes_ratio                  the summary as data
  starling sim --peers 8 --twin --device cpu               does the simulation agree with the real thing?
  starling sim --virtual --peers 64 --seeds 0..10          virtual peers in virtual time, ten seeds
  starling sim --virtual sim/scenarios/partition.toml --html partition.html
  starling sim compare before.json after.json              what changed";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::ffi::OsString;
    use std::path::Path;

    use ::sim::processes::{Arrangement, Birth, SwarmSpec};
    use clap::CommandFactory as _;
    use protocol::codec;

    use std::time::Duration;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_names_every_codec() {
        let mut command = Cli::command();
        let help = command.find_subcommand_mut("sim").unwrap().render_long_help().to_string();
        assert!(codec::ALL.iter().all(|codec| help.contains(codec.name())), "{help}");
    }

    #[test]
    fn sim_needs_no_flags_and_takes_all_of_them() {
        assert!(parse("starling sim").is_ok());
        let all = "starling sim --peers 8 --epochs 2 --steps 3 --model 32,16 --lr 0.1 --batch 8 --optimizer sgd \
                   --split dirichlet:0.1 --codec dense_f32 --gain 1 --seed 7 --device cpu --baseline --kill 2@5 \
                   --restart 2@8.5 --lose-device 1@3 --pause 3@2+1.5 --cut 4+60 --netns --json - --data x --log debug --log-format json";
        let Command::Sim(sim) = parse(all).unwrap().command else { panic!("sim") };
        assert_eq!(sim.model, Some(Widths(vec![32, 16])));
        assert_eq!(sim.faults.faults(8).unwrap().len(), 7);
        assert_eq!(sim.faults.restart[0], PeerAt { peer: 2, at: Duration::from_millis(8500) });
    }

    #[test]
    fn kills_come_again_and_again_and_leave_a_quiet_end() {
        let line =
            "starling sim --duration 40s --kill-every 5s --restart-after 2s --spare 0,1 --calm 10s --pause 6@12+10";
        let Command::Sim(sim) = parse(line).unwrap().command else { panic!("sim") };
        let faults = sim.faults.faults(8).unwrap();
        // At 5, 10 .. 25 s; the last one is back at 27 s.
        assert_eq!(faults.len(), 2 + 2 * 5);
        assert!(faults.iter().all(|fault| fault.at <= Duration::from_secs(30) && fault.peer > 1));
    }

    #[test]
    fn what_the_launcher_says_to_a_child_is_understood() {
        let spec = SwarmSpec {
            program: "starling".into(),
            peers: 4,
            job: String::new(),
            epochs: 3,
            duration: None,
            gossip: true,
            arguments: vec!["--device".into(), "cpu".into(), "--log".into(), "error".into()],
            faults: Vec::new(),
            arrangement: Arrangement::Loopback,
            audit: None,
            checkpoint: None,
            dashboards: Vec::new(),
        };
        for (gossip, bootstrap) in [(true, None), (true, Some("/ip4/127.0.0.1/tcp/4001")), (false, None)] {
            let spec = SwarmSpec { gossip, ..spec.clone() };
            let birth = Birth { index: 1, home: Path::new("/h"), bootstrap, epochs: 3, lives: 0 };
            let line = [OsString::from("starling")].into_iter().chain(spec.child_arguments(birth));
            let Command::Run(run) = Cli::try_parse_from(line).unwrap().command else { panic!("run") };
            assert!(run.child && run.no_mdns && run.audit.is_some_and(|none| none == Path::new("none")));
            assert_eq!((run.shard, run.epochs), (Some(Shard { index: 1, of: Some(4) }), Some(3)));
            assert_eq!((run.no_gossip, run.peer.len()), (!gossip, usize::from(bootstrap.is_some())));
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for line in [
            "starling sim --peers 0",
            "starling sim --peers 100001",
            "starling sim --kill 2",
            "starling sim --kill two@5",
            "starling sim --kill 2@-1",
            "starling sim --kill 2@NaN",
            "starling sim --lose-device 2",
            "starling sim --pause 2@5",
            "starling sim --cut 20+60",
            "starling sim --netns --cut 20",
            "starling sim --kill-every 5s",
            "starling sim --duration 40s --restart-after 2s",
            "starling sim --duration 40s --epochs 3",
            "starling sim --duration 40d",
            "starling sim --duration 0s",
            "starling sim --virtual --duration 40s",
            "starling sim --virtual --lose-device 2@5",
            "starling sim --model 64,,64",
            "starling sim --no-gossip --baseline",
            "starling sim --nonsense",
            "starling run --shard 4/4",
            "starling run --log-format xml",
            "starling",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}

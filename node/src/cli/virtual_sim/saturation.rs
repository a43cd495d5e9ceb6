//! `starling sim saturation`: the model of [`sim::virtual_swarm::saturation`] as a table.

use protocol::Config;
use protocol::config::Mode;
use sim::virtual_swarm::saturation as model;

use super::super::args::SaturationArgs;
use super::super::format::bytes;
use super::super::{job as job_command, say};
use crate::config::Job;
use crate::error::{Error, Kind};

pub(crate) fn saturation(args: &SaturationArgs) -> Result<(), Error> {
    let mut raw = job_command::read(args.job.as_deref())?;
    raw.gossip.steps = args.steps.or(raw.gossip.steps);
    let job = Job::new(raw)?;
    if job.mode != Mode::Incremental {
        let why = format!(
            "gossip.mode = \"{}\": there nobody hears every delta, and no link fills up this way",
            job.mode.name()
        );
        return Err(Error::new(Kind::Input, why).hint("use a job of the mode incremental"));
    }
    let config = Config { gossip: job.gossip(), ..Config::default() };
    let interval_s = f64::from(args.step_ms) * f64::from(job.gossip_steps) / 1e3;
    let link = f64::from(args.megabits) * 1e6 / 8.0;
    let overlay = model::overlay(&config, job.codec, f64::from(args.step_ms));
    say::line(&format!(
        "codec {}, H = {}, {} ms a step: a delta of every peer each {interval_s:.2} s; a link of {} Mbit/s",
        job.codec.name(),
        job.gossip_steps,
        args.step_ms,
        args.megabits,
    ))?;
    say::line(&format!(
        "measured among 32 virtual peers: each delta arrives {:.3} times, and {} a second arrive besides\n",
        overlay.redundancy,
        bytes(overlay.rest_bytes_per_second),
    ))?;
    say::line(&format!(
        "{:>12}  {:>10}  {:>12}  {:>16}  {:>16}",
        "parameters", "a delta", "full at", "best groups", "full then at"
    ))?;
    for &parameters in &args.parameters {
        let frame = model::delta_frame_bytes(job.codec, usize::try_from(parameters).unwrap_or(usize::MAX));
        let found = model::saturation(frame, overlay, link, interval_s);
        say::line(&format!(
            "{parameters:>12}  {:>10}  {:>6} peers  {:>16}  {:>10} peers",
            bytes(frame as f64),
            found.peers,
            found.groups,
            found.peers_in_groups,
        ))?;
    }
    Ok(())
}

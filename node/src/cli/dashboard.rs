//! `--dashboard` of `run` and `join`: where the dashboard is served, and to whom.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use shaders::engine::cpu::CpuExecutor;
use sim::processes::event::Ready;

use super::args::{Dashboard, DashboardArgs};
use crate::api::{self, Access, MakeAnswers};
use crate::config::Job;
use crate::error::{Error, Kind};
use crate::inference::Answers;
use crate::store::checkpoint::{About, Model};

/// Where `starling run` serves it when nothing is said.
pub(super) const PORT_DEFAULT: u16 = 7878;

/// The socket, and what a person should know of it. Nothing is said: on loopback, on a free port if the usual one is taken.
pub(super) fn open(
    args: &DashboardArgs,
    identity: &Path,
    by_default: bool,
) -> Result<Option<(Access, Vec<String>)>, Error> {
    let mut notes = Vec::new();
    let listener = match args.dashboard {
        Some(Dashboard::Off) => return Ok(None),
        None if !by_default => return Ok(None),
        Some(Dashboard::At(address)) => api::listen(address)?,
        None => {
            let usual = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT_DEFAULT);
            match api::listen(usual) {
                Ok(listener) => listener,
                Err(_) => {
                    notes.push(format!("port {PORT_DEFAULT} is taken: the dashboard has another one"));
                    api::listen(SocketAddr::new(usual.ip(), 0))?
                }
            }
        }
    };
    let mut access = Access { listener, names: args.dashboard_host.clone(), token: None };
    let address = access.address()?;
    // Behind a proxy everybody comes from loopback: who names one, means others than this machine.
    let open_to_others = !address.ip().is_loopback() || !args.dashboard_host.is_empty();
    let file = match &args.dashboard_token {
        Some(file) => Some(file.clone()),
        None if !open_to_others => None,
        None => Some(identity.with_extension("token")),
    };
    let scheme = "http://";
    if let Some(file) = file {
        access.token = Some(api::load_or_create(&file)?);
        notes.push(format!("dashboard on {scheme}{address}/ for who holds the token in {}", file.display()));
        if !address.ip().is_loopback() {
            let text = "WARNING: the dashboard has no TLS: on a network that others can read, serve loopback and go through ssh -L or a proxy";
            notes.push(text.to_owned());
        }
    } else {
        notes.push(format!("dashboard on {scheme}{address}/"));
    }
    Ok(Some((access, notes)))
}

/// What is trained, for the dashboard.
pub(super) fn run_of(job: &Job, ready: &Ready, gossip: bool, checkpoints: bool) -> api::Run {
    api::Run {
        id: job.run_id().0.to_string(),
        job: job.name.clone(),
        mode: job.mode.name().to_owned(),
        codec: job.codec.name().to_owned(),
        model: job.model.kind().to_owned(),
        parameters: ready.parameters,
        steps_per_epoch: ready.steps_per_epoch,
        epochs: job.epochs,
        gossip,
        checkpoints,
        private: job.key.is_some(),
        settings: job.canonical().lines().map(str::to_owned).collect(),
    }
}

/// What answers requests for predictions: the job's model on the CPU, whose weights come with the first request.
pub(super) fn answers(about: About) -> MakeAnswers {
    Box::new(move || {
        let network = about.model.build(&about.shape, about.classes).map_err(|error| Error::new(Kind::Input, error))?;
        let weights = vec![0.0; network.parameters()];
        let model = Model { about, network, weights, path: PathBuf::new(), hash: String::new() };
        Answers::new(model, Box::new(CpuExecutor::measured(None, 1)))
    })
}

/// IP:PORT, `localhost:PORT`, or `none`.
pub(super) fn parse(text: &str) -> Result<Dashboard, String> {
    if text == "none" {
        return Ok(Dashboard::Off);
    }
    let text = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse().map(Dashboard::At).map_err(|_| "IP:PORT as 127.0.0.1:7878 or [::1]:0, or none".into())
}

/// A refusal where there is nothing to show.
pub(super) fn refuse_unused(args: &DashboardArgs) -> Result<(), Error> {
    let off = matches!(args.dashboard, Some(Dashboard::Off));
    let unused = off && (args.dashboard_token.is_some() || !args.dashboard_host.is_empty());
    if unused {
        return Err(Error::new(Kind::Usage, "--dashboard none with --dashboard-token or --dashboard-host")
            .hint("leave them out, or say where the dashboard is to be served"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn args(dashboard: Option<&str>) -> DashboardArgs {
        let dashboard = dashboard.map(|text| parse(text).unwrap());
        DashboardArgs { dashboard, dashboard_token: None, dashboard_host: Vec::new() }
    }

    #[test]
    fn beyond_loopback_and_behind_a_proxy_there_is_a_token() {
        let dir = tempfile::tempdir().unwrap();
        let identity = dir.path().join("identity.key");
        let (access, notes) = open(&args(Some("localhost:0")), &identity, false).unwrap().unwrap();
        assert!(access.token.is_none() && access.address().unwrap().port() > 0);
        assert!(notes.iter().any(|note| note.contains("dashboard on http://127.0.0.1:")), "{notes:?}");
        let (access, notes) = open(&args(Some("0.0.0.0:0")), &identity, false).unwrap().unwrap();
        assert!(access.token.is_some() && dir.path().join("identity.token").exists(), "{notes:?}");
        let proxied = dir.path().join("proxied.key");
        let named = DashboardArgs { dashboard_host: vec!["box.example".into()], ..args(Some("localhost:0")) };
        let (access, notes) = open(&named, &proxied, false).unwrap().unwrap();
        assert!(
            access.token.is_some() && dir.path().join("proxied.token").exists(),
            "others come by a proxy: {notes:?}"
        );
        assert!(open(&args(Some("none")), &identity, true).unwrap().is_none());
        assert!(open(&args(None), &identity, false).unwrap().is_none());
    }

    #[test]
    fn by_default_a_taken_port_is_no_error_and_one_that_was_named_is() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(&args(None), dir.path(), true).unwrap().unwrap();
        let second = open(&args(None), dir.path(), true).unwrap().unwrap();
        assert!(second.1[0].contains("is taken"), "{:?}", second.1);
        let taken = first.0.address().unwrap().to_string();
        let error = open(&args(Some(&taken)), dir.path(), true).unwrap_err();
        assert!(error.kind == Kind::Network && error.to_string().contains(&taken), "{error}");
        for text in ["7878", "example.org:80", "", "127.0.0.1", "127.0.0.1:99999"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

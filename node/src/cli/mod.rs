//! The command line: [`args`] is what may be typed, one file a command is what it does.
//!
//! What a command prints for people goes to standard output, or to standard error when `--json -` has taken that. Errors
//! are one `error:` line and one `hint:` line on standard error, and an exit code that `--help` documents.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

pub mod args;
mod audit;
mod bench;
pub(crate) mod dashboard;
mod data;
mod device;
mod doctor;
mod engine;
mod fault_words;
mod files;
mod format;
mod id;
mod inputs;
mod job;
mod join;
mod keeping;
mod logging;
mod ls;
mod manager;
mod model;
mod outlet;
mod overfit;
mod pair;
mod patience;
mod peers;
pub(crate) mod place;
mod plot;
mod predict;
mod profile;
mod run;
mod say;
mod shell;
mod signals;
mod sim;
mod summary;
mod swarm;
mod table;
mod top;
mod translate;
mod tune;
mod virtual_sim;

use args::{Cli, Command};

use crate::text::escape_lines;

/// Runs the command line.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are "errors" of clap too; they go to standard output with exit code 0.
            if say::written(error.print()).is_err() {
                return ExitCode::from(3);
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1));
        }
    };
    let result = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Ls(args) => ls::run(&args),
        Command::Join(args) => join::run(*args),
        Command::Sim(args) => sim::run(&args),
        Command::Job(command) => job::run(&command),
        Command::Predict(args) => predict::predict(&args),
        Command::Generate(args) => model::generate(&args),
        Command::Eval(args) => model::eval(&args),
        Command::Export(args) => model::export(&args),
        Command::Audit(command) => audit::run(&command),
        Command::Id(command) => id::run(&command),
        Command::Swarm(command) => swarm::run(&command),
        Command::Data(command) => data::run(&command),
        Command::Device(command) => device::run(&command),
        Command::Plot(args) => plot::run(&args),
        Command::Top(args) => top::run(&args),
        Command::Completions { shell } => shell::completions(shell),
        Command::Man { dir } => shell::man(&dir),
    };
    logging::drain();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Some of its words may be another's: a line of a job file, an address.
            let _ = writeln!(std::io::stderr(), "{}", escape_lines(&error.to_string()));
            error.exit_code()
        }
    }
}

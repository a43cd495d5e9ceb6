//! `cli.md`: the tree that clap parses by.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command, CommandFactory as _};

use crate::cli::args::Cli;

#[test]
fn the_reference_of_the_command_line_is_what_clap_reads() {
    let mut root = Cli::command();
    root.build();
    let mut text = String::from("# Command line\n\n");
    let about = root.get_about().map(ToString::to_string).unwrap_or_default();
    let _ = writeln!(
        text,
        "{}.\n\nWhat stands in `[...]` may be left out; `...` may be repeated.\n",
        about.trim().trim_end_matches('.')
    );
    let codes = root.get_after_help().map(ToString::to_string).unwrap_or_default();
    let _ = writeln!(text, "```text\n{}\n```\n", codes.trim());
    let mut commands = String::new();
    let mut list = String::new();
    for command in shown(&root) {
        tell(command, "starling", &mut list, &mut commands);
    }
    let _ = write!(text, "{list}\n{commands}");
    super::check("cli.md", &text);
}

/// The commands below one that people are shown; `help` is clap's own.
fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help")
}

/// One command and those below it.
fn tell(command: &Command, above: &str, list: &mut String, text: &mut String) {
    let name = format!("{above} {}", command.get_name());
    let below: Vec<_> = shown(command).collect();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let _ = writeln!(list, "- [`{name}`](#{}): {}", name.replace(' ', "-"), super::line(&about));
    let _ = writeln!(text, "## {name}\n\n{}\n", super::line(&about));
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").lines().map(str::trim).collect::<Vec<_>>().join("\n");
    let _ = writeln!(text, "```text\n{usage}\n```\n");
    let told = |arg: &&Arg| !arg.is_hide_set() && !matches!(arg.get_action(), ArgAction::Help | ArgAction::HelpLong);
    let args: Vec<_> = command.get_arguments().filter(told).collect();
    let mut headings: Vec<Option<&str>> = Vec::new();
    for arg in &args {
        if !headings.contains(&arg.get_help_heading()) {
            headings.push(arg.get_help_heading());
        }
    }
    for heading in headings {
        if let Some(heading) = heading {
            let _ = writeln!(text, "{heading}:\n");
        }
        for arg in args.iter().filter(|arg| arg.get_help_heading() == heading) {
            let _ = writeln!(text, "- {}", item(arg));
        }
        text.push('\n');
    }
    if let Some(examples) = command.get_after_help() {
        let _ = writeln!(text, "```text\n{}\n```\n", examples.to_string().trim());
    }
    for command in below {
        tell(command, &name, list, text);
    }
}

/// A flag or a place: how it is typed, its default, its choices, what it does.
fn item(arg: &Arg) -> String {
    let values =
        arg.get_value_names().unwrap_or_default().iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" ");
    let takes = arg.get_action().takes_values();
    let optional = arg.get_num_args().is_some_and(|range| range.min_values() == 0);
    let typed = match (arg.get_long(), takes, optional) {
        (Some(long), false, _) => format!("--{long}"),
        (Some(long), true, false) => format!("--{long} {values}"),
        (Some(long), true, true) => format!("--{long} [{values}]"),
        (None, ..) => values,
    };
    let mut text = format!("`{typed}`");
    if matches!(arg.get_action(), ArgAction::Append) {
        text.push_str(" ...");
    }
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    text.push_str(": ");
    text.push_str(&help.split_whitespace().collect::<Vec<_>>().join(" "));
    let choices: Vec<_> = arg.get_possible_values().iter().filter(|value| !value.is_hide_set()).cloned().collect();
    if takes && !choices.is_empty() {
        let names: Vec<_> = choices
            .iter()
            .map(|value| match value.get_help() {
                Some(about) => format!("`{}` ({})", value.get_name(), about.to_string().trim_end_matches('.')),
                None => format!("`{}`", value.get_name()),
            })
            .collect();
        let _ = write!(text, ". One of {}", names.join(", "));
    }
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    if takes && !defaults.is_empty() {
        let _ = write!(text, " [default: `{}`]", defaults.join(",").escape_debug());
    }
    text
}

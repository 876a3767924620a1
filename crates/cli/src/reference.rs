//! The reference of the command line (`docs/cli.md`), made of the same text as `--help`.

use std::fmt::Write as _;

use clap::{Arg, Command};

use crate::exit::Exit;

/// All commands with their help, as Markdown.
pub(crate) fn markdown(root: &mut Command) -> String {
    root.build();
    let mut page = String::from(
        "# Command line\n\nMade of `confman --help`; do not edit (`UPDATE=1 cargo test -p confman-cli` writes it).\n\n",
    );
    section(&mut page, root, 1);
    page.push_str("## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for exit in Exit::ALL {
        // Writing to a string cannot fail.
        let _ = writeln!(page, "| {} | {} |", exit.code(), exit.meaning());
    }
    page.push_str("\n## Options for every command\n\n");
    options(
        &mut page,
        root.get_arguments()
            .filter(|argument| argument.is_global_set()),
    );
    for command in root
        .get_subcommands_mut()
        .filter(|command| is_shown(command))
    {
        section(&mut page, command, 2);
        for child in command
            .get_subcommands_mut()
            .filter(|command| is_shown(command))
        {
            section(&mut page, child, 3);
        }
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

fn is_shown(command: &Command) -> bool {
    !command.is_hide_set() && command.get_name() != "help"
}

/// One command: what it is for, how it is called, and its own arguments.
fn section(page: &mut String, command: &mut Command, level: usize) {
    let name = command
        .get_bin_name()
        .unwrap_or(command.get_name())
        .to_owned();
    if level > 1 {
        let _ = writeln!(page, "{} `{name}`\n", "#".repeat(level));
    }
    let about = command
        .get_long_about()
        .or(command.get_about())
        .map(ToString::to_string)
        .unwrap_or_default();
    about_text(page, &about);
    let usage = command.render_usage().to_string();
    let usage = usage.strip_prefix("Usage:").unwrap_or(&usage);
    let usage: Vec<_> = usage
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let _ = writeln!(page, "```text\n{}\n```\n", usage.join("\n"));
    let own = |argument: &&Arg| !argument.is_global_set() && !is_help(argument);
    options(page, command.get_arguments().filter(own));
}

fn is_help(argument: &Arg) -> bool {
    matches!(argument.get_id().as_str(), "help" | "version")
}

/// Paragraphs stay; what is indented under `Examples:` becomes code.
fn about_text(page: &mut String, about: &str) {
    let mut in_code = false;
    for line in about.lines() {
        let is_code = line.starts_with("  ");
        if is_code != in_code {
            page.push_str(if is_code { "\n```sh\n" } else { "```\n" });
            in_code = is_code;
        }
        page.push_str(if is_code { line.trim_start() } else { line });
        page.push('\n');
    }
    page.push_str(if in_code { "```\n\n" } else { "\n" });
}

fn options<'a>(page: &mut String, arguments: impl Iterator<Item = &'a Arg>) {
    let mut rows = String::new();
    for argument in arguments.filter(|argument| !argument.is_hide_set()) {
        let help = argument
            .get_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let defaults: Vec<_> = argument
            .get_default_values()
            .iter()
            .map(|value| value.to_string_lossy().into_owned())
            .collect();
        let default = match defaults.join(" ") {
            value
                if value.is_empty()
                    || argument.is_hide_default_value_set()
                    || !argument.get_action().takes_values() =>
            {
                String::new()
            }
            value => format!(" (default `{value}`)"),
        };
        let _ = writeln!(
            rows,
            "| `{}` | {}{default} |",
            spelled(argument).replace('|', "\\|"),
            help.replace('|', "\\|")
        );
    }
    if !rows.is_empty() {
        let _ = writeln!(page, "| | |\n|---|---|\n{rows}");
    }
}

/// `-m, --message <MESSAGE>`, `[ADDRESS]`.
fn spelled(argument: &Arg) -> String {
    let values: Vec<_> = argument
        .get_value_names()
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .collect();
    let value = values.join(" ");
    if argument.is_positional() {
        return match argument.is_required_set() {
            true => format!("<{value}>"),
            false => format!("[{value}]"),
        };
    }
    let mut names = Vec::new();
    names.extend(argument.get_short().map(|short| format!("-{short}")));
    names.extend(argument.get_long().map(|long| format!("--{long}")));
    match argument.get_action().takes_values() {
        true => format!("{} <{value}>", names.join(", ")),
        false => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use crate::args;

    /// `docs/cli.md` is what this makes; `UPDATE=1` writes it.
    #[cfg(feature = "server")]
    #[test]
    fn the_reference_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");
        let made = super::markdown(&mut args::whole());
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &made).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == made,
            "docs/cli.md is not what the help says; run `UPDATE=1 cargo test -p confman-cli`"
        );
    }

    #[test]
    fn the_command_line_is_consistent() {
        args::whole().debug_assert();
    }

    #[test]
    fn every_command_shows_examples_first() {
        for command in args::whole()
            .get_subcommands()
            .filter(|command| super::is_shown(command))
        {
            let about = command
                .get_long_about()
                .map(ToString::to_string)
                .unwrap_or_default();
            let third = about.lines().nth(2);
            assert_eq!(third, Some("Examples:"), "{}", command.get_name());
        }
    }
}

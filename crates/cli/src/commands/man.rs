use std::path::{Path, PathBuf};

use clap::Command;
use serde::Serialize;

use crate::args;
use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::text::{Text, count};

/// Print the manual page, or write those of every command
///
/// Examples:
///   confman man | man -l -
///   confman man set | man -l -
///   confman man --dir ~/.local/share/man/man1
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The command whose page to print, as in `ns create`
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    command: Vec<String>,

    /// Directory for the pages of every command; made if it is not there
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Written {
    directory: PathBuf,
    pages: Vec<String>,
}

impl Args {
    pub(crate) fn run(self, _cx: &Context) -> Result<Report, CliError> {
        let cli = args::whole();
        if let Some(directory) = self.dir {
            let failed = |error: std::io::Error| {
                CliError::io(format!("cannot write to `{}`", directory.display()), &error)
            };
            std::fs::create_dir_all(&directory).map_err(failed)?;
            let mut pages = Vec::new();
            write_pages(&directory, &cli, &mut pages).map_err(failed)?;
            let written = Written { directory, pages };
            return Ok(Report::one(written, |written| {
                let pages = count(written.pages.len(), "page");
                Text::line(&format!("wrote {pages} to {}", written.directory.display()))
            }));
        }
        let mut command = &cli;
        for name in &self.command {
            command = command.find_subcommand(name).ok_or_else(|| {
                CliError::usage(format!("there is no command `{name}`"))
                    .next("`confman help` lists them")
            })?;
        }
        let page = page(command).map_err(|error| CliError::io("cannot write the page", &error))?;
        Ok(Report::bytes(page))
    }
}

/// The pages of a command and of all below it.
fn write_pages(
    directory: &Path,
    command: &Command,
    pages: &mut Vec<String>,
) -> std::io::Result<()> {
    let name = format!("{}.1", file_name(command));
    std::fs::write(directory.join(&name), page(command)?)?;
    pages.push(name);
    let shown = |command: &&Command| !command.is_hide_set() && command.get_name() != "help";
    for below in command.get_subcommands().filter(shown) {
        write_pages(directory, below, pages)?;
    }
    Ok(())
}

/// `confman-ns-create`.
fn file_name(command: &Command) -> String {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    name.replace(' ', "-")
}

fn page(command: &Command) -> std::io::Result<Vec<u8>> {
    let named = command.clone().name(file_name(command));
    let mut bytes = Vec::new();
    clap_mangen::Man::new(named).render(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_that_shows_its_examples() {
        let directory = tempfile::tempdir().unwrap();
        let cli = args::whole();
        let mut pages = Vec::new();
        write_pages(directory.path(), &cli, &mut pages).unwrap();
        assert!(pages.contains(&"confman.1".to_owned()), "{pages:?}");
        assert!(
            pages.contains(&"confman-ns-create.1".to_owned()),
            "{pages:?}"
        );
        let set = std::fs::read_to_string(directory.path().join("confman-set.1")).unwrap();
        assert!(set.contains("Write a value into a draft"), "{set}");
        assert!(
            set.contains("confman set /teams/payments:limits/daily 100"),
            "{set}"
        );
    }
}

use clap::ValueEnum;

use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::text::Text;

/// Print the line that makes your shell complete confman's commands
///
/// Examples:
///   confman completions bash >> ~/.bashrc
///   confman completions zsh >> ~/.zshrc
///   confman completions fish > ~/.config/fish/completions/confman.fish
///
/// The line asks confman itself at the start of each shell, so that it never is out of
/// date. Namespaces, keys, revisions, drafts, tags and requests come from the server, where
/// it answers within a second. In bash the line also takes `:` and `@` out of what ends a
/// word (COMP_WORDBREAKS), because addresses have them. Changes nothing.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

/// Shells that can complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
    Elvish,
    Powershell,
}

impl Shell {
    fn line(self) -> &'static str {
        match self {
            Self::Bash => {
                "COMP_WORDBREAKS=${COMP_WORDBREAKS//[:@]/}; source <(COMPLETE=bash confman)"
            }
            Self::Zsh => "source <(COMPLETE=zsh confman)",
            Self::Fish => "COMPLETE=fish confman | source",
            Self::Elvish => "eval (E:COMPLETE=elvish confman | slurp)",
            Self::Powershell => {
                "$env:COMPLETE = \"powershell\"; confman | Out-String | Invoke-Expression; Remove-Item Env:\\COMPLETE"
            }
        }
    }
}

impl Args {
    pub(crate) fn run(self, _cx: &Context) -> Result<Report, CliError> {
        let line = self.shell.line();
        Ok(Report::one(line, |line| Text::line(line)))
    }
}

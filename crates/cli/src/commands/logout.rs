use crate::context::Context;
use crate::error::CliError;
use crate::keyring;
use crate::profile::Profiles;
use crate::report::Report;
use crate::settings::Chosen;

/// Forget a profile with its token
///
/// Examples:
///   confman logout
///   confman logout --profile prod
///
/// Forgets the active profile, or the one that is named. The token itself stays valid at
/// the server. Undo: `confman login`.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let path = Profiles::path()?;
        let mut profiles = Profiles::load(&path)?;
        let chosen = cx.flags().profile.or(Chosen::from_environment().profile);
        let Some(name) = chosen.or(profiles.active.clone()) else {
            return Err(CliError::usage("no profile is active").next("name one with --profile"));
        };
        let profile = profiles.get(&name)?;
        let server = profile.server.clone();
        if profile.in_keyring {
            keyring::forget(&server);
        }
        profiles.profiles.remove(&name);
        profiles.active = profiles.active.filter(|active| *active != name);
        profiles.save(&path)?;
        cx.ui.note(&format!("forgot profile `{name}` for {server}"));
        Ok(Report::nothing())
    }
}

//! The command line as types: flags for every command, and which commands there are.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::commands;
use crate::place::Place;
use crate::settings::Chosen;
use crate::ui::{ColorWhen, Ui};

/// Git-style configuration for services: drafted, reviewed, published, kept for ever
///
/// Examples:
///   confman serve --dev                          # a server to try things out, in a terminal of its own
///   confman ns create /teams/payments --owner payments-team@company.com
///   confman set /teams/payments:limits/daily 100 --type number -m "first limit"
///   confman publish /teams/payments
///   confman get /teams/payments:limits/daily
///   confman clone /teams/payments                # the same as files, with status, diff and push
///
/// Addresses are NAMESPACE[@REV][:KEY]. A revision is `published` (the default), `published~3`,
/// `draft/NAME`, at least 8 digits of a commit, a tag, or a time: `{2026-11-20T10:00Z}`, `{2h ago}`.
#[derive(Debug, Parser)]
#[command(
    name = "confman",
    version,
    verbatim_doc_comment,
    disable_help_subcommand = false,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_long_help = AFTER_HELP
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Environment:
  CONFMAN_SERVER, CONFMAN_PROFILE        like --server and --profile, which win
  CONFMAN_TOKEN, CONFMAN_TOKEN_FILE      the token; never given as an argument, where others could see it
  CONFMAN_CLIENT_ID                      which reader this is, for what is published gradually
  CONFMAN_PAGER, PAGER                   for log, diff and history on a terminal; `cat` for none
  NO_COLOR                               no colour
  CONFMAN_TRUSTED_DIRECTORIES            working copies of other users that may be used, separated by `:`

Exit codes:
  0 done · 1 failed, or a difference under --exit-code · 2 usage · 3 not found · 4 not allowed ·
  5 conflict or stale · 6 invalid or corrupt · 7 unreachable · 8 confirmation needed · 10 a defect ·
  130 stopped by Ctrl-C";

/// Flags for every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Options for every command")]
pub(crate) struct GlobalArgs {
    /// URL of the server, or of several nodes of one cluster, separated by commas [env: CONFMAN_SERVER]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) server: Option<String>,

    /// File that holds the token [env: CONFMAN_TOKEN_FILE, or the token itself in CONFMAN_TOKEN]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// Profile to take server and token from [env: CONFMAN_PROFILE]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,

    /// Print JSON, exactly as the HTTP API has it; lists are one document a line
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Print what a filter of jq makes of the JSON, texts without quotes; implies --json
    #[arg(long, global = true, value_name = "FILTER")]
    pub(crate) jq: Option<String>,

    /// Ask nothing; what needs an answer ends with exit code 8
    #[arg(long, global = true)]
    pub(crate) no_input: bool,

    /// When to use colour
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true
    )]
    pub(crate) color: ColorWhen,

    /// Say nothing but errors beside the data
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Say what is being done
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

impl GlobalArgs {
    /// How to talk to whoever started this.
    pub(crate) fn ui(&self) -> Ui {
        Ui::new(
            self.json || self.jq.is_some(),
            self.quiet,
            self.verbose,
            self.no_input,
            self.color,
        )
    }

    /// What the flags say about server and identity.
    pub(crate) fn chosen(&self) -> Chosen {
        Chosen {
            server: self.server.clone(),
            token: None,
            token_file: self.token_file.clone(),
            profile: self.profile.clone(),
        }
    }
}

/// Every command. The arguments of one are made when it is the one that was called.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    // The working copy.
    Clone(commands::clone::Args),
    Status(commands::status::Args),
    Pull(commands::pull::Args),
    Push(commands::push::Args),
    Diff(commands::diff::Args),
    Log(commands::log::Args),
    Show(commands::show::Args),
    Blame(commands::blame::Args),
    Restore(commands::restore::Args),
    Resolve(commands::resolve::Args),
    // Values, no working copy needed.
    Get(commands::get::Args),
    Set(commands::set::Args),
    Edit(commands::edit::Args),
    Unset(commands::unset::Args),
    Ls(commands::ls::Args),
    Tree(commands::tree::Args),
    Explain(commands::explain::Args),
    Search(commands::search::Args),
    History(commands::history::Args),
    // From draft to published, and back.
    Draft(commands::draft::Args),
    Publish(commands::publish::Args),
    Request(commands::request::Args),
    Rollback(commands::rollback::Args),
    Tag(commands::tag::Args),
    Import(commands::import::Args),
    Export(commands::export::Args),
    // At run time.
    #[cfg(unix)]
    Run(commands::run::Args),
    Watch(commands::watch::Args),
    #[cfg(unix)]
    Agent(commands::agent::Args),
    // Namespaces, identity and the server.
    Ns(commands::ns::Args),
    Login(commands::login::Args),
    Logout(commands::logout::Args),
    Whoami(commands::whoami::Args),
    Token(commands::token::Args),
    Principal(commands::principal::Args),
    Group(commands::group::Args),
    Issuer(commands::issuer::Args),
    Schema(commands::schema::Args),
    Rotations(commands::rotations::Args),
    Audit(commands::audit::Args),
    #[cfg(feature = "server")]
    Serve(commands::serve::Args),
    Cluster(commands::cluster::Args),
    #[cfg(feature = "server")]
    Backup(commands::backup::Args),
    #[cfg(feature = "server")]
    Recover(commands::recover::Args),
    Fsck(commands::fsck::Args),
    Doctor(commands::doctor::Args),
    Api(commands::api::Args),
    Config(commands::config::Args),
    Completions(commands::completions::Args),
    Man(commands::man::Args),
    Version(commands::version::Args),
    #[command(hide = true)]
    HelpMarkdown(commands::help_markdown::Args),
}

/// The command line with all of its commands.
pub(crate) fn whole() -> clap::Command {
    let mut whole = Cli::command();
    whole.build();
    whole
}

impl Cli {
    /// Reads the words of a command line.
    pub(crate) fn read(
        words: impl IntoIterator<Item = OsString> + Clone,
    ) -> Result<Self, clap::Error> {
        let read = |command: clap::Command| {
            let matches = command.try_get_matches_from(words.clone())?;
            Self::from_arg_matches(&matches)
        };
        match read(Self::command()) {
            Ok(cli) => Ok(cli),
            Err(error) if error.kind() == ErrorKind::DisplayVersion => Err(error),
            // What is said about it may speak of any command.
            Err(_) => read(whole()),
        }
    }
}

impl Command {
    /// What the command is about, of those that are about one place.
    pub(crate) fn place(&self) -> Option<Place> {
        match self {
            Self::Clone(args) => Some(Place {
                namespace: Some(args.namespace.clone()),
                ..Place::default()
            }),
            Self::Get(args) => Some(args.place.clone()),
            Self::Set(args) => Some(args.place.clone()),
            Self::Edit(args) => Some(args.place.clone()),
            Self::Unset(args) => Some(args.place.clone()),
            Self::Explain(args) => Some(args.place.clone()),
            Self::History(args) => Some(args.place.clone()),
            Self::Import(args) => Some(args.place.clone()),
            Self::Ls(args) => args.place.clone(),
            Self::Log(args) => args.place.clone(),
            Self::Show(args) => args.place.clone(),
            Self::Blame(args) => args.place.clone(),
            Self::Publish(args) => args.place.clone(),
            Self::Rollback(args) => args.place.clone(),
            Self::Export(args) => args.place.clone(),
            Self::Watch(args) => args.place.clone(),
            #[cfg(unix)]
            Self::Run(args) => args.place.clone(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, ErrorKind> {
        let words = shlex::split(line).unwrap();
        let words = std::iter::once("confman".to_owned()).chain(words);
        Cli::read(words.map(OsString::from).collect::<Vec<_>>()).map_err(|error| error.kind())
    }

    #[test]
    fn command_lines_that_are_understood() {
        for line in [
            "clone /teams/payments",
            "clone / DIR -r --draft x --full-history",
            "status --json",
            "push -m why --publish",
            "diff",
            "diff @published~1 @draft/x --stat",
            "diff /a@published /b@draft/x --exit-code",
            "log -n 3 --oneline",
            "show '/a@{2h ago}'",
            "restore a b/c --from published~3",
            "restore --all -y",
            "resolve",
            "resolve a b/c --theirs",
            "resolve --all --value -5 -t number",
            "resolve --list",
            "edit /a:b -t json --publish -m why",
            "doctor",
            "api GET /v1/whoami -H 'Accept: text/plain' -i",
            "api POST /v1/x --input -",
            "man ns create",
            "man --dir DIR",
            "get /a:b --at '2h ago' --origin",
            "--server http://x get /a:b",
            "get /a:b --server http://x --no-input --color never -vv",
            "set /a:b -5 --type number",
            "set /a:b - -t json --publish -m why --tag x --tag y --description d",
            "set /a:b --message why -- --odd",
            "unset /a:b --remove",
            "ls",
            "ls /a --own --prefix x/ --name-only",
            "draft list",
            "draft show /a",
            "draft delete /a x --yes",
            "publish",
            "publish /a --draft x --key k --key l --expect 0123",
            "rollback /a --to published~1 --yes",
            "rollback /a --to '2h ago' --key k",
            "tag create /a@published~1 v1",
            "tag list /a",
            "tag delete /a v1",
            "import /a -",
            "import /a x.json --publish",
            "import /a x.yaml --dry-run --prune",
            "import /a - --format consul --strip-prefix app/",
            "import /a DIR --format spring --app payments --env prod",
            "import /a --git - --namespaces depth=2 --skip-invalid",
            "export /a --git --all-commits --branch x",
            "export /a --own --at 2026-11-20",
            "export /a -f yaml -o x.yaml --only 'db/*' --except db/admin",
            "export /a --format env --resolve --no-fallback --also http://y",
            "run /a -- ls -l",
            "run --prefix APP_ --pristine --file toml:x --on-change SIGHUP --splay 5 -- ls",
            "watch /a --to x --format yaml --exec 'echo a b' --once",
            "watch /a:b",
            "agent -n /a -n /b --listen unix:/run/a.sock --state DIR",
            "agent --config agent.toml",
            "ns create /a --owner o --no-inherit --admin x --admin y",
            "ns list",
            "ns list --deleted",
            "ns show /a",
            "ns show /a --effective --at '2h ago'",
            "ns show --history",
            "ns grant /a editor ann group:dev",
            "ns revoke /a admin ann",
            "ns set /a minApprovers=2 environment= --owner o --inherit false --schema ''",
            "ns edit /a",
            "ns explain /a --principal ann --permission config:publish --at 2026-11-20",
            "ns delete /a --recursive -y",
            "ns restore /a --deletion 0123456789abcdef",
            "explain /a:b --at '2h ago'",
            "search timeout",
            "search --tag pci --value x --under /a -n 3 --jq .key",
            "audit --actor ann --action namespace. --since '2h ago' --until 9 --request r --ref /a@policy",
            "audit --follow",
            "audit --verify",
            "login --server http://x --profile p",
            "login --token-stdin --server http://x",
            "login --oidc corp --no-browser",
            "login --server http://x --keyring never",
            "token create --name x --principal ci --scope /a --role editor --expires 90d",
            "token list --all",
            "token revoke 0123456789abcdef",
            "principal create ci --service",
            "principal create ann --issuer corp --subject 1",
            "principal show",
            "principal disable ann",
            "group create dev --member ann --member group:ops",
            "group add dev ann bob",
            "group delete dev -y",
            "issuer set corp --url https://x --client-id c",
            "issuer set corp --file -",
            "issuer delete corp --yes",
            "logout",
            "whoami",
            "audit /a -n 5",
            "backup create s3://bucket/prefix",
            "backup create DIR --data DATA",
            "backup list DIR",
            "backup verify DIR --all",
            "backup restore DIR --data NEW --at '2h ago' --point 7",
            "fsck --data DIR",
            "fsck",
            "config show",
            "config --show-origin",
            "diff /a /b -y --reveal",
            "diff --patch",
            "completions zsh",
            "version --remote",
        ] {
            assert!(parse(line).is_ok(), "{line}: {:?}", parse(line).err());
        }
    }

    #[test]
    fn command_lines_that_are_refused() {
        let table = [
            ("", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
            ("frobnicate", ErrorKind::InvalidSubcommand),
            ("get", ErrorKind::MissingRequiredArgument),
            ("get /A:b", ErrorKind::ValueValidation),
            ("get /a:b --at ''", ErrorKind::ValueValidation),
            ("set /a:b", ErrorKind::MissingRequiredArgument),
            ("set /a:b 1 --type int", ErrorKind::ValueValidation),
            ("set /a:b 1 --draft UPPER", ErrorKind::ValueValidation),
            ("push", ErrorKind::MissingRequiredArgument),
            ("rollback /a", ErrorKind::MissingRequiredArgument),
            ("restore", ErrorKind::MissingRequiredArgument),
            ("restore --all k", ErrorKind::ArgumentConflict),
            ("resolve k --ours --theirs", ErrorKind::ArgumentConflict),
            ("resolve k -t json", ErrorKind::MissingRequiredArgument),
            ("edit", ErrorKind::MissingRequiredArgument),
            ("request list --state opne", ErrorKind::ValueValidation),
            ("search", ErrorKind::MissingRequiredArgument),
            ("api GET", ErrorKind::MissingRequiredArgument),
            ("ns grant /a owner ann", ErrorKind::ValueValidation),
            ("ns grant /a editor", ErrorKind::MissingRequiredArgument),
            ("ns set /a minApprovers", ErrorKind::ValueValidation),
            ("ns show /a --at now", ErrorKind::MissingRequiredArgument),
            ("audit --verify --follow", ErrorKind::ArgumentConflict),
            ("diff --stat --text", ErrorKind::ArgumentConflict),
            ("import /a", ErrorKind::MissingRequiredArgument),
            ("import /a x.json --git .", ErrorKind::ArgumentConflict),
            ("import /a x.json --format ini", ErrorKind::ValueValidation),
            (
                "import /a x.json --dry-run --publish",
                ErrorKind::ArgumentConflict,
            ),
            (
                "import /a x.json --namespaces depth=1",
                ErrorKind::ArgumentConflict,
            ),
            (
                "import /a --git . --namespaces 1",
                ErrorKind::ValueValidation,
            ),
            ("export /a --resolve -o x", ErrorKind::ArgumentConflict),
            ("export /a --format xml", ErrorKind::ValueValidation),
            ("run /a", ErrorKind::MissingRequiredArgument),
            ("run /a --on-change KILL -- x", ErrorKind::ValueValidation),
            ("run /a --prefix 1 -- x", ErrorKind::ValueValidation),
            ("agent --listen 0.0.0.0:1", ErrorKind::ValueValidation),
            ("watch /a --format yaml", ErrorKind::MissingRequiredArgument),
            ("whoami -q -v", ErrorKind::ArgumentConflict),
            ("whoami --token secret", ErrorKind::UnknownArgument),
            ("login --token secret", ErrorKind::UnknownArgument),
            (
                "login --token-stdin --oidc corp",
                ErrorKind::ArgumentConflict,
            ),
            ("token create --role owner", ErrorKind::ValueValidation),
            ("token create --expires soon", ErrorKind::ValueValidation),
            ("principal create Ann", ErrorKind::ValueValidation),
            (
                "principal create ann --issuer corp",
                ErrorKind::MissingRequiredArgument,
            ),
            ("group add dev", ErrorKind::MissingRequiredArgument),
            ("issuer set corp", ErrorKind::MissingRequiredArgument),
            ("--version", ErrorKind::DisplayVersion),
            ("help get", ErrorKind::DisplayHelp),
            ("--help", ErrorKind::DisplayHelp),
        ];
        for (line, kind) in table {
            assert_eq!(parse(line).err(), Some(kind), "{line}");
        }
    }

    #[cfg(feature = "server")]
    #[test]
    fn a_server_needs_a_place_for_its_data() {
        assert!(parse("serve --dev --listen 127.0.0.1:0").is_ok());
        assert!(parse("serve --data DIR").is_ok());
        assert_eq!(
            parse("serve").err(),
            Some(ErrorKind::MissingRequiredArgument)
        );
        assert_eq!(
            parse("serve --dev --data DIR").err(),
            Some(ErrorKind::ArgumentConflict)
        );
    }
}

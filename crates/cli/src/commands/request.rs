use std::path::PathBuf;
use std::str::FromStr;

use clap::Subcommand;
use confman_api::request::{
    AbortWrite, CommentWrite, KeysWrite, PromoteWrite, PublishRequest, RequestCreate, RequestEdit,
    RequestPublish, ReviewWrite, ScheduleWrite, Stage, TargetWrite, WithdrawWrite,
};
use confman_client::client::RequestsQuery;
use confman_model::{DraftName, Key, Namespace};
use jiff::{SignedDuration, Timestamp};

use super::history::limit_of_page;
use crate::comparison;
use crate::context::{Connection, Context, pages};
use crate::draft;
use crate::error::{CliError, chain};
use crate::exit::Exit;
use crate::likeness::closest;
use crate::place::{Place, name};
use crate::render;
use crate::render::diff::{Detail, Secrets, View};
use crate::report::{Report, output};
use crate::text::short;
use crate::working_directory::{find, namespace_or_here};

/// Fewest digits of a proposal that --expect takes.
const EXPECT_CHARS_MIN: usize = 8;

/// Ask for a draft to be published, review it, publish it
///
/// Examples:
///   confman request create /teams/payments@draft/raise-timeout --title "slow bank"
///   confman request list --waiting                       # what waits for my approval
///   confman request show 42
///   confman request diff 42                              # what it would change now
///   confman request impact 42                            # and what inherits it
///   confman request approve 42 --expect 1a2b3c4d5e6f     # what was shown, or nothing
///   confman request publish 42
///   confman request schedule 42 --at 2026-12-01T06:00:00Z
///
/// A request goes from `pending_review` to `approved` to `published`. Approvals are for what
/// was shown: whatever changes the draft or the request voids them. Who submitted a request
/// or changed its draft does not approve it, unless the namespace allows it.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: RequestCommand,
}

#[derive(Debug, Subcommand)]
enum RequestCommand {
    /// Ask for drafts to be published, together
    ///
    /// Examples:
    ///   confman request create /teams/payments --title "slow bank"        # your own draft
    ///   confman request create /teams/payments@draft/a /teams/refunds@draft/b --title "new bank"
    ///   confman request create --title "only the limit" --key limits/daily  # in a working copy
    ///   confman request create /teams/payments --title "new bank" --stage 1%:10m --stage 25%:1h
    ///
    /// With stages, publishing gives it to a part of the readers first (those that say who they are:
    /// CONFMAN_CLIENT_ID), then to more, and to all after the last. `promote` and `abort` end that at once.
    ///
    /// Undo: `confman request withdraw N`; the drafts stay.
    #[command(verbatim_doc_comment)]
    Create(Create),
    /// List requests, newest first
    ///
    /// Examples:
    ///   confman request list                         # all that are not closed
    ///   confman request list /teams --waiting
    ///   confman request list --state published -n 10
    #[command(verbatim_doc_comment)]
    List(List),
    /// Show one: what it changes, what was said, what is missing
    Show {
        /// Its number
        request: Number,
    },
    /// Show what it changes, by meaning
    Diff {
        /// Its number
        request: Number,
        /// Only this namespace of it
        #[arg(value_parser = name::<Namespace>)]
        namespace: Option<Namespace>,
        /// How much changed per key, and in all
        #[arg(long, group = "detail")]
        stat: bool,
        /// The values as text, line by line
        #[arg(long, group = "detail")]
        text: bool,
        /// Show values that look like secrets by their names, instead of masking them
        #[arg(long)]
        reveal: bool,
    },
    /// Show its blast radius: every namespace and key whose effective value it would change
    ///
    /// Also shown: changes that an override makes void, and rules that would be broken.
    #[command(verbatim_doc_comment)]
    Impact {
        /// Its number
        request: Number,
    },
    /// Copy its draft into files, to try it or to change it
    Checkout {
        /// Its number
        request: Number,
        /// Where to; the last part of the namespace if not given
        directory: Option<PathBuf>,
    },
    /// Say something about it
    Comment {
        /// Its number
        request: Number,
        /// What
        #[arg(long, short)]
        message: String,
    },
    /// Approve it as it is, or as --expect says
    Approve(Review),
    /// Reject it; whoever submitted it can edit it and ask again
    Reject {
        /// Its number
        request: Number,
        /// Why
        #[arg(long, short)]
        message: String,
    },
    /// Change title, description or keys, and ask again; every approval is void then
    ///
    /// Examples:
    ///   confman request edit 42                              # after a rejection: ask again
    ///   confman request edit 42 --title "slower bank"
    ///   confman request edit 42 --key limits/daily
    #[command(verbatim_doc_comment)]
    Edit(Edit),
    /// Publish it, all of its namespaces together or nothing
    ///
    /// Examples:
    ///   confman request publish 42
    ///   confman request publish 42 --expect 1a2b3c4d5e6f
    ///   confman request publish 42 --emergency "the bank is down"
    ///
    /// If other keys were published meanwhile, both are kept; if the same keys were, it is
    /// refused with exit code 5. An emergency goes past review, freeze and guards, and an
    /// admin has to look at it afterwards (`confman request acknowledge`).
    ///
    /// Undo: `confman rollback NAMESPACE --to published~1`.
    #[command(verbatim_doc_comment)]
    Publish(Publish),
    /// Let it publish itself at a time, as it is now
    ///
    /// Examples:
    ///   confman request schedule 42 --at 2026-12-01T06:00:00Z
    ///   confman request schedule 42 --at 2h
    ///   confman request schedule 42 --cancel
    ///
    /// Everything is looked at again when it is due: rights, approvals, schemas, conflicts,
    /// freezes. What does not hold then is suspended and never published.
    #[command(verbatim_doc_comment)]
    Schedule(Schedule),
    /// Publish to all readers what a part of them has
    ///
    /// Examples:
    ///   confman request promote 42
    #[command(verbatim_doc_comment)]
    Promote {
        /// Its number
        request: Number,
        /// Refuse if the proposal is not this any more: at least 8 digits of what was shown
        #[arg(long, value_name = "PROPOSAL")]
        expect: Option<String>,
    },
    /// Take back at once what a part of the readers has; the drafts stay
    ///
    /// Examples:
    ///   confman request abort 42 -m "errors in zone b"
    #[command(verbatim_doc_comment)]
    Abort {
        /// Its number
        request: Number,
        /// Why
        #[arg(long, short)]
        message: String,
    },
    /// Take it back; the drafts stay
    Withdraw {
        /// Its number
        request: Number,
        /// Why
        #[arg(long, short, default_value = "", hide_default_value = true)]
        message: String,
    },
    /// Note that you, an admin, have looked at an emergency
    Acknowledge {
        /// Its number
        request: Number,
    },
}

/// The number of a request: `42`, `#42` or `pr-42`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Number(u64);

impl FromStr for Number {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix('#').or(text.strip_prefix("pr-"));
        match digits.unwrap_or(text).parse() {
            Ok(number) if number > 0 => Ok(Self(number)),
            _ => {
                Err("the number of a request is 1 or more, as in `42`, `#42` or `pr-42`".to_owned())
            }
        }
    }
}

#[derive(Debug, clap::Args)]
struct Create {
    /// NAMESPACE[@draft/NAME] of each draft; in a working copy, its own if none is named
    #[arg(value_name = "ADDRESS")]
    places: Vec<Place>,
    /// What it is about, in one line
    #[arg(long, short)]
    title: String,
    /// Why, for the reviewers
    #[arg(long, short, default_value = "", hide_default_value = true)]
    description: String,
    /// Publish only this key; repeat for more
    #[arg(long = "key", value_name = "KEY", value_parser = name::<Key>)]
    keys: Vec<Key>,
    /// Publish to so many percent of the readers first, for so long; repeat for more steps
    #[arg(long = "stage", value_name = "PERCENT%[:TIME]", value_parser = stage)]
    stages: Vec<Stage>,
}

/// Reads a step of a gradual publish for clap.
fn stage(text: &str) -> Result<Stage, String> {
    let wrong = || {
        "a stage is a part of the readers and how long, as in `10%:30m`; the last may leave out how long"
            .to_owned()
    };
    let (percent, lasts) = match text.split_once(':') {
        Some((percent, lasts)) => (percent, Some(lasts)),
        None => (text, None),
    };
    if lasts.is_some_and(|lasts| lasts.parse::<SignedDuration>().is_err()) {
        return Err(wrong());
    }
    Ok(Stage {
        percent: percent
            .strip_suffix('%')
            .unwrap_or(percent)
            .parse()
            .map_err(|_| wrong())?,
        lasts: lasts.map(str::to_owned),
    })
}

/// What `--state` takes beside the states themselves, and these.
const STATES: [&str; 10] = [
    "open",
    "all",
    "pending_review",
    "approved",
    "rejected",
    "scheduled",
    "rolling_out",
    "suspended",
    "published",
    "withdrawn",
];

/// States with commas between them. A slip is told; what is a state is the server's to say.
fn states(text: &str) -> Result<String, String> {
    let unknown = text.split(',').find(|state| !STATES.contains(state));
    match unknown.map(|state| (state, closest(state, STATES))) {
        Some((state, Some(meant))) => {
            Err(format!("`{state}` is no state; did you mean `{meant}`?"))
        }
        _ => Ok(text.to_owned()),
    }
}

#[derive(Debug, clap::Args)]
struct List {
    /// Only about this namespace or those below it
    #[arg(value_parser = name::<Namespace>)]
    namespace: Option<Namespace>,
    /// States with commas between them, `open` or `all`
    #[arg(long, value_name = "STATE", default_value = "open", value_parser = states)]
    state: String,
    /// Only those submitted by this principal
    #[arg(long, value_name = "WHO", conflicts_with = "mine")]
    author: Option<String>,
    /// Only your own
    #[arg(long)]
    mine: bool,
    /// Only those that wait for your approval
    #[arg(long)]
    waiting: bool,
    /// Only emergencies that no admin has looked at, whatever their state
    #[arg(long)]
    unacknowledged: bool,
    /// At most so many
    #[arg(long, short = 'n', value_name = "N")]
    limit: Option<usize>,
}

#[derive(Debug, clap::Args)]
struct Review {
    /// Its number
    request: Number,
    /// What to say with it
    #[arg(long, short, default_value = "", hide_default_value = true)]
    message: String,
    /// Refuse if the proposal is not this any more: at least 8 digits of what was shown
    #[arg(long, value_name = "PROPOSAL")]
    expect: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Edit {
    /// Its number
    request: Number,
    /// Another title
    #[arg(long, short)]
    title: Option<String>,
    /// Another description
    #[arg(long, short)]
    description: Option<String>,
    /// Publish only this key; repeat for more
    #[arg(long = "key", value_name = "KEY", value_parser = name::<Key>)]
    keys: Vec<Key>,
    /// Publish all that the draft changes
    #[arg(long, conflicts_with = "keys")]
    all_keys: bool,
    /// Publish to so many percent of the readers first, for so long; repeat for more steps
    #[arg(long = "stage", value_name = "PERCENT%[:TIME]", value_parser = stage)]
    stages: Vec<Stage>,
    /// Publish to all readers at once
    #[arg(long, conflicts_with = "stages")]
    all_at_once: bool,
    /// The namespace whose keys are meant, where the request has several
    #[arg(long, value_name = "NAMESPACE", value_parser = name::<Namespace>)]
    namespace: Option<Namespace>,
}

#[derive(Debug, clap::Args)]
struct Publish {
    /// Its number
    request: Number,
    /// Message of the published commits; title and description if not given
    #[arg(long, short)]
    message: Option<String>,
    /// Refuse if the proposal is not this any more: at least 8 digits of what was shown
    #[arg(long, value_name = "PROPOSAL")]
    expect: Option<String>,
    /// Go past review, freeze and guards for this reason; everybody will see it
    #[arg(long, value_name = "REASON")]
    emergency: Option<String>,
    /// Set or change deprecated keys all the same
    #[arg(long)]
    acknowledge_deprecated: bool,
}

#[derive(Debug, clap::Args)]
struct Schedule {
    /// Its number
    request: Number,
    /// When: RFC 3339, or a span from now as in `2h` or `30min`
    #[arg(long, value_name = "TIME", required_unless_present = "cancel", value_parser = moment_to_come)]
    at: Option<Timestamp>,
    /// Take the schedule back
    #[arg(long, conflicts_with_all = ["at", "expect"])]
    cancel: bool,
    /// Refuse if the proposal is not this any more: at least 8 digits of what was shown
    #[arg(long, value_name = "PROPOSAL")]
    expect: Option<String>,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let connection = cx.connect()?;
        let client = &connection.client;
        let shown = match self.command {
            RequestCommand::List(list) => return list.run(cx, &connection),
            RequestCommand::Diff {
                request,
                namespace,
                stat,
                text,
                reveal,
            } => {
                let detail = match (stat, text) {
                    (true, _) => Detail::Stat,
                    (_, true) => Detail::Text,
                    _ => Detail::Semantic,
                };
                let secrets = Secrets::revealed(reveal);
                let view = View { detail, secrets };
                return diff(cx, &connection, request, namespace.as_ref(), view);
            }
            RequestCommand::Impact { request } => {
                let found = connection.wait(client.request_impact(request.0))?;
                return Ok(Report::one(found, render::impact::all));
            }
            RequestCommand::Checkout { request, directory } => {
                return checkout(cx, &connection, request, directory);
            }
            RequestCommand::Create(create) => create.run(&connection)?,
            RequestCommand::Show { request } => connection.wait(client.request(request.0))?,
            RequestCommand::Comment { request, message } => {
                let write = CommentWrite { text: message };
                connection.wait(client.comment_on_request(request.0, &write))?
            }
            RequestCommand::Approve(review) => {
                let proposal = proposal(&connection, review.request, review.expect.as_deref())?;
                let write = ReviewWrite {
                    decision: "approve".to_owned(),
                    comment: review.message,
                    expected_head: Some(proposal),
                };
                connection.wait(client.review_request(review.request.0, &write))?
            }
            RequestCommand::Reject { request, message } => {
                let write = ReviewWrite {
                    decision: "reject".to_owned(),
                    comment: message,
                    expected_head: None,
                };
                connection.wait(client.review_request(request.0, &write))?
            }
            RequestCommand::Edit(edit) => edit.run(&connection)?,
            RequestCommand::Publish(publish) => {
                let published = publish.run(&connection)?;
                note_undo(cx, &published);
                published
            }
            RequestCommand::Promote { request, expect } => {
                let expected_head = match expect {
                    Some(expect) => Some(proposal(&connection, request, Some(&expect))?),
                    None => None,
                };
                let write = PromoteWrite { expected_head };
                let published = connection.wait(client.promote_request(request.0, &write))?;
                note_undo(cx, &published);
                published
            }
            RequestCommand::Abort { request, message } => {
                let write = AbortWrite { reason: message };
                connection.wait(client.abort_request(request.0, &write))?
            }
            RequestCommand::Schedule(schedule) => schedule.run(&connection)?,
            RequestCommand::Withdraw { request, message } => {
                let write = WithdrawWrite { reason: message };
                connection.wait(client.withdraw_request(request.0, &write))?
            }
            RequestCommand::Acknowledge { request } => {
                connection.wait(client.acknowledge_emergency(request.0))?
            }
        };
        for warning in &shown.warnings {
            cx.ui.warn(warning);
        }
        for step in render::request::next_steps(&shown) {
            cx.ui.note(&step);
        }
        Ok(Report::one(shown, render::request::whole))
    }
}

/// Says how what was published is undone.
fn note_undo(cx: &Context, published: &PublishRequest) {
    if published.state != "published" {
        return;
    }
    for target in &published.targets {
        let namespace = &target.namespace;
        cx.ui.note(&format!(
            "undo: confman rollback {namespace} --to published~1"
        ));
    }
}

impl Create {
    fn run(self, connection: &Connection) -> Result<PublishRequest, CliError> {
        if !self.keys.is_empty() && self.places.len() > 1 {
            return Err(CliError::usage(
                "--key picks keys of one namespace, and several are named",
            )
            .next("make one request for each, or leave --key out"));
        }
        let places = match self.places.is_empty() {
            true => vec![Place::default()],
            false => self.places,
        };
        let mut targets = Vec::new();
        for place in &places {
            place.no_key("name keys with --key")?;
            let namespace = namespace_or_here(place.namespace.as_ref())?;
            let draft = draft_of(connection, place)?;
            let found = connection.wait(connection.client.draft(&namespace, &draft));
            let found = found.map_err(|error| match error.exit {
                Exit::NotFound => error.next(format!(
                    "`confman draft list {namespace}` lists the drafts there are"
                )),
                _ => error,
            })?;
            targets.push(TargetWrite {
                namespace: namespace.to_string(),
                draft: Some(draft.to_string()),
                expected_head: Some(found.head),
                keys: texts(&self.keys),
            });
        }
        let write = RequestCreate {
            title: self.title,
            description: self.description,
            targets,
            stages: self.stages,
        };
        connection.wait(connection.client.create_request(&write))
    }
}

/// The draft that is named; in a working copy its own, else the caller's.
fn draft_of(connection: &Connection, place: &Place) -> Result<DraftName, CliError> {
    let named = match (place.draft()?, &place.namespace) {
        (None, None) => find()?.map(|here| here.copy.draft().clone()),
        (named, _) => named,
    };
    draft::choose(connection, named)
}

fn texts(keys: &[Key]) -> Option<Vec<String>> {
    (!keys.is_empty()).then(|| keys.iter().map(ToString::to_string).collect())
}

impl List {
    fn run(self, cx: &Context, connection: &std::rc::Rc<Connection>) -> Result<Report, CliError> {
        let author = match self.mine {
            true => Some(connection.wait(connection.client.whoami())?.principal),
            false => self.author,
        };
        let every_state = self.state == "all" || self.unacknowledged;
        let query = RequestsQuery {
            state: (!every_state).then_some(self.state),
            namespace: self.namespace,
            author,
            waiting: self.waiting,
            unacknowledged: self.unacknowledged,
            limit: limit_of_page(self.limit),
        };
        let connection = std::rc::Rc::clone(connection);
        let requests = pages(self.limit, move |cursor: Option<&str>| {
            let page = connection.wait(connection.client.requests(&query, cursor))?;
            Ok((page.items, page.next))
        });
        if cx.ui.json {
            return Ok(Report::stream(
                requests.map(|request| Ok(output(request?, render::request::whole))),
            ));
        }
        let all = requests.collect::<Result<Vec<_>, _>>()?;
        Ok(Report::one(all, |all| render::request::list(all)).paged())
    }
}

impl Edit {
    fn run(self, connection: &Connection) -> Result<PublishRequest, CliError> {
        let number = self.request.0;
        let mut targets = Vec::new();
        if self.all_keys || !self.keys.is_empty() {
            let namespace = match self.namespace {
                Some(namespace) => namespace.to_string(),
                None => {
                    let found = connection.wait(connection.client.request(number))?;
                    if found.targets.len() > 1 {
                        return Err(CliError::usage(
                            "the request has several namespaces, and none is named",
                        )
                        .next("name it with --namespace"));
                    }
                    found.namespace
                }
            };
            targets.push(KeysWrite {
                namespace,
                keys: texts(&self.keys),
            });
        }
        let write = RequestEdit {
            title: self.title,
            description: self.description,
            targets,
            stages: match (self.all_at_once, self.stages.is_empty()) {
                (true, _) => Some(Vec::new()),
                (false, true) => None,
                (false, false) => Some(self.stages),
            },
            expected_head: None,
        };
        connection.wait(connection.client.edit_request(number, &write))
    }
}

impl Publish {
    fn run(self, connection: &Connection) -> Result<PublishRequest, CliError> {
        let proposal = proposal(connection, self.request, self.expect.as_deref())?;
        let write = RequestPublish {
            expected_head: Some(proposal),
            message: self.message,
            emergency: self.emergency,
            acknowledge_deprecated: self.acknowledge_deprecated,
        };
        connection.wait(connection.client.publish_request(self.request.0, &write))
    }
}

impl Schedule {
    fn run(self, connection: &Connection) -> Result<PublishRequest, CliError> {
        let number = self.request.0;
        let Some(at) = self.at else {
            return connection.wait(connection.client.unschedule_request(number));
        };
        let write = ScheduleWrite {
            publish_at: at.to_string(),
            expected_head: Some(proposal(connection, self.request, self.expect.as_deref())?),
        };
        connection.wait(connection.client.schedule_request(number, &write))
    }
}

/// Reads a moment for clap: a time, or a span from now.
fn moment_to_come(text: &str) -> Result<Timestamp, String> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let span = text.parse::<SignedDuration>().ok();
    span.and_then(|span| Timestamp::now().checked_add(span).ok())
        .ok_or_else(|| {
            "it is a time as in `2026-12-01T06:00:00Z`, or a span from now as in `2h` or `30min`"
                .to_owned()
        })
}

/// The proposal as it is, which must be the one that was shown where that is stated.
fn proposal(
    connection: &Connection,
    request: Number,
    expected: Option<&str>,
) -> Result<String, CliError> {
    let number = request.0;
    let found = connection.wait(connection.client.request(number))?;
    let Some(proposal) = found.proposal else {
        let why = match found.state.as_str() {
            "published" | "withdrawn" => format!("it is {}", found.state),
            _ => "a draft of it is gone".to_owned(),
        };
        return Err(CliError::new(
            Exit::Conflict,
            format!("request #{number} proposes nothing"),
        )
        .because(why)
        .next(format!("confman request show {number}")));
    };
    let Some(expected) = expected else {
        return Ok(proposal);
    };
    let is_hex = expected.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex || expected.len() < EXPECT_CHARS_MIN {
        return Err(CliError::usage(format!(
            "--expect takes at least {EXPECT_CHARS_MIN} hex digits of a proposal"
        ))
        .next(format!("confman request show {number}")));
    }
    if proposal.starts_with(&expected.to_ascii_lowercase()) {
        return Ok(proposal);
    }
    Err(CliError::new(
        Exit::Conflict,
        format!("request #{number} is not what was shown to you"),
    )
    .because(format!("its proposal is {} now", short(&proposal)))
    .next(format!("look again: confman request diff {number}")))
}

fn diff(
    cx: &Context,
    connection: &Connection,
    request: Number,
    namespace: Option<&Namespace>,
    view: View,
) -> Result<Report, CliError> {
    let number = request.0;
    let found = connection.wait(connection.client.request(number))?;
    let mut shown = Vec::new();
    for target in &found.targets {
        let of: Namespace = target.namespace.parse().map_err(|error| {
            CliError::bug(format!("the server names a namespace: {}", chain(&error)))
        })?;
        if namespace.is_some_and(|namespace| *namespace != of) {
            continue;
        }
        let page = connection.wait(connection.client.request_diff(number, &of))?;
        let diffs = comparison::diffs_of(&page.changes)?;
        shown.push((page, diffs));
    }
    if shown.is_empty() {
        return Err(CliError::new(
            Exit::NotFound,
            format!("request #{number} is not about that namespace"),
        )
        .next(format!("confman request show {number}")));
    }
    for step in render::request::next_steps(&found) {
        cx.ui.note(&step);
    }
    let several = found.targets.len() > 1;
    let (pages, diffs): (Vec<_>, Vec<_>) = shown.into_iter().unzip();
    Ok(Report::one(pages, move |pages| {
        render::request::diff(pages, &diffs, view, several)
    })
    .paged())
}

/// Clones the namespace of a request with its draft checked out.
fn checkout(
    cx: &Context,
    connection: &Connection,
    request: Number,
    directory: Option<PathBuf>,
) -> Result<Report, CliError> {
    let number = request.0;
    let found = connection.wait(connection.client.request(number))?;
    let [target] = found.targets.as_slice() else {
        let drafts: Vec<String> = found
            .targets
            .iter()
            .map(|target| {
                format!(
                    "confman clone {} --draft {}",
                    target.namespace, target.draft
                )
            })
            .collect();
        return Err(CliError::usage(format!(
            "request #{number} has several namespaces, and a working copy has one"
        ))
        .next(drafts.join("; ")));
    };
    if target.head.is_none() || found.proposal.is_none() {
        return Err(CliError::new(
            Exit::NotFound,
            format!("the draft of request #{number} is gone"),
        )
        .next(format!("confman request diff {number}")));
    }
    let clone = super::clone::Args::of_draft(&target.namespace, &target.draft, directory)?;
    clone.run(cx)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_named_in_three_ways() {
        for text in ["42", "#42", "pr-42"] {
            assert_eq!(text.parse(), Ok(Number(42)));
        }
        for text in ["", "0", "-1", "#", "pr-x", "##1"] {
            assert!(text.parse::<Number>().is_err(), "{text}");
        }
    }
}

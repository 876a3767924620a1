use std::collections::BTreeMap;
use std::time::Duration;

use confman_api::commit::{ComparedSide, Comparison};
use confman_client::client::CompareQuery;
use confman_client::working_copy::Side;
use confman_model::json::{Pointer, quote};
use confman_model::{Entry, EntryDiff, Key, Namespace, Revision, Value};

use crate::comparison;
use crate::context::{Connection, Context};
use crate::error::CliError;
use crate::exit::Exit;
use crate::place::Place;
use crate::render;
use crate::render::diff::{Detail, Secrets, View};
use crate::render::hint::{Surroundings, hints};
use crate::report::Report;
use crate::working_directory::{Here, find, namespace_or_here};

/// Fewest columns of a terminal in which two sides have room beside each other.
const SIDES_WIDTH_MIN: usize = 80;

/// Show what differs, by meaning: per key, inside JSON per path
///
/// Examples:
///   confman diff                                          # a working copy against what it came from
///   confman diff @published                               # a working copy against what is published
///   confman diff /teams/payments@draft/raise              # what publishing the draft would change
///   confman diff /teams/payments@published~1 /teams/payments
///   confman diff /teams/payments /teams/refunds --stat    # two namespaces
///   confman diff @v2.1:limits @published:limits           # one key, in a working copy
///   confman diff /staging /production --patch             # what to change, as a JSON Patch
///
/// The old side comes first. Reordered members of JSON and `1.0` for `1` are the same,
/// written differently. Below a key stands what its change overrides further up and where it
/// has no effect. Values whose names say that they are secrets are masked, but for --json
/// and --patch. Changes nothing; with --exit-code a difference ends with 1.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The old side: NAMESPACE[@REV][:KEY], or @REV or :KEY in a working copy
    #[arg(value_name = "FROM")]
    from: Option<Place>,

    /// The new side; if left out, the files, or FROM is compared with what is published
    #[arg(value_name = "TO")]
    to: Option<Place>,

    /// How much changed per key, and in all
    #[arg(long, group = "detail")]
    stat: bool,

    /// The keys alone
    #[arg(long, group = "detail")]
    name_only: bool,

    /// The values as text, line by line
    #[arg(long, group = "detail")]
    text: bool,

    /// Both sides beside each other; where the terminal is too narrow, as without this
    #[arg(long, short = 'y', group = "detail")]
    side_by_side: bool,

    /// A JSON Patch (RFC 6902) that makes the new side of the old one, as an object of keys and values
    #[arg(long, group = "detail")]
    patch: bool,

    /// Show values that look like secrets by their names, instead of masking them
    #[arg(long)]
    reveal: bool,

    /// End with exit code 1 if there is a difference
    #[arg(long)]
    exit_code: bool,
}

/// Most keys about whose chains a server is asked.
const HINTS_ASKED_MAX: usize = 16;
/// How long one such answer may take.
const HINT_TIME_MAX: Duration = Duration::from_secs(1);

/// A comparison, its differences by meaning, and what stands around them.
type Differences = (Comparison, Vec<EntryDiff>, BTreeMap<Key, Surroundings>);

/// What to compare.
#[derive(Debug, PartialEq, Eq)]
enum Compared {
    /// Sides of a working copy.
    Local { from: Side, to: Side },
    /// Revisions on the server.
    Remote { from: Place, to: Place },
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let key = common_key(self.from.as_ref(), self.to.as_ref())?;
        let side_by_side = self.side_by_side.then(|| cx.ui.width());
        let detail = match (self.stat, self.name_only, self.text, side_by_side) {
            (true, _, _, _) => Detail::Stat,
            (_, true, _, _) => Detail::NameOnly,
            (_, _, true, _) => Detail::Text,
            (_, _, _, Some(width)) if width >= SIDES_WIDTH_MIN => Detail::SideBySide { width },
            _ => Detail::Semantic,
        };
        let view = View {
            detail,
            secrets: Secrets::revealed(self.reveal),
        };
        let here = find()?;
        let (document, diffs, around) = match compared(self.from, self.to, here.is_some())? {
            Compared::Local { from, to } => {
                let here =
                    here.ok_or_else(|| CliError::bug("a local diff without a working copy"))?;
                local(cx, &here, &from, &to, key.as_ref())?
            }
            Compared::Remote { from, to } => remote(cx, &from, &to, key.as_ref())?,
        };
        let exit = match self.exit_code && !diffs.is_empty() {
            true => Exit::Failure,
            false => Exit::Ok,
        };
        if self.patch {
            return Ok(Report::bytes(patch(&diffs)).exiting(exit));
        }
        let hints = hints(&diffs, &around);
        Ok(Report::one(document, move |_| {
            render::diff::with_hints(&diffs, view, &hints)
        })
        .paged()
        .exiting(exit))
    }
}

/// A JSON Patch over the object of keys and values. The old values are tested before anything changes.
fn patch(diffs: &[EntryDiff]) -> Vec<u8> {
    let (mut tests, mut changes) = (Vec::new(), Vec::new());
    for diff in diffs {
        let path = quote(Pointer::root().member(diff.key.as_str()).as_str());
        let side = |entry: &Option<Entry>| {
            let value = entry.as_ref().and_then(Entry::value);
            value.map(Value::to_json)
        };
        let (old, new) = (side(&diff.old), side(&diff.new));
        if old == new {
            continue;
        }
        if let Some(old) = &old {
            tests.push(format!(
                r#"{{"op": "test", "path": {path}, "value": {old}}}"#
            ));
        }
        changes.push(match (old, new) {
            (_, None) => format!(r#"{{"op": "remove", "path": {path}}}"#),
            (None, Some(new)) => format!(r#"{{"op": "add", "path": {path}, "value": {new}}}"#),
            (Some(_), Some(new)) => {
                format!(r#"{{"op": "replace", "path": {path}, "value": {new}}}"#)
            }
        });
    }
    tests.append(&mut changes);
    match tests.is_empty() {
        true => b"[]\n".to_vec(),
        false => format!("[\n  {}\n]\n", tests.join(",\n  ")).into_bytes(),
    }
}

/// What the arguments mean, inside or outside of a working copy.
fn compared(
    from: Option<Place>,
    to: Option<Place>,
    in_working_copy: bool,
) -> Result<Compared, CliError> {
    let is_local = |place: &Place| in_working_copy && place.namespace.is_none();
    let side = |place: &Place, otherwise: Side| match &place.revision {
        Some(revision) => Side::Revision(revision.clone()),
        None => otherwise,
    };
    match (from, to) {
        (None, _) if in_working_copy => Ok(Compared::Local {
            from: Side::Base,
            to: Side::Files,
        }),
        (None, _) => Err(CliError::usage("nothing to compare is named")
            .because("this directory is no working copy")
            .next("confman diff /teams/payments@published~1 /teams/payments")),
        (Some(from), None) if is_local(&from) => Ok(Compared::Local {
            from: side(&from, Side::Base),
            to: Side::Files,
        }),
        (Some(place), None) => match place.revision {
            Some(_) => {
                let published = Place {
                    revision: None,
                    ..place.clone()
                };
                Ok(Compared::Remote {
                    from: published,
                    to: place,
                })
            }
            None => Err(
                CliError::usage("only one side is named, and it is what is published")
                    .next("name the other side, or a revision: /teams/payments@draft/NAME"),
            ),
        },
        (Some(from), Some(to)) if is_local(&from) && is_local(&to) => Ok(Compared::Local {
            from: side(&from, Side::Base),
            to: side(&to, Side::Files),
        }),
        (Some(from), Some(to)) => Ok(Compared::Remote { from, to }),
    }
}

/// The key that both sides are about, where one is named.
fn common_key(from: Option<&Place>, to: Option<&Place>) -> Result<Option<Key>, CliError> {
    let key = |place: Option<&Place>| place.and_then(|place| place.key.clone());
    match (key(from), key(to)) {
        (Some(one), Some(other)) if one != other => Err(CliError::usage(format!(
            "`{one}` and `{other}` are different keys"
        ))
        .next("compare one key at a time")),
        (one, other) => Ok(one.or(other)),
    }
}

fn local(
    cx: &Context,
    here: &Here,
    from: &Side,
    to: &Side,
    key: Option<&Key>,
) -> Result<Differences, CliError> {
    let keys: Vec<Key> = key.cloned().into_iter().collect();
    match here.copy.diff(&here.namespace, from, to, &keys) {
        Ok(diffs) => {
            let document = Comparison {
                from: local_side(here, from),
                to: local_side(here, to),
                changes: diffs
                    .iter()
                    .map(comparison::change_of)
                    .collect::<Result<_, _>>()?,
                next: None,
            };
            let keys: Vec<Key> = diffs.iter().map(|diff| diff.key.clone()).collect();
            // Without it a difference is one all the same.
            let around = here
                .copy
                .overrides(&here.namespace, &keys)
                .unwrap_or_default();
            let around = around.into_iter();
            let around = around
                .map(|(key, overrides)| (key, overrides.into()))
                .collect();
            Ok((document, diffs, around))
        }
        // What the mirror lacks the server may have, as long as no files are compared.
        Err(confman_client::WorkingCopyError::NotFetched { .. })
            if *from != Side::Files && *to != Side::Files =>
        {
            let place = |side: &Side| match side {
                Side::Revision(revision) => Ok(revision.clone()),
                Side::Base | Side::Files => base_of(here),
            };
            let place = |side: &Side| -> Result<Place, CliError> {
                Ok(Place {
                    namespace: Some(here.namespace.clone()),
                    revision: Some(place(side)?),
                    key: None,
                })
            };
            remote(cx, &place(from)?, &place(to)?, key)
        }
        Err(error) => Err(error.into()),
    }
}

/// The commit that the files came from, as a revision.
fn base_of(here: &Here) -> Result<Revision, CliError> {
    let placed = here
        .copy
        .namespaces()
        .into_iter()
        .find(|placed| placed.namespace == here.namespace);
    match placed.and_then(|placed| placed.base) {
        Some(base) => Ok(Revision::Commit(base.to_string())),
        None => Err(CliError::new(
            Exit::NotFound,
            format!(
                "nothing of {} was published when it was cloned",
                here.namespace
            ),
        )),
    }
}

/// A side of a local comparison; the files have neither commit nor tree.
fn local_side(here: &Here, side: &Side) -> ComparedSide {
    let revision = match side {
        Side::Files => None,
        Side::Base => base_of(here).ok(),
        Side::Revision(revision) => Some(revision.clone()),
    };
    let logged = revision.and_then(|revision| {
        let logged = here.copy.log(&here.namespace, Some(&revision), 1).ok()?;
        logged.into_iter().next()
    });
    ComparedSide {
        namespace: here.namespace.to_string(),
        commit: logged.as_ref().map(|logged| logged.id.to_string()),
        tree: logged
            .map(|logged| logged.commit.tree.to_string())
            .unwrap_or_default(),
    }
}

fn remote(
    cx: &Context,
    from: &Place,
    to: &Place,
    key: Option<&Key>,
) -> Result<Differences, CliError> {
    let namespace = |place: &Place| -> Result<Namespace, CliError> {
        namespace_or_here(place.namespace.as_ref())
    };
    let (from_namespace, to_namespace) = (namespace(from)?, namespace(to)?);
    let connection = cx.connect()?;
    let is_one = from_namespace == to_namespace;
    let query = CompareQuery {
        from: from.revision.clone().unwrap_or_default(),
        to: to.revision.clone().unwrap_or_default(),
        from_namespace: (from_namespace != to_namespace).then_some(from_namespace),
    };
    let mut compared = connection.wait(connection.client.compare(&to_namespace, &query))?;
    if let Some(key) = key {
        compared.changes.retain(|change| change.key == key.as_str());
    }
    let diffs = comparison::diffs(&compared)?;
    let around = match is_one && diffs.len() <= HINTS_ASKED_MAX && !cx.ui.json {
        true => explained(&connection, &to_namespace, &diffs),
        false => BTreeMap::new(),
    };
    Ok((compared, diffs, around))
}

/// What the server says of the chains of keys that differ. Without it a difference is one all the same.
fn explained(
    connection: &Connection,
    namespace: &Namespace,
    diffs: &[EntryDiff],
) -> BTreeMap<Key, Surroundings> {
    let of = |diff: &EntryDiff| {
        let client = &connection.client;
        let found = connection.within(HINT_TIME_MAX, client.explain(namespace, &diff.key, None))?;
        Some((diff.key.clone(), Surroundings::explained(&found).ok()?))
    };
    // The first that is not answered in time is the last that is asked for.
    diffs.iter().map_while(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(from: &str, to: &str, in_working_copy: bool) -> String {
        let place = |text: &str| (!text.is_empty()).then(|| text.parse::<Place>().unwrap());
        let side = |side: &Side| match side {
            Side::Files => "files".to_owned(),
            Side::Base => "base".to_owned(),
            Side::Revision(revision) => revision.to_string(),
        };
        let remote = |place: &Place| {
            format!(
                "{}@{}",
                place
                    .namespace
                    .as_ref()
                    .map_or("here".to_owned(), ToString::to_string),
                place.revision.clone().unwrap_or_default()
            )
        };
        match compared(place(from), place(to), in_working_copy) {
            Err(error) => format!("error: {}", error.what),
            Ok(Compared::Local { from, to }) => format!("local {} → {}", side(&from), side(&to)),
            Ok(Compared::Remote { from, to }) => {
                format!("remote {} → {}", remote(&from), remote(&to))
            }
        }
    }

    #[test]
    fn a_patch_tests_the_old_values_and_makes_the_new_ones() {
        let value = |json: &str| {
            let entry_type = Value::infer(json);
            let value = Value::from_json(entry_type, json, &Default::default()).unwrap();
            Some(Entry::of(value))
        };
        let between = |key: &str, old: Option<Entry>, new: Option<Entry>| {
            EntryDiff::between(&key.parse().unwrap(), old.as_ref(), new.as_ref()).unwrap()
        };
        let diffs = [
            between("a/b", value("1"), value("2.0")),
            between("new", None, value("{\"k\": \"v\"}")),
            between("old", value("\"x\""), Some(Entry::unset())),
        ];
        insta::assert_snapshot!(String::from_utf8(patch(&diffs)).unwrap(), @r#"
        [
          {"op": "test", "path": "/a~1b", "value": 1},
          {"op": "test", "path": "/old", "value": "x"},
          {"op": "replace", "path": "/a~1b", "value": 2.0},
          {"op": "add", "path": "/new", "value": {"k": "v"}},
          {"op": "remove", "path": "/old"}
        ]
        "#);
        assert_eq!(patch(&[]), b"[]\n");
    }

    #[test]
    fn arguments_mean_what_they_say() {
        let table = [
            ("", "", true),
            ("", "", false),
            ("@published", "", true),
            (":limits", "", true),
            ("@published~2", "@published", true),
            ("@published~2", ":limits", true),
            ("/a@draft/x", "", true),
            ("/a@draft/x", "", false),
            ("/a", "", false),
            ("/a", "/b@v1", false),
            ("/a", "@v1", true),
            ("@v1", "", false),
        ];
        let lines: Vec<_> = table
            .iter()
            .map(|(from, to, inside)| {
                format!("[{from}] [{to}] {inside} => {}", meant(from, to, *inside))
            })
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @"
        [] [] true => local base → files
        [] [] false => error: nothing to compare is named
        [@published] [] true => local published → files
        [:limits] [] true => local base → files
        [@published~2] [@published] true => local published~2 → published
        [@published~2] [:limits] true => local published~2 → files
        [/a@draft/x] [] true => remote /a@published → /a@draft/x
        [/a@draft/x] [] false => remote /a@published → /a@draft/x
        [/a] [] false => error: only one side is named, and it is what is published
        [/a] [/b@v1] false => remote /a@published → /b@v1
        [/a] [@v1] true => remote /a@published → here@v1
        [@v1] [] false => remote here@published → here@v1
        ");
    }
}

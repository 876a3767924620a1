use std::collections::BTreeMap;
use std::io::{Chain, Cursor, Read};

use confman_api::commit::EntryChange;
use confman_api::problem::ProblemItem;
use confman_client::foreign::{ForeignOptions, ForeignValue, SOURCE_BYTES_MAX, read_spring};
use confman_client::git::import::{
    ImportOptions, ImportProgress, ImportReport, import, import_repository,
};
use confman_model::{
    DraftName, Entry, EntryDiff, EntryType, Json, Key, KeyError, Value, ValueLimits,
};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::comparison;
use crate::context::{Connection, Context};
use crate::draft;
use crate::error::{CliError, chain, issue_item, item_line, problem_item};
use crate::exit::Exit;
use crate::foreign::{self, Source};
use crate::input::Input;
use crate::place::{Place, name};
use crate::progress::Progress;
use crate::render::{self, diff::Detail};
use crate::report::Report;
use crate::text::{Role, Text, count, short};
use crate::working_directory::namespace_or_here;

/// What a stream that zstd compressed begins with.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Bring values or a whole Git history into a namespace
///
/// Examples:
///   confman import /teams/payments values.json
///   confman import /teams/payments application.yml --dry-run
///   kubectl get configmap app -o yaml | confman import /app - --format configmap
///   confman import /app consul.json --format consul --strip-prefix app/
///   etcdctl get --prefix /app/ -w json | confman import /app - --format etcd --strip-prefix app/
///   confman import /app config-repo --format spring --app payments --env prod
///   confman import /teams/payments --git path/to/repository
///   git fast-export main | confman import /teams/payments --git -
///   confman import /deployments --git history.fast-export.zst --namespaces depth=1
///
/// Keys and values go into a draft (your own, or --draft NAME) as one change; nothing is
/// published. Undo: `confman draft delete`. Formats: json, yaml, toml, properties, dotenv,
/// configmap (Kubernetes), consul (`consul kv export`), etcd (`etcdctl get -w json`, or the keys
/// of a snapshot by `etcd-dump-db iterate-bucket FILE key --decode`), apollo (an export of the
/// portal, or an answer of its interfaces), central-dogma (an answer of `…/contents/**`), vault
/// (an object of MOUNT/PATH and fields, of which references are made; values of secrets are not
/// taken) and spring (a directory). --dry-run prints what would change; --prune also removes
/// keys that the import lacks. Keys keep their types where the imported texts are valid for them.
///
/// A Git history is published: each commit of the checked-out branch becomes a commit of
/// the namespace, with its author, time and message. A file becomes an entry: `.json` is
/// json, UTF-8 text is string, everything else binary. Run it again to go on where it
/// stopped. Undo: `confman rollback`; the history stays.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// NAMESPACE[@draft/NAME]
    #[arg(value_name = "NAMESPACE")]
    pub(crate) place: Place,

    /// File to import, or directory of Spring's; `-` for stdin
    #[arg(required_unless_present = "git", conflicts_with = "git")]
    file: Option<Input>,

    /// What the file is; by its name, or json, if this is left out
    #[arg(long, short, value_name = "FORMAT", conflicts_with = "git")]
    format: Option<Source>,

    /// Take this off the beginning of every key, and leave out keys without it
    #[arg(long, value_name = "PREFIX", conflicts_with = "git")]
    strip_prefix: Option<String>,

    /// The app whose files of a Spring directory are read
    #[arg(
        long,
        value_name = "NAME",
        default_value = "application",
        conflicts_with = "git"
    )]
    app: String,

    /// The profile whose files of a Spring directory are read too
    #[arg(long, value_name = "NAME", conflicts_with = "git")]
    env: Option<String>,

    /// Print what would change, and change nothing
    #[arg(long, conflicts_with_all = ["git", "publish"])]
    dry_run: bool,

    /// With --dry-run: end with exit code 1 if something would change
    #[arg(long, requires = "dry_run")]
    exit_code: bool,

    /// Also remove the keys of the namespace that the import lacks
    #[arg(long, conflicts_with = "git")]
    prune: bool,

    /// Git repository, or a `git fast-export` stream: a file, compressed by zstd or not, or `-`
    #[arg(long, value_name = "PATH|-")]
    git: Option<Input>,

    /// Turn the first N directories of a path into child namespaces
    #[arg(long, value_name = "depth=N", value_parser = depth, requires = "git", conflicts_with = "file")]
    namespaces: Option<usize>,

    /// The branch to publish, where the stream has several
    #[arg(long, value_name = "NAME", requires = "git", conflicts_with = "file")]
    branch: Option<String>,

    /// Leave out what cannot be an entry, and list it, instead of refusing
    #[arg(long)]
    skip_invalid: bool,

    /// The draft to write; your own if none is named
    #[arg(long, value_name = "NAME", value_parser = name::<DraftName>, conflicts_with = "git")]
    draft: Option<DraftName>,

    /// Publish at once and leave no draft
    #[arg(long, conflicts_with = "git")]
    publish: bool,

    /// Publish though a key that is set or changed is deprecated
    #[arg(long, requires = "publish")]
    acknowledge_deprecated: bool,

    /// Why
    #[arg(long, short, conflicts_with = "git")]
    message: Option<String>,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        self.place
            .no_key("name the namespace alone; the keys are in what is imported")?;
        let draft_in_place = self.place.draft()?;
        let namespace = namespace_or_here(self.place.namespace.as_ref())?;
        let connection = cx.connect()?;
        match (&self.git, &self.file) {
            (Some(source), _) => {
                if draft_in_place.is_some() {
                    return Err(CliError::usage("a Git history is published, not drafted")
                        .next("leave @draft/… out"));
                }
                let options = ImportOptions {
                    namespace,
                    depth: self.namespaces.unwrap_or(0),
                    skip_invalid: self.skip_invalid,
                    branch: self.branch,
                };
                import_git(cx, &connection, source, &options)
            }
            (None, Some(file)) => {
                let draft = draft::choose(&connection, self.draft.clone().or(draft_in_place))?;
                let current = foreign::current(&connection, &namespace, &draft)?;
                let values = self.values(cx, file, &current)?;
                let diffs = foreign::differences(&current, &values, self.prune)?;
                if self.dry_run {
                    let exit = match self.exit_code && !diffs.is_empty() {
                        true => Exit::Failure,
                        false => Exit::Ok,
                    };
                    return Ok(dry(diffs)?.exiting(exit));
                }
                if diffs.is_empty() {
                    cx.ui
                        .note("everything is as it is in the import; nothing was changed");
                    return Ok(Report::nothing());
                }
                let changes = foreign::as_changes(&diffs, self.message, self.publish)?;
                let _progress = cx.ui.progress(&format!(
                    "importing {}",
                    count(changes.changes.len(), "key")
                ));
                draft::write(cx, &connection, &namespace, &draft, &changes)
            }
            (None, None) => {
                Err(CliError::usage("nothing to import is named")
                    .next("name a file, or --git PATH"))
            }
        }
    }
}

impl Args {
    /// What is in the file.
    fn values(
        &self,
        cx: &Context,
        file: &Input,
        current: &BTreeMap<Key, Entry>,
    ) -> Result<BTreeMap<Key, Value>, CliError> {
        let options = ForeignOptions {
            strip_prefix: self.strip_prefix.clone().unwrap_or_default(),
        };
        let found = match self.format.unwrap_or_else(|| Source::of(file)) {
            Source::Json => {
                let bytes = file.read_all(SOURCE_BYTES_MAX)?;
                return read_document(
                    cx,
                    &bytes,
                    file,
                    &options.strip_prefix,
                    current,
                    self.skip_invalid,
                );
            }
            Source::Spring => {
                read_spring(foreign::directory(file)?, &self.app, self.env.as_deref())
            }
            Source::Foreign(format) => format.read(&file.read_all(SOURCE_BYTES_MAX)?, &options),
        };
        let found = found.map_err(|problems| foreign::refused(file, problems))?;
        foreign::values(cx, file, found, current, self.skip_invalid)
    }
}

/// What would change, as `confman diff` shows it.
fn dry(diffs: Vec<EntryDiff>) -> Result<Report, CliError> {
    let changes = diffs.iter().map(comparison::change_of);
    let changes: Vec<EntryChange> = changes.collect::<Result<_, _>>()?;
    Ok(Report::one(changes, move |_| {
        let mut text = render::diff::diffs(&diffs, Detail::Semantic.into());
        let kinds = diffs.iter().map(|diff| diff.kind);
        text.faint(&render::diff::summary(kinds)).end_line();
        text
    })
    .paged())
}

/// Reads `depth=N`.
fn depth(text: &str) -> Result<usize, String> {
    let digits = text
        .strip_prefix("depth=")
        .ok_or("write it as `depth=N`, as in depth=2")?;
    let depth: usize = digits
        .parse()
        .map_err(|_| format!("`{digits}` is no number"))?;
    let depth_max = confman_model::namespace::NAMESPACE_DEPTH_MAX;
    match depth <= depth_max {
        true => Ok(depth),
        false => Err(format!("a namespace has at most {depth_max} segments")),
    }
}

/// The values of a JSON object in their authors' bytes, each with the type that its JSON most
/// naturally has, or that its key has where it is a reference or bytes.
fn read_document(
    cx: &Context,
    bytes: &[u8],
    source: &Input,
    strip_prefix: &str,
    current: &BTreeMap<Key, Entry>,
    skip_invalid: bool,
) -> Result<BTreeMap<Key, Value>, CliError> {
    let not_valid = || CliError::invalid(format!("{source} cannot be imported"));
    let members = match Json::parse(bytes) {
        Ok(Json::Object(members)) => members,
        Ok(_) => {
            return Err(not_valid()
                .because("it is no JSON object")
                .next("write {\"key\": value, …}"));
        }
        Err(problems) => {
            let items = problems
                .iter()
                .map(|problem| problem_item(&source.to_string(), problem))
                .collect();
            return Err(CliError {
                items,
                ..not_valid()
            });
        }
    };
    // Read once more for the bytes that their author wrote.
    let raw: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(bytes).map_err(|error| not_valid().because(error.to_string()))?;
    let mut values = BTreeMap::new();
    let mut wrong = Vec::new();
    for (key, _) in members {
        let Some(value) = raw.get(&key) else { continue };
        let Some(key) = key.strip_prefix(strip_prefix) else {
            continue;
        };
        match read_member(key, value, current) {
            Ok((key, value)) => {
                values.insert(key, value);
            }
            Err(items) => wrong.extend(items),
        }
    }
    foreign::kept(cx, source, values, wrong, skip_invalid)
}

fn read_member(
    key: &str,
    value: &RawValue,
    current: &BTreeMap<Key, Entry>,
) -> Result<(Key, Value), Vec<ProblemItem>> {
    let parsed: Key = key.parse().map_err(|error: KeyError| {
        vec![ProblemItem {
            detail: chain(&error),
            key: Some(key.to_owned()),
            ..ProblemItem::default()
        }]
    })?;
    let now = current.get(&parsed).and_then(Entry::value);
    let typed = match (
        Value::infer(value.get()),
        Json::parse(value.get().as_bytes()),
    ) {
        (EntryType::String, Ok(text)) => {
            foreign::typed(ForeignValue::Typed(text), now.map(Value::entry_type))
        }
        (entry_type, _) => Value::from_json(entry_type, value.get(), &ValueLimits::default()),
    };
    let value = typed.map_err(|error| {
        let items = error.problems.iter();
        items
            .map(|problem| problem_item(key, problem))
            .collect::<Vec<_>>()
    })?;
    Ok((parsed, value))
}

/// What `--json` prints of an import.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Imported {
    commits: u64,
    resumed: u64,
    heads: Vec<Head>,
    skipped: u64,
}

#[derive(Serialize)]
struct Head {
    namespace: String,
    commit: String,
    tree: String,
}

fn import_git(
    cx: &Context,
    connection: &Connection,
    source: &Input,
    options: &ImportOptions,
) -> Result<Report, CliError> {
    let progress = cx
        .ui
        .progress(&format!("importing into {}", options.namespace));
    let show = |at: ImportProgress| show_progress(&progress, at);
    let report = match source {
        Input::File(path) if path.is_dir() => {
            connection.wait(import_repository(&connection.client, path, options, &show))
        }
        source => {
            let stream = decompressed(source.open()?)
                .map_err(|error| CliError::io(format!("cannot read {source}"), &error))?;
            connection.wait(import(&connection.client, stream, options, &show))
        }
    };
    drop(progress);
    let report = report?;
    tell_issues(cx, &report);
    let imported = Imported {
        commits: report.commits,
        resumed: report.resumed,
        heads: report
            .heads
            .iter()
            .map(|head| Head {
                namespace: head.namespace.to_string(),
                commit: head.commit.to_string(),
                tree: head.tree.to_string(),
            })
            .collect(),
        skipped: u64::try_from(report.skipped.len()).unwrap_or(u64::MAX),
    };
    Ok(Report::one(imported, |imported| {
        let mut text = Text::new();
        text.plain(&format!("imported {} commits", imported.commits));
        if imported.resumed > 0 {
            text.faint(&format!(" ({} were there already)", imported.resumed));
        }
        text.end_line();
        for head in &imported.heads {
            text.plain("  ")
                .plain(&head.namespace)
                .plain(" is at ")
                .push(Role::Id, short(&head.commit))
                .end_line();
        }
        text
    }))
}

fn show_progress(progress: &Progress, at: ImportProgress) {
    let what = match at.published {
        0 => format!("commits read, {} sent", at.sent),
        published => format!("commits read, {published} published"),
    };
    progress.at(at.commits, 0);
    progress.say(&what);
}

/// Lists what was left out or taken differently.
fn tell_issues(cx: &Context, report: &ImportReport) {
    for (issues, what) in [
        (&report.skipped, "left out"),
        (&report.warnings, "taken, but not as it is"),
    ] {
        if !issues.is_empty() {
            cx.ui
                .warn(&format!("{} {what}:", count(issues.len(), "file")));
            issues
                .iter()
                .for_each(|issue| cx.ui.say(&item_line(&issue_item(issue))));
        }
    }
    if report.more > 0 {
        cx.ui.note(&format!("  … {} more", report.more));
    }
}

/// A stream as it is, or decompressed where zstd compressed it.
fn decompressed(mut stream: Box<dyn Read + Send>) -> std::io::Result<Box<dyn Read + Send>> {
    let mut start = Vec::with_capacity(ZSTD_MAGIC.len());
    stream.by_ref().take(4).read_to_end(&mut start)?;
    let is_zstd = start == ZSTD_MAGIC;
    let whole: Chain<Cursor<Vec<u8>>, Box<dyn Read + Send>> = Cursor::new(start).chain(stream);
    match is_zstd {
        true => Ok(Box::new(zstd::Decoder::new(whole)?)),
        false => Ok(Box::new(whole)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::GlobalArgs;

    #[test]
    fn depth_is_written_out() {
        assert_eq!(depth("depth=2"), Ok(2));
        for bad in ["2", "depth=", "depth=x", "depth=17", "depth=-1"] {
            assert!(depth(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn compressed_streams_are_recognised() {
        let text = b"blob\nmark :1\n".to_vec();
        for bytes in [
            text.clone(),
            zstd::encode_all(text.as_slice(), 1).unwrap(),
            b"ab".to_vec(),
            Vec::new(),
        ] {
            let expected = if bytes.starts_with(&ZSTD_MAGIC) {
                text.clone()
            } else {
                bytes.clone()
            };
            let mut read = Vec::new();
            decompressed(Box::new(Cursor::new(bytes)))
                .unwrap()
                .read_to_end(&mut read)
                .unwrap();
            assert_eq!(read, expected);
        }
    }

    fn read(json: &str, skip_invalid: bool) -> Result<Vec<String>, CliError> {
        let global = GlobalArgs {
            quiet: true,
            ..GlobalArgs::default()
        };
        let cx = Context::new(global, None);
        let source = Input::File("x.json".into());
        let current = BTreeMap::new();
        let values = read_document(&cx, json.as_bytes(), &source, "", &current, skip_invalid)?;
        Ok(values
            .into_iter()
            .map(|(key, value)| format!("{key} {} {}", value.entry_type(), value.to_json()))
            .collect())
    }

    #[test]
    fn values_keep_their_digits_and_get_their_natural_type() {
        let entries = read(
            r#"{"n": 1.00, "s": "1", "b": false, "o/a": [1,  2]}"#,
            false,
        )
        .unwrap();
        assert_eq!(
            entries,
            [
                "b boolean false",
                "n number 1.00",
                "o/a json [1,  2]",
                "s string \"1\""
            ]
        );
    }

    #[test]
    fn everything_wrong_is_listed_or_left_out() {
        let json = r#"{"a b": 1, "ok": 2, "nothing": null}"#;
        let error = read(json, false).unwrap_err();
        assert_eq!(error.items.len(), 2, "{error:?}");
        assert_eq!(read(json, true).unwrap(), ["ok number 2"]);
    }

    #[test]
    fn duplicate_keys_are_refused() {
        let error = read("{\"a\": 1,\n \"a\": 2}", true).unwrap_err();
        assert_eq!(error.items.len(), 1, "{error:?}");
        assert_eq!(error.items[0].line, Some(2));
    }

    #[test]
    fn only_objects_can_be_imported() {
        assert!(read("[1]", false).is_err());
    }
}

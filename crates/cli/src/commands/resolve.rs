use std::collections::BTreeMap;

use confman_api::entry::TreeEntry;
use confman_client::working_copy::{Conflicting, Resolution, Take};
use confman_model::value::VALUE_BYTES_CEILING;
use confman_model::{Entry, EntryType, Key, Value};
use serde::Serialize;

use crate::comparison::tree_entry_of;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::input::Input;
use crate::place::name;
use crate::render::value::preview;
use crate::report::{Report, output};
use crate::text::{Role, Text, count};
use crate::value::read_value;
use crate::working_directory::{Here, need};

/// Settle the conflicts that a pull left in a working copy
///
/// Examples:
///   confman resolve                              # asks about each, on a terminal
///   confman resolve limits/daily --theirs
///   confman resolve limits/daily --value 120
///   confman resolve --all --ours
///   confman resolve --list
///
/// Takes one side of a conflict (ours: what was in the files before the pull; theirs: what
/// came with it; base: what both began with) or another value, and writes it in the place
/// of the conflict. `confman push` goes on when none is left. Changes the files, nothing on
/// the server. Undo: `confman restore KEY`, then edit again.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The keys
    #[arg(value_name = "KEY", value_parser = name::<Key>)]
    keys: Vec<Key>,

    /// Every key with a conflict
    #[arg(long, conflicts_with = "keys")]
    all: bool,

    /// Show the conflicts and change nothing
    #[arg(long, conflicts_with_all = ["ours", "theirs", "base", "value"])]
    list: bool,

    /// Take what was in the files before the pull
    #[arg(long, group = "side")]
    ours: bool,

    /// Take what came with the pull
    #[arg(long, group = "side")]
    theirs: bool,

    /// Take what both sides began with
    #[arg(long, group = "side")]
    base: bool,

    /// Take this value; `-` reads it from stdin
    #[arg(long, value_name = "VALUE", group = "side", allow_hyphen_values = true)]
    value: Option<String>,

    /// Type of --value; that of our side, else of theirs, if not given
    #[arg(long = "type", short = 't', value_name = "TYPE", requires = "value", value_parser = name::<EntryType>)]
    entry_type: Option<EntryType>,
}

/// What `--list --json` prints for each.
#[derive(Serialize)]
struct Shown {
    namespace: String,
    key: String,
    base: Option<TreeEntry>,
    ours: Option<TreeEntry>,
    theirs: Option<TreeEntry>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Resolved {
    namespace: String,
    keys: Vec<String>,
    left: usize,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let mut here = need()?;
        here.say_remarks(cx);
        let all = here.copy.conflicts(&here.namespace)?;
        let wanted = self.wanted(&here, &all)?;
        if self.list {
            let namespace = here.namespace.to_string();
            let shown = wanted.into_iter().map(move |conflict| {
                let shown = Shown::of(&namespace, &conflict)?;
                Ok(output(shown, render))
            });
            let shown: Vec<_> = shown.collect();
            return Ok(Report::stream(shown.into_iter()));
        }
        if wanted.is_empty() {
            cx.ui.note("no conflict is left");
        }
        let resolutions = match self.side() {
            Some(take) => every(&wanted, &Resolution::Side(take)),
            None => match &self.value {
                Some(value) => self.values(value, &wanted)?,
                None => ask(cx, &here, &wanted)?,
            },
        };
        here.copy.resolve_each(&here.namespace, &resolutions)?;
        let resolved = Resolved {
            namespace: here.namespace.to_string(),
            keys: resolutions.keys().map(ToString::to_string).collect(),
            left: all.len() - resolutions.len(),
        };
        Ok(Report::one(resolved, |resolved| {
            let keys = count(resolved.keys.len(), "conflict");
            let mut text = Text::line(&format!("resolved {keys}, {} left", resolved.left));
            for key in &resolved.keys {
                text.plain("  ").plain(key).end_line();
            }
            text
        }))
    }

    /// The conflicts that are meant. Naming none means all where that changes nothing by itself.
    fn wanted(&self, here: &Here, all: &[Conflicting]) -> Result<Vec<Conflicting>, CliError> {
        let takes = self.side().is_some() || self.value.is_some();
        if takes && self.keys.is_empty() && !self.all {
            return Err(CliError::usage("which conflicts?")
                .because("a side or a value is given, but no key")
                .next("name keys, or --all"));
        }
        if self.keys.is_empty() {
            return Ok(all.to_vec());
        }
        let find = |key: &Key| {
            let found = all.iter().find(|conflict| conflict.key == *key);
            found.cloned().ok_or_else(|| {
                let namespace = &here.namespace;
                CliError::new(
                    Exit::NotFound,
                    format!("{namespace} has no conflict in `{key}`"),
                )
                .next("`confman resolve --list` shows those that there are")
            })
        };
        self.keys.iter().map(find).collect()
    }

    fn side(&self) -> Option<Take> {
        let sides = [
            (self.ours, Take::Ours),
            (self.theirs, Take::Theirs),
            (self.base, Take::Base),
        ];
        sides
            .into_iter()
            .find_map(|(given, take)| given.then_some(take))
    }

    /// The value for each of the conflicts, as their types read it.
    fn values(
        &self,
        text: &str,
        conflicts: &[Conflicting],
    ) -> Result<BTreeMap<Key, Resolution>, CliError> {
        let bytes = match text {
            "-" => Input::Stdin.read_all(VALUE_BYTES_CEILING)?,
            text => text.as_bytes().to_vec(),
        };
        let mut resolutions = BTreeMap::new();
        for conflict in conflicts {
            let known = [&conflict.ours, &conflict.theirs, &conflict.base]
                .into_iter()
                .flatten()
                .find_map(Entry::value)
                .map(Value::entry_type);
            let entry_type = self.entry_type.or(known).unwrap_or(EntryType::String);
            let value = read_value(&conflict.key, entry_type, &bytes)?;
            resolutions.insert(conflict.key.clone(), Resolution::Value(value));
        }
        Ok(resolutions)
    }
}

fn every(conflicts: &[Conflicting], resolution: &Resolution) -> BTreeMap<Key, Resolution> {
    let keys = conflicts.iter().map(|conflict| conflict.key.clone());
    keys.map(|key| (key, resolution.clone())).collect()
}

/// Shows each conflict and asks which side to take.
fn ask(
    cx: &Context,
    here: &Here,
    conflicts: &[Conflicting],
) -> Result<BTreeMap<Key, Resolution>, CliError> {
    const CHOICES: [(char, &str); 5] = [
        ('o', "ours"),
        ('t', "theirs"),
        ('b', "base"),
        ('s', "skip"),
        ('q', "quit"),
    ];
    let mut resolutions = BTreeMap::new();
    for conflict in conflicts {
        let shown = render(&Shown::of(here.namespace.as_str(), conflict)?);
        let take = match cx.ui.choose(&shown, "take", &CHOICES)? {
            'o' => Take::Ours,
            't' => Take::Theirs,
            'b' => Take::Base,
            's' => continue,
            _ => break,
        };
        resolutions.insert(conflict.key.clone(), Resolution::Side(take));
    }
    Ok(resolutions)
}

impl Shown {
    fn of(namespace: &str, conflict: &Conflicting) -> Result<Self, CliError> {
        let side = |entry: &Option<Entry>| {
            let entry = entry.as_ref();
            entry
                .map(|entry| tree_entry_of(&conflict.key, entry))
                .transpose()
        };
        Ok(Self {
            namespace: namespace.to_owned(),
            key: conflict.key.to_string(),
            base: side(&conflict.base)?,
            ours: side(&conflict.ours)?,
            theirs: side(&conflict.theirs)?,
        })
    }
}

fn render(shown: &Shown) -> Text {
    let mut text = Text::new();
    text.push(Role::Heading, &shown.key).end_line();
    for (name, side) in [
        ("base  ", &shown.base),
        ("ours  ", &shown.ours),
        ("theirs", &shown.theirs),
    ] {
        let value = match side {
            None => "no entry".to_owned(),
            Some(entry) => preview(
                &shown.key,
                entry.entry_type.as_deref(),
                entry.value.as_deref(),
                entry.size,
                entry.unset,
            ),
        };
        text.faint(&format!("  {name}  ")).plain(&value).end_line();
    }
    text
}

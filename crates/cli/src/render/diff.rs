//! Differences by meaning: per key, per JSON path, per word of a text.

mod beside;
mod semantic;
mod unified;
mod words;

use confman_model::diff::{DetailsDiff, Side};
use confman_model::{DiffKind, Entry, EntryDiff, ValueDiff};

use crate::render::hint::Hints;
use crate::render::mask::masked;
use crate::render::value::{entry_preview, value_preview};
use crate::text::{Role, Text, count};

use beside::side_by_side;
use semantic::semantic;
use unified::as_text;
use words::changed_lines;

/// Unchanged lines around changed ones under `--text`.
const CONTEXT_LINES: usize = 3;

/// How much of a difference to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Detail {
    /// What changed, by meaning.
    #[default]
    Semantic,
    /// The values as text, line by line.
    Text,
    /// How much changed per key, and in all.
    Stat,
    /// The keys alone.
    NameOnly,
    /// Both sides beside each other, line by line.
    SideBySide {
        /// Columns of the terminal.
        width: usize,
    },
}

/// Whether values that look like secrets are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Secrets {
    /// Something stands in their place.
    #[default]
    Masked,
    /// As they are.
    Shown,
}

impl Secrets {
    /// What `--reveal` asks for.
    pub(crate) fn revealed(reveal: bool) -> Self {
        match reveal {
            true => Self::Shown,
            false => Self::Masked,
        }
    }
}

/// What of differences is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct View {
    /// How much.
    pub(crate) detail: Detail,
    /// Whether secrets are.
    pub(crate) secrets: Secrets,
}

impl From<Detail> for View {
    fn from(detail: Detail) -> Self {
        Self {
            detail,
            secrets: Secrets::Masked,
        }
    }
}

/// Shows differences.
pub(crate) fn diffs(diffs: &[EntryDiff], view: View) -> Text {
    with_hints(diffs, view, &Hints::new())
}

/// Shows differences with what there is to say about each.
pub(crate) fn with_hints(diffs: &[EntryDiff], view: View, hints: &Hints) -> Text {
    let masked = match view.secrets {
        Secrets::Masked => Some(masked(diffs)),
        Secrets::Shown => None,
    };
    let diffs = masked.as_deref().unwrap_or(diffs);
    let mut text = Text::new();
    match view.detail {
        Detail::SideBySide { width } => {
            for diff in diffs {
                text.append(side_by_side(diff, width));
                text.append(hint_lines(diff, hints));
            }
        }
        Detail::NameOnly => {
            for diff in diffs {
                text.plain(diff.key.as_str()).end_line();
            }
        }
        Detail::Stat => {
            text.append(stat(diffs));
        }
        Detail::Semantic => {
            for diff in diffs {
                text.append(semantic(diff));
                text.append(hint_lines(diff, hints));
            }
        }
        Detail::Text => {
            for diff in diffs {
                text.append(as_text(diff));
            }
        }
    }
    text
}

fn hint_lines(diff: &EntryDiff, hints: &Hints) -> Text {
    let mut text = Text::new();
    for hint in hints.get(&diff.key).into_iter().flatten() {
        text.plain("  ").faint(hint).end_line();
    }
    text
}

/// `3 keys: 1 added, 1 changed, 1 removed`.
pub(crate) fn summary(kinds: impl Iterator<Item = DiffKind>) -> String {
    let mut counts = [0; 4];
    let mut total = 0;
    for kind in kinds {
        total += 1;
        if let Some(count) = counts.get_mut(order(kind)) {
            *count += 1;
        }
    }
    let words = ["added", "changed", "removed", "written differently"];
    let parts: Vec<_> = counts
        .iter()
        .zip(words)
        .filter(|(count, _)| **count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    match parts.is_empty() {
        true => "no differences".to_owned(),
        false => format!("{}: {}", count(total, "key"), parts.join(", ")),
    }
}

fn order(kind: DiffKind) -> usize {
    match kind {
        DiffKind::Added => 0,
        DiffKind::Changed => 1,
        DiffKind::Removed => 2,
        DiffKind::FormatOnly => 3,
    }
}

fn letter(kind: DiffKind) -> (Role, &'static str) {
    match kind {
        DiffKind::Added => (Role::Added, "A"),
        DiffKind::Changed => (Role::Warning, "M"),
        DiffKind::Removed => (Role::Removed, "D"),
        DiffKind::FormatOnly => (Role::Faint, "F"),
    }
}

fn stat(diffs: &[EntryDiff]) -> Text {
    let rows: Vec<_> = diffs
        .iter()
        .map(|diff| {
            let (role, letter) = letter(diff.kind);
            vec![
                (role, letter.to_owned()),
                (Role::Plain, diff.key.to_string()),
                (Role::Faint, size_of_change(diff)),
            ]
        })
        .collect();
    let mut text = super::columns(&rows);
    text.plain(&summary(diffs.iter().map(|diff| diff.kind)))
        .end_line();
    text
}

/// How much changed, in the unit that the value has.
fn size_of_change(diff: &EntryDiff) -> String {
    match &diff.value {
        ValueDiff::Json(changes) => count(changes.len(), "path"),
        ValueDiff::Text(hunks) => {
            let lines = |wanted| {
                hunks
                    .iter()
                    .flat_map(|hunk| &hunk.lines)
                    .filter(|line| line.side == wanted)
                    .count()
            };
            format!("+{} -{} lines", lines(Side::New), lines(Side::Old))
        }
        ValueDiff::FormatOnly => "format".to_owned(),
        ValueDiff::Same if diff.kind == DiffKind::Changed => {
            "description, tags or media type".to_owned()
        }
        ValueDiff::Same | ValueDiff::Replaced => match (&diff.old, &diff.new) {
            (Some(old), Some(new)) => format!("{} → {}", entry_preview(old), entry_preview(new)),
            (Some(entry), None) | (None, Some(entry)) => entry_preview(entry),
            (None, None) => String::new(),
        },
    }
}

/// `limits  changed (number → json)`.
fn headline(diff: &EntryDiff) -> Text {
    let mut text = Text::new();
    text.push(Role::Heading, diff.key.as_str()).plain("  ");
    let type_of = |entry: &Option<Entry>| match entry {
        None => String::new(),
        Some(entry) => entry.value().map_or("unset".to_owned(), |value| {
            value.entry_type().name().to_owned()
        }),
    };
    match diff.kind {
        DiffKind::Added => text
            .push(Role::Added, "added")
            .faint(&format!(" ({})", type_of(&diff.new))),
        DiffKind::Removed => text
            .push(Role::Removed, "removed")
            .faint(&format!(" ({})", type_of(&diff.old))),
        DiffKind::FormatOnly => text.faint("the same, written differently"),
        DiffKind::Changed => {
            let (old, new) = (type_of(&diff.old), type_of(&diff.new));
            text.push(Role::Warning, "changed");
            match old == new {
                true => text.faint(&format!(" ({new})")),
                false => text.faint(&format!(" ({old} → {new})")),
            }
        }
    };
    text.end_line();
    text
}

/// What is said about an entry.
fn details(details: &DetailsDiff) -> Text {
    let mut text = Text::new();
    if let Some((old, new)) = &details.description {
        text.plain("  ").faint("description:").end_line();
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        text.append(changed_lines("    ", &lines(old), &lines(new)));
    }
    if !details.tags_added.is_empty() || !details.tags_removed.is_empty() {
        text.plain("  ").faint("tags:");
        for tag in &details.tags_removed {
            text.plain(" ").push(Role::Removed, &format!("-{tag}"));
        }
        for tag in &details.tags_added {
            text.plain(" ").push(Role::Added, &format!("+{tag}"));
        }
        text.end_line();
    }
    if let Some((old, new)) = &details.media_type {
        let name =
            |media_type: &Option<String>| media_type.clone().unwrap_or_else(|| "none".to_owned());
        text.plain("  ").faint("media type: ");
        text.push(Role::Removed, &name(old))
            .plain(" → ")
            .push(Role::Added, &name(new))
            .end_line();
    }
    text
}

/// A value as text: as it is; binary by its size.
fn text_of(entry: &Entry) -> String {
    match entry.value() {
        None => "(unset)\n".to_owned(),
        Some(value) => match value.as_str() {
            Some(text) => text.to_owned(),
            None => format!("{}\n", value_preview(value)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::semantic::WHOLE_VALUE_LINES_MAX;
    use super::*;
    use confman_model::{Details, EntryType, EntryValue, Key, Value, ValueLimits};

    /// `string:text`, `number:1`, `unset`; nothing for no entry.
    fn entry(text: &str) -> Option<Entry> {
        match text.split_once(':') {
            None if text.is_empty() => None,
            None => Some(Entry::unset()),
            Some((entry_type, value)) => {
                let entry_type: EntryType = entry_type.parse().unwrap();
                Some(Entry::of(
                    Value::new(entry_type, value, &ValueLimits::default()).unwrap(),
                ))
            }
        }
    }

    fn between(key: &str, old: &str, new: &str) -> EntryDiff {
        let key: Key = key.parse().unwrap();
        EntryDiff::between(&key, entry(old).as_ref(), entry(new).as_ref()).unwrap()
    }

    fn some() -> Vec<EntryDiff> {
        vec![
            between("added", "", "string:Hello"),
            between("banner", "string:Winter sale", "string:Summer sale"),
            between("binary", "binary:abc", "binary:abcd"),
            between("format", "number:1.0", "number:1"),
            between(
                "limits",
                "json:{\"daily\": 100, \"old\": true, \"list\": [1, 2]}",
                "json:{\"list\": [1, 2, 3], \"daily\": 200}",
            ),
            between(
                "notes",
                "string:one\ntwo\nthree\n",
                "string:one\ntwo and a half\nthree\n",
            ),
            between("removed", "boolean:true", ""),
            between("timeout", "string:30", "number:30"),
            between("unset", "number:1", "unset"),
        ]
    }

    #[test]
    fn both_sides_beside_each_other() {
        let detail = Detail::SideBySide { width: 50 };
        insta::assert_snapshot!(diffs(&some(), detail.into()).to_plain(), @r#"
        added  added (string)
                                 │ Hello
        banner  changed (string)
          Winter sale            │ Summer sale
        binary  changed (binary)
          (3 bytes)              │ (4 bytes)
        format  the same, written differently
          1.0                    │ 1
        limits  changed (json)
          {                      │ {
            "daily": 100,        │ 
            "old": true,         │ 
            "list": [            │   "list": [
              1,                 │     1,
              2                  │     2,
            ]                    │     3
                                 │   ],
                                 │   "daily": 200
          }                      │ }
        notes  changed (string)
          one                    │ one
          two                    │ two and a half
          three                  │ three
        removed  removed (boolean)
          true                   │ 
        timeout  changed (string → number)
        unset  changed (number → unset)
          1                      │ (unset)
        "#);
    }

    #[test]
    fn differences_by_meaning() {
        insta::assert_snapshot!(diffs(&some(), Detail::Semantic.into()).to_marked(), @r#"
        [Heading:added]  [Added:added][Faint: (string)]
          [Added:+ "Hello"]
        [Heading:banner]  [Warning:changed][Faint: (string)]
          [Removed:- ][RemovedWord:"Winter][Removed: sale"]
          [Added:+ ][AddedWord:"Summer][Added: sale"]
        [Heading:binary]  [Warning:changed][Faint: (binary)]
          [Removed:- (3 bytes)]
          [Added:+ (4 bytes)]
        [Heading:format]  [Faint:the same, written differently]
        [Heading:limits]  [Warning:changed][Faint: (json)]
          /daily: [Removed:100] → [Added:200]
          /old: [Removed:- true]
          /list/2: [Added:+ 3]
        [Heading:notes]  [Warning:changed][Faint: (string)]
          [Faint:@@ -1 +1 @@]
            one
          [Removed:- two]
          [Added:+ two][AddedWord: and a half]
            three
        [Heading:removed]  [Removed:removed][Faint: (boolean)]
          [Removed:- true]
        [Heading:timeout]  [Warning:changed][Faint: (string → number)]
          [Removed:- "30"]
          [Added:+ 30]
        [Heading:unset]  [Warning:changed][Faint: (number → unset)]
          [Removed:- 1]
          [Added:+ (unset)]
        "#);
    }

    #[test]
    fn differences_as_text() {
        insta::assert_snapshot!(diffs(&some(), Detail::Text.into()).to_plain(), @r#"
        --- /dev/null
        +++ b/added
        @@ -0,0 +1 @@
        +Hello
        \ no line end at the end of the value
        --- a/banner
        +++ b/banner
        @@ -1 +1 @@
        -Winter sale
        \ no line end at the end of the value
        +Summer sale
        \ no line end at the end of the value
        --- a/binary
        +++ b/binary
        @@ -1 +1 @@
        -(3 bytes)
        +(4 bytes)
        --- a/format
        +++ b/format
        @@ -1 +1 @@
        -1.0
        \ no line end at the end of the value
        +1
        \ no line end at the end of the value
        --- a/limits
        +++ b/limits
        @@ -1 +1 @@
        -{"daily": 100, "old": true, "list": [1, 2]}
        \ no line end at the end of the value
        +{"list": [1, 2, 3], "daily": 200}
        \ no line end at the end of the value
        --- a/notes
        +++ b/notes
        @@ -1,3 +1,3 @@
         one
        -two
        +two and a half
         three
        --- a/removed
        +++ /dev/null
        @@ -1 +0,0 @@
        -true
        \ no line end at the end of the value
        --- a/timeout
        +++ b/timeout
          type: string → number
        --- a/unset
        +++ b/unset
        @@ -1 +1 @@
        -1
        \ no line end at the end of the value
        +(unset)
        "#);
    }

    #[test]
    fn how_much_differs() {
        insta::assert_snapshot!(diffs(&some(), Detail::Stat.into()).to_plain(), @r#"
        A  added    "Hello"
        M  banner   "Winter sale" → "Summer sale"
        M  binary   (3 bytes) → (4 bytes)
        F  format   format
        M  limits   3 paths
        M  notes    +1 -1 lines
        D  removed  true
        M  timeout  "30" → 30
        M  unset    1 → (unset)
        9 keys: 1 added, 6 changed, 1 removed, 1 written differently
        "#);
    }

    #[test]
    fn keys_that_differ() {
        let keys = diffs(&some(), Detail::NameOnly.into()).to_plain();
        assert_eq!(
            keys,
            "added\nbanner\nbinary\nformat\nlimits\nnotes\nremoved\ntimeout\nunset\n"
        );
    }

    #[test]
    fn what_is_said_about_an_entry_differs_too() {
        let with = |description: &str, tags: &[&str], media_type: Option<&str>| {
            let value = Value::new(EntryType::Binary, "x", &ValueLimits::default()).unwrap();
            let details = Details {
                description: description.to_owned(),
                tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
                media_type: media_type.map(str::to_owned),
            };
            Entry::new(EntryValue::Value(value), details).unwrap()
        };
        let old = with("the logo", &["brand", "old"], None);
        let new = with("the new logo", &["brand", "2026"], Some("image/png"));
        let diff = EntryDiff::between(&"logo".parse().unwrap(), Some(&old), Some(&new)).unwrap();
        insta::assert_snapshot!(diffs(&[diff], Detail::Semantic.into()).to_plain(), @"
        logo  changed (binary)
          description:
            - the logo
            + the new logo
          tags: -old +2026
          media type: none → image/png
        ");
    }

    #[test]
    fn a_long_value_says_how_much_is_left_out() {
        let long = format!("string:{}", "line\n".repeat(25));
        let shown = diffs(&[between("k", "", &long)], Detail::Semantic.into()).to_plain();
        assert_eq!(shown.lines().count(), 1 + WHOLE_VALUE_LINES_MAX + 1);
        assert!(shown.ends_with("  … 5 lines more\n"), "{shown}");
    }

    #[test]
    fn a_value_cannot_steer_the_terminal() {
        let hostile = between(
            "k",
            "string:a\u{1b}[2J\nb",
            "string:a\u{1b}]0;x\u{7}\nc\u{202e}d",
        );
        for detail in [Detail::Semantic, Detail::Text, Detail::Stat] {
            let shown = diffs(std::slice::from_ref(&hostile), detail.into()).to_plain();
            assert!(
                !shown.contains(['\u{1b}', '\u{7}', '\u{202e}']),
                "{shown:?}"
            );
        }
    }
}

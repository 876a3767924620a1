//! Values as people see them in lists and diffs.

use confman_model::{Entry, EntryType, Value};
use serde_json::value::RawValue;

use crate::render::mask::masked_json;
use crate::text::count;

/// Characters of a value that a list shows.
const PREVIEW_CHARS: usize = 72;

/// One line for the value of a key in a list: its JSON, shortened; binary by its size. What looks like a
/// secret is masked.
pub(crate) fn preview(
    key: &str,
    entry_type: Option<&str>,
    value: Option<&RawValue>,
    size: u64,
    unset: bool,
) -> String {
    let masked = value.and_then(|value| masked_json(key, entry_type, value));
    match masked.filter(|_| !unset) {
        Some(masked) => shorten(&masked),
        None => revealed(entry_type, value, size, unset),
    }
}

/// As [`preview`], of a value that was asked for.
pub(crate) fn revealed(
    entry_type: Option<&str>,
    value: Option<&RawValue>,
    size: u64,
    unset: bool,
) -> String {
    if unset {
        return "(unset)".to_owned();
    }
    if entry_type == Some(EntryType::Binary.name()) {
        return format!("({size} bytes)");
    }
    match value {
        None => format!("({} of {size} bytes)", entry_type.unwrap_or("value")),
        Some(value) => shorten(&one_line(value.get())),
    }
}

/// One line for an entry.
pub(crate) fn entry_preview(entry: &Entry) -> String {
    match entry.value() {
        None => "(unset)".to_owned(),
        Some(value) => value_preview(value),
    }
}

/// One line for a value.
pub(crate) fn value_preview(value: &Value) -> String {
    match value.entry_type() {
        EntryType::Binary => format!("({})", count(value.bytes().len(), "byte")),
        EntryType::SecretRef => shorten(value.as_str().unwrap_or_default()),
        _ => shorten(&one_line(&value.to_json())),
    }
}

/// JSON text in one line. Line ends stand between tokens only, with indentation after them.
fn one_line(json: &str) -> String {
    json.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

/// The first [`PREVIEW_CHARS`] characters.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(PREVIEW_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn previews_say_what_kind_of_value_it_is() {
        let long = format!("\"{}\"", "x".repeat(100));
        let table = [
            preview("k", Some("string"), Some(&raw("\"3\"")), 1, false),
            preview("k", Some("number"), Some(&raw("3.00")), 4, false),
            preview(
                "k",
                Some("json"),
                Some(&raw("{\n  \"a\": 1,\n  \"b\": []\n}")),
                22,
                false,
            ),
            preview("k", Some("binary"), Some(&raw("\"AAEC\"")), 3, false),
            preview("k", Some("string"), None, 5000, false),
            preview("k", Some("string"), Some(&raw(&long)), 100, false),
            preview("k", None, None, 0, true),
        ];
        insta::assert_snapshot!(table.join("\n"), @r#"
        "3"
        3.00
        { "a": 1, "b": [] }
        (3 bytes)
        (string of 5000 bytes)
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
        (unset)
        "#);
    }
}

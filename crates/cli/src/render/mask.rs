//! Values that look like secrets, which diffs and lists show only to who asks for them.
//!
//! A name tells: that of the key, or of a member inside JSON. References to secrets are shown; they are
//! no secrets.

use confman_model::{
    Entry, EntryDiff, EntryType, EntryValue, Json, Key, Value, ValueDiff, ValueLimits,
};
use serde_json::value::RawValue;

/// Parts of names whose values are not for every eye.
const SECRET_WORDS: [&str; 9] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "api-key",
    "private-key",
    "credential",
];
/// What is shown in the place of a value.
const MASK: &str = "(masked)";

/// An entry as it may be shown under a key.
pub(crate) fn masked_entry(key: &Key, entry: &Entry) -> Entry {
    mask_entry(entry, key.segments().any(tells))
}

/// A value as it may be shown in a list, by its key and type, as the API writes it; `None` where it may be
/// shown as it is.
pub(crate) fn masked_json(key: &str, entry_type: Option<&str>, value: &RawValue) -> Option<String> {
    let entry_type = entry_type.and_then(|name| name.parse().ok());
    let is_secret = key.split('/').any(tells);
    match entry_type {
        Some(EntryType::Number | EntryType::Boolean | EntryType::SecretRef) => None,
        Some(EntryType::String | EntryType::Binary | EntryType::Json) if is_secret => {
            Some(MASK.to_owned())
        }
        Some(EntryType::String | EntryType::Binary) => None,
        // Where no type is told, the JSON tells.
        Some(EntryType::Json) | None => {
            let mut json = Json::parse(value.get().as_bytes()).ok()?;
            mask_json(&mut json, is_secret).then(|| json.to_compact())
        }
    }
}

/// The differences with such values masked.
pub(crate) fn masked(diffs: &[EntryDiff]) -> Vec<EntryDiff> {
    diffs.iter().map(mask).collect()
}

fn mask(diff: &EntryDiff) -> EntryDiff {
    let is_secret = diff.key.segments().any(tells);
    let side = |entry: &Option<Entry>| entry.as_ref().map(|entry| mask_entry(entry, is_secret));
    let value = match &diff.value {
        ValueDiff::Text(_) | ValueDiff::Json(_) if is_secret => ValueDiff::Replaced,
        ValueDiff::Json(changes) => {
            let mut changes = changes.clone();
            for change in &mut changes {
                let is_secret = change.pointer.steps().any(|step| tells(&step));
                let sides = [&mut change.old, &mut change.new];
                for json in sides.into_iter().flatten() {
                    mask_json(json, is_secret);
                }
            }
            ValueDiff::Json(changes)
        }
        value => value.clone(),
    };
    EntryDiff {
        old: side(&diff.old),
        new: side(&diff.new),
        value,
        ..diff.clone()
    }
}

/// Whether a name tells that its value is a secret.
fn tells(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace(['_', '.'], "-");
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

fn mask_entry(entry: &Entry, is_secret: bool) -> Entry {
    let Some(value) = entry.value() else {
        return entry.clone();
    };
    let shown = match value.entry_type() {
        EntryType::String | EntryType::Binary | EntryType::Json if is_secret => {
            Value::new(EntryType::String, MASK, &ValueLimits::default()).ok()
        }
        EntryType::Json => Json::parse(value.bytes()).ok().and_then(|mut json| {
            let is_masked = mask_json(&mut json, false);
            let text = is_masked.then(|| json.to_pretty())?;
            Value::new(EntryType::Json, text, &ValueLimits::default()).ok()
        }),
        _ => None,
    };
    let Some(shown) = shown else {
        return entry.clone();
    };
    let mut details = entry.clone().into_parts().1;
    details.media_type = None;
    Entry::new(EntryValue::Value(shown), details).unwrap_or_else(|_| entry.clone())
}

/// Masks texts where a name tells to; `true` where there is one.
fn mask_json(json: &mut Json, is_secret: bool) -> bool {
    match json {
        Json::String(text) if is_secret => {
            MASK.clone_into(text);
            true
        }
        Json::Array(items) => {
            let masked = items.iter_mut().map(|item| mask_json(item, is_secret));
            masked.filter(|masked| *masked).count() > 0
        }
        Json::Object(members) => {
            let masked = members
                .iter_mut()
                .map(|(name, member)| mask_json(member, is_secret || tells(name)));
            masked.filter(|masked| *masked).count() > 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::diff::{Detail, Secrets, View, diffs};

    fn entry(entry_type: EntryType, text: &str) -> Option<Entry> {
        let value = Value::new(entry_type, text, &ValueLimits::default()).unwrap();
        Some(Entry::of(value))
    }

    #[test]
    fn secrets_are_masked_wherever_they_are_shown_unless_asked_for() {
        let between = |key: &str, old: Option<Entry>, new: Option<Entry>| {
            EntryDiff::between(&key.parse().unwrap(), old.as_ref(), new.as_ref()).unwrap()
        };
        use EntryType::{Json, Number, SecretRef, String};
        let all = [
            between(
                "db/password",
                entry(String, "canary-1"),
                entry(String, "canary-2\nx"),
            ),
            between("api_token", None, entry(Json, r#"{"a": "canary-3"}"#)),
            between(
                "db",
                entry(
                    Json,
                    r#"{"user": "u", "Pass_Phrase": 1, "passPhrase": "canary-4", "n": 1}"#,
                ),
                entry(
                    Json,
                    r#"{"user": "v", "passPhrase": "canary-5", "in": {"secrets": ["canary-6"]}}"#,
                ),
            ),
            between("token-ttl", entry(Number, "1"), entry(Number, "2")),
            between("secret/ref", None, entry(SecretRef, "vault://kv/a#b")),
        ];
        for detail in [
            Detail::Semantic,
            Detail::Text,
            Detail::Stat,
            Detail::SideBySide { width: 100 },
        ] {
            let shown = diffs(&all, detail.into()).to_plain();
            assert!(!shown.contains("canary"), "{detail:?}: {shown}");
            let secrets = Secrets::Shown;
            let revealed = diffs(&all, View { detail, secrets }).to_plain();
            assert!(revealed.contains("canary"), "{detail:?}: {revealed}");
        }
        insta::assert_snapshot!(diffs(&all, Detail::Semantic.into()).to_plain(), @r#"
        db/password  changed (string)
          - "(masked)"
          + "(masked)"
        api_token  added (string)
          + "(masked)"
        db  changed (json)
          /user: "u" → "v"
          /Pass_Phrase: - 1
          /passPhrase: "(masked)" → "(masked)"
          /n: - 1
          /in: + {"secrets":["(masked)"]}
        token-ttl  changed (number)
          - 1
          + 2
        secret/ref  added (secret-ref)
          + vault://kv/a#b
        "#);
    }

    #[test]
    fn lists_mask_what_a_name_calls_a_secret() {
        let shown = |key: &str, entry_type: Option<&str>, json: &str| {
            let value = RawValue::from_string(json.to_owned()).unwrap();
            masked_json(key, entry_type, &value).unwrap_or_else(|| "as it is".to_owned())
        };
        let table = [
            shown("db/password", Some("string"), r#""canary""#),
            shown("db/password", None, r#""canary""#),
            shown("db/password", Some("binary"), r#""Y2FuYXJ5""#),
            shown("db/password", Some("secret-ref"), r#""vault://a/b#c""#),
            shown("token/ttl", Some("number"), "60"),
            shown(
                "db",
                Some("json"),
                r#"{"user": "u", "password": "canary", "port": 1}"#,
            ),
            shown("db", Some("json"), r#"{"user": "u"}"#),
            shown("motd", Some("string"), r#""hello""#),
        ];
        insta::assert_snapshot!(table.join("\n"), @r#"
        (masked)
        "(masked)"
        (masked)
        as it is
        as it is
        {"user":"u","password":"(masked)","port":1}
        as it is
        as it is
        "#);
    }
}

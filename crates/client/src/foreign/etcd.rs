//! What etcd gives out: `etcdctl get --prefix -w json`, and the listing of a snapshot's keys that
//! `etcd-dump-db iterate-bucket SNAPSHOT key --decode` makes.
//!
//! A snapshot holds every revision of a key that was not compacted away; of each key the latest
//! counts, and a removal is one.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::stores::{decoded, done, no_json, text_or_bytes};
use super::{ForeignEntry, ForeignProblem};

type Read = Result<Vec<ForeignEntry>, Vec<ForeignProblem>>;

/// What every line of a snapshot's listing begins with.
const LISTED: &str = "rev={";

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    kvs: Vec<KeyValue>,
}

#[derive(Deserialize)]
struct KeyValue {
    key: String,
    #[serde(default)]
    value: String,
}

/// Reads either of the two.
pub(super) fn read(bytes: &[u8]) -> Read {
    match bytes.trim_ascii_start().starts_with(LISTED.as_bytes()) {
        true => listing(&String::from_utf8_lossy(bytes)),
        false => answer(bytes),
    }
}

/// Keys and values in base64.
fn answer(bytes: &[u8]) -> Read {
    let Answer { kvs } = serde_json::from_slice(bytes).map_err(|error| no_json(&error))?;
    let (mut entries, mut problems) = (Vec::new(), Vec::new());
    for (KeyValue { key, value }, number) in kvs.into_iter().zip(1..) {
        let name = decoded(&key).map(String::from_utf8);
        let Ok(Ok(name)) = name else {
            let what = format!("the key of item {number} of `kvs` is no base64 of UTF-8");
            problems.push(ForeignProblem::whole(what));
            continue;
        };
        match decoded(&value) {
            Ok(bytes) => entries.extend(entry(&name, bytes)),
            Err(what) => problems.push(ForeignProblem::of_key(&name, what)),
        }
    }
    done(entries, problems)
}

/// An entry under a key without the `/` that keys of etcd often begin with; none for a folder.
fn entry(name: &str, value: Vec<u8>) -> Option<ForeignEntry> {
    let key = name.strip_prefix('/').unwrap_or(name).to_owned();
    (!key.is_empty() && !key.ends_with('/')).then(|| ForeignEntry {
        key,
        value: text_or_bytes(value),
    })
}

/// A revision: of which transaction, and which of its changes.
type Revision = (u64, u64);

/// `rev={main:5 sub:0}, value=[key "a" | val "b" | created 2 | mod 5 | ver 3]`, a line each.
fn listing(text: &str) -> Read {
    let mut latest: BTreeMap<String, (Revision, Option<Vec<u8>>)> = BTreeMap::new();
    let mut problems = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        if line.trim().is_empty() {
            continue;
        }
        match listed(line) {
            Some((key, revision, value)) => {
                let known = latest.get(&key).map(|(revision, _)| *revision);
                if known.is_none_or(|known| known < revision) {
                    latest.insert(key, (revision, value));
                }
            }
            None => {
                let what = "it is no line of `etcd-dump-db iterate-bucket FILE key --decode`";
                problems.push(ForeignProblem::at_line(number, what));
            }
        }
    }
    let present = latest
        .into_iter()
        .filter_map(|(key, (_, value))| entry(&key, value?));
    done(present.collect(), problems)
}

/// A line of a listing: its key, its revision, and the value where it is no removal.
fn listed(line: &str) -> Option<(String, Revision, Option<Vec<u8>>)> {
    let (revision, rest) = line.split_once(", value=[key ")?;
    let revision = revision.to_ascii_lowercase();
    let number = |name: &str| {
        let (_, after) = revision.split_once(name)?;
        let digits: &str = after.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse::<u64>().ok()
    };
    let revision = (number("main:")?, number("sub:")?);
    let (key, rest) = go_quoted(rest)?;
    let (value, rest) = go_quoted(rest.strip_prefix(" | val ")?)?;
    let version = rest.strip_suffix(']')?.rsplit_once(" | ver ")?.1;
    let is_removal = version.parse::<u64>().ok()? == 0;
    let key = String::from_utf8(key).ok()?;
    Some((key, revision, (!is_removal).then_some(value)))
}

/// Bytes in quotes as Go writes them with `%q`, and what comes after.
fn go_quoted(text: &str) -> Option<(Vec<u8>, &str)> {
    let inside = text.strip_prefix('"')?;
    let mut bytes = Vec::new();
    let mut chars = inside.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((bytes, inside.get(at + 1..)?)),
            '\\' => {
                let (at, escape) = chars.next()?;
                let digits = match escape {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    _ => 0,
                };
                if digits > 0 {
                    let code = inside.get(at + 1..at + 1 + digits)?;
                    let code = u32::from_str_radix(code, 16).ok()?;
                    match escape {
                        'x' => bytes.push(u8::try_from(code).ok()?),
                        _ => push_char(&mut bytes, char::from_u32(code)?),
                    }
                    chars.nth(digits - 1)?;
                    continue;
                }
                push_char(
                    &mut bytes,
                    match escape {
                        'a' => '\x07',
                        'b' => '\x08',
                        'f' => '\x0c',
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        'v' => '\x0b',
                        '\\' | '"' => escape,
                        _ => return None,
                    },
                );
            }
            c => push_char(&mut bytes, c),
        }
    }
    None
}

fn push_char(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::Foreign;
    use super::super::tests::read;

    #[test]
    fn answers_are_decoded_and_folders_skipped() {
        let text = r#"{"header":{"revision":7},"kvs":[
            {"key":"L2FwcC9wb3J0","create_revision":2,"mod_revision":5,"version":3,"value":"ODA="},
            {"key":"YXBwLw==","value":""}, {"key":"YXBwL2Jpbg==","value":"AP8="}, {"key":"ZQ=="}],"count":4}"#;
        insta::assert_snapshot!(read(Foreign::Etcd, text), @r#"
        app/port = text "80"
        app/bin = bytes [0, 255]
        e = text ""
        "#);
        insta::assert_snapshot!(read(Foreign::Etcd, r#"{"header":{}}"#), @"");
        let wrong = [
            r#"{"kvs":[{"key":"?"},{"key":"YQ==","value":"?"}]}"#,
            r#"{"kvs": 1}"#,
        ];
        insta::assert_snapshot!(wrong.map(|text| read(Foreign::Etcd, text)).join("\n"), @"
        ERROR - the key of item 1 of `kvs` is no base64 of UTF-8
        ERROR a its value is no base64
        ERROR -:1 it is not the JSON that was expected
        ");
    }

    #[test]
    fn of_a_snapshot_the_latest_revisions_are_taken_and_removed_keys_are_not() {
        let text = concat!(
            "rev={main:6 sub:0}, value=[key \"gone\" | val \"\" | created 0 | mod 0 | ver 0]\n",
            "rev={main:5 sub:1}, value=[key \"/app/q\" | val \"a \\\"b\\\"\\n\\u00fc\\x00\" | created 5 | mod 5 | ver 1]\n",
            "rev={main:5 sub:0}, value=[key \"/app/port\" | val \"81\" | created 2 | mod 5 | ver 2]\n",
            "rev={Revision:{Main:4 Sub:0} tombstone:false}, value=[key \"gone\" | val \"x\" | created 4 | mod 4 | ver 1]\n",
            "rev={main:2 sub:0}, value=[key \"/app/port\" | val \"80\" | created 2 | mod 2 | ver 1]\n",
        );
        insta::assert_snapshot!(read(Foreign::Etcd, text), @r#"
        app/port = text "81"
        app/q = text "a \"b\"\nü\0"
        "#);
        let said = read(Foreign::Etcd, "rev={main:1 sub:0}, value=[key \"a\n");
        insta::assert_snapshot!(said, @"ERROR -:1 it is no line of `etcd-dump-db iterate-bucket FILE key --decode`");
    }
}

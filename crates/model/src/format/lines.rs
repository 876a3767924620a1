//! Formats of one line for each key or scalar.

use super::environment::text;
use crate::json::{self, Json, Pointer};
use crate::key::Key;
use crate::value::Value;

/// Java properties, in ASCII, which every version of Java reads alike.
pub(super) fn properties(values: &[(Key, Value)]) -> String {
    let mut out = String::new();
    for (key, value) in values {
        let text = match value.as_json() {
            Some(json) => json.to_compact(),
            None => text(value),
        };
        out.push_str(key.as_str());
        out.push('=');
        escape_properties(&text, &mut out);
        out.push('\n');
    }
    out
}

fn escape_properties(text: &str, out: &mut String) {
    for (index, c) in text.chars().enumerate() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // White space at the start belongs to the separator, unless it is escaped.
            ' ' if index == 0 => out.push_str("\\ "),
            ' '..='~' => out.push(c),
            c => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
}

/// One line for every scalar; `#` cannot be in a key, so no two lines begin alike.
pub(super) fn flat(values: &[(Key, Value)]) -> String {
    let mut out = String::new();
    for (key, value) in values {
        match value.as_json() {
            Some(json) => flatten(key, &Pointer::root(), &json, &mut out),
            None => line(key, "", &value.to_json(), &mut out),
        }
    }
    out
}

fn flatten(key: &Key, pointer: &Pointer, json: &Json, out: &mut String) {
    match json {
        Json::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                flatten(key, &pointer.member(name), member, out);
            }
        }
        Json::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                flatten(key, &pointer.item(index), item, out);
            }
        }
        scalar => {
            let place = match pointer.is_root() {
                true => String::new(),
                // Names in a pointer may hold anything; a line must stay one.
                false => format!("#{}", inner(&json::quote(pointer.as_str()))),
            };
            line(key, &place, &scalar.to_compact(), out);
        }
    }
}

/// A JSON string without its quotes.
fn inner(quoted: &str) -> &str {
    quoted
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(quoted)
}

fn line(key: &Key, place: &str, scalar: &str, out: &mut String) {
    out.push_str(key.as_str());
    out.push_str(place);
    out.push_str(" = ");
    out.push_str(scalar);
    out.push('\n');
}

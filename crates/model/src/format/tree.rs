//! Formats with structure of their own: YAML and TOML.

use super::FormatProblem;
use super::environment::text;
use crate::json::{Json, Number, Pointer};
use crate::key::Key;
use crate::value::Value;

/// What YAML reads as something else than a string, in any of its versions.
const YAML_WORDS: &[&str] = &[
    "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf",
];

/// A value as a tree. Binary is base64.
fn json_of(value: &Value) -> Json {
    use crate::entry_type::EntryType as Type;
    match value.entry_type() {
        Type::Json => value.as_json().unwrap_or(Json::Null),
        Type::Boolean => Json::Bool(value.bytes() == b"true"),
        Type::Number => match Number::parse(value.as_str().unwrap_or_default()) {
            Ok(number) => Json::Number(number),
            Err(_) => Json::String(text(value)),
        },
        Type::String | Type::SecretRef | Type::Binary => Json::String(text(value)),
    }
}

/// One mapping in block style.
pub(super) fn yaml(values: &[(Key, Value)]) -> String {
    if values.is_empty() {
        return "{}\n".to_owned();
    }
    let mut out = String::new();
    for (key, value) in values {
        yaml_member(key.as_str(), &json_of(value), 0, &mut out);
    }
    out
}

fn yaml_member(name: &str, json: &Json, depth: usize, out: &mut String) {
    indent(depth, out);
    match yaml_plain(name) {
        true => out.push_str(name),
        false => yaml_quoted(name, out),
    }
    out.push(':');
    yaml_under(json, depth, out);
}

/// What follows `name:` or `-`: a scalar on the line, or lines below it.
fn yaml_under(json: &Json, depth: usize, out: &mut String) {
    match json {
        Json::Object(members) if !members.is_empty() => {
            out.push('\n');
            for (name, member) in members {
                yaml_member(name, member, depth + 1, out);
            }
        }
        Json::Array(items) if !items.is_empty() => {
            out.push('\n');
            for item in items {
                indent(depth + 1, out);
                out.push('-');
                yaml_under(item, depth + 1, out);
            }
        }
        Json::String(text) => {
            out.push(' ');
            yaml_quoted(text, out);
            out.push('\n');
        }
        scalar => {
            out.push(' ');
            out.push_str(&scalar.to_compact());
            out.push('\n');
        }
    }
}

/// Whether a name needs no quotes in any version of YAML.
fn yaml_plain(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic());
    let is_word = YAML_WORDS
        .iter()
        .any(|word| word.eq_ignore_ascii_case(name));
    begins
        && !is_word
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.'))
}

/// Double quotes, in which only what is printable stays as it is.
fn yaml_quoted(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control()
                || matches!(
                    c,
                    '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
                ) =>
            {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", depth));
}

/// One table with inline tables below.
pub(super) fn toml(values: &[(Key, Value)]) -> Result<String, Vec<FormatProblem>> {
    let mut out = String::new();
    let mut problems = Vec::new();
    for (key, value) in values {
        toml_name(key.as_str(), &mut out);
        out.push_str(" = ");
        let mut refuse = |pointer: &Pointer, what: &str| {
            problems.push(FormatProblem {
                key: key.clone(),
                pointer: (!pointer.is_root()).then(|| pointer.clone()),
                what: what.to_owned(),
            });
        };
        toml_value(&json_of(value), &Pointer::root(), &mut out, &mut refuse);
        out.push('\n');
    }
    match problems.is_empty() {
        true => Ok(out),
        false => Err(problems),
    }
}

fn toml_value(
    json: &Json,
    pointer: &Pointer,
    out: &mut String,
    refuse: &mut impl FnMut(&Pointer, &str),
) {
    match json {
        Json::Null => refuse(pointer, "TOML has no null"),
        Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Json::Number(number) => {
            let token = number.as_str();
            let is_float = token.contains(['.', 'e', 'E']);
            if !is_float && token.parse::<i64>().is_err() {
                refuse(pointer, "TOML has no integer this large");
            }
            out.push_str(token);
        }
        Json::String(text) => toml_quoted(text, out),
        Json::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                toml_value(item, &pointer.item(index), out, refuse);
            }
            out.push(']');
        }
        Json::Object(members) => {
            out.push('{');
            for (index, (name, member)) in members.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { " " });
                toml_name(name, out);
                out.push_str(" = ");
                toml_value(member, &pointer.member(name), out, refuse);
            }
            out.push_str(if members.is_empty() { "}" } else { " }" });
        }
    }
}

fn toml_name(name: &str, out: &mut String) {
    let is_bare = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    match is_bare {
        true => out.push_str(name),
        false => toml_quoted(name, out),
    }
}

fn toml_quoted(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

//! The contract as a page that needs nothing from anywhere else: no script, no font, no network.

use std::fmt::Write as _;
use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{document, text};
use crate::error::ApiError;

const HEAD: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Confman: HTTP</title>\
<meta name=\"viewport\" content=\"width=device-width\"><style>\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
code,pre{font-family:ui-monospace,monospace;font-size:.9em}pre{overflow:auto;padding:1rem;border:1px solid}\
summary{cursor:pointer;padding:.3rem 0}details details{margin-left:1rem}@media(prefers-color-scheme:dark){:root{color-scheme:dark}}\
</style><h1>Confman over HTTP</h1><p>The same for programs: <a href=\"/openapi.json\">openapi.json</a>.</p>";

/// The page, made once.
pub(crate) fn page() -> Result<Bytes, ApiError> {
    static PAGE: OnceLock<Bytes> = OnceLock::new();
    if let Some(page) = PAGE.get() {
        return Ok(page.clone());
    }
    // Whoever cannot write the text cannot write the page.
    text()?;
    Ok(PAGE.get_or_init(|| Bytes::from(write(&document()))).clone())
}

fn write(document: &Value) -> String {
    let mut out = String::from(HEAD);
    let nothing = Map::new();
    let paths = document
        .get("paths")
        .and_then(Value::as_object)
        .unwrap_or(&nothing);
    for (path, methods) in paths {
        let methods = methods.as_object().unwrap_or(&nothing);
        for (method, operation) in methods.iter().filter(|(name, _)| *name != "parameters") {
            one(path, method, operation, &mut out);
        }
    }
    out.push_str("<h2>Documents</h2>");
    let schemas = document
        .pointer("/components/schemas")
        .and_then(Value::as_object)
        .unwrap_or(&nothing);
    for (name, schema) in schemas {
        let _ = write!(
            out,
            "<details id=\"{0}\"><summary><code>{0}</code></summary>",
            escaped(name)
        );
        json(schema, &mut out);
        out.push_str("</details>");
    }
    out
}

fn one(path: &str, method: &str, operation: &Value, out: &mut String) {
    let summary = text_of(operation, "summary");
    let _ = write!(
        out,
        "<details><summary><code>{} {}</code> {}</summary>",
        method.to_ascii_uppercase(),
        escaped(path),
        escaped(summary)
    );
    for parameter in operation
        .get("parameters")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let name = text_of(parameter, "name");
        let says = text_of(parameter, "description");
        let _ = write!(
            out,
            "<p><code>{}</code>: {}</p>",
            escaped(name),
            escaped(says)
        );
    }
    for (title, part) in [
        ("Reads", operation.pointer("/requestBody/content")),
        ("Answers", operation.get("responses")),
    ] {
        if let Some(part) = part {
            let _ = write!(out, "<details><summary>{title}</summary>");
            json(part, out);
            out.push_str("</details>");
        }
    }
    out.push_str("</details>");
}

/// The text of a member; none where there is no such text.
fn text_of<'v>(value: &'v Value, member: &str) -> &'v str {
    value
        .get(member)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn json(value: &Value, out: &mut String) {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    let _ = write!(out, "<pre>{}</pre>", escaped(&text));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

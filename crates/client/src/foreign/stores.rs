//! What other stores give out: Kubernetes, Consul, Vault.

use confman_model::Json;
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::Value;

use super::{ForeignEntry, ForeignProblem, ForeignValue};

type Read = Result<Vec<ForeignEntry>, Vec<ForeignProblem>>;

/// `data` and `binaryData` of a ConfigMap.
pub(super) fn config_map(json: Json) -> Read {
    let kind = json.get("kind");
    if kind != Some(&Json::String("ConfigMap".to_owned())) {
        return Err(vec![ForeignProblem::whole("its kind is not ConfigMap")]);
    }
    let (mut entries, mut problems) = (Vec::new(), Vec::new());
    let mut each = |name: &str, value: fn(&str) -> Result<ForeignValue, String>| {
        let Some(Json::Object(members)) = json.get(name) else {
            return;
        };
        for (key, member) in members {
            let read = match member {
                Json::String(text) => value(text),
                _ => Err(format!("`{name}` holds texts alone")),
            };
            match read {
                Ok(value) => entries.push(ForeignEntry {
                    key: key.clone(),
                    value,
                }),
                Err(what) => problems.push(ForeignProblem::of_key(key, what)),
            }
        }
    };
    each("data", |text| Ok(ForeignValue::Text(text.to_owned())));
    each("binaryData", |text| decoded(text).map(ForeignValue::Bytes));
    done(entries, problems)
}

/// An entry of `consul kv export`.
#[derive(Deserialize)]
struct ConsulEntry {
    key: String,
    value: Option<String>,
}

/// `consul kv export`: an array with values in base64. Keys that end in `/` are folders.
pub(super) fn consul(bytes: &[u8]) -> Read {
    let found: Vec<ConsulEntry> = serde_json::from_slice(bytes).map_err(|error| no_json(&error))?;
    let (mut entries, mut problems) = (Vec::new(), Vec::new());
    for entry in found {
        if entry.key.ends_with('/') {
            continue;
        }
        match decoded(entry.value.as_deref().unwrap_or_default()) {
            Ok(bytes) => entries.push(ForeignEntry {
                key: entry.key,
                value: text_or_bytes(bytes),
            }),
            Err(what) => problems.push(ForeignProblem::of_key(&entry.key, what)),
        }
    }
    done(entries, problems)
}

/// An object of `MOUNT/PATH` and fields, plain or as `vault kv get -format=json` has them. Of each
/// field its place is taken, and its value is not.
pub(super) fn vault(bytes: &[u8]) -> Read {
    let found: serde_json::Map<String, Value> =
        serde_json::from_slice(bytes).map_err(|error| no_json(&error))?;
    let (mut entries, mut problems) = (Vec::new(), Vec::new());
    for (place, secret) in found {
        let place = place.trim_matches('/').to_owned();
        let Some((mount, path)) = place.split_once('/') else {
            problems.push(ForeignProblem::of_key(&place, "it is no MOUNT/PATH"));
            continue;
        };
        let fields = match secret.get("data") {
            Some(Value::Object(fields)) if secret.get("metadata").is_some() => fields,
            _ => match &secret {
                Value::Object(fields) => fields,
                _ => {
                    problems.push(ForeignProblem::of_key(&place, "it is no object of fields"));
                    continue;
                }
            },
        };
        for field in fields.keys() {
            let uri = format!("vault://{mount}/{path}#{field}");
            let is_plain = uri.bytes().all(|b| b.is_ascii_graphic());
            match is_plain {
                true => entries.push(ForeignEntry {
                    key: format!("{path}/{field}"),
                    value: ForeignValue::Reference(uri),
                }),
                false => problems.push(ForeignProblem::of_key(
                    &place,
                    "path or field have characters that a reference cannot have",
                )),
            }
        }
    }
    done(entries, problems)
}

/// The entries, or everything that is wrong.
pub(super) fn done(entries: Vec<ForeignEntry>, problems: Vec<ForeignProblem>) -> Read {
    match problems.is_empty() {
        true => Ok(entries),
        false => Err(problems),
    }
}

/// A text where the bytes are one.
pub(super) fn text_or_bytes(bytes: Vec<u8>) -> ForeignValue {
    match String::from_utf8(bytes) {
        Ok(text) => ForeignValue::Text(text),
        Err(error) => ForeignValue::Bytes(error.into_bytes()),
    }
}

/// JSON with every digit.
pub(super) fn json(text: &str) -> Result<Json, Vec<ForeignProblem>> {
    Json::parse(text.as_bytes()).map_err(|problems| {
        let problems = problems.into_iter().map(|problem| ForeignProblem {
            key: None,
            line: Some(problem.line),
            column: Some(problem.column),
            what: problem.what,
        });
        problems.collect()
    })
}

pub(super) fn decoded(text: &str) -> Result<Vec<u8>, String> {
    let text: String = text.split_ascii_whitespace().collect();
    BASE64
        .decode(text.as_bytes())
        .map_err(|_| "its value is no base64".to_owned())
}

pub(super) fn no_json(error: &serde_json::Error) -> Vec<ForeignProblem> {
    // The library's text may repeat parts of values; where is enough.
    vec![ForeignProblem {
        line: Some(error.line()),
        column: Some(error.column()),
        ..ForeignProblem::whole("it is not the JSON that was expected")
    }]
}

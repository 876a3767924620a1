//! What a Git tree cannot say about entries, in a file beside them: `.confman-entries.json`.
//!
//! Most entries need nothing there: a `.json` file is JSON, other text is a string, the rest is binary.
//! An entry that is something else, has a description, tags or a media type, is unset, or cannot have
//! a file of its key's name, is listed by the path of its file.

use confman_model::{Details, EntryType, json};
use imbl::OrdMap;
use serde::Deserialize;

/// The file, at the root of the Git tree.
pub const SIDECAR_FILE: &str = ".confman-entries.json";
/// Version of its format.
const SIDECAR_FORMAT: u32 = 1;

/// What is stated about the entry of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Stated {
    /// The key, where it is not the path.
    #[serde(default)]
    pub(super) key: Option<String>,
    /// The type, where it is not told by name and content.
    #[serde(rename = "type", default)]
    pub(super) entry_type: Option<EntryType>,
    /// The entry is unset; its file is empty.
    #[serde(default)]
    pub(super) unset: bool,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) tags: Vec<String>,
    #[serde(default)]
    pub(super) media_type: Option<String>,
}

impl Stated {
    /// What is said about the entry beside its value.
    pub(super) fn details(&self) -> Details {
        Details {
            description: self.description.clone(),
            tags: self.tags.iter().cloned().collect(),
            media_type: self.media_type.clone(),
        }
    }

    fn to_json(&self) -> String {
        let mut members = Vec::new();
        if let Some(key) = &self.key {
            members.push(format!("\"key\": {}", json::quote(key)));
        }
        if let Some(entry_type) = self.entry_type {
            members.push(format!("\"type\": {}", json::quote(entry_type.name())));
        }
        if self.unset {
            members.push("\"unset\": true".to_owned());
        }
        if !self.description.is_empty() {
            members.push(format!(
                "\"description\": {}",
                json::quote(&self.description)
            ));
        }
        if !self.tags.is_empty() {
            let tags: Vec<String> = self.tags.iter().map(|tag| json::quote(tag)).collect();
            members.push(format!("\"tags\": [{}]", tags.join(", ")));
        }
        if let Some(media_type) = &self.media_type {
            members.push(format!("\"mediaType\": {}", json::quote(media_type)));
        }
        format!("{{{}}}", members.join(", "))
    }
}

/// What is stated, by path.
pub(super) type Sidecar = OrdMap<String, Stated>;

/// The text of the file.
pub(super) fn to_text(sidecar: &Sidecar) -> String {
    let lines: Vec<String> = sidecar
        .iter()
        .map(|(path, stated)| format!("    {}: {}", json::quote(path), stated.to_json()))
        .collect();
    format!(
        "{{\n  \"format\": {SIDECAR_FORMAT},\n  \"files\": {{\n{}\n  }}\n}}\n",
        lines.join(",\n")
    )
}

/// Reads the file.
pub(super) fn parse(text: &[u8]) -> Result<Sidecar, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        format: u32,
        files: std::collections::BTreeMap<String, Stated>,
    }
    let file: File = serde_json::from_slice(text).map_err(|error| {
        format!(
            "this name is for what `confman export --git` writes, and this is not that: {error}"
        )
    })?;
    if file.format != SIDECAR_FORMAT {
        return Err(format!(
            "it has format {}, known here is {SIDECAR_FORMAT}",
            file.format
        ));
    }
    Ok(file.files.into_iter().collect())
}

/// What goes beside a history has one form.
///
/// # Panics
/// It has two.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn fuzz_sidecar(bytes: &[u8]) {
    if let Ok(sidecar) = parse(bytes) {
        let again = parse(to_text(&sidecar).as_bytes());
        assert_eq!(again, Ok(sidecar), "it has two forms");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let stated = |entry_type, key: Option<&str>| Stated {
            key: key.map(ToOwned::to_owned),
            entry_type,
            description: "says \"so\"".to_owned(),
            tags: vec!["a".to_owned(), "b c".to_owned()],
            media_type: Some("image/png".to_owned()),
            unset: false,
        };
        let sidecar: Sidecar = [
            (
                "port".to_owned(),
                Stated {
                    entry_type: Some(EntryType::Number),
                    ..Stated::default()
                },
            ),
            (
                "@/1".to_owned(),
                stated(Some(EntryType::SecretRef), Some("a")),
            ),
            (
                "gone".to_owned(),
                Stated {
                    unset: true,
                    ..Stated::default()
                },
            ),
        ]
        .into_iter()
        .collect();
        let text = to_text(&sidecar);
        assert_eq!(parse(text.as_bytes()).unwrap(), sidecar);
        insta::assert_snapshot!(text, @r#"
        {
          "format": 1,
          "files": {
            "@/1": {"key": "a", "type": "secret-ref", "description": "says \"so\"", "tags": ["a", "b c"], "mediaType": "image/png"},
            "gone": {"unset": true},
            "port": {"type": "number"}
          }
        }
        "#);
        assert!(parse(b"{}").is_err() && parse(b"{\"format\": 2, \"files\": {}}").is_err());
    }
}

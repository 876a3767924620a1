//! The schema of a working copy's `entries.json`, so that editors complete keys and values.

use std::collections::BTreeSet;
use std::sync::Arc;

use confman_model::Namespace;
use confman_policy::Permission;
use confman_policy::schema::{DIALECT, SchemaDocument};
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::schema::Schemas;
use crate::session::Session;

/// Most keys that an editor is told.
pub const EDITOR_KEYS_MAX: usize = 10_000;

impl Session {
    /// A schema for the entries of a namespace: its keys, those it inherits and those its schemas name.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub fn editor_schema(&self, namespace: &Namespace) -> Result<Value, Error> {
        let seen = self.look()?;
        seen.permit(namespace, Permission::ConfigReadPublished)?;
        let links = seen.links(namespace, None)?;
        let schemas = Schemas::new(&seen);
        let mut definitions = Map::new();
        let mut keys: BTreeSet<String> = BTreeSet::new();
        let mut roots: Vec<(String, Arc<SchemaDocument>)> = Vec::new();
        for link in &links {
            let Some(reference) = &link.document.schema else {
                continue;
            };
            let Ok(compiled) = schemas.compiled(&reference.path)? else {
                continue;
            };
            for part in std::iter::once(compiled.path()).chain(compiled.dependencies()) {
                if let Some(found) = seen.schema_head(part)? {
                    let document = seen.schema_document(part, &found)?;
                    definitions.insert(part.to_string(), document.as_resource(part));
                    if part == compiled.path() {
                        keys.extend(document.property_names());
                        roots.push((document.resource_name(part), document));
                    }
                }
            }
        }
        let effective = seen.document_of(&links)?;
        keys.extend(effective.keys().map(str::to_owned));
        let mut properties = Map::new();
        for key in keys.into_iter().take(EDITOR_KEYS_MAX) {
            let step = key.replace('~', "~0").replace('/', "~1");
            let of_key: Vec<Value> = roots
                .iter()
                .filter(|(_, document)| document.property_names().contains(&key))
                .map(|(name, _)| json!({ "$ref": format!("{name}#/properties/{step}") }))
                .collect();
            let value = match of_key.is_empty() {
                true => json!({}),
                false => json!({ "allOf": of_key }),
            };
            properties.insert(
                key,
                json!({ "$ref": "#/$defs/entry", "properties": { "value": value } }),
            );
        }
        definitions.insert(
            "entry".to_owned(),
            json!({
                "type": "object",
                "properties": {
                    "value": true,
                    "file": { "type": "string", "description": "a file with the value, under `files/`" },
                    "unset": { "const": true, "description": "hides what is inherited" },
                    "type": { "enum": ["string", "number", "boolean", "json", "binary", "secret-ref"] },
                    "description": { "type": "string" },
                    "tags": { "type": "array", "items": { "type": "string" } },
                    "mediaType": { "type": "string" },
                    "conflict": { "type": "object" },
                },
            }),
        );
        Ok(json!({
            "$schema": DIALECT,
            "title": format!("entries of {namespace}"),
            "type": "object",
            "properties": properties,
            "additionalProperties": { "$ref": "#/$defs/entry" },
            "$defs": definitions,
        }))
    }
}

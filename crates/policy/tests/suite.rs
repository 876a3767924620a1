//! The official test suite of JSON Schema 2020-12, through the path that schemas of a store take.
//!
//! The suite is not part of the project; without it the test says so and is skipped. What is
//! adapted to a store: `http://localhost:1234/` becomes `/schemas/`, whose paths are in lower case,
//! and a schema that is only `true` or `false` is wrapped, because a document is an object.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test; its helpers are not seen as part of one"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use confman_model::SchemaPath;
use confman_policy::schema::{CompileError, CompiledSchema, SchemaDocument};
use serde_json::Value;

const ARCHIVE: &str = "json-schema-test-suite-2020-12.tar.zst";
const HOST: &str = "http://localhost:1234/";
/// Names with capitals in the suite, which cannot stand in the path of a schema.
const CAPITALS: &[&str] = &[
    "baseUriChangeFolderInSubschema",
    "baseUriChangeFolder",
    "baseUriChange",
    "folderInteger",
    "subSchemas",
    "nestedAbsoluteRefToString",
    "detached-dynamicRef",
    "locationIndependentIdentifier",
];

/// Groups of tests that do not pass, and why. `docs/SCHEMAS.md` says the same.
const UNSUPPORTED: &[(&str, &str, &str)] = &[
    (
        "vocabulary.json",
        "schema that uses custom metaschema with with no validation vocabulary",
        "a schema is written in the one dialect, not in one of its own",
    ),
    (
        "vocabulary.json",
        "ignore unrecognized optional vocabulary",
        "a schema is written in the one dialect, not in one of its own",
    ),
];

#[test]
fn the_official_suite_passes() {
    // Beside the project, unless it is said where.
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let directory = std::env::var_os("CONFMAN_SHARED_DATA").map_or(beside, PathBuf::from);
    let Ok(packed) = std::fs::read(directory.join(ARCHIVE)) else {
        println!(
            "skipped: {ARCHIVE} is not in {} (CONFMAN_SHARED_DATA)",
            directory.display()
        );
        return;
    };
    let mut tar = Vec::new();
    zstd::Decoder::new(packed.as_slice())
        .unwrap()
        .read_to_end(&mut tar)
        .unwrap();
    let files = files(&tar);
    let remotes: BTreeMap<String, String> = files
        .iter()
        .filter_map(|(name, text)| {
            let name = name.strip_prefix("remotes/")?;
            Some((lowered(&format!("/schemas/{name}")), adapted(text)))
        })
        .collect();
    let mut failed = BTreeSet::new();
    let (mut groups, mut tests) = (0, 0);
    for (name, text) in &files {
        let Some(file) = name.strip_prefix("tests/draft2020-12/") else {
            continue;
        };
        if file.contains('/') {
            continue;
        }
        let cases: Value = serde_json::from_str(&adapted(text)).unwrap();
        for group in cases.as_array().unwrap() {
            groups += 1;
            let description = group["description"].as_str().unwrap();
            tests += group["tests"].as_array().unwrap().len();
            if let Err(why) = run(group, &remotes) {
                failed.insert((file.to_owned(), description.to_owned(), why));
            }
        }
    }
    println!(
        "{tests} tests in {groups} groups, {} groups do not pass",
        failed.len()
    );
    let expected: BTreeSet<(&str, &str)> = UNSUPPORTED
        .iter()
        .map(|(file, description, _)| (*file, *description))
        .collect();
    let unexpected: Vec<_> = failed
        .iter()
        .filter(|(file, description, _)| !expected.contains(&(file.as_str(), description.as_str())))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");
    assert_eq!(
        failed.len(),
        UNSUPPORTED.len(),
        "some of what is listed passes now"
    );
    assert!(tests > 1000, "only {tests} tests were found");
}

/// Runs the tests of one schema.
fn run(group: &Value, remotes: &BTreeMap<String, String>) -> Result<(), String> {
    let schema = match &group["schema"] {
        Value::Bool(all) => serde_json::json!({ "allOf": [all] }),
        schema => schema.clone(),
    };
    let read = |text: &str| SchemaDocument::parse(text).map(Arc::new);
    let document = read(&schema.to_string()).map_err(|error| error.to_string())?;
    let path: SchemaPath = "/schemas/suite/schema".parse().unwrap();
    let lookup = |path: &SchemaPath| match remotes.get(path.as_str()) {
        Some(text) => read(text).map(Some),
        None => Ok(None),
    };
    let compiled =
        CompiledSchema::compile(&path, &document, lookup).map_err(|error| match error {
            CompileError::Lookup(error) | CompileError::Invalid(error) => error.to_string(),
        })?;
    for test in group["tests"].as_array().unwrap() {
        let valid = compiled.accepts(&test["data"]);
        if valid != test["valid"].as_bool().unwrap() {
            return Err(format!("{}: {valid}", test["description"]));
        }
    }
    Ok(())
}

fn adapted(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(HOST) {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let after = &after[HOST.len()..];
        let end = after.find(['"', '#']).unwrap();
        out.push_str(&format!("/schemas/{}", after[..end].to_lowercase()));
        rest = &after[end..];
    }
    out.push_str(rest);
    CAPITALS.iter().fold(out, |text, name| {
        text.replace(
            &format!("{name}.json"),
            &format!("{}.json", name.to_lowercase()),
        )
        .replace(&format!("{name}/"), &format!("{}/", name.to_lowercase()))
    })
}

fn lowered(path: &str) -> String {
    path.to_lowercase()
}

/// The files of a tar archive.
fn files(mut tar: &[u8]) -> Vec<(String, String)> {
    let mut files = Vec::new();
    while tar.len() >= 512 && tar[0] != 0 {
        let (header, rest) = tar.split_at(512);
        let text = |range: std::ops::Range<usize>| {
            let field = &header[range];
            let end = field
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(field.len());
            String::from_utf8_lossy(&field[..end]).trim().to_owned()
        };
        let size = usize::from_str_radix(&text(124..136), 8).unwrap();
        if matches!(header[156], b'0' | 0) {
            let name = text(0..100).trim_start_matches("./").to_owned();
            let name = match text(345..500).as_str() {
                "" => name,
                prefix => format!("{prefix}/{name}"),
            };
            if let Ok(text) = String::from_utf8(rest[..size].to_vec()) {
                files.push((name, text));
            }
        }
        tar = &rest[size.div_ceil(512) * 512..];
    }
    files
}

//! What the workspace says of itself, checked against its files.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests are not tests to the lint"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The allowed edges of the workspace. Add one only together with a line in docs/ARCHITECTURE.md.
const ALLOWED: &[(&str, &[&str])] = &[
    ("confman-model", &[]),
    ("confman-object-store", &[]),
    ("confman-layout", &["confman-model", "confman-object-store"]),
    ("confman-refs", &["confman-object-store"]),
    ("confman-policy", &["confman-model"]),
    (
        "confman-repo",
        &[
            "confman-layout",
            "confman-model",
            "confman-object-store",
            "confman-policy",
            "confman-refs",
        ],
    ),
    ("confman-api", &["confman-model"]),
    ("confman-backup", &["confman-object-store", "confman-repo"]),
    ("confman-secret", &["confman-model"]),
    (
        "confman-server",
        &["confman-api", "confman-repo", "confman-secret"],
    ),
    (
        "confman-client",
        &[
            "confman-api",
            "confman-layout",
            "confman-model",
            "confman-object-store",
            "confman-policy",
            "confman-secret",
        ],
    ),
    (
        "confman-agent",
        &["confman-api", "confman-client", "confman-model"],
    ),
    (
        "confman-cli",
        &[
            "confman-agent",
            "confman-api",
            "confman-backup",
            "confman-client",
            "confman-model",
            "confman-server",
        ],
    ),
];

/// Names that say nothing about what a file holds.
const EMPTY_NAMES: &[&str] = &[
    "utils", "util", "common", "helpers", "helper", "types", "manager", "misc", "mod",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn manifest(path: &Path) -> toml::Table {
    fs::read_to_string(path).unwrap().parse().unwrap()
}

fn crate_manifests() -> Vec<toml::Table> {
    let mut manifests: Vec<PathBuf> = fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().path().join("Cargo.toml"))
        .collect();
    manifests.sort();
    manifests.iter().map(|path| manifest(path)).collect()
}

fn files_below(directory: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if !matches!(name, "target" | "node_modules" | ".git") {
                files_below(&path, ending, found);
            }
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

fn rust_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for part in ["crates", "tests"] {
        files_below(&root().join(part), ".rs", &mut found);
    }
    found.sort();
    found
}

#[test]
fn crates_depend_only_on_what_the_architecture_allows() {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let mut wrong = Vec::new();
    for manifest in crate_manifests() {
        let name = manifest["package"]["name"].as_str().unwrap().to_owned();
        let Some(edges) = allowed.get(name.as_str()) else {
            wrong.push(format!("{name} is not in the list of crates"));
            continue;
        };
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(table) = manifest.get(section).and_then(|s| s.as_table()) else {
                continue;
            };
            for dependency in table.keys().filter(|key| key.starts_with("confman-")) {
                if dependency != &name && !edges.contains(&dependency.as_str()) {
                    wrong.push(format!("{name} → {dependency} ({section})"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "edges that are not allowed: {wrong:#?}");
}

#[test]
fn openraft_stays_inside_refs() {
    let users: Vec<String> = crate_manifests()
        .iter()
        .filter(|manifest| {
            manifest["dependencies"]
                .as_table()
                .unwrap()
                .contains_key("openraft")
        })
        .map(|manifest| manifest["package"]["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(users, ["confman-refs"]);
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for manifest in crate_manifests() {
        let takes = manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"));
        assert_eq!(
            takes.and_then(toml::Value::as_bool),
            Some(true),
            "{}",
            manifest["package"]["name"]
        );
    }
}

#[test]
fn file_names_are_nouns_of_the_subject() {
    let empty: Vec<PathBuf> = rust_files()
        .into_iter()
        .filter(|path| EMPTY_NAMES.contains(&path.file_stem().unwrap().to_str().unwrap()))
        .collect();
    assert!(empty.is_empty(), "say what is in them: {empty:#?}");
}

#[test]
fn no_assertion_is_dropped_and_no_test_sleeps_or_is_left_out() {
    let mut wrong = Vec::new();
    for path in rust_files() {
        if path.ends_with("tests/tests/tidy.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let mut begins_statement = true;
        for (number, line) in text.lines().enumerate() {
            let code = line.trim();
            let dropped = begins_statement && code.starts_with("matches!(") && code.ends_with(");");
            begins_statement = code.is_empty() || code.ends_with([';', '{', '}']);
            let ignored = code.starts_with("#[ignore");
            if dropped || ignored {
                wrong.push(format!("{}:{}: {code}", path.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn local_links_in_the_documents_lead_somewhere() {
    let mut documents = Vec::new();
    files_below(&root().join("docs"), ".md", &mut documents);
    documents.push(root().join("README.md"));
    let mut broken = Vec::new();
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = link.split('#').next().unwrap_or_default();
            let elsewhere = file.is_empty() || file.contains("://") || file.contains(' ');
            if !elsewhere && !document.parent().unwrap().join(file).exists() {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

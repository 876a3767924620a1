//! A Spring configuration directory, merged for an app and a profile as Spring's config server does.
//!
//! Later files win: `application`, `APP`, `application-PROFILE`, `APP-PROFILE`; of each, `.yml` and
//! `.yaml` before `.properties`. Nested names are joined by dots; lists stay whole.

use std::collections::BTreeMap;
use std::path::Path;

use confman_model::Json;

use super::{
    Foreign, ForeignEntry, ForeignOptions, ForeignProblem, ForeignValue, SOURCE_BYTES_MAX, yaml,
};

/// Endings of the files, in the order in which they are read.
const ENDINGS: [&str; 3] = ["yml", "yaml", "properties"];

/// Reads the files of a directory that are for an app and a profile.
///
/// # Errors
/// There are none, or everything that is wrong with them; keys of problems begin with the file.
pub fn read_spring(
    directory: &Path,
    app: &str,
    profile: Option<&str>,
) -> Result<Vec<ForeignEntry>, Vec<ForeignProblem>> {
    let mut stems = vec!["application".to_owned(), app.to_owned()];
    if let Some(profile) = profile {
        stems.push(format!("application-{profile}"));
        stems.push(format!("{app}-{profile}"));
    }
    stems.dedup();
    let mut merged = BTreeMap::new();
    let mut problems = Vec::new();
    let mut files = 0;
    for name in stems
        .iter()
        .flat_map(|stem| ENDINGS.map(|ending| format!("{stem}.{ending}")))
    {
        match read_file(&directory.join(&name)) {
            Ok(None) => {}
            Ok(Some(entries)) => {
                files += 1;
                merged.extend(entries);
            }
            Err(found) => problems.extend(found.into_iter().map(|problem| ForeignProblem {
                key: Some(match problem.key {
                    Some(key) => format!("{name} {key}"),
                    None => name.clone(),
                }),
                ..problem
            })),
        }
    }
    if files == 0 && problems.is_empty() {
        problems.push(ForeignProblem::whole(format!(
            "it has no file for app `{app}`: {}",
            stems.join(", ")
        )));
    }
    match problems.is_empty() {
        true => Ok(merged
            .into_iter()
            .map(|(key, value)| ForeignEntry { key, value })
            .collect()),
        false => Err(problems),
    }
}

type Merged = BTreeMap<String, ForeignValue>;

fn read_file(path: &Path) -> Result<Option<Merged>, Vec<ForeignProblem>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) if bytes.len() > SOURCE_BYTES_MAX => {
            return Err(vec![ForeignProblem::whole("it is too large")]);
        }
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(vec![ForeignProblem::whole(error.to_string())]),
    };
    let mut flat = BTreeMap::new();
    if path
        .extension()
        .is_some_and(|ending| ending == "properties")
    {
        let entries = Foreign::Properties.read(&bytes, &ForeignOptions::default())?;
        flat.extend(entries.into_iter().map(|entry| (entry.key, entry.value)));
        return Ok(Some(flat));
    }
    let text =
        str::from_utf8(&bytes).map_err(|_| vec![ForeignProblem::whole("it is not UTF-8")])?;
    match yaml::read(text)? {
        Json::Object(members) => {
            for (name, member) in members {
                flatten(name, member, &mut flat);
            }
        }
        Json::Null => {}
        _ => return Err(vec![ForeignProblem::whole("it is no mapping")]),
    }
    Ok(Some(flat))
}

fn flatten(key: String, json: Json, into: &mut Merged) {
    match json {
        Json::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                flatten(format!("{key}.{name}"), member, into);
            }
        }
        // Spring takes what is empty for an empty text.
        Json::Null => {
            into.insert(key, ForeignValue::Text(String::new()));
        }
        json => {
            into.insert(key, ForeignValue::Typed(json));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::shown;
    use super::*;

    #[test]
    fn files_are_merged_and_the_most_exact_wins() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write(
            "application.yml",
            "server:\n  port: 8080\n  hosts: [a, b]\nlog: info\n",
        );
        write("payments.properties", "server.port=9090\n");
        write("application-prod.yml", "log: warn\n");
        write("payments-prod.yaml", "log: error\nnothing:\n");
        write("billing.yml", "x: y\n");
        let read = |app, profile| match read_spring(folder.path(), app, profile) {
            Ok(entries) => shown(&entries),
            Err(problems) => format!("{problems:?}"),
        };
        insta::assert_snapshot!(read("payments", None), @r#"
        log = "info"
        server.hosts = ["a","b"]
        server.port = text "9090"
        "#);
        insta::assert_snapshot!(read("payments", Some("prod")), @r#"
        log = "error"
        nothing = text ""
        server.hosts = ["a","b"]
        server.port = text "9090"
        "#);
        write("payments.yml", "a: [\n");
        assert!(read("payments", None).contains("payments.yml"));
    }
}

//! What Apollo gives out: a namespace as its portal exports it (properties), or as its interfaces
//! answer (JSON): `items` of the open API, `configurations` of a release or of the config service.
//!
//! A namespace of format `json` or `yaml` is one document there, which is taken apart. Of several
//! namespaces each key begins with the name of its own.

use confman_model::Json;

use super::stores::{done, json};
use super::{ForeignEntry, ForeignProblem, ForeignValue, lines, members, yaml};

type Read = Result<Vec<ForeignEntry>, Vec<ForeignProblem>>;

/// The only key of a namespace that is no list of properties.
const CONTENT: &str = "content";

/// Reads any of these.
pub(super) fn read(text: &str) -> Read {
    if !text.trim_start().starts_with(['{', '[']) {
        return lines::properties(text);
    }
    match json(text)? {
        Json::Array(namespaces) => {
            let (mut entries, mut problems) = (Vec::new(), Vec::new());
            for (found, number) in namespaces.iter().zip(1..) {
                let Some(name) = word(found, "namespaceName") else {
                    let what = format!("item {number} has no `namespaceName`");
                    problems.push(ForeignProblem::whole(what));
                    continue;
                };
                match namespace(found) {
                    Ok(own) => entries.extend(own.into_iter().map(|entry| ForeignEntry {
                        key: format!("{name}/{}", entry.key),
                        ..entry
                    })),
                    Err(own) => problems.extend(own.into_iter().map(|problem| ForeignProblem {
                        key: Some(match problem.key {
                            Some(key) => format!("{name}/{key}"),
                            None => name.to_owned(),
                        }),
                        ..problem
                    })),
                }
            }
            done(entries, problems)
        }
        one => namespace(&one),
    }
}

/// The entries of one namespace.
fn namespace(found: &Json) -> Read {
    let texts = match (found.get("configurations"), found.get("items")) {
        (Some(Json::Object(members)), _) => members
            .iter()
            .map(|(key, value)| (key.as_str(), value))
            .collect::<Vec<_>>(),
        // An item without a key is a comment or an empty line.
        (None, Some(Json::Array(items))) => items
            .iter()
            .filter_map(|item| Some((word(item, "key")?, item.get("value")?)))
            .filter(|(key, _)| !key.is_empty())
            .collect(),
        _ => {
            let what = "it has neither `items` nor `configurations`";
            return Err(vec![ForeignProblem::whole(what)]);
        }
    };
    let (mut entries, mut problems) = (Vec::new(), Vec::new());
    let is_document = |ending: &str| {
        word(found, "format") == Some(ending)
            || word(found, "namespaceName")
                .is_some_and(|name| name.ends_with(&format!(".{ending}")))
    };
    for (key, value) in texts {
        let Json::String(text) = value else {
            problems.push(ForeignProblem::of_key(key, "its value is no text"));
            continue;
        };
        let document = match key == CONTENT {
            true if is_document("json") => Some(json(text)),
            true if is_document("yaml") || is_document("yml") => Some(yaml::read(text)),
            _ => None,
        };
        match document.map(|document| members(document?, "mapping")) {
            None => entries.push(ForeignEntry {
                key: key.to_owned(),
                value: ForeignValue::Text(text.clone()),
            }),
            Some(Ok(own)) => entries.extend(own),
            Some(Err(own)) => problems.extend(own),
        }
    }
    done(entries, problems)
}

fn word<'j>(json: &'j Json, name: &str) -> Option<&'j str> {
    match json.get(name) {
        Some(Json::String(text)) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Foreign;
    use super::super::tests::read;

    #[test]
    fn every_form_of_a_namespace_is_read() {
        let items = r##"{"appId":"a","namespaceName":"application","format":"properties","items":[
            {"key":"","value":"","comment":"# c"},{"key":"timeout","value":"100","comment":""}]}"##;
        let released =
            r#"{"appId":"a","configurations":{"timeout":"100","on":"true"},"releaseKey":"r"}"#;
        let document = r#"{"namespaceName":"a.json","format":"json","items":[{"key":"content","value":"{\"n\": 1.10, \"o\": {\"k\": []}}"}]}"#;
        let yaml = r#"{"namespaceName":"b.yml","configurations":{"content":"n: 2\n"}}"#;
        let several = format!("[{items},{yaml}]");
        let all = [
            "# portal\ntimeout = 100\n",
            items,
            released,
            document,
            yaml,
            &several,
        ];
        insta::assert_snapshot!(all.map(|text| read(Foreign::Apollo, text)).join("\n\n"), @r#"
        timeout = text "100"

        timeout = text "100"

        timeout = text "100"
        on = text "true"

        n = 1.10
        o = {"k":[]}

        n = 2

        application/timeout = text "100"
        b.yml/n = 2
        "#);
    }

    #[test]
    fn what_cannot_be_taken_says_why() {
        let wrong = [
            "{}",
            r#"{"configurations":{"a":1}}"#,
            r#"[{"items":[]},{"namespaceName":"n","configurations":{"a":null}}]"#,
            r#"{"format":"json","items":[{"key":"content","value":"[1"}]}"#,
            "{\n  oops",
        ];
        insta::assert_snapshot!(wrong.map(|text| read(Foreign::Apollo, text)).join("\n"), @"
        ERROR - it has neither `items` nor `configurations`
        ERROR a its value is no text
        ERROR - item 1 has no `namespaceName`
        ERROR n/a its value is no text
        ERROR -:1 expected `,` or `]`, found the end of the text
        ERROR -:2 expected a name in double quotes
        ");
    }
}

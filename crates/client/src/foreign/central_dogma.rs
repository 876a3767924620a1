//! What Central Dogma gives out: the files of a repository, as
//! `GET /api/v1/projects/PROJECT/repos/REPOSITORY/contents/**` answers. Each file becomes an entry
//! whose key is its path.

use confman_model::Json;

use super::stores::{done, json};
use super::{ForeignEntry, ForeignProblem, ForeignValue};

/// Reads a list of files, or one.
pub(super) fn read(text: &str) -> Result<Vec<ForeignEntry>, Vec<ForeignProblem>> {
    let files = match json(text)? {
        Json::Array(files) => files,
        file => vec![file],
    };
    let (mut entries, mut problems) = (Vec::new(), Vec::new());
    for (file, number) in files.into_iter().zip(1..) {
        let (Some(Json::String(path)), Some(Json::String(kind))) =
            (file.get("path"), file.get("type"))
        else {
            let what = format!("item {number} is no file with `path` and `type`");
            problems.push(ForeignProblem::whole(what));
            continue;
        };
        let key = path.trim_start_matches('/');
        let value = match (kind.as_str(), file.get("content")) {
            ("DIRECTORY", _) => continue,
            (_, None) => Err("it has no `content`; ask for `contents/**`, not for `list`"),
            (_, Some(Json::Null)) => Err("it is null, which no entry can be; leave it out"),
            ("JSON", Some(content)) => Ok(ForeignValue::Typed(content.clone())),
            (_, Some(Json::String(content))) => Ok(ForeignValue::Text(content.clone())),
            _ => Err("its `content` is no text"),
        };
        match value {
            Ok(value) => entries.push(ForeignEntry {
                key: key.to_owned(),
                value,
            }),
            Err(what) => problems.push(ForeignProblem::of_key(key, what)),
        }
    }
    done(entries, problems)
}

#[cfg(test)]
mod tests {
    use super::super::Foreign;
    use super::super::tests::read;

    #[test]
    fn files_become_entries() {
        let text = r#"[{"path":"/d","type":"DIRECTORY","revision":2},
            {"path":"/d/a.json","type":"JSON","revision":2,"content":{"n": 1.10}},
            {"path":"/d/b.txt","type":"TEXT","content":"two\nlines\n"},
            {"path":"/c.yaml","type":"YAML","content":"a: 1\n"}]"#;
        insta::assert_snapshot!(read(Foreign::CentralDogma, text), @r#"
        d/a.json = {"n":1.10}
        d/b.txt = text "two\nlines\n"
        c.yaml = text "a: 1\n"
        "#);
        insta::assert_snapshot!(read(Foreign::CentralDogma, r#"{"path":"/a","type":"JSON","content":7}"#), @"a = 7");
        let wrong = r#"[{"path":"/a","type":"JSON"},{"path":"/b","type":"JSON","content":null},{"path":"/c"},{"path":"/d","type":"TEXT","content":1}]"#;
        insta::assert_snapshot!(read(Foreign::CentralDogma, wrong), @"
        ERROR a it has no `content`; ask for `contents/**`, not for `list`
        ERROR b it is null, which no entry can be; leave it out
        ERROR - item 3 is no file with `path` and `type`
        ERROR d its `content` is no text
        ");
    }
}

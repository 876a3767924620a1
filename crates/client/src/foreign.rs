//! Configuration as other tools keep it, read as keys and values.
//!
//! | source | what is read |
//! |---|---|
//! | YAML, TOML | one mapping of keys and values |
//! | properties, dotenv | lines; values are texts |
//! | Kubernetes ConfigMap | `data` and `binaryData` of a manifest, YAML or JSON |
//! | Consul | the output of `consul kv export` |
//! | Vault | an object of paths and fields; each field becomes a *reference*, values are not taken |
//! | etcd | the output of `etcdctl get --prefix -w json`, or the listing of a snapshot's keys |
//! | Apollo | a namespace as the portal exports it, or as the interfaces answer |
//! | Central Dogma | the files of a repository, as its interface answers |
//! | Spring | the files of a configuration directory for an app and a profile, merged as Spring does |
//!
//! Everything is a pure function of the bytes, except that a Spring directory is read here.
//!
//! INVARIANT: what cannot be a key or value is a problem with its place, never left out in silence.
//! INVARIANT: numbers keep every digit.

mod apollo;
mod central_dogma;
mod etcd;
mod lines;
mod spring;
mod stores;
mod toml;
mod yaml;

use confman_model::Json;

pub use spring::read_spring;

/// Most bytes of a source.
pub const SOURCE_BYTES_MAX: usize = 128 << 20;
/// Most nodes of a YAML document, aliases taken apart.
pub const YAML_NODES_MAX: usize = 1 << 20;

/// How another tool writes configuration into one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// One mapping.
    Yaml,
    /// One table.
    Toml,
    /// Java properties.
    Properties,
    /// `NAME=value` lines.
    Dotenv,
    /// A Kubernetes ConfigMap.
    ConfigMap,
    /// `consul kv export`.
    Consul,
    /// Paths of a Vault key-value engine, version 2.
    Vault,
    /// `etcdctl get -w json`, or the listing of a snapshot.
    Etcd,
    /// Namespaces of Apollo.
    Apollo,
    /// Files of a Central Dogma repository.
    CentralDogma,
}

/// A key and its value as another tool has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignEntry {
    /// The key, not checked yet.
    pub key: String,
    /// The value.
    pub value: ForeignValue,
}

/// A value as another tool has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForeignValue {
    /// With the type that it has there.
    Typed(Json),
    /// A text of which the tool knows no type.
    Text(String),
    /// Bytes that are no text.
    Bytes(Vec<u8>),
    /// Where a secret is.
    Reference(String),
}

/// Something that cannot be taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignProblem {
    /// The key it is about, where there is one.
    pub key: Option<String>,
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
    /// The character in the line, from 1.
    pub column: Option<usize>,
    /// What is wrong, in a clause.
    pub what: String,
}

impl ForeignProblem {
    fn whole(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            ..Self::default()
        }
    }

    fn of_key(key: &str, what: impl Into<String>) -> Self {
        Self {
            key: Some(key.to_owned()),
            ..Self::whole(what)
        }
    }

    fn at_line(line: usize, what: impl Into<String>) -> Self {
        Self {
            line: Some(line),
            ..Self::whole(what)
        }
    }
}

/// What a source needs to be told beside its bytes.
#[derive(Clone, Debug, Default)]
pub struct ForeignOptions {
    /// What is taken off the beginning of every key; keys without it are left out.
    pub strip_prefix: String,
}

impl Foreign {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Self); 10] = [
        ("yaml", Self::Yaml),
        ("toml", Self::Toml),
        ("properties", Self::Properties),
        ("dotenv", Self::Dotenv),
        ("configmap", Self::ConfigMap),
        ("consul", Self::Consul),
        ("vault", Self::Vault),
        ("etcd", Self::Etcd),
        ("apollo", Self::Apollo),
        ("central-dogma", Self::CentralDogma),
    ];

    /// Reads a source.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(
        self,
        bytes: &[u8],
        options: &ForeignOptions,
    ) -> Result<Vec<ForeignEntry>, Vec<ForeignProblem>> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            vec![ForeignProblem::at_line(line, "it is not UTF-8")]
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut entries = match self {
            Self::Yaml => members(yaml::read(text)?, "mapping"),
            Self::Toml => toml::read(text),
            Self::Properties => lines::properties(text),
            Self::Dotenv => lines::dotenv(text),
            Self::ConfigMap => stores::config_map(yaml::read(text)?),
            Self::Consul => stores::consul(bytes),
            Self::Vault => stores::vault(bytes),
            Self::Etcd => etcd::read(bytes),
            Self::Apollo => apollo::read(text),
            Self::CentralDogma => central_dogma::read(text),
        }?;
        if !options.strip_prefix.is_empty() {
            entries.retain_mut(|entry| {
                let rest = entry.key.strip_prefix(&options.strip_prefix);
                match rest.filter(|rest| !rest.is_empty()).map(str::to_owned) {
                    Some(rest) => {
                        entry.key = rest;
                        true
                    }
                    None => false,
                }
            });
        }
        twice(&entries)?;
        Ok(entries)
    }
}

/// Keys that are there more than once.
fn twice(entries: &[ForeignEntry]) -> Result<(), Vec<ForeignProblem>> {
    let mut seen = std::collections::BTreeSet::new();
    let problems: Vec<ForeignProblem> = entries
        .iter()
        .filter(|entry| !seen.insert(&entry.key))
        .map(|entry| ForeignProblem::of_key(&entry.key, "it is there more than once"))
        .collect();
    match problems.is_empty() {
        true => Ok(()),
        false => Err(problems),
    }
}

/// The members of an object as entries with their types.
fn members(json: Json, what: &str) -> Result<Vec<ForeignEntry>, Vec<ForeignProblem>> {
    let Json::Object(members) = json else {
        return Err(vec![ForeignProblem::whole(format!(
            "it is no {what} of keys and values"
        ))]);
    };
    let mut problems = Vec::new();
    let mut entries = Vec::new();
    for (key, value) in members {
        match value {
            Json::Null => problems.push(ForeignProblem::of_key(
                &key,
                "it is null, which no entry can be; leave it out",
            )),
            value => entries.push(ForeignEntry {
                key,
                value: ForeignValue::Typed(value),
            }),
        }
    }
    match problems.is_empty() {
        true => Ok(entries),
        false => Err(problems),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read, a line for each entry or problem.
    pub(super) fn read(foreign: Foreign, text: &str) -> String {
        match foreign.read(text.as_bytes(), &ForeignOptions::default()) {
            Ok(entries) => shown(&entries),
            Err(problems) => problems
                .iter()
                .map(|problem| {
                    let key = problem.key.as_deref().unwrap_or("-");
                    let line = problem
                        .line
                        .map_or(String::new(), |line| format!(":{line}"));
                    format!("ERROR {key}{line} {}", problem.what)
                })
                .collect::<Vec<_>>()
                .join("\n"),
        }
    }

    pub(super) fn shown(entries: &[ForeignEntry]) -> String {
        let lines: Vec<String> = entries
            .iter()
            .map(|ForeignEntry { key, value }| match value {
                ForeignValue::Typed(json) => format!("{key} = {}", json.to_compact()),
                ForeignValue::Text(text) => format!("{key} = text {text:?}"),
                ForeignValue::Bytes(bytes) => format!("{key} = bytes {bytes:?}"),
                ForeignValue::Reference(uri) => format!("{key} = reference {uri}"),
            })
            .collect();
        lines.join("\n")
    }

    #[test]
    fn yaml_keeps_types_and_digits() {
        let text = "---\n# comment\na: &x 1.10\nb: *x\nbig: 18446744073709551616\nhex: 0x1F\nhalf: .5\nplus: +3\n\
                    yes: yes\nt: true\nquoted: '3'\ntext: |\n  two\n  lines\nmap: {k: [1, null, \"s\"], d: 2025-01-01}\n";
        insta::assert_snapshot!(read(Foreign::Yaml, text), @r#"
        a = 1.10
        b = 1.10
        big = 18446744073709551616
        hex = 31
        half = 0.5
        plus = 3
        yes = "yes"
        t = true
        quoted = "3"
        text = "two\nlines\n"
        map = {"k":[1,null,"s"],"d":"2025-01-01"}
        "#);
    }

    #[test]
    fn yaml_that_cannot_be_taken_says_why() {
        let said = [
            read(Foreign::Yaml, "a: ~\n"),
            read(Foreign::Yaml, "a: 1\na: 2\n"),
            read(Foreign::Yaml, "- a\n"),
            read(Foreign::Yaml, "a: .inf\n"),
            read(Foreign::Yaml, "a: !secret x\n"),
            read(Foreign::Yaml, "a: 1\n---\nb: 2\n"),
            read(Foreign::Yaml, "a: [1\n"),
            read(Foreign::Yaml, "<<: {a: 1}\n"),
        ];
        insta::assert_snapshot!(said.join("\n"), @"
        ERROR a it is null, which no entry can be; leave it out
        ERROR -:2 `a` is there twice
        ERROR - it is no mapping of keys and values
        ERROR a:1 a number that is not finite cannot be a value
        ERROR a:1 it has a tag, which is not taken
        ERROR -:2 it has several documents; import one at a time
        ERROR -:1 it is no YAML: unclosed bracket '['
        ERROR -:1 it has a merge key, which is not taken
        ");
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let before = format!("*a{}", level - 1);
            let list = vec![before; 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{list}]\n"));
        }
        let said = read(Foreign::Yaml, &text);
        assert!(said.contains("more than"), "{said}");
    }

    #[test]
    fn toml_tables_become_json() {
        let text = "a = \"x\"\n\"b/c\" = 1_000\nf = 1.10\nd = 2025-01-01T00:00:00Z\n[t]\nk = [1, {x = true}]\n";
        insta::assert_snapshot!(read(Foreign::Toml, text), @r#"
        a = "x"
        b/c = 1000
        d = "2025-01-01T00:00:00Z"
        f = 1.10
        t = {"k":[1,{"x":true}]}
        "#);
        insta::assert_snapshot!(read(Foreign::Toml, "a = inf\nb = nan\n"), @"
        ERROR a a number that is not finite cannot be a value
        ERROR b a number that is not finite cannot be a value
        ");
        insta::assert_snapshot!(read(Foreign::Toml, "a = \n"), @"ERROR -:1 it is no TOML: string values must be quoted, expected literal string");
    }

    #[test]
    fn properties_are_read_as_java_does() {
        let text = "# c\n! c\na=b\n c : d e \nlong = one, \\\n   two\nu=\\u00fc\\uD83D\\uDE00\\t\\:\nk\\=\\ 1 v\nempty\n";
        insta::assert_snapshot!(read(Foreign::Properties, text), @r#"
        a = text "b"
        c = text "d e "
        long = text "one, two"
        u = text "ü😀\t:"
        k= 1 = text "v"
        empty = text ""
        "#);
        insta::assert_snapshot!(read(Foreign::Properties, "a=\\u12\nb=\\uD83D\n"), @r#"
        ERROR -:1 `\u` is followed by four hex digits
        ERROR -:2 an escape is half of a character
        "#);
    }

    #[test]
    fn dotenv_is_read_with_its_quotes() {
        let text =
            "# c\nA=b # c\nexport B='x #y'\nC=\"a\\nb \\\"q\\\" \\$\"\nD=\nE=\"two\nlines\"\n";
        insta::assert_snapshot!(read(Foreign::Dotenv, text), @r#"
        A = text "b"
        B = text "x #y"
        C = text "a\nb \"q\" $"
        D = text ""
        E = text "two\nlines"
        "#);
        insta::assert_snapshot!(read(Foreign::Dotenv, "A\n1=x\nB=\"open\n"), @"
        ERROR -:1 it is no NAME=value
        ERROR -:2 it is no NAME=value
        ERROR -:3 a quote is not closed
        ");
    }

    #[test]
    fn what_is_written_is_read_again() {
        use confman_model::{EntryType, Format, Key, Value, ValueLimits};
        let value =
            |entry_type, text: &str| Value::new(entry_type, text, &ValueLimits::default()).unwrap();
        let text = "it's \"q\" \\ $X\n\ttwo ü\u{1F600}\u{85}";
        let values: Vec<(Key, Value)> = [
            ("A", value(EntryType::String, text)),
            ("B", value(EntryType::Number, "1.10")),
            ("C", value(EntryType::Boolean, "true")),
            (
                "D",
                value(EntryType::Json, r#"{"x":[1,{"y":"true"}],"z":0.10}"#),
            ),
        ]
        .map(|(key, value)| (key.parse().unwrap(), value))
        .into();
        for (format, foreign) in [(Format::Yaml, Foreign::Yaml), (Format::Toml, Foreign::Toml)] {
            let written = format.write(&values).unwrap();
            let read = foreign.read(written.as_bytes(), &ForeignOptions::default());
            for (entry, (key, value)) in read.unwrap().iter().zip(&values) {
                let ForeignValue::Typed(json) = &entry.value else {
                    panic!("{entry:?}")
                };
                assert_eq!(
                    (&entry.key, json.to_compact()),
                    (&key.to_string(), value.to_json())
                );
            }
        }
        for (format, foreign) in [
            (Format::Properties, Foreign::Properties),
            (Format::Dotenv, Foreign::Dotenv),
            (Format::Env, Foreign::Dotenv),
        ] {
            let written = format.write(&values).unwrap();
            let read = foreign.read(written.as_bytes(), &ForeignOptions::default());
            for (entry, (key, value)) in read.unwrap().iter().zip(&values) {
                let expected = ForeignValue::Text(value.as_str().unwrap().to_owned());
                assert_eq!(
                    (&entry.key, &entry.value),
                    (&key.to_string(), &expected),
                    "{format}"
                );
            }
        }
    }

    #[test]
    fn config_maps_give_texts_and_bytes() {
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: app\ndata:\n  port: \"80\"\n  app.conf: |\n    a=b\nbinaryData:\n  logo: AAEC\n";
        insta::assert_snapshot!(read(Foreign::ConfigMap, text), @r#"
        port = text "80"
        app.conf = text "a=b\n"
        logo = bytes [0, 1, 2]
        "#);
        let said = [
            read(Foreign::ConfigMap, "kind: Secret\ndata: {a: b}\n"),
            read(
                Foreign::ConfigMap,
                "kind: ConfigMap\ndata: {a: 1}\nbinaryData: {b: '?'}\n",
            ),
        ];
        insta::assert_snapshot!(said.join("\n"), @"
        ERROR - its kind is not ConfigMap
        ERROR a `data` holds texts alone
        ERROR b its value is no base64
        ");
    }

    #[test]
    fn consul_exports_are_decoded_and_folders_skipped() {
        let text = r#"[{"key":"app/","flags":0,"value":""},{"key":"app/port","flags":0,"value":"ODA="},{"key":"app/bin","flags":0,"value":"AP8="}]"#;
        insta::assert_snapshot!(read(Foreign::Consul, text), @r#"
        app/port = text "80"
        app/bin = bytes [0, 255]
        "#);
        let options = ForeignOptions {
            strip_prefix: "app/".to_owned(),
        };
        let stripped = Foreign::Consul.read(text.as_bytes(), &options).unwrap();
        insta::assert_snapshot!(shown(&stripped), @r#"
        port = text "80"
        bin = bytes [0, 255]
        "#);
        insta::assert_snapshot!(read(Foreign::Consul, r#"[{"key":"a","value":"?"}]"#), @"ERROR a its value is no base64");
    }

    #[test]
    fn of_vault_only_references_are_taken() {
        let text = r#"{"kv/app/db": {"password": "canary", "user": "canary"}, "kv/api": {"data": {"key": "canary"}, "metadata": {"version": 1}}}"#;
        let said = read(Foreign::Vault, text);
        assert!(!said.contains("canary"), "{said}");
        insta::assert_snapshot!(said, @"
        app/db/password = reference vault://kv/app/db#password
        app/db/user = reference vault://kv/app/db#user
        api/key = reference vault://kv/api#key
        ");
        insta::assert_snapshot!(read(Foreign::Vault, r#"{"kv": {"a": "b"}, "kv/x": 1, "kv/a b": {"f": ""}}"#), @"
        ERROR kv it is no MOUNT/PATH
        ERROR kv/x it is no object of fields
        ERROR kv/a b path or field have characters that a reference cannot have
        ");
    }
}

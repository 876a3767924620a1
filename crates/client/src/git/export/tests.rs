use std::collections::BTreeMap;

use confman_layout::{tree_key, write_entry};
use confman_model::{Details, EntryValue, Value};
use confman_object_store::tree::Leaf;
use proptest::prelude::*;

use super::super::assembly::Assembly;
use super::super::place::Placing;
use super::super::stream::StreamReader;
use super::super::workshop::Workshop;
use super::*;

type Entries = BTreeMap<Key, Entry>;

fn assembled(stream: &[u8]) -> Assembly {
    let mut assembly = Assembly::new(Placing {
        base: "/base".parse().unwrap(),
        depth: 0,
    })
    .unwrap();
    let mut reader = StreamReader::new(stream);
    while let Some(command) = reader.next_command().unwrap() {
        assembly.take(command).unwrap();
    }
    assembly
}

fn head_of(assembly: &Assembly) -> ObjectId {
    let (_, heads) = assembly.branches().next().unwrap();
    heads
        .get(&"/base".parse::<Namespace>().unwrap())
        .unwrap()
        .commit
}

fn options(all_commits: bool) -> ExportOptions {
    ExportOptions {
        namespace: "/base".parse().unwrap(),
        all_commits,
        branch: "main".to_owned(),
    }
}

fn exported(objects: &dyn ReadObjects, head: ObjectId, all_commits: bool) -> Vec<u8> {
    let mut out = Vec::new();
    write(objects, head, &options(all_commits), &mut out, &|_| {}).unwrap();
    out
}

fn trees(objects: &dyn ReadObjects, line: &[ObjectId]) -> Vec<ObjectId> {
    line.iter()
        .map(|id| objects.commit(id).unwrap().tree)
        .collect()
}

/// Commits of these states, one on top of the other.
fn history(states: &[Entries]) -> (Workshop, Vec<ObjectId>) {
    let workshop = Workshop::new().unwrap();
    let mut line: Vec<ObjectId> = Vec::new();
    for (at, entries) in states.iter().enumerate() {
        let mut leaves: BTreeMap<TreeKey, Leaf> = BTreeMap::new();
        for (key, entry) in entries {
            let (leaf, objects) = write_entry(entry).unwrap();
            leaves.insert(tree_key(key).unwrap(), leaf);
            objects
                .iter()
                .for_each(|object| workshop.keep(object).unwrap());
        }
        let edited = tree::build(&leaves);
        edited
            .pages
            .iter()
            .for_each(|(page, _)| workshop.keep(page).unwrap());
        workshop.keep(&tree::empty()).unwrap();
        let commit = Commit {
            tree: edited.root,
            parents: line.last().copied().into_iter().collect(),
            generation: at as u64 + 1,
            namespace: "/base".to_owned(),
            author: Person {
                principal: "ada".to_owned(),
                ..Person::default()
            },
            author_time: Moment {
                ms: -1500,
                offset_minutes: -90,
            },
            committer: Person {
                name: "C <x>".to_owned(),
                ..Person::default()
            },
            commit_time: Moment::default(),
            change_id: [0; 16],
            message: "why\n".to_owned(),
            origin: None,
            request: None,
            policy: None,
            schemas: Vec::new(),
            source: None,
            unknown: Vec::new(),
        };
        let object = commit.to_object().unwrap();
        workshop.keep(&object).unwrap();
        line.push(object.id());
    }
    (workshop, line)
}

#[test]
fn an_imported_history_is_exported_and_imported_to_the_same_trees() {
    let small = include_bytes!("../../../../../fixtures/git/small.fast-export");
    let first = assembled(small);
    let line = first.line(head_of(&first));
    for all_commits in [false, true] {
        let stream = exported(&first.workshop, head_of(&first), all_commits);
        assert!(!String::from_utf8_lossy(&stream).contains(SIDECAR_FILE));
        let second = assembled(&stream);
        let second_line = second.line(head_of(&second));
        assert_eq!(
            trees(&first.workshop, &line),
            trees(&second.workshop, &second_line)
        );
        assert_eq!(second.commits(), if all_commits { 6 } else { 5 });
    }
}

#[test]
fn what_git_cannot_say_is_beside_the_files() {
    let value = |entry_type, bytes: &str| {
        EntryValue::Value(Value::new(entry_type, bytes, &ValueLimits::default()).unwrap())
    };
    let plain =
        |entry_type, bytes| Entry::new(value(entry_type, bytes), Details::default()).unwrap();
    let details = Details {
        description: "d".to_owned(),
        tags: ["git-mode=100755".to_owned(), "t".to_owned()].into(),
        media_type: None,
    };
    let key = |text: &str| text.parse::<Key>().unwrap();
    let first = Entries::from([
        (
            key("a"),
            plain(EntryType::String, "a file that becomes a directory"),
        ),
        (key("limits"), plain(EntryType::Json, "{}")),
        (key("port"), plain(EntryType::Number, "80")),
        (
            key("run.sh"),
            Entry::new(value(EntryType::String, "#!"), details).unwrap(),
        ),
        (key(".git/config"), plain(EntryType::String, "x")),
        (
            key("plain.txt"),
            plain(EntryType::String, "nothing to state"),
        ),
    ]);
    let mut second = first.clone();
    second.insert(key("a/b"), plain(EntryType::SecretRef, "env://B"));
    second.insert(key("port"), Entry::unset());
    let (workshop, line) = history(&[first.clone(), second, first]);
    let stream = exported(&workshop, line[2], false);
    insta::assert_snapshot!(String::from_utf8_lossy(&stream), @r#"
    feature done
    reset refs/heads/main
    blob
    mark :1
    data 1
    x
    blob
    mark :2
    data 31
    a file that becomes a directory
    blob
    mark :3
    data 2
    {}
    blob
    mark :4
    data 16
    nothing to state
    blob
    mark :5
    data 2
    80
    blob
    mark :6
    data 2
    #!
    blob
    mark :7
    data 252
    {
      "format": 1,
      "files": {
        "@/33711abd860dd29265b0e658a3281380": {"key": ".git/config", "type": "string"},
        "limits": {"type": "json"},
        "port": {"type": "number"},
        "run.sh": {"type": "string", "description": "d", "tags": ["t"]}
      }
    }

    commit refs/heads/main
    mark :8
    author ada <> -2 -0130
    committer C x <> 0 +0000
    data 4
    why

    M 100644 :1 @/33711abd860dd29265b0e658a3281380
    M 100644 :2 a
    M 100644 :3 limits
    M 100644 :4 plain.txt
    M 100644 :5 port
    M 100755 :6 run.sh
    M 100644 :7 .confman-entries.json

    blob
    mark :9
    data 7
    env://B
    blob
    mark :10
    data 0

    blob
    mark :11
    data 358
    {
      "format": 1,
      "files": {
        "@/04f03f207896abe87bef326fe9c817ca": {"key": "a", "type": "string"},
        "@/33711abd860dd29265b0e658a3281380": {"key": ".git/config", "type": "string"},
        "a/b": {"type": "secret-ref"},
        "limits": {"type": "json"},
        "port": {"unset": true},
        "run.sh": {"type": "string", "description": "d", "tags": ["t"]}
      }
    }

    commit refs/heads/main
    mark :12
    author ada <> -2 -0130
    committer C x <> 0 +0000
    data 4
    why

    from :8
    D a
    M 100644 :2 @/04f03f207896abe87bef326fe9c817ca
    M 100644 :9 a/b
    M 100644 :10 port
    M 100644 :11 .confman-entries.json

    commit refs/heads/main
    mark :13
    author ada <> -2 -0130
    committer C x <> 0 +0000
    data 4
    why

    from :12
    D @/04f03f207896abe87bef326fe9c817ca
    D a/b
    M 100644 :2 a
    M 100644 :5 port
    M 100644 :7 .confman-entries.json

    done
    "#);
    let again = assembled(&stream);
    assert!(
        again.issues.invalid.is_empty(),
        "{:?}",
        again.issues.invalid
    );
    assert_eq!(
        trees(&workshop, &line),
        trees(&again.workshop, &again.line(head_of(&again)))
    );
}

#[test]
fn a_branch_name_that_would_break_the_stream_is_refused() {
    let (workshop, line) = history(&[Entries::new()]);
    let options = ExportOptions {
        branch: "main\nblob".to_owned(),
        ..options(false)
    };
    assert!(matches!(
        write(&workshop, line[0], &options, Vec::new(), &|_| {}),
        Err(ExportError::Refused(_))
    ));
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let limits = ValueLimits::default();
    let value = prop_oneof![
        "[a-z{}\\[\\]\" ]{0,90}".prop_map(|text| (EntryType::String, text.into_bytes())),
        "[0-9]{1,3}".prop_map(|text| (
            EntryType::Number,
            text.trim_start_matches('0').to_owned().into_bytes()
        )),
        Just((EntryType::Boolean, b"true".to_vec())),
        Just((EntryType::Json, b"{\"a\": 1}".to_vec())),
        proptest::collection::vec(any::<u8>(), 0..90).prop_map(|bytes| (EntryType::Binary, bytes)),
        Just((EntryType::SecretRef, b"env://A".to_vec())),
    ];
    let tags = proptest::collection::btree_set(
        prop_oneof![Just("x"), Just("git-mode=100755"), Just("git-mode=1")],
        0..3,
    );
    (proptest::option::weighted(0.9, value), tags, "[a-z]{0,3}").prop_map(
        move |(value, tags, description)| {
            let value = match value {
                Some((entry_type, bytes)) => match Value::new(entry_type, bytes, &limits) {
                    Ok(value) => EntryValue::Value(value),
                    Err(_) => EntryValue::Unset,
                },
                None => EntryValue::Unset,
            };
            let tags = tags.into_iter().map(ToOwned::to_owned).collect();
            Entry::new(
                value,
                Details {
                    description,
                    tags,
                    media_type: None,
                },
            )
            .unwrap()
        },
    )
}

fn any_entries() -> impl Strategy<Value = Entries> {
    let keys = "(a|b|\\.git|x\\.json)(/(a|b))?(/a)?";
    proptest::collection::btree_map(
        keys.prop_map(|text| text.parse::<Key>().unwrap()),
        any_entry(),
        0..7,
    )
}

proptest! {
    #[test]
    fn any_history_is_exported_and_imported_to_the_same_trees(states in proptest::collection::vec(any_entries(), 1..4)) {
        let (workshop, line) = history(&states);
        let stream = exported(&workshop, line[line.len() - 1], false);
        let again = assembled(&stream);
        prop_assert!(again.issues.invalid.is_empty(), "{:?}", again.issues.invalid);
        let head = again.workshop.commit(&head_of(&again)).unwrap().tree;
        prop_assert_eq!(entries_of(&again.workshop, &head), states[states.len() - 1].clone());
        prop_assert_eq!(trees(&workshop, &line), trees(&again.workshop, &again.line(head_of(&again))));
    }
}

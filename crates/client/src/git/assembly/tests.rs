use confman_layout::{entry_key, read_entry};
use confman_object_store::pack::{PackLimits, admit, pack_of};
use confman_object_store::{Kind, ReadObjects};

use super::super::stream::StreamReader;
use super::*;

fn assembled(stream: &[u8], depth: usize) -> Assembly {
    let mut assembly = Assembly::new(Placing {
        base: "/base".parse().unwrap(),
        depth,
    })
    .unwrap();
    let mut reader = StreamReader::new(stream);
    while let Some(command) = reader.next_command().unwrap() {
        assembly.take(command).unwrap();
    }
    assembly
}

/// The namespaces at the end of a branch, entry by entry.
fn contents(assembly: &Assembly, branch: &str) -> String {
    let (_, heads) = assembly
        .branches()
        .find(|(name, _)| *name == branch)
        .unwrap();
    let mut lines = Vec::new();
    for (namespace, head) in heads {
        tree::walk(
            &assembly.workshop,
            &head.tree,
            b"",
            None,
            &mut |key, leaf| {
                let entry = read_entry(&assembly.workshop, &leaf).unwrap();
                let value = entry.value().unwrap();
                let tags: Vec<&str> = entry.tags().iter().map(String::as_str).collect();
                lines.push(format!(
                    "{namespace}:{} {} {}{}",
                    entry_key(&key).unwrap(),
                    value.entry_type(),
                    printable(value.bytes()),
                    tags.iter()
                        .map(|tag| format!(" [{tag}]"))
                        .collect::<String>()
                ));
                ControlFlow::Continue(())
            },
        )
        .unwrap();
    }
    lines.join("\n")
}

/// A stream of commits, each with a message and its changes; later ones follow from those before.
fn stream(commits: &[(&str, &str)]) -> Vec<u8> {
    let mut text = String::new();
    for (at, (links, changes)) in commits.iter().enumerate() {
        let mark = at + 1;
        text.push_str(&format!(
            "commit refs/heads/main\nmark :{mark}\nauthor A <a@x> {mark} +0100\ncommitter C <c@x> {mark} +0000\ndata 1\nm\n{links}{changes}\n"
        ));
    }
    text.into_bytes()
}

fn file(path: &str, content: &str) -> String {
    format!(
        "M 100644 inline {path}\ndata {}\n{content}\n",
        content.len()
    )
}

#[test]
fn files_become_entries_of_their_types() {
    let changes = [
        file("a.json", "{\"x\": 1.0}"),
        file("b.json", "{broken"),
        file("c/d.txt", "text"),
        "M 100755 inline run.sh\ndata 2\n#!\n".to_owned(),
        "M 120000 inline link\ndata 1\nx\n".to_owned(),
        "M 160000 0123456789012345678901234567890123456789 sub\n".to_owned(),
    ]
    .concat();
    let mut bytes = stream(&[("", &changes)]);
    bytes.extend_from_slice(b"blob\nmark :90\ndata 2\n\xff\x00\ncommit refs/heads/main\nmark :91\ncommitter C <c@x> 9 +0000\ndata 0\nfrom :1\nM 100644 :90 raw\n");
    let assembly = assembled(&bytes, 0);
    insta::assert_snapshot!(contents(&assembly, "refs/heads/main"), @r#"
    /base:a.json json {\"x\": 1.0}
    /base:b.json string {broken
    /base:c/d.txt string text
    /base:link string x [git-mode=120000]
    /base:raw binary �\0
    /base:run.sh string #! [git-mode=100755]
    "#);
    let warnings: Vec<String> = assembly
        .issues
        .warnings
        .iter()
        .map(|issue| format!("{} {:?}: {}", issue.commit, issue.path, issue.what))
        .collect();
    insta::assert_snapshot!(warnings.join("\n"), @r#"
    :1 Some("b.json"): kept as a string: not a valid value of type json: line 1, column 2: expected a name in double quotes
    :1 Some("sub"): a submodule was not imported
    "#);
    assert!(assembly.issues.invalid.is_empty());
}

#[test]
fn removals_renames_copies_and_directories_are_followed() {
    let first = [
        file("d/one", "1"),
        file("d/two", "2"),
        file("e", "e"),
        file("x/y", "y"),
    ]
    .concat();
    let all = assembled(&stream(&[("", &first)]), 0);
    assert_eq!(contents(&all, "refs/heads/main").lines().count(), 4);
    let after = |changes: &str| {
        contents(
            &assembled(&stream(&[("", &first), ("from :1\n", changes)]), 0),
            "refs/heads/main",
        )
    };
    insta::assert_snapshot!(after("D d\n"), @"
    /base:e string e
    /base:x/y string y
    ");
    insta::assert_snapshot!(after("R d f/g\nD e\n"), @"
    /base:f/g/one string 1
    /base:f/g/two string 2
    /base:x/y string y
    ");
    insta::assert_snapshot!(after("C d/one e\n"), @"
    /base:d/one string 1
    /base:d/two string 2
    /base:e string 1
    /base:x/y string y
    ");
    insta::assert_snapshot!(after(&format!("deleteall\n{}", file("e", "new"))), @"/base:e string new");
    // A file takes the place of a directory, and a directory that of a file.
    insta::assert_snapshot!(after(&[file("d", "was a directory"), file("e/f", "was a file")].concat()), @"
    /base:d string was a directory
    /base:e/f string was a file
    /base:x/y string y
    ");
}

#[test]
fn merges_keep_all_parents_and_follow_the_first() {
    let commits = [
        ("", file("a", "1")),
        ("from :1\n", file("b", "2")),
        ("from :1\n", file("c", "3")),
        ("from :2\nmerge :3\n", file("c", "3")),
        ("from :4\n", String::new()),
    ];
    let commits: Vec<(&str, &str)> = commits
        .iter()
        .map(|(links, changes)| (*links, changes.as_str()))
        .collect();
    let assembly = assembled(&stream(&commits), 0);
    let (_, heads) = assembly.branches().next().unwrap();
    let head = heads.get(&"/base".parse::<Namespace>().unwrap()).unwrap();
    let line = assembly.line(head.commit);
    assert_eq!(line.len(), 4);
    let commit = |id| assembly.workshop.commit(id).unwrap();
    let merge = commit(&line[2]);
    assert_eq!((merge.parents.len(), merge.generation), (2, 3));
    assert_eq!(merge.parents[0], line[1]);
    assert_eq!(
        merge.author_time,
        Moment {
            ms: 4000,
            offset_minutes: 60
        }
    );
    // A commit that changes nothing is a commit of the base with the same tree.
    assert_eq!(commit(&line[3]).tree, merge.tree);
    assert_eq!(assembly.tips().len(), 1);
}

#[test]
fn leading_directories_are_namespaces_with_commits_of_their_own() {
    let commits = [
        (
            "",
            [file("a/x", "1"), file("b/x", "1"), file("r", "1")].concat(),
        ),
        ("from :1\n", file("a/x", "2")),
        ("from :2\n", "R a/x b/y\n".to_owned()),
    ];
    let commits: Vec<(&str, &str)> = commits
        .iter()
        .map(|(links, changes)| (*links, changes.as_str()))
        .collect();
    let assembly = assembled(&stream(&commits), 1);
    insta::assert_snapshot!(contents(&assembly, "refs/heads/main"), @"
    /base:r string 1
    /base/b:x string 1
    /base/b:y string 2
    ");
    let (_, heads) = assembly.branches().next().unwrap();
    let lines: Vec<String> = heads
        .iter()
        .map(|(namespace, head)| format!("{namespace} {}", assembly.line(head.commit).len()))
        .collect();
    assert_eq!(lines, ["/base 1", "/base/a 3", "/base/b 2"]);
}

#[test]
fn everything_that_cannot_be_an_entry_is_listed_once_and_the_rest_is_taken() {
    let large = "x".repeat(1024 * 1024 + 1);
    let changes = [
        file("good", "1"),
        file("bad name", "1"),
        file("ümlaut", "1"),
        file("big", &large),
    ]
    .concat();
    let assembly = assembled(
        &stream(&[("", &changes), ("from :1\n", &file("bad name", "2"))]),
        0,
    );
    assert_eq!(
        contents(&assembly, "refs/heads/main"),
        "/base:good string 1"
    );
    let invalid: Vec<String> = assembly
        .issues
        .invalid
        .iter()
        .map(|issue| format!("{:?}: {}", issue.path, issue.what))
        .collect();
    insta::assert_snapshot!(invalid.join("\n"), @r#"
    Some("bad name"): segment 1 of key `bad name` has ` `; allowed are A-Z, a-z, 0-9, `.`, `_` and `-`
    Some("ümlaut"): segment 1 of key `ümlaut` has `ü`; allowed are A-Z, a-z, 0-9, `.`, `_` and `-`
    Some("big"): not a valid value of type string: it has 1048577 bytes, at most 1048576 are allowed
    "#);
}

#[test]
fn reading_again_makes_the_same_commits_and_every_batch_is_whole() {
    let small = include_bytes!("../../../../../fixtures/git/small.fast-export");
    let heads = |assembly: &Assembly| -> Vec<NamespaceHead> {
        assembly
            .branches()
            .flat_map(|(_, heads)| heads.values().copied().collect::<Vec<_>>())
            .collect()
    };
    let once = assembled(small, 0);

    // A batch after every commit: each needs only what earlier ones brought.
    let mut again = Assembly::new(Placing {
        base: "/base".parse().unwrap(),
        depth: 0,
    })
    .unwrap();
    let mut reader = StreamReader::new(small.as_slice());
    let mut known: HashSet<(Kind, ObjectId)> = HashSet::new();
    let none = Workshop::new().unwrap();
    while let Some(command) = reader.next_command().unwrap() {
        if !again.take(command).unwrap() {
            continue;
        }
        let pack = pack_of(&again.take_batch());
        let knows = |kind, id: &ObjectId| known.contains(&(kind, *id));
        let admitted = admit(pack.as_slice(), &PackLimits::default(), &none, &knows).unwrap();
        assert!(
            admitted
                .objects
                .iter()
                .any(|object| object.kind() == Kind::Commit)
        );
        known.extend(
            admitted
                .objects
                .iter()
                .map(|object| (object.kind(), object.id())),
        );
    }
    assert_eq!(heads(&once), heads(&again));
    assert_eq!(once.newest_source(), again.newest_source());
}

#[test]
fn a_commit_that_did_not_come_before_is_refused() {
    let mut assembly = Assembly::new(Placing {
        base: "/base".parse().unwrap(),
        depth: 0,
    })
    .unwrap();
    let bytes = stream(&[("from :7\n", "")]);
    let command = StreamReader::new(bytes.as_slice())
        .next_command()
        .unwrap()
        .unwrap();
    let refused = assembly.take(command).unwrap_err();
    insta::assert_snapshot!(refused.to_string(), @"the stream names commit `:7`, which did not come before; export the whole history");
}

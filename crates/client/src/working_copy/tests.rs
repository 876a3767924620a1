//! The laws of a working copy, on real directories and without a server.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use confman_layout::write_entry;
use confman_model::{
    Details, Entry, EntryType, EntryValue, Key, Namespace, Revision, Value, ValueLimits,
};
use confman_object_store::tree::{self, Leaf, TreeKey};
use confman_object_store::{Commit, Encoded, MemoryBackend, Moment, Object, ObjectId, Person};
use proptest::prelude::*;

use super::entries::EntriesFile;
use super::index::Index;
use super::local::layout_key;
use super::remote::Heads;
use super::rewrite::{FreshDirectory, Update, received_entry, rewrite};
use super::snapshot::Snapshot;
use super::state::{FORMAT, NamespaceState, State};
use super::*;

type Entries = BTreeMap<Key, Entry>;

fn value(entry_type: EntryType, bytes: impl Into<Vec<u8>>) -> Entry {
    Entry::of(Value::new(entry_type, bytes, &ValueLimits::default()).unwrap())
}

/// The tree of entries, and every object of it.
fn objects_of(entries: &Entries) -> (ObjectId, Vec<Object>) {
    let mut objects = Vec::new();
    let mut leaves: BTreeMap<TreeKey, Leaf> = BTreeMap::new();
    for (key, entry) in entries {
        let (leaf, of_entry) = write_entry(entry).unwrap();
        objects.extend(of_entry);
        leaves.insert(layout_key(key).unwrap(), leaf);
    }
    let edited = tree::build(&leaves);
    objects.extend(edited.pages.into_iter().map(|(page, _)| page));
    if leaves.is_empty() {
        objects.push(tree::empty());
    }
    (edited.root, objects)
}

fn put(mirror: &Mirror, objects: &[Object]) {
    let encoded: Vec<Encoded> = objects.iter().map(Encoded::new).collect();
    mirror.store().backend().put(&encoded, 0).unwrap();
}

fn committed(mirror: &Mirror, entries: &Entries, parent: Option<ObjectId>) -> ObjectId {
    let (tree, mut objects) = objects_of(entries);
    let generation = parent.map_or(0, |parent| {
        mirror.objects().commit(&parent).unwrap().generation
    }) + 1;
    let person = Person {
        principal: "ada".to_owned(),
        name: "Ada".to_owned(),
        email: String::new(),
    };
    let commit = Commit {
        tree,
        parents: parent.into_iter().collect(),
        generation,
        namespace: "/teams".to_owned(),
        author: person.clone(),
        author_time: Moment::default(),
        committer: person,
        commit_time: Moment::default(),
        change_id: [0; 16],
        message: format!("commit {generation}"),
        origin: None,
        request: None,
        policy: None,
        schemas: Vec::new(),
        source: None,
        unknown: Vec::new(),
    };
    let object = commit.to_object().unwrap();
    let id = object.id();
    objects.push(object);
    put(mirror, &objects);
    id
}

/// A working copy of `/teams` at these published entries.
fn cloned(entries: &Entries) -> (tempfile::TempDir, WorkingCopy) {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join(PRIVATE_DIRECTORY)).unwrap();
    let mirror = Mirror::over(Arc::new(MemoryBackend::default()));
    let base = committed(&mirror, entries, None);
    let namespace = NamespaceState {
        path: "/teams".parse().unwrap(),
        base: Some(base),
        on_draft: false,
        line: Some(base),
        published: Some(base),
    };
    let state = State {
        format: FORMAT,
        server: "http://127.0.0.1:1".to_owned(),
        cluster: "c".to_owned(),
        draft: "mine".parse().unwrap(),
        root: "/teams".parse().unwrap(),
        recursive: false,
        full_history: false,
        namespaces: vec![namespace],
    };
    write_all(place.path(), entries);
    let root = place.path().to_path_buf();
    (
        place,
        WorkingCopy {
            root,
            state,
            mirror,
        },
    )
}

fn write_all(root: &Path, entries: &Entries) {
    let updates = entries
        .iter()
        .map(|(key, entry)| (key.clone(), Update::Entry(entry.clone())))
        .collect();
    rewrite(
        Path::new(""),
        Path::new(""),
        &EntriesFile::default(),
        &updates,
        &mut FreshDirectory::new(root),
    )
    .unwrap();
}

fn namespace() -> Namespace {
    "/teams".parse().unwrap()
}

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let json = prop_oneof![
        Just("{}".to_owned()),
        Just(" {\"a\": 1.0}\n".to_owned()),
        Just("{\"b\":  [1e2, -0],\"a\": \"\\u0041/\"}".to_owned()),
        Just("[\n  true\n]".to_owned()),
        "[a-z ]{0,600}".prop_map(|text| format!("[\"{text}\"]")),
    ];
    let value_strategy = prop_oneof![
        "(?s).{0,40}".prop_map(|text| value(EntryType::String, text)),
        "[a-z\r\n]{200,300}".prop_map(|text| value(EntryType::String, text)),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,2})?"
            .prop_map(|text| value(EntryType::Number, text)),
        any::<bool>().prop_map(|truth| value(EntryType::Boolean, truth.to_string())),
        json.prop_map(|text| value(EntryType::Json, text)),
        proptest::collection::vec(any::<u8>(), 0..100)
            .prop_map(|bytes| value(EntryType::Binary, bytes)),
        "(env|vault)://[A-Z/]{1,80}".prop_map(|uri| value(EntryType::SecretRef, uri)),
        Just(Entry::unset()),
    ];
    let details = (
        "[a-z\"é]{0,10}",
        proptest::collection::btree_set("[a-z]{1,5}", 0..3),
    );
    (value_strategy, details).prop_map(|(entry, (description, tags))| {
        let (value, _) = entry.into_parts();
        let binary =
            matches!(&value, EntryValue::Value(value) if value.entry_type() == EntryType::Binary);
        let media_type = binary.then(|| "image/png".to_owned());
        Entry::new(
            value,
            Details {
                description,
                tags,
                media_type,
            },
        )
        .unwrap()
    })
}

fn any_entries() -> impl Strategy<Value = Entries> {
    let keys = "[aAb]{1,2}(\\.json|\\.txt)?(/[aAb]{1,2}(\\.json)?){0,2}";
    proptest::collection::btree_map(keys.prop_map(|text| key(&text)), any_entry(), 0..12)
}

proptest! {
    #[test]
    fn files_of_a_tree_make_that_tree_again(entries in any_entries()) {
        let place = tempfile::tempdir().unwrap();
        write_all(place.path(), &entries);
        let snapshot = Snapshot::read(place.path(), Path::new(""), &mut Index::default()).unwrap();
        prop_assert_eq!(snapshot.root_id(), objects_of(&entries).0);
        for (key, entry) in &entries {
            prop_assert_eq!(snapshot.entry(key).unwrap(), Some(entry.clone()));
        }
    }

    #[test]
    fn a_pull_without_edits_gives_the_files_of_the_new_tree(before in any_entries(), after in any_entries()) {
        let (place, copy) = cloned(&before);
        let head = committed(&copy.mirror, &after, copy.state.namespaces[0].base);
        pulled(&copy, Heads { published: Some(head), draft: None });
        let snapshot = Snapshot::read(place.path(), Path::new(""), &mut Index::default()).unwrap();
        prop_assert_eq!(snapshot.root_id(), objects_of(&after).0);
        prop_assert!(copy.unused(&snapshot).is_empty());
    }

    #[test]
    fn a_pull_keeps_edits_of_keys_that_did_not_change(mine in any_entry(), theirs in any_entry()) {
        let before = Entries::from([(key("a"), value(EntryType::String, "a")), (key("b"), value(EntryType::String, "b"))]);
        let (place, copy) = cloned(&before);
        write_all(place.path(), &Entries::from([(key("a"), mine.clone()), (key("b"), before[&key("b")].clone())]));
        let head = committed(&copy.mirror, &Entries::from([(key("a"), before[&key("a")].clone()), (key("b"), theirs.clone())]), copy.state.namespaces[0].base);
        pulled(&copy, Heads { published: Some(head), draft: None });
        let snapshot = Snapshot::read(place.path(), Path::new(""), &mut Index::default()).unwrap();
        prop_assert_eq!(snapshot.entry(&key("a")).unwrap(), Some(mine));
        prop_assert_eq!(snapshot.entry(&key("b")).unwrap(), Some(theirs));
    }
}

/// What is told from what is known, and what reading everything tells.
fn told_and_read(copy: &WorkingCopy) -> [Vec<(Key, KeyState)>; 2] {
    let told = copy.status().unwrap().namespaces.remove(0).changes;
    let snapshot = Snapshot::read(&copy.root, Path::new(""), &mut Index::default()).unwrap();
    let read = copy.changes(&copy.state.namespaces[0], &snapshot).unwrap();
    [told, read]
}

#[test]
fn what_was_edited_is_told_from_what_is_known() {
    let long = "long ".repeat(100);
    let (place, copy) = cloned(&Entries::from([
        (key("a"), value(EntryType::Number, "1")),
        (key("b"), value(EntryType::String, long.as_str())),
        (key("c"), value(EntryType::String, "c")),
    ]));
    let [told, read] = told_and_read(&copy);
    assert_eq!((told.len(), read.len()), (0, 0));
    let (known, hash) = known::Known::load(place.path(), Path::new("")).unwrap();
    assert!(known.plain);
    let entries = place.path().join(ENTRIES_FILE);
    let text = fs::read_to_string(&entries).unwrap();
    assert!(
        known::Known::text(place.path(), Path::new(""), &hash).is_some_and(|known| known == text)
    );
    fs::write(&entries, text.replace("\"value\": 1", "\"value\": 2")).unwrap();
    fs::write(place.path().join("files/b.txt"), long.replace('l', "L")).unwrap();
    let [told, read] = told_and_read(&copy);
    assert_eq!(told, read);
    assert_eq!(told.len(), 2);
    // Only what was edited was read again for its meaning.
    let changes = copy
        .file_changes(
            &copy.state.namespaces[0],
            &mut Index::default(),
            changes::Need::Entries,
        )
        .unwrap();
    assert_eq!(changes.snapshot.file.lines.len(), 2);
    // Back to what it was, and a file that is gone.
    fs::write(&entries, &text).unwrap();
    fs::remove_file(place.path().join("files/b.txt")).unwrap();
    assert!(matches!(
        copy.status(),
        Err(WorkingCopyError::Invalid { .. })
    ));
    fs::write(place.path().join("files/b.txt"), &long).unwrap();
    let [told, read] = told_and_read(&copy);
    assert_eq!((told.len(), read.len()), (0, 0));
}

proptest! {
    #[test]
    fn what_is_known_tells_what_reading_everything_tells(
        before in any_entries(), first in any_entries(), second in any_entries(), edit in proptest::option::of((0_usize..400, "[ ,\n}/*x\"]{1,2}")),
    ) {
        let (place, copy) = cloned(&before);
        let [told, read] = told_and_read(&copy);
        prop_assert_eq!(told, read);
        for after in [&first, &second] {
            let _ = fs::remove_dir_all(place.path().join(FILES_DIRECTORY));
            write_all(place.path(), after);
            let [told, read] = told_and_read(&copy);
            prop_assert_eq!(told, read);
        }
        if let Some((at, noise)) = edit {
            let entries = place.path().join(ENTRIES_FILE);
            let mut text = fs::read_to_string(&entries).unwrap();
            let mut at = at % (text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            text.insert_str(at, &noise);
            fs::write(&entries, text).unwrap();
            let whole = Snapshot::read(place.path(), Path::new(""), &mut Index::default());
            match whole {
                Err(_) => prop_assert!(copy.status().is_err()),
                Ok(_) => {
                    let [told, read] = told_and_read(&copy);
                    prop_assert_eq!(told, read);
                }
            }
        }
        let naive = copy.diff(&namespace(), &Side::Base, &Side::Files, &[]).map(|diffs| diffs.len()).ok();
        let told = copy.status().map(|status| status.namespaces[0].changes.len()).ok();
        prop_assert_eq!(naive, told);
    }
}

impl WorkingCopy {
    fn unused(&self, snapshot: &Snapshot) -> Vec<PathBuf> {
        let used: Vec<String> = snapshot.used_files().map(str::to_owned).collect();
        self.unused_files(Path::new(""), &used).unwrap()
    }
}

/// Does what a pull does after it has fetched. Returns the new state of the namespace.
fn pulled(copy: &WorkingCopy, heads: Heads) -> (BTreeMap<Key, Update>, NamespaceState, bool) {
    let snapshot = Snapshot::read(&copy.root, Path::new(""), &mut Index::default()).unwrap();
    let merged = copy
        .merged(&copy.state.namespaces[0], Some(&snapshot), heads)
        .unwrap();
    let lock = journal::Lock::take(&copy.root).unwrap();
    let mut plan = journal::Plan::new(&copy.root, &lock).unwrap();
    rewrite(
        &copy.root,
        Path::new(""),
        &snapshot.file,
        &merged.0,
        &mut plan,
    )
    .unwrap();
    plan.commit(&copy.state).unwrap();
    merged
}

fn text_of(place: &Path) -> String {
    fs::read_to_string(place.join("entries.json")).unwrap()
}

fn edit(place: &Path, from: &str, to: &str) {
    let text = text_of(place);
    assert!(text.contains(from), "{text}");
    fs::write(place.join("entries.json"), text.replace(from, to)).unwrap();
}

fn states(copy: &WorkingCopy) -> String {
    let status = copy.status().unwrap();
    status.namespaces[0]
        .changes
        .iter()
        .map(|(key, state)| format!("{key} {state:?}"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn example() -> Entries {
    Entries::from([
        (key("port"), value(EntryType::Number, "80")),
        (key("host"), value(EntryType::String, "a.example")),
        (
            key("limits"),
            value(EntryType::Json, r#"{"cpu": 1, "mem": 2}"#),
        ),
        (key("motd"), value(EntryType::String, "line\n".repeat(3))),
    ])
}

#[test]
fn status_tells_what_was_added_changed_and_removed() {
    let (place, copy) = cloned(&example());
    assert_eq!(states(&copy), "");
    edit(
        place.path(),
        "\"port\": {\"value\": 80}",
        "\"extra\": {\"value\": true}",
    );
    fs::write(place.path().join("files/motd.txt"), "other\n").unwrap();
    assert_eq!(states(&copy), "extra Added, motd Changed, port Removed");
    fs::write(place.path().join("files/stray.txt"), "?").unwrap();
    assert_eq!(
        copy.status().unwrap().namespaces[0].unused,
        [PathBuf::from("files/stray.txt")]
    );
}

#[test]
fn a_change_in_meaning_is_told_by_path_and_one_in_digits_as_format() {
    let (place, copy) = cloned(&example());
    edit(place.path(), "\"mem\": 2", "\"mem\": 3");
    edit(place.path(), "80", "8e1");
    let diffs = copy
        .diff(&namespace(), &Side::Base, &Side::Files, &[])
        .unwrap();
    let told: Vec<String> = diffs
        .iter()
        .map(|diff| format!("{} {:?}", diff.key, diff.kind))
        .collect();
    assert_eq!(told, ["limits Changed", "port FormatOnly"]);
    let only = copy
        .diff(&namespace(), &Side::Base, &Side::Files, &[key("port")])
        .unwrap();
    assert_eq!(only.len(), 1);
}

#[test]
fn both_sides_of_a_json_value_are_merged_by_path() {
    let (place, copy) = cloned(&example());
    edit(place.path(), "\"mem\": 2", "\"mem\": 3");
    let mut upstream = example();
    upstream.insert(
        key("limits"),
        value(EntryType::Json, r#"{"cpu": 9, "mem": 2}"#),
    );
    let head = committed(&copy.mirror, &upstream, copy.state.namespaces[0].base);
    pulled(
        &copy,
        Heads {
            published: Some(head),
            draft: None,
        },
    );
    assert!(
        text_of(place.path()).contains(r#""limits": {"value": {"cpu": 9, "mem": 3}}"#),
        "{}",
        text_of(place.path())
    );
}

#[test]
fn a_conflict_stays_valid_json_and_is_resolved_by_taking_a_side() {
    for (take, expected) in [(Take::Ours, "81"), (Take::Theirs, "82"), (Take::Base, "80")] {
        let (place, mut copy) = cloned(&example());
        edit(place.path(), "80", "81");
        fs::write(place.path().join("files/motd.txt"), "mine\n").unwrap();
        let mut upstream = example();
        upstream.insert(key("port"), value(EntryType::Number, "82"));
        upstream.insert(key("motd"), value(EntryType::String, "theirs\n"));
        let head = committed(&copy.mirror, &upstream, copy.state.namespaces[0].base);
        pulled(
            &copy,
            Heads {
                published: Some(head),
                draft: None,
            },
        );
        let text = text_of(place.path());
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
        assert!(text.contains(r#""port": {"conflict": {"base": {"value": 80}, "ours": {"value": 81}, "theirs": {"value": 82}}}"#), "{text}");
        assert_eq!(states(&copy), "motd Conflict, port Conflict");
        let options = PushOptions {
            message: "m".to_owned(),
            author: Person::default(),
            at: Moment::default(),
            namespaces: Vec::new(),
        };
        let refused = copy.commit_files(&copy.state.namespaces[0], &options);
        assert!(matches!(refused, Err(WorkingCopyError::Conflicts { .. })));

        assert_eq!(
            copy.resolve(&namespace(), &[], take).unwrap(),
            [key("motd"), key("port")]
        );
        assert!(
            text_of(place.path()).contains(&format!("\"port\": {{\"value\": {expected}}}")),
            "{}",
            text_of(place.path())
        );
        let snapshot = Snapshot::read(place.path(), Path::new(""), &mut Index::default()).unwrap();
        assert!(
            copy.unused(&snapshot).is_empty(),
            "{:?}",
            copy.unused(&snapshot)
        );
        assert!(matches!(
            copy.resolve(&namespace(), &[key("port")], take),
            Err(WorkingCopyError::NoConflict { .. })
        ));
    }
}

#[test]
fn what_a_pull_does_not_touch_stays_as_it_was_written() {
    let (place, copy) = cloned(&example());
    edit(
        place.path(),
        "{\"value\": \"a.example\"}",
        "{ // the old one\n    \"value\": \"a.example\",\n  }",
    );
    let mut upstream = example();
    upstream.insert(key("port"), value(EntryType::Number, "82"));
    let head = committed(&copy.mirror, &upstream, copy.state.namespaces[0].base);
    pulled(
        &copy,
        Heads {
            published: Some(head),
            draft: None,
        },
    );
    let text = text_of(place.path());
    assert!(
        text.contains("{ // the old one\n    \"value\": \"a.example\",\n  }")
            && text.contains("\"port\": {\"value\": 82}"),
        "{text}"
    );
}

#[test]
fn restore_gives_base_entries_and_files_again() {
    let (place, mut copy) = cloned(&example());
    let before = text_of(place.path());
    edit(place.path(), "80", "81");
    edit(place.path(), "\"host\"", "\"name\"");
    fs::write(place.path().join("files/motd.txt"), "other\n").unwrap();
    assert_eq!(
        copy.restore(&namespace(), &[key("port")], &Side::Base)
            .unwrap(),
        [key("port")]
    );
    assert_eq!(states(&copy), "host Removed, motd Changed, name Added");
    copy.restore(&namespace(), &[], &Side::Base).unwrap();
    assert_eq!(text_of(place.path()), before);
    assert_eq!(states(&copy), "");
    let unknown = copy.restore(&namespace(), &[key("nowhere")], &Side::Base);
    assert!(matches!(unknown, Err(WorkingCopyError::NoSuchKey { .. })));
}

#[test]
fn restoring_everything_mends_an_entries_file_that_is_broken_or_gone() {
    let (place, mut copy) = cloned(&example());
    let entries = place.path().join("entries.json");
    let mended = |copy: &mut WorkingCopy| {
        copy.restore(&namespace(), &[], &Side::Base).unwrap();
        assert_eq!(states(copy), "");
        let text = text_of(place.path());
        assert!(text.contains("\"files/motd.txt\""), "{text}");
    };
    fs::write(&entries, "{ not json at all").unwrap();
    mended(&mut copy);
    let kept = place.path().join(".confman/rescued/entries.json");
    assert_eq!(fs::read_to_string(kept).unwrap(), "{ not json at all");
    fs::remove_file(&entries).unwrap();
    mended(&mut copy);
}

#[test]
fn the_commit_of_the_files_has_their_tree_and_brings_all_that_its_base_lacks() {
    let (place, copy) = cloned(&example());
    edit(place.path(), "80", "81");
    fs::write(place.path().join("files/motd.txt"), "x".repeat(100)).unwrap();
    let options = PushOptions {
        message: "m".to_owned(),
        author: Person {
            principal: "ada".to_owned(),
            ..Person::default()
        },
        at: Moment {
            ms: 1,
            offset_minutes: 60,
        },
        namespaces: Vec::new(),
    };
    let made = copy
        .commit_files(&copy.state.namespaces[0], &options)
        .unwrap()
        .unwrap();
    let mut after = example();
    after.insert(key("port"), value(EntryType::Number, "81"));
    after.insert(key("motd"), value(EntryType::String, "x".repeat(100)));
    assert_eq!(made.tree, objects_of(&after).0);
    assert_eq!(
        made.changes,
        [
            (key("motd"), KeyState::Changed),
            (key("port"), KeyState::Changed)
        ]
    );
    put(&copy.mirror, &made.objects);
    let commit = copy.mirror.objects().commit(&made.id).unwrap();
    assert_eq!(commit.parents, [copy.state.namespaces[0].base.unwrap()]);
    assert_eq!(commit.generation, 2);
    let mut read = 0;
    for (name, leaf) in copy.leaves_of(Some(made.id)).unwrap() {
        received_entry(copy.mirror.objects(), &name, &leaf).unwrap();
        read += 1;
    }
    assert_eq!(read, 4);
}

#[test]
fn edits_that_were_pushed_to_a_draft_survive_its_end() {
    let (place, mut copy) = cloned(&example());
    let published = copy.state.namespaces[0].base;
    edit(place.path(), "80", "81");
    let mut drafted = example();
    drafted.insert(key("port"), value(EntryType::Number, "81"));
    let draft = committed(&copy.mirror, &drafted, published);
    copy.state.namespaces[0].base = Some(draft);
    copy.state.namespaces[0].on_draft = true;
    assert_eq!(states(&copy), "");
    // The draft was deleted; somebody else published another key.
    let mut upstream = example();
    upstream.insert(key("host"), value(EntryType::String, "b.example"));
    let head = committed(&copy.mirror, &upstream, published);
    let (_, after, draft_gone) = pulled(
        &copy,
        Heads {
            published: Some(head),
            draft: None,
        },
    );
    assert!(draft_gone && !after.on_draft);
    copy.state.namespaces[0] = after;
    assert_eq!(states(&copy), "port Changed");
    assert!(text_of(place.path()).contains("b.example"));
}

#[test]
fn log_show_and_blame_tell_what_was_fetched() {
    let (_place, mut copy) = cloned(&example());
    let first = copy.state.namespaces[0].base.unwrap();
    let mut entries = example();
    entries.insert(key("port"), value(EntryType::Number, "81"));
    let second = committed(&copy.mirror, &entries, Some(first));
    copy.state.namespaces[0].base = Some(second);
    copy.state.namespaces[0].published = Some(second);
    let log: Vec<String> = copy
        .log(&namespace(), None, 10)
        .unwrap()
        .into_iter()
        .map(|logged| logged.commit.message.clone())
        .collect();
    assert_eq!(log, ["commit 2", "commit 1"]);
    assert_eq!(
        copy.resolve_revision(&namespace(), &"published~1".parse().unwrap())
            .unwrap(),
        first
    );
    let prefix: Revision = first.to_string()[..12].parse().unwrap();
    assert_eq!(copy.resolve_revision(&namespace(), &prefix).unwrap(), first);
    assert!(matches!(
        copy.resolve_revision(&namespace(), &"published~2".parse().unwrap()),
        Err(WorkingCopyError::NotFetched { .. })
    ));
    let (_, diffs) = copy.show(&namespace(), &Revision::Published).unwrap();
    assert_eq!(diffs.len(), 1);
    let blamed: Vec<String> = copy
        .blame(&namespace(), &[])
        .unwrap()
        .into_iter()
        .map(|blamed| {
            format!(
                "{} {}",
                blamed.key,
                blamed.by.map_or(0, |by| by.commit.generation)
            )
        })
        .collect();
    assert_eq!(blamed, ["host 1", "limits 1", "motd 1", "port 2"]);
}

#[test]
fn values_that_are_not_valid_are_told_with_file_line_and_column() {
    let (place, copy) = cloned(&example());
    edit(place.path(), "80", "080");
    edit(place.path(), "\"mem\": 2", "\"mem\": 2, \"cpu\": 3");
    fs::remove_file(place.path().join("files/motd.txt")).unwrap();
    let Err(WorkingCopyError::Invalid { problems }) = copy.status() else {
        panic!("expected problems")
    };
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @"
    entries.json:3:44: key `limits`: key `cpu` is there already, at line 1, column 2
    entries.json:4:11: key `motd`: there is no file `files/motd.txt`
    entries.json:5:21: key `port`: `080` has a leading zero; leave it out
    ");
}

#[test]
fn a_newer_format_is_refused_and_nothing_is_touched() {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join(PRIVATE_DIRECTORY)).unwrap();
    fs::write(
        place.path().join(".confman/state.json"),
        r#"{"format": 2, "what": "ever"}"#,
    )
    .unwrap();
    assert!(matches!(
        WorkingCopy::open(place.path()),
        Err(WorkingCopyError::NewerFormat { found: 2, known: 1 })
    ));
    assert!(matches!(
        WorkingCopy::discover(place.path().join(".confman").as_path()),
        Err(WorkingCopyError::NewerFormat { .. })
    ));
}

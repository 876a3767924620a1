//! Packs that go out and come in, and packs that lie.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use confman_repo::layout::{tree_key, write_entry};
use confman_repo::model::{Entry, EntryType, Value, ValueLimits};
use confman_repo::objects::pack::{PackLimits, admit, pack_of};
use confman_repo::objects::tree::{self, Leaf, LeafValue, TreeKey};
use confman_repo::objects::{
    Commit, Encoded, Kind, MemoryBackend, Object, ObjectId, Person, ReadObjects, Stage, Store,
};
use confman_repo::{
    Error, FetchRequest, ImportMark, Namespace, PushEdit, PushRequest, PushTarget, Pushed, Session,
};

use crate::test_repo::{TestRepo, name, ns, rev, said, text};

/// Somebody who has objects of their own and sends packs.
struct Sender {
    stage: Stage,
}

impl Sender {
    fn new() -> Self {
        let store = Arc::new(Store::new(Arc::new(MemoryBackend::default()), 1 << 20));
        let mut stage = Stage::new(store);
        stage.put(tree::empty(), None);
        Self { stage }
    }

    /// Takes in what a fetch gives.
    fn fetch(&mut self, session: &Session, namespace: &str, request: &FetchRequest) -> usize {
        let plan = session.fetch(&ns(namespace), request).unwrap();
        let bytes = plan.write_pack(Vec::new()).unwrap();
        let admitted = admit(&bytes[..], &PackLimits::default(), &self.stage, &|_, _| {
            true
        })
        .unwrap();
        assert_eq!(admitted.objects.len() as u64, plan.objects());
        for object in admitted.objects {
            self.stage.put(object, None);
        }
        bytes.len()
    }

    fn entries(&self, tree: &ObjectId) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        tree::walk(&self.stage, tree, b"", None, &mut |key, leaf| {
            let entry = confman_repo::layout::read_entry(&self.stage, &leaf).unwrap();
            found.insert(
                String::from_utf8(key.as_bytes().to_vec()).unwrap(),
                crate::test_repo::entry_text(&entry),
            );
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        found
    }

    /// A commit on top of another, honest in everything, and the objects that go with it.
    fn commit(&mut self, parents: &[ObjectId], edits: &[(&str, Option<Entry>)]) -> Made {
        let before = parents.first().map_or_else(
            || tree::empty().id(),
            |id| self.stage.commit(id).unwrap().tree,
        );
        let mut objects = Vec::new();
        let mut changes: BTreeMap<TreeKey, Option<Leaf>> = BTreeMap::new();
        for (key, entry) in edits {
            let leaf = entry.as_ref().map(|entry| {
                let (leaf, more) = write_entry(entry).unwrap();
                objects.extend(more);
                leaf
            });
            changes.insert(tree_key(&key.parse().unwrap()).unwrap(), leaf);
        }
        let edited = tree::edit(&self.stage, &before, &changes).unwrap();
        objects.extend(edited.pages.into_iter().map(|(page, _)| page));
        let mut made = Made {
            objects,
            commit: template(edited.root),
        };
        made.commit.parents = parents.to_vec();
        made.commit.generation = parents
            .iter()
            .map(|id| self.stage.commit(id).unwrap().generation)
            .max()
            .unwrap_or(0)
            + 1;
        for object in made.all() {
            self.stage.put(object, None);
        }
        made
    }
}

fn template(tree: ObjectId) -> Commit {
    let admin = Person {
        principal: "admin".to_owned(),
        name: "A".to_owned(),
        email: String::new(),
    };
    Commit {
        tree,
        parents: vec![],
        generation: 1,
        namespace: "/a".to_owned(),
        author: admin.clone(),
        author_time: Default::default(),
        committer: admin,
        commit_time: Default::default(),
        change_id: [1; 16],
        message: "from elsewhere".to_owned(),
        origin: None,
        request: None,
        policy: None,
        schemas: vec![],
        source: None,
        unknown: vec![],
    }
}

struct Made {
    objects: Vec<Object>,
    commit: Commit,
}

impl Made {
    fn id(&self) -> ObjectId {
        self.commit.to_object().unwrap().id()
    }

    fn all(&self) -> Vec<Object> {
        let mut all = self.objects.clone();
        all.push(self.commit.to_object().unwrap());
        all
    }
}

fn pack(objects: &[Object]) -> Vec<u8> {
    let encoded: Vec<Encoded> = objects.iter().map(Encoded::new).collect();
    pack_of(&encoded)
}

fn draft(new: ObjectId, expect: Option<ObjectId>) -> PushRequest {
    let edit = PushEdit {
        namespace: ns("/a"),
        target: PushTarget::Draft(name("d")),
        expect,
        new,
    };
    PushRequest {
        edits: vec![edit],
        import: None,
        message: None,
    }
}

fn push(test: &TestRepo, request: &PushRequest, objects: &[Object]) -> Result<Pushed, Error> {
    test.admin.push(&ns("/a"), request, &pack(objects)[..])
}

/// What is said of a push, with ids replaced by `ID`.
fn refusal(result: Result<Pushed, Error>) -> String {
    let mut text = match result {
        Err(Error::Pack(error)) => format!("pack: {error}"),
        other => said(other),
    };
    let hex = |text: &str, at: usize| {
        text.as_bytes()[at..]
            .iter()
            .take_while(|b| b.is_ascii_hexdigit())
            .count()
    };
    let mut at = 0;
    while at < text.len() {
        match text.is_char_boundary(at).then(|| hex(&text, at)) {
            Some(length) if length >= 64 => {
                text.replace_range(at..at + length, "ID");
                at += 2;
            }
            Some(length) => at += length.max(1),
            None => at += 1,
        }
    }
    text
}

fn want(revisions: &[&str]) -> FetchRequest {
    FetchRequest {
        want: revisions.iter().map(|text| rev(text)).collect(),
        have: vec![],
        depth: None,
        all_trees: false,
    }
}

fn long(seed: u32) -> String {
    (0..300).map(|at| format!("{} ", at * seed)).collect()
}

#[test]
fn what_is_fetched_is_whole() {
    let test = TestRepo::with(&["/a"]);
    test.set("/a", &["x=1", "y=2", &format!("long={}", long(3))]);
    test.set("/a", &["x=2"]);
    let head = test.set("/a", &["-y", "z=1"]);
    let mut sender = Sender::new();
    sender.fetch(&test.admin, "/a", &want(&["published"]));
    assert_eq!(sender.entries(&head.tree).len(), 3);
    // All of the history came as commits.
    let mut commits = 0;
    let mut next = Some(head.commit);
    while let Some(id) = next {
        commits += 1;
        next = sender.stage.commit(&id).unwrap().parents.first().copied();
    }
    assert_eq!(commits, 3);

    let mut everything = Sender::new();
    everything.fetch(
        &test.admin,
        "/a",
        &FetchRequest {
            all_trees: true,
            ..want(&["published"])
        },
    );
    let first = test.tree("/a", "published~2");
    assert_eq!(everything.entries(&first)["long"], long(3));

    let mut shallow = Sender::new();
    shallow.fetch(
        &test.admin,
        "/a",
        &FetchRequest {
            depth: Some(1),
            ..want(&["published"])
        },
    );
    assert!(shallow.stage.commit(&head.commit).is_ok());
    assert!(
        shallow
            .stage
            .commit(
                &test
                    .admin
                    .resolve(&ns("/a"), &rev("published~1"))
                    .unwrap()
                    .commit
                    .unwrap()
            )
            .is_err()
    );
}

#[test]
fn a_pull_sends_what_changed() {
    let test = TestRepo::with(&["/a"]);
    let many: Vec<String> = (0..3000)
        .map(|at| format!("service/{at:05}/setting=value number {}", at * 31))
        .collect();
    let first = test.set("/a", &many.iter().map(String::as_str).collect::<Vec<_>>());
    test.set("/a", &[&format!("long={}", long(3))]);
    let mut sender = Sender::new();
    let clone = sender.fetch(&test.admin, "/a", &want(&["published"]));
    let have = test
        .admin
        .resolve(&ns("/a"), &rev("published"))
        .unwrap()
        .commit
        .unwrap();
    let mut changes: Vec<String> = (0..10)
        .map(|at| format!("service/{:05}/setting=new", at * 300))
        .collect();
    changes.push(format!("long={}x", long(3)));
    let head = test.set(
        "/a",
        &changes.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let pull = sender.fetch(
        &test.admin,
        "/a",
        &FetchRequest {
            have: vec![have],
            ..want(&["published"])
        },
    );
    assert_eq!(sender.entries(&head.tree).len(), 3001);
    assert!(
        pull < 6000 && pull * 5 < clone,
        "clone {clone} bytes, pull {pull} bytes"
    );
    let nothing = sender.fetch(
        &test.admin,
        "/a",
        &FetchRequest {
            have: vec![head.commit],
            ..want(&["published"])
        },
    );
    assert!(nothing < 100, "{nothing}");
    // What is had of what the caller cannot read makes nothing smaller.
    let stranger = FetchRequest {
        have: vec![ObjectId::from_bytes([9; 32])],
        ..want(&["published"])
    };
    assert!(Sender::new().fetch(&test.admin, "/a", &stranger) > clone / 2);
    assert!(first.keys.len() == 3000);
}

#[test]
fn an_honest_push_makes_a_draft_that_can_be_published() {
    let test = TestRepo::with(&["/a"]);
    let base = test.set("/a", &["x=1", "y=1"]);
    let mut sender = Sender::new();
    sender.fetch(&test.admin, "/a", &want(&["published"]));
    let first = sender.commit(
        &[base.commit],
        &[("x", Some(Entry::of(text(&long(7))))), ("y", None)],
    );
    let second = sender.commit(&[first.id()], &[("z", Some(Entry::of(text("3"))))]);
    let mut objects = first.all();
    objects.extend(second.all());
    let pushed = push(&test, &draft(second.id(), None), &objects).unwrap();
    assert!(pushed.objects >= 5 && pushed.import_mark.is_none());
    let listed = test.admin.draft(&ns("/a"), &name("d")).unwrap();
    assert_eq!(
        (listed.head, listed.base, listed.keys.len()),
        (second.id(), Some(base.commit), 3)
    );
    test.publish("/a", "d").unwrap();
    assert_eq!(test.tree("/a", "published"), second.commit.tree);
    assert_eq!(
        test.admin.fsck(&mut |_| {}).unwrap().problems,
        Vec::<String>::new()
    );
}

#[test]
fn a_push_to_a_head_that_moved_is_stale() {
    let test = TestRepo::with(&["/a"]);
    let mut sender = Sender::new();
    let first = sender.commit(&[], &[("x", Some(Entry::of(text("1"))))]);
    push(&test, &draft(first.id(), None), &first.all()).unwrap();
    let other = sender.commit(&[], &[("x", Some(Entry::of(text("2"))))]);
    assert!(matches!(
        push(&test, &draft(other.id(), None), &other.all()),
        Err(Error::Stale { .. })
    ));
    assert!(matches!(
        push(&test, &draft(first.id(), Some(first.id())), &[]),
        Err(Error::Unchanged { .. })
    ));
    push(&test, &draft(other.id(), Some(first.id())), &other.all()).unwrap();
}

#[test]
fn what_lies_about_its_tree_is_refused_and_nothing_is_kept() {
    let test = TestRepo::with(&["/a", "/b"]);
    let base = test.set("/a", &["x=1", "y=1"]);
    let secret = test.set(
        "/b",
        &[&format!("secret={}", long(11)), "short=also secret"],
    );
    let mut sender = Sender::new();
    sender.fetch(&test.admin, "/a", &want(&["published"]));
    let honest = |sender: &mut Sender| {
        sender.commit(&[base.commit], &[("x", Some(Entry::of(text(&long(7)))))])
    };

    // A generation that is not the next one.
    let mut made = honest(&mut sender);
    made.commit.generation = 7;
    insta::assert_snapshot!(refusal(push(&test, &draft(made.id(), None), &made.all())), @"push is not valid: commit ID has generation 7, 2 is needed");

    // A value that is not sent.
    let made = honest(&mut sender);
    let without: Vec<Object> = made
        .all()
        .into_iter()
        .filter(|object| object.kind() != Kind::Blob)
        .collect();
    insta::assert_snapshot!(refusal(push(&test, &draft(made.id(), None), &without)), @"push is not valid: `x`: commit ID: its blob ID is neither in the pack nor in its parents");

    // A page that is not sent.
    let without: Vec<Object> = made
        .all()
        .into_iter()
        .filter(|object| object.kind() != Kind::Page)
        .collect();
    insta::assert_snapshot!(refusal(push(&test, &draft(made.id(), None), &without)), @"push is not valid: commit ID: page ID of its tree is not in the pack");

    // The whole tree of a namespace that is not the sender's, by its id.
    let mut made = honest(&mut sender);
    made.commit.tree = secret.tree;
    insta::assert_snapshot!(refusal(push(&test, &draft(made.id(), None), &made.all())), @"push is not valid: commit ID: page ID of its tree is neither in the pack nor in the tree of its first parent");

    // A value of that namespace, by its id.
    let secret_leaf = tree::get(&**test.repo.node().store(), &secret.tree, b"secret")
        .unwrap()
        .unwrap();
    let edits = BTreeMap::from([(TreeKey::new("x").unwrap(), Some(secret_leaf))]);
    let edited = tree::edit(&sender.stage, &base.tree, &edits).unwrap();
    let mut made = honest(&mut sender);
    made.commit.tree = edited.root;
    made.objects = edited.pages.into_iter().map(|(page, _)| page).collect();
    insta::assert_snapshot!(refusal(push(&test, &draft(made.id(), None), &made.all())), @"push is not valid: `x`: commit ID: its blob ID is neither in the pack nor in its parents");

    // A parent that the namespace does not have.
    let mut made = honest(&mut sender);
    made.commit.parents = vec![secret.commit];
    insta::assert_snapshot!(refusal(push(&test, &draft(made.id(), None), &made.all())), @"push is not valid: commit ID: its parent ID is neither in the pack nor in `/a`");

    // A commit of another namespace, and one that claims what only the server may say.
    let mut made = honest(&mut sender);
    made.commit.namespace = "/b".to_owned();
    insta::assert_snapshot!(refusal(push(&test, &draft(made.id(), None), &made.all())), @"push is not valid: commit ID is of `/b`, not of `/a`");
    let mut made = honest(&mut sender);
    made.commit.request = Some(42);
    made.commit.author.principal = "somebody".to_owned();
    insta::assert_snapshot!(refusal(push(&test, &draft(made.id(), None), &made.all())), @"push is not valid: commit ID names another principal than `admin` as its author or committer; commit ID has an origin, request, policy, schema or field that only the server may give it");

    // A head that is nowhere.
    insta::assert_snapshot!(refusal(push(&test, &draft(ObjectId::from_bytes([5; 32]), None), &[])), @"there is no commit `ID`");

    assert!(test.admin.drafts(&ns("/a")).unwrap().is_empty());
    assert_eq!(test.admin.fsck(&mut |_| {}).unwrap().unreachable, 0);
}

#[test]
fn entries_that_nobody_could_have_written_are_refused() {
    let test = TestRepo::with(&["/a"]);
    let mut sender = Sender::new();
    let leaf = |entry_type: u8, flags: u8, bytes: &[u8]| Leaf {
        entry_type,
        flags,
        value: LeafValue::Inline(bytes.into()),
        meta: None,
    };
    let mut check = |key: &str, leaf: Leaf| {
        let edits = BTreeMap::from([(TreeKey::new(key).unwrap(), leaf)]);
        let built = tree::build(&edits);
        let mut made = sender.commit(&[], &[("ok", Some(Entry::of(text("1"))))]);
        made.commit.tree = built.root;
        made.objects = built.pages.into_iter().map(|(page, _)| page).collect();
        refusal(push(&test, &draft(made.id(), None), &made.all()))
    };
    insta::assert_snapshot!(check("not a key", leaf(1, 0, b"x")), @"push is not valid: commit ID: a key of the tree is not a key: segment 1 of key `not a key` has ` `; allowed are A-Z, a-z, 0-9, `.`, `_` and `-`");
    insta::assert_snapshot!(check("json", leaf(4, 0, b"{\"a\":1,\"a\":2}")), @r#"push is not valid: `json`: key `a` is there already, at line 1, column 2 at `/a` (line 1, column 8)"#);
    insta::assert_snapshot!(check("number", leaf(2, 0, b"NaN")), @r#"push is not valid: `number`: `NaN` is not a JSON number (line 1, column 1)"#);
    insta::assert_snapshot!(check("text", leaf(1, 0, b"\xff")), @r#"push is not valid: `text`: byte 0xff is not UTF-8 (line 1, column 1)"#);
    insta::assert_snapshot!(check("type", leaf(9, 0, b"x")), @r#"push is not valid: `type`: commit ID: the leaf has no known type: 9 is not the number of an entry type; allowed are 1 to 6"#);
    insta::assert_snapshot!(check("flags", leaf(1, 2, b"x")), @r#"push is not valid: `flags`: commit ID: the leaf is malformed: it has flags that have no meaning"#);
    insta::assert_snapshot!(check("tombstone", leaf(1, 1, b"x")), @r#"push is not valid: `tombstone`: commit ID: the leaf is malformed: it is a tombstone with a type or a value"#);
    insta::assert_snapshot!(check("secret", leaf(6, 0, b"file:///etc/passwd")), @r#"push is not valid: `secret`: scheme `file` is not allowed; allowed are keyvault, vault, env (line 1, column 1)"#);
}

#[test]
fn a_tree_that_is_not_packed_by_the_rule_is_refused() {
    let test = TestRepo::with(&["/a"]);
    let mut sender = Sender::new();
    let entries: Vec<(String, Entry)> = (0..400)
        .map(|at| (format!("k{at:04}"), Entry::of(text(&format!("v{at}")))))
        .collect();
    let edits: Vec<(&str, Option<Entry>)> = entries
        .iter()
        .map(|(key, entry)| (key.as_str(), Some(entry.clone())))
        .collect();
    let made = sender.commit(&[], &edits);
    // The same pages, cut and with a wrong byte: whatever it is, it is not the tree of its contents.
    let mut refused = 0;
    for (at, page) in made.objects.iter().enumerate() {
        let mut bytes = page.bytes().to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
        let mut broken = Made {
            objects: made.objects.clone(),
            commit: made.commit.clone(),
        };
        broken.objects[at] = Object::new(Kind::Page, bytes);
        if at + 1 == made.objects.len() {
            broken.commit.tree = broken.objects[at].id();
        }
        assert!(push(&test, &draft(broken.id(), None), &broken.all()).is_err());
        refused += 1;
    }
    assert!(refused > 2);
    push(&test, &draft(made.id(), None), &made.all()).unwrap();
}

#[test]
fn a_pack_that_is_cut_or_changed_anywhere_is_refused() {
    let test = TestRepo::with(&["/a"]);
    let mut sender = Sender::new();
    let made = sender.commit(&[], &[("x", Some(Entry::of(text(&long(3)))))]);
    let whole = pack(&made.all());
    for length in (0..whole.len()).step_by(7) {
        assert!(matches!(
            test.admin
                .push(&ns("/a"), &draft(made.id(), None), &whole[..length]),
            Err(Error::Pack(_))
        ));
    }
    for at in (0..whole.len()).step_by(11) {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        assert!(
            test.admin
                .push(&ns("/a"), &draft(made.id(), None), &changed[..])
                .is_err(),
            "byte {at}"
        );
    }
    assert!(test.admin.drafts(&ns("/a")).unwrap().is_empty());
}

#[test]
fn a_merge_takes_values_from_all_of_its_parents() {
    let test = TestRepo::with(&["/a"]);
    let mut sender = Sender::new();
    let root = sender.commit(&[], &[("x", Some(Entry::of(text("1"))))]);
    let left = sender.commit(&[root.id()], &[("left", Some(Entry::of(text("1"))))]);
    let right = sender.commit(&[root.id()], &[("right", Some(Entry::of(text(&long(5)))))]);
    let mut objects = root.all();
    objects.extend(left.all());
    objects.extend(right.all());
    let mark = ImportMark {
        expect: None,
        source: "s1".to_owned(),
        commits: 3,
        tips: vec![(ns("/a"), left.id()), (ns("/a"), right.id())],
    };
    let request = PushRequest {
        edits: vec![],
        import: Some(mark),
        message: None,
    };
    let pushed = push(&test, &request, &objects).unwrap();
    let state = test.admin.import_state(&ns("/a")).unwrap();
    assert_eq!(
        (Some(state.id), state.mark.commits, state.mark.tips.len()),
        (pushed.import_mark, 3, 2)
    );

    // The blob of `right` is in the second parent and need not come again.
    let mut merge = sender.commit(
        &[left.id(), right.id()],
        &[("right", Some(Entry::of(text(&long(5)))))],
    );
    merge.objects.retain(|object| object.kind() != Kind::Blob);
    let step = |expect, new, objects: &[Object], import| {
        let edit = PushEdit {
            namespace: ns("/a"),
            target: PushTarget::Published,
            expect,
            new,
        };
        push(
            &test,
            &PushRequest {
                edits: vec![edit],
                import,
                message: None,
            },
            objects,
        )
    };
    step(None, left.id(), &[], None).unwrap();
    let done = ImportMark {
        expect: Some(state.id),
        source: "s2".to_owned(),
        commits: 4,
        tips: vec![],
    };
    step(Some(left.id()), merge.id(), &merge.all(), Some(done)).unwrap();
    assert_eq!(test.history("/a", "right"), format!("v1 @3 {}", long(5)));
    assert_eq!(test.history("/a", "left"), "v1 @2 1");
    assert_eq!(
        test.admin
            .resolve(&ns("/a"), &rev("published"))
            .unwrap()
            .position,
        Some(3)
    );

    // The line only goes on, it is not turned elsewhere.
    insta::assert_snapshot!(refusal(step(Some(merge.id()), right.id(), &[], None)), @"published head of `/a` is not valid: ID does not follow from ID along first parents within 1000 commits");
    let stale = ImportMark {
        expect: None,
        source: "s3".to_owned(),
        commits: 5,
        tips: vec![],
    };
    assert!(matches!(
        push(
            &test,
            &PushRequest {
                edits: vec![],
                import: Some(stale),
                message: None
            },
            &[]
        ),
        Err(Error::Stale { .. })
    ));
    assert_eq!(
        test.admin.fsck(&mut |_| {}).unwrap().problems,
        Vec::<String>::new()
    );
}

#[test]
fn only_an_admin_pushes_to_what_is_published() {
    let test = TestRepo::new();
    let mut document = confman_repo::NamespaceDocument::new(ns("/a"));
    document.roles.publisher.push("pat".to_owned());
    test.admin.create_namespace(document).unwrap();
    let pat = test.principal("pat");
    let mut sender = Sender::new();
    let mut made = sender.commit(&[], &[("x", Some(Entry::of(text("1"))))]);
    made.commit.author.principal = "pat".to_owned();
    made.commit.committer.principal = "pat".to_owned();
    let edit = |target| PushRequest {
        edits: vec![PushEdit {
            namespace: ns("/a"),
            target,
            expect: None,
            new: made.id(),
        }],
        import: None,
        message: None,
    };
    let bytes = pack(&made.all());
    insta::assert_snapshot!(refusal(pat.push(&ns("/a"), &edit(PushTarget::Published), &bytes[..])), @"not allowed in `/a`: namespace:write needs role admin, the highest here is publisher");
    pat.push(&ns("/a"), &edit(PushTarget::Draft(name("d"))), &bytes[..])
        .unwrap();
    let elsewhere = PushRequest {
        edits: vec![PushEdit {
            namespace: Namespace::root(),
            target: PushTarget::Draft(name("d")),
            expect: None,
            new: made.id(),
        }],
        import: None,
        message: None,
    };
    insta::assert_snapshot!(refusal(pat.push(&ns("/a"), &elsewhere, &bytes[..])), @"push is not valid: `/` is not `/a` or below it");
}

#[test]
fn an_import_of_thousands_of_commits_is_quick_and_right() {
    let test = TestRepo::with(&["/a"]);
    let mut sender = Sender::new();
    let limits = ValueLimits::default();
    let mut parents = Vec::new();
    let mut batches: Vec<(Vec<Object>, ObjectId)> = Vec::new();
    let mut objects = Vec::new();
    const COMMITS: usize = 600;
    for at in 0..COMMITS {
        let value = format!("{{\"n\": {at}, \"text\": \"{}\"}}", long(at as u32 % 17));
        let value = Value::new(EntryType::Json, value, &limits).unwrap();
        let (one, two) = (
            format!("dir{}/file{}", at % 9, at % 40),
            format!("other{}", at % 200),
        );
        let made = sender.commit(
            &parents,
            &[
                (&one, Some(Entry::of(value))),
                (&two, Some(Entry::of(text(&at.to_string())))),
            ],
        );
        parents = vec![made.id()];
        objects.extend(made.all());
        if at % 200 == 199 {
            let mut seen = HashMap::new();
            objects.retain(|object: &Object| seen.insert(object.id(), ()).is_none());
            batches.push((std::mem::take(&mut objects), made.id()));
        }
    }
    let began = std::time::Instant::now();
    let mut expect = None;
    for (at, (objects, tip)) in batches.iter().enumerate() {
        let mark = ImportMark {
            expect,
            source: format!("s{at}"),
            commits: 200 * (at as u64 + 1),
            tips: vec![(ns("/a"), *tip)],
        };
        expect = push(
            &test,
            &PushRequest {
                edits: vec![],
                import: Some(mark),
                message: None,
            },
            objects,
        )
        .unwrap()
        .import_mark;
    }
    let tip = batches.last().unwrap().1;
    let edit = PushEdit {
        namespace: ns("/a"),
        target: PushTarget::Published,
        expect: None,
        new: tip,
    };
    push(
        &test,
        &PushRequest {
            edits: vec![edit],
            import: None,
            message: None,
        },
        &[],
    )
    .unwrap();
    let took = began.elapsed();
    println!(
        "{COMMITS} commits in {took:?}: {:.0} a second",
        COMMITS as f64 / took.as_secs_f64()
    );
    let at = test.admin.resolve(&ns("/a"), &rev("published")).unwrap();
    assert_eq!(at.position, Some(COMMITS as u64));
    assert_eq!(
        test.history("/a", "other7"),
        "v3 @408 407, v2 @208 207, v1 @8 7"
    );
    assert_eq!(
        test.admin.fsck(&mut |_| {}).unwrap().problems,
        Vec::<String>::new()
    );
}

use confman_repo::objects::Kind;
use confman_repo::refs::{IndexRow, RequestId, Transaction};
use confman_repo::{OperationFilter, Repo, RepoOptions};

use crate::test_repo::{TestRepo, ns, options};

#[test]
fn every_change_is_in_the_log_of_operations() {
    let test = TestRepo::with(&["/a"]);
    test.draft("/a", "d", &["x=1"]).unwrap();
    test.publish("/a", "d").unwrap();
    test.set("/a", &["x=2"]);
    test.rollback("/a", "published~1").unwrap();
    let list = |filter: OperationFilter, limit: usize| {
        let mut after = None;
        let mut shown = Vec::new();
        loop {
            let page = test.admin.operations(&filter, after, limit).unwrap();
            shown.extend(
                page.operations
                    .iter()
                    .map(|logged| logged.operation.action.clone()),
            );
            after = page.next;
            if after.is_none() {
                return shown.join(" ");
            }
        }
    };
    for limit in [1, 2, 100] {
        assert_eq!(
            list(OperationFilter::default(), limit),
            "rollback draft.change-and-publish publish draft.change namespace.create bootstrap"
        );
        let filter = OperationFilter {
            namespace: Some(ns("/a")),
            action: Some("publish".to_owned()),
            ..Default::default()
        };
        assert_eq!(list(filter, limit), "publish");
    }
}

fn busy() -> TestRepo {
    let test = TestRepo::with(&["/a", "/b"]);
    for value in 0..40 {
        test.set(
            "/a",
            &[
                &format!("k{}={value}", value % 5),
                &format!("long={}", "x".repeat(100 + value)),
            ],
        );
        test.draft("/b", "d", &[&format!("x={value}")]).unwrap();
    }
    test.publish("/b", "d").unwrap();
    test.rollback("/a", "published~7").unwrap();
    test
}

#[test]
fn a_sound_store_is_found_sound() {
    let test = busy();
    let mut phases = Vec::new();
    let report = test
        .admin
        .fsck(&mut |progress| phases.push(progress.phase))
        .unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    assert!(report.objects[&Kind::Commit] >= 82, "{report:?}");
    assert!(report.operations > 80 && report.rows > 100, "{report:?}");
    phases.dedup();
    assert_eq!(
        phases,
        [
            "operations",
            "objects that refs lead to",
            "other objects",
            "rows"
        ]
    );
}

#[test]
fn a_row_that_no_operation_gives_is_found() {
    let test = busy();
    // A transaction can say anything in its rows; only what operations give is right.
    let forged = IndexRow {
        table: 1,
        prefix: b"/a@published\0k0\0".to_vec(),
        suffix: vec![0; 8],
        value: vec![1; 20],
    };
    let admin = test
        .admin
        .resolve(&ns("/a"), &"published".parse().unwrap())
        .unwrap();
    let name = confman_repo::names::tag(&ns("/a"), &"forged".parse().unwrap()).unwrap();
    let target = confman_repo::refs::Target {
        kind: Kind::Commit,
        id: admin.commit.unwrap(),
    };
    let transaction = Transaction {
        request: RequestId([7; 16]),
        edits: vec![confman_repo::refs::RefEdit {
            name,
            expect: confman_repo::refs::Expect::Absent,
            new: Some(target),
        }],
        reads: vec![],
        objects: vec![],
        rows: vec![forged],
        actor: "eve".to_owned(),
        action: "forge".to_owned(),
        detail: "{}".to_owned(),
        time_ms: 0,
    };
    test.repo.node().transact(transaction).unwrap();
    let report = test.admin.fsck(&mut |_| {}).unwrap();
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
    assert!(
        report.problems[0].contains("is there though no operation gives it"),
        "{:?}",
        report.problems
    );
}

#[test]
fn rows_that_are_missing_are_found() {
    let test = busy();
    // A head that moved without its rows, as if they had been lost.
    let at = |namespace: &str| {
        test.admin
            .resolve(&ns(namespace), &"published".parse().unwrap())
            .unwrap()
            .commit
            .unwrap()
    };
    let draft = test.draft("/b", "next", &["x=lost", "y=lost"]).unwrap();
    let target = |id| confman_repo::refs::Target {
        kind: Kind::Commit,
        id,
    };
    let edit = confman_repo::refs::RefEdit {
        name: confman_repo::names::published(&ns("/b")).unwrap(),
        expect: confman_repo::refs::Expect::At(target(at("/b"))),
        new: Some(target(draft.head)),
    };
    let transaction = Transaction {
        request: RequestId([8; 16]),
        edits: vec![edit],
        reads: vec![],
        objects: vec![],
        rows: vec![],
        actor: "eve".to_owned(),
        action: "forge".to_owned(),
        detail: "{}".to_owned(),
        time_ms: 0,
    };
    test.repo.node().transact(transaction).unwrap();
    let report = test.admin.fsck(&mut |_| {}).unwrap();
    let missing = report
        .problems
        .iter()
        .filter(|problem| problem.ends_with("is missing"))
        .count();
    assert_eq!(
        (missing, report.problems.len()),
        (4, 4),
        "{:?}",
        report.problems
    );

    // A row too many, and one of an operation that is not here yet, which a transfer may have brought.
    let node = test.repo.node();
    let row = |prefix: &[u8]| IndexRow {
        table: 5,
        prefix: prefix.to_vec(),
        suffix: Vec::new(),
        value: vec![1],
    };
    let newest = node.view().index();
    node.put_rows(newest - 1, &[row(b"too many")]).unwrap();
    node.put_rows(newest + 10, &[row(b"to come")]).unwrap();
    let report = test.admin.fsck(&mut |_| {}).unwrap();
    assert_eq!((report.problems.len(), report.rows_ahead), (5, 1));
    assert_eq!(test.repo.mend_rows().unwrap(), 5);
    let report = test.admin.fsck(&mut |_| {}).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!(report.rows_ahead, 1);
    assert_eq!(test.repo.mend_rows().unwrap(), 0);
}

#[test]
fn everything_is_there_again_after_a_restart() {
    let test = busy();
    let token = test
        .admin
        .create_token(&confman_repo::NewToken::unlimited("admin".parse().unwrap()))
        .unwrap()
        .0;
    let (before, history) = (test.show("/a", "published"), test.history("/a", "k0"));
    let TestRepo {
        repo,
        clock,
        admin,
        directory,
    } = test;
    drop((repo, admin));
    let node = confman_repo::refs::Node::open(&options(directory.path())).unwrap();
    let repo = Repo::open(
        std::sync::Arc::new(node),
        std::sync::Arc::clone(&clock) as _,
        RepoOptions::default(),
    );
    assert!(repo.bootstrap().unwrap().is_none());
    assert!(
        !repo
            .bootstrap_with(
                &confman_repo::Token::generate(confman_repo::identity::PrincipalKind::User)
                    .unwrap()
            )
            .unwrap()
    );
    let admin = repo.session(repo.authenticate(token.as_str()).unwrap());
    let test = TestRepo {
        repo,
        clock,
        admin,
        directory,
    };
    assert_eq!(
        (test.show("/a", "published"), test.history("/a", "k0")),
        (before, history)
    );
    assert_eq!(
        test.admin.fsck(&mut |_| {}).unwrap().problems,
        Vec::<String>::new()
    );
}

#[test]
fn a_value_that_rots_on_disk_is_found_and_named() {
    let test = TestRepo::with(&["/a"]);
    // No two bytes alike, so that it is kept as it is and can be found in the files.
    let value: String = (0..400_u32)
        .map(|at| char::from(b'!' + (at * 7919 % 89) as u8))
        .filter(|c| *c != '=')
        .collect();
    test.set("/a", &[&format!("long={value}")]);
    let token = test
        .admin
        .create_token(&confman_repo::NewToken::unlimited("admin".parse().unwrap()))
        .unwrap()
        .0;
    let TestRepo {
        repo,
        clock,
        admin,
        directory,
    } = test;
    let stored = {
        let tree = admin
            .resolve(&ns("/a"), &"published".parse().unwrap())
            .unwrap()
            .tree;
        let leaf = confman_repo::objects::tree::get(&**repo.node().store(), &tree, b"long")
            .unwrap()
            .unwrap();
        let blob = confman_repo::layout::blob(&leaf).unwrap();
        (
            blob,
            repo.node()
                .store()
                .backend()
                .get(Kind::Blob, &blob)
                .unwrap()
                .unwrap()
                .payload,
        )
    };
    drop((repo, admin));
    let flipped = flip(&directory.path().join("data"), &stored.1);
    assert!(flipped > 0, "the value is nowhere in the files");
    let opened = confman_repo::refs::Node::open(&options(directory.path()));
    let Ok(node) = opened else {
        // The database itself noticed: a checksum of a log or table.
        return;
    };
    let repo = Repo::open(
        std::sync::Arc::new(node),
        clock as _,
        RepoOptions::default(),
    );
    let admin = repo.session(repo.authenticate(token.as_str()).unwrap());
    let report = admin.fsck(&mut |_| {}).unwrap();
    let named = report
        .problems
        .iter()
        .filter(|problem| problem.contains(&stored.0.to_string()))
        .count();
    assert_eq!(named, 1, "{:?}", report.problems);
    let key = "long".parse().unwrap();
    assert!(matches!(
        admin.entry(&ns("/a"), &key, None),
        Err(confman_repo::Error::Corrupt { .. } | confman_repo::Error::Unavailable { .. })
    ));
}

/// Flips a bit of every place in the files below a directory that holds these bytes.
fn flip(directory: &std::path::Path, bytes: &[u8]) -> usize {
    let mut flipped = 0;
    for item in std::fs::read_dir(directory).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            flipped += flip(&path, bytes);
            continue;
        }
        let mut content = std::fs::read(&path).unwrap();
        let places: Vec<usize> = content
            .windows(bytes.len())
            .enumerate()
            .filter(|(_, window)| *window == bytes)
            .map(|(at, _)| at)
            .collect();
        for at in &places {
            content[at + bytes.len() / 2] ^= 1;
        }
        if !places.is_empty() {
            std::fs::write(&path, content).unwrap();
            flipped += places.len();
        }
    }
    flipped
}

//! A repo with an admin, on a node of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use confman_repo::draft::{ChangeDraft, Drafted, EntryEdit, ExpectedHead};
use confman_repo::model::{Entry, EntryType, Value, ValueLimits};
use confman_repo::objects::ObjectId;
use confman_repo::refs::{
    Expect, Node, NodeOptions, RefEdit, RefName, RequestId, Target, Transaction,
};
use confman_repo::{
    DraftName, EntriesQuery, Error, Key, ManualClock, Namespace, NamespaceDocument, NewPrincipal,
    NewToken, Publish, Published, Repo, RepoOptions, Revision, Rollback, Session, Values,
};

/// 2026-11-24T12:00:00Z.
pub const NOON_MS: i64 = 1_795_521_600_000;
pub const MINUTE_MS: i64 = 60_000;

pub struct TestRepo {
    pub repo: Arc<Repo>,
    pub clock: Arc<ManualClock>,
    pub admin: Session,
    pub directory: tempfile::TempDir,
}

impl TestRepo {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let node = Node::open(&options(directory.path())).unwrap();
        let clock = Arc::new(ManualClock::new(NOON_MS));
        let repo = Repo::open(
            Arc::new(node),
            Arc::clone(&clock) as _,
            RepoOptions::default(),
        );
        let token = repo.bootstrap().unwrap().unwrap();
        let admin = repo.session(repo.authenticate(token.as_str()).unwrap());
        Self {
            repo,
            clock,
            admin,
            directory,
        }
    }

    /// A repo with these namespaces, whose document says nothing.
    pub fn with(namespaces: &[&str]) -> Self {
        let test = Self::new();
        for namespace in namespaces {
            test.admin
                .create_namespace(NamespaceDocument::new(ns(namespace)))
                .unwrap();
        }
        test
    }

    /// Makes a ref point somewhere, past everything that decides what may be done.
    pub fn put_ref(&self, name: RefName, target: Target) {
        let view = self.repo.node().view();
        let edit = RefEdit {
            expect: view.get(name.as_str()).map_or(Expect::Absent, Expect::At),
            name,
            new: Some(target),
        };
        let transaction = Transaction {
            request: RequestId(u128::from(view.index()).to_be_bytes()),
            edits: vec![edit],
            reads: vec![],
            objects: vec![],
            rows: vec![],
            actor: "eve".to_owned(),
            action: "forge".to_owned(),
            detail: "{}".to_owned(),
            time_ms: 0,
        };
        self.repo.node().transact(transaction).unwrap();
    }

    /// What the clock shows.
    pub fn clock_ms(&self) -> i64 {
        confman_repo::Clock::now_ms(&*self.clock)
    }

    /// Somebody new.
    pub fn principal(&self, name: &str) -> Session {
        let new = NewPrincipal::user(name.parse().unwrap());
        self.admin.create_principal(&new).unwrap();
        self.with_token(&NewToken::unlimited(new.name))
    }

    /// Somebody with a new token.
    pub fn with_token(&self, new: &NewToken) -> Session {
        let (token, ..) = self.admin.create_token(new).unwrap();
        self.repo
            .session(self.repo.authenticate(token.as_str()).unwrap())
    }

    /// Changes a draft: `key=text`, `-key` removes, `!key` unsets.
    pub fn draft(&self, namespace: &str, draft: &str, changes: &[&str]) -> Result<Drafted, Error> {
        self.clock.advance(MINUTE_MS);
        self.admin
            .change_draft(&ns(namespace), &change(draft, changes))
    }

    /// Changes and publishes in one step.
    pub fn set(&self, namespace: &str, changes: &[&str]) -> Published {
        self.clock.advance(MINUTE_MS);
        self.admin
            .change_and_publish(&ns(namespace), &change("direct", changes))
            .unwrap()
    }

    pub fn publish(&self, namespace: &str, draft: &str) -> Result<Published, Error> {
        self.clock.advance(MINUTE_MS);
        let draft = name(draft);
        let publish = Publish {
            draft,
            expected_head: ExpectedHead::Any,
            keys: None,
            message: None,
            emergency: None,
            acknowledge_deprecated: false,
        };
        self.admin.publish(&ns(namespace), &publish)
    }

    pub fn publish_keys(
        &self,
        namespace: &str,
        draft: &str,
        keys: &[&str],
    ) -> Result<Published, Error> {
        self.clock.advance(MINUTE_MS);
        let keys = Some(keys.iter().map(|text| key(text)).collect());
        let publish = Publish {
            draft: name(draft),
            expected_head: ExpectedHead::Any,
            keys,
            message: None,
            emergency: None,
            acknowledge_deprecated: false,
        };
        self.admin.publish(&ns(namespace), &publish)
    }

    pub fn rollback(&self, namespace: &str, to: &str) -> Result<Published, Error> {
        self.clock.advance(MINUTE_MS);
        let rollback = Rollback {
            to: rev(to),
            keys: None,
            expected_head: ExpectedHead::Any,
            message: None,
            emergency: None,
            acknowledge_deprecated: false,
        };
        self.admin.rollback(&ns(namespace), &rollback)
    }

    /// The entries of a revision in one line.
    pub fn show(&self, namespace: &str, revision: &str) -> String {
        match self.admin.entries(&ns(namespace), &rev(revision), &all()) {
            Ok(entries) => {
                let shown = entries.entries.iter().map(|entry| match &entry.value {
                    Some(value) => {
                        format!("{}={}", entry.key, value.as_str().unwrap_or("(binary)"))
                    }
                    None => format!("!{}", entry.key),
                });
                shown.collect::<Vec<_>>().join(" ")
            }
            Err(error) => error.to_string(),
        }
    }

    /// The versions of a key, newest first.
    pub fn history(&self, namespace: &str, text: &str) -> String {
        match self.admin.history(&ns(namespace), &key(text), None, 100) {
            Ok(history) => {
                let shown = history.versions.iter().map(|version| {
                    let entry = version
                        .entry
                        .as_ref()
                        .map_or_else(|| "removed".to_owned(), entry_text);
                    format!("v{} @{} {entry}", version.version, version.position)
                });
                shown.collect::<Vec<_>>().join(", ")
            }
            Err(error) => error.to_string(),
        }
    }

    pub fn tree(&self, namespace: &str, revision: &str) -> ObjectId {
        self.admin
            .resolve(&ns(namespace), &rev(revision))
            .unwrap()
            .tree
    }
}

pub fn options(path: &std::path::Path) -> NodeOptions {
    NodeOptions {
        directory: path.to_owned(),
        cache_bytes: 16 << 20,
        block_cache_bytes: 16 << 20,
        peers: None,
    }
}

pub fn entry_text(entry: &Entry) -> String {
    entry.value().map_or_else(
        || "unset".to_owned(),
        |value| value.as_str().unwrap_or("(binary)").to_owned(),
    )
}

pub fn all() -> EntriesQuery {
    EntriesQuery {
        prefix: String::new(),
        after: None,
        limit: 10_000,
        values: Values::With,
    }
}

pub fn ns(text: &str) -> Namespace {
    text.parse().unwrap()
}

pub fn key(text: &str) -> Key {
    text.parse().unwrap()
}

pub fn rev(text: &str) -> Revision {
    text.parse().unwrap()
}

pub fn name(text: &str) -> DraftName {
    text.parse().unwrap()
}

pub fn text(value: &str) -> Value {
    Value::new(EntryType::String, value, &ValueLimits::default()).unwrap()
}

pub fn change(draft: &str, changes: &[&str]) -> ChangeDraft {
    let changes: BTreeMap<Key, EntryEdit> = changes
        .iter()
        .map(|change| {
            match (
                change.strip_prefix('-'),
                change.strip_prefix('!'),
                change.split_once('='),
            ) {
                (Some(removed), ..) => (key(removed), EntryEdit::Remove),
                (_, Some(unset), _) => {
                    let value = confman_repo::ValueEdit::Unset;
                    (
                        key(unset),
                        EntryEdit::Write {
                            value,
                            description: None,
                            tags: None,
                            media_type: None,
                        },
                    )
                }
                (_, _, Some((set, value))) => (key(set), EntryEdit::set(text(value))),
                _ => panic!("not a change: {change}"),
            }
        })
        .collect();
    ChangeDraft {
        draft: name(draft),
        changes,
        expected_head: ExpectedHead::Any,
        message: None,
        acknowledge_deprecated: false,
    }
}

/// An outcome in one line.
pub fn said<T>(result: Result<T, Error>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => error.to_string(),
    }
}

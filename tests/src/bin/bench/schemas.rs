//! What schemas cost: the evaluation of a publish of one key, cold and warm, and with descendants.
//!
//! Measured are dry runs, which do all that a publish evaluates, and read the effective values besides.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use confman_repo::draft::{ChangeDraft, EntryEdit, ExpectedHead};
use confman_repo::model::{EntryType, Value, ValueLimits};
use confman_repo::namespace::DocumentChange;
use confman_repo::refs::{Node, NodeOptions};
use confman_repo::{
    DraftName, Key, Namespace, NamespaceDocument, Proposed, PutSchema, Repo, RepoOptions, Session,
    SystemClock,
};

use crate::table::{Row, Table};
use crate::{Failure, Scale};

/// Levels of the chain, `/` included.
const LEVELS: usize = 5;
/// Own keys of each level.
const KEYS: usize = 200;
/// How often a warm evaluation is measured.
const ROUNDS: usize = 50;
const DESCENDANTS: [usize; 4] = [1, 10, 100, 1000];

/// Measures both.
pub fn run(scale: Scale, table: &mut Table) -> Result<(), Failure> {
    chain(table)?;
    let most = scale.namespaces.min(1000);
    for descendants in DESCENDANTS.into_iter().filter(|count| *count <= most) {
        below(descendants, table)?;
    }
    Ok(())
}

/// A namespace with 1,000 effective keys from five levels, under a schema with a rule for each.
fn chain(table: &mut Table) -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let (node, session) = store(directory.path())?;
    let mut properties = Vec::new();
    let mut namespace = Namespace::root();
    for level in 0..LEVELS {
        if level > 0 {
            namespace = format!("{}/n{level}", namespace.as_str().trim_end_matches('/')).parse()?;
            session.create_namespace(NamespaceDocument::new(namespace.clone()))?;
        }
        let mut changes = BTreeMap::new();
        for number in 0..KEYS {
            let key = format!("level-{level}/key-{number}");
            properties.push(format!(
                r#""{key}": {{"type": "integer", "minimum": 0, "maximum": 1000}}"#
            ));
            changes.insert(key.parse()?, EntryEdit::set(integer(number)?));
        }
        publish(&session, &namespace, changes)?;
    }
    let schema = format!(
        r#"{{"properties": {{{}}}, "additionalProperties": false}}"#,
        properties.join(",")
    );
    attach(&session, &namespace, &schema)?;
    let key: Key = format!("level-{}/key-7", LEVELS - 1).parse()?;
    let proposed = |number: usize| -> Result<Proposed, Failure> {
        let edit = EntryEdit::set(integer(number)?);
        Ok(Proposed::Changes(BTreeMap::from([(key.clone(), edit)])))
    };
    let secret = token(directory.path())?;
    // Another door to the same node: nothing is compiled or decoded yet.
    let open = || -> Result<Session, Failure> {
        let fresh = Repo::open(
            Arc::clone(&node),
            Arc::new(SystemClock),
            RepoOptions::default(),
        );
        let actor = fresh.authenticate(&secret)?;
        Ok(fresh.session(actor))
    };
    let mut doors = (0..ROUNDS)
        .map(|_| open())
        .collect::<Result<Vec<_>, Failure>>()?;
    let fresh = open()?;
    let cold = median(ROUNDS, |round| {
        let door = doors.pop().ok_or("too few doors")?;
        door.preview(&namespace, &proposed(round)?)?;
        Ok(())
    })?;
    let warm = median(ROUNDS, |round| {
        let found = fresh.preview(&namespace, &proposed(round)?)?;
        match found.violations.is_empty() {
            true => Ok(()),
            false => Err("what is valid was refused".into()),
        }
    })?;
    table.add(Row {
        what: format!(
            "a publish of one key evaluated, {} effective keys on {LEVELS} levels",
            LEVELS * KEYS
        ),
        confman: format!("warm {:.2} ms", ms(warm)),
        peer: format!("cold {:.2} ms", ms(cold)),
        ratio: format!("{:.1} ×", warm.as_secs_f64() / cold.as_secs_f64()),
        bar: "cold ≤ 5 ms, warm ≤ 2 ms".to_owned(),
    });
    Ok(())
}

/// A parent with so many children, each under a schema; every second one overrides what changes.
fn below(descendants: usize, table: &mut Table) -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let (_, session) = store(directory.path())?;
    let parent: Namespace = "/p".parse()?;
    session.create_namespace(NamespaceDocument::new(parent.clone()))?;
    attach(
        &session,
        &parent,
        r#"{"properties": {"shared": {"type": "integer", "maximum": 1000}}}"#,
    )?;
    let shared: Key = "shared".parse()?;
    let set = |number: usize| -> Result<BTreeMap<Key, EntryEdit>, Failure> {
        Ok(BTreeMap::from([(
            shared.clone(),
            EntryEdit::set(integer(number)?),
        )]))
    };
    publish(&session, &parent, set(1)?)?;
    for number in 0..descendants {
        let child: Namespace = format!("/p/c{number}").parse()?;
        session.create_namespace(NamespaceDocument::new(child.clone()))?;
        if number % 2 == 1 {
            publish(&session, &child, set(2)?)?;
        }
    }
    let took = median(ROUNDS / 5, |round| {
        let found = session.preview(&parent, &Proposed::Changes(set(round + 2)?))?;
        let expected = 1 + descendants.div_ceil(2);
        match found.namespaces.len() == expected {
            true => Ok(()),
            false => Err(format!("{} namespaces changed", found.namespaces.len()).into()),
        }
    })?;
    table.add(Row {
        what: format!("a publish evaluated with {descendants} descendants, half of them affected"),
        confman: format!("{:.2} ms", ms(took)),
        peer: "none".to_owned(),
        ratio: format!(
            "{:.0} µs for each descendant",
            took.as_secs_f64() * 1e6 / descendants as f64
        ),
        bar: "proportional to the affected".to_owned(),
    });
    Ok(())
}

fn store(directory: &Path) -> Result<(Arc<Node>, Session), Failure> {
    let node = Arc::new(Node::open(&NodeOptions {
        directory: directory.to_owned(),
        cache_bytes: 64 << 20,
        block_cache_bytes: 64 << 20,
        peers: None,
    })?);
    let repo = Repo::open(
        Arc::clone(&node),
        Arc::new(SystemClock),
        RepoOptions::default(),
    );
    let token = repo.bootstrap()?.ok_or("the store is not new")?;
    std::fs::write(directory.join("bench.token"), token.as_str())?;
    let actor = repo.authenticate(token.as_str())?;
    Ok((node, repo.session(actor)))
}

fn token(directory: &Path) -> Result<String, Failure> {
    Ok(std::fs::read_to_string(directory.join("bench.token"))?)
}

fn attach(session: &Session, namespace: &Namespace, schema: &str) -> Result<(), Failure> {
    let put = PutSchema {
        text: schema.to_owned(),
        expected_head: ExpectedHead::Any,
        message: None,
        force: false,
    };
    session.put_schema(&"/schemas/bench".parse()?, &put)?;
    let patch = serde_json::json!({ "schema": { "$ref": "/schemas/bench" } });
    session.update_namespace(
        namespace,
        &DocumentChange::Merge(patch),
        ExpectedHead::Any,
        false,
    )?;
    Ok(())
}

fn publish(
    session: &Session,
    namespace: &Namespace,
    changes: BTreeMap<Key, EntryEdit>,
) -> Result<(), Failure> {
    let draft: DraftName = "bench".parse()?;
    let change = ChangeDraft {
        draft,
        changes,
        expected_head: ExpectedHead::Any,
        message: None,
        acknowledge_deprecated: false,
    };
    session.change_and_publish(namespace, &change)?;
    Ok(())
}

fn integer(number: usize) -> Result<Value, Failure> {
    let text = number.to_string();
    Ok(Value::new(
        EntryType::Number,
        text,
        &ValueLimits::default(),
    )?)
}

fn median(
    rounds: usize,
    mut measure: impl FnMut(usize) -> Result<(), Failure>,
) -> Result<Duration, Failure> {
    let mut taken = Vec::new();
    for round in 0..rounds {
        let begun = Instant::now();
        measure(round)?;
        taken.push(begun.elapsed());
    }
    taken.sort();
    Ok(taken.get(taken.len() / 2).copied().unwrap_or_default())
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

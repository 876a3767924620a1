use confman_repo::draft::ExpectedHead;
use confman_repo::model::{EntryType, Value, ValueLimits};
use confman_repo::namespace::DocumentChange;
use confman_repo::{
    ChangeDraft, EntryEdit, Error, NamespaceDocument, Proposed, Published, PutSchema, SchemaPath,
};

use crate::test_repo::{MINUTE_MS, TestRepo, change, key, name, ns, rev, said};

/// A repo whose `/teams/payments` has this schema, below `/teams`.
struct Governed {
    test: TestRepo,
}

fn path(text: &str) -> SchemaPath {
    text.parse().unwrap()
}

impl Governed {
    fn new(schema: &str) -> Self {
        let governed = Self {
            test: TestRepo::with(&["/teams", "/teams/payments"]),
        };
        governed
            .put("/schemas/teams/payments/base", schema)
            .unwrap();
        governed.document(
            "/teams/payments",
            serde_json::json!({ "schema": { "$ref": "/schemas/teams/payments/base" } }),
        );
        governed
    }

    fn put(&self, at: &str, text: &str) -> Result<usize, Error> {
        self.put_with(at, text, false)
    }

    fn put_with(&self, at: &str, text: &str, force: bool) -> Result<usize, Error> {
        self.test.clock.advance(MINUTE_MS);
        let put = PutSchema {
            text: text.to_owned(),
            expected_head: ExpectedHead::Any,
            message: None,
            force,
        };
        let written = self.test.admin.put_schema(&path(at), &put)?;
        Ok(written.broken.len())
    }

    fn document(&self, namespace: &str, patch: serde_json::Value) {
        self.test
            .admin
            .update_namespace(
                &ns(namespace),
                &DocumentChange::Merge(patch),
                ExpectedHead::Any,
                true,
            )
            .unwrap();
    }

    fn namespace(&self, namespace: &str) {
        self.test
            .admin
            .create_namespace(NamespaceDocument::new(ns(namespace)))
            .unwrap();
    }

    /// Publishes `key=JSON`, `key:type=JSON` and `-key`.
    fn set(&self, namespace: &str, changes: &[&str]) -> Result<Published, Error> {
        self.test.clock.advance(MINUTE_MS);
        self.test
            .admin
            .change_and_publish(&ns(namespace), &json_change(changes, false))
    }

    fn set_acknowledged(&self, namespace: &str, changes: &[&str]) -> Result<Published, Error> {
        self.test
            .admin
            .change_and_publish(&ns(namespace), &json_change(changes, true))
    }
}

fn json_change(changes: &[&str], acknowledge_deprecated: bool) -> ChangeDraft {
    let mut made = change("direct", &[]);
    made.acknowledge_deprecated = acknowledge_deprecated;
    for text in changes {
        if let Some(removed) = text.strip_prefix('-') {
            made.changes.insert(key(removed), EntryEdit::Remove);
            continue;
        }
        let (name, json) = text.split_once('=').unwrap();
        let (name, entry_type) = match name.split_once(':') {
            Some((name, entry_type)) => (name, entry_type.parse::<EntryType>().unwrap()),
            None => (name, Value::infer(json)),
        };
        let value = Value::from_json(entry_type, json, &ValueLimits::default()).unwrap();
        made.changes.insert(key(name), EntryEdit::set(value));
    }
    made
}

/// Every rule that is broken, one a line.
fn broken<T>(result: Result<T, Error>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(Error::Schema { violations, .. }) => violations
            .iter()
            .map(|violation| format!("[{}] {violation}", violation.keyword))
            .collect::<Vec<_>>()
            .join("\n"),
        Err(error) => error.to_string(),
    }
}

fn warned(published: Result<Published, Error>) -> String {
    let warnings = published.unwrap().warnings;
    warnings
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

const BASE: &str = r#"{
  "properties": {
    "timeout": {"type": "integer", "maximum": 60},
    "region": {"enum": ["eu", "us"]}
  },
  "required": ["region"]
}"#;

#[test]
fn what_breaks_a_schema_is_drafted_and_not_published() {
    let governed = Governed::new(BASE);
    let test = &governed.test;
    test.admin
        .change_draft(&ns("/teams/payments"), &json_change(&["timeout=61"], false))
        .unwrap();
    insta::assert_snapshot!(broken(test.publish("/teams/payments", "direct")), @"
    [required] `/teams/payments:region` `region` is required and missing (/schemas/teams/payments/base#/required, attached by `/teams/payments`)
    [maximum] `/teams/payments:timeout` it is greater than the maximum of 60 (/schemas/teams/payments/base#/properties/timeout/maximum, attached by `/teams/payments`)
    ");
    test.admin
        .change_draft(
            &ns("/teams/payments"),
            &json_change(&["timeout=60", "region=\"eu\""], false),
        )
        .unwrap();
    let published = test.publish("/teams/payments", "direct").unwrap();
    let commit = test
        .admin
        .commit(&ns("/teams/payments"), &rev("published"))
        .unwrap();
    assert_eq!(commit.id, published.commit);
    let stored = test.repo.node().store().clone();
    let stored = confman_repo::objects::ReadObjects::commit(
        &confman_repo::objects::Stage::new(stored),
        &published.commit,
    )
    .unwrap();
    let schema = test
        .admin
        .schema(&path("/schemas/teams/payments/base"))
        .unwrap();
    assert_eq!(stored.schemas, [schema.commit]);
    assert!(stored.policy.is_some());
}

#[test]
fn descendants_are_validated_where_their_effective_document_changes() {
    let governed = Governed::new(BASE);
    governed
        .set("/teams/payments", &["region=\"eu\"", "timeout=10"])
        .unwrap();
    governed.namespace("/teams/payments/eu");
    governed.namespace("/teams/payments/us");
    governed.namespace("/teams/payments/cut");
    governed.document(
        "/teams/payments/cut",
        serde_json::json!({ "inherit": false }),
    );
    governed
        .put(
            "/schemas/teams/payments/us",
            r#"{"properties": {"timeout": {"maximum": 20}, "limit": {"maximum": 5}}}"#,
        )
        .unwrap();
    for child in [
        "/teams/payments/eu",
        "/teams/payments/us",
        "/teams/payments/cut",
    ] {
        governed.document(
            child,
            serde_json::json!({ "schema": { "$ref": "/schemas/teams/payments/us" } }),
        );
    }
    // One child overrides what changes, the other inherits it, the third inherits nothing.
    governed.set("/teams/payments/us", &["timeout=5"]).unwrap();
    insta::assert_snapshot!(broken(governed.set("/teams/payments", &["timeout=30"])), @"[maximum] `/teams/payments/eu:timeout` it is greater than the maximum of 20 (/schemas/teams/payments/us#/properties/timeout/maximum, attached by `/teams/payments/eu`)");
    governed.set("/teams/payments/eu", &["timeout=20"]).unwrap();
    governed.set("/teams/payments", &["timeout=30"]).unwrap();
    // A child can only narrow.
    insta::assert_snapshot!(broken(governed.set("/teams/payments/us", &["timeout=70"])), @"
    [maximum] `/teams/payments/us:timeout` it is greater than the maximum of 20 (/schemas/teams/payments/us#/properties/timeout/maximum, attached by `/teams/payments/us`)
    [maximum] `/teams/payments/us:timeout` it is greater than the maximum of 60 (/schemas/teams/payments/base#/properties/timeout/maximum, attached by `/teams/payments`)
    ");
    // Taking away what hides an inherited value brings that back.
    insta::assert_snapshot!(broken(governed.set("/teams/payments/us", &["-timeout"])), @"[maximum] `/teams/payments/us:timeout` it is greater than the maximum of 20 (/schemas/teams/payments/us#/properties/timeout/maximum, attached by `/teams/payments/us`)");
}

#[test]
fn what_a_child_broke_before_does_not_stop_its_parent() {
    let governed = Governed::new("{}");
    governed.namespace("/teams/payments/eu");
    governed
        .put(
            "/schemas/teams/payments/eu",
            r#"{"properties": {"a": {"type": "number"}}}"#,
        )
        .unwrap();
    governed.set("/teams/payments/eu", &["a=\"text\""]).unwrap();
    governed.document(
        "/teams/payments/eu",
        serde_json::json!({ "schema": { "$ref": "/schemas/teams/payments/eu" } }),
    );
    insta::assert_snapshot!(warned(governed.set("/teams/payments", &["b=1"])), @r#"`a`: `/teams/payments/eu:a` it is not of type "number" (/schemas/teams/payments/eu#/properties/a/type, attached by `/teams/payments/eu`)"#);
    insta::assert_snapshot!(broken(governed.set("/teams/payments/eu", &["c=1"])), @r#"[type] `/teams/payments/eu:a` it is not of type "number" (/schemas/teams/payments/eu#/properties/a/type, attached by `/teams/payments/eu`)"#);
}

#[test]
fn enforcement_is_a_setting() {
    let governed = Governed::new(BASE);
    let mode = |mode: &str| {
        governed.document(
            "/teams",
            serde_json::json!({ "settings": { "schemaEnforcement": mode } }),
        )
    };
    mode("warn");
    insta::assert_snapshot!(warned(governed.set("/teams/payments", &["timeout=61"])), @"
    `region`: `/teams/payments:region` `region` is required and missing (/schemas/teams/payments/base#/required, attached by `/teams/payments`)
    `timeout`: `/teams/payments:timeout` it is greater than the maximum of 60 (/schemas/teams/payments/base#/properties/timeout/maximum, attached by `/teams/payments`)
    ");
    mode("off");
    assert_eq!(warned(governed.set("/teams/payments", &["timeout=62"])), "");
    mode("on-write");
    let drafted = governed
        .test
        .admin
        .change_draft(&ns("/teams/payments"), &json_change(&["timeout=63"], false));
    insta::assert_snapshot!(broken(drafted), @"
    [required] `/teams/payments:region` `region` is required and missing (/schemas/teams/payments/base#/required, attached by `/teams/payments`)
    [maximum] `/teams/payments:timeout` it is greater than the maximum of 60 (/schemas/teams/payments/base#/properties/timeout/maximum, attached by `/teams/payments`)
    ");
    mode("on-publish");
    insta::assert_snapshot!(broken(governed.set("/teams/payments", &["timeout=64"])), @"
    [required] `/teams/payments:region` `region` is required and missing (/schemas/teams/payments/base#/required, attached by `/teams/payments`)
    [maximum] `/teams/payments:timeout` it is greater than the maximum of 60 (/schemas/teams/payments/base#/properties/timeout/maximum, attached by `/teams/payments`)
    ");
}

const RULES: &str = r#"{"properties": {
  "token": {"x-confman-secret-ref": true, "x-confman-rotation-days": 30},
  "old": {"x-confman-deprecated": "use `new`"},
  "id": {"x-confman-immutable": true},
  "prod": {"x-confman-allowed-environments": ["production"]}
}}"#;

#[test]
fn rules_of_keys_hold() {
    let governed = Governed::new(RULES);
    let all = ["token=\"hunter2\"", "old=1", "id=1", "prod=1"];
    insta::assert_snapshot!(broken(governed.set("/teams/payments", &all)), @"
    [x-confman-allowed-environments] `/teams/payments:prod` it is allowed in production only, and this namespace has no environment (/schemas/teams/payments/base#/properties/prod/x-confman-allowed-environments, attached by `/teams/payments`)
    [x-confman-secret-ref] `/teams/payments:token` it must be of type secret-ref: a reference, never the secret itself (/schemas/teams/payments/base#/properties/token/x-confman-secret-ref, attached by `/teams/payments`)
    [x-confman-deprecated] `/teams/payments:old` it is deprecated: use `new`; to set it, acknowledge that (/schemas/teams/payments/base#/properties/old/x-confman-deprecated, attached by `/teams/payments`)
    ");
    governed.document(
        "/teams",
        serde_json::json!({ "settings": { "environment": "production" } }),
    );
    let good = ["token:secret-ref=\"vault://a/b#c\"", "id=1", "prod=1"];
    governed.set("/teams/payments", &good).unwrap();

    insta::assert_snapshot!(warned(governed.set_acknowledged("/teams/payments", &["old=1"])), @"`old`: `/teams/payments:old` it is deprecated: use `new` (/schemas/teams/payments/base#/properties/old/x-confman-deprecated, attached by `/teams/payments`)");
    insta::assert_snapshot!(broken(governed.set("/teams/payments", &["old=2"])), @"[x-confman-deprecated] `/teams/payments:old` it is deprecated: use `new`; to set it, acknowledge that (/schemas/teams/payments/base#/properties/old/x-confman-deprecated, attached by `/teams/payments`)");
    assert_eq!(broken(governed.set("/teams/payments", &["-old"])), "ok");

    insta::assert_snapshot!(broken(governed.set_acknowledged("/teams/payments", &["id=2"])), @"[x-confman-immutable] `/teams/payments:id` it is immutable and published; its change takes a change of the schema (/schemas/teams/payments/base#/properties/id/x-confman-immutable, attached by `/teams/payments`)");
    insta::assert_snapshot!(broken(governed.set("/teams/payments", &["-id"])), @"[x-confman-immutable] `/teams/payments:id` it is immutable and published; its removal takes a change of the schema (/schemas/teams/payments/base#/properties/id/x-confman-immutable, attached by `/teams/payments`)");
    // Going back sets what was removed because it is deprecated.
    let back = broken(governed.test.rollback("/teams/payments", "published~1"));
    assert!(back.starts_with("[x-confman-deprecated]"), "{back}");

    governed.document(
        "/teams",
        serde_json::json!({ "settings": { "environment": "staging" } }),
    );
    insta::assert_snapshot!(broken(governed.set("/teams/payments", &["other=1"])), @"[x-confman-allowed-environments] `/teams/payments:prod` it is allowed in production only, and this namespace is `staging` (/schemas/teams/payments/base#/properties/prod/x-confman-allowed-environments, attached by `/teams/payments`)");
    let rotations = governed.test.admin.rotations(&ns("/")).unwrap();
    assert!(rotations.rotations.is_empty());
    governed.test.clock.advance(31 * 24 * 60 * MINUTE_MS);
    let rotations = governed.test.admin.rotations(&ns("/")).unwrap();
    let due: Vec<String> = rotations
        .rotations
        .iter()
        .map(|due| {
            format!(
                "{}:{} after {} of {} days",
                due.namespace, due.key, due.days_published, due.rotation_days
            )
        })
        .collect();
    insta::assert_snapshot!(due.join("\n"), @"/teams/payments:token after 31 of 30 days");

    // Announced once a day, by who leads; counted by everybody.
    let repo = &governed.test.repo;
    assert_eq!(repo.look_at_rotations(false).unwrap(), []);
    assert_eq!(repo.rotations_due(), 1);
    let hours = |hours: i64| governed.test.clock.advance(hours * 60 * MINUTE_MS);
    let mut told = Vec::new();
    for _ in 0..48 {
        hours(1);
        told.extend(repo.look_at_rotations(true).unwrap());
        told.extend(repo.look_at_rotations(true).unwrap());
    }
    // The rest of this day, the next, and the beginning of the one after.
    assert_eq!(told.len(), 3);
    let filter = confman_repo::OperationFilter {
        namespace: Some(ns("/teams/payments")),
        action: Some("secret.rotation_due".to_owned()),
        ..Default::default()
    };
    let logged = governed.test.admin.operations(&filter, None, 10).unwrap();
    assert_eq!(logged.operations.len(), 3);
    let detail = &logged.operations[0].operation.detail;
    assert!(detail.contains(r#""keys":["token"]"#), "{detail}");
    let report = governed.test.admin.fsck(&mut |_| {}).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
}

#[test]
fn a_schema_that_would_break_what_is_published_takes_force() {
    let governed = Governed::new(BASE);
    governed
        .set("/teams/payments", &["region=\"eu\"", "timeout=50"])
        .unwrap();
    governed.namespace("/teams/payments/eu");
    governed.set("/teams/payments/eu", &["timeout=10"]).unwrap();
    let narrower = BASE.replace("60", "40");
    insta::assert_snapshot!(broken(governed.put("/schemas/teams/payments/base", &narrower)), @"[maximum] `/teams/payments:timeout` it is greater than the maximum of 40 (/schemas/teams/payments/base#/properties/timeout/maximum, attached by `/teams/payments`)");
    assert_eq!(
        governed
            .put_with("/schemas/teams/payments/base", &narrower, true)
            .unwrap(),
        1
    );
    // Nothing is published that still breaks it; what is corrected is.
    insta::assert_snapshot!(broken(governed.set("/teams/payments", &["other=1"])), @"[maximum] `/teams/payments:timeout` it is greater than the maximum of 40 (/schemas/teams/payments/base#/properties/timeout/maximum, attached by `/teams/payments`)");
    assert_eq!(
        broken(governed.set("/teams/payments", &["timeout=40"])),
        "ok"
    );
    let report = governed.test.admin.fsck(&mut |_| {}).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let filter = confman_repo::OperationFilter {
        namespace: Some(ns("/teams/payments")),
        action: Some("schema.put".to_owned()),
        ..Default::default()
    };
    let logged = governed.test.admin.operations(&filter, None, 10).unwrap();
    assert_eq!(logged.operations.len(), 2);
    let history = governed
        .test
        .admin
        .schema_history(&path("/schemas/teams/payments/base"), None, 10)
        .unwrap();
    let versions: Vec<u64> = history.versions.iter().map(|it| it.version).collect();
    assert_eq!(versions, [2, 1]);
}

#[test]
fn a_schema_that_is_referred_to_counts_as_used_and_as_part() {
    let governed = Governed::new("{}");
    governed
        .put(
            "/schemas/common/types",
            r#"{"$defs": {"port": {"type": "integer", "maximum": 65535}}}"#,
        )
        .unwrap();
    governed
        .put(
            "/schemas/teams/payments/base",
            r##"{"properties": {"port": {"$ref": "/schemas/common/types#/$defs/port"}}}"##,
        )
        .unwrap();
    governed.set("/teams/payments", &["port=8080"]).unwrap();
    insta::assert_snapshot!(broken(governed.set("/teams/payments", &["port=80800"])), @"[maximum] `/teams/payments:port` it is greater than the maximum of 65535 (/schemas/common/types#/$defs/port/maximum, attached by `/teams/payments`)");
    insta::assert_snapshot!(broken(governed.put("/schemas/common/types", r#"{"$defs": {"port": {"maximum": 1024}}}"#)), @"[maximum] `/teams/payments:port` it is greater than the maximum of 1024 (/schemas/common/types#/$defs/port/maximum, attached by `/teams/payments`)");
    insta::assert_snapshot!(broken(governed.put("/schemas/common/types", r#"{"$defs": {"door": true}}"#)), @"[$ref] `/teams/payments` the schema cannot be applied: line 1, column 34 (at `/properties/port/$ref`): `/schemas/common/types#/$defs/port` leads nowhere: there is no `/$defs/port` (/schemas/teams/payments/base#, attached by `/teams/payments`)");
    let admin = &governed.test.admin;
    insta::assert_snapshot!(said(admin.delete_schema(&path("/schemas/common/types"), ExpectedHead::Any)), @"schema `/schemas/common/types` is used by schema `/schemas/teams/payments/base`");
    insta::assert_snapshot!(said(admin.delete_schema(&path("/schemas/teams/payments/base"), ExpectedHead::Any)), @"schema `/schemas/teams/payments/base` is used by namespace `/teams/payments`");
    governed.document("/teams/payments", serde_json::json!({ "schema": null }));
    admin
        .delete_schema(&path("/schemas/teams/payments/base"), ExpectedHead::Any)
        .unwrap();
    admin
        .delete_schema(&path("/schemas/common/types"), ExpectedHead::Any)
        .unwrap();
    insta::assert_snapshot!(said(admin.schema(&path("/schemas/common/types"))), @"there is no schema `/schemas/common/types`");
}

#[test]
fn what_is_not_a_schema_is_refused_with_its_place_and_cannot_be_attached() {
    let governed = Governed::new("{}");
    insta::assert_snapshot!(said(governed.put("/schemas/a", "{\n  \"type\": 1,\n  \"x-confman-secret\": true\n}")), @"schema `/schemas/a` is not valid: it fits none of 2 alternatives at `/type` (line 2, column 11)");
    insta::assert_snapshot!(said(governed.put("/schemas/a", "{\n  \"x-confman-secret\": true,\n \"$ref\": \"https://example.com/x\"\n}")), @"schema `/schemas/a` is not valid: there is no `x-confman-secret`; there are x-confman-secret-ref, x-confman-deprecated, x-confman-immutable, x-confman-rotation-days, x-confman-allowed-environments at `/x-confman-secret` (line 2, column 23); `https://example.com/x` leads out of this store; refer to schemas by their path, as `/schemas/payments/base` at `/$ref` (line 3, column 10)");
    let attach =
        DocumentChange::Merge(serde_json::json!({ "schema": { "$ref": "/schemas/nowhere" } }));
    let attached =
        governed
            .test
            .admin
            .update_namespace(&ns("/teams"), &attach, ExpectedHead::Any, false);
    insta::assert_snapshot!(said(attached), @"document of `/teams` is not valid: there is no schema `/schemas/nowhere` at `/schema/$ref`");
}

#[test]
fn who_governs_writes_and_who_may_read_reads() {
    let governed = Governed::new(BASE);
    let ann = governed.test.principal("ann");
    let at = path("/schemas/teams/payments/base");
    let put = PutSchema {
        text: "{}".to_owned(),
        expected_head: ExpectedHead::Any,
        message: None,
        force: false,
    };
    insta::assert_snapshot!(said(ann.schema(&at)), @"there is no schema `/schemas/teams/payments/base`");
    insta::assert_snapshot!(said(ann.put_schema(&at, &put)), @"there is no schema `/schemas/teams/payments/base`");
    governed.document("/teams/payments", serde_json::json!({ "roles": { "admin": [], "publisher": ["ann"], "editor": [], "viewer": [] } }));
    assert_eq!(said(ann.schema(&at)), "ok");
    insta::assert_snapshot!(said(ann.put_schema(&at, &put)), @"not allowed in `/teams/payments`: schema:write needs role admin, the highest here is publisher");
    assert_eq!(ann.schemas(&ns("/"), None, 10).unwrap().schemas.len(), 1);
    governed.document("/teams/payments", serde_json::json!({ "roles": { "admin": ["ann"], "publisher": [], "editor": [], "viewer": [] } }));
    assert_eq!(said(ann.put_schema(&at, &put)), "ok");
    insta::assert_snapshot!(said(ann.put_schema(&path("/schemas/teams/other"), &put)), @"there is no schema `/schemas/teams/other`");
}

#[test]
fn a_preview_tells_what_would_change_where_and_what_would_be_void() {
    let governed = Governed::new(BASE);
    governed
        .set("/teams/payments", &["region=\"eu\"", "timeout=10"])
        .unwrap();
    governed.namespace("/teams/payments/eu");
    governed.namespace("/teams/payments/us");
    governed.set("/teams/payments/us", &["timeout=5"]).unwrap();
    let admin = &governed.test.admin;
    admin
        .change_draft(
            &ns("/teams/payments"),
            &json_change(&["timeout=99", "new=1"], false),
        )
        .unwrap();
    let preview = admin
        .preview(&ns("/teams/payments"), &Proposed::Draft(name("direct")))
        .unwrap();
    let mut text = String::new();
    for namespace in &preview.namespaces {
        for change in &namespace.changes {
            let side = |side: &Option<(confman_repo::TreeEntry, _)>| {
                side.as_ref().map_or_else(
                    || "nothing".to_owned(),
                    |(entry, from)| {
                        format!(
                            "{} of {from}",
                            entry.value.as_ref().unwrap().as_str().unwrap()
                        )
                    },
                )
            };
            text.push_str(&format!(
                "{}:{} {} -> {}\n",
                namespace.namespace,
                change.key,
                side(&change.old),
                side(&change.new)
            ));
        }
    }
    for void in &preview.void {
        text.push_str(&format!("void in {}:{}\n", void.namespace, void.key));
    }
    for violation in &preview.violations {
        text.push_str(&format!("{violation}\n"));
    }
    insta::assert_snapshot!(text, @"
    /teams/payments:new nothing -> 1 of /teams/payments
    /teams/payments:timeout 10 of /teams/payments -> 99 of /teams/payments
    /teams/payments/eu:new nothing -> 1 of /teams/payments
    /teams/payments/eu:timeout 10 of /teams/payments -> 99 of /teams/payments
    /teams/payments/us:new nothing -> 1 of /teams/payments
    void in /teams/payments/us:timeout
    `/teams/payments:timeout` it is greater than the maximum of 60 (/schemas/teams/payments/base#/properties/timeout/maximum, attached by `/teams/payments`)
    `/teams/payments/eu:timeout` it is greater than the maximum of 60 (/schemas/teams/payments/base#/properties/timeout/maximum, attached by `/teams/payments`)
    ");
    let changes = json_change(&["timeout=6"], false).changes;
    let preview = admin
        .preview(&ns("/teams/payments"), &Proposed::Changes(changes))
        .unwrap();
    assert_eq!((preview.namespaces.len(), preview.violations.len()), (2, 0));
    assert_eq!(
        governed.test.show("/teams/payments", "published"),
        "region=eu timeout=10"
    );
}

#[test]
fn a_loosened_schema_cannot_slip_in_between() {
    // Both are evaluated on the old view; whichever comes second is evaluated again, and refused or not
    // by what holds then.
    let governed = Governed::new(BASE);
    std::thread::scope(|scope| {
        let narrow =
            scope.spawn(|| governed.put("/schemas/teams/payments/base", &BASE.replace("60", "40")));
        let publish =
            scope.spawn(|| governed.set("/teams/payments", &["region=\"eu\"", "timeout=50"]));
        let (narrow, publish) = (narrow.join().unwrap(), publish.join().unwrap());
        assert!(narrow.is_ok() != publish.is_ok(), "{narrow:?} {publish:?}");
    });
}

#[test]
fn a_document_that_breaks_what_is_published_takes_effect_only_by_force() {
    let governed = Governed::new(r#"{"properties": {"timeout": {"maximum": 60}}}"#);
    governed.namespace("/teams/payments/eu");
    governed.set("/teams", &["timeout=90"]).unwrap_err();
    governed.document("/teams/payments", serde_json::json!({ "schema": null }));
    governed.set("/teams", &["timeout=90"]).unwrap();
    let change = |namespace: &str, patch: serde_json::Value, force: bool| {
        let change = DocumentChange::Merge(patch);
        let admin = &governed.test.admin;
        admin.update_namespace(&ns(namespace), &change, ExpectedHead::Any, force)
    };
    let attach = serde_json::json!({ "schema": { "$ref": "/schemas/teams/payments/base" } });
    insta::assert_snapshot!(broken(change("/teams/payments", attach.clone(), false)), @r"
    [maximum] `/teams/payments:timeout` it is greater than the maximum of 60 (/schemas/teams/payments/base#/properties/timeout/maximum, attached by `/teams/payments`)
    [maximum] `/teams/payments/eu:timeout` it is greater than the maximum of 60 (/schemas/teams/payments/base#/properties/timeout/maximum, attached by `/teams/payments`)
    ");
    // A namespace that takes nothing from above has nothing to break, nor is what only warns broken.
    change(
        "/teams/payments",
        serde_json::json!({ "inherit": false }),
        false,
    )
    .unwrap();
    change("/teams/payments", attach.clone(), false).unwrap();
    insta::assert_snapshot!(broken(change("/teams/payments", serde_json::json!({ "inherit": true }), false)), @r"
    [maximum] `/teams/payments:timeout` it is greater than the maximum of 60 (/schemas/teams/payments/base#/properties/timeout/maximum, attached by `/teams/payments`)
    [maximum] `/teams/payments/eu:timeout` it is greater than the maximum of 60 (/schemas/teams/payments/base#/properties/timeout/maximum, attached by `/teams/payments`)
    ");
    change(
        "/teams/payments",
        serde_json::json!({ "inherit": true, "settings": { "schemaEnforcement": "warn" } }),
        false,
    )
    .unwrap();
    let enforce = serde_json::json!({ "settings": { "schemaEnforcement": null } });
    insta::assert_snapshot!(broken(change("/teams/payments", enforce.clone(), false)), @r"
    [maximum] `/teams/payments:timeout` it is greater than the maximum of 60 (/schemas/teams/payments/base#/properties/timeout/maximum, attached by `/teams/payments`)
    [maximum] `/teams/payments/eu:timeout` it is greater than the maximum of 60 (/schemas/teams/payments/base#/properties/timeout/maximum, attached by `/teams/payments`)
    ");
    let forced = change("/teams/payments", enforce, true).unwrap();
    insta::assert_snapshot!(forced.warnings.join("\n"), @r"
    `/teams/payments:timeout` it is greater than the maximum of 60 (/schemas/teams/payments/base#/properties/timeout/maximum, attached by `/teams/payments`)
    `/teams/payments/eu:timeout` it is greater than the maximum of 60 (/schemas/teams/payments/base#/properties/timeout/maximum, attached by `/teams/payments`)
    ");
    // What is broken already is no news.
    change(
        "/teams/payments",
        serde_json::json!({ "settings": { "environment": "live" } }),
        false,
    )
    .unwrap();
}

#[test]
fn what_is_broken_where_one_may_not_read_is_only_counted() {
    let governed = Governed::new("{}");
    let ann = governed.test.principal("ann");
    governed.namespace("/hidden");
    governed.namespace("/hidden/away");
    governed.document(
        "/teams",
        serde_json::json!({ "roles": { "admin": ["ann"], "publisher": [], "editor": [], "viewer": [] } }),
    );
    let at = path("/schemas/teams/payments/base");
    governed.document(
        "/hidden/away",
        serde_json::json!({ "schema": { "$ref": at } }),
    );
    governed.set("/hidden/away", &["timeout=90"]).unwrap();
    let put = |force| PutSchema {
        text: r#"{"properties": {"timeout": {"maximum": 60}}}"#.to_owned(),
        expected_head: ExpectedHead::Any,
        message: None,
        force,
    };
    insta::assert_snapshot!(said(ann.put_schema(&at, &put(false))), @"what is published, if `/schemas/teams/payments/base` changes, breaks a schema: 1 in namespaces that you may not read");
    assert_eq!(
        ann.check_schema(&at, &put(false).text).unwrap().violations,
        []
    );
    assert_eq!(ann.put_schema(&at, &put(true)).unwrap().broken, []);
    governed.document("/teams/payments", serde_json::json!({ "schema": null }));
    insta::assert_snapshot!(said(ann.delete_schema(&at, ExpectedHead::Any)), @"schema `/schemas/teams/payments/base` is used by something that you may not read");
}

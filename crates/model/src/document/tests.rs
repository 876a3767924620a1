use insta::assert_snapshot;
use proptest::prelude::*;

use super::shape::{DOCUMENT, Shape};
use super::*;
use crate::json::Json;

/// A document in which every field is stated.
fn full() -> NamespaceDocument {
    let members = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    NamespaceDocument {
        path: "/teams/payments".parse().unwrap(),
        display_name: "Payments".to_owned(),
        description: "what the payment services read".to_owned(),
        owner: "payments-team@company.com".to_owned(),
        inherit: true,
        schema: Some(SchemaRef {
            path: "/schemas/payments/base".parse().unwrap(),
        }),
        roles: Roles {
            admin: members(&["ann@company.com"]),
            publisher: members(&["group:payments-leads"]),
            editor: members(&["group:payments", "bob@company.com"]),
            viewer: members(&["*"]),
        },
        settings: Settings {
            schema_enforcement: Some(SchemaEnforcement::OnWrite),
            require_approval: Some(true),
            min_approvers: Some(2),
            approvers: Some("group:payments-leads".to_owned()),
            allow_self_approval: Some(false),
            environment: Some("production".to_owned()),
            auto_approve: Some(vec![AutoApproveRule {
                name: "texts".to_owned(),
                keys: vec!["texts/**".to_owned()],
                changes: vec![ChangeKind::Change, ChangeKind::FormatOnly],
                roles: vec![RoleName::Editor],
                tags: vec!["harmless".to_owned()],
            }]),
            freeze: Some(vec![FreezeWindow {
                from: "2026-12-24T00:00:00Z".to_owned(),
                until: "2026-12-27T00:00:00+01:00".to_owned(),
                reason: "holidays".to_owned(),
            }]),
            guards: Some(Guards {
                keys_removed_max: Some(10),
                percent_removed_max: Some(20),
                keys_changed_max: Some(100),
                percent_changed_max: Some(50),
                growth_bytes_max: Some(1_000_000),
                approvers: Some(3),
            }),
            value_bytes_max: Some(4096),
            secret_schemes: Some(vec!["vault".to_owned()]),
            secret_resolvers: Some(members(&["group:payments-services"])),
        },
        metadata: DocumentMetadata {
            created: "2026-11-24T10:00:00Z".to_owned(),
            created_by: "ann@company.com".to_owned(),
            updated: "2026-11-24T11:00:00Z".to_owned(),
            updated_by: "bob@company.com".to_owned(),
        },
    }
}

#[must_use]
fn refused(text: &str) -> String {
    let error = NamespaceDocument::from_text(text).expect_err("the text should be refused");
    error
        .problems
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_stored_text_has_every_field_in_a_fixed_order() {
    assert_snapshot!(full().to_text(), @r#"
    {
      "path": "/teams/payments",
      "displayName": "Payments",
      "description": "what the payment services read",
      "owner": "payments-team@company.com",
      "inherit": true,
      "schema": {
        "$ref": "/schemas/payments/base"
      },
      "roles": {
        "admin": [
          "ann@company.com"
        ],
        "publisher": [
          "group:payments-leads"
        ],
        "editor": [
          "group:payments",
          "bob@company.com"
        ],
        "viewer": [
          "*"
        ]
      },
      "settings": {
        "schemaEnforcement": "on-write",
        "requireApproval": true,
        "minApprovers": 2,
        "approvers": "group:payments-leads",
        "allowSelfApproval": false,
        "environment": "production",
        "autoApprove": [
          {
            "name": "texts",
            "keys": [
              "texts/**"
            ],
            "changes": [
              "change",
              "format-only"
            ],
            "roles": [
              "editor"
            ],
            "tags": [
              "harmless"
            ]
          }
        ],
        "freeze": [
          {
            "from": "2026-12-24T00:00:00Z",
            "until": "2026-12-27T00:00:00+01:00",
            "reason": "holidays"
          }
        ],
        "guards": {
          "keysRemovedMax": 10,
          "percentRemovedMax": 20,
          "keysChangedMax": 100,
          "percentChangedMax": 50,
          "growthBytesMax": 1000000,
          "approvers": 3
        },
        "valueBytesMax": 4096,
        "secretSchemes": [
          "vault"
        ],
        "secretResolvers": [
          "group:payments-services"
        ]
      },
      "metadata": {
        "created": "2026-11-24T10:00:00Z",
        "createdBy": "ann@company.com",
        "updated": "2026-11-24T11:00:00Z",
        "updatedBy": "bob@company.com"
      }
    }
    "#);
}

#[test]
fn a_new_document_says_little() {
    assert_snapshot!(NamespaceDocument::new("/a".parse().unwrap()).to_text(), @r#"
    {
      "path": "/a",
      "inherit": true,
      "roles": {
        "admin": [],
        "publisher": [],
        "editor": [],
        "viewer": []
      },
      "settings": {},
      "metadata": {
        "created": "",
        "createdBy": "",
        "updated": "",
        "updatedBy": ""
      }
    }
    "#);
}

#[test]
fn the_shortest_text_is_the_path_alone() {
    let document = NamespaceDocument::from_text(r#"{"path": "/a"}"#).unwrap();
    assert_eq!(document, NamespaceDocument::new("/a".parse().unwrap()));
}

#[test]
fn the_document_of_the_root_is_valid_and_states_the_defaults() {
    let root = NamespaceDocument::root();
    assert_eq!(root.validate(), Ok(()));
    assert_eq!(root.settings.value_limits(), ValueLimits::default());
}

#[test]
fn unknown_fields_are_all_named_with_what_is_allowed() {
    let text = r#"{
  "path": "/a",
  "Owner": "x",
  "settings": {
    "minApprover": 2,
    "environment": "dev",
    "autoApprove": [{"name": "x", "globs": ["*"]}]
  },
  "roles": {"approver": []}
}"#;
    assert_snapshot!(refused(text), @"
    line 3, column 12 (at `/Owner`): there is no field `Owner` here; allowed are path, displayName, description, owner, inherit, schema, roles, settings, metadata
    line 5, column 20 (at `/settings/minApprover`): there is no field `minApprover` here; allowed are schemaEnforcement, requireApproval, minApprovers, approvers, allowSelfApproval, environment, autoApprove, freeze, guards, valueBytesMax, secretSchemes, secretResolvers
    line 7, column 44 (at `/settings/autoApprove/0/globs`): there is no field `globs` here; allowed are name, keys, changes, roles, tags
    line 9, column 25 (at `/roles/approver`): there is no field `approver` here; allowed are admin, publisher, editor, viewer
    ");
}

#[test]
fn what_has_the_wrong_type_says_so() {
    let report = [
        r#"{"path": "/A"}"#,
        r#"{}"#,
        r#"[]"#,
        "{\n \"path\": \"/a\",\n \"inherit\": \"no\"}",
        r#"{"path": "/a", "settings": {"minApprovers": -1}}"#,
        r#"{"path": "/a", "settings": {"schemaEnforcement": "always"}}"#,
        r#"{"path": "/a", "roles": []}"#,
        r#"{"path": "/a", "schema": {"$ref": "/payments"}}"#,
        r#"{"path": "/a", "settings": {"valueBytesMax": 1.5}}"#,
    ]
    .map(refused);
    assert_snapshot!(report.join("\n"), @r#"
    line 1, column 14: segment 1 of namespace `/A` is not valid: `A` has `A` at character 1; allowed are a-z, 0-9, `.`, `_` and `-`
    line 1, column 2: missing field `path`
    it must be an object
    line 3, column 16: invalid type: string "no", expected a boolean
    line 1, column 46: invalid value: integer `-1`, expected a whole number
    line 1, column 57: unknown variant `always`, expected one of `on-publish`, `on-write`, `warn`, `off`
    line 1, column 25 (at `/roles`): it must be an object
    line 1, column 46: schema path `/payments` must be `/schemas/` and a name, as in `/schemas/payments/base`
    line 1, column 48: invalid type: floating point `1.5`, expected a whole number
    "#);
}

#[test]
fn what_is_no_json_says_where() {
    assert_snapshot!(refused("{\"path\": \"/a\",\n \"path\": \"/b\", \"owner\": NaN}"), @"
    line 2, column 2 (at `/path`): key `path` is there already, at line 1, column 2
    line 2, column 25 (at `/owner`): `NaN` is not a JSON value; text needs double quotes, the only words are true, false and null
    ");
    assert_snapshot!(refused(&" ".repeat(DOCUMENT_BYTES_MAX + 1)), @"it has 524289 bytes, at most 524288 are allowed");
}

#[test]
fn everything_that_breaks_a_rule_is_reported_at_once() {
    let text = r#"{
  "path": "/a",
  "roles": {
    "admin": ["ann", "ann", "", "b b", "anyone"],
    "viewer": ["anyone"]
  },
  "settings": {
    "minApprovers": 0,
    "approvers": "",
    "environment": "Prod",
    "valueBytesMax": 16777217,
    "secretSchemes": ["vault", "Env", ""],
    "secretResolvers": ["ci", "anyone", "ci"],
    "autoApprove": [{"name": ""}, {"name": "x", "keys": [""], "tags": [""]}],
    "freeze": [
      {"from": "2026-12-24", "until": "2026-12-25T00:00:00Z"},
      {"from": "2026-12-24T01:00:00+01:00", "until": "2026-12-24T00:00:00Z"}
    ],
    "guards": {"percentRemovedMax": 101, "keysChangedMax": 0, "approvers": 0}
  },
  "metadata": {"created": "yesterday"}
}"#;
    assert_snapshot!(refused(text), @"
    line 4, column 22 (at `/roles/admin/1`): `ann` is in the list already
    line 4, column 29 (at `/roles/admin/2`): `` (empty) cannot name a principal or group, which has no white space
    line 4, column 33 (at `/roles/admin/3`): `b b` cannot name a principal or group, which has no white space
    line 4, column 40 (at `/roles/admin/4`): `anyone` is everybody, who can be viewer and nothing more
    line 8, column 21 (at `/settings/minApprovers`): 0 is not allowed, only 1 to 100; to need no approval, set `requireApproval` to false
    line 9, column 18 (at `/settings/approvers`): `` (empty) cannot name a principal or group, which has no white space
    line 10, column 20 (at `/settings/environment`): it does not name an environment: `Prod` has `P` at character 1; allowed are a-z, 0-9, `.`, `_` and `-`
    line 11, column 22 (at `/settings/valueBytesMax`): 16777217 is not allowed, only 1 to 16777216
    line 12, column 32 (at `/settings/secretSchemes/1`): `Env` is not a scheme: a letter a-z, then a-z, 0-9, `+`, `-` and `.`, at most 63 characters
    line 12, column 39 (at `/settings/secretSchemes/2`): `` (empty) is not a scheme: a letter a-z, then a-z, 0-9, `+`, `-` and `.`, at most 63 characters
    line 13, column 31 (at `/settings/secretResolvers/1`): `anyone` is everybody, for whom no secret is resolved
    line 13, column 41 (at `/settings/secretResolvers/2`): `ci` is in the list already
    line 14, column 30 (at `/settings/autoApprove/0/name`): a rule needs a name, by which records cite it
    line 14, column 21 (at `/settings/autoApprove/0`): a rule without conditions would approve everything; state `keys`, `changes`, `roles` or `tags`
    line 14, column 58 (at `/settings/autoApprove/1/keys/0`): it is empty, so it can never hold
    line 14, column 72 (at `/settings/autoApprove/1/tags/0`): it is empty, so it can never hold
    line 16, column 16 (at `/settings/freeze/0/from`): `2026-12-24` is not a time of RFC 3339, as in `2026-11-24T10:00:00Z`
    line 17, column 54 (at `/settings/freeze/1/until`): it must be later than `from`
    line 19, column 37 (at `/settings/guards/percentRemovedMax`): 101 is not allowed, only 0 to 100
    line 19, column 76 (at `/settings/guards/approvers`): 0 is not allowed, only 1 to 100
    line 21, column 27 (at `/metadata/created`): `yesterday` is not a time of RFC 3339, as in `2026-11-24T10:00:00Z`
    ");
}

#[test]
fn approvals_without_a_limit_are_no_guard() {
    let text = |guards: &str| format!(r#"{{"path": "/a", "settings": {{"guards": {guards}}}}}"#);
    assert_snapshot!(refused(&text(r#"{"approvers": 2}"#)), @"line 1, column 53 (at `/settings/guards/approvers`): there is no limit beyond which these approvals would count");
    assert!(NamespaceDocument::from_text(&text("{}")).is_ok());
}

#[test]
fn a_freeze_holds_from_its_first_moment_up_to_its_last() {
    let window = |from: &str, until: &str| FreezeWindow {
        from: from.to_owned(),
        until: until.to_owned(),
        reason: String::new(),
    };
    let hour = window("1970-01-01T00:00:00Z", "1970-01-01T02:00:00+01:00");
    let held = [-1, 0, 3_599_999, 3_600_000].map(|ms| hour.covers(ms));
    assert_eq!(held, [false, true, true, false]);
    assert!(window("whenever", "1970-01-01T00:00:00Z").covers(1));
}

#[test]
fn limits_are_named_where_they_are_exceeded() {
    let mut document = full();
    document.display_name = "x".repeat(TITLE_BYTES_MAX + 1);
    document.description = "x".repeat(4097);
    document.roles.viewer = (0..=ROLE_MEMBERS_MAX)
        .map(|index| format!("p{index}"))
        .collect();
    document.roles.admin = vec!["x".repeat(PRINCIPAL_BYTES_MAX + 1)];
    document.settings.min_approvers = Some(MIN_APPROVERS_MAX + 1);
    let rule = AutoApproveRule {
        keys: vec!["x".repeat(256)],
        name: "x".to_owned(),
        ..AutoApproveRule::default()
    };
    document.settings.auto_approve = Some(vec![rule; AUTO_APPROVE_RULES_MAX + 1]);
    document.settings.auto_approve.as_mut().unwrap().truncate(1);
    document.settings.secret_schemes = Some(vec!["x".to_owned(); SECRET_SCHEMES_MAX + 1]);
    let problems = document.validate().unwrap_err().problems;
    let report: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_snapshot!(report.join("\n"), @"
    at `/displayName`: it has 257 bytes, at most 256 are allowed
    at `/description`: it has 4097 bytes, at most 4096 are allowed
    at `/roles/admin/0`: it has 257 bytes, at most 256 are allowed
    at `/roles/viewer`: it has 1001 items, at most 1000 are allowed
    at `/settings/minApprovers`: 101 is not allowed, only 1 to 100; to need no approval, set `requireApproval` to false
    at `/settings/secretSchemes`: it has 33 items, at most 32 are allowed
    at `/settings/autoApprove/0/keys/0`: it has 256 bytes, at most 255 are allowed
    ");
}

/// The places of all fields, with `*` for the items of a list.
fn fields(shape: &Shape, at: &str, found: &mut Vec<String>) {
    match shape {
        Shape::Leaf => {}
        Shape::List(of) => fields(of, &format!("{at}/*"), found),
        Shape::Object(inside) => {
            for (name, shape) in *inside {
                let at = format!("{at}/{name}");
                found.push(at.clone());
                fields(shape, &at, found);
            }
        }
    }
}

fn written_fields(json: &Json, at: &str, found: &mut Vec<String>) {
    match json {
        Json::Object(members) => {
            for (name, value) in members {
                let at = format!("{at}/{name}");
                found.push(at.clone());
                written_fields(value, &at, found);
            }
        }
        Json::Array(items) => items
            .iter()
            .for_each(|item| written_fields(item, &format!("{at}/*"), found)),
        _ => {}
    }
}

#[test]
fn the_fields_that_are_allowed_are_those_that_are_written() {
    let (mut allowed, mut written) = (Vec::new(), Vec::new());
    fields(&DOCUMENT, "", &mut allowed);
    written_fields(
        &Json::parse(full().to_text().as_bytes()).unwrap(),
        "",
        &mut written,
    );
    assert_eq!(allowed, written);
}

fn some_settings() -> impl Strategy<Value = Settings> {
    let approval = prop::option::of(any::<bool>());
    let approvers = prop::option::of(1_u32..5);
    let environment = prop::option::of(prop::sample::select(vec!["dev", "prod"]));
    (approval, approvers, environment).prop_map(|(approval, approvers, environment)| Settings {
        require_approval: approval,
        min_approvers: approvers,
        environment: environment.map(str::to_owned),
        ..Settings::default()
    })
}

proptest! {
    #[test]
    fn settings_resolve_field_by_field(chain in prop::collection::vec(some_settings(), 0..5)) {
        let effective = Settings::effective(&chain);
        prop_assert_eq!(effective.require_approval, chain.iter().find_map(|one| one.require_approval));
        prop_assert_eq!(effective.min_approvers, chain.iter().find_map(|one| one.min_approvers));
        prop_assert_eq!(effective.environment, chain.iter().find_map(|one| one.environment.clone()));
    }

    #[test]
    fn the_text_reads_back(settings in some_settings(), inherit in any::<bool>(), owner in "[a-zé\"\n ]{0,8}") {
        let document = NamespaceDocument { settings, inherit, owner, ..full() };
        prop_assert_eq!(NamespaceDocument::from_text(&document.to_text()), Ok(document));
    }
}

#[test]
fn what_is_stated_near_stands_before_what_is_stated_above() {
    let stated = full().settings;
    assert_eq!(stated.or(&Settings::system_defaults()), stated);
    assert_eq!(Settings::default().or(&stated), stated);
}

//! The contract beside the routes and their answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use axum::http::StatusCode;

use super::*;
use crate::harness::TestServer;
use crate::url::{self, Resource};

static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

/// The validators of answers, by path, method and status.
static VALIDATORS: LazyLock<BTreeMap<(String, String, String), jsonschema::Validator>> =
    LazyLock::new(|| {
        let mut validators = BTreeMap::new();
        for (path, methods) in DOCUMENT["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let answers = operation["responses"].as_object();
                for (status, answer) in answers.into_iter().flatten() {
                    let schema = &answer["content"]["application/json"]["schema"];
                    if schema.is_object() {
                        let schema = json!({ "$ref": "#/schema", "schema": schema, "components": DOCUMENT["components"] });
                        let validator = jsonschema::draft202012::new(&schema).unwrap();
                        validators
                            .insert((path.clone(), method.clone(), status.clone()), validator);
                    }
                }
            }
        }
        validators
    });

static PROBLEM: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let schema =
        json!({ "$ref": "#/components/schemas/Problem", "components": DOCUMENT["components"] });
    jsonschema::draft202012::new(&schema).unwrap()
});

/// Holds an answer against the contract: called with every answer that a test of routes gets.
pub(crate) fn check(
    method: &Method,
    path: &str,
    status: StatusCode,
    media_type: &str,
    body: &[u8],
) {
    if body.is_empty()
        || !matches!(
            media_type,
            "application/json" | confman_api::MEDIA_TYPE_PROBLEM
        )
    {
        return;
    }
    let answer: Value = serde_json::from_slice(body).unwrap();
    let complain = |validator: &jsonschema::Validator| {
        let wrong: Vec<String> = validator
            .iter_errors(&answer)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(
            wrong.is_empty(),
            "{method} {path} {status} is not as the contract says: {wrong:?}\n{answer}"
        );
    };
    if media_type == confman_api::MEDIA_TYPE_PROBLEM {
        return complain(&PROBLEM);
    }
    let path = path.split('?').next().unwrap();
    let Ok(resource) = url::parse(path) else {
        return;
    };
    let method_name = if *method == Method::HEAD {
        "get".to_owned()
    } else {
        method.as_str().to_ascii_lowercase()
    };
    let key = (
        resource.template().to_owned(),
        method_name,
        status.as_u16().to_string(),
    );
    if let Some(validator) = VALIDATORS.get(&key) {
        complain(validator);
    }
}

fn all_operations() -> impl Iterator<Item = Operation> {
    operations()
        .into_iter()
        .chain(identity::operations())
        .chain(cluster::operations())
        .chain(backup::operations())
        .chain(requests::operations())
}

/// Every route is in the contract with its methods, and nothing else is.
#[test]
fn the_contract_has_every_route_and_no_other() {
    let in_namespace = url::tests::IN_NAMESPACE
        .iter()
        .map(|part| format!("/v1/ns/a/-/{part}"));
    let fixed = url::tests::FIXED
        .iter()
        .chain(url::tests::OF_SCHEMA)
        .map(|path| (*path).to_owned());
    let mut routes = BTreeSet::new();
    let of_request = url::tests::OF_REQUEST
        .iter()
        .map(|part| format!("/v1/requests/1{part}"));
    for path in in_namespace.chain(fixed).chain(of_request) {
        let resource: Resource = url::parse(&path).unwrap();
        for method in resource.methods() {
            routes.insert(format!("{method} {}", resource.template()));
        }
    }
    let described: BTreeSet<String> = all_operations()
        .map(|operation| format!("{} {}", operation.method, operation.template))
        .collect();
    let lacks: Vec<_> = routes.difference(&described).collect();
    assert!(
        lacks.is_empty(),
        "crates/server/src/openapi.rs lacks {lacks:?}"
    );
    let extra: Vec<_> = described.difference(&routes).collect();
    assert!(extra.is_empty(), "there is no route for {extra:?}");
}

#[test]
fn operations_have_names_of_their_own_and_references_lead_somewhere() {
    let mut ids = BTreeSet::new();
    for operation in all_operations() {
        assert!(
            ids.insert(operation_id(&operation)),
            "{}",
            operation_id(&operation)
        );
    }
    assert!(
        ids.contains("getConfigKey") || ids.contains("getNsConfigKey"),
        "{ids:?}"
    );
    let text = DOCUMENT.to_string();
    let mut references = 0;
    for part in text.split("\"$ref\":\"#").skip(1) {
        let pointer = part.split('"').next().unwrap();
        if pointer.starts_with("/components/") {
            references += 1;
            assert!(DOCUMENT.pointer(pointer).is_some(), "{pointer}");
        }
    }
    assert!(references > 20);
}

#[tokio::test]
async fn the_contract_and_its_page_are_served_without_anything_from_elsewhere() {
    let server = TestServer::new().await;
    let answer = server.get("/openapi.json").without_token().send().await;
    assert_eq!(answer.document(), *DOCUMENT);
    let page = server.get("/docs").without_token().send().await;
    let text = page.text();
    assert!(text.contains("GET /v1/ns/{namespace}/-/config/{key}"));
    for foreign in ["http://", "https://", "<script", "src="] {
        let own = text.replace("https://json-schema.org", "");
        assert!(!own.contains(foreign), "{foreign}");
    }
    assert!(
        page.header("content-security-policy")
            .starts_with("default-src 'none'")
    );
}

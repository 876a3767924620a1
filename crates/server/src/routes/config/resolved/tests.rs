//! Reading with secrets in place of references: for whom, of what, and what is left behind.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use confman_secret::{ResolveError, Secret, SecretReference, SecretResolver, Secrets};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::json;

use crate::harness::{Answer, TestServer};
use crate::resolving::Resolving;

const CONFIG: &str = "/v1/ns/a/-/config";
/// What must turn up in answers alone.
const CANARY: &str = "canary-7f3a \"'\\ ü";

/// Keeps secrets whose path says what becomes of them, and remembers what it was asked for.
#[derive(Debug, Default)]
struct Keeper {
    asked: Mutex<Vec<String>>,
}

impl SecretResolver for Keeper {
    fn resolve<'a>(
        &'a self,
        reference: &'a SecretReference,
    ) -> BoxFuture<'a, Result<Secret, ResolveError>> {
        self.asked.lock().unwrap().push(reference.to_string());
        async move {
            match reference.rest() {
                "kv/slow#f" => std::future::pending().await,
                "kv/none#f" => Err(ResolveError::NotFound("it has none".to_owned())),
                "kv/away#f" => Err(ResolveError::Away("nobody answers".to_owned())),
                "kv/bytes#f" => Ok(Secret::new(vec![0xff, 0x00])),
                _ => Ok(Secret::new(CANARY.as_bytes().to_vec())),
            }
        }
        .boxed()
    }
}

/// A server that resolves `vault://kv` in `/a`, whose entries these are beside `plain`.
async fn server(references: &[(&str, &str)]) -> (TestServer, Arc<Keeper>) {
    let mut server = TestServer::new().await;
    server.namespace("/a").await;
    let mut changes = json!({ "plain": { "value": 1.1 } });
    for (key, reference) in references {
        changes[key] = json!({ "type": "secret-ref", "value": reference });
    }
    let document = json!({ "changes": changes, "publish": true, "message": "as a test needs it" });
    let path = "/v1/ns/a/-/drafts/setup/changes";
    server.write(Method::POST, path, document).await;
    let keeper = Arc::new(Keeper::default());
    let secrets = Secrets::new(Vec::new())
        .with("vault", Arc::<Keeper>::clone(&keeper))
        .with("env", Arc::<Keeper>::clone(&keeper));
    let rules = vec!["/a=vault://kv".parse().unwrap()];
    server.resolve_by(Resolving::new(rules, secrets, Duration::from_millis(300)));
    (server, keeper)
}

/// Names for whom secrets are resolved.
async fn name(server: &TestServer, holders: &[&str]) {
    let patch = json!({ "settings": { "secretResolvers": holders } });
    server
        .write(Method::PATCH, "/v1/ns/a/-/namespace", patch)
        .await;
}

async fn get(server: &TestServer, path: &str) -> Answer {
    server.get(path).send().await
}

/// What was recorded.
async fn recorded(server: &TestServer) -> Vec<serde_json::Value> {
    let log = get(server, "/v1/operations?action=secret.resolve&namespace=/a").await;
    log.document()["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn it_is_off_unless_an_operator_turns_it_on() {
    let server = TestServer::new().await;
    server.namespace("/a").await;
    server.publish("/a", json!({ "plain": 1 })).await;
    name(&server, &["admin"]).await;
    for path in ["", "/plain", "/none"] {
        let answer = get(&server, &format!("{CONFIG}{path}?resolve=true")).await;
        assert_eq!(answer.outcome(), "403 forbidden", "{path}");
        assert!(
            answer.text().contains("--resolve-secrets"),
            "{}",
            answer.text()
        );
        // It is not even looked whether there is such a namespace.
        let nowhere = format!("/v1/ns/nowhere/-/config{path}?resolve=true");
        assert_eq!(get(&server, &nowhere).await.outcome(), "403 forbidden");
    }
    let without = get(&server, &format!("{CONFIG}?resolve=false")).await;
    assert_eq!(without.text(), r#"{"plain":1}"#);
}

#[tokio::test]
async fn nobody_may_until_the_namespace_names_it_not_even_its_admin() {
    let (server, keeper) = server(&[("secret", "vault://kv/x#f")]).await;
    for path in ["", "/secret", "/plain"] {
        let answer = get(&server, &format!("{CONFIG}{path}?resolve=true")).await;
        assert_eq!(answer.outcome(), "403 forbidden", "{path}");
    }
    let said = get(&server, &format!("{CONFIG}?resolve=true"))
        .await
        .document();
    insta::assert_snapshot!(said["detail"], @r#""not allowed in `/a`: secret:resolve is for those that the setting `secretResolvers` names, whatever their role, the highest here is admin""#);
    assert_eq!(keeper.asked.lock().unwrap().len(), 0);
    assert_eq!(recorded(&server).await.len(), 0);
    name(&server, &["admin"]).await;
    let answer = get(&server, &format!("{CONFIG}?resolve=true")).await;
    assert_eq!(answer.status, StatusCode::OK);
    let why = get(&server, "/v1/ns/a/-/permissions?permission=secret:resolve").await;
    insta::assert_snapshot!(why.document()["permissions"][0]["text"], @r#""secret:resolve is allowed by resolver of admin on /a""#);
    // Further down, a statement of its own takes it back.
    server.namespace("/a/b").await;
    let below = "/v1/ns/a/b/-/config/secret?resolve=true";
    let raw = server
        .get(below)
        .header("accept", "text/plain")
        .send()
        .await;
    assert_eq!(raw.text(), CANARY);
    let nobody = json!({ "settings": { "secretResolvers": [] } });
    server
        .write(Method::PATCH, "/v1/ns/a/b/-/namespace", nobody)
        .await;
    assert_eq!(get(&server, below).await.outcome(), "403 forbidden");
}

#[tokio::test]
async fn values_are_in_the_answer_and_nowhere_else() {
    let (server, keeper) = server(&[
        ("secret", "vault://kv/x#f"),
        ("z/bytes", "vault://kv/bytes#f"),
    ])
    .await;
    name(&server, &["admin"]).await;
    let plain = get(&server, CONFIG).await;
    let tag = plain.header("etag").to_owned();
    let resolved = server
        .get(&format!("{CONFIG}?resolve=true"))
        .header("if-none-match", &tag)
        .header("accept-encoding", "zstd, gzip")
        .send()
        .await;
    assert_eq!(resolved.status, StatusCode::OK);
    let document = resolved.document();
    assert_eq!(document["secret"], CANARY);
    assert_eq!(document["z/bytes"], "/wA=");
    assert!(resolved.text().contains("\"plain\":1.1"));
    assert_eq!(resolved.header("cache-control"), "no-store");
    assert_eq!(
        (resolved.header("etag"), resolved.header("content-encoding")),
        ("", "")
    );
    assert_eq!(
        resolved.header("confman-commit"),
        plain.header("confman-commit")
    );
    // What others read is as it was.
    let again = get(&server, CONFIG).await;
    assert_eq!(
        (again.text(), again.header("etag")),
        (plain.text(), tag.as_str())
    );
    let yaml = get(
        &server,
        &format!("{CONFIG}?resolve=true&format=yaml&prefix=secret"),
    )
    .await;
    insta::assert_snapshot!(yaml.text().trim_end(), @r#"secret: "canary-7f3a \"'\\ ü""#);
    let one = get(&server, &format!("{CONFIG}/secret?resolve=true")).await;
    insta::assert_snapshot!(one.text(), @r#"{"key":"secret","type":"string","value":"canary-7f3a \"'\\ ü","size":18,"namespace":"/a"}"#);
    let bytes = server
        .get(&format!("{CONFIG}/z/bytes?resolve=true"))
        .header("accept", "application/octet-stream")
        .send()
        .await;
    assert_eq!(
        (bytes.body.as_slice(), bytes.header("etag")),
        ([0xff, 0x00].as_slice(), "")
    );
    assert_eq!(bytes.header("cache-control"), "no-store");
    let head = server
        .ask(Method::HEAD, &format!("{CONFIG}/secret?resolve=true"))
        .header("accept", "text/plain")
        .send()
        .await;
    assert_eq!(head.header("content-length"), CANARY.len().to_string());
    assert!(head.body.is_empty());
    // Whoever asks again asks again: nothing is kept.
    let asked = keeper.asked.lock().unwrap().len();
    assert_eq!(asked, 6);
    // A value without references is nobody's secret, and nothing is recorded of it.
    let number = server
        .get(&format!("{CONFIG}/plain?resolve=true"))
        .header("accept", "text/plain")
        .send()
        .await;
    assert_eq!(
        (number.text().as_str(), number.header("cache-control")),
        ("1.1", "no-store")
    );
    assert_eq!(recorded(&server).await.len(), 5);
}

#[tokio::test]
async fn each_resolution_is_recorded_with_who_and_what_and_never_the_value() {
    let (server, _) = server(&[("secret", "vault://kv/x#f"), ("more", "vault://kv/y#f")]).await;
    name(&server, &["admin"]).await;
    let path = format!("{CONFIG}?resolve=true");
    // A key that makes writes happen once does not make this happen unrecorded.
    for _ in 0..2 {
        let answer = server
            .get(&path)
            .header("idempotency-key", "once")
            .send()
            .await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    let recorded = recorded(&server).await;
    assert_eq!(recorded.len(), 2);
    let mut newest = recorded[0].clone();
    newest["detail"]
        .as_object_mut()
        .unwrap()
        .remove("requestId");
    let told = json!([
        newest["actor"],
        newest["action"],
        newest["namespace"],
        newest["detail"],
        newest["refs"]
    ]);
    insta::assert_snapshot!(told, @r#"["admin","secret.resolve","/a",{"namespace":"/a","references":[{"key":"more","reference":"vault://kv/y#f"},{"key":"secret","reference":"vault://kv/x#f"}]},[]]"#);
    let log = get(&server, "/v1/operations?limit=1000").await.text();
    assert!(!log.contains("canary"), "{log}");
    // The chain and all that is derived from it are whole.
    let fsck = server.ask(Method::POST, "/v1/fsck").send().await;
    assert_eq!(fsck.document()["problems"], json!([]), "{}", fsck.text());
}

#[tokio::test]
async fn everything_that_fails_is_named_and_nothing_is_given() {
    let (server, keeper) = server(&[
        ("fine", "vault://kv/x#f"),
        ("none", "vault://kv/none#f"),
        ("away", "vault://kv/away#f"),
    ])
    .await;
    name(&server, &["admin"]).await;
    let failed = |answer: Answer| {
        assert!(!answer.text().contains("canary"), "{}", answer.text());
        assert_eq!(answer.header("cache-control"), "no-store");
        let errors = answer.document()["errors"].clone();
        let items: Vec<String> = errors
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["detail"].as_str().unwrap().to_owned())
            .collect();
        format!("{}\n{}", answer.outcome(), items.join("\n"))
    };
    let answer = get(&server, &format!("{CONFIG}?resolve=true")).await;
    insta::assert_snapshot!(failed(answer), @"
    502 unresolved
    key `away`: `vault://kv/away#f` cannot be resolved: nobody answers
    key `none`: `vault://kv/none#f` cannot be resolved: there is no such secret: it has none
    ");
    // What is asked of a keeper that does not answer ends in time.
    let slow = json!({ "changes": { "slow": { "type": "secret-ref", "value": "vault://kv/slow#f" },
        "away": null, "none": null }, "publish": true, "message": "slow" });
    let path = "/v1/ns/a/-/drafts/setup/changes";
    server.write(Method::POST, path, slow).await;
    let answer = get(&server, &format!("{CONFIG}?resolve=true")).await;
    insta::assert_snapshot!(failed(answer), @"
    502 unresolved
    key `fine`: `vault://kv/x#f` cannot be resolved: not everything was answered within 300ms
    key `slow`: `vault://kv/slow#f` cannot be resolved: not everything was answered within 300ms
    ");
    // What no rule names is asked of nobody, though a resolver for it is there.
    let other = json!({ "changes": { "home": { "type": "secret-ref", "value": "env://HOME" },
        "other": { "type": "secret-ref", "value": "vault://kv2/x#f" },
        "up": { "type": "secret-ref", "value": "vault://kv/../sys#f" }, "slow": null }, "publish": true, "message": "other" });
    server.write(Method::POST, path, other).await;
    let before = recorded(&server).await.len();
    let asked = keeper.asked.lock().unwrap().len();
    let answer = get(&server, &format!("{CONFIG}?resolve=true")).await;
    insta::assert_snapshot!(failed(answer), @"
    422 unresolvable
    key `home`: `env://HOME` cannot be resolved: the server resolves no such reference here
    key `other`: `vault://kv2/x#f` cannot be resolved: the server resolves no such reference here
    key `up`: `vault://kv/../sys#f` cannot be resolved: the server resolves no such reference here
    ");
    assert_eq!(keeper.asked.lock().unwrap().len(), asked);
    assert_eq!(recorded(&server).await.len(), before);
    // Single keys that are fine are given all the same.
    let fine = get(&server, &format!("{CONFIG}/fine?resolve=true")).await;
    assert_eq!(fine.status, StatusCode::OK);
    let figures = get(&server, "/metrics").await.text();
    let mut counted: Vec<&str> = figures
        .lines()
        .filter(|line| line.starts_with("confman_secret_resolutions_total"))
        .collect();
    counted.sort_unstable();
    insta::assert_snapshot!(counted.join("\n"), @r#"
    confman_secret_resolutions_total{code="resolved"} 1
    confman_secret_resolutions_total{code="unresolvable"} 1
    confman_secret_resolutions_total{code="unresolved"} 2
    "#);
}

#[tokio::test]
async fn only_what_is_published_is_resolved_and_bad_input_says_so() {
    let (server, keeper) = server(&[("secret", "vault://kv/x#f")]).await;
    name(&server, &["admin"]).await;
    for (query, outcome) in [
        ("resolve=maybe", "400 invalid-query"),
        ("resolve=true&resolve=true", "400 invalid-query"),
        ("resolve=true&origin=true", "400 invalid-query"),
        ("resolve=true&ref=draft/setup", "400 invalid-query"),
        ("resolve=true&at=published~1", "400 invalid-query"),
        ("resolve=true&at=published", "200"),
    ] {
        let answer = get(&server, &format!("{CONFIG}?{query}")).await;
        assert_eq!(answer.outcome(), outcome, "{query}");
    }
    let asked = keeper.asked.lock().unwrap().len();
    assert_eq!(asked, 1);
    for (path, outcome) in [
        ("/none?resolve=true", "404 not-found"),
        ("/secret?resolve=true&rev=published~1", "400 invalid-query"),
    ] {
        assert_eq!(
            get(&server, &format!("{CONFIG}{path}")).await.outcome(),
            outcome,
            "{path}"
        );
    }
    let text = server
        .get(&format!("{CONFIG}/secret?resolve=true"))
        .header("accept", "image/png")
        .send()
        .await;
    assert_eq!(text.outcome(), "406 not-acceptable");
    let nowhere = get(&server, "/v1/ns/nowhere/-/config?resolve=true").await;
    assert_eq!(nowhere.outcome(), "404 not-found");
    let nobody = server
        .get(&format!("{CONFIG}?resolve=true"))
        .without_token()
        .send()
        .await;
    assert_eq!(nobody.outcome(), "401 unauthenticated");
}

#[tokio::test]
async fn whom_a_document_names_must_be_somebody() {
    let server = TestServer::new().await;
    server.namespace("/a").await;
    let path = "/v1/ns/a/-/namespace";
    let anyone = json!({ "settings": { "secretResolvers": ["anyone", "a b"] } });
    let refused = server.ask(Method::PATCH, path).json(&anyone).await;
    assert_eq!(refused.outcome(), "400 invalid");
    let unknown = json!({ "settings": { "secretResolvers": ["ghost"] } });
    let made = server.write(Method::PATCH, path, unknown).await;
    insta::assert_snapshot!(made["warnings"], @r#"["secrets are resolved for `ghost` now, though nobody of that name exists"]"#);
}

//! Identity over HTTP, on a real store.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Answer, Asking, TestServer};

fn by<'s>(asking: Asking<'s>, secret: &str) -> Asking<'s> {
    asking
        .without_token()
        .header("authorization", &format!("Bearer {secret}"))
}

async fn principal(server: &TestServer, name: &str) -> String {
    server
        .write(Method::POST, "/v1/principals", json!({ "name": name }))
        .await;
    token(server, json!({ "principal": name })).await
}

async fn token(server: &TestServer, write: Value) -> String {
    let made = server.write(Method::POST, "/v1/tokens", write).await;
    made["secret"].as_str().unwrap().to_owned()
}

fn without_secret(answer: &Answer) -> String {
    match answer.document()["secret"].as_str() {
        Some(secret) => answer.redacted().replace(secret, "[secret]"),
        None => answer.redacted(),
    }
}

#[tokio::test]
async fn a_token_is_made_listed_used_and_revoked() {
    let server = TestServer::new().await;
    server.namespace("/a").await;
    let write = json!({
        "name": "CI", "scope": { "namespace": "/a", "role": "editor" }, "expires": "2999-01-01T00:00:00Z",
    });
    let made = server.ask(Method::POST, "/v1/tokens").json(&write).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(made.header("cache-control"), "no-store");
    insta::assert_snapshot!(without_secret(&made), @r#"
    {
      "secret": "[secret]",
      "token": {
        "id": "[id]",
        "principal": "admin",
        "name": "CI",
        "scope": {
          "namespace": "/a",
          "role": "editor"
        },
        "expires": "[time]",
        "expired": false,
        "createdAt": "[time]",
        "createdBy": "admin"
      }
    }
    "#);
    let secret = made.document()["secret"].as_str().unwrap().to_owned();
    let id = made.document()["token"]["id"].as_str().unwrap().to_owned();
    let me = by(server.get("/v1/whoami"), &secret).send().await;
    insta::assert_snapshot!(without_secret(&me), @r#"
    {
      "principal": "admin",
      "kind": "user",
      "name": "Administrator",
      "groups": [],
      "token": {
        "id": "[id]",
        "name": "CI",
        "scope": {
          "namespace": "/a",
          "role": "editor"
        },
        "expires": "[time]"
      },
      "draft": "admin"
    }
    "#);
    let list = server.get("/v1/tokens").send().await;
    assert!(list.text().contains(&id) && !list.text().contains(&secret));
    let put = by(server.ask(Method::PUT, "/v1/ns/a/-/entries/k"), &secret);
    assert_eq!(
        put.json(&json!({ "value": 1 })).await.status,
        StatusCode::OK
    );
    let publish = by(server.ask(Method::POST, "/v1/ns/a/-/publish"), &secret);
    let refused = publish.json(&json!({ "draft": "admin" })).await;
    assert_eq!(refused.outcome(), "403 forbidden");
    insta::assert_snapshot!(refused.document()["detail"].as_str().unwrap(), @"not allowed in `/a`: config:publish needs role publisher, the token is only for editor in /a");
    let gone = server
        .ask(Method::DELETE, &format!("/v1/tokens/{id}"))
        .send()
        .await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let me = by(server.get("/v1/whoami"), &secret).send().await;
    assert_eq!(me.outcome(), "401 unauthenticated");
    let again = server
        .ask(Method::DELETE, &format!("/v1/tokens/{id}"))
        .send()
        .await;
    assert_eq!(again.outcome(), "404 not-found");
    // A token by mistake in the path is refused before anything looks at it, and is not repeated.
    let mistaken = server
        .ask(Method::DELETE, &format!("/v1/tokens/{secret}"))
        .send()
        .await;
    assert_eq!(mistaken.outcome(), "400 invalid-path");
    assert!(!mistaken.text().contains(&secret));
}

#[tokio::test]
async fn principals_are_made_changed_and_shut_out() {
    let server = TestServer::new().await;
    let write =
        json!({ "name": "ci", "kind": "service", "displayName": "CI", "email": "ci@company.com" });
    let made = server
        .ask(Method::POST, "/v1/principals")
        .json(&write)
        .await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(made.header("location"), "/v1/principals/ci");
    insta::assert_snapshot!(made.redacted(), @r#"
    {
      "name": "ci",
      "kind": "service",
      "displayName": "CI",
      "email": "ci@company.com",
      "disabled": false,
      "groups": [],
      "record": "[id]",
      "updatedAt": "[time]",
      "updatedBy": "admin"
    }
    "#);
    let secret = token(&server, json!({ "principal": "ci" })).await;
    assert!(secret.starts_with("cfm_svc_"));
    let patch = |tag: &str, document: Value| {
        let tag = tag.to_owned();
        let server = &server;
        async move {
            server
                .ask(Method::PATCH, "/v1/principals/ci")
                .header("if-match", &tag)
                .json(&document)
                .await
        }
    };
    let changed = patch(made.header("etag"), json!({ "disabled": true })).await;
    assert_eq!(changed.document()["disabled"], true);
    let stale = patch(made.header("etag"), json!({ "disabled": false })).await;
    assert_eq!(stale.outcome(), "412 precondition-failed");
    let odd = patch(
        changed.header("etag"),
        json!({ "email": "x y", "displayName": "\n" }),
    )
    .await;
    insta::assert_snapshot!(odd.document()["errors"].to_string(), @r#"[{"detail":"at most 255 bytes without control characters are allowed","pointer":"/displayName"},{"detail":"an address has an `@`, no white space, `<` or `>`, and at most 254 bytes","pointer":"/email"}]"#);
    let me = by(server.get("/v1/whoami"), &secret).send().await;
    assert_eq!(me.outcome(), "401 unauthenticated");
    let first = server.get("/v1/principals?limit=1").send().await;
    assert_eq!(first.document()["items"][0]["name"], "admin");
    let next = first.document()["next"].as_str().unwrap().to_owned();
    let rest = server
        .get(&format!("/v1/principals?cursor={next}"))
        .send()
        .await;
    assert_eq!(rest.document()["items"][0]["name"], "ci");
    for (body, outcome) in [
        (json!({ "name": "ci" }), "409 already-exists"),
        (json!({ "name": "anyone" }), "400 invalid-body"),
        (json!({ "name": "A b" }), "400 invalid-body"),
        (
            json!({ "name": "x", "identity": { "issuer": "none", "subject": "1" } }),
            "404 not-found",
        ),
    ] {
        let answer = server.ask(Method::POST, "/v1/principals").json(&body).await;
        assert_eq!(answer.outcome(), outcome, "{body}");
    }
}

#[tokio::test]
async fn groups_are_made_changed_and_removed() {
    let server = TestServer::new().await;
    let ann = principal(&server, "ann").await;
    let put = |name: &str, members: Value| {
        let path = format!("/v1/groups/{name}");
        let server = &server;
        async move {
            server
                .ask(Method::PUT, &path)
                .json(&json!({ "members": members }))
                .await
        }
    };
    let made = put("dev", json!(["ann"])).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(
        put("all", json!(["group:dev"])).await.status,
        StatusCode::CREATED
    );
    insta::assert_snapshot!(server.get("/v1/groups").send().await.redacted(), @r#"
    {
      "items": [
        {
          "name": "all",
          "members": [
            "group:dev"
          ],
          "record": "[id]",
          "updatedAt": "[time]",
          "updatedBy": "admin"
        },
        {
          "name": "dev",
          "members": [
            "ann"
          ],
          "record": "[id]",
          "updatedAt": "[time]",
          "updatedBy": "admin"
        }
      ]
    }
    "#);
    let circle = put("dev", json!(["group:all"])).await;
    insta::assert_snapshot!(circle.document()["detail"].as_str().unwrap(), @"group `dev` is not valid: it would contain itself: dev → all → dev at `/members`");
    let me = by(server.get("/v1/whoami"), &ann).send().await;
    assert_eq!(me.document()["groups"], json!(["all", "dev"]));
    let itself = by(server.get("/v1/principals/ann"), &ann).send().await;
    assert_eq!(itself.document()["groups"], json!(["all", "dev"]));
    let stale = server
        .ask(Method::DELETE, "/v1/groups/all")
        .header("if-match", made.header("etag"))
        .send()
        .await;
    assert_eq!(stale.outcome(), "412 precondition-failed");
    let gone = server
        .ask(Method::DELETE, "/v1/groups/dev")
        .header("if-match", made.header("etag"))
        .send()
        .await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let me = by(server.get("/v1/whoami"), &ann).send().await;
    assert_eq!(me.document()["groups"], json!([]));
}

#[tokio::test]
async fn issuers_are_trusted_and_trusted_no_more() {
    let server = TestServer::new().await;
    let document = json!({ "url": "https://id.company.com", "clientId": "confman" });
    server
        .write(Method::PUT, "/v1/issuers/corp", document)
        .await;
    insta::assert_snapshot!(server.get("/v1/issuers").send().await.redacted(), @r#"
    {
      "items": [
        {
          "name": "corp",
          "document": {
            "url": "https://id.company.com",
            "clientId": "confman",
            "kind": "user",
            "principalClaim": "sub",
            "nameClaim": "name",
            "emailClaim": "email",
            "groupsClaim": "groups",
            "createPrincipals": true,
            "tokenSeconds": 3600
          },
          "record": "[id]",
          "updatedAt": "[time]",
          "updatedBy": "admin"
        }
      ]
    }
    "#);
    let gone = server.ask(Method::DELETE, "/v1/issuers/corp").send().await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let none = server.get("/v1/issuers/corp").send().await;
    assert_eq!(none.outcome(), "404 not-found");
}

#[tokio::test]
async fn who_is_no_admin_of_the_root_sees_nothing_of_all_this() {
    let server = TestServer::new().await;
    let ann = principal(&server, "ann").await;
    principal(&server, "bob").await;
    for path in [
        "/v1/principals",
        "/v1/principals/bob",
        "/v1/principals/nobody",
        "/v1/groups",
        "/v1/groups/x",
        "/v1/issuers",
        "/v1/tokens?all=true",
        "/v1/tokens?principal=bob",
        "/v1/tokens?principal=nobody",
    ] {
        let answer = by(server.get(path), &ann).send().await;
        assert_eq!(answer.outcome(), "404 not-found", "{path}");
        assert_eq!(
            answer.document()["detail"],
            "there is no namespace `/`",
            "{path}"
        );
    }
    let own = by(server.get("/v1/tokens"), &ann).send().await;
    assert_eq!(own.document()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn without_a_token_only_what_is_open_to_anyone_is_there() {
    let server = TestServer::new().await;
    let open = json!({ "path": "/open", "roles": { "viewer": ["anyone"] } });
    server.write(Method::POST, "/v1/namespaces", open).await;
    server.namespace("/closed").await;
    server.publish("/open", json!({ "k": "v" })).await;
    server.publish("/closed", json!({ "k": "v" })).await;
    let mut outcomes = String::new();
    for (method, path) in [
        (Method::GET, "/v1/ns/open/-/config"),
        (Method::GET, "/v1/ns/open/-/config/k"),
        (Method::GET, "/v1/ns/open/-/config/none"),
        (Method::GET, "/v1/ns/open/-/history/k"),
        (Method::GET, "/v1/ns/open/-/drafts"),
        (Method::DELETE, "/v1/ns/open/-/tags/x"),
        (Method::GET, "/v1/ns/closed/-/config"),
        (Method::GET, "/v1/ns/none/-/config"),
        (Method::GET, "/v1/ns/-/config"),
        (
            Method::GET,
            "/v1/ns/open/-/compare?fromNamespace=/closed&from=published&to=published",
        ),
        (Method::GET, "/v1/namespaces"),
        (Method::GET, "/v1/whoami"),
    ] {
        let answer = server
            .ask(method.clone(), path)
            .without_token()
            .send()
            .await;
        outcomes.push_str(&format!("{} {method} {path}\n", answer.outcome()));
    }
    insta::assert_snapshot!(outcomes, @r"
    200 GET /v1/ns/open/-/config
    200 GET /v1/ns/open/-/config/k
    404 not-found GET /v1/ns/open/-/config/none
    200 GET /v1/ns/open/-/history/k
    401 unauthenticated GET /v1/ns/open/-/drafts
    401 unauthenticated DELETE /v1/ns/open/-/tags/x
    401 unauthenticated GET /v1/ns/closed/-/config
    401 unauthenticated GET /v1/ns/none/-/config
    401 unauthenticated GET /v1/ns/-/config
    404 not-found GET /v1/ns/open/-/compare?fromNamespace=/closed&from=published&to=published
    401 unauthenticated GET /v1/namespaces
    401 unauthenticated GET /v1/whoami
    ");
    // A token that is not valid is not the same as none.
    let wrong = by(server.get("/v1/ns/open/-/config"), "cfm_pat_x")
        .send()
        .await;
    assert_eq!(wrong.outcome(), "401 unauthenticated");
    let more = json!({ "path": "/more", "roles": { "editor": ["anyone"] } });
    let refused = server.ask(Method::POST, "/v1/namespaces").json(&more).await;
    assert_eq!(refused.outcome(), "400 invalid");
}

//! What holds for every route: tokens, methods, headers, and everything that can be wrong with them.

use axum::body::Body;
use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::error::Code;
use crate::harness::TestServer;
use crate::url;

#[tokio::test]
async fn what_says_nothing_of_the_store_is_open_and_all_others_want_a_token() {
    let server = TestServer::new().await;
    for path in [
        "/healthz",
        "/readyz",
        "/version",
        "/metrics",
        "/openapi.json",
        "/docs",
    ] {
        assert_eq!(
            server.get(path).without_token().send().await.status,
            StatusCode::OK,
            "{path}"
        );
    }
    let in_namespace = url::tests::IN_NAMESPACE
        .iter()
        .map(|part| format!("/v1/ns/a/-/{part}"));
    let fixed = url::tests::FIXED
        .iter()
        .map(|path| (*path).to_owned())
        .filter(|path| !url::parse(path).unwrap().is_public());
    let of_request = url::tests::OF_REQUEST
        .iter()
        .map(|part| format!("/v1/requests/1{part}"));
    for path in in_namespace.chain(fixed).chain(of_request) {
        if url::parse(&path).unwrap().is_a_door() {
            continue;
        }
        for method in url::parse(&path).unwrap().methods() {
            let answer = server
                .ask(method.clone(), &path)
                .without_token()
                .send()
                .await;
            assert_eq!(answer.outcome(), "401 unauthenticated", "{method} {path}");
            assert_eq!(
                answer.header("www-authenticate"),
                "Bearer realm=\"confman\""
            );
        }
    }
}

#[tokio::test]
async fn a_token_that_is_not_known_is_refused_the_same_way_whatever_is_wrong_with_it() {
    let server = TestServer::new().await;
    let cut = &server.token[..server.token.len() - 1];
    for token in [
        "",
        "x",
        cut,
        "cfm_pat_0000000000000000000000000000000000000000000000000",
    ] {
        let asking = server.get("/v1/whoami").without_token();
        let answer = asking
            .header("authorization", &format!("Bearer {token}"))
            .send()
            .await;
        assert_eq!(answer.outcome(), "401 unauthenticated", "{token}");
        assert_eq!(
            answer.header("www-authenticate"),
            "Bearer realm=\"confman\", error=\"invalid_token\""
        );
    }
}

#[tokio::test]
async fn a_method_that_a_route_does_not_answer_is_405_with_those_it_does() {
    let server = TestServer::new().await;
    for (method, path, allowed) in [
        (Method::POST, "/healthz", "GET, HEAD"),
        (
            Method::PATCH,
            "/v1/ns/a/-/entries/b",
            "GET, PUT, DELETE, HEAD",
        ),
        (Method::GET, "/v1/ns/a/-/push", "POST"),
        (Method::OPTIONS, "/v1/namespaces", "GET, POST, HEAD"),
    ] {
        let answer = server.ask(method, path).send().await;
        assert_eq!(answer.outcome(), "405 method-not-allowed", "{path}");
        assert_eq!(answer.header("allow"), allowed);
    }
}

#[tokio::test]
async fn every_answer_names_its_request_and_its_index() {
    let server = TestServer::new().await;
    let answers = [
        server.get("/healthz").send().await,
        server.get("/v1/whoami").send().await,
        server.get("/nothing").send().await,
    ];
    for answer in answers {
        assert_eq!(answer.header("confman-request-id").len(), 32);
        assert!(answer.header("confman-index").parse::<u64>().unwrap() > 0);
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
}

#[tokio::test]
async fn a_problem_says_everything_in_one_shape() {
    let server = TestServer::new().await;
    let answer = server.get("/v1/ns/Teams/-/entries/a%20b").send().await;
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(
        answer.document()["requestId"],
        answer.header("confman-request-id")
    );
    insta::assert_snapshot!(answer.redacted(), @r#"
    {
      "type": "urn:confman:problem:invalid-path",
      "title": "the path is not valid",
      "status": 400,
      "detail": "2 things are wrong, see `errors`",
      "code": "invalid-path",
      "requestId": "[uuid]",
      "errors": [
        {
          "detail": "the namespace in the path is not valid: segment 1 of namespace `/Teams` is not valid: `Teams` has `T` at character 1; allowed are a-z, 0-9, `.`, `_` and `-`"
        },
        {
          "detail": "the key in the path is not valid: segment 1 of key `a b` has ` `; allowed are A-Z, a-z, 0-9, `.`, `_` and `-`"
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn every_kind_of_bad_input_has_its_status_and_code() {
    let server = TestServer::new().await;
    server.namespace("/a").await;
    server.publish("/a", json!({ "k": "v" })).await;
    let mut outcomes = String::new();
    for path in [
        "/nothing",
        "/v1/ns/a/-/nothing",
        "/v1/ns/A/-/config",
        "/v1/ns/a//b/-/config",
        "/v1/ns/a/-/entries/b%2e",
        "/v1/ns/a/-/entries?colour=red",
        "/v1/ns/a/-/entries?limit=0",
        "/v1/ns/a/-/entries?limit=1&limit=2",
        "/v1/ns/a/-/entries?cursor=forged",
        "/v1/ns/a/-/entries?rev=published~x",
        "/v1/ns/a/-/entries?rev=nosuchtag",
        "/v1/ns/a/-/entries?rev=published~99",
        "/v1/ns/a/-/entries?rev=0123456789",
        "/v1/ns/a/-/entries?consistency=maybe",
        "/v1/ns/a/-/config?at=%7Bno+time%7D",
        "/v1/ns/a/-/config/none",
        "/v1/ns/a/-/entries/none",
        "/v1/ns/none/-/namespace",
        "/v1/ns/none/-/entries",
        "/v1/ns/none/-/config",
        "/v1/ns/a/-/drafts/none",
        "/v1/ns/a/-/history/none",
        "/v1/ns/a/-/tags/none",
        "/v1/ns/a/-/import",
        "/v1/ns/a/-/compare",
        "/v1/ns/a/-/compare?from=published",
    ] {
        let answer = server.get(path).send().await;
        outcomes.push_str(&format!("{} GET {path}\n", answer.outcome()));
    }
    insta::assert_snapshot!(outcomes, @r"
    404 no-such-route GET /nothing
    404 no-such-route GET /v1/ns/a/-/nothing
    400 invalid-path GET /v1/ns/A/-/config
    400 invalid-path GET /v1/ns/a//b/-/config
    400 invalid-path GET /v1/ns/a/-/entries/b%2e
    400 invalid-query GET /v1/ns/a/-/entries?colour=red
    400 invalid-query GET /v1/ns/a/-/entries?limit=0
    400 invalid-query GET /v1/ns/a/-/entries?limit=1&limit=2
    400 invalid-query GET /v1/ns/a/-/entries?cursor=forged
    400 invalid-query GET /v1/ns/a/-/entries?rev=published~x
    404 not-found GET /v1/ns/a/-/entries?rev=nosuchtag
    404 not-found GET /v1/ns/a/-/entries?rev=published~99
    404 not-found GET /v1/ns/a/-/entries?rev=0123456789
    400 invalid-query GET /v1/ns/a/-/entries?consistency=maybe
    400 invalid GET /v1/ns/a/-/config?at=%7Bno+time%7D
    404 not-found GET /v1/ns/a/-/config/none
    404 not-found GET /v1/ns/a/-/entries/none
    404 not-found GET /v1/ns/none/-/namespace
    404 not-found GET /v1/ns/none/-/entries
    404 not-found GET /v1/ns/none/-/config
    404 not-found GET /v1/ns/a/-/drafts/none
    404 not-found GET /v1/ns/a/-/history/none
    404 not-found GET /v1/ns/a/-/tags/none
    404 not-found GET /v1/ns/a/-/import
    400 invalid-query GET /v1/ns/a/-/compare
    400 invalid-query GET /v1/ns/a/-/compare?from=published
    ");
}

#[tokio::test]
async fn bad_bodies_are_refused_with_their_place() {
    let server = TestServer::new().await;
    server.namespace("/a").await;
    let mut outcomes = String::new();
    for body in [
        &b""[..],
        b"{",
        b"[]",
        b"{\"value\": 1, \"value\": 2}",
        b"{\"value\": 1, \"colour\": 2}",
        b"{\"value\": 1} x",
        b"{\"value\": \"\xff\"}",
        b"{\"value\": 01}",
        b"{}",
        b"{\"value\": null}",
        b"{\"type\": \"json\"}",
        b"{\"type\": \"nothing\", \"value\": 1}",
        b"{\"type\": \"number\", \"value\": \"1\"}",
        b"{\"type\": \"json\", \"value\": {\"a\": 1, \"\\u0061\": 2}}",
        b"{\"type\": \"secret-ref\", \"value\": \"http://x\"}",
        b"{\"type\": \"binary\", \"value\": \"not base64!\"}",
        b"{\"unset\": true, \"value\": 1}",
        b"{\"value\": 1, \"tags\": [\"\"]}",
        b"{\"value\": 1, \"mediaType\": \"text/plain\"}",
    ] {
        let asking = server
            .ask(Method::PUT, "/v1/ns/a/-/entries/k")
            .header("content-type", "application/json");
        let answer = asking.body(Body::from(body)).await;
        let document = answer.document();
        let detail = document["detail"].as_str().unwrap_or("");
        outcomes.push_str(&format!(
            "{}  {}  {detail}\n",
            String::from_utf8_lossy(body),
            answer.outcome()
        ));
    }
    insta::assert_snapshot!(outcomes, @r#"
      400 invalid-body  the request needs a JSON body and has none
    {  400 invalid-body  EOF while parsing an object
    []  400 invalid-body  the body must be one JSON object
    {"value": 1, "value": 2}  400 invalid-body  duplicate field `value`
    {"value": 1, "colour": 2}  400 invalid-body  unknown field `colour`, expected one of `type`, `value`, `unset`, `description`, `tags`, `mediaType`
    {"value": 1} x  400 invalid-body  trailing characters
    {"value": "�"}  400 invalid-body  the body is not UTF-8 after byte 11
    {"value": 01}  400 invalid-body  invalid number
    {}  400 invalid  the entry is not valid: `k`: nothing is said about it: give a value, `unset`, or what is to be changed
    {"value": null}  400 invalid  the entry is not valid: `k`: nothing is said about it: give a value, `unset`, or what is to be changed
    {"type": "json"}  400 invalid  the entry is not valid: `k`: a type needs a value; `null` is none
    {"type": "nothing", "value": 1}  400 invalid  the entry is not valid: `k`: `nothing` is not an entry type; allowed are string, number, boolean, json, binary and secret-ref
    {"type": "number", "value": "1"}  400 invalid  the entry is not valid: `k`: `"1"` is not a JSON number (line 1, column 1)
    {"type": "json", "value": {"a": 1, "\u0061": 2}}  400 invalid  the entry is not valid: `k`: key `a` is there already, at line 1, column 2 at `/a` (line 1, column 10)
    {"type": "secret-ref", "value": "http://x"}  400 invalid  the entry is not valid: `k`: scheme `http` is not allowed; allowed are keyvault, vault, env (line 1, column 1)
    {"type": "binary", "value": "not base64!"}  400 invalid  the entry is not valid: `k`: base64 (RFC 4648) comes in groups of 4 characters, filled up with `=`; there are 11 (line 1, column 1)
    {"unset": true, "value": 1}  400 invalid  the entry is not valid: `k`: `unset` and a value exclude each other
    {"value": 1, "tags": [""]}  400 invalid  change to `/a` is not valid: `k`: a tag cannot be empty
    {"value": 1, "mediaType": "text/plain"}  200
    "#);
}

#[tokio::test]
async fn everything_wrong_in_a_batch_is_listed_at_once() {
    let server = TestServer::new().await;
    server.namespace("/a").await;
    let batch = json!({ "changes": {
        "bad key": { "value": 1 },
        "doc": { "type": "json", "value": 7 },
        "num": { "type": "number", "value": "seven" },
        "fine": { "value": true },
        "both": { "unset": true, "value": 1 },
    } });
    let answer = server
        .ask(Method::POST, "/v1/ns/a/-/drafts/d/changes")
        .json(&batch)
        .await;
    insta::assert_snapshot!(answer.redacted(), @r#"
    {
      "type": "urn:confman:problem:invalid",
      "title": "what was sent is not valid",
      "status": 400,
      "detail": "the batch of changes is not valid: 4 things are wrong, see `errors`",
      "code": "invalid",
      "requestId": "[uuid]",
      "errors": [
        {
          "detail": "segment 1 of key `bad key` has ` `; allowed are A-Z, a-z, 0-9, `.`, `_` and `-`"
        },
        {
          "detail": "`unset` and a value exclude each other",
          "key": "both"
        },
        {
          "detail": "it is neither an object nor an array; use type number",
          "key": "doc",
          "line": 1,
          "column": 1
        },
        {
          "detail": "`\"seven\"` is not a JSON number",
          "key": "num",
          "line": 1,
          "column": 1
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn a_body_of_another_type_or_above_the_limit_is_refused() {
    let server = TestServer::new().await;
    server.namespace("/a").await;
    let put = || server.ask(Method::PUT, "/v1/ns/a/-/entries/k");
    let form = put()
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from("a=b"))
        .await;
    assert_eq!(form.outcome(), "415 unsupported-media-type");
    let length = (crate::body::VALUES_BYTES_MAX + 1).to_string();
    let announced = put()
        .header("content-length", &length)
        .body(Body::from("{}"))
        .await;
    assert_eq!(announced.outcome(), "413 too-large");
    let long = Body::from(vec![b' '; crate::body::DOCUMENT_BYTES_MAX + 1]);
    let real = server.ask(Method::POST, "/v1/namespaces").body(long).await;
    assert_eq!(real.outcome(), "413 too-large");
    let value = "x".repeat(1024 * 1024 + 1);
    let answer = put().json(&json!({ "value": value })).await;
    assert_eq!(answer.outcome(), "400 invalid");
    assert!(answer.text().contains("1048576"), "{}", answer.text());
}

#[tokio::test]
async fn bad_headers_are_named() {
    let server = TestServer::new().await;
    server.namespace("/a").await;
    let mut outcomes = String::new();
    for (name, value) in [
        ("confman-min-index", "soon"),
        ("confman-min-index", "99999999"),
        ("idempotency-key", ""),
        ("if-none-match", "abc"),
        ("accept", "text/html"),
    ] {
        let answer = server
            .get("/v1/ns/a/-/config")
            .header(name, value)
            .send()
            .await;
        outcomes.push_str(&format!("{name}: {value}  {}\n", answer.outcome()));
    }
    for (name, value) in [
        ("if-match", "*"),
        ("if-match", "\"abc\""),
        ("if-none-match", "\"abc\""),
    ] {
        let asking = server
            .ask(Method::PUT, "/v1/ns/a/-/entries/k")
            .header(name, value);
        let answer = asking.json(&json!({ "value": 1 })).await;
        outcomes.push_str(&format!("PUT {name}: {value}  {}\n", answer.outcome()));
    }
    insta::assert_snapshot!(outcomes, @r#"
    confman-min-index: soon  400 invalid-header
    confman-min-index: 99999999  504 behind
    idempotency-key:   400 invalid-header
    if-none-match: abc  400 invalid-header
    accept: text/html  406 not-acceptable
    PUT if-match: *  400 invalid-header
    PUT if-match: "abc"  400 invalid-header
    PUT if-none-match: "abc"  400 invalid-header
    "#);
}

#[tokio::test]
async fn head_answers_as_get_without_the_body() {
    let server = TestServer::new().await;
    server.namespace("/a").await;
    server.publish("/a", json!({ "k": "v" })).await;
    let get = server.get("/v1/ns/a/-/config").send().await;
    let head = server.ask(Method::HEAD, "/v1/ns/a/-/config").send().await;
    assert_eq!(head.status, StatusCode::OK);
    assert_eq!(head.header("etag"), get.header("etag"));
    assert!(head.body.is_empty());
    assert_eq!(head.header("content-length"), get.body.len().to_string());
}

#[tokio::test]
async fn a_node_that_has_applied_the_index_answers_and_confirms_on_demand() {
    let server = TestServer::new().await;
    let index = server
        .get("/v1/whoami")
        .send()
        .await
        .header("confman-index")
        .to_owned();
    let asking = server
        .get("/v1/whoami?consistency=linearizable")
        .header("confman-min-index", &index);
    assert_eq!(asking.send().await.status, StatusCode::OK);
}

/// The reference names every route and every problem code, so that neither is added in silence.
#[test]
fn the_reference_names_every_route_and_code() {
    let reference = include_str!("../../../../docs/API.md");
    let in_namespace = url::tests::IN_NAMESPACE
        .iter()
        .map(|part| format!("/v1/ns/a/-/{part}"));
    let of_request = url::tests::OF_REQUEST
        .iter()
        .map(|part| format!("/v1/requests/1{part}"));
    let fixed = url::tests::FIXED
        .iter()
        .chain(url::tests::OF_SCHEMA)
        .map(|path| (*path).to_owned());
    for path in in_namespace.chain(fixed).chain(of_request) {
        let resource = url::parse(&path).unwrap();
        let template = resource.template();
        let short = template
            .strip_prefix("/v1/ns/{namespace}/-/")
            .unwrap_or(template);
        for method in resource.methods() {
            assert!(
                reference.contains(&format!("`{method} {short}`")),
                "docs/API.md lacks `{method} {short}`"
            );
        }
    }
    for code in Code::ALL {
        let row = format!("| `{}` | {} |", code.as_str(), code.status().as_u16());
        assert!(reference.contains(&row), "docs/API.md lacks the row {row}");
    }
}

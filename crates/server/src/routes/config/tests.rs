//! Reading effective configuration: formats, encodings, freshness and rights.

use std::io::Read;

use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::harness::{Answer, TestServer};

const CONFIG: &str = "/v1/ns/a/-/config";

async fn server() -> TestServer {
    let server = TestServer::new().await;
    server.namespace("/a").await;
    server
        .publish("/", json!({ "region": "eu", "exact": 1, "retries": 3 }))
        .await;
    let path = "/v1/ns/a/-/drafts/setup/changes";
    let text = r#"{"changes": {"exact": {"value": 1.10}, "big": {"value": 9007199254740993},
        "limits": {"value": {"z": 1e2, "a": [true, "x"]}}, "stripe/api-version": {"value": "2025-01-01"}},
        "publish": true, "message": "as a test needs it"}"#;
    let asking = server
        .ask(Method::POST, path)
        .header("content-type", "application/json");
    assert_eq!(asking.body(text.into()).await.status, StatusCode::OK);
    server
}

async fn get(server: &TestServer, path: &str) -> Answer {
    server.get(path).send().await
}

#[tokio::test]
async fn every_format_keeps_every_digit() {
    let server = server().await;
    let mut all = String::new();
    for format in [
        "json",
        "yaml",
        "toml",
        "properties",
        "env",
        "dotenv",
        "flat",
    ] {
        let answer = get(&server, &format!("{CONFIG}?format={format}")).await;
        all += &format!(
            "{format} {} {}\n{}\n",
            answer.status.as_u16(),
            answer.header("content-type"),
            answer.text()
        );
    }
    insta::assert_snapshot!(all, @r#"
    json 200 application/json
    {"big":9007199254740993,"exact":1.10,"limits":{"z": 1e2, "a": [true, "x"]},"region":"eu","retries":3,"stripe/api-version":"2025-01-01"}
    yaml 200 application/yaml
    big: 9007199254740993
    exact: 1.10
    limits:
      z: 1e2
      a:
        - true
        - "x"
    region: "eu"
    retries: 3
    stripe/api-version: "2025-01-01"

    toml 200 application/toml
    big = 9007199254740993
    exact = 1.10
    limits = { z = 1e2, a = [true, "x"] }
    region = "eu"
    retries = 3
    "stripe/api-version" = "2025-01-01"

    properties 200 text/plain; charset=utf-8
    big=9007199254740993
    exact=1.10
    limits={"z":1e2,"a":[true,"x"]}
    region=eu
    retries=3
    stripe/api-version=2025-01-01

    env 200 text/plain; charset=utf-8
    BIG='9007199254740993'
    EXACT='1.10'
    LIMITS='{"z": 1e2, "a": [true, "x"]}'
    REGION='eu'
    RETRIES='3'
    STRIPE_API_VERSION='2025-01-01'

    dotenv 200 text/plain; charset=utf-8
    BIG="9007199254740993"
    EXACT="1.10"
    LIMITS="{\"z\": 1e2, \"a\": [true, \"x\"]}"
    REGION="eu"
    RETRIES="3"
    STRIPE_API_VERSION="2025-01-01"

    flat 200 text/plain; charset=utf-8
    big = 9007199254740993
    exact = 1.10
    limits#/z = 1e2
    limits#/a/0 = true
    limits#/a/1 = "x"
    region = "eu"
    retries = 3
    stripe/api-version = "2025-01-01"
    "#);
}

#[tokio::test]
async fn accept_chooses_a_format_too_and_each_has_its_tag() {
    let server = server().await;
    let json = get(&server, CONFIG).await;
    let yaml = server
        .get(CONFIG)
        .header("accept", "application/yaml")
        .send()
        .await;
    assert_eq!(yaml.header("content-type"), "application/yaml");
    assert_eq!(
        yaml.header("vary"),
        "accept, accept-encoding, confman-client"
    );
    assert_ne!(json.header("etag"), yaml.header("etag"));
    let odd = server
        .get(CONFIG)
        .header("accept", "text/html")
        .send()
        .await;
    assert_eq!(odd.outcome(), "406 not-acceptable");
    let unknown = get(&server, &format!("{CONFIG}?format=xml&origin=true")).await;
    assert_eq!(unknown.outcome(), "400 invalid-query");
}

#[tokio::test]
async fn what_a_format_cannot_say_names_the_key() {
    let server = server().await;
    server
        .publish("/a", json!({ "none": { "x": null }, "A": 1, "a": 2 }))
        .await;
    let toml = get(&server, &format!("{CONFIG}?format=toml")).await;
    insta::assert_snapshot!(toml.redacted(), @r#"
    {
      "type": "urn:confman:problem:inexpressible",
      "title": "the format cannot express it",
      "status": 422,
      "detail": "toml cannot express key `none` at `/x`: TOML has no null",
      "code": "inexpressible",
      "requestId": "[uuid]",
      "errors": [
        {
          "detail": "toml cannot express key `none` at `/x`: TOML has no null",
          "key": "none",
          "pointer": "/x"
        }
      ]
    }
    "#);
    let env = get(&server, &format!("{CONFIG}?format=env")).await;
    assert_eq!(env.outcome(), "422 inexpressible");
    assert_eq!(env.document()["errors"][0]["key"], "a");
}

#[tokio::test]
async fn a_prefix_and_the_origin_are_parts_of_one_document() {
    let server = server().await;
    let part = get(&server, &format!("{CONFIG}?prefix=stripe/")).await;
    assert_eq!(part.text(), r#"{"stripe/api-version":"2025-01-01"}"#);
    let none = get(&server, &format!("{CONFIG}?prefix=zzz&format=yaml")).await;
    assert_eq!((none.status, none.text().trim()), (StatusCode::OK, "{}"));
    let origin = get(&server, &format!("{CONFIG}?prefix=r&origin=true")).await;
    insta::assert_snapshot!(origin.redacted(), @r#"
    {
      "namespace": "/a",
      "basis": "[id]",
      "entries": [
        {
          "key": "region",
          "type": "string",
          "value": "eu",
          "size": 2,
          "namespace": "/"
        },
        {
          "key": "retries",
          "type": "number",
          "value": 3,
          "size": 1,
          "namespace": "/"
        }
      ]
    }
    "#);
    assert_eq!(part.header("etag"), origin.header("etag"));
}

#[tokio::test]
async fn drafts_are_read_by_ref_with_the_right() {
    let server = server().await;
    server
        .write(
            Method::PUT,
            "/v1/ns/a/-/entries/exact?draft=next",
            json!({ "value": 2 }),
        )
        .await;
    let draft = get(&server, &format!("{CONFIG}?ref=draft/next&prefix=exact")).await;
    assert_eq!(draft.text(), r#"{"exact":2}"#);
    let published = get(&server, &format!("{CONFIG}?prefix=exact")).await;
    assert_eq!(published.text(), r#"{"exact":1.10}"#);
    let twice = get(&server, &format!("{CONFIG}?ref=published&at=published")).await;
    assert_eq!(twice.outcome(), "400 invalid-query");
}

#[tokio::test]
async fn bodies_are_compressed_once_they_are_worth_it_and_their_tags_are_weak() {
    let server = server().await;
    let plain = server
        .get(CONFIG)
        .header("accept-encoding", "zstd, gzip")
        .send()
        .await;
    assert_eq!(plain.header("content-encoding"), "");
    server
        .publish("/a", json!({ "long": "configuration ".repeat(200) }))
        .await;
    let plain = get(&server, CONFIG).await;
    let basis = plain.header("etag").to_owned();
    for (accepts, encoding) in [("gzip", "gzip"), ("gzip, zstd", "zstd"), ("gzip", "gzip")] {
        let answer = server
            .get(CONFIG)
            .header("accept-encoding", accepts)
            .send()
            .await;
        assert_eq!(answer.header("content-encoding"), encoding);
        assert_eq!(answer.header("etag"), format!("W/{basis}"));
        let mut read = Vec::new();
        match encoding {
            "gzip" => {
                flate2::read::GzDecoder::new(&*answer.body)
                    .read_to_end(&mut read)
                    .unwrap();
            }
            _ => read = zstd::bulk::decompress(&answer.body, 1 << 20).unwrap(),
        }
        assert_eq!(read, plain.body);
        let again = server
            .get(CONFIG)
            .header("accept-encoding", accepts)
            .header("if-none-match", answer.header("etag"))
            .send()
            .await;
        assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    }
}

/// The second of two equal reads is answered without a thread that may block, by other code: it must
/// say the same.
#[tokio::test]
async fn the_answer_at_hand_is_the_answer() {
    let server = server().await;
    for (path, accept) in [
        (CONFIG, "application/json"),
        (CONFIG, "application/toml"),
        ("/v1/ns/a/-/config/limits", "*/*"),
        ("/v1/ns/a/-/config/limits", "text/plain"),
        ("/v1/ns/a/-/config/nothing", "*/*"),
        ("/v1/ns/b/-/config", "*/*"),
        (CONFIG, "image/png"),
    ] {
        let ask = |method| server.ask(method, path).header("accept", accept);
        let first = ask(Method::GET).send().await;
        let second = ask(Method::GET).send().await;
        let head = ask(Method::HEAD).send().await;
        let same = |answer: &Answer| {
            let mut headers = answer.headers.clone();
            headers.remove("confman-request-id");
            (answer.status, headers)
        };
        assert_eq!(same(&first), same(&second), "{path} {accept}");
        if first.status.is_success() {
            assert_eq!(first.body, second.body, "{path} {accept}");
            assert_eq!(head.header("content-length"), first.body.len().to_string());
        } else {
            assert_eq!(first.redacted(), second.redacted(), "{path} {accept}");
        }
        assert_eq!(head.status, first.status);
        assert!(head.body.is_empty());
    }
}

#[tokio::test]
async fn a_read_after_a_write_shows_it_wherever_in_the_chain_it_was() {
    let server = server().await;
    server.namespace("/a/b").await;
    let config = "/v1/ns/a/b/-/config?prefix=retries";
    for (namespace, value) in [("/", 4), ("/a", 5), ("/a/b", 6), ("/a", 7), ("/a/b", 8)] {
        get(&server, config).await;
        let published = server.publish(namespace, json!({ "retries": value })).await;
        let answer = get(&server, config).await;
        let expected = match (namespace, value) {
            ("/a", 7) => 6,
            _ => value,
        };
        assert_eq!(
            answer.document()["retries"],
            expected,
            "{namespace} {value}"
        );
        assert!(
            answer.header("confman-index").parse::<u64>().unwrap()
                >= published["index"].as_u64().unwrap()
        );
    }
    // Going back to what was, and taking away.
    server.publish("/a/b", json!({ "retries": null })).await;
    assert_eq!(get(&server, config).await.document()["retries"], 7);
}

#[tokio::test]
async fn documents_are_compiled_when_they_moved_and_only_then() {
    let server = server().await;
    let compiled = || server.app.repo().documents_status().compiled;
    for _ in 0..3 {
        get(&server, CONFIG).await;
    }
    let before = compiled();
    server.namespace("/other").await;
    server.publish("/other", json!({ "x": 1 })).await;
    for _ in 0..3 {
        get(&server, CONFIG).await;
    }
    assert_eq!(compiled(), before);
    server.publish("/", json!({ "x": 1 })).await;
    for _ in 0..3 {
        get(&server, CONFIG).await;
    }
    assert_eq!(compiled(), before + 1);
    assert!(server.app.repo().documents_status().hits > 3);
}

#[tokio::test]
async fn deprecated_keys_come_with_a_warning_while_the_schema_says_so() {
    let server = server().await;
    server.namespace("/b").await;
    server.publish("/b", json!({ "old": 1, "new": 2 })).await;
    let schema = |old| json!({ "type": "object", "properties": { "old": old } });
    let put = async |old| {
        let answer = server
            .ask(Method::PUT, "/v1/schemas/b")
            .json_owned(schema(old))
            .await;
        assert!(answer.status.is_success(), "{}", answer.text());
    };
    put(json!({ "x-confman-deprecated": "use `new`" })).await;
    let attached = json!({ "schema": { "$ref": "/schemas/b" } });
    let (repo, token) = (server.app.repo().clone(), server.token.clone());
    tokio::task::spawn_blocking(move || {
        let session = repo.session(repo.authenticate(&token).unwrap());
        let patch = confman_repo::DocumentChange::Merge(attached);
        let any = confman_repo::ExpectedHead::Any;
        session
            .update_namespace(&"/b".parse().unwrap(), &patch, any, false)
            .unwrap();
    })
    .await
    .unwrap();
    for path in ["/v1/ns/b/-/config", "/v1/ns/b/-/config/old"] {
        for _ in 0..2 {
            let answer = get(&server, path).await;
            assert_eq!(answer.header("deprecation"), "true", "{path}");
            assert_eq!(
                answer.header("warning"),
                "299 confman \"old is deprecated: use `new`\""
            );
        }
    }
    assert_eq!(
        get(&server, "/v1/ns/b/-/config/new")
            .await
            .header("deprecation"),
        ""
    );
    put(json!({})).await;
    assert_eq!(
        get(&server, "/v1/ns/b/-/config")
            .await
            .header("deprecation"),
        ""
    );
}

/// Once, who only ever asked whether something moved was never remembered, and took the long way
/// every time.
#[tokio::test]
async fn who_only_asks_whether_it_moved_is_answered_at_hand_too() {
    let server = server().await;
    let tag = get(&server, CONFIG).await.header("etag").to_owned();
    // A document that nobody has read since it moved and moved back.
    server.publish("/a", json!({ "exact": 2 })).await;
    let path = "/v1/ns/a/-/rollback";
    server
        .write(Method::POST, path, json!({ "to": "published~1" }))
        .await;
    let moved = server
        .get(CONFIG)
        .header("if-none-match", &tag)
        .send()
        .await;
    assert_eq!(moved.status, StatusCode::OK);
    let tag = moved.header("etag").to_owned();
    server.namespace("/b").await;
    let known = get(&server, "/v1/ns/b/-/config").await;
    assert_eq!(known.status, StatusCode::OK);
    let hits = || server.app.repo().documents_status().hits;
    let before = hits();
    for _ in 0..3 {
        let asking = server.get(CONFIG).header("if-none-match", &tag);
        let answer = asking.send().await;
        assert_eq!(answer.status, StatusCode::NOT_MODIFIED);
        assert_eq!(
            answer.header("vary"),
            "accept, accept-encoding, confman-client"
        );
    }
    assert!(hits() > before);
}

#[tokio::test]
async fn memory_for_documents_is_bounded() {
    let server = server().await;
    let value = "x".repeat(500_000);
    for index in 0..60 {
        let namespace = format!("/n{index}");
        server.namespace(&namespace).await;
        server.publish(&namespace, json!({ "v": value })).await;
        let answer = get(&server, &format!("/v1/ns{namespace}/-/config")).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    let status = server.app.repo().documents_status();
    assert!(
        status.bytes <= crate::harness::DOCUMENTS_BYTES as u64,
        "{status:?}"
    );
    assert!(status.evicted > 0, "{status:?}");
    let answer = get(&server, "/v1/ns/n0/-/config").await;
    assert_eq!(answer.document()["v"], value);
}

#[tokio::test]
async fn a_waiting_reader_is_told_of_its_own_namespace_only() {
    let server = server().await;
    server.namespace("/other").await;
    let known = get(&server, CONFIG).await;
    let waiting = server
        .get(CONFIG)
        .header("if-none-match", known.header("etag"))
        .header("prefer", "wait=60")
        .send();
    let publishing = async {
        server.publish("/other", json!({ "x": 1 })).await;
        server.publish("/", json!({ "region": "us" })).await;
    };
    let (answer, ()) = tokio::join!(waiting, publishing);
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.document()["region"], "us");
    assert_ne!(answer.header("etag"), known.header("etag"));
}

#[tokio::test]
async fn a_part_of_the_readers_gets_what_is_published_gradually() {
    let server = server().await;
    let path = "/v1/ns/a/-/drafts/d/changes";
    let change = json!({ "changes": { "exact": { "value": 3 }, "region": { "value": "us" } } });
    server.write(Method::POST, path, change).await;
    let request = json!({
        "title": "t",
        "targets": [{ "namespace": "/a", "draft": "d" }],
        "stages": [{ "percent": 50, "for": "1h 30m" }],
    });
    let made = server.ask(Method::POST, "/v1/requests").json(&request);
    let made = made.await.document();
    assert_eq!(made["stages"], json!([{ "percent": 50, "for": "1h 30m" }]));
    let begun = server.ask(Method::POST, "/v1/requests/1/publish");
    let begun = begun.json(&json!({})).await.document();
    assert_eq!(
        (&begun["state"], &begun["rollout"]["percent"]),
        (&json!("rolling_out"), &json!(50))
    );

    let client = |served: bool| {
        let mut all = (0..).map(|at| format!("pod-{at}"));
        all.find(|client| confman_repo::policy::request::is_served(1, client, 50) == served)
            .unwrap()
    };
    let (new, old) = (client(true), client(false));
    let of = |client: String, path: &'static str| {
        let asking = server.get(path).header("confman-client", &client);
        async move { asking.send().await }
    };
    // Twice each: the second is answered at hand.
    for _ in 0..2 {
        let (has, has_not) = (of(new.clone(), CONFIG).await, of(old.clone(), CONFIG).await);
        assert_eq!(has.document()["region"], "us");
        assert_eq!(has_not.document()["region"], "eu");
        assert_ne!(has.header("etag"), has_not.header("etag"));
        assert_eq!(
            get(&server, CONFIG).await.header("etag"),
            has_not.header("etag")
        );
        let value = of(new.clone(), "/v1/ns/a/-/config/region").await;
        assert_eq!(value.document()["value"], "us");
        let known = server.get(CONFIG).header("confman-client", &new);
        let known = known
            .header("if-none-match", has.header("etag"))
            .send()
            .await;
        assert_eq!(known.status, StatusCode::NOT_MODIFIED);
    }
    let flags = json!({ "context": { "namespace": "/a", "targetingKey": new } });
    let flag = server.ask(Method::POST, "/ofrep/v1/evaluate/flags/region");
    assert_eq!(flag.json(&flags).await.document()["value"], "us");
    let odd = server
        .get(CONFIG)
        .header("confman-client", &"x".repeat(257));
    assert_eq!(odd.send().await.outcome(), "400 invalid-header");

    let aborted = server.ask(Method::POST, "/v1/requests/1/abort");
    let aborted = aborted
        .json(&json!({ "reason": "errors" }))
        .await
        .document();
    assert_eq!(aborted["state"], "suspended");
    assert_eq!(of(new, CONFIG).await.document()["region"], "eu");
}

//! What the routes answer, on a real store.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::harness::TestServer;

#[tokio::test]
async fn namespaces_are_made_listed_and_read() {
    let server = TestServer::new().await;
    let document =
        json!({ "path": "/teams", "displayName": "Teams", "owner": "platform@company.com" });
    let made = server
        .ask(Method::POST, "/v1/namespaces")
        .json(&document)
        .await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(made.header("location"), "/v1/ns/teams/-/namespace");
    insta::assert_snapshot!(made.redacted(), @r#"
    {
      "path": "/teams",
      "displayName": "Teams",
      "owner": "platform@company.com",
      "inherit": true,
      "roles": {
        "admin": [],
        "publisher": [],
        "editor": [],
        "viewer": []
      },
      "settings": {},
      "metadata": {
        "created": "[time]",
        "createdBy": "admin",
        "updated": "[time]",
        "updatedBy": "admin"
      }
    }
    "#);
    let again = server
        .ask(Method::POST, "/v1/namespaces")
        .json(&document)
        .await;
    assert_eq!(again.outcome(), "409 already-exists");
    let orphan = server
        .ask(Method::POST, "/v1/namespaces")
        .json(&json!({ "path": "/x/y" }))
        .await;
    assert_eq!(orphan.outcome(), "404 not-found");
    server.namespace("/teams/payments").await;
    let list = server.get("/v1/namespaces?prefix=/teams").send().await;
    insta::assert_snapshot!(list.redacted(), @r#"
    {
      "items": [
        {
          "path": "/teams",
          "displayName": "Teams",
          "owner": "platform@company.com",
          "keys": 0
        },
        {
          "path": "/teams/payments",
          "keys": 0
        }
      ]
    }
    "#);
    let root = server.get("/v1/ns/-/namespace").send().await;
    assert_eq!(root.document()["path"], "/");
    let known = server
        .get("/v1/ns/-/namespace")
        .header("if-none-match", root.header("etag"))
        .send()
        .await;
    assert_eq!(known.status, StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn an_entry_is_drafted_published_and_read_from_both_sides() {
    let server = TestServer::new().await;
    server.namespace("/a").await;
    let path = "/v1/ns/a/-/entries/stripe/api-version?draft=d&message=new+API";
    let write = json!({ "type": "string", "value": "2025-01-01", "description": "the API", "tags": ["pci"] });
    let drafted = server.ask(Method::PUT, path).json(&write).await;
    insta::assert_snapshot!(drafted.redacted(), @r#"
    {
      "namespace": "/a",
      "draft": "d",
      "commit": "[id]",
      "tree": "[id]",
      "index": "[n]"
    }
    "#);
    let head = drafted.header("confman-commit").to_owned();
    let published = server
        .write(
            Method::POST,
            "/v1/ns/a/-/publish",
            json!({ "draft": "d", "expectedHead": head }),
        )
        .await;
    assert_eq!(published["keys"], json!(["stripe/api-version"]));
    server
        .write(
            Method::PUT,
            "/v1/ns/a/-/entries/stripe/api-version?draft=e",
            json!({ "value": "2026-01-01" }),
        )
        .await;
    let entry = server
        .get("/v1/ns/a/-/entries/stripe/api-version")
        .send()
        .await;
    insta::assert_snapshot!(entry.redacted(), @r#"
    {
      "namespace": "/a",
      "key": "stripe/api-version",
      "type": "string",
      "description": "the API",
      "published": {
        "value": "2025-01-01",
        "version": 1,
        "publishedAt": "[time]",
        "publishedBy": "admin"
      },
      "draft": {
        "value": "2026-01-01",
        "version": 2,
        "state": "draft",
        "updatedAt": "[time]",
        "updatedBy": "admin",
        "name": "e"
      },
      "metadata": {
        "created": "[time]",
        "createdBy": "admin",
        "tags": [
          "pci"
        ]
      }
    }
    "#);
}

#[tokio::test]
async fn all_six_types_and_a_tombstone_survive_the_way_there_and_back() {
    let server = TestServer::new().await;
    server.namespace("/a").await;
    let changes = r#"{"changes": {
        "binary": {"type": "binary", "value": "AP8=", "mediaType": "image/png"},
        "boolean": {"value": true},
        "json": {"value": {"z": 1.10, "a": [1e300, "é"]}},
        "number": {"value": 9223372036854775808},
        "secret": {"type": "secret-ref", "value": "vault://kv/payments#key"},
        "string": {"value": "a\nb"},
        "tombstone": {"unset": true}
    }, "publish": true}"#;
    let asking = server.ask(Method::POST, "/v1/ns/a/-/drafts/d/changes");
    let answer = asking.body(changes.into()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    // As text: a parsed number would no longer show its digits.
    let list = server.get("/v1/ns/a/-/entries").send().await;
    insta::assert_snapshot!(list.text(), @r#"{"items":[{"key":"binary","type":"binary","value":"AP8=","size":2,"mediaType":"image/png"},{"key":"boolean","type":"boolean","value":true,"size":4},{"key":"json","type":"json","value":{"z": 1.10, "a": [1e300, "é"]},"size":31},{"key":"number","type":"number","value":9223372036854775808,"size":19},{"key":"secret","type":"secret-ref","value":"vault://kv/payments#key","size":23},{"key":"string","type":"string","value":"a\nb","size":3},{"key":"tombstone","unset":true,"size":0}]}"#);
    let values = server.get("/v1/ns/a/-/config").send().await;
    insta::assert_snapshot!(values.text(), @r#"{"binary":"AP8=","boolean":true,"json":{"z": 1.10, "a": [1e300, "é"]},"number":9223372036854775808,"secret":"vault://kv/payments#key","string":"a\nb"}"#);
}

#[tokio::test]
async fn values_are_inherited_and_hidden() {
    let server = TestServer::new().await;
    server.namespace("/a").await;
    server.namespace("/a/b").await;
    server
        .publish("/", json!({ "region": "eu", "level": 1 }))
        .await;
    server.publish("/a", json!({ "level": 2 })).await;
    let put = server
        .ask(Method::PUT, "/v1/ns/a/b/-/entries/region?publish=true")
        .json(&json!({ "unset": true }))
        .await;
    assert_eq!(put.status, StatusCode::OK, "{}", put.text());
    let config = server.get("/v1/ns/a/b/-/config").send().await;
    assert_eq!(config.text(), r#"{"level":2}"#);
    let origin = server.get("/v1/ns/a/b/-/config?origin=true").send().await;
    insta::assert_snapshot!(origin.redacted(), @r#"
    {
      "namespace": "/a/b",
      "basis": "[id]",
      "entries": [
        {
          "key": "level",
          "type": "number",
          "value": 2,
          "size": 1,
          "namespace": "/a"
        }
      ]
    }
    "#);
    assert_eq!(
        server
            .get("/v1/ns/a/b/-/config/region")
            .send()
            .await
            .outcome(),
        "404 not-found"
    );
    let level = server.get("/v1/ns/a/b/-/config/level").send().await;
    assert_eq!(level.document()["namespace"], "/a");
}

#[tokio::test]
async fn one_value_comes_raw_where_that_is_accepted() {
    let server = TestServer::new().await;
    server
        .publish(
            "/",
            json!({ "greeting": "grüß\n", "limits": { "b": 1, "a": 2 } }),
        )
        .await;
    let put = json!({ "type": "binary", "value": "AP8=" });
    server
        .write(Method::PUT, "/v1/ns/-/entries/image?publish=true", put)
        .await;
    let raw = |key: &str, accept: &'static str| {
        server
            .get(&format!("/v1/ns/-/config/{key}"))
            .header("accept", accept)
    };
    let text = raw("greeting", "text/plain").send().await;
    assert_eq!(
        (text.text().as_str(), text.header("content-type")),
        ("grüß\n", "text/plain; charset=utf-8")
    );
    assert_eq!(text.header("vary"), "accept, confman-client");
    assert_eq!(
        raw("limits", "text/plain").send().await.text(),
        r#"{"b":1,"a":2}"#
    );
    let image = raw("image", "application/octet-stream").send().await;
    assert_eq!(
        (image.body.as_slice(), image.header("content-type")),
        (&[0, 255][..], "application/octet-stream")
    );
    assert_eq!(
        raw("image", "text/plain").send().await.outcome(),
        "406 not-acceptable"
    );
    let json = server.get("/v1/ns/-/config/greeting").send().await;
    assert_ne!(json.header("etag"), text.header("etag"));
}

#[tokio::test]
async fn a_reader_that_knows_the_basis_gets_304_and_is_woken_by_a_change() {
    let server = TestServer::new().await;
    server.namespace("/a").await;
    server.publish("/", json!({ "k": 1 })).await;
    let first = server.get("/v1/ns/a/-/config").send().await;
    let etag = first.header("etag").to_owned();
    let ask = || {
        server
            .get("/v1/ns/a/-/config")
            .header("if-none-match", &etag)
    };
    let known = ask().send().await;
    assert_eq!(
        (known.status, known.body.len()),
        (StatusCode::NOT_MODIFIED, 0)
    );
    assert_eq!(known.header("etag"), etag);
    let none = ask().header("prefer", "wait=0").send().await;
    assert_eq!(none.status, StatusCode::NOT_MODIFIED);
    // The change is made above the namespace, while the reader waits below.
    let waiting = ask().header("prefer", "wait=60").send();
    let (woken, _) = tokio::time::timeout(Duration::from_secs(30), async {
        tokio::join!(waiting, server.publish("/", json!({ "k": 2 })))
    })
    .await
    .unwrap();
    assert_eq!(
        (woken.status, woken.text().as_str()),
        (StatusCode::OK, r#"{"k":2}"#)
    );
}

#[tokio::test]
async fn a_write_names_the_head_it_has_seen() {
    let server = TestServer::new().await;
    server.namespace("/a").await;
    let put = |value: u32| {
        let asking = server.ask(Method::PUT, "/v1/ns/a/-/entries/k?draft=d");
        (asking, json!({ "value": value }))
    };
    let (asking, document) = put(1);
    let first = asking.header("if-none-match", "*").json(&document).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text());
    let head = format!("\"{}\"", first.header("confman-commit"));
    let (asking, document) = put(2);
    assert_eq!(
        asking
            .header("if-none-match", "*")
            .json(&document)
            .await
            .outcome(),
        "412 precondition-failed"
    );
    let (asking, document) = put(2);
    assert_eq!(
        asking
            .header("if-match", &head)
            .json(&document)
            .await
            .status,
        StatusCode::OK
    );
    let (asking, document) = put(3);
    assert_eq!(
        asking
            .header("if-match", &head)
            .json(&document)
            .await
            .outcome(),
        "412 precondition-failed"
    );
    let stale = json!({ "changes": { "k": null }, "expectedHead": "" });
    let answer = server
        .ask(Method::POST, "/v1/ns/a/-/drafts/d/changes")
        .json(&stale)
        .await;
    assert_eq!(answer.outcome(), "409 stale");
    let draft = server.get("/v1/ns/a/-/drafts/d").send().await;
    let remove = || server.ask(Method::DELETE, "/v1/ns/a/-/drafts/d");
    assert_eq!(
        remove().header("if-match", &head).send().await.outcome(),
        "412 precondition-failed"
    );
    assert_eq!(
        remove()
            .header("if-match", draft.header("etag"))
            .send()
            .await
            .status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(remove().send().await.outcome(), "404 not-found");
}

#[tokio::test]
async fn a_repeated_write_with_one_idempotency_key_happens_once() {
    let server = TestServer::new().await;
    server.namespace("/a").await;
    let write = |value: u32| {
        let asking = server
            .ask(Method::PUT, "/v1/ns/a/-/entries/k?publish=true")
            .header("idempotency-key", "deploy 7");
        (asking, json!({ "value": value }))
    };
    let (asking, document) = write(1);
    let first = asking.json(&document).await;
    let (asking, document) = write(1);
    let second = asking.json(&document).await;
    assert_eq!(
        (second.status, second.document()),
        (StatusCode::OK, first.document())
    );
    let (asking, document) = write(2);
    assert_eq!(
        asking.json(&document).await.outcome(),
        "409 idempotency-key-reused"
    );
}

#[tokio::test]
async fn pages_lead_to_one_another_and_show_one_state() {
    let server = TestServer::new().await;
    server.publish("/", json!({ "a": 1, "b": 2, "c": 3 })).await;
    let first = server
        .get("/v1/ns/-/entries?limit=2&values=false")
        .send()
        .await;
    let next = first.document()["next"].as_str().unwrap().to_owned();
    assert_eq!(
        first.header("link"),
        format!("</v1/ns/-/entries?limit=2&values=false&cursor={next}>; rel=\"next\"")
    );
    server.publish("/", json!({ "c": null, "d": 4 })).await;
    let second = server
        .get(&format!("/v1/ns/-/entries?limit=2&cursor={next}"))
        .send()
        .await
        .document();
    assert_eq!(second["items"][0]["key"], "c");
    assert_eq!(second["items"].as_array().unwrap().len(), 1);
    assert!(second.get("next").is_none());
    let elsewhere = server
        .get(&format!("/v1/ns/-/log?cursor={next}"))
        .send()
        .await;
    assert_eq!(elsewhere.outcome(), "400 invalid-query");
}

#[tokio::test]
async fn history_log_blame_and_comparison_tell_what_happened() {
    let server = TestServer::new().await;
    server.publish("/", json!({ "k": 1, "other": true })).await;
    server.publish("/", json!({ "k": 2 })).await;
    server.publish("/", json!({ "k": null })).await;
    let history = server.get("/v1/ns/-/history/k").send().await;
    insta::assert_snapshot!(history.redacted(), @r#"
    {
      "namespace": "/",
      "key": "k",
      "versions": [
        {
          "version": 3,
          "removed": true,
          "publishedAt": "[time]",
          "publishedBy": "admin",
          "commit": "[id]",
          "message": "as a test needs it",
          "raftTerm": "[n]",
          "raftIndex": "[n]"
        },
        {
          "version": 2,
          "type": "number",
          "value": 2,
          "publishedAt": "[time]",
          "publishedBy": "admin",
          "commit": "[id]",
          "message": "as a test needs it",
          "raftTerm": "[n]",
          "raftIndex": "[n]"
        },
        {
          "version": 1,
          "type": "number",
          "value": 1,
          "publishedAt": "[time]",
          "publishedBy": "admin",
          "commit": "[id]",
          "message": "as a test needs it",
          "raftTerm": "[n]",
          "raftIndex": "[n]"
        }
      ]
    }
    "#);
    let page = server
        .get("/v1/ns/-/history/k?limit=1")
        .send()
        .await
        .document();
    let next = page["next"].as_str().unwrap();
    let second = server
        .get(&format!("/v1/ns/-/history/k?limit=1&cursor={next}"))
        .send()
        .await
        .document();
    assert_eq!(second["versions"][0]["version"], 2);
    let log = server.get("/v1/ns/-/log").send().await.document();
    assert_eq!(log["items"].as_array().unwrap().len(), 3);
    let of_key = server.get("/v1/ns/-/log?key=other").send().await.document();
    assert_eq!(of_key["items"].as_array().unwrap().len(), 1);
    let commit = server.get("/v1/ns/-/commits/published~2").send().await;
    assert_eq!(commit.document()["id"], log["items"][2]["id"]);
    insta::assert_snapshot!(commit.redacted(), @r#"
    {
      "id": "[id]",
      "tree": "[id]",
      "parents": [],
      "generation": 1,
      "namespace": "/",
      "author": {
        "principal": "admin",
        "name": "Administrator"
      },
      "authoredAt": "[time]",
      "committer": {
        "principal": "admin",
        "name": "Administrator"
      },
      "committedAt": "[time]",
      "changeId": "[id]",
      "message": "as a test needs it",
      "keys": 2
    }
    "#);
    let blame = server.get("/v1/ns/-/blame").send().await;
    insta::assert_snapshot!(blame.redacted(), @r#"
    {
      "items": [
        {
          "key": "other",
          "version": 1,
          "commit": "[id]",
          "author": "admin",
          "at": "[time]",
          "message": "as a test needs it"
        }
      ]
    }
    "#);
    let compared = server
        .get("/v1/ns/-/compare?from=published~2&to=published~1")
        .send()
        .await;
    insta::assert_snapshot!(compared.redacted(), @r#"
    {
      "from": {
        "namespace": "/",
        "commit": "[id]",
        "tree": "[id]"
      },
      "to": {
        "namespace": "/",
        "commit": "[id]",
        "tree": "[id]"
      },
      "changes": [
        {
          "key": "k",
          "kind": "changed",
          "old": {
            "key": "k",
            "type": "number",
            "value": 1,
            "size": 1
          },
          "new": {
            "key": "k",
            "type": "number",
            "value": 2,
            "size": 1
          }
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn a_roll_back_brings_the_old_tree_back() {
    let server = TestServer::new().await;
    let old = server.publish("/", json!({ "k": 1 })).await;
    let new = server.publish("/", json!({ "k": 2 })).await;
    let stale = json!({ "to": "published~1", "expectedHead": old["commit"] });
    assert_eq!(
        server
            .ask(Method::POST, "/v1/ns/-/rollback")
            .json(&stale)
            .await
            .outcome(),
        "409 stale"
    );
    let roll_back =
        json!({ "to": "published~1", "expectedHead": new["commit"], "message": "too much" });
    let done = server
        .write(Method::POST, "/v1/ns/-/rollback", roll_back)
        .await;
    assert_eq!(
        (&done["tree"], &done["previous"]),
        (&old["tree"], &new["commit"])
    );
    assert_eq!(
        server.get("/v1/ns/-/config").send().await.text(),
        r#"{"k":1}"#
    );
    let unknown = json!({ "to": "published~9" });
    assert_eq!(
        server
            .ask(Method::POST, "/v1/ns/-/rollback")
            .json(&unknown)
            .await
            .outcome(),
        "404 not-found"
    );
}

#[tokio::test]
async fn what_changed_on_both_sides_is_a_conflict_that_names_the_keys() {
    let server = TestServer::new().await;
    server.publish("/", json!({ "k": 1 })).await;
    server
        .write(
            Method::PUT,
            "/v1/ns/-/entries/k?draft=mine",
            json!({ "value": 2 }),
        )
        .await;
    server.publish("/", json!({ "k": 3 })).await;
    let answer = server
        .ask(Method::POST, "/v1/ns/-/publish")
        .json(&json!({ "draft": "mine" }))
        .await;
    insta::assert_snapshot!(answer.redacted(), @r#"
    {
      "type": "urn:confman:problem:conflict",
      "title": "there are conflicts",
      "status": 409,
      "detail": "`k` changed in `/` since the draft began",
      "code": "conflict",
      "requestId": "[uuid]",
      "errors": [
        {
          "detail": "`k` was changed in what is published and changed in the draft",
          "key": "k"
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn tags_name_commits_for_good() {
    let server = TestServer::new().await;
    let published = server.publish("/", json!({ "k": 1 })).await;
    let put = |revision: &str| {
        server
            .ask(Method::PUT, "/v1/ns/-/tags/v1")
            .json_owned(json!({ "revision": revision }))
    };
    assert_eq!(put("published").await.status, StatusCode::CREATED);
    server.publish("/", json!({ "k": 2 })).await;
    assert_eq!(put("published~1").await.status, StatusCode::OK);
    assert_eq!(put("published").await.outcome(), "409 already-exists");
    let tags = server.get("/v1/ns/-/tags").send().await.document();
    assert_eq!(
        tags["items"],
        json!([{ "name": "v1", "commit": published["commit"] }])
    );
    assert_eq!(
        server.get("/v1/ns/-/config?at=v1").send().await.text(),
        r#"{"k":1}"#
    );
    assert_eq!(
        server
            .ask(Method::DELETE, "/v1/ns/-/tags/v1")
            .send()
            .await
            .status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        server.get("/v1/ns/-/tags/v1").send().await.outcome(),
        "404 not-found"
    );
}

#[tokio::test]
async fn the_audit_log_is_a_page_or_lines() {
    let server = TestServer::new().await;
    server.namespace("/a").await;
    server.publish("/a", json!({ "k": 1 })).await;
    let page = server
        .get("/v1/operations?namespace=/a&limit=1")
        .send()
        .await;
    insta::assert_snapshot!(page.redacted(), @r#"
    {
      "items": [
        {
          "id": "[id]",
          "parent": "[id]",
          "index": "[n]",
          "term": "[n]",
          "at": "[time]",
          "actor": "admin",
          "action": "draft.change-and-publish",
          "namespace": "/a",
          "refs": [
            {
              "name": "/a@published",
              "new": "[id]"
            }
          ],
          "detail": {
            "namespace": "/a",
            "draft": "setup",
            "keys": 1,
            "requestId": "[uuid]"
          }
        }
      ],
      "next": "b3BlcmF0aW9ucyAz"
    }
    "#);
    let lines = server
        .get("/v1/operations")
        .header("accept", "application/x-ndjson")
        .send()
        .await;
    assert_eq!(lines.header("content-type"), "application/x-ndjson");
    let all: Vec<serde_json::Value> = lines
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(all.len(), 3);
    for pair in all.windows(2) {
        assert_eq!(pair[0]["parent"], pair[1]["id"]);
    }
}

#[tokio::test]
async fn what_is_fetched_can_be_pushed_as_a_draft() {
    let server = TestServer::new().await;
    server.namespace("/a").await;
    server.publish("/a", json!({ "k": 1 })).await;
    let fetch = server
        .ask(Method::POST, "/v1/ns/a/-/fetch")
        .json(&json!({ "want": ["published"] }))
        .await;
    assert_eq!(
        (fetch.status, fetch.header("content-type")),
        (StatusCode::OK, confman_api::MEDIA_TYPE_PACK)
    );
    let line_end = fetch.body.iter().position(|byte| *byte == b'\n').unwrap();
    let (head, pack) = (&fetch.body[..line_end], &fetch.body[line_end + 1..]);
    let head: serde_json::Value = serde_json::from_slice(head).unwrap();
    let commit = head["refs"][0]["commit"].as_str().unwrap();
    let edit = json!({ "edits": [{ "namespace": "/a", "ref": "draft/pushed", "new": commit }] });
    let push = |head: &serde_json::Value, pack: &[u8]| {
        let body = [head.to_string().as_bytes(), b"\n", pack].concat();
        let asking = server
            .ask(Method::POST, "/v1/ns/a/-/push")
            .header("content-type", confman_api::MEDIA_TYPE_PACK);
        asking.body(body.into())
    };
    let mut damaged = pack.to_vec();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    assert_eq!(push(&edit, &damaged).await.outcome(), "400 invalid-pack");
    assert_eq!(
        push(&edit, &pack[..middle]).await.outcome(),
        "400 invalid-pack"
    );
    let pushed = push(&edit, pack).await;
    assert_eq!(pushed.status, StatusCode::OK, "{}", pushed.text());
    assert_eq!(push(&edit, pack).await.outcome(), "409 stale");
    assert_eq!(
        push(
            &json!({ "edits": [{ "namespace": "A", "ref": "tag/x", "new": "0" }] }),
            pack
        )
        .await
        .outcome(),
        "400 invalid"
    );
    let no_line = server
        .ask(Method::POST, "/v1/ns/a/-/push")
        .header("content-type", confman_api::MEDIA_TYPE_PACK);
    assert_eq!(no_line.body("{".into()).await.outcome(), "400 invalid-body");
    assert_eq!(
        server
            .ask(Method::POST, "/v1/ns/a/-/push")
            .json(&edit)
            .await
            .outcome(),
        "415 unsupported-media-type"
    );
}

#[tokio::test]
async fn the_system_tells_what_it_is_and_that_all_is_well() {
    let server = TestServer::new().await;
    server.publish("/", json!({ "k": 1 })).await;
    insta::assert_snapshot!(server.get("/v1/whoami").send().await.redacted(), @r#"
    {
      "principal": "admin",
      "kind": "user",
      "name": "Administrator",
      "groups": [],
      "token": {
        "id": "[id]",
        "name": "made with the store"
      },
      "draft": "admin"
    }
    "#);
    insta::assert_snapshot!(server.get("/version").send().await.redacted(), @r#"
    {
      "version": "0.1.0",
      "api": 1,
      "clusterId": "[id]"
    }
    "#);
    assert_eq!(server.get("/healthz").send().await.text(), "ok\n");
    let ready = server.get("/readyz").send().await.document();
    assert_eq!(ready["ready"], true);
    let report = server.ask(Method::POST, "/v1/fsck").send().await.document();
    assert_eq!(report["problems"], json!([]));
    assert!(report["operations"].as_u64().unwrap() >= 2);
}

#[tokio::test]
async fn figures_tell_of_routes_and_of_the_store_and_name_nobody() {
    let server = TestServer::new().await;
    server.namespace("/hidden-project").await;
    server
        .publish("/hidden-project", json!({ "hidden-key": 1 }))
        .await;
    for _ in 0..2 {
        let answer = server.get("/v1/ns/hidden-project/-/config").send().await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    server.get("/v1/ns/nowhere/-/config").send().await;
    let figures = server.get("/metrics").without_token().send().await;
    assert!(
        figures
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    let text = figures.text();
    let config = "/v1/ns/{namespace}/-/config";
    for line in [
        format!(
            "confman_http_requests_total{{route=\"{config}\",method=\"GET\",status=\"200\"}} 2"
        ),
        format!(
            "confman_http_requests_total{{route=\"{config}\",method=\"GET\",status=\"404\"}} 1"
        ),
        format!("confman_http_request_seconds_count{{route=\"{config}\"}} 3"),
        "confman_publishes_total 1".to_owned(),
        "confman_document_compilations_total 1".to_owned(),
        "confman_document_hits_total 1".to_owned(),
        "confman_log_apply_lag 0".to_owned(),
        "confman_ready 1".to_owned(),
        "confman_watchers 0".to_owned(),
        "# EOF".to_owned(),
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in\n{text}"
        );
    }
    assert!(!text.contains("hidden"), "{text}");
}

/// The dashboard, the rules and the list of figures speak of figures that there are.
#[tokio::test]
async fn what_operators_are_given_names_figures_that_there_are() {
    let server = TestServer::new().await;
    server.namespace("/a").await;
    server.app.metrics().watch_ended("slow");
    server.app.metrics().resolution_ended("resolved");
    let figures = server.get("/metrics").send().await.text();
    let known: std::collections::BTreeSet<&str> = figures
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    for file in [
        include_str!("../../../../docs/operations/grafana.json"),
        include_str!("../../../../docs/operations/alerts.yaml"),
        include_str!("../../../../docs/operations/README.md"),
    ] {
        let mut named = 0;
        for (at, _) in file.match_indices("confman_") {
            let rest = &file[at..];
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap();
            let name = rest[..end]
                .trim_end_matches("_bucket")
                .trim_end_matches("_total");
            let is_group = rest[end..].starts_with('*') || name == "confman_server";
            assert!(
                is_group || known.contains(name),
                "there is no figure {name}"
            );
            named += 1;
        }
        assert!(named > 5);
    }
}

#[tokio::test]
async fn schemas_are_written_attached_and_enforced() {
    let server = TestServer::new().await;
    server.namespace("/teams").await;
    let rules = json!({ "properties": { "timeout": { "type": "integer", "maximum": 60 } } });
    let path = "/v1/schemas/teams/base";
    let made = server.ask(Method::PUT, path).json(&rules).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(made.header("location"), "/v1/schemas/teams/base");
    let wrong = server
        .ask(Method::PUT, path)
        .json(&json!({ "type": "strng", "x-confman-what": 1 }))
        .await;
    assert_eq!(wrong.outcome(), "400 invalid");
    let document = json!({
        "path": "/teams/payments",
        "schema": { "$ref": "/schemas/teams/base" },
    });
    let attached = server
        .ask(Method::POST, "/v1/namespaces")
        .json(&document)
        .await;
    assert_eq!(attached.status, StatusCode::CREATED);
    let unknown = json!({ "path": "/teams/x", "schema": { "$ref": "/schemas/nowhere" } });
    let unknown = server
        .ask(Method::POST, "/v1/namespaces")
        .json(&unknown)
        .await;
    assert_eq!(unknown.outcome(), "400 invalid");

    let entry = "/v1/ns/teams/payments/-/entries/timeout?publish=true";
    let refused = server
        .ask(Method::PUT, entry)
        .json(&json!({ "value": 61 }))
        .await;
    assert_eq!(refused.outcome(), "422 schema-violation");
    insta::assert_snapshot!(
        serde_json::to_string_pretty(&refused.document()["errors"]).unwrap(),
        @r#"
    [
      {
        "detail": "it is greater than the maximum of 60",
        "key": "timeout",
        "pointer": "/timeout",
        "namespace": "/teams/payments",
        "keyword": "maximum",
        "schema": "/schemas/teams/base",
        "schemaPointer": "/properties/timeout/maximum",
        "attachedBy": "/teams/payments"
      }
    ]
    "#
    );
    let done = server
        .ask(Method::PUT, entry)
        .json(&json!({ "value": 60 }))
        .await;
    assert_eq!(done.status, StatusCode::OK);

    let narrower = json!({ "properties": { "timeout": { "type": "integer", "maximum": 30 } } });
    let checked = server
        .ask(Method::POST, "/v1/schemas/teams/base/-/check")
        .json(&narrower)
        .await
        .document();
    assert_eq!(checked["valid"], false);
    assert_eq!(checked["change"]["direction"], "narrows");
    assert_eq!(checked["violations"][0]["namespace"], "/teams/payments");
    let refused = server.ask(Method::PUT, path).json(&narrower).await;
    assert_eq!(refused.outcome(), "422 schema-violation");
    let forced = server
        .ask(Method::PUT, "/v1/schemas/teams/base?force=true")
        .json(&narrower)
        .await
        .document();
    assert_eq!(forced["schema"]["version"], 2);
    assert_eq!(forced["broken"][0]["key"], "timeout");

    let validated = server
        .ask(Method::POST, "/v1/ns/teams/payments/-/validate")
        .json(&json!({ "changes": { "timeout": { "value": 31 } } }))
        .await
        .document();
    assert_eq!(validated["valid"], false);
    let preview = server
        .ask(Method::POST, "/v1/ns/teams/payments/-/preview")
        .json(&json!({ "changes": { "timeout": { "value": 30 } } }))
        .await
        .document();
    assert_eq!(preview["namespaces"][0]["changes"][0]["new"]["value"], 30);
    assert_eq!(preview["violations"], json!([]));
    let editor = server
        .get("/v1/ns/teams/payments/-/editor.schema.json")
        .send()
        .await
        .document();
    assert_eq!(
        editor["properties"]["timeout"]["properties"]["value"]["allOf"][0]["$ref"],
        "confman:///schemas/teams/base#/properties/timeout"
    );
    let inferred = server
        .get("/v1/ns/teams/payments/-/inferred.schema.json")
        .send()
        .await
        .document();
    assert_eq!(inferred["properties"]["timeout"]["type"], "integer");

    let history = server
        .get("/v1/schemas/teams/base/-/history?limit=1")
        .send()
        .await
        .document();
    assert_eq!(history["items"][0]["version"], 2);
    assert!(history["next"].is_string());
    let listed = server
        .get("/v1/schemas?prefix=/teams")
        .send()
        .await
        .document();
    assert_eq!(listed["items"][0]["path"], "/schemas/teams/base");
    let used = server.ask(Method::DELETE, path).send().await;
    assert_eq!(used.outcome(), "409 in-use");
    let due = server.get("/v1/rotations").send().await.document();
    assert_eq!(due["items"], json!([]));
}

#[tokio::test]
async fn a_document_is_replaced_patched_and_kept_in_its_versions() {
    let server = TestServer::new().await;
    server.namespace("/a").await;
    let path = "/v1/ns/a/-/namespace";
    let patched = server
        .ask(Method::PATCH, path)
        .header("content-type", "application/merge-patch+json")
        .json(&json!({ "owner": "team", "roles": { "editor": ["nobody"] } }))
        .await;
    insta::assert_snapshot!(patched.redacted(), @r#"
    {
      "document": {
        "path": "/a",
        "owner": "team",
        "inherit": true,
        "roles": {
          "admin": [],
          "publisher": [],
          "editor": [
            "nobody"
          ],
          "viewer": []
        },
        "settings": {},
        "metadata": {
          "created": "[time]",
          "createdBy": "admin",
          "updated": "[time]",
          "updatedBy": "admin"
        }
      },
      "commit": "[id]",
      "warnings": [
        "`nobody` is editor now, though nobody of that name exists"
      ]
    }
    "#);
    let seen = patched.header("etag").to_owned();
    let mut document = patched.document()["document"].clone();
    document["displayName"] = json!("A");
    let replaced = server
        .ask(Method::PUT, path)
        .header("if-match", &seen)
        .json(&document)
        .await;
    assert_eq!(replaced.status, StatusCode::OK, "{}", replaced.text());
    let stale = server
        .ask(Method::PUT, path)
        .header("if-match", &seen)
        .json(&document)
        .await;
    assert_eq!(stale.outcome(), "412 precondition-failed");
    let same = server.ask(Method::PUT, path).json(&document).await;
    assert_eq!(same.outcome(), "409 unchanged");
    document["ownr"] = json!("x");
    document["settings"] = json!({ "minAprovers": 2 });
    let wrong = server.ask(Method::PUT, path).json(&document).await;
    assert_eq!(wrong.outcome(), "400 invalid");
    assert_eq!(
        wrong.document()["errors"].as_array().unwrap().len(),
        2,
        "{}",
        wrong.text()
    );
    let history = server
        .get("/v1/ns/a/-/namespace/history?limit=2")
        .send()
        .await;
    let messages: Vec<_> = history.document()["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| version["message"].clone())
        .collect();
    assert_eq!(
        messages,
        [
            json!("update /a: displayName"),
            json!("update /a: roles.editor, owner")
        ]
    );
    assert!(history.header("link").contains("cursor="));
}

#[tokio::test]
async fn a_namespace_is_deleted_with_what_is_below_it_and_restored() {
    let server = TestServer::new().await;
    server.namespace("/a").await;
    server.namespace("/a/b").await;
    server.publish("/a/b", json!({ "x": 1 })).await;
    let refused = server
        .ask(Method::DELETE, "/v1/ns/a/-/namespace")
        .send()
        .await;
    assert_eq!(refused.outcome(), "409 has-children");
    assert_eq!(
        refused.document()["errors"],
        json!([{ "detail": "namespace /a/b" }])
    );
    let deleted = server
        .ask(Method::DELETE, "/v1/ns/a/-/namespace?recursive=true")
        .send()
        .await;
    assert_eq!(deleted.document()["namespaces"], json!(["/a", "/a/b"]));
    let gone = server.get("/v1/ns/a/b/-/config").send().await;
    assert_eq!(gone.outcome(), "404 not-found");
    let listed = server.get("/v1/namespaces/deleted?limit=1").send().await;
    assert_eq!(listed.document()["items"][0]["path"], "/a");
    let next = listed.document()["next"].as_str().unwrap().to_owned();
    let rest = server
        .get(&format!("/v1/namespaces/deleted?cursor={next}"))
        .send()
        .await;
    assert_eq!(rest.document()["items"][0]["path"], "/a/b");
    let restored = server.ask(Method::POST, "/v1/ns/a/-/restore").send().await;
    assert_eq!(restored.document()["namespaces"], json!(["/a", "/a/b"]));
    let config = server.get("/v1/ns/a/b/-/config").send().await;
    assert_eq!(config.document(), json!({ "x": 1 }));
    let again = server.ask(Method::POST, "/v1/ns/a/-/restore").send().await;
    assert_eq!(again.outcome(), "404 not-found");
}

#[tokio::test]
async fn a_key_a_setting_and_a_right_are_explained() {
    let server = TestServer::new().await;
    server.namespace("/a").await;
    server.namespace("/a/b").await;
    let settings = json!({ "settings": { "environment": "production", "minApprovers": 2 } });
    server
        .write(Method::PATCH, "/v1/ns/a/-/namespace", settings)
        .await;
    server.publish("/a", json!({ "x": 1, "y": 1 })).await;
    server.publish("/a/b", json!({ "x": 2 })).await;
    let explained = server.get("/v1/ns/a/b/-/explain/x").send().await;
    insta::assert_snapshot!(explained.redacted(), @r#"
    {
      "namespace": "/a/b",
      "key": "x",
      "outcome": "value",
      "from": "/a/b",
      "chain": [
        {
          "namespace": "/a/b",
          "inherit": true,
          "commit": "[id]",
          "entry": {
            "key": "x",
            "type": "number",
            "value": 2,
            "size": 1
          },
          "version": 1
        },
        {
          "namespace": "/a",
          "inherit": true,
          "commit": "[id]",
          "entry": {
            "key": "x",
            "type": "number",
            "value": 1,
            "size": 1
          },
          "version": 1
        },
        {
          "namespace": "/",
          "inherit": true
        }
      ],
      "lastChange": {
        "namespace": "/a/b",
        "version": {
          "version": 1,
          "type": "number",
          "value": 2,
          "publishedAt": "[time]",
          "publishedBy": "admin",
          "commit": "[id]",
          "message": "as a test needs it",
          "raftTerm": "[n]",
          "raftIndex": "[n]"
        }
      },
      "mayChange": [
        {
          "namespace": "/",
          "role": "admin",
          "holder": "admin"
        }
      ]
    }
    "#);
    let inherited = server.get("/v1/ns/a/b/-/explain/y").send().await.document();
    assert_eq!(
        (&inherited["outcome"], &inherited["from"]),
        (&json!("value"), &json!("/a"))
    );
    let none = server.get("/v1/ns/a/b/-/explain/z").send().await.document();
    assert_eq!(none["outcome"], "nothing");
    let effective = server.get("/v1/ns/a/b/-/namespace/effective").send().await;
    let settings: Vec<String> = effective.document()["settings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|setting| {
            format!(
                "{} = {} of {}",
                setting["name"], setting["value"], setting["from"]
            )
        })
        .collect();
    insta::assert_snapshot!(settings.join("\n"), @r#"
    "allowSelfApproval" = false of null
    "environment" = "production" of "/a"
    "minApprovers" = 2 of "/a"
    "requireApproval" = false of null
    "schemaEnforcement" = "on-publish" of null
    "secretSchemes" = ["keyvault","vault","env"] of null
    "valueBytesMax" = 1048576 of null
    "#);
    let own = server
        .get("/v1/ns/a/b/-/permissions?permission=config:publish")
        .send()
        .await;
    insta::assert_snapshot!(own.redacted(), @r#"
    {
      "namespace": "/a/b",
      "principal": "admin",
      "role": "admin",
      "permissions": [
        {
          "permission": "config:publish",
          "allowed": true,
          "because": [
            {
              "namespace": "/",
              "role": "admin",
              "holder": "admin"
            }
          ],
          "text": "config:publish is allowed by admin of admin on /"
        }
      ]
    }
    "#);
    let unknown = server
        .get("/v1/ns/a/-/permissions?permission=fly")
        .send()
        .await;
    assert_eq!(unknown.outcome(), "400 invalid-query");
    let nobody = server
        .get("/v1/ns/a/-/permissions?principal=nobody")
        .send()
        .await;
    assert_eq!(nobody.outcome(), "404 not-found");
}

#[tokio::test]
async fn the_audit_log_is_filtered_and_names_the_request() {
    let server = TestServer::new().await;
    server.namespace("/a").await;
    server.namespace("/b").await;
    let made = server
        .ask(Method::POST, "/v1/namespaces")
        .json(&json!({ "path": "/a/b" }))
        .await;
    let request = made.header("confman-request-id").to_owned();
    let index = made.header("confman-index").to_owned();
    let about = async |query: &str| {
        let listed = server.get(&format!("/v1/operations?{query}")).send().await;
        let items = listed.document()["items"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let shown: Vec<String> = items
            .iter()
            .map(|item| {
                format!(
                    "{} {}",
                    item["action"].as_str().unwrap(),
                    item["namespace"].as_str().unwrap_or("-")
                )
            })
            .collect();
        shown.join(", ")
    };
    assert_eq!(
        about(&format!("request={request}")).await,
        "namespace.create /a/b"
    );
    assert_eq!(
        about("namespace=/a").await,
        "namespace.create /a/b, namespace.create /a"
    );
    assert_eq!(about("ref=/b@policy").await, "namespace.create /b");
    assert_eq!(
        about("action=namespace.&actor=admin&limit=1").await,
        "namespace.create /a/b"
    );
    assert_eq!(
        about(&format!("since={index}")).await,
        "namespace.create /a/b"
    );
    assert_eq!(
        about(&format!("until={index}&action=bootstrap")).await,
        "bootstrap /"
    );
    assert_eq!(about("actor=nobody").await, "");
    let wrong = server.get("/v1/operations?since=never").send().await;
    assert_eq!(wrong.outcome(), "400 invalid");
    let one = server
        .get(&format!("/v1/operations?request={request}"))
        .send()
        .await;
    let detail = one.document()["items"][0]["detail"].clone();
    assert_eq!(detail, json!({ "namespace": "/a/b", "requestId": request }));
}

#[tokio::test]
async fn operations_to_come_are_events() {
    use http_body_util::BodyExt;
    use tower::ServiceExt;
    let server = TestServer::new().await;
    server.namespace("/a").await;
    let before = server
        .get("/v1/whoami")
        .send()
        .await
        .header("confman-index")
        .to_owned();
    server.namespace("/a/b").await;
    let request = axum::http::Request::builder()
        .uri("/v1/operations?namespace=/a")
        .header("accept", "text/event-stream")
        .header("last-event-id", before)
        .header("authorization", format!("Bearer {}", server.token))
        .body(axum::body::Body::empty())
        .unwrap();
    let answer = server.router.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut events = answer.into_body();
    let mut next = async || {
        let frame = tokio::time::timeout(Duration::from_secs(60), events.frame()).await;
        let piece = frame.unwrap().unwrap().unwrap().into_data().unwrap();
        String::from_utf8(piece.to_vec()).unwrap()
    };
    let first = next().await;
    assert!(
        first.starts_with("id: ") && first.contains("event: operation\ndata: {"),
        "{first}"
    );
    assert!(
        first.contains(r#""namespace":"/a/b""#) && first.ends_with("\n\n"),
        "{first}"
    );
    server.namespace("/other").await;
    server.namespace("/a/c").await;
    let second = next().await;
    assert!(second.contains(r#""namespace":"/a/c""#), "{second}");
    assert!(!second.contains("/other"), "{second}");
}

#[tokio::test]
async fn entries_are_found_by_tag_key_and_value_page_by_page() {
    let server = TestServer::new().await;
    for namespace in ["/a", "/a/b", "/c"] {
        server.namespace(namespace).await;
    }
    server
        .publish("/a", json!({ "db/url": "postgres://one", "timeout": 30 }))
        .await;
    server
        .publish("/a/b", json!({ "db/url": "postgres://two" }))
        .await;
    let tagged = json!({ "value": "x", "tags": ["pci"] });
    let path = "/v1/ns/c/-/entries/db/key?publish=true";
    server.write(Method::PUT, path, tagged).await;
    let found = async |query: &str| {
        let path = format!("/v1/search?{query}");
        let answer = server.get(&path).send().await.document();
        let items = answer["items"].as_array().unwrap().iter();
        let items = items.map(|item| {
            format!(
                "{}:{}",
                item["namespace"].as_str().unwrap(),
                item["key"].as_str().unwrap()
            )
        });
        (items.collect::<Vec<_>>().join(" "), answer["next"].clone())
    };
    assert_eq!(found("key=db/").await.0, "/a:db/url /a/b:db/url /c:db/key");
    assert_eq!(found("key=db/&prefix=/a/b").await.0, "/a/b:db/url");
    assert_eq!(
        found("value=postgres&key=url").await.0,
        "/a:db/url /a/b:db/url"
    );
    assert_eq!(found("value=30").await.0, "/a:timeout");
    assert_eq!(found("tag=pci").await.0, "/c:db/key");
    assert_eq!(found("tag=pci&key=url").await.0, "");
    let (mut all, mut next) = found("key=db/&limit=1").await;
    while let Some(cursor) = next.as_str() {
        let (page, after) = found(&format!("key=db/&limit=1&cursor={cursor}")).await;
        all = format!("{all} {page}");
        next = after;
    }
    assert_eq!(all.trim_end(), "/a:db/url /a/b:db/url /c:db/key");
    let nothing = server.get("/v1/search?prefix=/a").send().await;
    assert_eq!(nothing.outcome(), "400 invalid-query");
}

//! Requests over HTTP, on a real store.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Answer, TestServer};

/// A namespace that asks for review of everybody but lets authors approve, and a draft in it.
async fn reviewed(settings: Value) -> TestServer {
    let server = TestServer::new().await;
    let document = json!({ "path": "/a", "settings": settings });
    server.write(Method::POST, "/v1/namespaces", document).await;
    draft(&server, json!({ "timeout": 30 })).await;
    server
}

async fn draft(server: &TestServer, values: Value) {
    let changes: serde_json::Map<String, Value> = values
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| (key.clone(), json!({ "value": value })))
        .collect();
    let body = json!({ "changes": changes });
    server
        .write(Method::POST, "/v1/ns/a/-/drafts/d/changes", body)
        .await;
}

async fn post(server: &TestServer, path: &str, body: Value) -> Answer {
    server
        .ask(Method::POST, &format!("/v1/requests{path}"))
        .json(&body)
        .await
}

fn one_draft() -> Value {
    json!({ "title": "slow bank", "targets": [{ "namespace": "/a", "draft": "d" }] })
}

#[tokio::test]
async fn a_request_goes_its_way() {
    let server = reviewed(json!({ "requireApproval": true, "allowSelfApproval": true })).await;
    let made = post(&server, "", one_draft()).await;
    assert_eq!(made.status, StatusCode::CREATED);
    insta::assert_snapshot!(made.redacted(), @r#"
    {
      "id": "pr-1",
      "number": 1,
      "title": "slow bank",
      "namespace": "/a",
      "keys": [
        "timeout"
      ],
      "state": "pending_review",
      "submittedBy": "admin",
      "submittedAt": "[time]",
      "updatedAt": "[time]",
      "proposal": "[id]",
      "head": "[id]",
      "changes": [
        {
          "key": "timeout",
          "kind": "added",
          "fromVersion": 0,
          "toVersion": 1,
          "diff": {
            "new": 30
          }
        }
      ],
      "targets": [
        {
          "namespace": "/a",
          "draft": "d",
          "head": "[id]",
          "changesTotal": 1,
          "approvalsNeeded": 1
        }
      ]
    }
    "#);
    let proposal = made.document()["proposal"].clone();

    let early = post(&server, "/1/publish", json!({})).await;
    assert_eq!(early.outcome(), "409 needs-review");
    insta::assert_snapshot!(early.redacted(), @r#"
    {
      "type": "urn:confman:problem:needs-review",
      "title": "it needs review",
      "status": 409,
      "detail": "publish request #1: `/a` needs 1 approval, it has 0; ask somebody who may approve it, or state an `emergency`",
      "code": "needs-review",
      "requestId": "[uuid]",
      "errors": [
        {
          "detail": "`/a` needs 1 approval, it has 0"
        }
      ]
    }
    "#);
    let said = post(&server, "/1/comments", json!({ "text": "why 30?" })).await;
    assert_eq!(said.status, StatusCode::CREATED);

    draft(&server, json!({ "timeout": 31 })).await;
    let review = json!({ "decision": "approve", "expectedHead": proposal });
    assert_eq!(
        post(&server, "/1/reviews", review).await.outcome(),
        "409 stale"
    );
    let shown = server.get("/v1/requests/1").send().await.document();
    let review = json!({ "decision": "approve", "expectedHead": shown["proposal"] });
    let reviewed = post(&server, "/1/reviews", review).await.document();
    assert_eq!(reviewed["state"], "approved");
    assert_eq!(reviewed["targets"][0]["approvedBy"], json!(["admin"]));

    let published = post(&server, "/1/publish", json!({})).await;
    assert_eq!(
        published.header("confman-commit"),
        published.document()["targets"][0]["commit"]
    );
    assert_eq!(published.document()["state"], "published");
    let value = server.get("/v1/ns/a/-/entries/timeout").send().await;
    assert_eq!(value.document()["published"]["publishRequestId"], "pr-1");
    let diff = server.get("/v1/requests/1/diff").send().await.document();
    assert_eq!(diff["changes"][0]["key"], "timeout");
    let again = post(&server, "/1/withdraw", json!({})).await;
    assert_eq!(again.outcome(), "409 request-state");
}

#[tokio::test]
async fn requests_are_listed_by_what_is_asked_for() {
    let server = reviewed(json!({})).await;
    for _ in 0..3 {
        post(&server, "", one_draft()).await;
    }
    post(&server, "/2/withdraw", json!({ "reason": "twice" })).await;
    let numbers = async |query: &str| {
        let answer = server.get(&format!("/v1/requests{query}")).send().await;
        let items = answer.document()["items"].as_array().cloned();
        let numbers: Vec<u64> = items
            .unwrap_or_else(|| panic!("{}", answer.text()))
            .iter()
            .map(|item| item["number"].as_u64().unwrap())
            .collect();
        (numbers, answer)
    };
    assert_eq!(numbers("").await.0, [3, 2, 1]);
    assert_eq!(numbers("?state=open").await.0, [3, 1]);
    assert_eq!(numbers("?state=withdrawn,published").await.0, [2]);
    assert_eq!(
        numbers("?namespace=/a&author=admin&state=approved").await.0,
        [3, 1]
    );
    let (first, answer) = numbers("?limit=2").await;
    assert_eq!(first, [3, 2]);
    let next = answer.document()["next"].as_str().unwrap().to_owned();
    assert_eq!(numbers(&format!("?limit=2&cursor={next}")).await.0, [1]);
    let wrong = server.get("/v1/requests?state=done&mine=true").send().await;
    insta::assert_snapshot!(wrong.redacted(), @r#"
    {
      "type": "urn:confman:problem:invalid-query",
      "title": "the query is not valid",
      "status": 400,
      "detail": "2 things are wrong, see `errors`",
      "code": "invalid-query",
      "requestId": "[uuid]",
      "errors": [
        {
          "detail": "there is no query parameter `mine` here; there are state, namespace, author, waiting, unacknowledged, cursor, limit, consistency"
        },
        {
          "detail": "the query parameter `state` is not valid: `done` is no state; there are pending_review, approved, rejected, scheduled, rolling_out, suspended, published and withdrawn; `open` is all but the last two"
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said() {
    let server = reviewed(json!({})).await;
    let mut wrong = one_draft();
    wrong["targets"][0]["namespace"] = json!("/A");
    insta::assert_snapshot!(post(&server, "", wrong).await.redacted(), @r#"
    {
      "type": "urn:confman:problem:invalid",
      "title": "what was sent is not valid",
      "status": 400,
      "detail": "the publish request is not valid: segment 1 of namespace `/A` is not valid: `A` has `A` at character 1; allowed are a-z, 0-9, `.`, `_` and `-` at `/targets/0/namespace`",
      "code": "invalid",
      "requestId": "[uuid]",
      "errors": [
        {
          "detail": "segment 1 of namespace `/A` is not valid: `A` has `A` at character 1; allowed are a-z, 0-9, `.`, `_` and `-`",
          "pointer": "/targets/0/namespace"
        }
      ]
    }
    "#);
    post(&server, "", one_draft()).await;
    for (path, body, outcome) in [
        ("/9/publish", json!({}), "404 not-found"),
        ("/1/reviews", json!({ "decision": "maybe" }), "400 invalid"),
        (
            "/1/reviews",
            json!({ "decision": "approve" }),
            "400 invalid",
        ),
        ("/1/reviews", json!({ "decision": "reject" }), "400 invalid"),
        ("/1/schedule", json!({ "publishAt": "soon" }), "400 invalid"),
        (
            "/1/schedule",
            json!({ "publishAt": "2020-01-01T00:00:00Z" }),
            "400 invalid",
        ),
        ("/1/publish", json!({ "emergency": "" }), "400 invalid"),
        ("/1/publish", json!({ "expectedHead": "12" }), "400 invalid"),
        ("/1/acknowledge", json!({}), "409 request-state"),
        ("/1/comments", json!({ "text": "" }), "400 invalid"),
        ("/1/comments", json!({ "words": "x" }), "400 invalid-body"),
    ] {
        assert_eq!(post(&server, path, body).await.outcome(), outcome, "{path}");
    }
}

#[tokio::test]
async fn a_schedule_is_made_and_taken_back() {
    let server = reviewed(json!({})).await;
    post(&server, "", one_draft()).await;
    let at = json!({ "publishAt": "2999-01-01T00:00:00Z" });
    let scheduled = post(&server, "/1/schedule", at).await.document();
    assert_eq!(
        (
            &scheduled["state"],
            &scheduled["publishAt"],
            &scheduled["scheduledBy"]
        ),
        (
            &json!("scheduled"),
            &json!("2999-01-01T00:00:00Z"),
            &json!("admin")
        )
    );
    let edited = server
        .write(
            Method::PATCH,
            "/v1/requests/1",
            json!({ "title": "slower bank" }),
        )
        .await;
    assert_eq!(
        (&edited["state"], &edited["title"]),
        (&json!("approved"), &json!("slower bank"))
    );
    let at = json!({ "publishAt": "2999-01-01T00:00:00Z" });
    post(&server, "/1/schedule", at).await;
    let open = server
        .ask(Method::DELETE, "/v1/requests/1/schedule")
        .send()
        .await;
    assert_eq!(open.document()["state"], "approved");
}

#[tokio::test]
async fn the_scheduler_publishes_what_is_due() {
    let server = reviewed(json!({})).await;
    post(&server, "", one_draft()).await;
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_millis(300);
    let at = json!({ "publishAt": soon.to_string() });
    post(&server, "/1/schedule", at).await;
    let mut applied = server.app.repo().node().applied();
    let scheduler = tokio::spawn(crate::scheduler::run(server.app.clone()));
    loop {
        let state = server.get("/v1/requests/1").send().await.document()["state"].clone();
        if state != "scheduled" {
            assert_eq!(state, "published");
            break;
        }
        applied.changed().await.unwrap();
    }
    scheduler.abort();
    let value = server.get("/v1/ns/a/-/config").send().await;
    assert_eq!(value.document(), json!({ "timeout": 30 }));
}

//! Watching: order, resuming, filters, limits, and the ends of streams.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{Method, Request, StatusCode};
use futures::StreamExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::harness::{TestServer, WATCHERS_MAX};

/// How long a test waits for an event that must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stream of events as a client sees it.
struct Events {
    body: BodyDataStream,
    text: String,
}

/// One event: its name, id and data.
#[derive(Debug, PartialEq)]
struct Seen {
    event: String,
    id: Option<u64>,
    data: Value,
}

impl Events {
    async fn of(server: &TestServer, query: &str, headers: &[(&str, &str)]) -> Self {
        Self::shown(server, &server.token, query, headers).await
    }

    async fn shown(
        server: &TestServer,
        token: &str,
        query: &str,
        headers: &[(&str, &str)],
    ) -> Self {
        let mut request = Request::builder()
            .uri(format!("/v1/ns/a/-/watch{query}"))
            .header("authorization", format!("Bearer {token}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let answer = server.router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self {
            body: answer.into_body().into_data_stream(),
            text: String::new(),
        }
    }

    /// The next event; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Seen> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                if let Some(seen) = read(&event) {
                    return Some(seen);
                }
                continue;
            }
            let piece = tokio::time::timeout(PATIENCE, self.body.next())
                .await
                .expect("an event comes")?;
            self.text += std::str::from_utf8(&piece.unwrap()).unwrap();
        }
    }

    /// Keys of the next change, or the name of another event.
    async fn keys(&mut self) -> String {
        let Some(seen) = self.next().await else {
            return "nothing".to_owned();
        };
        match &seen.data["keys"] {
            Value::Array(keys) => keys
                .iter()
                .map(|key| key.as_str().unwrap())
                .collect::<Vec<_>>()
                .join(","),
            _ => seen.event,
        }
    }
}

fn read(text: &str) -> Option<Seen> {
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    Some(Seen {
        event: field("event")?.to_owned(),
        id: field("id").map(|id| id.parse().unwrap()),
        data: serde_json::from_str(field("data")?).unwrap(),
    })
}

async fn server() -> TestServer {
    let server = TestServer::new().await;
    server.namespace("/a").await;
    server.publish("/a", json!({ "x": 1 })).await;
    server
}

#[tokio::test]
async fn a_watcher_is_told_where_it_begins_and_what_moves() {
    let server = server().await;
    let config = server.get("/v1/ns/a/-/config").send().await;
    let mut events = Events::of(&server, "", &[]).await;
    let ready = events.next().await.unwrap();
    assert_eq!(ready.event, "ready");
    assert_eq!(
        config.header("etag"),
        format!("\"{}\"", ready.data["basis"].as_str().unwrap())
    );
    let published = server.publish("/a", json!({ "x": 2, "y": 3 })).await;
    let change = events.next().await.unwrap();
    assert_eq!(
        (change.event.as_str(), change.id),
        ("change", published["index"].as_u64())
    );
    let config = server.get("/v1/ns/a/-/config").send().await;
    assert_eq!(
        config.header("etag"),
        format!("\"{}\"", change.data["basis"].as_str().unwrap())
    );
    assert_eq!(change.data["keys"], json!(["x", "y"]));
    assert_eq!(change.data["commit"], published["commit"]);
}

#[tokio::test]
async fn away_and_back_is_two_events_live_and_when_resumed() {
    let server = server().await;
    let mut events = Events::of(&server, "", &[]).await;
    let ready = events.next().await.unwrap();
    for value in [2, 1, 2] {
        server.publish("/a", json!({ "x": value })).await;
    }
    let mut live = Vec::new();
    for _ in 0..3 {
        live.push(events.next().await.unwrap());
    }
    assert!(live.windows(2).all(|pair| pair[0].id < pair[1].id));
    let after = ready.id.unwrap().to_string();
    let mut resumed = Events::of(&server, "", &[("last-event-id", &after)]).await;
    for seen in &live {
        assert_eq!(resumed.next().await.as_ref(), Some(seen));
    }
    // And from the middle, by the query, then on with what comes.
    let middle = live[1].id.unwrap();
    let mut resumed = Events::of(&server, &format!("?after={middle}"), &[]).await;
    assert_eq!(resumed.next().await.as_ref(), Some(&live[2]));
    server.publish("/a", json!({ "z": 1 })).await;
    assert_eq!(resumed.keys().await, "z");
}

#[tokio::test]
async fn changes_above_are_told_unless_they_are_overridden() {
    let server = server().await;
    let mut events = Events::of(&server, "", &[]).await;
    let mut filtered = Events::of(&server, "?prefix=w", &[]).await;
    events.next().await.unwrap();
    filtered.next().await.unwrap();
    server.publish("/", json!({ "x": 9 })).await;
    server.namespace("/b").await;
    server.publish("/b", json!({ "w": 1 })).await;
    server.publish("/", json!({ "w": 1, "x": 10 })).await;
    server.publish("/a", json!({ "x": null })).await;
    assert_eq!(events.keys().await, "");
    assert_eq!(events.keys().await, "w");
    assert_eq!(events.keys().await, "x");
    assert_eq!(filtered.keys().await, "w");
}

#[tokio::test]
async fn named_keys_are_told_and_others_are_not() {
    let server = server().await;
    let mut events = Events::of(&server, "?keys=y,z", &[]).await;
    events.next().await.unwrap();
    server.publish("/a", json!({ "x": 5 })).await;
    server.publish("/a", json!({ "x": 6, "z": 1 })).await;
    assert_eq!(events.keys().await, "x,z");
}

#[tokio::test]
async fn who_wants_none_of_many_events_is_sent_signs_of_life_all_the_same() {
    let server = server().await;
    let mut events = Events::of(&server, "?keys=z", &[]).await;
    assert_eq!(events.next().await.unwrap().event, "ready");
    let alive = async {
        loop {
            let piece = events.body.next().await.unwrap().unwrap();
            if piece == ": \n\n" {
                return;
            }
        }
    };
    let busy = async {
        for value in 0.. {
            server.publish("/a", json!({ "x": value })).await;
        }
    };
    let patience = tokio::time::sleep(PATIENCE);
    tokio::select! {
        () = alive => {}
        () = busy => unreachable!(),
        () = patience => panic!("no sign of life"),
    }
}

#[tokio::test]
async fn a_watch_from_the_future_begins_again() {
    let server = server().await;
    let mut events = Events::of(&server, "?after=999999", &[]).await;
    let reset = events.next().await.unwrap();
    assert_eq!(reset.event, "reset");
    assert!(reset.data["reason"].as_str().unwrap().contains("ahead"));
    server.publish("/a", json!({ "y": 1 })).await;
    assert_eq!(events.keys().await, "y");
    let odd = server
        .get("/v1/ns/a/-/watch")
        .header("last-event-id", "x")
        .send()
        .await;
    assert_eq!(odd.outcome(), "400 invalid-header");
}

#[tokio::test]
async fn who_does_not_keep_up_is_dropped_with_the_reason() {
    let server = server().await;
    let mut events = Events::of(&server, "", &[]).await;
    events.next().await.unwrap();
    // Nothing of the stream is taken while this happens.
    for value in 0..2 * crate::watches::EVENTS_WAITING_MAX {
        server.publish("/a", json!({ "x": value + 100 })).await;
    }
    server.told_all().await;
    let mut last = None;
    while let Some(seen) = events.next().await {
        last = Some(seen);
    }
    let last = last.unwrap();
    assert_eq!(
        (last.event.as_str(), &last.data["code"]),
        ("end", &json!("slow"))
    );
}

#[tokio::test]
async fn a_principal_has_a_number_of_places_which_become_free_again() {
    let server = server().await;
    let mut watching = Vec::new();
    for _ in 0..WATCHERS_MAX {
        watching.push(Events::of(&server, "", &[]).await);
    }
    let refused = server.get("/v1/ns/a/-/watch").send().await;
    assert_eq!(refused.outcome(), "429 too-many-watchers");
    assert_eq!(refused.header("retry-after"), "10");
    watching.pop();
    let mut events = Events::of(&server, "", &[]).await;
    assert_eq!(events.next().await.unwrap().event, "ready");
}

#[tokio::test]
async fn missed_changes_come_as_one_document_which_can_be_waited_for() {
    let server = server().await;
    let index = server
        .get("/v1/ns/a/-/config")
        .send()
        .await
        .header("confman-index")
        .to_owned();
    let path = format!("/v1/ns/a/-/watch?after={index}");
    let ask = || server.get(&path).header("accept", "application/json");
    let none = ask().send().await.document();
    assert_eq!(none["items"], json!([]));
    let waiting = ask().header("prefer", "wait=60").send();
    let (first, _) = tokio::join!(waiting, server.publish("/a", json!({ "y": 1 })));
    assert_eq!(first.document()["items"][0]["keys"], json!(["y"]));
    server.publish("/a", json!({ "y": 2 })).await;
    let both = ask().send().await;
    insta::assert_snapshot!(both.redacted(), @r#"
    {
      "items": [
        {
          "namespace": "/a",
          "index": "[n]",
          "at": "[time]",
          "basis": "[id]",
          "commit": "[id]",
          "keys": [
            "y"
          ]
        },
        {
          "namespace": "/a",
          "index": "[n]",
          "at": "[time]",
          "basis": "[id]",
          "commit": "[id]",
          "keys": [
            "y"
          ]
        }
      ],
      "index": "[n]"
    }
    "#);
    let without = server
        .get("/v1/ns/a/-/watch")
        .header("accept", "application/json")
        .send()
        .await;
    assert_eq!(without.outcome(), "400 invalid-query");
    let ahead = server
        .get("/v1/ns/a/-/watch?after=99999")
        .header("accept", "application/json")
        .send()
        .await;
    assert!(ahead.document()["reset"].is_string());
}

#[tokio::test]
async fn a_namespace_that_one_may_not_read_cannot_be_watched() {
    let server = server().await;
    let missing = server.get("/v1/ns/nowhere/-/watch").send().await;
    assert_eq!(missing.outcome(), "404 not-found");
    let method = server.ask(Method::POST, "/v1/ns/a/-/watch").send().await;
    assert_eq!(method.outcome(), "405 method-not-allowed");
}

/// Does something as the administrator, below HTTP.
async fn as_admin<T: Send + 'static>(
    server: &TestServer,
    act: impl FnOnce(&confman_repo::Session) -> T + Send + 'static,
) -> T {
    let (repo, token) = (server.app.repo().clone(), server.token.clone());
    let acting = move || act(&repo.session(repo.authenticate(&token).unwrap()));
    tokio::task::spawn_blocking(acting).await.unwrap()
}

#[tokio::test]
async fn a_token_that_is_revoked_ends_its_streams_and_its_reads_at_once() {
    let server = server().await;
    let (token, id) = as_admin(&server, |session| {
        let new = confman_repo::NewToken::unlimited("admin".parse().unwrap());
        let (token, info, _) = session.create_token(&new).unwrap();
        (token.as_str().to_owned(), info.id)
    })
    .await;
    let shown = format!("Bearer {token}");
    let read = || {
        let asking = server.get("/v1/ns/a/-/config").without_token();
        asking.header("authorization", &shown).send()
    };
    let mut other = Events::of(&server, "", &[]).await;
    let mut events = Events::shown(&server, &token, "", &[]).await;
    assert_eq!(events.next().await.unwrap().event, "ready");
    assert_eq!(other.next().await.unwrap().event, "ready");
    // Twice, so that the second is answered from what is remembered.
    for _ in 0..2 {
        assert_eq!(read().await.status, StatusCode::OK);
    }
    as_admin(&server, move |session| session.revoke_token(&id).unwrap()).await;
    assert_eq!(read().await.outcome(), "401 unauthenticated");
    let end = events.next().await.unwrap();
    assert_eq!(
        (end.event.as_str(), &end.data["code"]),
        ("end", &json!("not-allowed"))
    );
    assert_eq!(events.next().await, None);
    server.publish("/a", json!({ "x": 77 })).await;
    assert_eq!(other.keys().await, "x");
}

#[tokio::test]
async fn a_namespace_that_is_deleted_ends_its_streams() {
    let server = server().await;
    let mut events = Events::of(&server, "", &[]).await;
    assert_eq!(events.next().await.unwrap().event, "ready");
    as_admin(&server, |session| {
        let namespace = "/a".parse().unwrap();
        let any = confman_repo::ExpectedHead::Any;
        session.delete_namespace(&namespace, false, any).unwrap();
    })
    .await;
    let change = events.next().await.unwrap();
    assert_eq!(
        (change.event.as_str(), &change.data["basis"]),
        ("change", &Value::Null)
    );
    let end = events.next().await.unwrap();
    assert_eq!(end.data["code"], "gone");
    assert_eq!(events.next().await, None);
}

//! Several servers of one cluster, over a network in memory: what each of them answers.

use axum::http::{Method, StatusCode};
use confman_repo::refs::testing::MemoryNetwork;
use serde_json::{Value, json};

use super::*;
use crate::harness::TestServer;

/// How long a test waits for what takes an election or a transfer.
const PATIENCE: Duration = Duration::from_secs(60);

fn peers(network: &MemoryNetwork, name: &str, join: Option<JoinOptions>) -> StorePeers {
    StorePeers {
        address: format!("{name}:7421"),
        transport: network.transport(&format!("{name}:7421")),
        join,
    }
}

async fn begin_cluster(network: &MemoryNetwork) -> TestServer {
    let first = TestServer::opened(Some(peers(network, "a", None))).await;
    network.connect("a:7421", first.repo.node());
    first
}

/// A server that joins by a token which it is given over HTTP, by way of `seed`.
async fn join(
    network: &MemoryNetwork,
    first: &TestServer,
    (name, seed): (&str, &str),
    replica: bool,
) -> TestServer {
    let made = first
        .write(Method::POST, "/v1/cluster/join-tokens", json!({}))
        .await;
    let options = JoinOptions {
        seeds: vec![format!("{seed}:7421")],
        token: made["secret"].as_str().unwrap().to_owned(),
        replica,
    };
    let mut server = TestServer::opened(Some(peers(network, name, Some(options)))).await;
    server.token.clone_from(&first.token);
    network.connect(&format!("{name}:7421"), server.repo.node());
    server
}

/// Waits until a condition holds.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(waited.is_ok(), "not within {PATIENCE:?}: {what}");
}

async fn is_ready(server: &TestServer) -> bool {
    server.get("/readyz").send().await.status == StatusCode::OK
}

fn role_of(cluster: &Value, server: &TestServer) -> String {
    let id = server.repo.node().identity().node_id;
    let members = cluster["members"].as_array().unwrap();
    let member = members.iter().find(|member| member["id"] == id);
    member.map_or_else(String::new, |member| {
        member["role"].as_str().unwrap().to_owned()
    })
}

async fn is_voter(asked: &TestServer, server: &TestServer) -> bool {
    let cluster = asked.get("/v1/cluster").send().await.document();
    role_of(&cluster, server) == "voter"
}

/// Waits until a server has everything that was acknowledged anywhere.
async fn freshen(server: &TestServer) {
    let repo = Arc::clone(&server.repo);
    let linear = tokio::task::spawn_blocking(move || repo.node().linearize(PATIENCE).map(drop));
    linear.await.unwrap().unwrap();
}

/// Three voters, of which the first leads.
async fn three() -> (MemoryNetwork, TestServer, TestServer, TestServer) {
    let network = MemoryNetwork::default();
    let a = begin_cluster(&network).await;
    let b = join(&network, &a, ("b", "a"), false).await;
    let c = join(&network, &a, ("c", "a"), false).await;
    for server in [&b, &c] {
        eventually("it votes", async || is_voter(&a, server).await).await;
        eventually("it is ready", async || is_ready(server).await).await;
    }
    (network, a, b, c)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_on_any_node_is_read_on_every_node() {
    let (_network, a, b, c) = three().await;
    b.namespace("/teams").await;
    freshen(&c).await;
    let published = c.publish("/teams", json!({ "k": "v" })).await;
    let index = published["index"].as_u64();
    for server in [&a, &b, &c] {
        let path = "/v1/ns/teams/-/config/k";
        let linear = server
            .get(&format!("{path}?consistency=linearizable"))
            .send()
            .await;
        assert_eq!(linear.document()["value"], "v");
        let index = index.map_or_else(|| "1".to_owned(), |index| index.to_string());
        let local = server
            .get(path)
            .header("confman-min-index", &index)
            .send()
            .await;
        assert_eq!(local.document()["value"], "v");
    }
    // Who may do what is decided on every node.
    let denied = b.get("/v1/cluster").without_token().send().await;
    assert_eq!(denied.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_replica_serves_and_follows_and_never_votes() {
    let network = MemoryNetwork::default();
    let a = begin_cluster(&network).await;
    a.namespace("/teams").await;
    let replica = join(&network, &a, ("r", "a"), true).await;
    eventually("it is ready", async || is_ready(&replica).await).await;
    a.publish("/teams", json!({ "k": 1 })).await;
    let path = "/v1/ns/teams/-/config/k?consistency=linearizable";
    assert_eq!(replica.get(path).send().await.document()["value"], 1);
    freshen(&replica).await;
    replica.publish("/teams", json!({ "k": 2 })).await;
    assert_eq!(a.get(path).send().await.document()["value"], 2);
    let cluster = replica.get("/v1/cluster").send().await.document();
    assert_eq!(role_of(&cluster, &replica), "learner");
    assert_eq!(cluster["members"][1]["report"]["replica"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotent_write_that_is_sent_to_two_nodes_happens_once() {
    let (_network, a, b, c) = three().await;
    a.namespace("/teams").await;
    let body = json!({ "changes": { "k": { "value": 1 } }, "publish": true, "message": "once" });
    let mut answers = Vec::new();
    for server in [&b, &c] {
        freshen(server).await;
        let answer = server
            .ask(Method::POST, "/v1/ns/teams/-/drafts/d/changes")
            .header("idempotency-key", "same")
            .json(&body)
            .await;
        answers.push((answer.status, answer.document()["commit"].clone()));
    }
    assert!(answers[0].0.is_success(), "{answers:?}");
    assert_eq!(answers[0], answers[1]);
}

/// Who evaluated it just after the other one had done it found nothing left to do, and refused it.
#[tokio::test(flavor = "multi_thread")]
async fn an_idempotent_write_that_is_sent_to_all_nodes_at_once_has_one_answer() {
    let (_network, a, b, c) = three().await;
    a.namespace("/teams").await;
    for server in [&b, &c] {
        freshen(server).await;
    }
    for round in 0..40 {
        let value = json!({ "value": round });
        let body = json!({ "changes": { "k": value }, "publish": true, "message": "once" });
        let key = format!("round {round}");
        let asked = [&a, &b, &c].map(|server| {
            server
                .ask(Method::POST, "/v1/ns/teams/-/drafts/d/changes")
                .header("idempotency-key", &key)
                .json(&body)
        });
        let answers = futures::future::join_all(asked).await;
        let commits: Vec<_> = answers
            .iter()
            .map(|answer| (answer.status, answer.document()["commit"].clone()))
            .collect();
        assert!(commits[0].0.is_success(), "{commits:?}");
        assert!(
            commits.iter().all(|commit| *commit == commits[0]),
            "{commits:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_writes_are_refused_with_when_to_try_again_and_reads_go_on() {
    let (network, a, b, c) = three().await;
    a.namespace("/teams").await;
    a.publish("/teams", json!({ "k": 1 })).await;
    eventually("it is everywhere", async || {
        c.get("/v1/ns/teams/-/config/k").send().await.status == StatusCode::OK
    })
    .await;
    network.disconnect("a:7421");
    network.disconnect("b:7421");
    drop((a, b));
    let refused = c
        .ask(Method::POST, "/v1/namespaces")
        .json(&json!({ "path": "/more" }))
        .await;
    assert_eq!(
        refused.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{}",
        refused.text()
    );
    assert_eq!(refused.header("retry-after"), "1");
    let read = c.get("/v1/ns/teams/-/config/k").send().await;
    assert_eq!(read.document()["value"], 1);
    eventually("it says that it is not ready", async || !is_ready(&c).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_removed_over_http_by_any_other() {
    let (_network, a, b, c) = three().await;
    let id = c.repo.node().identity().node_id;
    let path = format!("/v1/cluster/members/{id}/remove");
    let cluster = b.write(Method::POST, &path, json!({})).await;
    assert_eq!(role_of(&cluster, &c), "");
    eventually("it takes itself out", async || {
        c.get("/readyz")
            .send()
            .await
            .text()
            .contains("was removed from its cluster")
    })
    .await;
    let logged = a
        .get("/v1/operations?action=cluster.remove")
        .send()
        .await
        .document();
    assert_eq!(logged["items"][0]["actor"], "admin");
}

use axum::http::Method;
use insta::assert_snapshot;
use serde_json::json;

use crate::harness::TestServer;

#[tokio::test]
async fn a_cluster_of_one_says_so() {
    let server = TestServer::new().await;
    let cluster = server.get("/v1/cluster").send().await.document();
    assert_eq!(cluster["quorum"], true);
    assert_eq!(cluster["leader"], 1);
    let members = cluster["members"].as_array().unwrap();
    assert_eq!(members.len(), 1);
    assert_eq!(members[0]["role"], "voter");
    assert_eq!(members[0]["reachable"], true);
}

#[tokio::test]
async fn changes_that_cannot_be_are_refused_with_a_reason() {
    let server = TestServer::new().await;
    let refused = async |path: &str, body| {
        let answer = server.ask(Method::POST, path).json_owned(body).await;
        format!("{}: {}", answer.outcome(), answer.document()["detail"])
    };
    assert_snapshot!(refused("/v1/cluster/members/1/remove", json!({ "force": true })).await, @r#"409 member-state: "node 1 is the only voter; without it there would be no cluster""#);
    assert_snapshot!(refused("/v1/cluster/members/9/promote", json!({})).await, @r#"404 not-found: "node 9 is no member of this cluster""#);
    assert_snapshot!(refused("/v1/cluster/transfer", json!({})).await, @r#"503 unavailable: "the members cannot be changed now: no other voter can be reached""#);
    assert_snapshot!(refused("/v1/cluster/members/01/remove", json!({})).await, @r#"400 invalid-path: "the node in the path is a whole number from 1, without sign or leading zeros""#);
}

#[tokio::test]
async fn a_join_token_is_shown_once_listed_and_revoked() {
    let server = TestServer::new().await;
    let made = server
        .write(
            Method::POST,
            "/v1/cluster/join-tokens",
            json!({ "name": "rack 2", "uses": 2 }),
        )
        .await;
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("cfm_join_"));
    let listed = server.get("/v1/cluster/join-tokens").send().await;
    assert!(!listed.text().contains(secret));
    assert_eq!(listed.document()["items"][0], made["token"]);
    let id = made["token"]["id"].as_str().unwrap();
    let path = format!("/v1/cluster/join-tokens/{id}");
    assert_eq!(
        server.ask(Method::DELETE, &path).send().await.outcome(),
        "204"
    );
    assert_eq!(
        server.ask(Method::DELETE, &path).send().await.outcome(),
        "404 not-found"
    );
}

//! Who may let nodes in, and how often.

use confman_repo::cluster::{JOIN_TOKEN_MS_DEFAULT, JOIN_TOKEN_MS_MAX, JOIN_TOKEN_USES_MAX};
use confman_repo::{Error, NewJoinToken, OperationFilter};

use crate::test_repo::{MINUTE_MS, TestRepo};

fn for_nodes(uses: u32) -> NewJoinToken {
    NewJoinToken {
        name: "for tests".to_owned(),
        uses,
        expires_ms: None,
    }
}

const fn request(number: u8) -> [u8; 16] {
    [number; 16]
}

#[test]
fn a_join_token_lets_in_so_many_nodes_each_with_an_id_of_its_own() {
    let test = TestRepo::new();
    let (token, info, _) = test.admin.create_join_token(&for_nodes(2)).unwrap();
    let admit = |number, address| test.repo.admit(&request(number), token.as_str(), address);
    let first = admit(1, "a:7421").unwrap();
    let second = admit(2, "b:7421").unwrap();
    assert!(first > 1 && second > first, "{first} {second}");
    assert!(matches!(admit(3, "c:7421"), Err(Error::Unauthenticated)));
    let tokens = test.admin.join_tokens().unwrap();
    assert_eq!(
        tokens
            .iter()
            .map(|token| (&token.id, token.used, token.good))
            .collect::<Vec<_>>(),
        [(&info.id, 2, false)]
    );
}

/// A node that crashes while it joins asks again; were it given another id, the first would be a member
/// that never was.
#[test]
fn asking_again_gives_the_same_id_and_takes_no_other_use() {
    let test = TestRepo::new();
    let (token, ..) = test.admin.create_join_token(&for_nodes(1)).unwrap();
    let admit = |address| test.repo.admit(&request(1), token.as_str(), address);
    let id = admit("a:7421").unwrap();
    assert_eq!(admit("a:7421").unwrap(), id);
    assert!(matches!(admit("b:7421"), Err(Error::RequestReused)));
    assert_eq!(test.admin.join_tokens().unwrap()[0].used, 1);
}

#[test]
fn a_join_token_that_is_over_or_revoked_lets_nobody_in() {
    let test = TestRepo::new();
    let (token, ..) = test.admin.create_join_token(&for_nodes(9)).unwrap();
    test.clock.advance(JOIN_TOKEN_MS_DEFAULT);
    let over = test.repo.admit(&request(1), token.as_str(), "a:7421");
    assert!(matches!(over, Err(Error::Unauthenticated)));
    let (token, info, _) = test.admin.create_join_token(&for_nodes(9)).unwrap();
    test.admin.revoke_join_token(&info.id).unwrap();
    let revoked = test.repo.admit(&request(2), token.as_str(), "a:7421");
    assert!(matches!(revoked, Err(Error::Unauthenticated)));
    // The one that was over made room.
    assert!(test.admin.join_tokens().unwrap().is_empty());
}

#[test]
fn a_join_token_is_no_other_token_and_no_other_token_lets_nodes_in() {
    let test = TestRepo::new();
    let (token, ..) = test.admin.create_join_token(&for_nodes(1)).unwrap();
    assert!(matches!(
        test.repo.authenticate(token.as_str()),
        Err(Error::Unauthenticated)
    ));
    let new = confman_repo::NewToken::unlimited("admin".parse().unwrap());
    let (other, ..) = test.admin.create_token(&new).unwrap();
    let admitted = test.repo.admit(&request(1), other.as_str(), "a:7421");
    assert!(matches!(admitted, Err(Error::Unauthenticated)));
}

#[test]
fn only_an_admin_of_the_root_makes_and_sees_join_tokens() {
    let test = TestRepo::new();
    let ann = test.principal("ann");
    assert!(ann.create_join_token(&for_nodes(1)).is_err());
    assert!(ann.join_tokens().is_err());
    assert!(ann.permit_operator().is_err());
    assert!(
        ann.note_member_change("cluster.remove", serde_json::json!({}))
            .is_err()
    );
    test.admin.permit_operator().unwrap();
}

#[test]
fn everything_wrong_with_a_new_join_token_is_said_at_once() {
    let test = TestRepo::new();
    let wrong = NewJoinToken {
        name: "a\nb".to_owned(),
        uses: JOIN_TOKEN_USES_MAX + 1,
        expires_ms: Some(test.clock_ms() + JOIN_TOKEN_MS_MAX + MINUTE_MS),
    };
    let Err(Error::Invalid { problems, .. }) = test.admin.create_join_token(&wrong) else {
        panic!("it was made");
    };
    let pointers: Vec<_> = problems
        .iter()
        .filter_map(|problem| problem.pointer.as_deref())
        .collect();
    assert_eq!(pointers, ["/name", "/uses", "/expires"]);
}

#[test]
fn the_audit_log_names_nodes_and_changes_and_no_token() {
    let test = TestRepo::new();
    let (token, ..) = test.admin.create_join_token(&for_nodes(1)).unwrap();
    test.repo
        .admit(&request(1), token.as_str(), "a:7421")
        .unwrap();
    test.admin
        .note_member_change("cluster.remove", serde_json::json!({ "node": 7 }))
        .unwrap();
    let filter = OperationFilter {
        action: Some("cluster.".to_owned()),
        ..OperationFilter::default()
    };
    let logged = test.admin.operations(&filter, None, 10).unwrap().operations;
    let actions: Vec<_> = logged
        .iter()
        .map(|logged| logged.operation.action.as_str())
        .collect();
    assert_eq!(
        actions,
        [
            "cluster.remove",
            "cluster.join",
            "cluster.join-token.create"
        ]
    );
    assert!(logged[0].operation.detail.contains("\"node\":7"));
    assert!(logged[1].operation.detail.contains("a:7421"));
    assert!(
        logged
            .iter()
            .all(|logged| !logged.operation.detail.contains(token.as_str()))
    );
}

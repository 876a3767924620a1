//! The routes about the members of the cluster.

use axum::http::Method;
use confman_api::{Page, cluster};

use super::{Answers, Json, Nothing, Operation, SchemaOf, of};

/// Every method of every one of these routes.
pub(super) fn operations() -> Vec<Operation> {
    let operation = |method, template, summary, reads, answers: Answers| Operation {
        template,
        method,
        summary,
        query: &[],
        reads,
        answers,
    };
    let change = |template, summary, reads: SchemaOf| {
        let answers = Json(200, of::<cluster::Cluster>);
        operation(Method::POST, template, summary, Some(reads), answers)
    };
    vec![
        operation(
            Method::GET,
            "/v1/cluster",
            "The cluster, and what each member says of itself",
            None,
            Json(200, of::<cluster::Cluster>),
        ),
        change(
            "/v1/cluster/members/{node}/promote",
            "Make a voter of a learner",
            of::<cluster::MemberWrite>,
        ),
        change(
            "/v1/cluster/members/{node}/remove",
            "Remove a member for ever",
            of::<cluster::MemberWrite>,
        ),
        change(
            "/v1/cluster/members/{node}/replace",
            "Make a voter of a learner in the place of another, which is removed for ever",
            of::<cluster::ReplaceWrite>,
        ),
        change(
            "/v1/cluster/transfer",
            "Let another voter lead",
            of::<cluster::TransferWrite>,
        ),
        operation(
            Method::GET,
            "/v1/cluster/join-tokens",
            "The join tokens, without the tokens themselves",
            None,
            Json(200, of::<Page<cluster::JoinToken>>),
        ),
        operation(
            Method::POST,
            "/v1/cluster/join-tokens",
            "Make a join token, which is in this answer only",
            Some(of::<cluster::JoinTokenWrite>),
            Json(201, of::<cluster::JoinTokenMade>),
        ),
        operation(
            Method::DELETE,
            "/v1/cluster/join-tokens/{id}",
            "Revoke a join token",
            None,
            Nothing,
        ),
    ]
}

//! The routes of publish requests.

use axum::http::Method;
use confman_api::{Page, request, schema};

use super::{Answers, CURSOR, LIMIT, Operation, SchemaOf, of};

/// Every method of every route of publish requests.
pub(super) fn operations() -> Vec<Operation> {
    let answer: SchemaOf = of::<request::PublishRequest>;
    let on = |template, method, summary, reads, status| Operation {
        template,
        method,
        summary,
        query: &[],
        reads,
        answers: Answers::Json(status, answer),
    };
    vec![
        Operation {
            template: "/v1/requests",
            method: Method::GET,
            summary: "Publish requests, newest first",
            query: &[
                ("state", "states with commas between, or `open`"),
                ("namespace", "only about this namespace and those below"),
                ("author", "only submitted by this principal"),
                ("waiting", "`true`: only those that wait for your approval"),
                (
                    "unacknowledged",
                    "`true`: only emergencies that no admin has looked at",
                ),
                CURSOR,
                LIMIT,
            ],
            reads: None,
            answers: Answers::Json(200, of::<Page<request::PublishRequest>>),
        },
        on(
            "/v1/requests",
            Method::POST,
            "Ask for drafts to be published",
            Some(of::<request::RequestCreate>),
            201,
        ),
        on("/v1/requests/{n}", Method::GET, "One request", None, 200),
        on(
            "/v1/requests/{n}",
            Method::PATCH,
            "Change what is asked for, and ask again",
            Some(of::<request::RequestEdit>),
            200,
        ),
        Operation {
            template: "/v1/requests/{n}/diff",
            method: Method::GET,
            summary: "What it changes in one namespace",
            query: &[
                ("namespace", "which; need not be named where it has one"),
                CURSOR,
                LIMIT,
            ],
            reads: None,
            answers: Answers::Json(200, of::<request::RequestDiff>),
        },
        Operation {
            template: "/v1/requests/{n}/impact",
            method: Method::GET,
            summary: "What publishing it would do to effective documents",
            query: &[],
            reads: None,
            answers: Answers::Json(200, of::<schema::Preview>),
        },
        on(
            "/v1/requests/{n}/comments",
            Method::POST,
            "Say something",
            Some(of::<request::CommentWrite>),
            201,
        ),
        on(
            "/v1/requests/{n}/reviews",
            Method::POST,
            "Approve or reject",
            Some(of::<request::ReviewWrite>),
            201,
        ),
        on(
            "/v1/requests/{n}/publish",
            Method::POST,
            "Publish it",
            Some(of::<request::RequestPublish>),
            200,
        ),
        on(
            "/v1/requests/{n}/schedule",
            Method::POST,
            "Let it publish itself",
            Some(of::<request::ScheduleWrite>),
            200,
        ),
        on(
            "/v1/requests/{n}/schedule",
            Method::DELETE,
            "Take the schedule back",
            None,
            200,
        ),
        on(
            "/v1/requests/{n}/promote",
            Method::POST,
            "Publish to all readers what a part of them has",
            Some(of::<request::PromoteWrite>),
            200,
        ),
        on(
            "/v1/requests/{n}/abort",
            Method::POST,
            "Take back what a part of the readers has",
            Some(of::<request::AbortWrite>),
            200,
        ),
        on(
            "/v1/requests/{n}/withdraw",
            Method::POST,
            "Take it back",
            Some(of::<request::WithdrawWrite>),
            200,
        ),
        on(
            "/v1/requests/{n}/acknowledge",
            Method::POST,
            "Note that an emergency was looked at",
            None,
            200,
        ),
    ]
}

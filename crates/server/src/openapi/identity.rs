//! The routes about who somebody is, and of coming in.

use axum::http::Method;
use confman_api::Page;
use confman_api::{identity, system};

use super::{Answers, CURSOR, Json, LIMIT, Nothing, Operation, Other, SchemaOf, of, values};

/// Every method of every one of these routes.
pub(super) fn operations() -> Vec<Operation> {
    let operation = |method, template, summary, query, reads, answers| Operation {
        template,
        method,
        summary,
        query,
        reads,
        answers,
    };
    let get = |template, summary, query, answers: Answers| {
        operation(Method::GET, template, summary, query, None, answers)
    };
    let write = |method, template, summary, reads: SchemaOf, answers: Answers| {
        operation(method, template, summary, &[], Some(reads), answers)
    };
    let delete =
        |template, summary| operation(Method::DELETE, template, summary, &[], None, Nothing);
    let made: SchemaOf = of::<identity::TokenMade>;
    vec![
        get(
            "/v1/whoami",
            "Who the caller is",
            &[],
            Json(200, of::<system::Whoami>),
        ),
        get(
            "/v1/tokens",
            "Tokens, without the tokens themselves",
            &[
                ("principal", "whose; the caller's where absent"),
                ("all", "`true`: everybody's"),
                CURSOR,
                LIMIT,
            ],
            Json(200, of::<Page<identity::Token>>),
        ),
        write(
            Method::POST,
            "/v1/tokens",
            "Make a token, which is in this answer only",
            of::<identity::TokenWrite>,
            Json(201, made),
        ),
        delete("/v1/tokens/{id}", "Revoke a token"),
        get(
            "/v1/principals",
            "The principals",
            &[CURSOR, LIMIT],
            Json(200, of::<Page<identity::Principal>>),
        ),
        write(
            Method::POST,
            "/v1/principals",
            "Make a principal",
            of::<identity::PrincipalWrite>,
            Json(201, of::<identity::Principal>),
        ),
        get(
            "/v1/principals/{principal}",
            "A principal with its groups",
            &[],
            Json(200, of::<identity::Principal>),
        ),
        write(
            Method::PATCH,
            "/v1/principals/{principal}",
            "Say something else about a principal, or shut it out",
            of::<identity::PrincipalPatch>,
            Json(200, of::<identity::Principal>),
        ),
        get(
            "/v1/groups",
            "The groups",
            &[CURSOR, LIMIT],
            Json(200, of::<Page<identity::Group>>),
        ),
        get(
            "/v1/groups/{group}",
            "A group",
            &[],
            Json(200, of::<identity::Group>),
        ),
        write(
            Method::PUT,
            "/v1/groups/{group}",
            "Make or change a group",
            of::<identity::GroupFields>,
            Json(200, of::<identity::Group>),
        ),
        delete("/v1/groups/{group}", "Remove a group"),
        get(
            "/v1/issuers",
            "The issuers",
            &[],
            Json(200, of::<Page<identity::Issuer>>),
        ),
        get(
            "/v1/issuers/{issuer}",
            "An issuer",
            &[],
            Json(200, of::<identity::Issuer>),
        ),
        write(
            Method::PUT,
            "/v1/issuers/{issuer}",
            "Trust an issuer, or change what is said about it",
            values,
            Json(200, of::<identity::Issuer>),
        ),
        delete("/v1/issuers/{issuer}", "Trust an issuer no more"),
        get(
            "/v1/auth/oidc/{issuer}/login",
            "Send a browser to the issuer",
            &[],
            Other("text/html"),
        ),
        write(
            Method::POST,
            "/v1/auth/oidc/{issuer}/login",
            "Begin a login for a program on the person's machine",
            of::<identity::LoginWrite>,
            Json(200, of::<identity::LoginBegun>),
        ),
        get(
            "/v1/auth/oidc/{issuer}/callback",
            "Where the browser comes back to",
            &[
                ("state", "as it was begun"),
                ("code", "what the issuer gave"),
                ("error", "why it gave none"),
            ],
            Json(200, made),
        ),
        write(
            Method::POST,
            "/v1/auth/oidc/{issuer}/callback",
            "What the issuer answered to a program",
            of::<identity::LoginAnswer>,
            Json(200, made),
        ),
        write(
            Method::POST,
            "/v1/auth/exchange",
            "Exchange an issuer's token for one of ours",
            of::<identity::ExchangeWrite>,
            Json(200, made),
        ),
    ]
}

//! Coming in by an issuer: what is answered without a token.

use axum::http::{HeaderMap, StatusCode, header};
use confman_api::identity::{ExchangeWrite, LoginAnswer, LoginBegun, LoginWrite};
use confman_repo::identity::IssuerName;
use confman_repo::{IssuerInfo, Purpose, SignIn};

use crate::body::DOCUMENT_BYTES_MAX;
use crate::call::Call;
use crate::document::identity;
use crate::error::{ApiError, Code};
use crate::oidc::{Begun, LOGIN_SECONDS_MAX, is_loopback_callback};
use crate::reply::Reply;

/// The cookie that binds a login to the browser that began it.
const COOKIE: &str = "confman_login";
/// What issuers put into the query when they send a browser back.
const ANSWER_PARAMETERS: [&str; 11] = [
    "state",
    "code",
    "error",
    "error_description",
    "error_uri",
    "iss",
    "scope",
    "session_state",
    "authuser",
    "prompt",
    "hd",
];

/// `GET /v1/auth/oidc/{issuer}/login`: sends a browser to the issuer.
pub(crate) async fn browse(call: Call, issuer: IssuerName) -> Result<Reply, ApiError> {
    call.no_query()?;
    let issuer = known(&call, issuer).await?;
    let redirect_uri = issuer.document.redirect_uri.clone().ok_or_else(|| {
        ApiError::new(
            Code::NotFound,
            format!(
                "browsers cannot log in by issuer `{}`, which has no `redirectUri`",
                issuer.name
            ),
        )
    })?;
    let secure = redirect_uri.starts_with("https://");
    let begun = call.app.oidc().begin(&issuer, redirect_uri).await?;
    let reply = Reply::empty(StatusCode::FOUND).header(header::LOCATION, &begun.authorization_url);
    let cookie = cookie(&begun.binding, LOGIN_SECONDS_MAX, secure);
    Ok(reply
        .header(header::SET_COOKIE, &cookie)
        .header(header::CACHE_CONTROL, "no-store"))
}

/// `POST /v1/auth/oidc/{issuer}/login`: begins a login for a program that waits on this machine.
pub(crate) async fn begin(mut call: Call, issuer: IssuerName) -> Result<Reply, ApiError> {
    call.no_query()?;
    let write: LoginWrite = call.json(DOCUMENT_BYTES_MAX).await?;
    if !is_loopback_callback(&write.redirect_uri) {
        let detail = "`redirectUri` must be `http://127.0.0.1:PORT/callback`, where the program waits; browsers begin with GET";
        return Err(ApiError::new(Code::Invalid, detail));
    }
    let issuer = known(&call, issuer).await?;
    let Begun {
        authorization_url,
        state,
        binding,
    } = call.app.oidc().begin(&issuer, write.redirect_uri).await?;
    let begun = LoginBegun {
        authorization_url,
        state,
        binding,
    };
    Ok(Reply::json(&begun)?.header(header::CACHE_CONTROL, "no-store"))
}

/// `GET /v1/auth/oidc/{issuer}/callback`: the browser is back.
pub(crate) async fn come_back(call: Call, issuer: IssuerName) -> Result<Reply, ApiError> {
    let mut query = call.query(&ANSWER_PARAMETERS);
    query.finish()?;
    let text = |name: &str| query.text(name).unwrap_or_default().to_owned();
    if let Some(error) = query.text("error") {
        let detail = format!(
            "the issuer did not log you in: {} {}",
            printable(error),
            printable(&text("error_description"))
        );
        return Err(ApiError::new(Code::InvalidAssertion, detail.trim_end()));
    }
    let issuer = known(&call, issuer).await?;
    if query
        .text("iss")
        .is_some_and(|iss| iss != issuer.document.url)
    {
        let detail = "another issuer answered than the one that was asked";
        return Err(ApiError::new(Code::InvalidAssertion, detail));
    }
    let answer = LoginAnswer {
        state: text("state"),
        code: text("code"),
        binding: binding_of(&call.headers),
    };
    let reply = finish(&call, &issuer, &answer).await?;
    Ok(reply.header(header::SET_COOKIE, &cookie("", 0, true)))
}

/// `POST /v1/auth/oidc/{issuer}/callback`: the program has the issuer's answer.
pub(crate) async fn answer(mut call: Call, issuer: IssuerName) -> Result<Reply, ApiError> {
    call.no_query()?;
    let answer: LoginAnswer = call.json(DOCUMENT_BYTES_MAX).await?;
    let issuer = known(&call, issuer).await?;
    finish(&call, &issuer, &answer).await
}

/// `POST /v1/auth/exchange`
pub(crate) async fn exchange(mut call: Call) -> Result<Reply, ApiError> {
    call.no_query()?;
    let write: ExchangeWrite = call.json(DOCUMENT_BYTES_MAX).await?;
    let issuer = known(&call, write.issuer).await?;
    let now_ms = call.app.repo().now_ms();
    let claims = call
        .app
        .oidc()
        .exchange(&issuer, &write.token, now_ms)
        .await?;
    come_in(
        &call,
        SignIn {
            issuer: issuer.name,
            record: issuer.record,
            purpose: Purpose::Exchange,
            claims,
        },
    )
    .await
}

async fn finish(call: &Call, issuer: &IssuerInfo, answer: &LoginAnswer) -> Result<Reply, ApiError> {
    let now_ms = call.app.repo().now_ms();
    let claims = call.app.oidc().finish(issuer, answer, now_ms).await?;
    come_in(
        call,
        SignIn {
            issuer: issuer.name.clone(),
            record: issuer.record,
            purpose: Purpose::Login,
            claims,
        },
    )
    .await
}

async fn come_in(call: &Call, sign_in: SignIn) -> Result<Reply, ApiError> {
    call.app
        .blocking(move |repo| {
            let signed_in = repo.sign_in(&sign_in)?;
            let made = identity::token_made(&signed_in.token, &signed_in.info);
            Ok(Reply::json(&made)?
                .header(header::CACHE_CONTROL, "no-store")
                .index(signed_in.committed.index))
        })
        .await
}

async fn known(call: &Call, name: IssuerName) -> Result<IssuerInfo, ApiError> {
    call.app.blocking(move |repo| Ok(repo.issuer(&name)?)).await
}

fn cookie(binding: &str, seconds: u64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!(
        "{COOKIE}={binding}; Path=/v1/auth/oidc; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
    )
}

fn binding_of(headers: &HeaderMap) -> String {
    let cookies = headers
        .get_all(header::COOKIE)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value.to_owned())
        .unwrap_or_default()
}

/// Somebody else's text in a message: short, and on one line.
fn printable(text: &str) -> String {
    text.chars()
        .take(200)
        .flat_map(char::escape_debug)
        .collect()
}

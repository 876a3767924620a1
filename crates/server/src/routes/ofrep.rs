//! Effective values as flags, for clients of OpenFeature (OFREP).
//!
//! What is asked about a flag that does not exist, or with a context that does not do, is answered in
//! the protocol's own form; everything else is a problem as everywhere.

use axum::http::{StatusCode, header};
use bytes::Bytes;
use confman_api::ofrep::{
    BulkEvaluation, Evaluation, EvaluationFailure, EvaluationMetadata, EvaluationRequest,
    HEADER_NAMESPACE,
};
use confman_repo::model::{Key, Namespace};
use confman_repo::{CompiledDocument, CompiledEntry};

use crate::body::{self, DOCUMENT_BYTES_MAX, Pieces};
use crate::call::Call;
use crate::document::entry;
use crate::error::{ApiError, Code, chain};
use crate::etag;
use crate::reply::Reply;

/// Nothing about a value depends on who asks.
const REASON: &str = "STATIC";

/// `POST /ofrep/v1/evaluate/flags/{key}`
pub(crate) async fn flag(mut call: Call, key: Key) -> Result<Reply, ApiError> {
    call.no_query()?;
    let (namespace, client) = match namespace(&mut call, Some(&key)).await? {
        Ok(meant) => meant,
        Err(failure) => return failed(StatusCode::BAD_REQUEST, &failure),
    };
    call.run(move |session| {
        let (reader, document) = session.document_for(&namespace, client.as_deref())?;
        let Some(found) = document.get(&key) else {
            let failure = EvaluationFailure {
                key: Some(key.to_string()),
                error_code: "FLAG_NOT_FOUND".to_owned(),
                error_details: format!("`{namespace}:{key}` has no value"),
            };
            return failed(StatusCode::NOT_FOUND, &failure);
        };
        Ok(Reply::json(&evaluation(&document, found)?)?.index(reader.index()))
    })
    .await
}

/// `POST /ofrep/v1/evaluate/flags`
pub(crate) async fn flags(mut call: Call) -> Result<Reply, ApiError> {
    call.no_query()?;
    let (namespace, client) = match namespace(&mut call, None).await? {
        Ok(meant) => meant,
        Err(failure) => return failed(StatusCode::BAD_REQUEST, &failure),
    };
    let headers = call.headers.clone();
    call.run(move |session| {
        let (reader, document) = session.document_for(&namespace, client.as_deref())?;
        let tag = document.basis.to_string();
        if etag::is_known(&headers, &tag)? {
            let reply = Reply::empty(StatusCode::NOT_MODIFIED).etag(&tag);
            return Ok(reply.index(reader.index()));
        }
        let flags = document.entries.iter();
        let flags = flags.map(|found| evaluation(&document, found));
        let all = BulkEvaluation {
            flags: flags.collect::<Result<_, _>>()?,
        };
        Ok(Reply::json(&all)?.etag(&tag).index(reader.index()))
    })
    .await
}

fn evaluation(document: &CompiledDocument, found: &CompiledEntry) -> Result<Evaluation, ApiError> {
    let origin = document.origin(found);
    Ok(Evaluation {
        key: found.key.to_string(),
        reason: REASON.to_owned(),
        value: entry::json(&found.value)?,
        metadata: EvaluationMetadata {
            namespace: origin
                .map(|link| link.namespace.to_string())
                .unwrap_or_default(),
            commit: origin
                .and_then(|link| link.commit)
                .map(|commit| commit.to_string()),
            value_type: found.value.entry_type().name().to_owned(),
        },
    })
}

/// The namespace that is meant, that of the header or of the context, and who is evaluated for.
async fn namespace(
    call: &mut Call,
    key: Option<&Key>,
) -> Result<Result<(Namespace, Option<String>), EvaluationFailure>, ApiError> {
    let refuse = |code: &str, details: String| {
        Ok(Err(EvaluationFailure {
            key: key.map(ToString::to_string),
            error_code: code.to_owned(),
            error_details: details,
        }))
    };
    let body = call.take_body();
    let mut pieces = Pieces::new(&call.headers, body, DOCUMENT_BYTES_MAX)?;
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.next().await? {
        bytes.extend_from_slice(&piece);
    }
    let request: EvaluationRequest = match bytes.is_empty() {
        true => EvaluationRequest::default(),
        false => match body::parse_json(&bytes) {
            Ok(request) => request,
            Err(error) => return refuse("PARSE_ERROR", error.detail),
        },
    };
    let header = match call.headers.get(HEADER_NAMESPACE) {
        Some(value) => Some(value.to_str().map_err(|_| {
            ApiError::header(
                HEADER_NAMESPACE,
                "it is a namespace, as in `/teams/payments`",
            )
        })?),
        None => None,
    };
    let in_context = request
        .context
        .get("namespace")
        .and_then(|value| value.as_str());
    let Some(text) = header.or(in_context) else {
        let details = "say which namespace is meant: in the header `Confman-Namespace`, or as `namespace` in the context";
        return refuse("INVALID_CONTEXT", details.to_owned());
    };
    // Who is evaluated for is who gets it gradually.
    let client = request
        .context
        .get("targetingKey")
        .and_then(|value| value.as_str())
        .map(str::to_owned);
    match text.parse() {
        Ok(namespace) => Ok(Ok((namespace, client))),
        Err(error) => refuse("INVALID_CONTEXT", chain(&error)),
    }
}

fn failed(status: StatusCode, failure: &EvaluationFailure) -> Result<Reply, ApiError> {
    let bytes = serde_json::to_vec(failure)
        .map_err(|error| ApiError::new(Code::Internal, error.to_string()))?;
    let media_type = header::HeaderValue::from_static("application/json");
    Ok(Reply::with(Bytes::from(bytes), media_type).status(status))
}

#[cfg(test)]
mod tests {
    use axum::http::{Method, StatusCode};
    use serde_json::json;

    use crate::harness::TestServer;

    #[tokio::test]
    async fn values_are_evaluated_one_by_one_and_all_together() {
        let server = TestServer::new().await;
        server.namespace("/a").await;
        server.publish("/", json!({ "new/checkout": true })).await;
        server.publish("/a", json!({ "limit": 1.5 })).await;
        let flags = "/ofrep/v1/evaluate/flags";
        let ask = |path: String| {
            server
                .ask(Method::POST, Box::leak(path.into_boxed_str()))
                .header("confman-namespace", "/a")
        };
        let one = ask(format!("{flags}/new%2Fcheckout"))
            .json(&json!({ "context": { "targetingKey": "u" } }))
            .await;
        insta::assert_snapshot!(one.redacted(), @r#"
        {
          "key": "new/checkout",
          "reason": "STATIC",
          "value": true,
          "metadata": {
            "namespace": "/",
            "commit": "[id]",
            "type": "boolean"
          }
        }
        "#);
        let all = ask(flags.to_owned()).json(&json!({})).await;
        insta::assert_snapshot!(all.redacted(), @r#"
        {
          "flags": [
            {
              "key": "limit",
              "reason": "STATIC",
              "value": 1.5,
              "metadata": {
                "namespace": "/a",
                "commit": "[id]",
                "type": "number"
              }
            },
            {
              "key": "new/checkout",
              "reason": "STATIC",
              "value": true,
              "metadata": {
                "namespace": "/",
                "commit": "[id]",
                "type": "boolean"
              }
            }
          ]
        }
        "#);
        let known = ask(flags.to_owned())
            .header("if-none-match", all.header("etag"))
            .send()
            .await;
        assert_eq!(known.status, StatusCode::NOT_MODIFIED);
        let missing = ask(format!("{flags}/other")).json(&json!({})).await;
        assert_eq!(missing.status, StatusCode::NOT_FOUND);
        insta::assert_snapshot!(missing.redacted(), @r#"
        {
          "key": "other",
          "errorCode": "FLAG_NOT_FOUND",
          "errorDetails": "`/a:other` has no value"
        }
        "#);
    }

    #[tokio::test]
    async fn what_is_asked_wrongly_is_answered_in_the_form_of_the_protocol() {
        let server = TestServer::new().await;
        let path = "/ofrep/v1/evaluate/flags/x";
        let by_context = server
            .ask(Method::POST, path)
            .json(&json!({ "context": { "namespace": "/" } }))
            .await;
        assert_eq!(
            (
                by_context.status,
                by_context.document()["errorCode"].as_str()
            ),
            (StatusCode::NOT_FOUND, Some("FLAG_NOT_FOUND"))
        );
        for (body, code) in [
            ("{}", "INVALID_CONTEXT"),
            (r#"{"context": {"namespace": "x"}}"#, "INVALID_CONTEXT"),
            ("{", "PARSE_ERROR"),
        ] {
            let answer = server.ask(Method::POST, path).body(body.into()).await;
            assert_eq!(
                (answer.status, answer.document()["errorCode"].as_str()),
                (StatusCode::BAD_REQUEST, Some(code)),
                "{body}"
            );
        }
        let stranger = server
            .ask(Method::POST, path)
            .without_token()
            .json(&json!({}))
            .await;
        assert_eq!(stranger.outcome(), "401 unauthenticated");
        let nowhere = server
            .ask(Method::POST, path)
            .header("confman-namespace", "/nowhere")
            .json(&json!({}))
            .await;
        assert_eq!(nowhere.outcome(), "404 not-found");
    }
}

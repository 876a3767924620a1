//! Effective configuration as the environment of a Spring application.
//!
//! An application is a namespace, a profile a namespace directly below it, a label a revision. JSON is
//! taken apart into the names that Spring binds: `/` and members become `.name`, items `[0]`.

use std::collections::BTreeMap;

use axum::http::header;
use confman_api::problem::ProblemItem;
use confman_api::spring::{Environment, PropertySource};
use confman_repo::model::json::{Json, Number};
use confman_repo::model::{EntryType, Key, Namespace, Revision, Value};
use confman_repo::{CompiledDocument, Error, Session};
use data_encoding::BASE64;
use serde_json::value::RawValue;
use std::sync::Arc;

use crate::call::Call;
use crate::error::{ApiError, Code};
use crate::reply::Reply;
use crate::url::SpringPath;

/// The profile of an application that has none.
const PROFILE_DEFAULT: &str = "default";

/// `GET /spring/{application}/{profiles}[/{label}]`
pub(crate) async fn environment(call: Call, asked: SpringPath) -> Result<Reply, ApiError> {
    call.no_query()?;
    call.run(move |session| {
        let revision = asked.label.clone().unwrap_or_default();
        let (index, own) = document(session, &asked.namespace, &revision)?;
        let mut sources = Vec::new();
        // The profile that is named last has the last word.
        for profile in asked.profiles.iter().rev() {
            if let Some(below) = profile_document(session, &asked.namespace, profile, &revision)? {
                sources.push(source(&below)?);
            }
        }
        sources.push(source(&own)?);
        let environment = Environment {
            name: asked.application,
            profiles: asked.profiles,
            label: asked.label.map(|label| label.to_string()),
            version: own.basis.to_string(),
            state: None,
            property_sources: sources,
        };
        let reply = Reply::json(&environment)?.index(index).commit(own.commit());
        Ok(reply.header(header::CACHE_CONTROL, "no-store"))
    })
    .await
}

fn document(
    session: &Session,
    namespace: &Namespace,
    revision: &Revision,
) -> Result<(u64, Arc<CompiledDocument>), Error> {
    if *revision != Revision::Published {
        return session.compile(namespace, revision);
    }
    let (reader, document) = session.document(namespace)?;
    Ok((reader.index(), document))
}

/// What a profile adds; nothing where it has no namespace.
fn profile_document(
    session: &Session,
    application: &Namespace,
    profile: &str,
    revision: &Revision,
) -> Result<Option<Arc<CompiledDocument>>, ApiError> {
    let below = format!("{}/{profile}", application.as_str().trim_end_matches('/'));
    let namespace: Namespace = match below.parse() {
        Ok(namespace) => namespace,
        Err(_) if profile == PROFILE_DEFAULT => return Ok(None),
        Err(error) => {
            let detail = format!("the profile is no segment of a namespace: {error}");
            return Err(ApiError::new(Code::InvalidPath, detail));
        }
    };
    match document(session, &namespace, revision) {
        Ok((_, document)) => Ok(Some(document)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The properties of a document. Two values that come to one name are refused.
fn source(document: &CompiledDocument) -> Result<PropertySource, ApiError> {
    let mut source: BTreeMap<String, Box<RawValue>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for entry in &document.entries {
        for (name, scalar) in properties(&entry.key, &entry.value) {
            let raw = RawValue::from_string(scalar.to_compact()).map_err(|error| {
                ApiError::internal(format!("a value has no JSON form: {error}"))
            })?;
            if source.insert(name.clone(), raw).is_some() {
                wrong.push(ProblemItem {
                    detail: format!(
                        "`{}` comes to the property `{name}`, and so does another key",
                        entry.key
                    ),
                    key: Some(entry.key.to_string()),
                    ..ProblemItem::default()
                });
            }
        }
    }
    if !wrong.is_empty() {
        return Err(ApiError::listed(Code::Inexpressible, wrong));
    }
    Ok(PropertySource {
        name: format!("confman:{}", document.namespace),
        source,
    })
}

/// A value taken apart into named scalars.
fn properties(key: &Key, value: &Value) -> Vec<(String, Json)> {
    let text = || value.as_str().unwrap_or_default().to_owned();
    let json = match value.entry_type() {
        EntryType::Json => value.as_json().unwrap_or(Json::Null),
        EntryType::Boolean => Json::Bool(value.as_str() == Some("true")),
        EntryType::Number => Number::parse(&text()).map_or(Json::Null, Json::Number),
        EntryType::String | EntryType::SecretRef => Json::String(text()),
        EntryType::Binary => Json::String(BASE64.encode(value.bytes())),
    };
    let mut out = Vec::new();
    take_apart(key.as_str().replace('/', "."), json, &mut out);
    out
}

fn take_apart(name: String, json: Json, out: &mut Vec<(String, Json)>) {
    match json {
        Json::Object(members) if !members.is_empty() => {
            for (member, value) in members {
                take_apart(format!("{name}.{member}"), value, out);
            }
        }
        Json::Array(items) if !items.is_empty() => {
            for (index, value) in items.into_iter().enumerate() {
                take_apart(format!("{name}[{index}]"), value, out);
            }
        }
        // Spring has no empty objects and lists; an empty text is what it makes of them itself.
        Json::Object(_) | Json::Array(_) => out.push((name, Json::String(String::new()))),
        scalar => out.push((name, scalar)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::harness::TestServer;

    #[tokio::test]
    async fn profiles_come_before_the_application_and_json_is_taken_apart() {
        let server = TestServer::new().await;
        for namespace in ["/teams", "/teams/pay", "/teams/pay/prod"] {
            server.namespace(namespace).await;
        }
        server
            .publish("/teams", json!({ "region": "eu", "stripe/key": "k" }))
            .await;
        server
            .publish(
                "/teams/pay",
                json!({ "limits": { "daily": 10.50, "hosts": ["a", { "b": null }], "none": {} } }),
            )
            .await;
        server
            .publish("/teams/pay/prod", json!({ "region": "us" }))
            .await;
        let answer = server.get("/spring/teams(_)pay/prod,nowhere").send().await;
        insta::assert_snapshot!(answer.redacted(), @r#"
        {
          "name": "teams(_)pay",
          "profiles": [
            "prod",
            "nowhere"
          ],
          "label": null,
          "version": "[id]",
          "state": null,
          "propertySources": [
            {
              "name": "confman:/teams/pay/prod",
              "source": {
                "limits.daily": 10.5,
                "limits.hosts[0]": "a",
                "limits.hosts[1].b": null,
                "limits.none": "",
                "region": "us",
                "stripe.key": "k"
              }
            },
            {
              "name": "confman:/teams/pay",
              "source": {
                "limits.daily": 10.5,
                "limits.hosts[0]": "a",
                "limits.hosts[1].b": null,
                "limits.none": "",
                "region": "eu",
                "stripe.key": "k"
              }
            }
          ]
        }
        "#);
        let labelled = server
            .get("/spring/teams(_)pay/default/published~0")
            .send()
            .await;
        assert_eq!(labelled.document()["label"], "published~0");
        assert_eq!(
            labelled.document()["propertySources"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
        server
            .publish("/teams/pay", json!({ "region.x": 1, "region": { "x": 2 } }))
            .await;
        assert_eq!(
            server
                .get("/spring/teams(_)pay/default")
                .send()
                .await
                .outcome(),
            "422 inexpressible"
        );
        assert_eq!(
            server.get("/spring/nowhere/default").send().await.outcome(),
            "404 not-found"
        );
        assert_eq!(
            server.get("/spring/teams/A").send().await.outcome(),
            "400 invalid-path"
        );
    }
}

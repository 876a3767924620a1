//! From a request to its handler and back: every route is on this screen.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::response::Response;
use confman_api::{HEADER_INDEX, HEADER_MIN_INDEX, HEADER_REQUEST_ID};
use confman_repo::{Actor, Origin};
use futures::FutureExt;
use tracing::{Instrument, Span};

use crate::app::App;
use crate::call::{CONSISTENCY, Call};
use crate::error::{ApiError, Code};
use crate::listener;
use crate::preference;
use crate::query::Query;
use crate::reply::{Here, Reply};
use crate::request_id::RequestId;
use crate::routes::{
    backup, cluster, commits, config, drafts, entries, explain, history, identity, namespaces,
    ofrep, operations, publish, requests, schemas, search, spring, sync, system, tags, watch,
};
use crate::traces;
use crate::url::{self, Part, PathError, Resource};

/// The query that asks for nothing but what is newest.
const ONLY_LINEARIZABLE: &str = "consistency=linearizable";

/// Answers a request, whatever happens.
pub(crate) async fn handle(app: App, request: Request) -> Response {
    let begun = Instant::now();
    let request_id = RequestId::next();
    let method = request.method().clone();
    let resource = url::parse(request.uri().path());
    let route = resource.as_ref().map_or("-", Resource::template);
    let traced = traces::request(&method, &resource, request.headers(), &request_id);
    if let Ok(resource) = &resource
        && request.uri().query().is_none()
        && let Some(reply) = at_hand(&app, resource, &method, request.headers())
    {
        let response = finished(reply.into_response(), &method, request_id);
        note(&app, &method, route, &response, begun, Waits::No);
        if let Some(span) = traced {
            traces::answered(&span, response.status());
        }
        return response;
    }
    let span = traced.unwrap_or_else(|| tracing::info_span!("request", id = %request_id));
    // On the heap, so that connections that wait or watch do not keep room for every route.
    Box::pin(general(app, request, resource, request_id, begun, span)).await
}

/// Answers what is not at hand.
async fn general(
    app: App,
    request: Request,
    resource: Result<Resource, PathError>,
    request_id: RequestId,
    begun: Instant,
    span: Span,
) -> Response {
    let method = request.method().clone();
    let route = resource.as_ref().map_or("-", Resource::template);
    let index = app.index();
    // How long somebody waits who asked to wait says nothing of the server.
    let waits = match request.headers().contains_key("prefer") {
        true => Waits::Asked,
        false => Waits::No,
    };
    let origin = Origin {
        request_id: request_id.as_str().to_owned(),
        client: listener::peer(&request),
    };
    let answered = AssertUnwindSafe(answer(&app, resource, request, origin))
        .catch_unwind()
        .instrument(span.clone())
        .await
        .unwrap_or_else(|_| Err(ApiError::internal("a handler panicked")));
    let mut response = match answered {
        Ok(reply) => reply.into_response(),
        Err(error) => {
            let code = error.code.as_str();
            if let Some(cause) = &error.cause {
                span.in_scope(|| tracing::error!(route, code, "{method} {route} failed: {cause}"));
            }
            error.into_response(request_id.as_str())
        }
    };
    response
        .headers_mut()
        .entry(HEADER_INDEX)
        .or_insert_with(|| HeaderValue::from(index));
    let response = finished(response, &method, request_id);
    span.in_scope(|| note(&app, &method, route, &response, begun, waits));
    traces::answered(&span, response.status());
    response
}

/// What every answer has.
fn finished(mut response: Response, method: &Method, request_id: RequestId) -> Response {
    if *method == Method::HEAD {
        // The length is that of the body which `GET` would have.
        let length = response.body().size_hint().exact();
        *response.body_mut() = Body::empty();
        if let Some(length) = length {
            response
                .headers_mut()
                .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
    }
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if let Some(value) = request_id.value() {
        headers.insert(HeaderName::from_static(HEADER_REQUEST_ID), value);
    }
    response
}

/// Whether the caller asked to be kept waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    No,
    Asked,
}

/// Takes note of an answer, in the figures and in the log.
fn note(
    app: &App,
    method: &Method,
    route: &'static str,
    response: &Response,
    begun: Instant,
    waits: Waits,
) {
    let status = response.status().as_u16();
    let took = begun.elapsed();
    let timed = match waits {
        Waits::No => Some(took),
        Waits::Asked => None,
    };
    app.metrics().answered(route, method, status, timed);
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match status {
        500.. => tracing::warn!(%method, route, status, ms, "{method} {route} {status} in {ms} ms"),
        _ => tracing::debug!(%method, route, status, ms, "{method} {route} {status} in {ms} ms"),
    }
}

/// The answer to a plain read of effective configuration that is compiled already, for a caller who
/// is known to have the right. `None` for everything else. Neither blocks nor waits.
fn at_hand(app: &App, resource: &Resource, method: &Method, headers: &HeaderMap) -> Option<Reply> {
    let (namespace, key) = match resource {
        Resource::In(namespace, Part::Config) => (namespace, None),
        Resource::In(namespace, Part::ConfigKey(key)) => (namespace, Some(key)),
        _ => return None,
    };
    let plain =
        matches!(*method, Method::GET | Method::HEAD) && !headers.contains_key(HEADER_MIN_INDEX);
    if !plain {
        return None;
    }
    let token = preference::bearer(headers).ok()?;
    let reader = app.repo().reader(token, namespace)?;
    config::at_hand(&reader, key, headers)
}

async fn answer(
    app: &App,
    resource: Result<Resource, PathError>,
    request: Request,
    origin: Origin,
) -> Result<Reply, ApiError> {
    let resource = resource.map_err(no_resource)?;
    let method = match *request.method() {
        // Answered as GET; the body is dropped at the end.
        Method::HEAD => Method::GET,
        ref other => other.clone(),
    };
    if !resource.methods().contains(&method) {
        return Err(not_answered(&resource, &method));
    }
    if resource.is_public() {
        return open(app, &resource);
    }
    if !app.repo().node().has_begun() {
        // Nobody is unknown and nothing is absent because this node has not heard of it.
        return Err(ApiError::new(Code::Unavailable, system::NOT_BEGUN));
    }
    let (parts, body) = request.into_parts();
    let (actor, token) = caller(app, &resource, &parts.headers).await?;
    if let Some(index) = preference::min_index(&parts.headers)? {
        app.wait_for_index(index).await?;
    }
    let here = Here {
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
    };
    if is_linearizable(here.query.as_deref())? {
        app.linearize().await?;
        // What is at hand is of the newest view, which is new enough now.
        if here.query.as_deref() == Some(ONLY_LINEARIZABLE)
            && let Some(reply) = at_hand(app, &resource, &method, &parts.headers)
        {
            return Ok(reply);
        }
    }
    let principal = actor.principal().to_owned();
    let client = origin.client.clone().unwrap_or_default();
    let mut session = app.repo().session(actor).shown(token).from_origin(origin);
    let token = Arc::from(token);
    if let Some(key) = preference::idempotency_key(&parts.headers)? {
        session = session.idempotent(&key);
    }
    let is_anyone = session.actor().is_anyone();
    let path = here.path.clone();
    let call = Call::new(app.clone(), session, token, parts.headers, here, body);
    let template = resource.template();
    let answered = route(call, resource, &method).await;
    if let Err(error) = &answered
        && error.code == Code::Forbidden
        && method != Method::GET
    {
        tracing::warn!(
            %principal,
            client,
            %method,
            route = template,
            path,
            "refused {method} {path} to {principal}: {}",
            error.detail
        );
    }
    match answered {
        // Whoever says who it is may be allowed.
        Err(error) if is_anyone && error.code == Code::Forbidden => Err(preference::no_token()),
        answered => answered,
    }
}

/// Who asks: the holder of the token, or with an empty token anyone, where nobody has to say who it is.
async fn caller<'h>(
    app: &App,
    resource: &Resource,
    headers: &'h HeaderMap,
) -> Result<(Actor, &'h str), ApiError> {
    if resource.is_a_door() {
        return Ok((app.repo().visitor(), ""));
    }
    match resource {
        Resource::In(namespace, _) if !headers.contains_key(header::AUTHORIZATION) => {
            let namespace = namespace.clone();
            let anyone = app.blocking(move |repo| Ok(repo.anyone(&namespace)?)).await;
            match anyone {
                Ok(anyone) => Ok((anyone, "")),
                Err(error) if error.code == Code::Unauthenticated => Err(preference::no_token()),
                Err(error) => Err(error),
            }
        }
        _ => {
            let token = preference::bearer(headers)?;
            Ok((app.authenticate(token).await?, token))
        }
    }
}

/// Every route that needs an actor.
async fn route(call: Call, resource: Resource, method: &Method) -> Result<Reply, ApiError> {
    let (namespace, part) = match resource {
        Resource::Health
        | Resource::Readiness
        | Resource::Version
        | Resource::Metrics
        | Resource::OpenApi
        | Resource::Docs => {
            return open(&call.app, &resource);
        }
        Resource::Flags => return ofrep::flags(call).await,
        Resource::Flag(key) => return ofrep::flag(call, key).await,
        Resource::Spring(asked) => return spring::environment(call, asked).await,
        Resource::Identity(identity) => return identity::route(call, identity, method).await,
        Resource::Cluster(resource) => return cluster::route(call, resource, method).await,
        Resource::Backup(resource) => return backup::route(call, resource).await,
        Resource::Fsck => return system::fsck(call).await,
        Resource::Operations => return operations::list(call).await,
        Resource::Rotations => return schemas::rotations(call).await,
        Resource::Search => return search::find(call).await,
        Resource::Schemas => return schemas::list(call).await,
        Resource::Schema(path) => {
            return match *method {
                Method::PUT => schemas::put(call, path).await,
                Method::DELETE => schemas::remove(call, path).await,
                _ => schemas::get(call, path).await,
            };
        }
        Resource::SchemaHistory(path) => return schemas::history(call, path).await,
        Resource::SchemaCheck(path) => return schemas::check(call, path).await,
        Resource::SealedOperations => return operations::sealed(call).await,
        Resource::DeletedNamespaces => return namespaces::deleted(call).await,
        Resource::Namespaces => {
            return match *method {
                Method::POST => namespaces::create(call).await,
                _ => namespaces::list(call).await,
            };
        }
        Resource::Requests => {
            return match *method {
                Method::POST => requests::create(call).await,
                _ => requests::list(call).await,
            };
        }
        Resource::Request(number, part) => {
            return requests::part(call, number, part, method).await;
        }
        Resource::In(namespace, part) => (namespace, part),
    };
    match (part, method) {
        (Part::Document, &Method::PUT) => namespaces::replace(call, namespace).await,
        (Part::Document, &Method::PATCH) => namespaces::patch(call, namespace).await,
        (Part::Document, &Method::DELETE) => namespaces::remove(call, namespace).await,
        (Part::Document, _) => namespaces::document(call, namespace).await,
        (Part::Effective, _) => namespaces::effective(call, namespace).await,
        (Part::DocumentHistory, _) => namespaces::history(call, namespace).await,
        (Part::Restore, _) => namespaces::restore(call, namespace).await,
        (Part::Explain(key), _) => explain::key(call, namespace, key).await,
        (Part::Permissions, _) => explain::permissions(call, namespace).await,
        (Part::Config, _) => config::document(call, namespace).await,
        (Part::ConfigKey(key), _) => config::value(call, namespace, key).await,
        (Part::Watch, _) => watch::watch(call, namespace).await,
        (Part::Entries, _) => entries::list(call, namespace).await,
        (Part::Entry(key), &Method::PUT) => entries::put(call, namespace, key).await,
        (Part::Entry(key), &Method::DELETE) => entries::remove(call, namespace, key).await,
        (Part::Entry(key), _) => entries::get(call, namespace, key).await,
        (Part::Drafts, _) => drafts::list(call, namespace).await,
        (Part::Draft(draft), &Method::DELETE) => drafts::remove(call, namespace, draft).await,
        (Part::Draft(draft), _) => drafts::get(call, namespace, draft).await,
        (Part::Changes(draft), _) => drafts::change(call, namespace, draft).await,
        (Part::Publish, _) => publish::publish(call, namespace).await,
        (Part::Rollback, _) => publish::rollback(call, namespace).await,
        (Part::Validate, _) => schemas::validate(call, namespace).await,
        (Part::Preview, _) => schemas::preview(call, namespace).await,
        (Part::EditorSchema, _) => schemas::editor(call, namespace).await,
        (Part::InferredSchema, _) => schemas::infer(call, namespace).await,
        (Part::History(key), _) => history::of_key(call, namespace, key).await,
        (Part::Blame, _) => history::blame(call, namespace).await,
        (Part::Log, _) => commits::log(call, namespace).await,
        (Part::Compare, _) => commits::compare(call, namespace).await,
        (Part::Commit(revision), _) => commits::get(call, namespace, revision).await,
        (Part::Tags, _) => tags::list(call, namespace).await,
        (Part::Tag(tag), &Method::PUT) => tags::put(call, namespace, tag).await,
        (Part::Tag(tag), &Method::DELETE) => tags::remove(call, namespace, tag).await,
        (Part::Tag(tag), _) => tags::get(call, namespace, tag).await,
        (Part::Fetch, _) => sync::fetch(call, namespace).await,
        (Part::Push, _) => sync::push(call, namespace).await,
        (Part::Import, _) => sync::import_state(call, namespace).await,
    }
}

/// What is answered without a token.
fn open(app: &App, resource: &Resource) -> Result<Reply, ApiError> {
    match resource {
        Resource::Readiness => system::readiness(app),
        Resource::Version => system::version(app),
        Resource::Metrics => system::metrics(app),
        Resource::OpenApi => system::openapi(),
        Resource::Docs => system::docs(),
        _ => Ok(system::health()),
    }
}

fn no_resource(error: PathError) -> ApiError {
    match error {
        PathError::Malformed(wrong) => {
            let items = wrong
                .into_iter()
                .map(|detail| confman_api::problem::ProblemItem {
                    detail,
                    ..Default::default()
                });
            ApiError::listed(Code::InvalidPath, items.collect())
        }
        PathError::Unknown => {
            let detail =
                "no route has this path; a namespace's routes are under `/v1/ns/NAMESPACE/-/`";
            ApiError::new(Code::NoSuchRoute, detail)
        }
    }
}

fn not_answered(resource: &Resource, method: &Method) -> ApiError {
    let mut allowed: Vec<&str> = resource.methods().iter().map(Method::as_str).collect();
    if resource.methods().contains(&Method::GET) {
        allowed.push("HEAD");
    }
    let allowed = allowed.join(", ");
    let detail = format!("`{}` answers {allowed}, not {method}", resource.template());
    let error = ApiError::new(Code::MethodNotAllowed, detail);
    match HeaderValue::from_str(&allowed) {
        Ok(value) => error.with(header::ALLOW, value),
        Err(_) => error,
    }
}

/// Reads `?consistency=`, leaving the rest of the query to the handler.
fn is_linearizable(query: Option<&str>) -> Result<bool, ApiError> {
    let raw = query.unwrap_or_default();
    let ours: Vec<&str> = raw
        .split('&')
        .filter(|pair| pair.starts_with("consistency"))
        .collect();
    let mut query = Query::parse(Some(&ours.join("&")), &[CONSISTENCY]);
    let linearizable = match query.text(CONSISTENCY) {
        None | Some("local") => false,
        Some("linearizable") => true,
        Some(_) => {
            query.refuse("the query parameter `consistency` is `local` or `linearizable`");
            false
        }
    };
    query.finish()?;
    Ok(linearizable)
}

#[cfg(test)]
mod matrix;
#[cfg(test)]
mod tests;

//! Publish requests.

use axum::http::{Method, StatusCode};
use confman_api::request::{
    AbortWrite, CommentWrite, PromoteWrite, PublishRequest, RequestCreate, RequestEdit,
    RequestPublish, ReviewWrite, ScheduleWrite, Stage as WrittenStage, TargetWrite, WithdrawWrite,
};
use confman_repo::model::{Key, Namespace};
use confman_repo::objects::ObjectId;
use confman_repo::policy::request::{Stage, State, Verdict};
use confman_repo::request::{
    EditRequest, NewRequest, NewReview, NewTarget, PublishRequest as Publish, RequestFilter,
    RequestInfo,
};
use confman_repo::{Error, ExpectedHead, Problem, Session};
use jiff::SignedDuration;

use super::page;
use super::publish::{keys, named};
use crate::body::{DOCUMENT_BYTES_MAX, VALUES_BYTES_MAX};
use crate::call::Call;
use crate::document::request::{self, APPROVE, REJECT};
use crate::document::schema;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::url::RequestPart;

const LIST: &str = "requests";
const DIFF: &str = "request-diff";

/// A part of a request.
pub(crate) async fn part(
    call: Call,
    number: u64,
    part: RequestPart,
    method: &Method,
) -> Result<Reply, ApiError> {
    match (part, method) {
        (RequestPart::Whole, &Method::PATCH) => edit(call, number).await,
        (RequestPart::Whole, _) => get(call, number).await,
        (RequestPart::Diff, _) => diff(call, number).await,
        (RequestPart::Impact, _) => impact(call, number).await,
        (RequestPart::Comments, _) => comment(call, number).await,
        (RequestPart::Reviews, _) => review(call, number).await,
        (RequestPart::Publish, _) => publish(call, number).await,
        (RequestPart::Schedule, &Method::DELETE) => unschedule(call, number).await,
        (RequestPart::Schedule, _) => schedule(call, number).await,
        (RequestPart::Promote, _) => promote(call, number).await,
        (RequestPart::Abort, _) => abort(call, number).await,
        (RequestPart::Withdraw, _) => withdraw(call, number).await,
        (RequestPart::Acknowledge, _) => acknowledge(call, number).await,
    }
}

/// `GET /v1/requests?state=&namespace=&author=&waiting=&unacknowledged=&cursor=&limit=`
pub(crate) async fn list(call: Call) -> Result<Reply, ApiError> {
    let mut query = call.query(&[
        "state",
        "namespace",
        "author",
        "waiting",
        "unacknowledged",
        "cursor",
        "limit",
    ]);
    let mut states = Vec::new();
    let wanted = query.text("state").unwrap_or_default().to_owned();
    for name in wanted.split(',') {
        match name {
            "" => {}
            "open" => states.extend(State::ALL.into_iter().filter(|state| !state.is_final())),
            name => match name.parse::<State>() {
                Ok(state) => states.push(state),
                Err(error) => query.refuse(format!(
                    "the query parameter `state` is not valid: {error}; `open` is all but the last two"
                )),
            },
        }
    }
    let filter = RequestFilter {
        states,
        namespace: query.parsed::<Namespace>("namespace"),
        author: query.text("author").map(str::to_owned),
        waiting_for_me: query.flag("waiting", false),
        unacknowledged: query.flag("unacknowledged", false),
    };
    let after: Option<u64> = page::after(&mut query, LIST);
    let limit = page::limit(&mut query);
    query.finish()?;
    let here = call.here.clone();
    call.run(move |session| {
        let found = session.requests(&filter, after, limit)?;
        let items = found
            .requests
            .iter()
            .map(|info| request::request(info, &[]))
            .collect::<Result<_, _>>()?;
        let next = page::next(LIST, found.next.as_ref());
        let reply = Reply::page::<PublishRequest>(items, next, &here)?;
        Ok(reply.index(found.index).filtered(found.filtered))
    })
    .await
}

/// `POST /v1/requests`
pub(crate) async fn create(mut call: Call) -> Result<Reply, ApiError> {
    call.no_query()?;
    let write: RequestCreate = call.json(VALUES_BYTES_MAX).await?;
    let stages = stages("the publish request", &write.stages)?;
    call.change(move |session| {
        let targets = write
            .targets
            .iter()
            .enumerate()
            .map(|(at, target)| new_target(session, at, target))
            .collect::<Result<_, Error>>()?;
        let new = NewRequest {
            title: write.title.clone(),
            description: write.description.clone(),
            targets,
            stages: stages.clone(),
        };
        let info = session.create_request(&new)?;
        Ok(reply(&info)?.status(StatusCode::CREATED))
    })
    .await
}

fn new_target(session: &Session, at: usize, write: &TargetWrite) -> Result<NewTarget, Error> {
    const WHAT: &str = "the publish request";
    let pointer = |field: &str| format!("/targets/{at}/{field}");
    let draft = match &write.draft {
        Some(name) => named(WHAT, &pointer("draft"), name)?,
        None => session.own_draft(),
    };
    let expected_head = match &write.expected_head {
        Some(head) => ExpectedHead::At(named(WHAT, &pointer("expectedHead"), head)?),
        None => ExpectedHead::Any,
    };
    Ok(NewTarget {
        namespace: named(WHAT, &pointer("namespace"), &write.namespace)?,
        draft,
        expected_head,
        keys: keys(WHAT, write.keys.as_deref())?,
    })
}

async fn get(call: Call, number: u64) -> Result<Reply, ApiError> {
    call.no_query()?;
    call.run(move |session| reply(&session.request(number)?))
        .await
}

/// `GET …/diff?namespace=&cursor=&limit=`
async fn diff(call: Call, number: u64) -> Result<Reply, ApiError> {
    let mut query = call.query(&["namespace", "cursor", "limit"]);
    let namespace: Option<Namespace> = query.parsed("namespace");
    let after: Option<Key> = page::after(&mut query, DIFF);
    let limit = page::limit(&mut query);
    query.finish()?;
    let here = call.here.clone();
    call.run(move |session| {
        let found = session.request_diff(number, namespace.as_ref(), after.as_ref(), limit)?;
        let next = page::next(DIFF, found.next.as_ref());
        let reply = Reply::json(&request::diff(&found, next.clone())?)?;
        Ok(reply.commit(found.to).next(&here, next.as_deref()))
    })
    .await
}

async fn impact(call: Call, number: u64) -> Result<Reply, ApiError> {
    call.no_query()?;
    call.run(move |session| Reply::json(&schema::preview(&session.request_impact(number)?)?))
        .await
}

async fn edit(mut call: Call, number: u64) -> Result<Reply, ApiError> {
    const WHAT: &str = "the edit of the publish request";
    call.no_query()?;
    let write: RequestEdit = call.json(VALUES_BYTES_MAX).await?;
    let seen = seen(WHAT, write.expected_head.as_deref())?;
    let mut picked = Vec::new();
    for (at, target) in write.targets.iter().enumerate() {
        let namespace = named(WHAT, &format!("/targets/{at}/namespace"), &target.namespace)?;
        picked.push((namespace, keys(WHAT, target.keys.as_deref())?));
    }
    let stages = match &write.stages {
        Some(steps) => Some(stages(WHAT, steps)?),
        None => None,
    };
    let edit = EditRequest {
        stages,
        title: write.title,
        description: write.description,
        keys: picked,
        seen,
    };
    call.change(move |session| reply(&session.edit_request(number, &edit)?))
        .await
}

async fn comment(mut call: Call, number: u64) -> Result<Reply, ApiError> {
    call.no_query()?;
    let write: CommentWrite = call.json(DOCUMENT_BYTES_MAX).await?;
    call.change(move |session| {
        let info = session.comment_on_request(number, &write.text)?;
        Ok(reply(&info)?.status(StatusCode::CREATED))
    })
    .await
}

async fn review(mut call: Call, number: u64) -> Result<Reply, ApiError> {
    const WHAT: &str = "the review";
    call.no_query()?;
    let write: ReviewWrite = call.json(DOCUMENT_BYTES_MAX).await?;
    let verdict = match write.decision.as_str() {
        APPROVE => Verdict::Approve,
        REJECT => Verdict::Reject,
        _ => {
            let problem = Problem {
                pointer: Some("/decision".to_owned()),
                ..Problem::new(format!("allowed are `{APPROVE}` and `{REJECT}`"))
            };
            return Err(Error::Invalid {
                what: WHAT.to_owned(),
                problems: vec![problem],
            }
            .into());
        }
    };
    let review = NewReview {
        verdict,
        comment: write.comment,
        seen: seen(WHAT, write.expected_head.as_deref())?,
    };
    call.change(move |session| {
        let info = session.review_request(number, &review)?;
        Ok(reply(&info)?.status(StatusCode::CREATED))
    })
    .await
}

async fn publish(mut call: Call, number: u64) -> Result<Reply, ApiError> {
    call.no_query()?;
    let write: RequestPublish = call.json(DOCUMENT_BYTES_MAX).await?;
    let publish = Publish {
        seen: seen("the publish", write.expected_head.as_deref())?,
        message: write.message,
        emergency: write.emergency,
        acknowledge_deprecated: write.acknowledge_deprecated,
    };
    call.change(move |session| {
        let (info, warnings) = session.publish_request(number, &publish)?;
        let commit = info.targets.first().and_then(|target| target.commit);
        let reply = Reply::json(&request::request(&info, &warnings)?)?;
        Ok(reply.index(info.index).commit(commit))
    })
    .await
}

async fn schedule(mut call: Call, number: u64) -> Result<Reply, ApiError> {
    const WHAT: &str = "the schedule";
    call.no_query()?;
    let write: ScheduleWrite = call.json(DOCUMENT_BYTES_MAX).await?;
    let seen = seen(WHAT, write.expected_head.as_deref())?;
    let at_ms = match write.publish_at.parse::<jiff::Timestamp>() {
        Ok(moment) => moment.as_millisecond(),
        Err(_) => {
            let problem = Problem {
                pointer: Some("/publishAt".to_owned()),
                ..Problem::new("it is not a time of RFC 3339, as in `2026-11-24T10:00:00Z`")
            };
            return Err(Error::Invalid {
                what: WHAT.to_owned(),
                problems: vec![problem],
            }
            .into());
        }
    };
    call.change(move |session| reply(&session.schedule_request(number, Some(at_ms), seen)?))
        .await
}

async fn unschedule(call: Call, number: u64) -> Result<Reply, ApiError> {
    call.no_query()?;
    call.change(move |session| reply(&session.schedule_request(number, None, None)?))
        .await
}

async fn promote(mut call: Call, number: u64) -> Result<Reply, ApiError> {
    call.no_query()?;
    let write: PromoteWrite = call.json(DOCUMENT_BYTES_MAX).await?;
    let seen = seen("the promotion", write.expected_head.as_deref())?;
    call.change(move |session| {
        let (info, warnings) = session.promote_request(number, seen)?;
        let commit = info.targets.first().and_then(|target| target.commit);
        let reply = Reply::json(&request::request(&info, &warnings)?)?;
        Ok(reply.index(info.index).commit(commit))
    })
    .await
}

async fn abort(mut call: Call, number: u64) -> Result<Reply, ApiError> {
    call.no_query()?;
    let write: AbortWrite = call.json(DOCUMENT_BYTES_MAX).await?;
    call.change(move |session| reply(&session.abort_request(number, &write.reason)?))
        .await
}

/// Reads the steps in which readers get what is published. What they may be is decided further down.
fn stages(what: &str, written: &[WrittenStage]) -> Result<Vec<Stage>, Error> {
    let mut problems = Vec::new();
    let mut stages = Vec::new();
    for (at, stage) in written.iter().enumerate() {
        let lasts = stage.lasts.as_deref().map(str::parse::<SignedDuration>);
        match lasts.transpose() {
            Ok(lasts) => stages.push(Stage {
                percent: stage.percent,
                for_ms: lasts.map(|lasts| i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX)),
            }),
            Err(_) => problems.push(Problem {
                pointer: Some(format!("/stages/{at}/for")),
                ..Problem::new("it is no time span, as in `10m` or `1h 30m`")
            }),
        }
    }
    match problems.is_empty() {
        true => Ok(stages),
        false => Err(Error::Invalid {
            what: what.to_owned(),
            problems,
        }),
    }
}

async fn withdraw(mut call: Call, number: u64) -> Result<Reply, ApiError> {
    call.no_query()?;
    let write: WithdrawWrite = call.json(DOCUMENT_BYTES_MAX).await?;
    call.change(move |session| reply(&session.withdraw_request(number, &write.reason)?))
        .await
}

async fn acknowledge(call: Call, number: u64) -> Result<Reply, ApiError> {
    call.no_query()?;
    call.change(move |session| reply(&session.acknowledge_emergency(number)?))
        .await
}

fn reply(info: &RequestInfo) -> Result<Reply, ApiError> {
    let head = info.targets.first().and_then(|target| target.head);
    let reply = Reply::json(&request::request(info, &[])?)?;
    Ok(reply.index(info.index).commit(head))
}

fn seen(what: &str, text: Option<&str>) -> Result<Option<ObjectId>, Error> {
    text.map(|text| named(what, "/expectedHead", text))
        .transpose()
}

#[cfg(test)]
mod tests;

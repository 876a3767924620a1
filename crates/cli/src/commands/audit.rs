use confman_client::audit::AuditVerifier;
use confman_client::client::OperationsQuery;
use confman_model::Namespace;
use serde::Serialize;

use super::history::limit_of_page;
use crate::context::{Connection, Context, pages};
use crate::error::CliError;
use crate::place::name;
use crate::render;
use crate::report::{Report, output};

/// Operations that are verified at once.
const VERIFIED_AT_ONCE: usize = 1000;

/// Show what happened, newest first: who did what, when, from where, and how refs moved
///
/// Examples:
///   confman audit -n 20
///   confman audit /teams/payments --since "2h ago"
///   confman audit --actor alice --action namespace.      # every action that begins so
///   confman audit --follow                               # what happens from now on
///   confman audit --verify                               # make the chain of hashes again
///   confman audit --json | jq -r 'select(.action == "rollback") | .actor'
///
/// Every change is an operation, and operations form a chain of hashes. Changes nothing.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Only what touched this namespace or those below it
    #[arg(value_parser = name::<Namespace>)]
    namespace: Option<Namespace>,

    /// At most so many operations
    #[arg(long, short = 'n', value_name = "N")]
    limit: Option<usize>,

    /// Only by this principal
    #[arg(long, value_name = "WHO")]
    actor: Option<String>,

    /// Only with this action; with a `.` at its end, with any that begins so
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,

    /// Not before this log index or time, as in `2026-11-20` or `2h ago`
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,

    /// Not after this log index or time
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,

    /// Only of the request with this id
    #[arg(long, value_name = "ID")]
    request: Option<String>,

    /// Only what moved this ref, as in /teams/payments@published
    #[arg(long = "ref", value_name = "REF")]
    ref_name: Option<String>,

    /// Show what happens from now on, or from --since on, until Ctrl-C
    #[arg(long, short, conflicts_with_all = ["until", "limit"])]
    follow: bool,

    /// Make the hash of every operation again, and check that each follows from the one before
    #[arg(long, conflicts_with_all = [
        "follow", "namespace", "limit", "actor", "action", "since", "until", "request", "ref_name"
    ])]
    verify: bool,
}

/// What verifying the log came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Verified {
    /// How many operations there are.
    pub(crate) operations: u64,
    /// Id of the last one, which stands for all of them.
    pub(crate) head: String,
    /// Log index of the last one.
    pub(crate) index: u64,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let connection = cx.connect()?;
        if self.verify {
            return verify(cx, &connection);
        }
        let query = OperationsQuery {
            namespace: self.namespace,
            actor: self.actor,
            action: self.action,
            request: self.request,
            ref_name: self.ref_name,
            since: self.since,
            until: self.until,
        };
        if self.follow {
            let mut stream = connection.client.follow_operations(query);
            let operations = std::iter::repeat_with(move || {
                let operation = connection.wait(stream.next())?;
                Ok(output(operation, render::operation::one))
            });
            return Ok(Report::live(operations));
        }
        let limit_of_page = limit_of_page(self.limit);
        let operations = pages(self.limit, move |cursor: Option<&str>| {
            let page =
                connection.wait(connection.client.operations(&query, limit_of_page, cursor))?;
            Ok((page.items, page.next))
        });
        Ok(Report::stream(
            operations.map(|operation| Ok(output(operation?, render::operation::one))),
        )
        .paged())
    }
}

fn verify(cx: &Context, connection: &Connection) -> Result<Report, CliError> {
    let mut verifier = AuditVerifier::default();
    let mut cursor: Option<String> = None;
    let progress = cx.ui.progress("verifying operations");
    loop {
        let page = connection.wait(
            connection
                .client
                .sealed_operations(VERIFIED_AT_ONCE, cursor.as_deref()),
        )?;
        for sealed in &page.items {
            verifier.take(sealed).map_err(|error| {
                CliError::invalid("the audit log is not what happened")
                    .because(error.to_string())
                    .next("`confman fsck` checks the whole store; compare with another node and with backups")
            })?;
        }
        progress.at(verifier.count(), 0);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    drop(progress);
    let head = verifier
        .head()
        .ok_or_else(|| CliError::invalid("the audit log has no operation"))?;
    let verified = Verified {
        operations: verifier.count(),
        head: head.to_string(),
        index: verifier.index(),
    };
    Ok(Report::one(verified, render::operation::verified))
}

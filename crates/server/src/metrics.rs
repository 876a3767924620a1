//! Figures for whoever operates the server, in the text format of OpenMetrics, which Prometheus reads.
//!
//! Nothing here names a namespace, a key or a principal, so that figures can be read without a token
//! and their number is bounded by the routes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use confman_repo::Repo;
use confman_repo::refs::peer::Lane;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::error::ApiError;
use crate::process_figures;
use crate::watches::Watches;

/// Media type of the figures.
pub(crate) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Upper ends of the buckets of request times, in seconds.
const SECONDS: [f64; 16] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// What tells answers apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    route: &'static str,
    method: &'static str,
    status: u16,
}

/// What tells times apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: &'static str,
}

/// What tells ends apart: of watches, and of resolving references.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct End {
    code: &'static str,
}

/// The figures of a server.
pub(crate) struct Metrics {
    registry: Registry,
    answers: Family<Answer, Counter>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
    ends: Family<End, Counter>,
    resolutions: Family<End, Counter>,
    connections: Gauge,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// The figures of a server on this store.
    pub(crate) fn new(repo: Arc<Repo>, watches: Arc<Watches>) -> Self {
        let answers = Family::default();
        let seconds =
            Family::new_with_constructor((|| Histogram::new(SECONDS)) as fn() -> Histogram);
        let ends = Family::default();
        let resolutions = Family::default();
        let connections = Gauge::default();
        let mut registry = Registry::with_prefix("confman");
        registry.register(
            "http_requests",
            "Requests answered",
            Family::clone(&answers),
        );
        registry.register(
            "http_request_seconds",
            "Time to answer a request that did not ask to wait",
            Family::clone(&seconds),
        );
        registry.register(
            "watch_ends",
            "Watches that the server ended, by reason",
            Family::clone(&ends),
        );
        registry.register(
            "secret_resolutions",
            "Requests that asked for the secrets behind references, by how they ended",
            Family::clone(&resolutions),
        );
        registry.register(
            "http_connections",
            "Connections that are open",
            connections.clone(),
        );
        registry.register_collector(Box::new(Store { repo, watches }));
        Self {
            registry,
            answers,
            seconds,
            ends,
            resolutions,
            connections,
        }
    }

    /// Takes note of an answer. `took` is `None` where the caller had asked to wait.
    pub(crate) fn answered(
        &self,
        route: &'static str,
        method: &Method,
        status: u16,
        took: Option<Duration>,
    ) {
        let answer = Answer {
            route,
            method: known(method),
            status,
        };
        self.answers.get_or_create(&answer).inc();
        if let Some(took) = took {
            let seconds = self.seconds.get_or_create(&Route { route });
            seconds.observe(took.as_secs_f64());
        }
    }

    /// Takes note of a watch that the server ended.
    pub(crate) fn watch_ended(&self, code: &'static str) {
        self.ends.get_or_create(&End { code }).inc();
    }

    /// Takes note of a request for the secrets behind references: `resolved`, or the code of its problem.
    pub(crate) fn resolution_ended(&self, code: &'static str) {
        self.resolutions.get_or_create(&End { code }).inc();
    }

    /// Counts connections that are open.
    pub(crate) fn connections(&self) -> &Gauge {
        &self.connections
    }

    /// All figures as text.
    pub(crate) fn text(&self) -> Result<String, ApiError> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .map_err(|error| ApiError::internal(format!("figures cannot be written: {error}")))?;
        Ok(text)
    }
}

/// The name of a method, of which there are few.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// Figures that are looked up when they are asked for.
struct Store {
    repo: Arc<Repo>,
    watches: Arc<Watches>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Collector for Store {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let node = self.repo.node();
        let (status, log) = (node.status(), node.log_counters());
        let (view, documents) = (node.view(), self.repo.documents_status());
        let database = node.database_status();
        let process = process_figures::read();
        let scrubbed = node.scrub_status();
        let leads = status.leader == Some(status.node_id);
        let gauges = [
            (
                "log_applied_index",
                "Last log index that is applied",
                status.applied,
            ),
            (
                "log_last_index",
                "Last log index that is written",
                status.logged,
            ),
            (
                "log_apply_lag",
                "Log entries that are written and not applied",
                status.logged.saturating_sub(status.applied),
            ),
            ("log_term", "Raft term", status.term),
            ("log_leader", "Whether this node leads", u64::from(leads)),
            (
                "log_entries_kept",
                "Log entries that are not purged",
                log.kept,
            ),
            (
                "log_kept_bytes",
                "Bytes of the log entries that are not purged",
                log.kept_bytes,
            ),
            (
                "scrub_damaged",
                "Objects that were found damaged and are not repaired",
                scrubbed.damaged.len() as u64,
            ),
            (
                "ready",
                "Whether the store takes writes",
                u64::from(status.failed.is_none()),
            ),
            ("refs", "Refs in the newest view", view.len() as u64),
            (
                "rotations_due",
                "Secrets that have been published for longer than their schema allows",
                self.repo.rotations_due(),
            ),
            (
                "watchers",
                "Watches and waiting requests that are open",
                self.watches.watchers() as u64,
            ),
            (
                "watched_namespaces",
                "Namespaces that somebody watches",
                self.watches.topics() as u64,
            ),
            (
                "documents",
                "Effective documents that are compiled",
                documents.documents,
            ),
            (
                "documents_bytes",
                "Memory that compiled documents take",
                documents.bytes,
            ),
            (
                "decisions",
                "Decisions about reading that are remembered",
                documents.decisions,
            ),
            (
                "database_table_bytes",
                "Bytes of the database's tables",
                database.table_bytes,
            ),
            (
                "database_memtable_bytes",
                "Memory of the database's memtables",
                database.memtable_bytes,
            ),
            (
                "database_block_cache_bytes",
                "Memory of the database's block cache",
                database.block_cache_bytes,
            ),
            (
                "database_compaction_pending_bytes",
                "Bytes that the database still has to compact",
                database.compaction_pending_bytes,
            ),
            (
                "process_resident_memory_bytes",
                "Memory of the process",
                process.resident_bytes,
            ),
            (
                "process_open_fds",
                "File descriptors that are open",
                process.open_files,
            ),
            ("process_threads", "Threads of the process", process.threads),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let counters = [
            ("operations", "Operations of the store", view.sequence()),
            (
                "log_synced_writes",
                "Writes of the log that were synced",
                log.synced_writes,
            ),
            (
                "log_entries",
                "Entries that were written to the log",
                log.entries,
            ),
            ("log_bytes", "Bytes that were written to the log", log.bytes),
            (
                "peer_control_bytes",
                "Bytes of heartbeats and votes that this node asked of others, answers included",
                node.carried(Lane::Control),
            ),
            (
                "peer_log_bytes",
                "Bytes of log entries that this node sent to others, answers included",
                node.carried(Lane::Log),
            ),
            (
                "peer_bulk_bytes",
                "Bytes of states and repairs that this node asked others for, answers included",
                node.carried(Lane::Bulk),
            ),
            (
                "peer_request_bytes",
                "Bytes of requests of clients that this node passed on, answers included",
                node.carried(Lane::Request),
            ),
            (
                "scrub_objects",
                "Objects that were read again",
                scrubbed.objects,
            ),
            (
                "scrub_bytes",
                "Bytes of objects that were read again",
                scrubbed.bytes,
            ),
            (
                "scrub_passes",
                "How often everything was read again to the end",
                scrubbed.passes,
            ),
            (
                "scrub_repaired",
                "Objects that were damaged and came whole from another node",
                scrubbed.repaired,
            ),
            (
                "document_hits",
                "Reads that found their document compiled",
                documents.hits,
            ),
            (
                "document_compilations",
                "Documents that were compiled",
                documents.compiled,
            ),
            (
                "document_evictions",
                "Documents that were let go to make room",
                documents.evicted,
            ),
            (
                "publishes",
                "Published heads that this node moved",
                self.repo.publishes(),
            ),
            (
                "process_cpu_milliseconds",
                "Processor time of the process",
                process.cpu_ms,
            ),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(
                name,
                help,
                None,
                counter.metric_type(),
            )?)?;
        }
        Ok(())
    }
}

/// Counts one while it lives.
pub(crate) struct Counted(Arc<Metrics>);

impl Counted {
    /// A connection that is open.
    pub(crate) fn connection(metrics: &Arc<Metrics>) -> Self {
        metrics.connections().inc();
        Self(Arc::clone(metrics))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections().dec();
    }
}

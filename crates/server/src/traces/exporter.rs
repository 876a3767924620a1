//! Sends spans to a collector. One that is away is waited for by nobody: its spans are lost, and the log
//! says so once.

use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use reqwest::header::CONTENT_TYPE;
use tokio::runtime::Handle;

use super::otlp;
use super::settings::TraceSettings;
use crate::error::chain;

/// Sends spans to a collector.
#[derive(Debug)]
pub(super) struct Exporter {
    settings: TraceSettings,
    http: reqwest::Client,
    runtime: Handle,
    resource: Resource,
    is_away: AtomicBool,
}

impl Exporter {
    pub(super) fn new(settings: TraceSettings, runtime: Handle) -> Result<Self, String> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("confman/", env!("CARGO_PKG_VERSION")))
            // What lets us in is for nobody else.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(settings.timeout)
            .build()
            .map_err(|error| format!("cannot set up HTTP: {}", chain(&error)))?;
        Ok(Self {
            settings,
            http,
            runtime,
            resource: Resource::builder_empty().build(),
            is_away: AtomicBool::new(false),
        })
    }

    /// Takes note of whether the collector took what it was sent.
    fn note(&self, outcome: &Result<(), String>) {
        let was_away = self.is_away.swap(outcome.is_err(), Ordering::Relaxed);
        match outcome {
            Ok(()) if was_away => tracing::info!("the collector of traces takes spans again"),
            Err(why) if !was_away => {
                tracing::warn!("the collector of traces takes no spans, which are lost: {why}");
            }
            _ => {}
        }
    }
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let request = self
            .http
            .post(self.settings.endpoint.clone())
            .headers(self.settings.headers.clone())
            .header(CONTENT_TYPE, otlp::MEDIA_TYPE)
            .body(otlp::request(&self.resource, &batch));
        // The thread that asks belongs to no runtime.
        let sending = self.runtime.spawn(async move {
            let answer = request.send().await?;
            answer.error_for_status().map(drop)
        });
        let outcome = match sending.await {
            Ok(sent) => sent.map_err(|error| chain(&error.without_url())),
            Err(_) => Err("the server ends".to_owned()),
        };
        self.note(&outcome);
        outcome.map_err(OTelSdkError::InternalFailure)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.clone();
    }
}

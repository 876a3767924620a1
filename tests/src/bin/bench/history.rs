//! History of one key while its namespace gets more and more commits.

use std::time::{Duration, Instant};

use confman_tests::Server;

use crate::table::{Row, Table};
use crate::{Failure, Scale, confman, git};

const READS: usize = 200;
const EARLY: usize = 100;

/// Reads the history of a key with three versions after 100 commits and after all of them.
pub fn run(scale: Scale, table: &mut Table) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let server = Server::start();
    let home = tempfile::tempdir()?;
    confman::timed(&server, home.path(), &["ns", "create", "/busy"])?;
    runtime.block_on(async {
        let caller = Caller {
            http: reqwest::Client::new(),
            server: &server,
            token: server.admin_token(),
        };
        for edition in 0..3 {
            caller.publish("quiet/key", edition).await?;
        }
        for number in 3..EARLY {
            caller.publish(&git::key(number), number).await?;
        }
        let early = caller.history().await?;
        for number in EARLY..scale.commits {
            caller.publish(&git::key(number), number).await?;
        }
        let late = caller.history().await?;
        table.add(Row {
            what: format!(
                "history of a key with 3 versions, after {} commits to its namespace",
                scale.commits
            ),
            confman: format!("{:.2} ms over HTTP", late.as_secs_f64() * 1000.0),
            peer: format!(
                "after {EARLY} commits: {:.2} ms",
                early.as_secs_f64() * 1000.0
            ),
            ratio: format!("{:.2} ×", late.as_secs_f64() / early.as_secs_f64()),
            bar: "work proportional to its own versions: about 1 ×".to_owned(),
        });
        Ok(())
    })
}

struct Caller<'a> {
    http: reqwest::Client,
    server: &'a Server,
    token: String,
}

impl Caller<'_> {
    async fn publish(&self, key: &str, edition: usize) -> Result<(), Failure> {
        let response = self
            .http
            .put(format!(
                "{}/v1/ns/busy/-/entries/{key}?publish=true",
                self.server.url()
            ))
            .bearer_auth(&self.token)
            .header("content-type", "application/json")
            .body(format!("{{\"value\": \"edition {edition}\"}}"))
            .send()
            .await?;
        let status = response.status();
        let body = response.text().await?;
        if status.is_success() {
            Ok(())
        } else {
            Err(format!("{status}: {body}").into())
        }
    }

    async fn history(&self) -> Result<Duration, Failure> {
        let mut times = Vec::new();
        for _ in 0..READS {
            let begun = Instant::now();
            let text = self
                .http
                .get(format!(
                    "{}/v1/ns/busy/-/history/quiet/key",
                    self.server.url()
                ))
                .bearer_auth(&self.token)
                .send()
                .await?
                .error_for_status()?
                .text()
                .await?;
            times.push(begun.elapsed());
            if !text.contains("\"version\":3") && !text.contains("\"version\": 3") {
                return Err(format!("no third version in {text}").into());
            }
        }
        times.sort();
        Ok(times.get(READS / 2).copied().unwrap_or_default())
    }
}

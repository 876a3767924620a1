//! Brings a `git fast-export` stream into a namespace.
//!
//! In the first phase the commits are made here and sent in batches, while the next batch is already
//! being made; the server keeps a mark of how far it has come. In the second, the published heads
//! move along the first-parent lines of the chosen branch, step by step, and the mark lets go.
//!
//! INVARIANT: nothing is published before the whole stream was read and found good.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use confman_api::sync::{ImportMark, ImportTip, PushEdit, PushWrite};
use confman_model::document::NamespaceDocument;
use confman_model::{Namespace, Revision};
use confman_object_store::ObjectId;
use confman_object_store::pack::pack_of;
use tokio::sync::mpsc;

use super::assembly::{Assembly, Heads, Issues};
use super::place::Placing;
use super::stream::{StreamError, StreamProblem, StreamReader};
use crate::client::{Client, ClientError};

/// Bytes on the wire after which a batch is sent.
const BATCH_WIRE_BYTES: u64 = 6 << 20;
/// Bytes before compression after which a batch is sent.
const BATCH_RAW_BYTES: u64 = 64 << 20;
/// Source commits after which a batch is sent.
const BATCH_COMMITS: u64 = 2000;
/// Most commits that published heads move over in one step.
const STEP_COMMITS: usize = 500;
/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// What to import and how.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The namespace that gets the history.
    pub namespace: Namespace,
    /// How many leading directories become child namespaces.
    pub depth: usize,
    /// Leave out files that cannot be entries instead of refusing.
    pub skip_invalid: bool,
    /// The branch whose commits are published; found by itself where there is only one, or `main` or `master`.
    pub branch: Option<String>,
}

/// How far an import is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportProgress {
    /// Commits of the source that were read.
    pub commits: u64,
    /// Commits of the source that the server has.
    pub sent: u64,
    /// Bytes of the stream that were read.
    pub bytes: u64,
    /// Published commits so far, in the last phase.
    pub published: u64,
}

/// Something about the source that an import could not take as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportIssue {
    /// The commit, by its id in the source or its mark.
    pub commit: String,
    /// The path, where it is about one.
    pub path: Option<String>,
    /// What is wrong.
    pub what: String,
}

/// What an import did.
#[derive(Clone, Debug, Default)]
pub struct ImportReport {
    /// Commits of the source.
    pub commits: u64,
    /// Commits that were there already from an earlier run.
    pub resumed: u64,
    /// Published heads: namespace, commit, tree.
    pub heads: Vec<ImportedHead>,
    /// Files that were left out, at most [`ISSUES_MAX`].
    pub skipped: Vec<ImportIssue>,
    /// What was taken, but not as it is, at most [`ISSUES_MAX`].
    pub warnings: Vec<ImportIssue>,
    /// How many more there were of either.
    pub more: u64,
}

/// Most issues that are kept of a kind.
pub const ISSUES_MAX: usize = 1000;

/// A namespace after an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedHead {
    /// The namespace.
    pub namespace: Namespace,
    /// Its published head.
    pub commit: ObjectId,
    /// Root of its tree.
    pub tree: ObjectId,
}

/// Why an import stopped.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Some files cannot be entries. Nothing was published.
    #[error("{} cannot be entries; rename them in the source or leave them out with --skip-invalid", count(issues.len(), *more))]
    Invalid {
        /// The first of them.
        issues: Vec<ImportIssue>,
        /// How many more there are.
        more: u64,
    },
    /// The stream is malformed or cut.
    #[error("the stream is wrong at {0}")]
    Stream(StreamProblem),
    /// The import cannot go on from where the server is.
    #[error("{0}")]
    Refused(String),
    /// The server could not be asked or said no.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Something on this machine failed.
    #[error("cannot {action}")]
    Io {
        /// What was tried.
        action: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// An object that this import made cannot be read back.
    #[error("an object of the import cannot be read back")]
    Read(#[from] confman_object_store::ReadError),
}

fn count(files: usize, more: u64) -> String {
    match u64::try_from(files)
        .unwrap_or(u64::MAX)
        .saturating_add(more)
    {
        1 => "1 file of the source".to_owned(),
        all => format!("{all} files of the source"),
    }
}

/// How far the reading is, for the progress of the sending.
#[derive(Debug, Default)]
struct Counters {
    commits: AtomicU64,
    bytes: AtomicU64,
}

/// What goes to the server at once.
#[derive(Debug)]
struct Batch {
    pack: Vec<u8>,
    source: String,
    commits: u64,
    tips: BTreeSet<(Namespace, ObjectId)>,
}

/// The whole stream, read.
#[derive(Debug)]
struct Whole {
    assembly: Assembly,
    /// Source commits that the server had.
    resumed: u64,
}

/// Where an earlier run stopped.
#[derive(Clone, Debug)]
struct Resume {
    source: String,
    commits: u64,
}

/// Imports a stream. Running it again with the same stream, or one that goes on from it, goes on where
/// it stopped.
///
/// # Errors
/// Nothing is published then, or all that was published is whole commits of the stream.
pub async fn import<R: Read + Send + 'static>(
    client: &Client,
    stream: R,
    options: &ImportOptions,
    progress: &(dyn Fn(ImportProgress) + Send + Sync),
) -> Result<ImportReport, ImportError> {
    let state = client.import_state(&options.namespace).await?;
    if state.is_none() && published(client, &options.namespace).await?.is_some() {
        return Err(ImportError::Refused(format!(
            "`{}` has published entries that no import made; import into a namespace of its own",
            options.namespace
        )));
    }
    let mut mark = Mark::new(client, options.namespace.clone());
    let resume = state.map(|state| {
        mark.id = Some(state.id);
        Resume {
            source: state.mark.source,
            commits: state.mark.commits,
        }
    });
    mark.known = client
        .namespaces(Some(&options.namespace))
        .await?
        .into_iter()
        .map(|summary| summary.path)
        .collect();

    let counters = Arc::new(Counters::default());
    let (send, mut receive) = mpsc::channel(1);
    let reading = {
        let (counters, options, resume) = (Arc::clone(&counters), options.clone(), resume.clone());
        tokio::task::spawn_blocking(move || read(stream, &options, resume, &counters, &send))
    };
    let mut told = ImportProgress {
        sent: resume.as_ref().map_or(0, |resume| resume.commits),
        ..ImportProgress::default()
    };
    let tell = |told: &mut ImportProgress| {
        told.commits = counters.commits.load(Ordering::Relaxed);
        told.bytes = counters.bytes.load(Ordering::Relaxed);
        progress(*told);
    };
    let mut ticks = tokio::time::interval(PROGRESS_EVERY);
    loop {
        tokio::select! {
            batch = receive.recv() => {
                let Some(batch) = batch else { break };
                let commits = batch.commits;
                let sending = mark.send(batch);
                tokio::pin!(sending);
                loop {
                    tokio::select! {
                        sent = &mut sending => { sent?; break; }
                        _ = ticks.tick() => tell(&mut told),
                    }
                }
                told.sent = commits;
                tell(&mut told);
            }
            _ = ticks.tick() => tell(&mut told),
        }
    }
    let whole = reading.await.map_err(|error| ImportError::Io {
        action: "finish reading the stream".to_owned(),
        source: std::io::Error::other(error),
    })??;
    publish(whole, options, mark, told, progress).await
}

/// Reads the stream to its end and hands over batches of what the server does not have.
fn read<R: Read>(
    stream: R,
    options: &ImportOptions,
    resume: Option<Resume>,
    counters: &Counters,
    send: &mpsc::Sender<Batch>,
) -> Result<Whole, ImportError> {
    let mut reader = StreamReader::new(stream);
    let mut assembly = Assembly::new(Placing {
        base: options.namespace.clone(),
        depth: options.depth,
    })?;
    let mut skipping = resume;
    let mut resumed = 0;
    let mut sent_commits = 0;
    let mut sends = true;
    while let Some(command) = reader.next_command().map_err(stream_error)? {
        let is_commit = assembly.take(command)?;
        counters.bytes.store(reader.offset(), Ordering::Relaxed);
        if !is_commit {
            continue;
        }
        let commits = assembly.commits();
        counters.commits.store(commits, Ordering::Relaxed);
        let met = skipping
            .as_ref()
            .is_some_and(|mark| mark.commits == commits);
        if let Some(mark) = skipping.take_if(|_| met) {
            if assembly.newest_source().as_ref() != Some(&mark.source) {
                return Err(another_source(options));
            }
            // The server has everything up to here.
            assembly.take_batch();
            (resumed, sent_commits) = (commits, commits);
            continue;
        }
        let (wire, raw) = assembly.workshop.batch_bytes();
        let is_full = wire >= BATCH_WIRE_BYTES
            || raw >= BATCH_RAW_BYTES
            || commits - sent_commits >= BATCH_COMMITS;
        if !is_full {
            continue;
        }
        sends = sends && (options.skip_invalid || assembly.issues.invalid.is_empty());
        if skipping.is_some() || !sends {
            assembly.take_batch();
        } else if !hand_over(&mut assembly, send) {
            break;
        }
        sent_commits = commits;
    }
    if skipping.is_some() {
        return Err(another_source(options));
    }
    counters.bytes.store(reader.offset(), Ordering::Relaxed);
    if !options.skip_invalid && !assembly.issues.invalid.is_empty() {
        let Issues { invalid, more, .. } = assembly.issues;
        return Err(ImportError::Invalid {
            issues: invalid,
            more,
        });
    }
    if assembly.commits() > sent_commits {
        hand_over(&mut assembly, send);
    }
    Ok(Whole { assembly, resumed })
}

fn another_source(options: &ImportOptions) -> ImportError {
    ImportError::Refused(format!(
        "`{}` has an import of another history, or of this one read in another way; import this one into another namespace",
        options.namespace
    ))
}

/// Hands over what was made since the last time. `false` where nobody takes it: sending has failed.
fn hand_over(assembly: &mut Assembly, send: &mpsc::Sender<Batch>) -> bool {
    let objects = assembly.take_batch();
    let batch = Batch {
        pack: pack_of(&objects),
        source: assembly.newest_source().unwrap_or_default(),
        commits: assembly.commits(),
        tips: assembly.tips().clone(),
    };
    send.blocking_send(batch).is_ok()
}

fn stream_error(error: StreamError) -> ImportError {
    match error {
        StreamError::Malformed(problem) => ImportError::Stream(problem),
        StreamError::Io(source) => ImportError::Io {
            action: "read the stream".to_owned(),
            source,
        },
    }
}

/// The published head of a namespace.
async fn published(
    client: &Client,
    namespace: &Namespace,
) -> Result<Option<ObjectId>, ImportError> {
    match client.commit(namespace, &Revision::Published).await {
        Ok(commit) => {
            let id = commit.id.parse().map_err(|_| {
                ImportError::Client(ClientError::Protocol {
                    url: client.server_url().to_owned(),
                    reason: format!("`{}` is not the id of a commit", commit.id),
                })
            })?;
            Ok(Some(id))
        }
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// How far an import has come: newest source commit, count, and what no ref leads to.
type Reached<'t> = (String, u64, &'t BTreeSet<(Namespace, ObjectId)>);

/// The server's side of an import: its mark, and the namespaces it has.
struct Mark<'c> {
    client: &'c Client,
    base: Namespace,
    id: Option<String>,
    known: BTreeSet<String>,
}

impl<'c> Mark<'c> {
    fn new(client: &'c Client, base: Namespace) -> Self {
        Self {
            client,
            base,
            id: None,
            known: BTreeSet::new(),
        }
    }

    /// Sends a batch, its mark, and first the namespaces that it needs.
    async fn send(&mut self, batch: Batch) -> Result<(), ImportError> {
        for (namespace, _) in &batch.tips {
            self.make(namespace).await?;
        }
        let Batch {
            pack,
            source,
            commits,
            tips,
        } = batch;
        self.push(Vec::new(), Some((source, commits, &tips)), &pack)
            .await
    }

    /// Makes a namespace, and before it those above, if they are not there.
    async fn make(&mut self, namespace: &Namespace) -> Result<(), ImportError> {
        let mut missing: Vec<Namespace> = namespace
            .ancestors()
            .take_while(|above| *above != self.base)
            .filter(|above| !self.known.contains(above.as_str()))
            .collect();
        missing.reverse();
        for path in missing {
            self.client
                .create_namespace(&NamespaceDocument::new(path.clone()))
                .await?;
            self.known.insert(path.to_string());
        }
        Ok(())
    }

    async fn push(
        &mut self,
        edits: Vec<PushEdit>,
        mark: Option<Reached<'_>>,
        pack: &[u8],
    ) -> Result<(), ImportError> {
        let import = mark.map(|(source, commits, tips)| ImportMark {
            expect: self.id.clone(),
            source,
            commits,
            tips: tips
                .iter()
                .map(|(namespace, commit)| ImportTip {
                    namespace: namespace.to_string(),
                    commit: commit.to_string(),
                })
                .collect(),
        });
        let write = PushWrite {
            edits,
            import,
            message: None,
        };
        let pushed = self.client.push(&self.base, &write, pack).await?;
        self.id = pushed.import_mark.or(self.id.take());
        Ok(())
    }
}

/// Moves the published heads along the lines of the chosen branch.
async fn publish(
    whole: Whole,
    options: &ImportOptions,
    mut mark: Mark<'_>,
    mut told: ImportProgress,
    progress: &(dyn Fn(ImportProgress) + Send + Sync),
) -> Result<ImportReport, ImportError> {
    let Whole { assembly, resumed } = whole;
    let heads = chosen_branch(&assembly, options)?.clone();
    let mut steps = Vec::new();
    for (namespace, head) in &heads {
        let line = assembly.line(head.commit);
        let at = published(mark.client, namespace).await?;
        let done = match at {
            None => 0,
            Some(at) => match line.iter().position(|id| *id == at) {
                Some(position) => position + 1,
                None => {
                    return Err(ImportError::Refused(format!(
                        "the published head {at} of `{namespace}` is not on the imported line; something else was published there since"
                    )));
                }
            },
        };
        let mut expect = at;
        for step in line.get(done..).unwrap_or_default().chunks(STEP_COMMITS) {
            let Some(new) = step.last() else { continue };
            let edit = PushEdit {
                namespace: namespace.to_string(),
                ref_name: "published".to_owned(),
                expect: expect.map(|id| id.to_string()),
                new: new.to_string(),
            };
            steps.push((edit, step.len()));
            expect = Some(*new);
        }
    }
    // What is not on a published line now is kept for commits that may still come on top of it.
    let published: BTreeSet<(Namespace, ObjectId)> = heads
        .iter()
        .map(|(namespace, head)| (namespace.clone(), head.commit))
        .collect();
    let kept: BTreeSet<(Namespace, ObjectId)> =
        assembly.tips().difference(&published).cloned().collect();
    let source = assembly.newest_source().unwrap_or_default();
    let empty = pack_of([]);
    let groups = grouped(steps);
    let count = groups.len();
    for (at, (edits, commits)) in groups.into_iter().enumerate() {
        let is_last = at + 1 == count;
        let last_mark = is_last.then(|| (source.clone(), assembly.commits(), &kept));
        mark.push(edits, last_mark, &empty).await?;
        told.published += commits as u64;
        progress(told);
    }
    Ok(ImportReport {
        commits: assembly.commits(),
        resumed,
        heads: heads
            .iter()
            .map(|(namespace, head)| ImportedHead {
                namespace: namespace.clone(),
                commit: head.commit,
                tree: head.tree,
            })
            .collect(),
        skipped: assembly.issues.invalid,
        warnings: assembly.issues.warnings,
        more: assembly.issues.more,
    })
}

/// Steps of one or several namespaces that go together: at most [`STEP_COMMITS`] commits, and no
/// namespace twice.
fn grouped(steps: Vec<(PushEdit, usize)>) -> Vec<(Vec<PushEdit>, usize)> {
    let mut groups: Vec<(Vec<PushEdit>, usize)> = Vec::new();
    for (edit, commits) in steps {
        match groups.last_mut() {
            Some((edits, total))
                if *total + commits <= STEP_COMMITS
                    && edits.iter().all(|other| other.namespace != edit.namespace) =>
            {
                edits.push(edit);
                *total += commits;
            }
            _ => groups.push((vec![edit], commits)),
        }
    }
    groups
}

/// What the namespaces are at the end of the branch to publish.
fn chosen_branch<'a>(
    assembly: &'a Assembly,
    options: &ImportOptions,
) -> Result<&'a Heads, ImportError> {
    let branches: Vec<(&str, &Heads)> = assembly.branches().collect();
    let named = |wanted: &str| {
        branches
            .iter()
            .find(|(name, _)| *name == wanted || name.strip_prefix("refs/heads/") == Some(wanted))
            .map(|(_, heads)| *heads)
    };
    let names = || {
        branches
            .iter()
            .map(|(name, _)| *name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (&options.branch, branches.as_slice()) {
        (Some(branch), _) => named(branch).ok_or_else(|| {
            ImportError::Refused(format!(
                "the stream has no branch `{branch}`; it has {}",
                names()
            ))
        }),
        (None, []) => Err(ImportError::Refused("the stream has no commits".to_owned())),
        (None, [(_, only)]) => Ok(only),
        (None, _) => named("main").or_else(|| named("master")).ok_or_else(|| {
            ImportError::Refused(format!(
                "the stream has several branches; choose the one to publish: {}",
                names()
            ))
        }),
    }
}

/// Imports the branch that is checked out in a Git repository, by running `git fast-export`.
///
/// # Errors
/// `git` cannot be run or fails, or as [`import`].
pub async fn import_repository(
    client: &Client,
    repository: &Path,
    options: &ImportOptions,
    progress: &(dyn Fn(ImportProgress) + Send + Sync),
) -> Result<ImportReport, ImportError> {
    let branch = match &options.branch {
        Some(branch) => branch.clone(),
        None => checked_out_branch(repository)?,
    };
    let mut child = git(repository)
        .args([
            "fast-export",
            "--all",
            "--show-original-ids",
            "--use-done-feature",
            "--signed-tags=strip",
            "--reencode=no",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| ImportError::Io {
            action: "run git fast-export".to_owned(),
            source,
        })?;
    let Some(stream) = child.stdout.take() else {
        return Err(ImportError::Refused(
            "git fast-export has no output".to_owned(),
        ));
    };
    // What git complains about is collected beside, so that neither waits for the other.
    let complaints = child.stderr.take().map(|stderr| {
        tokio::task::spawn_blocking(move || {
            let mut text = Vec::new();
            let _ = stderr.take(COMPLAINT_BYTES_MAX).read_to_end(&mut text);
            String::from_utf8_lossy(&text).trim().to_owned()
        })
    });
    let options = ImportOptions {
        branch: Some(branch),
        ..options.clone()
    };
    let imported = import(client, stream, &options, progress).await;
    let status = child.wait().map_err(|source| ImportError::Io {
        action: "wait for git fast-export".to_owned(),
        source,
    })?;
    let said = match complaints {
        Some(complaints) => complaints.await.unwrap_or_default(),
        None => String::new(),
    };
    match imported {
        // A stream that ends early is only how git's failure looks from here.
        Ok(_) | Err(ImportError::Stream(_)) if !status.success() => Err(ImportError::Refused(
            format!("git fast-export failed ({status}): {said}"),
        )),
        other => other,
    }
}

/// Most that is repeated of what git says.
const COMPLAINT_BYTES_MAX: u64 = 4096;

fn git(repository: &Path) -> Process {
    let mut git = Process::new("git");
    git.arg("-C").arg(repository).stdin(Stdio::null());
    git
}

fn checked_out_branch(repository: &Path) -> Result<String, ImportError> {
    let output = git(repository)
        .args(["symbolic-ref", "HEAD"])
        .output()
        .map_err(|source| ImportError::Io {
            action: "run git".to_owned(),
            source,
        })?;
    let name = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() || name.is_empty() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(ImportError::Refused(format!(
            "`{}` has no branch checked out: {said}",
            repository.display()
        )));
    }
    Ok(name)
}

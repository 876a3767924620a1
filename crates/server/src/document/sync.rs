//! What goes with packs.

use confman_api::sync::{
    FetchWrite, Fetched, FetchedRef, ImportMark, ImportState, ImportTip, PushWrite, Pushed,
};
use confman_repo::objects::ObjectId;
use confman_repo::{self as repo, FetchPlan, FetchRequest, Problem, PushEdit, PushRequest};

use super::draft::warnings;
use crate::error::chain;

/// Gathers everything that is wrong with a document while its parts are read.
struct Reading {
    problems: Vec<Problem>,
}

impl Reading {
    fn parse<T: std::str::FromStr<Err: std::error::Error>>(
        &mut self,
        pointer: String,
        text: &str,
    ) -> Option<T> {
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                let problem = Problem {
                    pointer: Some(pointer),
                    ..Problem::new(chain(&error))
                };
                self.problems.push(problem);
                None
            }
        }
    }

    /// `Some(None)` where there is nothing to read.
    fn parse_optional<T: std::str::FromStr<Err: std::error::Error>>(
        &mut self,
        pointer: String,
        text: Option<&str>,
    ) -> Option<Option<T>> {
        match text {
            None => Some(None),
            Some(text) => self.parse(pointer, text).map(Some),
        }
    }

    fn finish<T>(self, what: &str, value: Option<T>) -> Result<T, repo::Error> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => Err(repo::Error::Invalid {
                what: what.to_owned(),
                problems: self.problems,
            }),
        }
    }
}

/// What a fetch asks for.
pub(crate) fn fetch_request(write: &FetchWrite) -> Result<FetchRequest, repo::Error> {
    let mut reading = Reading {
        problems: Vec::new(),
    };
    let want = write.want.iter().enumerate();
    let want = want
        .filter_map(|(at, text)| reading.parse(format!("/want/{at}"), text))
        .collect();
    let have = write.have.iter().enumerate();
    let have = have
        .filter_map(|(at, text)| reading.parse(format!("/have/{at}"), text))
        .collect();
    let request = FetchRequest {
        want,
        have,
        depth: write.depth,
        all_trees: write.all_trees,
    };
    reading.finish("the fetch", Some(request))
}

/// The first line of the answer to a fetch.
pub(crate) fn fetched(plan: &FetchPlan) -> Fetched {
    let refs = plan.refs.iter().map(|found| FetchedRef {
        want: found.want.to_string(),
        commit: found.commit.map(|id| id.to_string()),
        tree: found.tree.map(|id| id.to_string()),
    });
    Fetched {
        refs: refs.collect(),
        index: plan.index,
        objects: plan.objects(),
    }
}

/// What a push asks for.
pub(crate) fn push_request(write: &PushWrite) -> Result<PushRequest, repo::Error> {
    let mut reading = Reading {
        problems: Vec::new(),
    };
    let mut edits = Vec::with_capacity(write.edits.len());
    for (at, edit) in write.edits.iter().enumerate() {
        let place = |field: &str| format!("/edits/{at}/{field}");
        let namespace = reading.parse(place("namespace"), &edit.namespace);
        let target = reading.parse(place("ref"), &edit.ref_name);
        let expect = reading.parse_optional(place("expect"), edit.expect.as_deref());
        let new = reading.parse(place("new"), &edit.new);
        if let (Some(namespace), Some(target), Some(expect), Some(new)) =
            (namespace, target, expect, new)
        {
            edits.push(PushEdit {
                namespace,
                target,
                expect,
                new,
            });
        }
    }
    let import = match &write.import {
        None => Some(None),
        Some(mark) => import_mark(&mut reading, mark).map(Some),
    };
    let request = import.map(|import| PushRequest {
        edits,
        import,
        message: write.message.clone(),
    });
    reading.finish("the push", request)
}

fn import_mark(reading: &mut Reading, mark: &ImportMark) -> Option<repo::ImportMark> {
    let expect = reading.parse_optional("/import/expect".to_owned(), mark.expect.as_deref());
    let mut tips = Vec::with_capacity(mark.tips.len());
    for (at, tip) in mark.tips.iter().enumerate() {
        let namespace = reading.parse(format!("/import/tips/{at}/namespace"), &tip.namespace);
        let commit: Option<ObjectId> =
            reading.parse(format!("/import/tips/{at}/commit"), &tip.commit);
        tips.extend(namespace.zip(commit));
    }
    Some(repo::ImportMark {
        expect: expect?,
        source: mark.source.clone(),
        commits: mark.commits,
        tips,
    })
}

/// What a push did.
pub(crate) fn pushed(done: &repo::Pushed) -> Pushed {
    Pushed {
        operation: done.committed.operation.to_string(),
        index: done.committed.index,
        objects: done.objects,
        import_mark: done.import_mark.map(|id| id.to_string()),
        warnings: warnings(&done.warnings),
    }
}

/// How far an import has come.
pub(crate) fn import_state(found: &repo::ImportState) -> ImportState {
    let tips = found.mark.tips.iter().map(|(namespace, commit)| ImportTip {
        namespace: namespace.to_string(),
        commit: commit.to_string(),
    });
    ImportState {
        id: found.id.to_string(),
        mark: ImportMark {
            expect: None,
            source: found.mark.source.clone(),
            commits: found.mark.commits,
            tips: tips.collect(),
        },
    }
}

//! Chains, now and at another moment.
//!
//! A moment is a log index: a state that the store was in. Only history that was brought in from elsewhere
//! counts by its own times, and only where the store had published nothing itself.

use std::sync::Arc;

use confman_model::{Namespace, NamespaceDocument, Revision};
use confman_object_store::{ObjectId, ReadObjects};

use crate::error::{Error, What};
use crate::line::Place;
use crate::names;
use crate::revision::ResolvedRevision;
use crate::seen::Seen;

/// A moment in the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// The state of the store.
    pub index: u64,
    /// What history from elsewhere is compared with, milliseconds since 1970.
    pub time_ms: i64,
}

/// A namespace of a chain, with its document.
#[derive(Clone, Debug)]
pub(crate) struct ChainLink {
    pub namespace: Namespace,
    /// The commit that has the document.
    pub policy: ObjectId,
    pub document: Arc<NamespaceDocument>,
}

impl Seen<'_> {
    /// The moment that a time means; a time that has not come is now.
    pub fn moment_of_time(&self, time_ms: i64) -> Result<Moment, Error> {
        let node = &self.repo.node;
        let sequence = node.sequence_at_time(time_ms)?.min(self.view.sequence());
        let index = match node.operation_at(sequence)? {
            Some((_, operation)) => operation.index,
            None => 0,
        };
        Ok(Moment { index, time_ms })
    }

    /// The moment that `{TIME}` means.
    pub fn moment_of_text(&self, text: &str) -> Result<Moment, Error> {
        let now_ms = self.repo.clock.now_ms().max(self.view.time_ms());
        self.moment_of_time(crate::time::parse(text, now_ms)?)
    }

    /// The moment at which everything else is read with a revision; `None` for now.
    pub fn moment_of(&self, at: &ResolvedRevision) -> Result<Option<Moment>, Error> {
        if let Revision::Time(text) = &at.revision {
            return self.moment_of_text(text).map(Some);
        }
        if matches!(at.revision, Revision::Published | Revision::Draft(_)) {
            return Ok(None);
        }
        let (Some(position), Some(commit)) = (at.position, at.commit) else {
            return Ok(None);
        };
        let place = self.line(&at.namespace)?.must(position)?;
        if self.objects().commit(&commit)?.source.is_some() {
            return self.moment_of_time(place.effective_ms).map(Some);
        }
        Ok(Some(Moment {
            index: place.index,
            time_ms: place.effective_ms,
        }))
    }

    /// What a namespace had published at a moment.
    pub fn published_at(
        &self,
        namespace: &Namespace,
        moment: Moment,
    ) -> Result<Option<Place>, Error> {
        let Some((_, head)) = self.published(namespace)? else {
            return Ok(None);
        };
        let line = self.line(namespace)?;
        if let Some(place) = line.at_index(head.position, moment.index)? {
            return Ok(Some(place));
        }
        let Some(place) = line.at_time(head.position, moment.time_ms)? else {
            return Ok(None);
        };
        let brought_in = self.objects().commit(&place.commit)?.source.is_some();
        Ok(brought_in.then_some(place))
    }

    /// Whether a namespace was there at a moment, or had not been deleted yet before it was made: history
    /// that is brought in is older than its namespace.
    pub fn was_there(&self, namespace: &Namespace, moment: Moment) -> Result<bool, Error> {
        let spans = self.spans(namespace)?;
        let before_all = spans.first().is_none_or(|first| moment.index < first.from);
        Ok(before_all || spans.iter().any(|span| span.contains(moment.index)))
    }

    /// The commit of a namespace's document at a moment; before the first, the first.
    fn document_commit(
        &self,
        namespace: &Namespace,
        moment: Option<Moment>,
    ) -> Result<ObjectId, Error> {
        let not_found = || Error::not_found(What::Namespace, namespace);
        let name = names::policy(namespace)?;
        let head = self.get(&name).ok_or_else(not_found)?;
        let Some(moment) = moment else {
            return Ok(head.id);
        };
        let line = self.document_line(namespace)?;
        let newest = line
            .place_of(&head.id)?
            .ok_or_else(|| Error::bug(format!("the document of `{namespace}` has no row")))?;
        let place = match line.at_index(newest.position, moment.index)? {
            Some(place) => place,
            None => line.must(1)?,
        };
        Ok(place.commit)
    }

    /// The document of a namespace that exists, now or at a moment.
    pub fn document_at(
        &self,
        namespace: &Namespace,
        moment: Option<Moment>,
    ) -> Result<Arc<NamespaceDocument>, Error> {
        self.repo
            .document(&self.document_commit(namespace, moment)?)
    }

    /// The namespaces it inherits from, itself first, each with its document, now or at a moment.
    pub fn links(
        &self,
        namespace: &Namespace,
        moment: Option<Moment>,
    ) -> Result<Vec<ChainLink>, Error> {
        let mut links = Vec::new();
        for namespace in namespace.ancestors() {
            let policy = self.document_commit(&namespace, moment)?;
            let document = self.repo.document(&policy)?;
            let inherits = document.inherit;
            links.push(ChainLink {
                namespace,
                policy,
                document,
            });
            if !inherits {
                break;
            }
        }
        Ok(links)
    }
}

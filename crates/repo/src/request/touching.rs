//! Which open requests would change a key.

use confman_layout::tree_key;
use confman_model::{Key, Namespace};
use confman_policy::request::State;

use super::list::REQUESTS_SCANNED_MAX;
use super::record::RequestRecord;
use crate::error::{Error, What};
use crate::names;
use crate::seen::Seen;

/// An open request that would change a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRequest {
    /// Its number.
    pub number: u64,
    /// Its title.
    pub title: String,
    /// Its state as its record says.
    pub state: State,
    /// The namespace in which it would change the key.
    pub namespace: Namespace,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Touching {
    /// Newest first.
    pub requests: Vec<OpenRequest>,
    /// Whether some were left out because the actor may not read them.
    pub filtered: bool,
}

impl Seen<'_> {
    /// The open requests, among the newest [`REQUESTS_SCANNED_MAX`], that would change a key in one of these
    /// namespaces.
    pub(crate) fn touching(&self, namespaces: &[Namespace], key: &Key) -> Result<Touching, Error> {
        let mut found = Touching::default();
        let newest = self.request_count()?;
        let oldest = newest.saturating_sub(REQUESTS_SCANNED_MAX - 1).max(1);
        let tree_key = tree_key(key)?;
        for number in (oldest..=newest).rev() {
            let Some((_, raw)) = self.record(&names::request(number)?)? else {
                continue;
            };
            let stored = RequestRecord::read(&raw)?;
            let about_these = stored
                .targets
                .iter()
                .any(|target| namespaces.contains(&target.namespace));
            if stored.state.0.is_final() || !about_these {
                continue;
            }
            let record = match self.request_record(number) {
                Ok((_, record, _)) => record,
                Err(Error::NotFound {
                    what: What::Request,
                    ..
                }) => {
                    found.filtered = true;
                    continue;
                }
                Err(error) => return Err(error),
            };
            for target in &record.targets {
                if !namespaces.contains(&target.namespace) {
                    continue;
                }
                let shown = self.shown(&record, target)?;
                if shown
                    .changes
                    .iter()
                    .any(|(changed, ..)| *changed == tree_key)
                {
                    found.requests.push(OpenRequest {
                        number,
                        title: record.title.clone(),
                        state: record.state.0,
                        namespace: target.namespace.clone(),
                    });
                }
            }
        }
        Ok(found)
    }
}

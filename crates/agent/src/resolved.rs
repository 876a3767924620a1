//! Documents with secrets in place of references, for a short time and in memory only.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use confman_client::reading::Document;
use confman_client::secret::{SecretErrors, Secrets};
use confman_model::{Key, Namespace, Value};

/// How long resolved values are given again without asking who keeps them.
pub const RESOLVED_FOR: Duration = Duration::from_secs(30);

/// Keys and values with secrets in place of references.
pub type Values = Arc<Vec<(Key, Value)>>;

/// Resolves documents.
#[derive(Debug)]
pub(crate) struct Resolved {
    secrets: Secrets,
    known: Mutex<BTreeMap<Namespace, Known>>,
}

/// What was resolved, of which state and when. Its `Debug` says nothing of values.
#[derive(Debug)]
struct Known {
    etag: String,
    at: Instant,
    values: Values,
}

impl Resolved {
    pub(crate) fn new(secrets: Secrets) -> Self {
        Self {
            secrets,
            known: Mutex::default(),
        }
    }

    /// The values of a document.
    pub(crate) async fn values(&self, document: &Document) -> Result<Values, SecretErrors> {
        if let Some(values) = self.known(document) {
            return Ok(values);
        }
        let values = Arc::new(self.secrets.resolve_all(document.values()).await?);
        let known = Known {
            etag: document.etag().to_owned(),
            at: Instant::now(),
            values: Arc::clone(&values),
        };
        self.lock().insert(document.namespace().clone(), known);
        Ok(values)
    }

    fn known(&self, document: &Document) -> Option<Values> {
        let mut all = self.lock();
        all.retain(|_, known| known.at.elapsed() < RESOLVED_FOR);
        let known = all.get(document.namespace())?;
        (known.etag == document.etag()).then(|| Arc::clone(&known.values))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Namespace, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Logins that were begun and wait for the issuer's answer, in the memory of this node.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use confman_repo::IssuerInfo;
use confman_repo::identity::IssuerName;
use confman_repo::objects::ObjectId;
use data_encoding::BASE64URL_NOPAD;

use crate::error::{ApiError, Code};

/// How long a login may take.
pub(crate) const LOGIN_SECONDS_MAX: u64 = 600;
/// Most logins that wait at once; the oldest goes for one more.
pub(crate) const LOGINS_MAX: usize = 10_000;
/// Random bytes of each secret of a login.
const SECRET_BYTES: usize = 32;

/// A login that waits for the issuer's answer.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) issuer: IssuerName,
    /// The record that it began with: where that changed, it begins again.
    pub(crate) record: ObjectId,
    pub(crate) redirect_uri: String,
    pub(crate) nonce: String,
    /// What proves to the issuer that whoever redeems the code asked for it (RFC 7636).
    pub(crate) verifier: String,
    begun: Instant,
}

impl Pending {
    pub(crate) fn new(issuer: &IssuerInfo, redirect_uri: String) -> Result<Self, ApiError> {
        Ok(Self {
            issuer: issuer.name.clone(),
            record: issuer.record,
            redirect_uri,
            nonce: random_text()?,
            verifier: random_text()?,
            begun: Instant::now(),
        })
    }

    /// What the issuer is told of the verifier.
    pub(crate) fn challenge(&self) -> String {
        BASE64URL_NOPAD.encode(digest(&SHA256, self.verifier.as_bytes()).as_ref())
    }

    fn is_over(&self) -> bool {
        self.begun.elapsed() > Duration::from_secs(LOGIN_SECONDS_MAX)
    }
}

/// All that wait, by the hash of state and binding: whoever lacks either finds nothing.
#[derive(Debug, Default)]
pub(crate) struct Logins(Mutex<HashMap<Vec<u8>, Pending>>);

impl Logins {
    pub(crate) fn put(&self, state: &str, binding: &str, pending: Pending) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= LOGINS_MAX {
            all.retain(|_, pending| !pending.is_over());
        }
        if all.len() >= LOGINS_MAX {
            let oldest = all.iter().min_by_key(|(_, pending)| pending.begun);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                all.remove(&oldest);
            }
        }
        all.insert(name(state, binding), pending);
    }

    /// The login, which does not wait any more.
    pub(crate) fn take(&self, state: &str, binding: &str) -> Option<Pending> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&name(state, binding))
            .filter(|pending| !pending.is_over())
    }
}

fn name(state: &str, binding: &str) -> Vec<u8> {
    digest(&SHA256, format!("{state}\n{binding}").as_bytes())
        .as_ref()
        .to_vec()
}

/// A new secret as text.
pub(crate) fn random_text() -> Result<String, ApiError> {
    let mut bytes = [0; SECRET_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| {
        ApiError::new(
            Code::Unavailable,
            "the system has no random numbers; try again later",
        )
    })?;
    Ok(BASE64URL_NOPAD.encode(&bytes))
}

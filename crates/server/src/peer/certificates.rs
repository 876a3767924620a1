//! The certificates of a node: read from files, and read again when the files have changed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::PeerServeOptions;
use crate::error::chain;

/// How often the files are looked at, at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read, or what is in it is not what it should be.
    #[error("cannot read {what} in `{}`", path.display())]
    Read {
        /// What should be in it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The files do not fit one another.
    #[error("the certificates cannot be used together: {0}")]
    Unfit(String),
}

/// What TLS needs of them, for both directions.
#[derive(Clone)]
pub(super) struct Current {
    pub(super) server: Arc<ServerConfig>,
    pub(super) client: Arc<ClientConfig>,
}

/// The files, and what was in them when they were last looked at.
pub(super) struct Certificates {
    files: [PathBuf; 3],
    loaded: Mutex<Loaded>,
}

struct Loaded {
    current: Current,
    stamps: [Option<Stamp>; 3],
    looked: Instant,
}

/// Tells a file from what it was.
type Stamp = (SystemTime, u64);

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl Certificates {
    pub(super) fn load(options: &PeerServeOptions) -> Result<Self, CertificateError> {
        let files = [
            options.ca.clone(),
            options.certificate.clone(),
            options.key.clone(),
        ];
        let stamps = stamps(&files);
        let current = read(&files)?;
        Ok(Self {
            files,
            loaded: Mutex::new(Loaded {
                current,
                stamps,
                looked: Instant::now(),
            }),
        })
    }

    /// What is to be used for a new connection. Files that have changed are read again; if they cannot be
    /// used, what was read before goes on being used, and the log says so.
    pub(super) fn current(&self) -> Current {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.looked.elapsed() >= LOOK_EVERY {
            loaded.looked = Instant::now();
            let stamps = stamps(&self.files);
            if stamps != loaded.stamps {
                loaded.stamps = stamps;
                match read(&self.files) {
                    Ok(current) => {
                        tracing::info!(
                            "the certificates for peers have changed and are used from now on"
                        );
                        loaded.current = current;
                    }
                    Err(error) => tracing::error!(
                        "the certificates for peers have changed and cannot be used; those from before are: {}",
                        chain(&error)
                    ),
                }
            }
        }
        loaded.current.clone()
    }
}

fn stamps(files: &[PathBuf; 3]) -> [Option<Stamp>; 3] {
    files.each_ref().map(|file| {
        let metadata = std::fs::metadata(file).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    })
}

fn read(files: &[PathBuf; 3]) -> Result<Current, CertificateError> {
    let [ca, certificate, key] = files;
    let unfit = |error: &dyn std::error::Error| CertificateError::Unfit(chain(error));
    let mut roots = RootCertStore::empty();
    for root in certificates("the certificate of the authority", ca)? {
        roots.add(root).map_err(|error| unfit(&error))?;
    }
    let roots = Arc::new(roots);
    let own = certificates("the node's certificate", certificate)?;
    let own_key = PrivateKeyDer::from_pem_file(key).map_err(|source| CertificateError::Read {
        what: "the node's key",
        path: key.clone(),
        source: source.into(),
    })?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
            .build()
            .map_err(|error| unfit(&error))?;
    let versions = &[&rustls::version::TLS13];
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| unfit(&error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(own.clone(), own_key.clone_key())
        .map_err(|error| unfit(&error))?;
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|error| unfit(&error))?
        .with_root_certificates(roots)
        .with_client_auth_cert(own, own_key)
        .map_err(|error| unfit(&error))?;
    Ok(Current {
        server: Arc::new(server),
        client: Arc::new(client),
    })
}

fn certificates(
    what: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| CertificateError::Read {
        what,
        path: path.to_owned(),
        source,
    };
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|error| failed(error.into()))?
        .collect();
    let found = read.map_err(|error| failed(error.into()))?;
    match found.is_empty() {
        true => Err(failed("there is none".into())),
        false => Ok(found),
    }
}

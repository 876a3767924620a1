//! The certificates of a cluster: an authority, and what it says of each node.
//!
//! The authority's certificate goes to every node; its key is needed only to make certificates and belongs
//! somewhere else.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};

/// The authority's certificate.
pub const CA_CERTIFICATE: &str = "ca.pem";
/// The authority's key.
pub const CA_KEY: &str = "ca.key";
/// What the authority calls itself.
const CA_NAME: &str = "Confman cluster authority";
/// Certificates are valid from and to the beginning of these years: their end is that of the directory they
/// lie in, and a clock that is wrong must not take a cluster down.
const VALID_FROM: i32 = 2026;
const VALID_TO: i32 = 2126;

/// Why certificates cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file cannot be read or written.
    #[error("cannot {action} `{}`", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A name is none, or the authority's key cannot be used.
    #[error("cannot make {what}")]
    Certificate {
        /// What.
        what: String,
        /// What is wrong.
        #[source]
        source: rcgen::Error,
    },
}

/// The files of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFiles {
    /// Its certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Makes an authority in a directory, unless there is one. Returns whether it made one.
///
/// # Errors
/// The files cannot be written.
pub fn make_authority(directory: &Path) -> Result<bool, AuthorityError> {
    let key_path = directory.join(CA_KEY);
    if key_path.exists() {
        return Ok(false);
    }
    let failed = |source| AuthorityError::Certificate {
        what: "the authority".to_owned(),
        source,
    };
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = authority_params().self_signed(&key).map_err(failed)?;
    std::fs::create_dir_all(directory).map_err(|source| AuthorityError::File {
        action: "make the directory",
        path: directory.to_owned(),
        source,
    })?;
    create(&directory.join(CA_CERTIFICATE), &certificate.pem(), 0o644)?;
    // Last: an authority is there once its key is.
    create(&key_path, &key.serialize_pem(), 0o600)?;
    Ok(true)
}

/// Makes the certificate of a node that is reached under these hosts (names or IP addresses). The first one
/// names the files.
///
/// # Errors
/// There is no authority in the directory, a host is none, or the files are there already.
pub fn make_node(directory: &Path, hosts: &[String]) -> Result<NodeFiles, AuthorityError> {
    let key_path = directory.join(CA_KEY);
    let text = std::fs::read_to_string(&key_path).map_err(|source| AuthorityError::File {
        action: "read the authority's key",
        path: key_path.clone(),
        source,
    })?;
    let failed = |what: String| move |source| AuthorityError::Certificate { what, source };
    let authority = KeyPair::from_pem(&text).map_err(failed("the authority".to_owned()))?;
    let issuer = Issuer::new(authority_params(), authority);
    let name = hosts.first().cloned().unwrap_or_default();
    let what = || format!("the certificate of `{name}`");
    let mut params = CertificateParams::new(hosts.to_vec()).map_err(failed(what()))?;
    params.distinguished_name = named(&name);
    validity(&mut params);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(failed(what()))?;
    let certificate = params.signed_by(&key, &issuer).map_err(failed(what()))?;
    let base = name.replace([':', '/'], "_");
    let files = NodeFiles {
        certificate: directory.join(format!("{base}.pem")),
        key: directory.join(format!("{base}.key")),
    };
    create(&files.key, &key.serialize_pem(), 0o600)?;
    create(&files.certificate, &certificate.pem(), 0o644)?;
    Ok(files)
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(CA_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    validity(&mut params);
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn validity(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(VALID_FROM, 1, 1);
    params.not_after = date_time_ymd(VALID_TO, 1, 1);
}

/// Writes a file that is not there yet, with these rights from its first byte on.
fn create(path: &Path, text: &str, mode: u32) -> Result<(), AuthorityError> {
    let write = || {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|source| AuthorityError::File {
        action: "write",
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_for_their_owner_alone_and_nothing_is_written_twice() {
        let directory = tempfile::tempdir().unwrap();
        assert!(make_authority(directory.path()).unwrap());
        assert!(!make_authority(directory.path()).unwrap());
        let hosts = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let files = make_node(directory.path(), &hosts).unwrap();
        for key in [&files.key, &directory.path().join(CA_KEY)] {
            let mode = std::fs::metadata(key).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", key.display());
        }
        assert!(matches!(
            make_node(directory.path(), &hosts),
            Err(AuthorityError::File {
                action: "write",
                ..
            })
        ));
    }

    #[test]
    fn node_without_an_authority_or_a_host_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let hosts = ["bad host é".to_owned()];
        assert!(matches!(
            make_node(directory.path(), &hosts),
            Err(AuthorityError::File { .. })
        ));
        make_authority(directory.path()).unwrap();
        assert!(matches!(
            make_node(directory.path(), &hosts),
            Err(AuthorityError::Certificate { .. })
        ));
    }
}

//! Signed JWTs (RFC 7519, RFC 7515): read strictly, with few algorithms.
//!
//! The algorithm is chosen by the key as well as by the token, so neither alone can weaken the check.
//! Times are read here and not by a library, because numbers keep every digit in this program's JSON,
//! which the libraries do not expect.

use aws_lc_rs::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Longest token that is looked at.
pub(crate) const JWT_BYTES_MAX: usize = 16 * 1024;
/// How far the clocks of an issuer and this server may be apart.
pub(crate) const CLOCK_SECONDS_MAX: i64 = 60;

/// Why a token is not believed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JwtError {
    /// It is no signed JWT.
    #[error("the issuer's token is not a signed JWT of at most {JWT_BYTES_MAX} bytes: {0}")]
    Malformed(&'static str),
    /// It is signed in a way that is not accepted, or not at all.
    #[error(
        "the issuer's token says algorithm `{0}`; accepted are RS256, PS256, ES256 and EdDSA, with a key that is made for it"
    )]
    Algorithm(String),
    /// The signature is not of this key.
    #[error("the signature of the issuer's token is not valid")]
    Signature,
    /// A claim is not as it must be.
    #[error("the claim `{claim}` of the issuer's token {what}")]
    Claim {
        /// Which.
        claim: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// The ways to sign that are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Rs256,
    Ps256,
    Es256,
    EdDsa,
}

impl Algorithm {
    fn read(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "PS256" => Self::Ps256,
            "ES256" => Self::Es256,
            "EdDSA" => Self::EdDsa,
            _ => return None,
        })
    }
}

/// A key of an issuer.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    material: Material,
    /// The one algorithm that the issuer uses it for, where it says.
    only: Option<Algorithm>,
}

#[derive(Clone, Debug)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// A key as the issuer publishes it (RFC 7517).
#[derive(Debug, Deserialize)]
pub(crate) struct Jwk {
    kty: String,
    #[serde(default)]
    pub(crate) kid: Option<String>,
    #[serde(default, rename = "use")]
    purpose: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default)]
    crv: Option<String>,
    #[serde(default)]
    n: Option<String>,
    #[serde(default)]
    e: Option<String>,
    #[serde(default)]
    x: Option<String>,
    #[serde(default)]
    y: Option<String>,
}

impl Jwk {
    /// The key, where it is one to check signatures with in a way that is accepted.
    pub(crate) fn key(&self) -> Option<Key> {
        if self
            .purpose
            .as_deref()
            .is_some_and(|purpose| purpose != "sig")
        {
            return None;
        }
        let only = match self.alg.as_deref() {
            None => None,
            Some(name) => Some(Algorithm::read(name)?),
        };
        let bytes = |text: &Option<String>| {
            let text = text.as_deref()?;
            BASE64URL_NOPAD.decode(text.as_bytes()).ok()
        };
        let material = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => Material::Rsa {
                n: bytes(&self.n)?,
                e: bytes(&self.e)?,
            },
            ("EC", Some("P-256")) => {
                let (x, y) = (bytes(&self.x)?, bytes(&self.y)?);
                if (x.len(), y.len()) != (32, 32) {
                    return None;
                }
                Material::P256([&[4], x.as_slice(), y.as_slice()].concat())
            }
            ("OKP", Some("Ed25519")) => Material::Ed25519(bytes(&self.x)?),
            _ => return None,
        };
        Some(Key { material, only })
    }
}

impl Key {
    /// Whether it signed this; `None` where it is not made for the algorithm.
    fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Option<bool> {
        if self.only.is_some_and(|only| only != algorithm) {
            return None;
        }
        let verified =
            match (&self.material, algorithm) {
                (Material::Rsa { n, e }, Algorithm::Rs256) => RsaPublicKeyComponents { n, e }
                    .verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signature),
                (Material::Rsa { n, e }, Algorithm::Ps256) => RsaPublicKeyComponents { n, e }
                    .verify(&signature::RSA_PSS_2048_8192_SHA256, message, signature),
                (Material::P256(point), Algorithm::Es256) => {
                    UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point)
                        .verify(message, signature)
                }
                (Material::Ed25519(point), Algorithm::EdDsa) => {
                    UnparsedPublicKey::new(&signature::ED25519, point).verify(message, signature)
                }
                _ => return None,
            };
        Some(verified.is_ok())
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<Value>,
}

/// What the claims must say.
pub(crate) struct Expected<'a> {
    /// `iss`.
    pub(crate) issuer: &'a str,
    /// Among `aud`.
    pub(crate) audience: &'a str,
    /// `nonce`, for a login.
    pub(crate) nonce: Option<&'a str>,
    /// Now.
    pub(crate) now_ms: i64,
}

/// A token that was read and not yet believed.
pub(crate) struct Jwt<'t> {
    algorithm: Algorithm,
    algorithm_name: String,
    kid: String,
    signed: &'t [u8],
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'t> Jwt<'t> {
    /// Reads the three parts of a token.
    pub(crate) fn parse(text: &'t str) -> Result<Self, JwtError> {
        let malformed = JwtError::Malformed;
        if text.len() > JWT_BYTES_MAX {
            return Err(malformed("it is longer"));
        }
        let (signed, signature) = text
            .rsplit_once('.')
            .ok_or(malformed("it has no three parts"))?;
        let (header, payload) = signed
            .split_once('.')
            .filter(|(_, payload)| !payload.contains('.'))
            .ok_or(malformed("it has no three parts"))?;
        let decode = |part: &str| {
            let decoded = BASE64URL_NOPAD.decode(part.as_bytes());
            decoded.map_err(|_| malformed("a part is not base64url"))
        };
        let header: Header = serde_json::from_slice(&decode(header)?)
            .map_err(|_| malformed("its header is not what a header is"))?;
        if header.crit.is_some() {
            return Err(malformed("its header asks for an extension (`crit`)"));
        }
        let algorithm = Algorithm::read(&header.alg)
            .ok_or_else(|| JwtError::Algorithm(header.alg.chars().take(20).collect()))?;
        Ok(Self {
            algorithm,
            algorithm_name: header.alg,
            kid: header
                .kid
                .ok_or(malformed("its header names no key (`kid`)"))?,
            signed: signed.as_bytes(),
            payload: decode(payload)?,
            signature: decode(signature)?,
        })
    }

    /// Which key it says it is signed with.
    pub(crate) fn kid(&self) -> &str {
        &self.kid
    }

    /// The claims, if this key signed them and they are as expected.
    pub(crate) fn claims(
        &self,
        key: &Key,
        expected: &Expected<'_>,
    ) -> Result<Map<String, Value>, JwtError> {
        match key.verify(self.algorithm, self.signed, &self.signature) {
            None => return Err(JwtError::Algorithm(self.algorithm_name.clone())),
            Some(false) => return Err(JwtError::Signature),
            Some(true) => {}
        }
        let claims: Map<String, Value> = serde_json::from_slice(&self.payload)
            .map_err(|_| JwtError::Malformed("its claims are no JSON object"))?;
        check(&claims, expected)?;
        Ok(claims)
    }
}

fn check(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<(), JwtError> {
    let wrong = |claim, what| Err(JwtError::Claim { claim, what });
    let text = |claim: &str| claims.get(claim).and_then(Value::as_str);
    if text("iss") != Some(expected.issuer) {
        return wrong("iss", "is not the issuer's URL");
    }
    let audiences: Vec<&str> = match claims.get("aud") {
        Some(Value::String(audience)) => vec![audience],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !audiences.contains(&expected.audience) {
        return wrong("aud", "does not name this server");
    }
    if expected.nonce.is_some() {
        let party = text("azp");
        let needed = audiences.len() > 1;
        if (needed || party.is_some()) && party != Some(expected.audience) {
            return wrong("azp", "does not name this server");
        }
    }
    let now = expected.now_ms / 1000;
    match seconds(claims, "exp")? {
        None => return wrong("exp", "is missing"),
        Some(end) if end <= now - CLOCK_SECONDS_MAX => return wrong("exp", "is over"),
        Some(_) => {}
    }
    if seconds(claims, "nbf")?.is_some_and(|from| from > now + CLOCK_SECONDS_MAX) {
        return wrong("nbf", "is still to come");
    }
    if seconds(claims, "iat")?.is_some_and(|made| made > now + CLOCK_SECONDS_MAX) {
        return wrong("iat", "is still to come");
    }
    match expected.nonce {
        Some(nonce) if text("nonce") != Some(nonce) => wrong("nonce", "is not of this login"),
        _ => Ok(()),
    }
}

/// A time of a token: seconds since 1970, perhaps with a fraction.
fn seconds(claims: &Map<String, Value>, claim: &'static str) -> Result<Option<i64>, JwtError> {
    let Some(value) = claims.get(claim) else {
        return Ok(None);
    };
    let whole = value.as_i64();
    let cut = || {
        let seconds = value.as_f64().filter(|seconds| seconds.is_finite())?;
        seconds.trunc().to_string().parse().ok()
    };
    match whole.or_else(cut) {
        Some(seconds) => Ok(Some(seconds)),
        None => Err(JwtError::Claim {
            claim,
            what: "is not a time",
        }),
    }
}

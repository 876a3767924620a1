//! Logins and exchanges, with an issuer that runs here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaKeyPair,
};
use axum::Router;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::routing::{get, post};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use crate::harness::{Answer, TestServer};

/// What the issuer signs with.
struct Keys {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
}

impl Keys {
    fn new() -> Self {
        Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            p256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            ed25519: Ed25519KeyPair::generate().unwrap(),
        }
    }

    fn set(&self) -> Value {
        let b64 = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        // PKCS #1: two integers, of which the first has 2048 bits after a zero byte.
        let rsa = self.rsa.public_key().as_ref();
        let (n, e) = (&rsa[9..265], &rsa[267..]);
        let point = self.p256.public_key().as_ref();
        json!({ "keys": [
            { "kty": "RSA", "kid": "rsa", "use": "sig", "n": b64(n), "e": b64(e) },
            { "kty": "EC", "kid": "p256", "crv": "P-256", "alg": "ES256",
              "x": b64(&point[1..33]), "y": b64(&point[33..]) },
            { "kty": "OKP", "kid": "ed", "crv": "Ed25519", "x": b64(self.ed25519.public_key().as_ref()) },
            { "kty": "RSA", "kid": "enc", "use": "enc", "n": b64(n), "e": b64(e) },
            { "kty": "something new", "kid": 7 },
        ] })
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let rsa = |encoding: &'static dyn aws_lc_rs::signature::RsaEncoding| {
            let mut signature = vec![0; self.rsa.public_modulus_len()];
            self.rsa
                .sign(encoding, &random, message, &mut signature)
                .unwrap();
            signature
        };
        match algorithm {
            "RS256" => rsa(&RSA_PKCS1_SHA256),
            "PS256" => rsa(&RSA_PSS_SHA256),
            "ES256" => self.p256.sign(&random, message).unwrap().as_ref().to_vec(),
            "EdDSA" => self.ed25519.sign(message).as_ref().to_vec(),
            _ => Vec::new(),
        }
    }

    fn jwt(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(header), part(claims));
        let algorithm = header["alg"].as_str().unwrap_or_default();
        let signature = BASE64URL_NOPAD.encode(&self.sign(algorithm, signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

/// A login at the issuer: what it was asked, and what it will say.
struct LoggedIn {
    challenge: String,
    redirect_uri: String,
    id_token: String,
}

struct Shared {
    url: String,
    called: Mutex<String>,
    keys: Keys,
    key_sets_given: Mutex<usize>,
    codes: Mutex<HashMap<String, LoggedIn>>,
}

/// An issuer on the loopback address.
struct Issuer(Arc<Shared>);

impl Issuer {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            called: Mutex::new(url.clone()),
            url,
            keys: Keys::new(),
            key_sets_given: Mutex::new(0),
            codes: Mutex::default(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(configuration))
            .route("/keys", get(key_set))
            .route("/token", post(redeem))
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self(shared)
    }

    /// The claims of somebody, valid for a minute.
    fn claims(&self, server: &TestServer, audience: &str) -> Value {
        let now = server.repo.now_ms() / 1000;
        json!({
            "iss": self.0.url, "sub": "248289761001", "aud": audience, "exp": now + 60,
            "iat": now, "name": "Ann O.", "email": "ann@company.com", "groups": ["Platform"],
        })
    }

    /// What the person does who goes to the authorization URL: gives the code it comes back with.
    fn log_in(
        &self,
        authorization_url: &str,
        change: impl FnOnce(&mut Value),
        mut claims: Value,
    ) -> String {
        let asked = query_of(authorization_url);
        assert_eq!(asked["response_type"], "code");
        assert_eq!(asked["client_id"], "confman");
        assert_eq!(asked["code_challenge_method"], "S256");
        claims["nonce"] = json!(asked["nonce"]);
        change(&mut claims);
        let mut codes = self.0.codes.lock().unwrap();
        let code = format!("code-{}", codes.len());
        codes.insert(
            code.clone(),
            LoggedIn {
                challenge: asked["code_challenge"].clone(),
                redirect_uri: asked["redirect_uri"].clone(),
                id_token: self
                    .0
                    .keys
                    .jwt(&json!({ "alg": "ES256", "kid": "p256" }), &claims),
            },
        );
        code
    }
}

async fn configuration(State(shared): State<Arc<Shared>>) -> String {
    let called = shared.called.lock().unwrap().clone();
    let url = &shared.url;
    json!({
        "issuer": called,
        "jwks_uri": format!("{url}/keys"),
        "authorization_endpoint": format!("{url}/authorize?realm=x"),
        "token_endpoint": format!("{url}/token"),
    })
    .to_string()
}

async fn key_set(State(shared): State<Arc<Shared>>) -> String {
    *shared.key_sets_given.lock().unwrap() += 1;
    shared.keys.set().to_string()
}

async fn redeem(State(shared): State<Arc<Shared>>, body: String) -> (StatusCode, String) {
    let asked = query_of(&format!("http://form/?{body}"));
    let logged_in = shared.codes.lock().unwrap().remove(&asked["code"]);
    match logged_in {
        Some(logged_in)
            if logged_in.redirect_uri == asked["redirect_uri"]
                && asked["grant_type"] == "authorization_code"
                && logged_in.challenge
                    == BASE64URL_NOPAD
                        .encode(digest(&SHA256, asked["code_verifier"].as_bytes()).as_ref()) =>
        {
            (
                StatusCode::OK,
                json!({ "id_token": logged_in.id_token }).to_string(),
            )
        }
        _ => (StatusCode::BAD_REQUEST, "{}".to_owned()),
    }
}

fn query_of(url: &str) -> HashMap<String, String> {
    reqwest::Url::parse(url)
        .unwrap()
        .query_pairs()
        .into_owned()
        .collect()
}

const REDIRECT_URI: &str = "http://127.0.0.1:5555/callback";

/// A server that trusts an issuer for people and for programs.
async fn trusting() -> (TestServer, Issuer) {
    let server = TestServer::new().await;
    let issuer = Issuer::start().await;
    let document = json!({
        "url": issuer.0.url, "clientId": "confman", "audience": "confman-programs",
        "principalClaim": "email", "groups": { "Platform": "platform" },
        "redirectUri": "http://127.0.0.1:7420/v1/auth/oidc/corp/callback",
    });
    server
        .write(Method::PUT, "/v1/issuers/corp", document)
        .await;
    (server, issuer)
}

async fn begin(server: &TestServer) -> Value {
    let path = "/v1/auth/oidc/corp/login";
    let asking = server.ask(Method::POST, path).without_token();
    let begun = asking.json(&json!({ "redirectUri": REDIRECT_URI })).await;
    assert_eq!(begun.status, StatusCode::OK, "{}", begun.text());
    begun.document()
}

async fn finish(server: &TestServer, begun: &Value, code: &str) -> Answer {
    let path = "/v1/auth/oidc/corp/callback";
    let answer = json!({ "state": begun["state"], "binding": begun["binding"], "code": code });
    server
        .ask(Method::POST, path)
        .without_token()
        .json(&answer)
        .await
}

async fn exchange(server: &TestServer, token: &str) -> Answer {
    let write = json!({ "issuer": "corp", "token": token });
    server
        .ask(Method::POST, "/v1/auth/exchange")
        .without_token()
        .json(&write)
        .await
}

async fn whoami(server: &TestServer, secret: &Value) -> Answer {
    let bearer = format!("Bearer {}", secret.as_str().unwrap());
    let asking = server.get("/v1/whoami").without_token();
    asking.header("authorization", &bearer).send().await
}

fn said(answer: &Answer) -> String {
    format!(
        "{}: {}",
        answer.outcome(),
        answer.document()["detail"].as_str().unwrap_or_default()
    )
}

#[tokio::test]
async fn a_person_logs_in_with_a_program_that_waits_on_this_machine() {
    let (server, issuer) = trusting().await;
    let begun = begin(&server).await;
    let url = begun["authorizationUrl"].as_str().unwrap();
    assert_eq!(query_of(url)["redirect_uri"], REDIRECT_URI);
    assert_eq!(query_of(url)["realm"], "x");
    assert!(!url.contains(begun["binding"].as_str().unwrap()));
    let code = issuer.log_in(url, |_| {}, issuer.claims(&server, "confman"));
    let made = finish(&server, &begun, &code).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text());
    assert_eq!(made.header("cache-control"), "no-store");
    let secret = &made.document()["secret"];
    assert!(secret.as_str().unwrap().starts_with("cfm_pat_"));
    let me = whoami(&server, secret).await;
    let mut me = me.document();
    me["token"]["id"] = json!("[id]");
    me["token"]["expires"] = json!("[time]");
    insta::assert_snapshot!(serde_json::to_string_pretty(&me).unwrap(), @r#"
    {
      "principal": "ann-company.com",
      "kind": "user",
      "name": "Ann O.",
      "email": "ann@company.com",
      "groups": [
        "platform"
      ],
      "token": {
        "id": "[id]",
        "name": "login by corp",
        "expires": "[time]"
      },
      "draft": "ann-company.com"
    }
    "#);
}

#[tokio::test]
async fn a_login_is_finished_once_and_by_whoever_began_it() {
    let (server, issuer) = trusting().await;
    let begun = begin(&server).await;
    let url = begun["authorizationUrl"].as_str().unwrap();
    let code = issuer.log_in(url, |_| {}, issuer.claims(&server, "confman"));
    let mut other = begun.clone();
    other["binding"] = begin(&server).await["binding"].clone();
    insta::assert_snapshot!(said(&finish(&server, &other, &code).await), @"401 invalid-assertion: no such login waits here: it was finished, began elsewhere, or took more than 10 minutes; begin again");
    assert_eq!(finish(&server, &begun, &code).await.status, StatusCode::OK);
    let again = issuer.log_in(url, |_| {}, issuer.claims(&server, "confman"));
    insta::assert_snapshot!(said(&finish(&server, &begun, &again).await), @"401 invalid-assertion: no such login waits here: it was finished, began elsewhere, or took more than 10 minutes; begin again");
}

/// What is done to the claims of a token, under a name.
type Change = (&'static str, fn(&mut Value));

#[tokio::test]
async fn what_a_login_comes_back_with_is_checked() {
    let (server, issuer) = trusting().await;
    let mut outcomes = String::new();
    let changes: [Change; 6] = [
        ("other nonce", |claims| claims["nonce"] = json!("x")),
        ("no nonce", |claims| claims["nonce"] = Value::Null),
        ("other audience", |claims| claims["aud"] = json!("x")),
        ("two audiences", |claims| {
            claims["aud"] = json!(["confman", "x"]);
        }),
        ("two audiences, for us", |claims| {
            claims["aud"] = json!(["confman", "x"]);
            claims["azp"] = json!("confman");
        }),
        ("for others", |claims| claims["azp"] = json!("x")),
    ];
    for (what, change) in changes {
        let begun = begin(&server).await;
        let url = begun["authorizationUrl"].as_str().unwrap();
        let code = issuer.log_in(url, change, issuer.claims(&server, "confman"));
        let answer = finish(&server, &begun, &code).await;
        outcomes.push_str(&format!("{what}: {}\n", said(&answer)));
    }
    let begun = begin(&server).await;
    let answer = finish(&server, &begun, "not-a-code").await;
    outcomes.push_str(&format!("unknown code: {}\n", said(&answer)));
    let outcomes = outcomes.replace(&issuer.0.url, "URL");
    insta::assert_snapshot!(outcomes, @r"
    other nonce: 401 invalid-assertion: the claim `nonce` of the issuer's token is not of this login
    no nonce: 401 invalid-assertion: the claim `nonce` of the issuer's token is not of this login
    other audience: 401 invalid-assertion: the claim `aud` of the issuer's token does not name this server
    two audiences: 401 invalid-assertion: the claim `azp` of the issuer's token does not name this server
    two audiences, for us: 200: 
    for others: 401 invalid-assertion: the claim `azp` of the issuer's token does not name this server
    unknown code: 401 invalid-assertion: the issuer URL cannot be used: it answered 400 Bad Request
    ");
}

#[tokio::test]
async fn a_browser_comes_back_with_its_cookie() {
    let (server, issuer) = trusting().await;
    let sent = server
        .get("/v1/auth/oidc/corp/login")
        .without_token()
        .send()
        .await;
    assert_eq!(sent.status, StatusCode::FOUND);
    let url = sent.header("location");
    let cookie = sent.header("set-cookie");
    let binding = cookie.split(';').next().unwrap();
    insta::assert_snapshot!(cookie.replace(binding, "COOKIE"), @"COOKIE; Path=/v1/auth/oidc; Max-Age=600; HttpOnly; SameSite=Lax");
    let code = issuer.log_in(url, |_| {}, issuer.claims(&server, "confman"));
    let state = &query_of(url)["state"];
    let back = format!("/v1/auth/oidc/corp/callback?code={code}&state={state}&session_state=s");
    let stolen = server.get(&back).without_token().send().await;
    assert_eq!(stolen.outcome(), "401 invalid-assertion");
    let asking = server.get(&back).without_token().header("cookie", binding);
    let made = asking.send().await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text());
    assert_eq!(
        whoami(&server, &made.document()["secret"]).await.status,
        StatusCode::OK
    );
    let refused = "/v1/auth/oidc/corp/callback?error=access_denied&error_description=no%0Away";
    let refused = server.get(refused).without_token().send().await;
    insta::assert_snapshot!(said(&refused), @r"401 invalid-assertion: the issuer did not log you in: access_denied no\nway");
}

#[tokio::test]
async fn a_program_exchanges_its_token_whatever_it_is_signed_with() {
    let (server, issuer) = trusting().await;
    for (algorithm, kid) in [
        ("RS256", "rsa"),
        ("PS256", "rsa"),
        ("ES256", "p256"),
        ("EdDSA", "ed"),
    ] {
        let claims = issuer.claims(&server, "confman-programs");
        let token = issuer
            .0
            .keys
            .jwt(&json!({ "alg": algorithm, "kid": kid }), &claims);
        let made = exchange(&server, &token).await;
        assert_eq!(made.status, StatusCode::OK, "{algorithm}: {}", made.text());
    }
    assert_eq!(*issuer.0.key_sets_given.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_token_that_is_not_right_in_every_way_is_not_exchanged() {
    let (server, issuer) = trusting().await;
    let good = || issuer.claims(&server, "confman-programs");
    let now = server.repo.now_ms() / 1000;
    let with = |claim: &str, value: Value| {
        let mut claims = good();
        claims[claim] = value;
        issuer
            .0
            .keys
            .jwt(&json!({ "alg": "ES256", "kid": "p256" }), &claims)
    };
    let signed = |header: Value| issuer.0.keys.jwt(&header, &good());
    let others = Keys::new();
    let fine = signed(json!({ "alg": "ES256", "kid": "p256" }));
    let parts: Vec<&str> = fine.split('.').collect();
    let forged = BASE64URL_NOPAD.encode(good().to_string().replace("2482", "1").as_bytes());
    let table = [
        ("as it must be", fine.clone()),
        (
            "fractions of seconds",
            with("exp", json!(now as f64 + 30.5)),
        ),
        ("other audience", with("aud", json!("confman"))),
        ("no audience", with("aud", Value::Null)),
        ("other issuer", with("iss", json!("http://127.0.0.1:1"))),
        ("over", with("exp", json!(now - 61))),
        ("no end", with("exp", Value::Null)),
        ("an end that is text", with("exp", json!("tomorrow"))),
        ("not yet", with("nbf", json!(now + 120))),
        ("from the future", with("iat", json!(now + 120))),
        ("no subject", with("sub", Value::Null)),
        (
            "other key",
            others.jwt(&json!({ "alg": "ES256", "kid": "p256" }), &good()),
        ),
        (
            "algorithm none",
            signed(json!({ "alg": "none", "kid": "p256" })),
        ),
        (
            "algorithm HS256",
            signed(json!({ "alg": "HS256", "kid": "rsa" })),
        ),
        (
            "key of another kind",
            signed(json!({ "alg": "RS256", "kid": "p256" })),
        ),
        (
            "key for encryption",
            signed(json!({ "alg": "RS256", "kid": "enc" })),
        ),
        (
            "unknown key",
            signed(json!({ "alg": "ES256", "kid": "nobody" })),
        ),
        ("no key named", signed(json!({ "alg": "ES256" }))),
        (
            "an extension",
            signed(json!({ "alg": "ES256", "kid": "p256", "crit": ["b64"], "b64": false })),
        ),
        ("changed", format!("{}.{forged}.{}", parts[0], parts[2])),
        ("unsigned", format!("{}.{}.", parts[0], parts[1])),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("four parts", format!("{fine}.x")),
        ("one of ours", server.token.clone()),
        ("nothing", String::new()),
        ("long", "x".repeat(super::jwt::JWT_BYTES_MAX + 1)),
    ];
    let mut outcomes = String::new();
    for (what, token) in table {
        let answer = exchange(&server, &token).await;
        let line = match answer.status {
            StatusCode::OK => "200".to_owned(),
            _ => said(&answer),
        };
        outcomes.push_str(&format!("{what}: {line}\n"));
    }
    insta::assert_snapshot!(outcomes, @r"
    as it must be: 200
    fractions of seconds: 200
    other audience: 401 invalid-assertion: the claim `aud` of the issuer's token does not name this server
    no audience: 401 invalid-assertion: the claim `aud` of the issuer's token does not name this server
    other issuer: 401 invalid-assertion: the claim `iss` of the issuer's token is not the issuer's URL
    over: 401 invalid-assertion: the claim `exp` of the issuer's token is over
    no end: 401 invalid-assertion: the claim `exp` of the issuer's token is not a time
    an end that is text: 401 invalid-assertion: the claim `exp` of the issuer's token is not a time
    not yet: 401 invalid-assertion: the claim `nbf` of the issuer's token is still to come
    from the future: 401 invalid-assertion: the claim `iat` of the issuer's token is still to come
    no subject: 403 not-admitted: `corp` does not let this identity in: the claim `sub` must have 1 to 255 bytes
    other key: 401 invalid-assertion: the signature of the issuer's token is not valid
    algorithm none: 401 invalid-assertion: the issuer's token says algorithm `none`; accepted are RS256, PS256, ES256 and EdDSA, with a key that is made for it
    algorithm HS256: 401 invalid-assertion: the issuer's token says algorithm `HS256`; accepted are RS256, PS256, ES256 and EdDSA, with a key that is made for it
    key of another kind: 401 invalid-assertion: the issuer's token says algorithm `RS256`; accepted are RS256, PS256, ES256 and EdDSA, with a key that is made for it
    key for encryption: 401 invalid-assertion: the issuer has no key of this `kid`
    unknown key: 401 invalid-assertion: the issuer has no key of this `kid`
    no key named: 401 invalid-assertion: the issuer's token is not a signed JWT of at most 16384 bytes: its header names no key (`kid`)
    an extension: 401 invalid-assertion: the issuer's token is not a signed JWT of at most 16384 bytes: its header asks for an extension (`crit`)
    changed: 401 invalid-assertion: the signature of the issuer's token is not valid
    unsigned: 401 invalid-assertion: the signature of the issuer's token is not valid
    two parts: 401 invalid-assertion: the issuer's token is not a signed JWT of at most 16384 bytes: it has no three parts
    four parts: 401 invalid-assertion: the issuer's token is not a signed JWT of at most 16384 bytes: it has no three parts
    one of ours: 401 invalid-assertion: the issuer's token is not a signed JWT of at most 16384 bytes: it has no three parts
    nothing: 401 invalid-assertion: the issuer's token is not a signed JWT of at most 16384 bytes: it has no three parts
    long: 401 invalid-assertion: the issuer's token is not a signed JWT of at most 16384 bytes: it is longer
    ");
    // Keys that are not known do not make the server ask all the time.
    assert_eq!(*issuer.0.key_sets_given.lock().unwrap(), 1);
}

#[tokio::test]
async fn an_issuer_that_is_not_what_it_says_is_not_used() {
    let (server, issuer) = trusting().await;
    *issuer.0.called.lock().unwrap() = "https://id.company.com".to_owned();
    let token = issuer.0.keys.jwt(
        &json!({ "alg": "ES256", "kid": "p256" }),
        &issuer.claims(&server, "confman-programs"),
    );
    let answer = exchange(&server, &token).await;
    let detail = said(&answer).replace(&issuer.0.url, "URL");
    insta::assert_snapshot!(detail, @"502 issuer-unavailable: the issuer URL cannot be used: it calls itself something else");
    let gone = json!({ "url": "http://127.0.0.1:9", "audience": "a" });
    server.write(Method::PUT, "/v1/issuers/corp", gone).await;
    insta::assert_snapshot!(said(&exchange(&server, &token).await), @"502 issuer-unavailable: the issuer http://127.0.0.1:9 cannot be reached");
    insta::assert_snapshot!(said(&begin_at(&server, REDIRECT_URI).await), @"404 not-found: people cannot log in by issuer `corp`, which has no `clientId`");
    for odd in [
        "https://evil.com/callback",
        "http://127.0.0.1.evil.com/callback",
        "http://127.0.0.1:5555/other",
        "http://localhost:5555/callback",
    ] {
        assert_eq!(
            begin_at(&server, odd).await.outcome(),
            "400 invalid",
            "{odd}"
        );
    }
    let plain = json!({ "url": "http://id.company.com", "clientId": "c" });
    let refused = server
        .ask(Method::PUT, "/v1/issuers/plain")
        .json(&plain)
        .await;
    insta::assert_snapshot!(said(&refused), @"400 invalid: issuer `plain` is not valid: `http://id.company.com` begins neither with `https://` and a host nor, on this machine alone, with `http://127.0.0.1` or `http://[::1]` at `/url` (line 1, column 1)");
    let unknown = server
        .ask(Method::POST, "/v1/auth/oidc/none/login")
        .without_token()
        .json(&json!({ "redirectUri": REDIRECT_URI }))
        .await;
    insta::assert_snapshot!(said(&unknown), @"404 not-found: there is no issuer `none`");
}

async fn begin_at(server: &TestServer, redirect_uri: &str) -> Answer {
    server
        .ask(Method::POST, "/v1/auth/oidc/corp/login")
        .without_token()
        .json(&json!({ "redirectUri": redirect_uri }))
        .await
}

//! Logging in by an issuer, with the real program, a real server and an issuer that the test runs.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are not tests to the lint"
)]

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::{get, post};
use confman_tests::{Person, Server};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

/// An issuer at which Ann is logged in already.
struct Issuer {
    url: String,
    key: Ed25519KeyPair,
    /// By code: what the authorization was asked with.
    codes: Mutex<HashMap<String, HashMap<String, String>>>,
}

impl Issuer {
    /// Starts one on a runtime that is kept as long as it answers.
    fn start() -> (tokio::runtime::Runtime, Arc<Self>) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let issuer = Arc::new(Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            key: Ed25519KeyPair::generate().unwrap(),
            codes: Mutex::default(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(configuration))
            .route("/keys", get(keys))
            .route("/authorize", get(authorize))
            .route("/token", post(redeem))
            .with_state(Arc::clone(&issuer));
        runtime.spawn(async move { axum::serve(listener, router).await });
        (runtime, issuer)
    }

    /// A signed token that says who somebody is, valid for a minute.
    fn token(&self, audience: &str, subject: &str, nonce: Option<&str>) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let claims = json!({
            "iss": self.url, "aud": audience, "sub": subject, "nonce": nonce,
            "iat": now.as_secs(), "exp": now.as_secs() + 60,
            "name": "Ann O.", "email": "ann@company.com", "groups": ["Payments"],
        });
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let header = json!({ "alg": "EdDSA", "kid": "k" });
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }
}

async fn configuration(State(issuer): State<Arc<Issuer>>) -> String {
    let url = &issuer.url;
    json!({
        "issuer": url,
        "jwks_uri": format!("{url}/keys"),
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
    })
    .to_string()
}

async fn keys(State(issuer): State<Arc<Issuer>>) -> String {
    let x = BASE64URL_NOPAD.encode(issuer.key.public_key().as_ref());
    json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": x }] }).to_string()
}

/// Ann is known here, and sent back at once.
async fn authorize(
    State(issuer): State<Arc<Issuer>>,
    Query(asked): Query<HashMap<String, String>>,
) -> Redirect {
    assert_eq!(asked["client_id"], "confman");
    assert_eq!(asked["code_challenge_method"], "S256");
    let to = format!("{}?code=c1&state={}", asked["redirect_uri"], asked["state"]);
    issuer.codes.lock().unwrap().insert("c1".to_owned(), asked);
    Redirect::to(&to)
}

/// Gives the token of a code, once, to whoever knows what the challenge was made of.
async fn redeem(State(issuer): State<Arc<Issuer>>, body: String) -> (StatusCode, String) {
    let form = reqwest::Url::parse(&format!("http://form/?{body}")).unwrap();
    let form: HashMap<String, String> = form.query_pairs().into_owned().collect();
    let verifier = form.get("code_verifier").cloned().unwrap_or_default();
    let challenge = BASE64URL_NOPAD.encode(digest(&SHA256, verifier.as_bytes()).as_ref());
    match issuer.codes.lock().unwrap().remove(&form["code"]) {
        Some(asked) if asked["code_challenge"] == challenge => {
            let token = issuer.token("confman", "1001", asked.get("nonce").map(String::as_str));
            (StatusCode::OK, json!({ "id_token": token }).to_string())
        }
        _ => (StatusCode::BAD_REQUEST, "{}".to_owned()),
    }
}

/// A server that trusts the issuer, whose group `Payments` may publish in `/teams/payments`.
fn trusting(issuer: &Issuer) -> (Server, Person) {
    let server = Server::start();
    let admin = Person::admin(&server);
    let document = json!({
        "url": issuer.url, "clientId": "confman", "audience": "confman-programs",
        "principalClaim": "email", "groups": { "Payments": "payments" },
    });
    admin.write("corp.json", document.to_string());
    admin.does(&["issuer", "set", "corp", "--file", "corp.json"]);
    admin.does(&["ns", "create", "/teams"]);
    let publisher = ["--publisher", "group:payments"];
    admin.does(&[&["ns", "create", "/teams/payments"][..], &publisher].concat());
    (server, admin)
}

#[test]
fn a_person_logs_in_with_a_browser_and_works_with_the_rights_of_the_issuers_groups() {
    let (runtime, issuer) = Issuer::start();
    let (server, admin) = trusting(&issuer);
    let ann = Person::with_token(&server, "");
    let login = [
        "login",
        "--server",
        server.url(),
        "--oidc",
        "corp",
        "--no-browser",
        "--keyring",
        "never",
    ];
    let mut child = ann
        .command("", &login)
        .env_remove("CONFMAN_TOKEN")
        .env_remove("CONFMAN_SERVER")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let page = said
        .by_ref()
        .map(Result::unwrap)
        .find(|line| line.starts_with(&issuer.url))
        .expect("it says where to log in");
    // What the browser does: it follows the issuer back to the program that waits.
    let shown = runtime.block_on(async { reqwest::get(page).await.unwrap() });
    assert_eq!(shown.status(), 200);
    let ended = child.wait_with_output().unwrap();
    let rest: Vec<String> = said.map(Result::unwrap).collect();
    assert!(ended.status.success(), "{rest:?}");
    let out = String::from_utf8(ended.stdout).unwrap();
    assert!(out.contains("as ann-company.com"), "{out}");

    // The profile has it from now on, readable by nobody else, and shown nowhere.
    let as_ann = |arguments: &[&str]| {
        let ran = ann
            .command("", arguments)
            .env_remove("CONFMAN_TOKEN")
            .env_remove("CONFMAN_SERVER")
            .output()
            .unwrap();
        let text = String::from_utf8(ran.stdout).unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        (ran.status.code(), text, said)
    };
    let (_, whoami, _) = as_ann(&["whoami"]);
    assert!(whoami.contains("payments"), "{whoami}");
    let (code, _, said) = as_ann(&["set", "/teams/payments:limit", "7", "--publish"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, _, said) = as_ann(&["set", "/teams:limit", "7", "--publish"]);
    assert!(matches!(code, Some(3 | 4)), "{said}");
    let audit = admin.does(&["audit", "--json"]);
    assert!(audit.contains("\"ann-company.com\"") && !audit.contains("cfm_pat_"));

    // Logged out, the token is worth nothing any more.
    let (code, _, said) = as_ann(&["logout"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, ..) = as_ann(&["whoami", "--server", server.url()]);
    assert_eq!(code, Some(4));
    // And when the issuer is trusted no more, nobody logs in by it.
    admin.does(&["issuer", "delete", "corp", "--yes"]);
    let refused = ann.runs(&login);
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains("corp"), "{}", refused.stderr);
}

#[test]
fn a_program_exchanges_the_token_of_its_platform() {
    let (runtime, issuer) = Issuer::start();
    let (server, _admin) = trusting(&issuer);
    let exchange = |token: String| {
        runtime.block_on(async {
            let asked = reqwest::Client::new()
                .post(format!("{}/v1/auth/exchange", server.url()))
                .header("content-type", "application/json")
                .body(json!({ "issuer": "corp", "token": token }).to_string())
                .send()
                .await
                .unwrap();
            (asked.status().as_u16(), asked.text().await.unwrap())
        })
    };
    let (status, text) = exchange(issuer.token("confman-programs", "1001", None));
    assert_eq!(status, 200, "{text}");
    let made: Value = serde_json::from_str(&text).unwrap();
    let program = Person::with_token(&server, made["secret"].as_str().unwrap());
    program.does(&["set", "/teams/payments:limit", "8", "--publish"]);
    // What was meant for somebody else is not taken, nor what the issuer did not sign.
    let (status, text) = exchange(issuer.token("another-service", "1001", None));
    assert_eq!(status, 401, "{text}");
    let (_stranger, other) = Issuer::start();
    let forged = other.token("confman-programs", "1001", None);
    let (status, text) = exchange(forged);
    assert_eq!(status, 401, "{text}");
}

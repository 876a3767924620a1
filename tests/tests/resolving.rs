//! A server that resolves references to secrets: with the real program, and a Vault that the test runs.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are not tests to the lint"
)]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use confman_tests::{Person, Server, confman_bin};
use serde_json::Value;

/// What Vault keeps, which must turn up in answers alone.
const CANARY: &str = "canary-server-side-9d1f";
/// Who the server is to Vault.
const VAULT_TOKEN: &str = "hvs.canary-token-of-the-server";

/// A Vault on a port of its own, and the paths that it was asked for with the right token.
struct Vault {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Vault {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let known = Arc::clone(&asked);
        let elsewhere = format!("{url}/v1/kv/data/apps/stripe");
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let first = lines.next().unwrap().unwrap();
                let path = first.split(' ').nth(1).unwrap().to_owned();
                let headers: Vec<String> = lines
                    .map_while(Result::ok)
                    .take_while(|line| !line.is_empty())
                    .collect();
                let is_known = headers.iter().any(|header| {
                    header.to_ascii_lowercase().starts_with("x-vault-token:")
                        && header.ends_with(VAULT_TOKEN)
                });
                if is_known {
                    known.lock().unwrap().push(path.clone());
                }
                let secret = format!(r#"{{"data": {{"data": {{"key": "{CANARY}"}}}}}}"#);
                let (status, location, body) = match path.as_str() {
                    _ if !is_known => ("403 Forbidden", "", ""),
                    "/v1/kv/data/apps/stripe" => ("200 OK", "", secret.as_str()),
                    "/v1/kv/data/apps/moved" => ("307 Moved", elsewhere.as_str(), ""),
                    _ => ("404 Not Found", "", ""),
                };
                let mut stream = stream;
                let length = body.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status}\r\nlocation: {location}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// A server that asks this Vault, and says all that it can say.
fn serving(data: &Path, vault: &str, rules: &str) -> Result<Server, String> {
    let mut command = Command::new(confman_bin());
    command
        .env("CONFMAN_RESOLVE_SECRETS", rules)
        .env("CONFMAN_LOG", "trace")
        .env("VAULT_TOKEN", VAULT_TOKEN)
        .env_remove("VAULT_ADDR")
        .env("HTTP_PROXY", "")
        .env("http_proxy", "");
    if !vault.is_empty() {
        command.env("VAULT_ADDR", vault);
    }
    Server::try_start_by(command, data)
}

/// A token for somebody new.
fn token(admin: &Person, name: &str) -> String {
    admin.does(&["principal", "create", name, "--service"]);
    let made = admin.does(&[
        "token",
        "create",
        "--principal",
        name,
        "--name",
        "test",
        "--json",
    ]);
    let made: Value = serde_json::from_str(&made).unwrap();
    made["secret"].as_str().unwrap().to_owned()
}

fn get(server: &Server, token: &str, path: &str) -> (u16, String, reqwest::header::HeaderMap) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}/v1/ns{path}", server.url());
        let sent = http.get(url).bearer_auth(token).send().await.unwrap();
        let (status, headers) = (sent.status().as_u16(), sent.headers().clone());
        (status, sent.text().await.unwrap(), headers)
    })
}

/// The files below a directory that have this in them.
fn files_with(directory: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if let Ok(bytes) = std::fs::read(&path)
            && bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn a_service_gets_its_secret_from_a_server_that_leaves_no_trace_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let vault = Vault::start();
    let mut server = serving(&data, &vault.url, "/app=vault://kv/apps,vault://shared").unwrap();
    let admin = Person::admin(&server);
    admin.does(&["ns", "create", "/app"]);
    for (key, reference) in [
        ("stripe", "vault://kv/apps/stripe#key"),
        ("bad/moved", "vault://kv/apps/moved#key"),
        ("bad/none", "vault://kv/apps/none#key"),
        ("other", "vault://kv/others/x#key"),
    ] {
        let address = format!("/app:{key}");
        admin.does(&[
            "set",
            &address,
            reference,
            "--type",
            "secret-ref",
            "--publish",
            "-m",
            "test",
        ]);
    }
    let (payments, reader) = (token(&admin, "payments"), token(&admin, "reader"));
    admin.does(&["ns", "grant", "/app", "viewer", "payments", "reader"]);
    admin.does(&["ns", "set", "/app", r#"secretResolvers=["payments"]"#]);

    let one = "/app/-/config/stripe?resolve=true";
    for (who, token) in [("reader", reader.as_str()), ("admin", admin.token())] {
        let (status, said, _) = get(&server, token, one);
        assert_eq!(status, 403, "{who}: {said}");
    }
    assert_eq!(vault.asked(), Vec::<String>::new());
    let (status, said, headers) = get(&server, &payments, one);
    assert_eq!(status, 200, "{said}");
    assert!(said.contains(CANARY));
    assert_eq!(headers["cache-control"], "no-store");
    assert!(!headers.contains_key("etag"));
    assert_eq!(vault.asked(), ["/v1/kv/data/apps/stripe"]);

    // It follows nothing, and says of each what is wrong.
    let (status, said, _) = get(&server, &payments, "/app/-/config?resolve=true&prefix=bad/");
    assert_eq!(status, 502, "{said}");
    let problem: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(problem["code"], "unresolved");
    let said: Vec<&str> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["detail"].as_str().unwrap())
        .collect();
    insta::assert_snapshot!(said.join("\n"), @"
    key `bad/moved`: `vault://kv/apps/moved#key` cannot be resolved: Vault answered 307 Temporary Redirect
    key `bad/none`: `vault://kv/apps/none#key` cannot be resolved: there is no such secret: Vault has none
    ");
    assert_eq!(vault.asked().len(), 3);
    // What no rule names is asked of nobody.
    let (status, said, _) = get(&server, &payments, "/app/-/config?resolve=true");
    assert_eq!(status, 422, "{said}");
    assert!(said.contains("vault://kv/others/x#key"), "{said}");
    assert_eq!(vault.asked().len(), 3);

    let audit = admin.does(&["audit", "--action", "secret.resolve", "--json"]);
    assert!(
        audit.contains("\"payments\"") && audit.contains("vault://kv/apps/stripe#key"),
        "{audit}"
    );
    admin.does(&["audit", "--verify"]);
    assert!(server.stop().success());
    let log = server.log().join("\n");
    assert!(log.contains("/config/{key}"), "it logs what happens");
    for secret in [CANARY, VAULT_TOKEN] {
        assert!(!log.contains(secret), "the log has it");
        assert!(!audit.contains(secret), "the audit log has it");
        assert_eq!(files_with(folder.path(), secret), Vec::<String>::new());
    }
}

#[test]
fn what_a_server_must_not_resolve_keeps_it_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let said = |vault: &str, rules: &str| match serving(&folder.path().join("data"), vault, rules) {
        Ok(_) => panic!("it serves with {rules}"),
        Err(said) => said,
    };
    let environment = said("http://127.0.0.1:1", "vault://kv,env://");
    assert!(environment.contains("exit status: 2"), "{environment}");
    assert!(
        environment.contains("a server never resolves `env://`"),
        "{environment}"
    );
    let lacking = said("", "vault://kv");
    assert!(lacking.contains("exit status: 2"), "{lacking}");
    assert!(lacking.contains("VAULT_ADDR must be set"), "{lacking}");
}

//! Who may do what, with the real program and a real server: principals, groups, tokens, and what is
//! left of them where they end.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests are not tests to the lint"
)]

use confman_tests::{Person, Server};

/// The id of a token, as the command that made it said on stderr.
fn id_of(said: &str) -> String {
    said.split_whitespace().nth(1).unwrap().to_owned()
}

#[test]
fn a_team_gets_what_its_group_has_until_it_leaves_and_across_a_restart() {
    let mut server = Server::start();
    let mut admin = Person::admin(&server);
    admin.does(&["ns", "create", "/teams"]);
    admin.does(&["principal", "create", "ann", "--email", "ann@company.com"]);
    admin.does(&["principal", "create", "ci", "--service"]);
    admin.does(&["group", "create", "dev", "--member", "ann"]);
    admin.does(&["group", "create", "all", "--member", "group:dev"]);
    admin.does(&[
        "ns",
        "create",
        "/teams/payments",
        "--publisher",
        "group:all",
        "--editor",
        "ci",
    ]);
    let circle = admin.runs(&["group", "add", "dev", "group:all"]);
    assert_eq!(circle.code, 6, "{}", circle.stderr);
    assert!(
        circle.stderr.contains("dev → all → dev"),
        "{}",
        circle.stderr
    );

    let made = admin.runs(&["token", "create", "--principal", "ann", "--name", "laptop"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let secret = made.text().to_owned();
    assert!(secret.starts_with("cfm_pat_") && !made.stderr.contains(&secret));
    let ann = Person::with_token(&server, &secret);
    ann.does(&["set", "/teams/payments:limit", "7", "--publish"]);
    assert!(ann.does(&["whoami"]).contains("groups  all dev"));

    let narrow = admin.does(&[
        "token",
        "create",
        "--principal",
        "ci",
        "--scope",
        "/teams/payments",
        "--role",
        "viewer",
        "--expires",
        "1d",
    ]);
    assert!(narrow.starts_with("cfm_svc_"), "{narrow}");
    let ci = Person::with_token(&server, &narrow);
    assert_eq!(ci.does(&["get", "/teams/payments:limit"]), "7");
    let refused = ci.runs(&["set", "/teams/payments:limit", "8"]);
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    let wider = ci.runs(&["token", "create"]);
    assert_eq!(wider.code, 6, "{}", wider.stderr);
    assert_eq!(ci.runs(&["principal", "list"]).code, 3);

    server.stop();
    let data = server.data().to_owned();
    let server = Server::start_on(&data);
    admin.follow(&server);
    let mut ann = Person::with_token(&server, &secret);
    assert_eq!(ann.does(&["get", "/teams/payments:limit"]), "7");
    admin.does(&["group", "remove", "dev", "ann"]);
    let gone = ann.runs(&["get", "/teams/payments:limit"]);
    assert_eq!(gone.code, 3, "{}", gone.stderr);
    admin.does(&["group", "add", "dev", "ann"]);
    ann.does(&["get", "/teams/payments:limit"]);

    admin.does(&["token", "revoke", &id_of(&made.stderr)]);
    let revoked = ann.runs(&["whoami"]);
    assert_eq!(revoked.code, 4, "{}", revoked.stderr);
    ann = Person::with_token(
        &server,
        &admin.does(&["token", "create", "--principal", "ann"]),
    );
    admin.does(&["principal", "disable", "ann"]);
    assert_eq!(ann.runs(&["whoami"]).code, 4);
    admin.does(&["principal", "enable", "ann"]);
    ann.does(&["whoami"]);
    let audit = admin.does(&["audit", "-n", "100", "--json"]);
    for action in [
        "token.create",
        "token.revoke",
        "group.put",
        "principal.disable",
    ] {
        assert!(audit.contains(action), "{action}: {audit}");
    }
    for token in [&secret, &narrow] {
        assert!(!audit.contains(token.as_str()));
    }
}

#[test]
fn who_logs_in_by_stdin_has_a_profile_and_the_token_is_nowhere_else() {
    let server = Server::start();
    let admin = Person::admin(&server);
    let token = admin.does(&["token", "create", "--name", "profile"]);
    let login = ["login", "--server", server.url(), "--token-stdin"];
    let logged_in = admin.runs_with_input(&login, format!("{token}\n").as_bytes());
    assert_eq!(logged_in.code, 0, "{}", logged_in.stderr);
    assert!(!logged_in.stderr.contains(&token) && !logged_in.text().contains(&token));
    let mut command = admin.command("", &["whoami"]);
    command
        .env_remove("CONFMAN_TOKEN")
        .env_remove("CONFMAN_SERVER");
    let whoami = command.output().unwrap();
    let text = String::from_utf8(whoami.stdout).unwrap();
    assert!(text.contains("profile for everything"), "{text}");
    let unknown = [
        "login",
        "--server",
        server.url(),
        "--oidc",
        "none",
        "--no-browser",
    ];
    assert_eq!(admin.runs(&unknown).code, 3);
}

//! Every role, on every route, at every place: allowed exactly where the matrix of roles says, and told
//! nothing elsewhere.
//!
//! The table of routes below is the list of what each takes; a route that is not in it fails the test,
//! as does a row without a route.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{Method, StatusCode};
use confman_repo::policy::Permission::{
    self, ConfigPublish, ConfigReadDraft, ConfigReadPublished, ConfigRollback, ConfigWriteDraft,
    NamespaceDelete, NamespaceRead, NamespaceWrite, RequestApprove, RequestCreate, RequestReject,
    SchemaWrite,
};
use confman_repo::policy::{Role, permits};
use confman_repo::{DocumentChange, ExpectedHead};
use confman_secret::Secrets;
use serde_json::{Value, json};

use self::Needs::{At, Door, Nothing, Of, Root, Somebody};
use crate::harness::{Answer, TestServer};
use crate::resolving::Resolving;
use crate::url;

/// What a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    /// Nothing, not even a token.
    Nothing,
    /// Nothing yet: it is where one comes in.
    Door,
    /// A token.
    Somebody,
    /// To be admin of `/`.
    Root,
    /// A permission in the namespace that it is about.
    At(Permission),
    /// A permission in the namespace that a publish request is about, which takes reading drafts there
    /// to know of.
    Of(Permission),
}

/// What each route takes.
const TABLE: &[(&str, &str, Needs)] = &[
    ("GET", "/healthz", Nothing),
    ("GET", "/readyz", Nothing),
    ("GET", "/version", Nothing),
    ("GET", "/metrics", Nothing),
    ("GET", "/openapi.json", Nothing),
    ("GET", "/docs", Nothing),
    ("GET", "/v1/auth/oidc/{issuer}/login", Door),
    ("POST", "/v1/auth/oidc/{issuer}/login", Door),
    ("GET", "/v1/auth/oidc/{issuer}/callback", Door),
    ("POST", "/v1/auth/oidc/{issuer}/callback", Door),
    ("POST", "/v1/auth/exchange", Door),
    ("GET", "/v1/whoami", Somebody),
    // One's own; those of others are in the tests of identity.
    ("GET", "/v1/tokens", Somebody),
    ("POST", "/v1/tokens", Somebody),
    ("DELETE", "/v1/tokens/{id}", Somebody),
    // They leave out what the caller may not read.
    ("GET", "/v1/namespaces", Somebody),
    ("GET", "/v1/schemas", Somebody),
    ("GET", "/v1/rotations", Somebody),
    ("GET", "/v1/search", Somebody),
    ("GET", "/v1/requests", Somebody),
    ("POST", "/v1/requests", At(RequestCreate)),
    ("GET", "/v1/requests/{n}", Of(ConfigReadDraft)),
    ("PATCH", "/v1/requests/{n}", Of(RequestCreate)),
    ("GET", "/v1/requests/{n}/diff", Of(ConfigReadDraft)),
    ("GET", "/v1/requests/{n}/impact", Of(ConfigReadDraft)),
    ("POST", "/v1/requests/{n}/comments", Of(ConfigReadDraft)),
    ("POST", "/v1/requests/{n}/reviews", Of(RequestApprove)),
    ("POST", "/v1/requests/{n}/publish", Of(ConfigPublish)),
    ("POST", "/v1/requests/{n}/schedule", Of(ConfigPublish)),
    // But for whoever made the request, which is nobody here.
    ("DELETE", "/v1/requests/{n}/schedule", Of(ConfigPublish)),
    ("POST", "/v1/requests/{n}/promote", Of(ConfigPublish)),
    // But for whoever made the request, as above.
    ("POST", "/v1/requests/{n}/abort", Of(ConfigPublish)),
    ("POST", "/v1/requests/{n}/withdraw", Of(RequestReject)),
    ("POST", "/v1/requests/{n}/acknowledge", Of(NamespaceWrite)),
    ("GET", "/v1/namespaces/deleted", Somebody),
    ("GET", "/v1/operations", Somebody),
    ("GET", "/v1/principals", Root),
    ("POST", "/v1/principals", Root),
    ("GET", "/v1/principals/{principal}", Root),
    ("PATCH", "/v1/principals/{principal}", Root),
    ("GET", "/v1/groups", Root),
    ("GET", "/v1/groups/{group}", Root),
    ("PUT", "/v1/groups/{group}", Root),
    ("DELETE", "/v1/groups/{group}", Root),
    ("GET", "/v1/issuers", Root),
    ("GET", "/v1/issuers/{issuer}", Root),
    ("PUT", "/v1/issuers/{issuer}", Root),
    ("DELETE", "/v1/issuers/{issuer}", Root),
    ("GET", "/v1/operations/sealed", Root),
    ("GET", "/v1/cluster", Root),
    ("POST", "/v1/cluster/members/{node}/promote", Root),
    ("POST", "/v1/cluster/members/{node}/remove", Root),
    ("POST", "/v1/cluster/members/{node}/replace", Root),
    ("POST", "/v1/cluster/transfer", Root),
    ("GET", "/v1/cluster/join-tokens", Root),
    ("POST", "/v1/cluster/join-tokens", Root),
    ("DELETE", "/v1/cluster/join-tokens/{id}", Root),
    ("GET", "/v1/backup", Root),
    ("GET", "/v1/backup/operations", Root),
    ("POST", "/v1/backup/objects", Root),
    ("POST", "/v1/fsck", Root),
    ("POST", "/v1/namespaces", At(NamespaceWrite)),
    ("POST", "/ofrep/v1/evaluate/flags", At(ConfigReadPublished)),
    (
        "POST",
        "/ofrep/v1/evaluate/flags/{key}",
        At(ConfigReadPublished),
    ),
    (
        "GET",
        "/spring/{application}/{profiles}",
        At(ConfigReadPublished),
    ),
    (
        "GET",
        "/spring/{application}/{profiles}/{label}",
        At(ConfigReadPublished),
    ),
    ("GET", "/v1/schemas/{path}", At(NamespaceRead)),
    ("PUT", "/v1/schemas/{path}", At(SchemaWrite)),
    ("DELETE", "/v1/schemas/{path}", At(SchemaWrite)),
    ("GET", "/v1/schemas/{path}/-/history", At(NamespaceRead)),
    ("POST", "/v1/schemas/{path}/-/check", At(NamespaceRead)),
    (
        "POST",
        "/v1/ns/{namespace}/-/validate",
        At(ConfigReadPublished),
    ),
    (
        "POST",
        "/v1/ns/{namespace}/-/preview",
        At(ConfigReadPublished),
    ),
    (
        "GET",
        "/v1/ns/{namespace}/-/editor.schema.json",
        At(ConfigReadPublished),
    ),
    (
        "GET",
        "/v1/ns/{namespace}/-/inferred.schema.json",
        At(ConfigReadPublished),
    ),
    ("GET", "/v1/ns/{namespace}/-/namespace", At(NamespaceRead)),
    ("PUT", "/v1/ns/{namespace}/-/namespace", At(NamespaceWrite)),
    (
        "PATCH",
        "/v1/ns/{namespace}/-/namespace",
        At(NamespaceWrite),
    ),
    (
        "DELETE",
        "/v1/ns/{namespace}/-/namespace",
        At(NamespaceDelete),
    ),
    (
        "GET",
        "/v1/ns/{namespace}/-/namespace/effective",
        At(NamespaceRead),
    ),
    (
        "GET",
        "/v1/ns/{namespace}/-/namespace/history",
        At(NamespaceRead),
    ),
    // Who may not restore is told that nothing was deleted; that is in the tests of lives.
    ("POST", "/v1/ns/{namespace}/-/restore", Somebody),
    ("GET", "/v1/ns/{namespace}/-/permissions", At(NamespaceRead)),
    (
        "GET",
        "/v1/ns/{namespace}/-/explain/{key}",
        At(ConfigReadPublished),
    ),
    (
        "GET",
        "/v1/ns/{namespace}/-/config",
        At(ConfigReadPublished),
    ),
    (
        "GET",
        "/v1/ns/{namespace}/-/config/{key}",
        At(ConfigReadPublished),
    ),
    ("GET", "/v1/ns/{namespace}/-/watch", At(ConfigReadPublished)),
    (
        "GET",
        "/v1/ns/{namespace}/-/entries",
        At(ConfigReadPublished),
    ),
    (
        "GET",
        "/v1/ns/{namespace}/-/entries/{key}",
        At(ConfigReadPublished),
    ),
    (
        "PUT",
        "/v1/ns/{namespace}/-/entries/{key}",
        At(ConfigWriteDraft),
    ),
    (
        "DELETE",
        "/v1/ns/{namespace}/-/entries/{key}",
        At(ConfigWriteDraft),
    ),
    ("GET", "/v1/ns/{namespace}/-/drafts", At(ConfigReadDraft)),
    (
        "GET",
        "/v1/ns/{namespace}/-/drafts/{draft}",
        At(ConfigReadDraft),
    ),
    (
        "DELETE",
        "/v1/ns/{namespace}/-/drafts/{draft}",
        At(ConfigWriteDraft),
    ),
    (
        "POST",
        "/v1/ns/{namespace}/-/drafts/{draft}/changes",
        At(ConfigWriteDraft),
    ),
    ("POST", "/v1/ns/{namespace}/-/publish", At(ConfigPublish)),
    ("POST", "/v1/ns/{namespace}/-/rollback", At(ConfigRollback)),
    (
        "GET",
        "/v1/ns/{namespace}/-/history/{key}",
        At(ConfigReadPublished),
    ),
    ("GET", "/v1/ns/{namespace}/-/log", At(ConfigReadPublished)),
    ("GET", "/v1/ns/{namespace}/-/blame", At(ConfigReadPublished)),
    (
        "GET",
        "/v1/ns/{namespace}/-/compare",
        At(ConfigReadPublished),
    ),
    (
        "GET",
        "/v1/ns/{namespace}/-/commits/{rev}",
        At(ConfigReadPublished),
    ),
    ("GET", "/v1/ns/{namespace}/-/tags", At(ConfigReadPublished)),
    (
        "GET",
        "/v1/ns/{namespace}/-/tags/{tag}",
        At(ConfigReadPublished),
    ),
    ("PUT", "/v1/ns/{namespace}/-/tags/{tag}", At(ConfigPublish)),
    (
        "DELETE",
        "/v1/ns/{namespace}/-/tags/{tag}",
        At(ConfigPublish),
    ),
    (
        "POST",
        "/v1/ns/{namespace}/-/fetch",
        At(ConfigReadPublished),
    ),
    ("POST", "/v1/ns/{namespace}/-/push", At(ConfigWriteDraft)),
    ("GET", "/v1/ns/{namespace}/-/import", At(NamespaceWrite)),
];

/// One method of one route, and a path that names it.
struct Route {
    method: Method,
    template: &'static str,
    /// For a route of a namespace, what follows `/-/`; for one of a publish request, its number.
    path: &'static str,
    needs: Needs,
}

/// Every route that there is, with its row.
fn routes() -> Vec<Route> {
    let mut rows: BTreeMap<(&str, &str), Needs> = TABLE
        .iter()
        .map(|(method, template, needs)| ((*method, *template), *needs))
        .collect();
    assert_eq!(rows.len(), TABLE.len(), "a row is there twice");
    let mut routes = Vec::new();
    let mut lacking = Vec::new();
    let in_namespace = url::tests::IN_NAMESPACE
        .iter()
        .map(|part| (*part, format!("/v1/ns/a/-/{part}")));
    let fixed = url::tests::FIXED
        .iter()
        .map(|path| (*path, (*path).to_owned()));
    let of_request = url::tests::OF_REQUEST
        .iter()
        .map(|part| (*part, format!("/v1/requests/1{part}")));
    for (path, whole) in in_namespace.chain(fixed).chain(of_request) {
        let resource = url::parse(&whole).unwrap();
        for method in resource.methods() {
            match rows.remove(&(method.as_str(), resource.template())) {
                Some(needs) => routes.push(Route {
                    method: method.clone(),
                    template: resource.template(),
                    path,
                    needs,
                }),
                None => lacking.push(format!("{method} {}", resource.template())),
            }
        }
    }
    assert!(lacking.is_empty(), "the table has no row for {lacking:#?}");
    assert!(rows.is_empty(), "there is no route for {:?}", rows.keys());
    routes
}

/// The templates are in the source of the URL layer, whether or not somebody gave an example.
#[test]
fn every_template_has_an_example() {
    let sources = [
        include_str!("../url.rs"),
        include_str!("../url/identity.rs"),
        include_str!("../url/cluster.rs"),
        include_str!("../url/backup.rs"),
    ];
    let of_routes: BTreeSet<&str> = routes().iter().map(|route| route.template).collect();
    for source in sources {
        let body = source.split("fn template(").nth(1).unwrap();
        let body = body.split("\n    }\n").next().unwrap();
        for literal in body.split('"').skip(1).step_by(2) {
            assert!(of_routes.contains(literal), "no example names {literal}");
        }
    }
}

const ROLES: [Role; 4] = [Role::Viewer, Role::Editor, Role::Publisher, Role::Admin];

/// The places, seen from the one where the roles are granted.
const OWN: &str = "/m/own";
const CHILD: &str = "/m/own/child";
const PARENT: &str = "/m";
const SIBLING: &str = "/m/sibling";
/// Does not inherit.
const CUT: &str = "/m/own/cut";
/// Granted the same roles, then was deleted and created again without them.
const AGAIN: &str = "/m/again";
const PLACES: [&str; 6] = [OWN, CHILD, PARENT, SIBLING, CUT, AGAIN];
/// Is not there.
const NOWHERE: &str = "/m/nowhere";

/// Somebody who asks.
struct Caller {
    name: String,
    token: String,
    /// Granted in [`OWN`], and once in [`AGAIN`].
    local: Option<Role>,
    /// Granted in `/`.
    global: Option<Role>,
}

impl Caller {
    /// The role that it has at a place, by the rules of inheritance.
    fn role_at(&self, place: &str) -> Option<Role> {
        let local = match place {
            OWN | CHILD => self.local,
            _ => None,
        };
        let global = match place {
            // Where the chain is cut, only `admin` of `/` stands.
            CUT => self.global.filter(|role| *role == Role::Admin),
            _ => self.global,
        };
        local.max(global)
    }
}

fn name_of(prefix: &str, role: Role) -> String {
    format!("{prefix}-{}", confman_repo::policy::role_name(role))
}

fn roles(prefix: &str) -> Value {
    let fields = ROLES.iter().map(|role| {
        let role_name = confman_repo::policy::role_name(*role).to_owned();
        (role_name, json!([name_of(prefix, *role)]))
    });
    Value::Object(fields.collect())
}

async fn caller(server: &TestServer, name: String) -> Caller {
    server
        .write(Method::POST, "/v1/principals", json!({ "name": name }))
        .await;
    let made = server
        .write(Method::POST, "/v1/tokens", json!({ "principal": name }))
        .await;
    Caller {
        token: made["secret"].as_str().unwrap().to_owned(),
        name,
        local: None,
        global: None,
    }
}

/// A publish request for a draft at a place.
async fn request_at(server: &TestServer, place: &str) -> u64 {
    let changes = format!("/v1/ns{place}/-/drafts/asked/changes");
    let change = json!({ "changes": { "asked": { "value": 1 } } });
    server.write(Method::POST, &changes, change).await;
    let target = json!({ "namespace": place, "draft": "asked" });
    let asked = json!({ "title": "of the matrix", "targets": [target] });
    let made = server.write(Method::POST, "/v1/requests", asked).await;
    made["number"].as_u64().unwrap()
}

/// A store with all places, and everybody who asks.
async fn set_up() -> (TestServer, Vec<Caller>) {
    let server = TestServer::new().await;
    let make = async |path: &str, inherit: bool, roles: Value| {
        // Another one each time: schemas outlive the namespace that governs them.
        let schema_text = json!({ "type": "object", "title": roles.to_string() });
        let document = json!({ "path": path, "inherit": inherit, "roles": roles });
        server.write(Method::POST, "/v1/namespaces", document).await;
        server.publish(path, json!({ "k": "v" })).await;
        let schema = format!("/v1/schemas{path}/base");
        server.write(Method::PUT, &schema, schema_text).await;
    };
    make(PARENT, true, json!({})).await;
    make(OWN, true, roles("local")).await;
    make(CHILD, true, json!({})).await;
    make(CUT, false, json!({})).await;
    make(SIBLING, true, json!({})).await;
    make(AGAIN, true, roles("local")).await;
    let admin = server
        .repo
        .session(server.repo.authenticate(&server.token).unwrap());
    let again = AGAIN.parse().unwrap();
    admin
        .delete_namespace(&again, false, ExpectedHead::Any)
        .unwrap();
    make(AGAIN, true, json!({})).await;
    let mut callers = vec![caller(&server, "nobody".to_owned()).await];
    for role in ROLES {
        let local = caller(&server, name_of("local", role)).await;
        callers.push(Caller {
            local: Some(role),
            ..local
        });
        let global = caller(&server, name_of("global", role)).await;
        callers.push(Caller {
            global: Some(role),
            ..global
        });
    }
    let mut of_root = roles("global");
    of_root["admin"]
        .as_array_mut()
        .unwrap()
        .push(json!("admin"));
    let change = DocumentChange::Merge(json!({ "roles": of_root }));
    admin
        .update_namespace(&"/".parse().unwrap(), &change, ExpectedHead::Any, false)
        .unwrap();
    (server, callers)
}

/// Sends a request that only rights can keep from being understood.
async fn ask(
    server: &TestServer,
    route: &Route,
    place: &str,
    number: u64,
    caller: &Caller,
) -> Answer {
    let in_namespace = route.template.starts_with("/v1/ns/");
    let mut path = match in_namespace {
        true => format!("/v1/ns{place}/-/{}", route.path),
        false => route.path.to_owned(),
    };
    let application = place.trim_start_matches('/').replace('/', "(_)");
    let mut body = json!({});
    match (route.method.as_str(), route.template) {
        (_, "/v1/ns/{namespace}/-/compare") => path.push_str("?from=published&to=published"),
        (_, "/v1/ns/{namespace}/-/validate" | "/v1/ns/{namespace}/-/preview") => {
            body = json!({ "rev": "published" });
        }
        (_, "/v1/ns/{namespace}/-/watch") => path.push_str("?after=0"),
        (_, "/v1/ns/{namespace}/-/commits/{rev}") => {
            path = format!("/v1/ns{place}/-/commits/published");
        }
        (_, "/spring/{application}/{profiles}") => path = format!("/spring/{application}/x"),
        (_, "/spring/{application}/{profiles}/{label}") => {
            path = format!("/spring/{application}/x/published");
        }
        (_, "/ofrep/v1/evaluate/flags" | "/ofrep/v1/evaluate/flags/{key}") => {
            body = json!({ "context": { "namespace": place } });
        }
        ("POST", "/v1/requests") => {
            body = json!({ "title": "t", "targets": [{ "namespace": place, "draft": "asked" }] });
        }
        ("POST", "/v1/requests/{n}/comments") => body = json!({ "text": "why?" }),
        ("POST", "/v1/requests/{n}/reviews") => {
            body = json!({ "decision": "approve", "comment": "", "expectedHead": "0".repeat(64) });
        }
        ("POST", "/v1/requests/{n}/schedule") => {
            body = json!({ "publishAt": "2999-01-01T00:00:00Z" });
        }
        ("POST", "/v1/requests/{n}/abort") => body = json!({ "reason": "errors" }),
        ("POST", "/v1/requests/{n}/withdraw") => body = json!({ "reason": "no" }),
        ("POST", "/v1/namespaces") => {
            body = json!({ "path": format!("{place}/of-{}", caller.name) });
        }
        // A namespace cannot move, which is found out by who may change it.
        ("PUT", "/v1/ns/{namespace}/-/namespace") => body = json!({ "path": "/elsewhere" }),
        ("PUT", "/v1/ns/{namespace}/-/entries/{key}") => body = json!({ "value": 1 }),
        (_, "/v1/ns/{namespace}/-/drafts/{draft}/changes") => {
            body = json!({ "changes": { "k": { "value": 2 } } });
        }
        (_, "/v1/ns/{namespace}/-/publish") => body = json!({ "draft": "none" }),
        (_, "/v1/ns/{namespace}/-/rollback") => body = json!({ "to": "published" }),
        ("PUT", "/v1/ns/{namespace}/-/tags/{tag}") => body = json!({ "revision": "published" }),
        (_, "/v1/ns/{namespace}/-/fetch") => body = json!({ "want": ["published"] }),
        ("POST", "/v1/tokens") => body = json!({ "name": "of the matrix" }),
        ("POST", "/v1/principals") => {
            body = json!({ "name": format!("by-{}", caller.name) });
        }
        ("PUT", "/v1/groups/{group}") => body = json!({ "members": [] }),
        ("PUT", "/v1/issuers/{issuer}") => {
            body = json!({ "url": "https://id.company.com", "clientId": "c" });
        }
        ("POST", "/v1/auth/oidc/{issuer}/login") => {
            body = json!({ "redirectUri": "http://127.0.0.1:1/callback" });
        }
        ("POST", "/v1/auth/oidc/{issuer}/callback") => {
            body = json!({ "state": "s", "binding": "b", "code": "c" });
        }
        ("POST", "/v1/cluster/members/{node}/replace") => body = json!({ "by": 9 }),
        (_, "/v1/auth/exchange") => body = json!({ "issuer": "none", "token": "t" }),
        _ => {}
    }
    if route.template.starts_with("/v1/requests/{n}") {
        path = format!("/v1/requests/{number}{}", route.path);
    }
    if route.template.starts_with("/v1/schemas/") {
        path = path.replace("/v1/schemas/a/", &format!("/v1/schemas{place}/"));
    }
    let mut asking = server
        .ask(route.method.clone(), &path)
        .without_token()
        .header("accept", "application/json, */*;q=0.5")
        .header("prefer", "wait=0");
    if !matches!(route.needs, Nothing | Door) {
        asking = asking.header("authorization", &format!("Bearer {}", caller.token));
    }
    let is_deletion =
        (route.method.as_str(), route.template) == ("DELETE", "/v1/ns/{namespace}/-/namespace");
    if is_deletion || is_of_whole_document(route) {
        // Nobody has seen this state, so that whoever may do it changes nothing.
        asking = asking.header("if-match", &format!("\"{}\"", "0".repeat(64)));
    }
    if route.template == "/v1/ns/{namespace}/-/push" {
        let commit = "0".repeat(64);
        let edit = json!({ "namespace": place, "ref": "draft/pushed", "new": commit });
        let line = format!("{}\nno pack", json!({ "edits": [edit] }));
        return asking
            .header("content-type", confman_api::MEDIA_TYPE_PACK)
            .body(line.into())
            .await;
    }
    if matches!(route.method, Method::GET | Method::DELETE) {
        return asking.send().await;
    }
    asking.json(&body).await
}

/// Whether it would change what the others are asked about.
fn is_of_whole_document(route: &Route) -> bool {
    let writes = matches!(route.method, Method::PUT | Method::PATCH | Method::DELETE);
    let document = matches!(
        route.template,
        "/v1/schemas/{path}" | "/v1/ns/{namespace}/-/namespace"
    );
    writes && document
}

/// What rights made of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Whatever became of it, it was not for want of rights.
    Allowed,
    /// Refused to who may know of the place.
    Refused,
    /// Told that the place is not there.
    Hidden,
}

fn verdict(answer: &Answer, place: &str, number: u64) -> Verdict {
    match answer.status {
        StatusCode::FORBIDDEN => Verdict::Refused,
        StatusCode::NOT_FOUND if is_said_not_to_be_there(answer, place, number) => Verdict::Hidden,
        _ => Verdict::Allowed,
    }
}

fn is_said_not_to_be_there(answer: &Answer, place: &str, number: u64) -> bool {
    [
        format!("there is no namespace `{place}`"),
        format!("there is no schema `/schemas{place}/base`"),
        format!("there is no publish request `#{number}`"),
    ]
    .iter()
    .any(|text| answer.text().contains(text))
}

fn expected(role: Option<Role>, permission: Permission) -> Verdict {
    match role {
        None => Verdict::Hidden,
        Some(role) if permits(role, permission) => Verdict::Allowed,
        Some(_) => Verdict::Refused,
    }
}

/// An answer without what differs from request to request.
fn plain(answer: &Answer, place: &str, number: u64) -> String {
    let mut document = answer.document();
    if let Some(fields) = document.as_object_mut() {
        fields.remove("requestId");
    }
    format!("{} {}", answer.status, document)
        .replace(&format!("`{place}`"), "`PLACE`")
        .replace(&format!("`/schemas{place}/base`"), "`SCHEMA`")
        .replace(&format!("`#{number}`"), "`REQUEST`")
}

#[tokio::test]
async fn every_role_may_on_every_route_at_every_place_what_the_matrix_says_and_no_more() {
    let (server, callers) = set_up().await;
    let mut numbers = BTreeMap::from([("/", 0), (NOWHERE, u64::MAX)]);
    for place in PLACES {
        numbers.insert(place, request_at(&server, place).await);
    }
    let mut wrong = Vec::new();
    let mut counted = BTreeMap::new();
    for route in routes() {
        for caller in &callers {
            let places: &[&str] = match route.needs {
                At(_) | Of(_) => &PLACES,
                Nothing | Door | Somebody | Root => &["/"],
            };
            let mut of_nowhere = None;
            for place in places {
                let number = numbers[place];
                let answer = ask(&server, &route, place, number, caller).await;
                let what = format!(
                    "{} {} at {place} by {}: {} {}",
                    route.method,
                    route.template,
                    caller.name,
                    answer.outcome(),
                    answer.text().chars().take(200).collect::<String>()
                );
                if answer.status == StatusCode::UNAUTHORIZED && route.needs != Door {
                    wrong.push(what);
                    continue;
                }
                let expected = match route.needs {
                    Nothing | Door | Somebody => Verdict::Allowed,
                    Root => expected(caller.global, Permission::RolesManage),
                    At(permission) => expected(caller.role_at(place), permission),
                    Of(permission) => {
                        let knows = |role: &Role| permits(*role, ConfigReadDraft);
                        expected(caller.role_at(place).filter(knows), permission)
                    }
                };
                let found = verdict(&answer, place, number);
                if found != expected {
                    wrong.push(format!("{what}, not {expected:?}"));
                    continue;
                }
                *counted.entry(format!("{found:?}")).or_insert(0_usize) += 1;
                // A schema belongs to the deepest namespace there is, so the same path elsewhere may
                // belong to one that the caller knows.
                let is_of_place = !route.template.starts_with("/v1/schemas/");
                if found == Verdict::Hidden && route.needs != Root && is_of_place {
                    let nowhere = match &of_nowhere {
                        Some(nowhere) => nowhere,
                        None => {
                            let number = numbers[NOWHERE];
                            let answer = ask(&server, &route, NOWHERE, number, caller).await;
                            of_nowhere.insert(plain(&answer, NOWHERE, number))
                        }
                    };
                    if plain(&answer, place, number) != *nowhere {
                        wrong.push(format!("{what} tells more than {nowhere}"));
                    }
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    // Each verdict was seen often, or the test would prove nothing.
    assert!(
        counted.len() == 3 && counted.values().all(|count| *count > 100),
        "{counted:?}"
    );
}

/// No role has secrets resolved: those have whom the namespace names, where they may read.
#[tokio::test]
async fn secrets_are_resolved_for_those_who_are_named_and_may_read_whatever_their_role() {
    let (mut server, callers) = set_up().await;
    let limit = std::time::Duration::from_secs(1);
    let rules = vec!["vault://kv".parse().unwrap()];
    server.resolve_by(Resolving::new(rules, Secrets::new(Vec::new()), limit));
    let named = ["nobody", "local-viewer", "local-publisher", "global-editor"];
    let mut counted = BTreeMap::new();
    for is_named in [false, true] {
        if is_named {
            let patch = json!({ "settings": { "secretResolvers": named } });
            let path = format!("/v1/ns{OWN}/-/namespace");
            server.write(Method::PATCH, &path, patch).await;
        }
        for caller in &callers {
            for place in PLACES {
                for path in ["config", "config/k"] {
                    let path = format!("/v1/ns{place}/-/{path}?resolve=true");
                    let answer = server
                        .get(&path)
                        .without_token()
                        .header("authorization", &format!("Bearer {}", caller.token))
                        .send()
                        .await;
                    let inherits = matches!(place, OWN | CHILD);
                    let is_named = is_named && inherits && named.contains(&caller.name.as_str());
                    let expected = match caller.role_at(place) {
                        None => Verdict::Hidden,
                        Some(_) if is_named => Verdict::Allowed,
                        Some(_) => Verdict::Refused,
                    };
                    let found = verdict(&answer, place, 0);
                    assert_eq!(
                        found,
                        expected,
                        "{path} by {}: {}",
                        caller.name,
                        answer.text()
                    );
                    *counted.entry(format!("{found:?}")).or_insert(0_usize) += 1;
                }
            }
        }
    }
    assert_eq!(counted.len(), 3, "{counted:?}");
}

use confman_repo::identity::{
    ExternalIdentity, GroupDocument, IssuerDocument, PrincipalKind, Scope,
};
use confman_repo::model::document::RoleName;
use confman_repo::{
    Error, ExpectedHead, NamespaceDocument, NewPrincipal, NewToken, PrincipalChange, Purpose,
    Session, SignIn, SignedIn,
};
use serde_json::{Value, json};

use crate::test_repo::{MINUTE_MS, NOON_MS, TestRepo, change, key, ns, said};

fn document(path: &str, grants: &[(&str, &str)]) -> NamespaceDocument {
    let mut document = NamespaceDocument::new(ns(path));
    for (role, holder) in grants {
        let holders = match *role {
            "viewer" => &mut document.roles.viewer,
            "editor" => &mut document.roles.editor,
            "publisher" => &mut document.roles.publisher,
            _ => &mut document.roles.admin,
        };
        holders.push((*holder).to_owned());
    }
    document
}

fn with_grants(path: &str, grants: &[(&str, &str)]) -> TestRepo {
    let test = TestRepo::new();
    test.admin.create_namespace(document(path, grants)).unwrap();
    test
}

fn members(names: &[&str]) -> GroupDocument {
    GroupDocument {
        description: String::new(),
        members: names.iter().map(|name| name.parse().unwrap()).collect(),
    }
}

fn put_group(test: &TestRepo, name: &str, names: &[&str]) -> String {
    let put = test
        .admin
        .put_group(&name.parse().unwrap(), &members(names), ExpectedHead::Any);
    said(put)
}

fn scope(namespace: &str, role: RoleName) -> Option<Scope> {
    Some(Scope {
        namespace: ns(namespace),
        role,
    })
}

fn token_of(principal: &str) -> NewToken {
    NewToken::unlimited(principal.parse().unwrap())
}

fn publish(session: &Session, path: &str) -> String {
    said(session.change_and_publish(&ns(path), &change("d", &["k=v"])))
}

#[test]
fn a_group_gives_its_members_roles_until_they_leave_it() {
    let test = with_grants("/a", &[("publisher", "group:everyone")]);
    let ann = test.principal("ann");
    insta::assert_snapshot!(publish(&ann, "/a"), @"there is no namespace `/a`");
    assert_eq!(put_group(&test, "dev", &["ann", "bob"]), "ok");
    assert_eq!(put_group(&test, "everyone", &["group:dev"]), "ok");
    assert_eq!(publish(&ann, "/a"), "ok");
    assert_eq!(ann.whoami().unwrap().groups, ["dev", "everyone"]);
    assert_eq!(put_group(&test, "dev", &["bob"]), "ok");
    insta::assert_snapshot!(publish(&ann, "/a"), @"there is no namespace `/a`");
}

#[test]
fn a_group_is_never_put_into_itself() {
    let test = TestRepo::new();
    insta::assert_snapshot!(put_group(&test, "a", &["group:a"]), @"group `a` is not valid: it would contain itself: a → a at `/members`");
    insta::assert_snapshot!(put_group(&test, "a", &["group:none", "x", "x"]), @"group `a` is not valid: `x` is in the list already at `/members/2` (line 1, column 1); there is no group `none` at `/members/0`");
    assert_eq!(put_group(&test, "a", &[]), "ok");
    assert_eq!(put_group(&test, "b", &["group:a"]), "ok");
    assert_eq!(put_group(&test, "c", &["group:b"]), "ok");
    insta::assert_snapshot!(put_group(&test, "a", &["group:c"]), @"group `a` is not valid: it would contain itself: a → c → b → a at `/members`");
    for n in 1..=6 {
        let inner = if n == 1 {
            "c".to_owned()
        } else {
            format!("g{}", n - 1)
        };
        let put = put_group(&test, &format!("g{n}"), &[&format!("group:{inner}")]);
        match n {
            6 => {
                insta::assert_snapshot!(put, @"group `g6` is not valid: 9 groups would be inside one another, at most 8 are allowed at `/members`")
            }
            _ => assert_eq!(put, "ok"),
        }
    }
}

#[test]
fn groups_are_kept_by_admins_of_the_root_alone() {
    let test = with_grants("/a", &[("admin", "ann")]);
    let ann = test.principal("ann");
    let dev = "dev".parse().unwrap();
    insta::assert_snapshot!(said(ann.put_group(&dev, &members(&["ann"]), ExpectedHead::Any)), @"there is no namespace `/`");
    assert_eq!(put_group(&test, "dev", &["ann"]), "ok");
    insta::assert_snapshot!(said(ann.groups(None, 10)), @"there is no namespace `/`");
    let listed = test.admin.groups(None, 10).unwrap();
    assert_eq!(listed.items.len(), 1);
    let stale = ExpectedHead::At(
        test.admin
            .principal(&"ann".parse().unwrap())
            .unwrap()
            .record,
    );
    assert!(matches!(
        test.admin.put_group(&dev, &members(&[]), stale),
        Err(Error::Stale { .. })
    ));
    let seen = ExpectedHead::At(listed.items[0].record);
    test.admin.delete_group(&dev, seen).unwrap();
    insta::assert_snapshot!(said(test.admin.group(&dev)), @"there is no group `dev`");
}

#[test]
fn a_scoped_token_does_what_is_granted_inside_its_scope() {
    let test = with_grants("/a", &[("admin", "ann")]);
    test.admin.create_namespace(document("/a/b", &[])).unwrap();
    test.set("/a", &["k=1"]);
    test.principal("ann");
    let narrow = test.with_token(&NewToken {
        scope: scope("/a/b", RoleName::Editor),
        ..token_of("ann")
    });
    insta::assert_snapshot!(publish(&narrow, "/a"), @"there is no namespace `/a`");
    insta::assert_snapshot!(publish(&narrow, "/a/b"), @"not allowed in `/a/b`: config:publish needs role publisher, the token is only for editor in /a/b");
    let drafted = narrow.change_draft(&ns("/a/b"), &change("d", &["x=1"]));
    assert_eq!(said(drafted), "ok");
    // What is inherited is part of what may be read, wherever it comes from.
    let inherited = narrow.effective_value(&ns("/a/b"), &"published".parse().unwrap(), &key("k"));
    assert_eq!(said(inherited), "ok");
    // An admin through a token that is less is less.
    let admin = test.with_token(&NewToken {
        scope: scope("/a", RoleName::Admin),
        ..token_of("admin")
    });
    insta::assert_snapshot!(said(admin.principals(None, 10)), @"there is no namespace `/`");
}

#[test]
fn a_token_never_makes_one_that_leaves_more_or_lives_longer() {
    let test = with_grants("/a", &[("admin", "ann")]);
    test.principal("ann");
    let end = NOON_MS + 60 * MINUTE_MS;
    let narrow = test.with_token(&NewToken {
        scope: scope("/a", RoleName::Editor),
        expires_ms: Some(end),
        ..token_of("ann")
    });
    let make = |scope, expires_ms| {
        let new = NewToken {
            scope,
            expires_ms,
            name: "made by a narrow one".to_owned(),
            ..token_of("ann")
        };
        said(narrow.create_token(&new))
    };
    assert_eq!(make(scope("/a/b", RoleName::Viewer), Some(end)), "ok");
    insta::assert_snapshot!(make(None, None), @"token is not valid: it must be within that of the token in use: editor in /a at `/scope`; it must not be later than that of the token in use: 2026-11-24T13:00:00Z at `/expires`");
    insta::assert_snapshot!(make(scope("/", RoleName::Viewer), Some(end + 1)), @"token is not valid: it must be within that of the token in use: editor in /a at `/scope`; it must not be later than that of the token in use: 2026-11-24T13:00:00Z at `/expires`");
    insta::assert_snapshot!(make(scope("/a", RoleName::Publisher), Some(NOON_MS)), @"token is not valid: it must be later than now at `/expires`; it must be within that of the token in use: editor in /a at `/scope`");
    insta::assert_snapshot!(said(narrow.create_token(&token_of("admin"))), @"there is no namespace `/`");
}

#[test]
fn a_token_is_worth_nothing_once_it_is_revoked_over_or_its_principal_disabled() {
    let test = with_grants("/a", &[("publisher", "ann")]);
    test.principal("ann");
    let new = NewToken {
        name: "ci".to_owned(),
        expires_ms: Some(NOON_MS + 10 * MINUTE_MS),
        ..token_of("ann")
    };
    let (token, info, _) = test.admin.create_token(&new).unwrap();
    let come = || test.repo.authenticate(token.as_str());
    let ann = test.repo.session(come().unwrap());
    assert_eq!(publish(&ann, "/a"), "ok");
    let name = "ann".parse().unwrap();
    let disable = |disabled| PrincipalChange {
        disabled: Some(disabled),
        ..PrincipalChange::default()
    };
    let change = |disabled| {
        test.admin
            .change_principal(&name, &disable(disabled), ExpectedHead::Any)
            .unwrap()
    };
    change(true);
    insta::assert_snapshot!(publish(&ann, "/a"), @"the token is not valid");
    assert!(matches!(come(), Err(Error::Unauthenticated)));
    change(false);
    assert!(ann.whoami().is_ok());
    let me = "admin".parse().unwrap();
    insta::assert_snapshot!(said(test.admin.change_principal(&me, &disable(true), ExpectedHead::Any)), @"change to principal `admin` is not valid: nobody can disable itself; another admin of `/` can");

    test.clock.advance(9 * MINUTE_MS);
    assert!(come().is_ok());
    test.clock.advance(MINUTE_MS);
    assert!(matches!(come(), Err(Error::Unauthenticated)));
    insta::assert_snapshot!(said(ann.whoami()), @"the token is not valid");

    let other = test.with_token(&token_of("ann"));
    let held = other.tokens(Some(&name), None, 10).unwrap().items;
    assert!(
        held.iter()
            .any(|token| token.name.is_empty() && !token.expired)
    );
    // The one that was over went when another was made.
    assert!(!held.iter().any(|token| token.id == info.id));
    let own = other.whoami().unwrap().token.unwrap().id;
    other.revoke_token(&own).unwrap();
    insta::assert_snapshot!(said(other.whoami()), @"the token is not valid");
    assert_eq!(
        said(test.admin.revoke_token(&own)),
        format!("there is no token `{own}`")
    );
}

#[test]
fn tokens_of_others_are_not_even_there_for_who_is_no_admin() {
    let test = TestRepo::new();
    let ann = test.principal("ann");
    let bob = test.principal("bob");
    let of_bob = bob.whoami().unwrap().token.unwrap().id;
    insta::assert_snapshot!(said(ann.tokens(None, None, 10)), @"there is no namespace `/`");
    insta::assert_snapshot!(said(ann.tokens(Some(&"bob".parse().unwrap()), None, 10)), @"there is no namespace `/`");
    let refused = said(ann.revoke_token(&of_bob));
    assert_eq!(refused.replace(&of_bob, "ID"), "there is no token `ID`");
    assert_eq!(
        said(ann.revoke_token("0000000000000000")),
        "there is no token `0000000000000000`"
    );
    assert!(bob.whoami().is_ok());
    let all = test.admin.tokens(None, None, 2).unwrap();
    let rest = test.admin.tokens(None, all.next.as_deref(), 2).unwrap();
    assert_eq!((all.items.len(), rest.items.len(), rest.next), (2, 1, None));
}

#[test]
fn programs_have_tokens_of_their_own_kind() {
    let test = TestRepo::new();
    let new = NewPrincipal {
        kind: PrincipalKind::Service,
        ..NewPrincipal::user("ci".parse().unwrap())
    };
    test.admin.create_principal(&new).unwrap();
    let (token, ..) = test.admin.create_token(&token_of("ci")).unwrap();
    assert!(token.as_str().starts_with("cfm_svc_"));
    let ci = test
        .repo
        .session(test.repo.authenticate(token.as_str()).unwrap());
    assert_eq!(ci.whoami().unwrap().kind, PrincipalKind::Service);
}

#[test]
fn nothing_is_open_to_anyone_but_what_says_so() {
    let test = with_grants("/open", &[("viewer", "anyone")]);
    test.admin
        .create_namespace(document("/closed", &[]))
        .unwrap();
    test.set("/open", &["k=v"]);
    for closed in ["/closed", "/none", "/"] {
        assert!(
            matches!(test.repo.anyone(&ns(closed)), Err(Error::Unauthenticated)),
            "{closed}"
        );
    }
    let anyone = test.repo.session(test.repo.anyone(&ns("/open")).unwrap());
    assert_eq!(said(anyone.namespace(&ns("/open"))), "ok");
    insta::assert_snapshot!(said(anyone.namespace(&ns("/closed"))), @"there is no namespace `/closed`");
    insta::assert_snapshot!(publish(&anyone, "/open"), @"not allowed in `/open`: config:write:draft needs role editor, the highest here is viewer");
    // Whoever has a token is somebody, and still anyone.
    assert_eq!(said(test.principal("ann").namespace(&ns("/open"))), "ok");
    let more = document("/more", &[("editor", "anyone")]);
    insta::assert_snapshot!(said(test.admin.create_namespace(more)), @"document of `/more` is not valid: `anyone` is everybody, who can be viewer and nothing more at `/roles/editor/0` (line 1, column 1)");
    assert!(
        "anyone"
            .parse::<confman_repo::identity::PrincipalName>()
            .is_err()
    );
}

fn trusting(change: impl FnOnce(&mut IssuerDocument)) -> TestRepo {
    let test = with_grants("/a", &[("publisher", "group:platform")]);
    let mut issuer = IssuerDocument::new("https://id.company.com".to_owned());
    issuer.client_id = Some("confman".to_owned());
    issuer.principal_claim = "preferred_username".to_owned();
    issuer.groups = [("Platform".to_owned(), "platform".parse().unwrap())].into();
    issuer.token_seconds = 600;
    change(&mut issuer);
    let name = "corp".parse().unwrap();
    test.admin
        .put_issuer(&name, &issuer, ExpectedHead::Absent)
        .unwrap();
    test
}

fn come_in(test: &TestRepo, claims: &Value) -> Result<SignedIn, Error> {
    let name = "corp".parse().unwrap();
    test.repo.sign_in(&SignIn {
        record: test.repo.issuer(&name)?.record,
        issuer: name,
        purpose: Purpose::Login,
        claims: claims.as_object().unwrap().clone(),
    })
}

#[test]
fn whom_an_issuer_vouches_for_comes_in_with_its_groups_for_a_while() {
    let test = trusting(|_| {});
    let claims = json!({
        "sub": "1", "preferred_username": "Ann", "name": "Ann O.", "email": "ann@company.com",
        "groups": ["Platform", "admins"],
    });
    let signed_in = come_in(&test, &claims).unwrap();
    assert!(signed_in.token.as_str().starts_with("cfm_pat_"));
    let ann = test
        .repo
        .session(test.repo.authenticate(signed_in.token.as_str()).unwrap());
    let me = ann.whoami().unwrap();
    assert_eq!(
        (me.principal.as_str(), me.display_name.as_str(), me.groups),
        ("ann", "Ann O.", vec!["platform".to_owned()])
    );
    assert_eq!(publish(&ann, "/a"), "ok");
    // The groups are those of the last login.
    let without = json!({ "sub": "1", "preferred_username": "ann" });
    come_in(&test, &without).unwrap();
    insta::assert_snapshot!(publish(&ann, "/a"), @"there is no namespace `/a`");
    test.clock.advance(10 * MINUTE_MS);
    insta::assert_snapshot!(said(ann.whoami()), @"the token is not valid");
}

#[test]
fn nobody_becomes_a_principal_that_is_not_theirs() {
    let test = trusting(|_| {});
    let named = |sub: &str, name: &str| {
        said(come_in(
            &test,
            &json!({ "sub": sub, "preferred_username": name }),
        ))
    };
    insta::assert_snapshot!(named("1", "admin"), @"`corp` does not let this identity in: principal `admin` is there already and is not this identity");
    assert_eq!(named("1", "ann"), "ok");
    insta::assert_snapshot!(named("2", "Ann"), @"`corp` does not let this identity in: principal `ann` is there already and is not this identity");
    insta::assert_snapshot!(named("2", "anyone"), @"`corp` does not let this identity in: the claim `preferred_username` does not give the name of a principal");
    let new = NewPrincipal {
        identity: Some(ExternalIdentity {
            issuer: "corp".parse().unwrap(),
            subject: "7".to_owned(),
        }),
        ..NewPrincipal::user("bob".parse().unwrap())
    };
    test.admin.create_principal(&new).unwrap();
    assert_eq!(named("7", "bob"), "ok");
    let disable = PrincipalChange {
        disabled: Some(true),
        ..PrincipalChange::default()
    };
    test.admin
        .change_principal(&"bob".parse().unwrap(), &disable, ExpectedHead::Any)
        .unwrap();
    insta::assert_snapshot!(named("7", "bob"), @"`corp` does not let this identity in: principal `bob` is disabled");
}

#[test]
fn an_issuer_that_makes_no_principals_knows_only_those_that_are_there() {
    let test = trusting(|issuer| issuer.create_principals = false);
    insta::assert_snapshot!(said(come_in(&test, &json!({ "sub": "1", "preferred_username": "ann" }))), @"`corp` does not let this identity in: there is no principal `ann`; an admin of `/` can create it for this identity");
}

#[test]
fn neither_tokens_nor_hashes_are_in_the_log_of_operations() {
    let test = trusting(|_| {});
    let (token, ..) = test.admin.create_token(&token_of("admin")).unwrap();
    let signed_in = come_in(&test, &json!({ "sub": "1", "preferred_username": "ann" })).unwrap();
    let log = test
        .admin
        .operations(&confman_repo::OperationFilter::default(), None, 100)
        .unwrap();
    let text: String = log
        .operations
        .iter()
        .map(|logged| format!("{} {}\n", logged.operation.action, logged.operation.detail))
        .collect();
    assert!(
        text.contains("token.create") && text.contains("login"),
        "{text}"
    );
    for secret in [&token, &signed_in.token] {
        let digits = secret.as_str().trim_start_matches("cfm_pat_");
        assert!(!text.contains(digits), "{text}");
    }
}

use super::*;

/// What a path is, in one line: its template and what fills it.
fn read(path: &str) -> String {
    match parse(path) {
        Ok(resource) => match &resource {
            Resource::In(namespace, part) => {
                let filled = format!("{part:?}");
                let filled = filled
                    .split_once('(')
                    .map_or("", |(_, filled)| filled.strip_suffix(')').unwrap_or(filled));
                let template = resource.template().rsplit("/-/").next().unwrap_or_default();
                format!("{namespace} {template} {filled}")
                    .trim_end()
                    .to_owned()
            }
            fixed => fixed.template().to_owned(),
        },
        Err(PathError::Unknown) => "nothing".to_owned(),
        Err(PathError::Malformed(wrong)) => format!("malformed: {}", wrong.join("; ")),
    }
}

fn table(paths: &[&str]) -> String {
    let lines = paths
        .iter()
        .map(|path| format!("{path}  =>  {}\n", read(path)));
    lines.collect()
}

/// A path for each resource that a namespace has.
pub(crate) const IN_NAMESPACE: &[&str] = &[
    "namespace",
    "namespace/effective",
    "namespace/history",
    "restore",
    "explain/stripe/api-version",
    "permissions",
    "config",
    "config/stripe/api-version",
    "watch",
    "entries",
    "entries/a",
    "drafts",
    "drafts/mine",
    "drafts/mine/changes",
    "publish",
    "rollback",
    "validate",
    "preview",
    "editor.schema.json",
    "inferred.schema.json",
    "history/a/b/c",
    "log",
    "blame",
    "compare",
    "commits/published~3",
    "tags",
    "tags/v1.0",
    "fetch",
    "push",
    "import",
];

/// The other paths.
pub(crate) const FIXED: &[&str] = &[
    "/healthz",
    "/readyz",
    "/version",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/ofrep/v1/evaluate/flags",
    "/ofrep/v1/evaluate/flags/stripe/api-version",
    "/spring/payments/default",
    "/spring/payments/default/published",
    "/v1/backup",
    "/v1/backup/operations",
    "/v1/backup/objects",
    "/v1/cluster",
    "/v1/cluster/members/7/promote",
    "/v1/cluster/members/7/remove",
    "/v1/cluster/members/7/replace",
    "/v1/cluster/transfer",
    "/v1/cluster/join-tokens",
    "/v1/cluster/join-tokens/0123456789abcdef",
    "/v1/whoami",
    "/v1/tokens",
    "/v1/tokens/0123456789abcdef",
    "/v1/principals",
    "/v1/principals/ann",
    "/v1/groups",
    "/v1/groups/dev",
    "/v1/issuers",
    "/v1/issuers/corp",
    "/v1/auth/oidc/corp/login",
    "/v1/auth/oidc/corp/callback",
    "/v1/auth/exchange",
    "/v1/namespaces",
    "/v1/namespaces/deleted",
    "/v1/operations",
    "/v1/operations/sealed",
    "/v1/fsck",
    "/v1/schemas",
    "/v1/schemas/a/base",
    "/v1/schemas/a/base/-/history",
    "/v1/schemas/a/base/-/check",
    "/v1/rotations",
    "/v1/search",
    "/v1/requests",
];

/// What a request has.
pub(crate) const OF_REQUEST: &[&str] = &[
    "",
    "/diff",
    "/impact",
    "/comments",
    "/reviews",
    "/publish",
    "/schedule",
    "/promote",
    "/abort",
    "/withdraw",
    "/acknowledge",
];

/// A path of each resource of a schema.
pub(crate) const OF_SCHEMA: &[&str] = &[
    "/v1/schemas/teams/base",
    "/v1/schemas/teams/base/-/history",
    "/v1/schemas/teams/base/-/check",
];

#[test]
fn a_schema_has_a_path_of_its_own() {
    let templates: Vec<_> = OF_SCHEMA
        .iter()
        .map(|path| parse(path).unwrap().template())
        .collect();
    assert_eq!(
        templates,
        [
            "/v1/schemas/{path}",
            "/v1/schemas/{path}/-/history",
            "/v1/schemas/{path}/-/check",
        ]
    );
    for bad in ["/v1/schemas/Teams", "/v1/schemas/", "/v1/schemas/a//b"] {
        assert!(matches!(parse(bad), Err(PathError::Malformed(_))), "{bad}");
    }
    assert_eq!(parse("/v1/schemas/a/-/x"), Err(PathError::Unknown));
}

#[test]
fn every_resource_has_one_path() {
    assert_eq!(
        FIXED.iter().map(|path| read(path)).collect::<Vec<_>>(),
        FIXED
            .iter()
            .map(|path| {
                path.replace("stripe/api-version", "{key}")
                    .replace("/members/7/", "/members/{node}/")
                    .replace(
                        "/payments/default/published",
                        "/{application}/{profiles}/{label}",
                    )
                    .replace("/payments/default", "/{application}/{profiles}")
                    .replace("/0123456789abcdef", "/{id}")
                    .replace("/ann", "/{principal}")
                    .replace("/dev", "/{group}")
                    .replace("/corp", "/{issuer}")
                    .replace("/a/base", "/{path}")
            })
            .collect::<Vec<_>>()
    );
    insta::assert_snapshot!(table(&["/spring/teams(_)payments/prod,eu/draft(_)next", "/spring/a/", "/spring/A/x"]), @"
    /spring/teams(_)payments/prod,eu/draft(_)next  =>  /spring/{application}/{profiles}/{label}
    /spring/a/  =>  /spring/{application}/{profiles}
    /spring/A/x  =>  malformed: the application in the path is not valid: segment 1 of namespace `/A` is not valid: `A` has `A` at character 1; allowed are a-z, 0-9, `.`, `_` and `-`
    ");
    let paths: Vec<String> = IN_NAMESPACE
        .iter()
        .map(|part| format!("/v1/ns/teams/payments/-/{part}"))
        .collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    insta::assert_snapshot!(table(&paths), @r#"
    /v1/ns/teams/payments/-/namespace  =>  /teams/payments namespace
    /v1/ns/teams/payments/-/namespace/effective  =>  /teams/payments namespace/effective
    /v1/ns/teams/payments/-/namespace/history  =>  /teams/payments namespace/history
    /v1/ns/teams/payments/-/restore  =>  /teams/payments restore
    /v1/ns/teams/payments/-/explain/stripe/api-version  =>  /teams/payments explain/{key} Key("stripe/api-version")
    /v1/ns/teams/payments/-/permissions  =>  /teams/payments permissions
    /v1/ns/teams/payments/-/config  =>  /teams/payments config
    /v1/ns/teams/payments/-/config/stripe/api-version  =>  /teams/payments config/{key} Key("stripe/api-version")
    /v1/ns/teams/payments/-/watch  =>  /teams/payments watch
    /v1/ns/teams/payments/-/entries  =>  /teams/payments entries
    /v1/ns/teams/payments/-/entries/a  =>  /teams/payments entries/{key} Key("a")
    /v1/ns/teams/payments/-/drafts  =>  /teams/payments drafts
    /v1/ns/teams/payments/-/drafts/mine  =>  /teams/payments drafts/{draft} DraftName("mine")
    /v1/ns/teams/payments/-/drafts/mine/changes  =>  /teams/payments drafts/{draft}/changes DraftName("mine")
    /v1/ns/teams/payments/-/publish  =>  /teams/payments publish
    /v1/ns/teams/payments/-/rollback  =>  /teams/payments rollback
    /v1/ns/teams/payments/-/validate  =>  /teams/payments validate
    /v1/ns/teams/payments/-/preview  =>  /teams/payments preview
    /v1/ns/teams/payments/-/editor.schema.json  =>  /teams/payments editor.schema.json
    /v1/ns/teams/payments/-/inferred.schema.json  =>  /teams/payments inferred.schema.json
    /v1/ns/teams/payments/-/history/a/b/c  =>  /teams/payments history/{key} Key("a/b/c")
    /v1/ns/teams/payments/-/log  =>  /teams/payments log
    /v1/ns/teams/payments/-/blame  =>  /teams/payments blame
    /v1/ns/teams/payments/-/compare  =>  /teams/payments compare
    /v1/ns/teams/payments/-/commits/published~3  =>  /teams/payments commits/{rev} Back(3)
    /v1/ns/teams/payments/-/tags  =>  /teams/payments tags
    /v1/ns/teams/payments/-/tags/v1.0  =>  /teams/payments tags/{tag} TagName("v1.0")
    /v1/ns/teams/payments/-/fetch  =>  /teams/payments fetch
    /v1/ns/teams/payments/-/push  =>  /teams/payments push
    /v1/ns/teams/payments/-/import  =>  /teams/payments import
    "#);
}

#[test]
fn a_request_is_named_by_its_number_in_one_way() {
    for part in OF_REQUEST {
        let path = format!("/v1/requests/42{part}");
        assert_eq!(read(&path), format!("/v1/requests/{{n}}{part}"));
    }
    insta::assert_snapshot!(table(&[
        "/v1/requests/0",
        "/v1/requests/042",
        "/v1/requests/pr-42",
        "/v1/requests/18446744073709551616",
        "/v1/requests/",
        "/v1/requests/42/",
        "/v1/requests/42/approve",
    ]), @"
    /v1/requests/0  =>  malformed: the number of a publish request in the path is a whole number from 1, without sign or leading zeros
    /v1/requests/042  =>  malformed: the number of a publish request in the path is a whole number from 1, without sign or leading zeros
    /v1/requests/pr-42  =>  malformed: the number of a publish request in the path is a whole number from 1, without sign or leading zeros
    /v1/requests/18446744073709551616  =>  malformed: the number of a publish request in the path is a whole number from 1, without sign or leading zeros
    /v1/requests/  =>  malformed: the number of a publish request in the path is a whole number from 1, without sign or leading zeros
    /v1/requests/42/  =>  nothing
    /v1/requests/42/approve  =>  nothing
    ");
}

#[test]
fn a_namespace_has_any_depth_and_its_slashes_may_be_escaped() {
    insta::assert_snapshot!(table(&[
        "/v1/ns/-/config",
        "/v1/ns/a/-/config",
        "/v1/ns/a.b/c_d/e-f/0/-/config/x",
        "/v1/ns/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/-/config",
        "/v1/ns/teams%2Fpayments/-/entries/stripe%2fapi-version",
        "/v1/ns/a/-/entries/config",
        "/v1/ns/entries/config/-/entries/entries",
    ]), @r#"
    /v1/ns/-/config  =>  / config
    /v1/ns/a/-/config  =>  /a config
    /v1/ns/a.b/c_d/e-f/0/-/config/x  =>  /a.b/c_d/e-f/0 config/{key} Key("x")
    /v1/ns/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/-/config  =>  /1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16 config
    /v1/ns/teams%2Fpayments/-/entries/stripe%2fapi-version  =>  /teams/payments entries/{key} Key("stripe/api-version")
    /v1/ns/a/-/entries/config  =>  /a entries/{key} Key("config")
    /v1/ns/entries/config/-/entries/entries  =>  /entries/config entries/{key} Key("entries")
    "#);
}

#[test]
fn a_revision_in_a_path_can_be_anything_that_is_escaped() {
    insta::assert_snapshot!(table(&[
        "/v1/ns/a/-/commits/draft/mine",
        "/v1/ns/a/-/commits/%2342",
        "/v1/ns/a/-/commits/%7B2h%20ago%7D",
        "/v1/ns/a/-/commits/%7B2026-11-20T10%3A00Z%7D",
        "/v1/ns/a/-/commits/published%7E1",
        "/v1/ns/a/-/commits/0123abcd",
        "/v1/ns/a/-/commits/published~x",
        "/v1/ns/a/-/commits/",
    ]), @r#"
    /v1/ns/a/-/commits/draft/mine  =>  /a commits/{rev} Draft(DraftName("mine"))
    /v1/ns/a/-/commits/%2342  =>  /a commits/{rev} Request(42)
    /v1/ns/a/-/commits/%7B2h%20ago%7D  =>  /a commits/{rev} Time("2h ago")
    /v1/ns/a/-/commits/%7B2026-11-20T10%3A00Z%7D  =>  /a commits/{rev} Time("2026-11-20T10:00Z")
    /v1/ns/a/-/commits/published%7E1  =>  /a commits/{rev} Back(1)
    /v1/ns/a/-/commits/0123abcd  =>  /a commits/{rev} Commit("0123abcd")
    /v1/ns/a/-/commits/published~x  =>  malformed: the revision in the path is not valid: revision `published~x` needs a whole number below 2^64, without sign or leading zeros, after `published~`
    /v1/ns/a/-/commits/  =>  malformed: the revision in the path is not valid: a revision cannot be empty; allowed are `published`, `published~N`, `draft/NAME`, a commit id, a tag, `#N` and `{TIME}`
    "#);
}

#[test]
fn what_is_not_in_normal_form_is_refused_with_the_part_that_is_wrong() {
    insta::assert_snapshot!(table(&[
        "/v1/ns/Teams/-/config",
        "/v1/ns/a/../b/-/config",
        "/v1/ns/a/./b/-/config",
        "/v1/ns//a/-/config",
        "/v1/ns/a//b/-/config",
        "/v1/ns/a/b//-/config",
        "/v1/ns/%2Fa/-/config",
        "/v1/ns/a%2F/-/config",
        "/v1/ns/%2e%2e/-/config",
        "/v1/ns/a%2Eb/-/config",
        "/v1/ns/%61/-/config",
        "/v1/ns/a/%2D/config",
        "/v1/ns/%41/-/config",
        "/v1/ns/a%00/-/config",
        "/v1/ns/a%20b/-/config",
        "/v1/ns/a%zz/-/config",
        "/v1/ns/a/-/config/%2",
        "/v1/ns/a/-/config/%",
        "/v1/ns/a%ff/-/config",
        "/v1/ns/a/-/entries/%C3%28",
        "/v1/ns/%C3%A9/-/config",
        "/v1/ns/_a/-/config",
        "/v1/ns/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/-/config",
        "/v1/ns/a",
        "/v1/ns/",
        "/v1/ns",
    ]), @r#"
    /v1/ns/Teams/-/config  =>  malformed: the namespace in the path is not valid: segment 1 of namespace `/Teams` is not valid: `Teams` has `T` at character 1; allowed are a-z, 0-9, `.`, `_` and `-`
    /v1/ns/a/../b/-/config  =>  malformed: the namespace in the path is not valid: segment 2 of namespace `/a/../b` is not valid: `..` must start with a-z or 0-9, not `.`
    /v1/ns/a/./b/-/config  =>  malformed: the namespace in the path is not valid: segment 2 of namespace `/a/./b` is not valid: `.` must start with a-z or 0-9, not `.`
    /v1/ns//a/-/config  =>  malformed: the namespace in the path is not valid: segment 1 of namespace `//a` is not valid: it is empty
    /v1/ns/a//b/-/config  =>  malformed: the namespace in the path is not valid: segment 2 of namespace `/a//b` is not valid: it is empty
    /v1/ns/a/b//-/config  =>  malformed: the namespace in the path is not valid: namespace `/a/b/` must not end with `/`
    /v1/ns/%2Fa/-/config  =>  malformed: the namespace in the path is not valid: segment 1 of namespace `//a` is not valid: it is empty
    /v1/ns/a%2F/-/config  =>  malformed: the namespace in the path is not valid: namespace `/a/` must not end with `/`
    /v1/ns/%2e%2e/-/config  =>  malformed: the path has the escape `%2E` for `.`, which must be written as it is
    /v1/ns/a%2Eb/-/config  =>  malformed: the path has the escape `%2E` for `.`, which must be written as it is
    /v1/ns/%61/-/config  =>  malformed: the path has the escape `%61` for `a`, which must be written as it is
    /v1/ns/a/%2D/config  =>  malformed: the path has the escape `%2D` for `-`, which must be written as it is
    /v1/ns/%41/-/config  =>  malformed: the path has the escape `%41` for `A`, which must be written as it is
    /v1/ns/a%00/-/config  =>  malformed: the namespace in the path is not valid: segment 1 of namespace `/a\0` is not valid: `a\0` has `\0` at character 2; allowed are a-z, 0-9, `.`, `_` and `-`
    /v1/ns/a%20b/-/config  =>  malformed: the namespace in the path is not valid: segment 1 of namespace `/a b` is not valid: `a b` has ` ` at character 2; allowed are a-z, 0-9, `.`, `_` and `-`
    /v1/ns/a%zz/-/config  =>  malformed: the path has a `%` that two hex digits do not follow; `%` is written `%25`
    /v1/ns/a/-/config/%2  =>  malformed: the path ends inside an escape; `%` is written `%25`
    /v1/ns/a/-/config/%  =>  malformed: the path ends inside an escape; `%` is written `%25`
    /v1/ns/a%ff/-/config  =>  malformed: the path is not UTF-8 after byte 7 once decoded
    /v1/ns/a/-/entries/%C3%28  =>  malformed: the path is not UTF-8 after byte 18 once decoded
    /v1/ns/%C3%A9/-/config  =>  malformed: the namespace in the path is not valid: segment 1 of namespace `/é` is not valid: `é` has `é` at character 1; allowed are a-z, 0-9, `.`, `_` and `-`
    /v1/ns/_a/-/config  =>  malformed: the namespace in the path is not valid: segment 1 of namespace `/_a` is not valid: `_a` must start with a-z or 0-9, not `_`
    /v1/ns/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/-/config  =>  malformed: the namespace in the path is not valid: namespace `/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17` has 17 segments, at most 16 are allowed
    /v1/ns/a  =>  malformed: the path of a namespace must end at `/-/`, as in `/v1/ns/teams/payments/-/config`
    /v1/ns/  =>  malformed: the path of a namespace must end at `/-/`, as in `/v1/ns/teams/payments/-/config`
    /v1/ns  =>  malformed: the path of a namespace must end at `/-/`, as in `/v1/ns/teams/payments/-/config`
    "#);
}

#[test]
fn keys_and_other_names_are_as_strict() {
    insta::assert_snapshot!(table(&[
        "/v1/ns/a/-/entries/",
        "/v1/ns/a/-/entries//b",
        "/v1/ns/a/-/entries/b/",
        "/v1/ns/a/-/entries/b/../c",
        "/v1/ns/a/-/entries/.",
        "/v1/ns/a/-/entries/-/b",
        "/v1/ns/a/-/entries/b%20c",
        "/v1/ns/a/-/entries/b%253A",
        "/v1/ns/a/-/drafts/Mine",
        "/v1/ns/a/-/drafts/",
        "/v1/ns/a/-/drafts//changes",
        "/v1/ns/a/-/tags/draft",
        "/v1/ns/a/-/tags/abcdef01",
        "/v1/ns/A/-/entries/a%20b",
    ]), @r"
    /v1/ns/a/-/entries/  =>  malformed: the key in the path is not valid: a key cannot be empty
    /v1/ns/a/-/entries//b  =>  malformed: the key in the path is not valid: segment 1 of key `/b` is empty; a key is `segment/segment` without a `/` at either end
    /v1/ns/a/-/entries/b/  =>  malformed: the key in the path is not valid: segment 2 of key `b/` is empty; a key is `segment/segment` without a `/` at either end
    /v1/ns/a/-/entries/b/../c  =>  malformed: the key in the path is not valid: segment 2 of key `b/../c` is `..`, which is reserved
    /v1/ns/a/-/entries/.  =>  malformed: the key in the path is not valid: segment 1 of key `.` is `.`, which is reserved
    /v1/ns/a/-/entries/-/b  =>  malformed: the key in the path is not valid: segment 1 of key `-/b` is `-`, which is reserved
    /v1/ns/a/-/entries/b%20c  =>  malformed: the key in the path is not valid: segment 1 of key `b c` has ` `; allowed are A-Z, a-z, 0-9, `.`, `_` and `-`
    /v1/ns/a/-/entries/b%253A  =>  malformed: the key in the path is not valid: segment 1 of key `b%3A` has `%`; allowed are A-Z, a-z, 0-9, `.`, `_` and `-`
    /v1/ns/a/-/drafts/Mine  =>  malformed: the draft in the path is not valid: the name of a draft is not valid: `Mine` has `M` at character 1; allowed are a-z, 0-9, `.`, `_` and `-`
    /v1/ns/a/-/drafts/  =>  malformed: the draft in the path is not valid: the name of a draft is not valid: it is empty
    /v1/ns/a/-/drafts//changes  =>  malformed: the draft in the path is not valid: the name of a draft is not valid: it is empty
    /v1/ns/a/-/tags/draft  =>  malformed: the tag in the path is not valid: tag `draft` is reserved, because it names a head
    /v1/ns/a/-/tags/abcdef01  =>  malformed: the tag in the path is not valid: tag `abcdef01` would read as a commit id; add a letter after f, as in `vabcdef01`
    /v1/ns/A/-/entries/a%20b  =>  malformed: the namespace in the path is not valid: segment 1 of namespace `/A` is not valid: `A` has `A` at character 1; allowed are a-z, 0-9, `.`, `_` and `-`; the key in the path is not valid: segment 1 of key `a b` has ` `; allowed are A-Z, a-z, 0-9, `.`, `_` and `-`
    ");
    let long = format!("/v1/ns/a/-/entries/{}", "k/".repeat(127) + "kk");
    assert!(read(&long).contains("256 bytes"), "{}", read(&long));
}

#[test]
fn what_is_well_formed_and_not_there_is_nothing() {
    insta::assert_snapshot!(table(&[
        "/",
        "",
        "*",
        "/v1",
        "/v2/whoami",
        "/V1/whoami",
        "/v1/whoami/me",
        "/v1/ns/a/-",
        "/v1/ns/a/-/nothing",
        "/v1/ns/a/-/history",
        "/v1/ns/a/-/commits",
        "/v1/ns/a/-/publish/now",
        "/v1/ns/a/-/drafts/d/e/f",
        "/v1/ns/A/-/nothing",
        "/v1/whoami/",
        "//v1/whoami",
        "/v1/../healthz",
        "/v1/ns/a/-/log/..",
        "/v1/ns/a/-/",
    ]), @r"
    /  =>  nothing
      =>  nothing
    *  =>  nothing
    /v1  =>  nothing
    /v2/whoami  =>  nothing
    /V1/whoami  =>  nothing
    /v1/whoami/me  =>  nothing
    /v1/ns/a/-  =>  nothing
    /v1/ns/a/-/nothing  =>  nothing
    /v1/ns/a/-/history  =>  nothing
    /v1/ns/a/-/commits  =>  nothing
    /v1/ns/a/-/publish/now  =>  nothing
    /v1/ns/a/-/drafts/d/e/f  =>  nothing
    /v1/ns/A/-/nothing  =>  malformed: the namespace in the path is not valid: segment 1 of namespace `/A` is not valid: `A` has `A` at character 1; allowed are a-z, 0-9, `.`, `_` and `-`
    /v1/whoami/  =>  malformed: the path has an empty segment: a `//`, or a `/` at its end
    //v1/whoami  =>  malformed: the path has an empty segment: a `//`, or a `/` at its end
    /v1/../healthz  =>  malformed: the path has a segment `..`; paths are not resolved, write what you mean
    /v1/ns/a/-/log/..  =>  malformed: the path has a segment `..`; paths are not resolved, write what you mean
    /v1/ns/a/-/  =>  nothing
    ");
}

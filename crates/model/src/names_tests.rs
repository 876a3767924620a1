//! Names, revisions and addresses: what is accepted reads back, what is not says why.

use std::error::Error;
use std::fmt::{Debug, Display};
use std::str::FromStr;

use insta::assert_snapshot;
use proptest::prelude::*;

use crate::{
    Address, DraftName, EntryType, Key, Namespace, NamespaceError, Revision, SchemaPath, TagName,
};

/// What refuses each text, with the reasons behind it.
#[must_use]
fn refused<T: FromStr<Err: Error> + Debug>(texts: &[&str]) -> String {
    let refuse = |text: &&str| {
        let error = text.parse::<T>().expect_err("the text should be refused");
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        message
    };
    texts.iter().map(refuse).collect::<Vec<_>>().join("\n")
}

fn reads_back<T: FromStr<Err: Debug> + Display>(texts: &[&str]) {
    for text in texts {
        assert_eq!(text.parse::<T>().unwrap().to_string(), *text);
    }
}

#[test]
fn namespaces_in_normal_form_read_back() {
    let deep = "/d".repeat(16);
    let long = format!("/{}/{}/{}", "a".repeat(63), "b".repeat(63), "c".repeat(31));
    assert_eq!(long.len(), 160);
    reads_back::<Namespace>(&["/", "/a", "/0.a_b-c/x", &deep, &long]);
}

#[test]
fn namespaces_out_of_form_say_which_segment_and_why() {
    let deep = "/d".repeat(17);
    let long = format!("/{}/{}/{}", "a".repeat(63), "b".repeat(63), "c".repeat(32));
    let segment = format!("/a/{}", "b".repeat(64));
    let bad = [
        "", "a", "a/", "/a/", "//", "//a", "/a//b", "/a//", "/A", "/a/../b", "/a/.b", "/-", "/a b",
        "/a\u{0}", "/é", "/%2e", &deep, &long, &segment,
    ];
    assert_snapshot!(refused::<Namespace>(&bad), @r#"
    a namespace cannot be empty; the root is `/`
    namespace `a` must start with `/`
    namespace `a/` must start with `/`
    namespace `/a/` must not end with `/`
    segment 1 of namespace `//` is not valid: it is empty
    segment 1 of namespace `//a` is not valid: it is empty
    segment 2 of namespace `/a//b` is not valid: it is empty
    segment 2 of namespace `/a//` is not valid: it is empty
    segment 1 of namespace `/A` is not valid: `A` has `A` at character 1; allowed are a-z, 0-9, `.`, `_` and `-`
    segment 2 of namespace `/a/../b` is not valid: `..` must start with a-z or 0-9, not `.`
    segment 2 of namespace `/a/.b` is not valid: `.b` must start with a-z or 0-9, not `.`
    segment 1 of namespace `/-` is not valid: `-` must start with a-z or 0-9, not `-`
    segment 1 of namespace `/a b` is not valid: `a b` has ` ` at character 2; allowed are a-z, 0-9, `.`, `_` and `-`
    segment 1 of namespace `/a\0` is not valid: `a\0` has `\0` at character 2; allowed are a-z, 0-9, `.`, `_` and `-`
    segment 1 of namespace `/é` is not valid: `é` has `é` at character 1; allowed are a-z, 0-9, `.`, `_` and `-`
    segment 1 of namespace `/%2e` is not valid: `%2e` has `%` at character 1; allowed are a-z, 0-9, `.`, `_` and `-`
    namespace `/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d` has 17 segments, at most 16 are allowed
    namespace `/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/bbbbbbbbbbbbbbb…` has 161 bytes, at most 160 are allowed
    segment 2 of namespace `/a/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb` is not valid: `bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb` has 64 characters, at most 63 are allowed
    "#);
}

#[test]
fn keys_read_back_and_keep_their_case() {
    let long = format!("{}/{}", "a".repeat(128), "b".repeat(126));
    assert_eq!(long.len(), 255);
    reads_back::<Key>(&["a", "Stripe/API-version", "_", ".a/..b/--", "0", &long]);
}

#[test]
fn keys_out_of_form_say_which_segment_and_why() {
    let long = format!("{}/{}", "a".repeat(128), "b".repeat(127));
    let segment = "a".repeat(129);
    let bad = [
        "", "/a", "a/", "a//b", ".", "a/..", "a/-/b", "a b", "a/é", "a:b", "a@b", "a%2Fb", "a\n",
        &long, &segment,
    ];
    assert_snapshot!(refused::<Key>(&bad), @r#"
    a key cannot be empty
    segment 1 of key `/a` is empty; a key is `segment/segment` without a `/` at either end
    segment 2 of key `a/` is empty; a key is `segment/segment` without a `/` at either end
    segment 2 of key `a//b` is empty; a key is `segment/segment` without a `/` at either end
    segment 1 of key `.` is `.`, which is reserved
    segment 2 of key `a/..` is `..`, which is reserved
    segment 2 of key `a/-/b` is `-`, which is reserved
    segment 1 of key `a b` has ` `; allowed are A-Z, a-z, 0-9, `.`, `_` and `-`
    segment 2 of key `a/é` has `é`; allowed are A-Z, a-z, 0-9, `.`, `_` and `-`
    segment 1 of key `a:b` has `:`; allowed are A-Z, a-z, 0-9, `.`, `_` and `-`
    segment 1 of key `a@b` has `@`; allowed are A-Z, a-z, 0-9, `.`, `_` and `-`
    segment 1 of key `a%2Fb` has `%`; allowed are A-Z, a-z, 0-9, `.`, `_` and `-`
    segment 1 of key `a\n` has `\n`; allowed are A-Z, a-z, 0-9, `.`, `_` and `-`
    key `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…` has 256 bytes, at most 255 are allowed
    segment 1 of key `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…` has 129 characters, at most 128 are allowed
    "#);
}

#[test]
fn drafts_are_named_like_segments() {
    reads_back::<DraftName>(&["raise-timeout", "0", "a.b_c"]);
    assert_snapshot!(refused::<DraftName>(&["", "A", ".a", "a/b", &"a".repeat(64)]), @"
    the name of a draft is not valid: it is empty
    the name of a draft is not valid: `A` has `A` at character 1; allowed are a-z, 0-9, `.`, `_` and `-`
    the name of a draft is not valid: `.a` must start with a-z or 0-9, not `.`
    the name of a draft is not valid: `a/b` has `/` at character 2; allowed are a-z, 0-9, `.`, `_` and `-`
    the name of a draft is not valid: `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` has 64 characters, at most 63 are allowed
    ");
}

#[test]
fn tags_are_told_apart_from_other_revisions() {
    reads_back::<TagName>(&["v2.1", "Before_migration", "abc", "1234567", "publishedx"]);
    let bad = [
        "",
        "-a",
        "a/b",
        "published",
        "draft",
        "20261124",
        "deadbeef",
        "DEADBEEF",
        "a b",
        &"g".repeat(64),
    ];
    assert_snapshot!(refused::<TagName>(&bad), @"
    the name of a tag cannot be empty
    tag `-a` must start with A-Z, a-z or 0-9
    tag `a/b` has `/`; allowed are A-Z, a-z, 0-9, `.`, `_` and `-`
    tag `published` is reserved, because it names a head
    tag `draft` is reserved, because it names a head
    tag `20261124` would read as a commit id; add a letter after f, as in `v20261124`
    tag `deadbeef` would read as a commit id; add a letter after f, as in `vdeadbeef`
    tag `DEADBEEF` would read as a commit id; add a letter after f, as in `vDEADBEEF`
    tag `a b` has ` `; allowed are A-Z, a-z, 0-9, `.`, `_` and `-`
    tag `gggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggg` has 64 characters, at most 63 are allowed
    ");
}

#[test]
fn schemas_live_below_their_own_root() {
    reads_back::<SchemaPath>(&["/schemas/payments/base", "/schemas/x"]);
    let path: SchemaPath = "/schemas/payments/base".parse().unwrap();
    assert_eq!(path.governed_path().as_str(), "/payments/base");
    assert_snapshot!(refused::<SchemaPath>(&["", "/", "/schemas", "/payments/base", "/schemas/A", "schemas/a"]), @"
    schema path `` (empty) is not valid: a namespace cannot be empty; the root is `/`
    schema path `/` must be `/schemas/` and a name, as in `/schemas/payments/base`
    schema path `/schemas` must be `/schemas/` and a name, as in `/schemas/payments/base`
    schema path `/payments/base` must be `/schemas/` and a name, as in `/schemas/payments/base`
    schema path `/schemas/A` is not valid: segment 2 of namespace `/schemas/A` is not valid: `A` has `A` at character 1; allowed are a-z, 0-9, `.`, `_` and `-`
    schema path `schemas/a` is not valid: namespace `schemas/a` must start with `/`
    ");
}

#[test]
fn entry_types_have_a_name_and_a_number() {
    let numbered: Vec<String> = EntryType::ALL
        .iter()
        .map(|entry_type| format!("{}={entry_type}", entry_type.number()))
        .collect();
    assert_snapshot!(numbered.join(" "), @"1=string 2=number 3=boolean 4=json 5=binary 6=secret-ref");
    for entry_type in EntryType::ALL {
        assert_eq!(EntryType::from_number(entry_type.number()), Ok(entry_type));
        assert_eq!(entry_type.name().parse(), Ok(entry_type));
    }
    assert_snapshot!(refused::<EntryType>(&["", "String", "text"]), @"
    `` (empty) is not an entry type; allowed are string, number, boolean, json, binary and secret-ref
    `String` is not an entry type; allowed are string, number, boolean, json, binary and secret-ref
    `text` is not an entry type; allowed are string, number, boolean, json, binary and secret-ref
    ");
    assert_snapshot!(EntryType::from_number(0).unwrap_err(), @"0 is not the number of an entry type; allowed are 1 to 6");
    assert!(EntryType::from_number(7).is_err());
}

#[test]
fn revisions_of_every_kind_read_back() {
    let commit = "0123456789abcdef".repeat(4);
    let kinds = [
        ("published", Revision::Published),
        ("published~0", Revision::Back(0)),
        ("published~12", Revision::Back(12)),
        (
            "draft/raise-timeout",
            Revision::Draft("raise-timeout".parse().unwrap()),
        ),
        ("0123abcd", Revision::Commit("0123abcd".to_owned())),
        (&commit, Revision::Commit(commit.clone())),
        ("v1", Revision::Tag("v1".parse().unwrap())),
        ("0123abc", Revision::Tag("0123abc".parse().unwrap())),
        ("#42", Revision::Request(42)),
        (
            "{2026-11-20T10:00Z}",
            Revision::Time("2026-11-20T10:00Z".to_owned()),
        ),
        ("{2h ago}", Revision::Time("2h ago".to_owned())),
    ];
    for (text, revision) in kinds {
        assert_eq!(text.parse(), Ok(revision.clone()), "{text}");
        assert_eq!(revision.to_string(), text);
    }
}

#[test]
fn revisions_out_of_form_say_what_is_allowed() {
    let long = "a".repeat(65);
    let time = format!("{{{}}}", "1".repeat(65));
    let bad = [
        "",
        "published~",
        "published~-1",
        "published~01",
        "published~99999999999999999999",
        "#",
        "#0",
        "#01",
        "#+1",
        "draft/",
        "draft/A",
        "{}",
        "{ 1}",
        "{1",
        "{1}}",
        "{a\nb}",
        "DEADBEEF",
        "a/b",
        "~1",
        &long,
        &time,
    ];
    assert_snapshot!(refused::<Revision>(&bad), @r#"
    a revision cannot be empty; allowed are `published`, `published~N`, `draft/NAME`, a commit id, a tag, `#N` and `{TIME}`
    revision `published~` needs a whole number below 2^64, without sign or leading zeros, after `published~`
    revision `published~-1` needs a whole number below 2^64, without sign or leading zeros, after `published~`
    revision `published~01` needs a whole number below 2^64, without sign or leading zeros, after `published~`
    revision `published~99999999999999999999` needs a whole number below 2^64, without sign or leading zeros, after `published~`
    revision `#` needs a whole number below 2^64, without sign or leading zeros, after `#`
    revision `#0` names no publish request; they are counted from 1
    revision `#01` needs a whole number below 2^64, without sign or leading zeros, after `#`
    revision `#+1` needs a whole number below 2^64, without sign or leading zeros, after `#`
    revision `draft/` is not valid: the name of a draft is not valid: it is empty
    revision `draft/A` is not valid: the name of a draft is not valid: `A` has `A` at character 1; allowed are a-z, 0-9, `.`, `_` and `-`
    revision `{}` must be one time between braces, as in `{2026-11-20T10:00Z}` or `{2h ago}`, of at most 64 bytes
    revision `{ 1}` must be one time between braces, as in `{2026-11-20T10:00Z}` or `{2h ago}`, of at most 64 bytes
    revision `{1` must be one time between braces, as in `{2026-11-20T10:00Z}` or `{2h ago}`, of at most 64 bytes
    revision `{1}}` must be one time between braces, as in `{2026-11-20T10:00Z}` or `{2h ago}`, of at most 64 bytes
    revision `{a\nb}` must be one time between braces, as in `{2026-11-20T10:00Z}` or `{2h ago}`, of at most 64 bytes
    revision `DEADBEEF` is none of `published`, `published~N`, `draft/NAME`, a commit id of at least 8 digits 0-9 and a-f, a tag, `#N` and `{TIME}`: tag `DEADBEEF` would read as a commit id; add a letter after f, as in `vDEADBEEF`
    revision `a/b` is none of `published`, `published~N`, `draft/NAME`, a commit id of at least 8 digits 0-9 and a-f, a tag, `#N` and `{TIME}`: tag `a/b` has `/`; allowed are A-Z, a-z, 0-9, `.`, `_` and `-`
    revision `~1` is none of `published`, `published~N`, `draft/NAME`, a commit id of at least 8 digits 0-9 and a-f, a tag, `#N` and `{TIME}`: tag `~1` has `~`; allowed are A-Z, a-z, 0-9, `.`, `_` and `-`
    revision `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` has 65 hex digits, a commit id has 64
    revision `{11111111111111111111111111111111111111111111111111111111111111111}` must be one time between braces, as in `{2026-11-20T10:00Z}` or `{2h ago}`, of at most 64 bytes
    "#);
}

#[test]
fn addresses_are_taken_apart() {
    let parts = |text: &str| {
        let address: Address = text.parse().unwrap();
        let key = address
            .key
            .as_ref()
            .map_or("-".to_owned(), ToString::to_string);
        format!(
            "{text} = {} {} {key}, shown as {address}",
            address.namespace, address.revision
        )
    };
    let report = [
        "/",
        "/:a",
        "/teams/payments@published~1:stripe/api-version",
        "/a@published:k",
        "/a@draft/x",
        "/a@{2026-11-20T10:00Z}:k",
        "/a@{2026-11-20T10:00Z}",
        "/a@#42:k",
    ]
    .map(parts);
    assert_snapshot!(report.join("\n"), @"
    / = / published -, shown as /
    /:a = / published a, shown as /:a
    /teams/payments@published~1:stripe/api-version = /teams/payments published~1 stripe/api-version, shown as /teams/payments@published~1:stripe/api-version
    /a@published:k = /a published k, shown as /a:k
    /a@draft/x = /a draft/x -, shown as /a@draft/x
    /a@{2026-11-20T10:00Z}:k = /a {2026-11-20T10:00Z} k, shown as /a@{2026-11-20T10:00Z}:k
    /a@{2026-11-20T10:00Z} = /a {2026-11-20T10:00Z} -, shown as /a@{2026-11-20T10:00Z}
    /a@#42:k = /a #42 k, shown as /a@#42:k
    ");
}

#[test]
fn addresses_out_of_form_say_which_part_and_why() {
    let bad = [
        "",
        "a:b",
        "/a@",
        "/a@:k",
        "/a:",
        "/a@draft:x/",
        "/a@{10:00:k",
        "/a@{1}x:k",
        "/a:k@published",
        "/a:k:l",
    ];
    assert_snapshot!(refused::<Address>(&bad), @"
    address `` (empty) has no valid namespace: a namespace cannot be empty; the root is `/`
    address `a:b` has no valid namespace: namespace `a` must start with `/`
    address `/a@` has no valid revision after `@`: a revision cannot be empty; allowed are `published`, `published~N`, `draft/NAME`, a commit id, a tag, `#N` and `{TIME}`
    address `/a@:k` has no valid revision after `@`: a revision cannot be empty; allowed are `published`, `published~N`, `draft/NAME`, a commit id, a tag, `#N` and `{TIME}`
    address `/a:` has no valid key after `:`: a key cannot be empty
    address `/a@draft:x/` has no valid revision after `@`: revision `draft` is none of `published`, `published~N`, `draft/NAME`, a commit id of at least 8 digits 0-9 and a-f, a tag, `#N` and `{TIME}`: tag `draft` is reserved, because it names a head
    address `/a@{10:00:k` has no valid revision after `@`: revision `{10:00:k` must be one time between braces, as in `{2026-11-20T10:00Z}` or `{2h ago}`, of at most 64 bytes
    address `/a@{1}x:k` has no valid revision after `@`: revision `{1}x` must be one time between braces, as in `{2026-11-20T10:00Z}` or `{2h ago}`, of at most 64 bytes
    address `/a:k@published` has no valid key after `:`: segment 1 of key `k@published` has `@`; allowed are A-Z, a-z, 0-9, `.`, `_` and `-`
    address `/a:k:l` has no valid key after `:`: segment 1 of key `k:l` has `:`; allowed are A-Z, a-z, 0-9, `.`, `_` and `-`
    ");
}

fn namespace() -> impl Strategy<Value = Namespace> {
    prop::collection::vec("[a-b][a-b.-]{0,1}", 0..4)
        .prop_map(|segments| format!("/{}", segments.join("/")).parse().unwrap())
}

fn revision() -> impl Strategy<Value = Revision> {
    prop_oneof![
        Just(Revision::Published),
        any::<u64>().prop_map(Revision::Back),
        "[a-z0-9][a-z0-9._-]{0,9}".prop_map(|name| Revision::Draft(name.parse().unwrap())),
        "[0-9a-f]{8,64}".prop_map(Revision::Commit),
        "[g-z][A-Za-z0-9._-]{0,9}"
            .prop_filter_map("reserved", |name| name.parse().ok().map(Revision::Tag)),
        (1..=u64::MAX).prop_map(Revision::Request),
        "[0-9A-Za-z:+-]{1,20}".prop_map(Revision::Time),
    ]
}

proptest! {
    #[test]
    fn addresses_read_back(
        namespace in namespace(),
        revision in revision(),
        key in prop::option::of("[A-Za-z0-9_]{1,5}(/[A-Za-z0-9_]{1,5}){0,2}"),
    ) {
        let address = Address { namespace, revision, key: key.map(|key| key.parse().unwrap()) };
        prop_assert_eq!(address.to_string().parse::<Address>(), Ok(address.clone()));
        let json = serde_json::to_string(&address).unwrap();
        prop_assert_eq!(serde_json::from_str::<Address>(&json).unwrap(), address);
    }

    #[test]
    fn what_is_accepted_is_in_normal_form(text in "[/a-cA.@:#{}~-]{0,12}|.{0,8}") {
        if let Ok(namespace) = text.parse::<Namespace>() {
            prop_assert_eq!(namespace.as_str(), &text);
        }
        if let Ok(key) = text.parse::<Key>() {
            prop_assert_eq!(key.as_str(), &text);
        }
        if let Ok(revision) = text.parse::<Revision>() {
            prop_assert_eq!(revision.to_string(), text.clone());
        }
        if let Ok(address) = text.parse::<Address>() {
            prop_assert_eq!(address.to_string().parse::<Address>(), Ok(address));
        }
    }

    #[test]
    fn a_namespace_contains_exactly_those_it_is_an_ancestor_of(a in namespace(), b in namespace()) {
        let ancestors: Vec<Namespace> = b.ancestors().collect();
        prop_assert_eq!(a.contains(&b), ancestors.contains(&a));
        prop_assert_eq!(ancestors.len(), b.depth() + 1);
        prop_assert_eq!(ancestors.last(), Some(&Namespace::root()));
        prop_assert_eq!(b.segments().count(), b.depth());
    }

    #[test]
    fn a_child_has_its_parent(parent in namespace(), segment in "[a-z0-9][a-z0-9._-]{0,5}") {
        let child = parent.child(&segment).unwrap();
        prop_assert_eq!(child.parent(), Some(parent.clone()));
        prop_assert_eq!(child.name(), Some(&*segment));
        prop_assert!(parent.contains(&child) && !child.contains(&parent));
    }
}

#[test]
fn a_child_is_one_valid_segment() {
    let root = Namespace::root();
    for bad in ["", "a/b", "..", "A"] {
        assert!(
            matches!(
                root.child(bad),
                Err(NamespaceError::Segment { index: 1, .. })
            ),
            "{bad}"
        );
    }
    let deepest: Namespace = "/d".repeat(16).parse().unwrap();
    assert!(matches!(
        deepest.child("x"),
        Err(NamespaceError::TooDeep { .. })
    ));
}

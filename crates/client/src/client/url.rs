//! Where things are: the paths of the HTTP contract.

use confman_model::Namespace;

/// Percent-encodes everything but unreserved characters; `/` stays where `keep_slash` is set.
fn encode(text: &str, keep_slash: bool, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric()
            || matches!(byte, b'.' | b'-' | b'_' | b'~')
            || (keep_slash && byte == b'/')
        {
            into.push(char::from(byte));
        } else {
            into.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// The path of what `rest` names in a namespace: `/v1/ns/teams/payments/-/entries/…`. Each part of
/// `rest` is percent-encoded with its slashes kept.
pub(crate) fn in_namespace(namespace: &Namespace, rest: &[&str]) -> String {
    let mut path = String::from("/v1/ns");
    if !namespace.is_root() {
        path.push_str(namespace.as_str());
    }
    path.push_str("/-");
    for part in rest {
        path.push('/');
        encode(part, true, &mut path);
    }
    path
}

/// The path of something with a name in a collection: `/v1/groups/dev`.
pub(crate) fn named(collection: &str, name: &str) -> String {
    let mut path = format!("{collection}/");
    encode(name, false, &mut path);
    path
}

/// A query string with its `?`, empty where no parameter has a value.
pub(crate) fn query(parameters: &[(&str, Option<String>)]) -> String {
    let mut text = String::new();
    for (name, value) in parameters {
        let Some(value) = value else { continue };
        text.push(if text.is_empty() { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        encode(value, false, &mut text);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_ends_at_a_dash() {
        let payments: Namespace = "/teams/payments".parse().unwrap();
        assert_eq!(
            in_namespace(&payments, &["entries", "stripe/api-version"]),
            "/v1/ns/teams/payments/-/entries/stripe/api-version"
        );
        assert_eq!(
            in_namespace(&Namespace::root(), &["config"]),
            "/v1/ns/-/config"
        );
    }

    #[test]
    fn what_is_special_in_a_url_is_escaped() {
        let root = Namespace::root();
        assert_eq!(
            in_namespace(&root, &["commits", "{2h ago}"]),
            "/v1/ns/-/commits/%7B2h%20ago%7D"
        );
        assert_eq!(
            in_namespace(&root, &["commits", "#42"]),
            "/v1/ns/-/commits/%2342"
        );
        assert_eq!(
            query(&[
                ("rev", Some("draft/x&y".to_owned())),
                ("cursor", None),
                ("limit", Some("5".to_owned()))
            ]),
            "?rev=draft%2Fx%26y&limit=5"
        );
        assert_eq!(query(&[("cursor", None)]), "");
    }
}

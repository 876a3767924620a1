//! Where a file of a Git tree goes: which namespace, which key. And back.

use confman_layout::tree_key;
use confman_model::{Key, Namespace};
use confman_object_store::tree::TreeKey;

use super::stream::printable;

/// The namespace and key of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) namespace: Namespace,
    pub(super) key: TreeKey,
}

/// The rule: `depth` leading directories become namespaces below `base`.
#[derive(Clone, Debug)]
pub(super) struct Placing {
    pub(super) base: Namespace,
    pub(super) depth: usize,
}

impl Placing {
    /// Where a file goes, or why it can go nowhere.
    pub(super) fn place(&self, path: &[u8]) -> Result<Place, String> {
        let text = std::str::from_utf8(path)
            .map_err(|_| format!("the path `{}` is not UTF-8", printable(path)))?;
        let mut namespace = self.base.clone();
        let mut rest = text;
        for _ in 0..self.depth {
            let Some((directory, below)) = rest.split_once('/') else {
                break;
            };
            namespace = namespace
                .child(directory)
                .map_err(|error| crate::client::chain(&error))?;
            rest = below;
        }
        let key: Key = rest.parse().map_err(|error| crate::client::chain(&error))?;
        let key = tree_key(&key).map_err(|error| crate::client::chain(&error))?;
        Ok(Place { namespace, key })
    }

    /// The directory of a namespace: without slashes around it, empty for the base.
    pub(super) fn directory<'n>(&self, namespace: &'n Namespace) -> &'n str {
        let below = namespace
            .as_str()
            .strip_prefix(self.base.as_str())
            .unwrap_or_default();
        below.trim_start_matches('/')
    }

    /// The keys of `namespace` that lie under a directory: the prefix they have, `None` where none can.
    pub(super) fn prefix_under(&self, namespace: &Namespace, directory: &[u8]) -> Option<Vec<u8>> {
        let own = self.directory(namespace).as_bytes();
        if directory.is_empty()
            || own == directory
            || own
                .strip_prefix(directory)
                .is_some_and(|rest| rest.starts_with(b"/"))
        {
            return Some(Vec::new());
        }
        let below = if own.is_empty() {
            directory
        } else {
            directory.strip_prefix(own)?.strip_prefix(b"/")?
        };
        let mut prefix = below.to_vec();
        prefix.push(b'/');
        Some(prefix)
    }

    /// The path of a key.
    pub(super) fn path(&self, namespace: &Namespace, key: &[u8]) -> Vec<u8> {
        let mut path = self.directory(namespace).as_bytes().to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(key);
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(depth: usize, path: &str) -> String {
        let placing = Placing {
            base: "/base".parse().unwrap(),
            depth,
        };
        match placing.place(path.as_bytes()) {
            Ok(place) => {
                assert_eq!(
                    placing.path(&place.namespace, place.key.as_bytes()),
                    path.as_bytes()
                );
                format!(
                    "{}:{}",
                    place.namespace,
                    String::from_utf8_lossy(place.key.as_bytes())
                )
            }
            Err(reason) => reason,
        }
    }

    #[test]
    fn leading_directories_become_namespaces() {
        assert_eq!(placed(0, "a/b/c.yml"), "/base:a/b/c.yml");
        assert_eq!(placed(1, "a/b/c.yml"), "/base/a:b/c.yml");
        assert_eq!(placed(2, "a/b/c.yml"), "/base/a/b:c.yml");
        assert_eq!(placed(5, "a/b/c.yml"), "/base/a/b:c.yml");
        assert_eq!(placed(1, "README"), "/base:README");
        insta::assert_snapshot!(placed(1, "Docs/x"), @"segment 2 of namespace `/base/Docs` is not valid: `Docs` has `D` at character 1; allowed are a-z, 0-9, `.`, `_` and `-`");
        insta::assert_snapshot!(placed(0, "a b"), @"segment 1 of key `a b` has ` `; allowed are A-Z, a-z, 0-9, `.`, `_` and `-`");
    }

    #[test]
    fn a_directory_has_the_keys_of_its_namespace_and_of_those_below() {
        let placing = Placing {
            base: "/base".parse().unwrap(),
            depth: 2,
        };
        let prefix = |namespace: &str, directory: &str| {
            placing
                .prefix_under(&namespace.parse().unwrap(), directory.as_bytes())
                .map(|prefix| String::from_utf8(prefix).unwrap())
        };
        assert_eq!(prefix("/base", "a"), Some("a/".to_owned()));
        assert_eq!(prefix("/base/a", "a"), Some(String::new()));
        assert_eq!(prefix("/base/a/b", "a"), Some(String::new()));
        assert_eq!(prefix("/base/ab", "a"), None);
        assert_eq!(prefix("/base/a/b", "a/b/c/d"), Some("c/d/".to_owned()));
        assert_eq!(prefix("/base/x", ""), Some(String::new()));
    }
}

//! How configuration lies in objects: an entry as a leaf, a blob and a meta.

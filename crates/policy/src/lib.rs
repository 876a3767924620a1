//! Given who, what and the facts: allow, deny or needs review, and why.

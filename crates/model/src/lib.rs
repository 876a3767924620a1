//! The nouns of configuration and what makes each valid.

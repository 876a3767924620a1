//! Talk to a server; working copy; verified local mirror.

//! The only mutable state: views, transactions, operations, and their replication.

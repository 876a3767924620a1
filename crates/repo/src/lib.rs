//! Everything Confman can do, as functions over a view that end in a transaction.

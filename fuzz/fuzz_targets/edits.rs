#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| confman_object_store::testing::fuzz_edits(bytes));

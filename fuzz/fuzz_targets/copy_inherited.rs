#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| confman_client::testing::fuzz_copy_inherited(bytes));

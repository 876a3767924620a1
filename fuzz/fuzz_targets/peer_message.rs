#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| confman_refs::testing::fuzz_peer_message(bytes));

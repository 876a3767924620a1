#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(json) = confman_model::Json::parse(bytes) {
        assert!(serde_json::from_slice::<serde_json::Value>(bytes).is_ok(), "{json:?} is no JSON");
    }
});

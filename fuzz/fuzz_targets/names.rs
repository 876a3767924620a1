#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

/// A name that is read comes back as one that reads the same.
fn same<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    if let Ok(name) = text.parse::<T>() {
        assert_eq!(name.to_string().parse::<T>().ok(), Some(name));
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    same::<confman_model::Namespace>(text);
    same::<confman_model::Key>(text);
    same::<confman_model::Address>(text);
    same::<confman_model::Revision>(text);
    same::<confman_model::DraftName>(text);
    same::<confman_model::TagName>(text);
});

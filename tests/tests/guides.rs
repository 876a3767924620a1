//! The guides' sessions, run as they are written: with the real program and a real server.

use std::path::Path;

use confman_tests::Guide;

#[test]
fn four_roles_review_and_publish_as_the_guide_says() {
    let guides = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guides");
    assert!(Guide::open(&guides.join("review.md")).run() > 30);
}

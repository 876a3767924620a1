//! The guides' sessions, run as they are written: with the real program and a real server.

use std::path::Path;

use confman_tests::Guide;

fn guide(path: &str) -> Guide {
    Guide::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path))
}

#[test]
fn four_roles_review_and_publish_as_the_guide_says() {
    assert!(guide("docs/guides/review.md").run() > 30);
}

#[test]
fn ten_tasks_take_three_commands_each() {
    assert!(guide("docs/guides/tasks.md").run() > 20);
}

#[test]
fn programs_read_as_the_guide_says() {
    assert!(guide("docs/guides/reading.md").run() > 5);
}

#[test]
fn a_store_is_backed_up_and_restored_as_the_guide_says() {
    assert!(guide("docs/guides/cluster.md").run() > 10);
}

#[test]
fn the_first_minute_is_as_the_readme_says() {
    assert!(guide("README.md").run() > 15);
}

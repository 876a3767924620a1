//! The real program in a real terminal: colour, pager, questions, progress, narrow and wide.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are not tests to the lint"
)]
#![cfg(unix)]

use std::process::Command;

use confman_tests::{Person, Server, Terminal};

fn started() -> (Server, Person) {
    let (server, admin) = confman_tests::started(&["/team"]);
    let set = ["set", "/team:limits", "100", "-t", "number", "--publish"];
    admin.does(&set);
    admin.does(&["set", "/team:limits", "200", "--publish", "-m", "more"]);
    (server, admin)
}

const DIFF: &str = "confman diff /team@published~1 /team";
/// What a diff is coloured with.
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";

#[test]
fn colour_is_for_terminals_and_for_who_wants_it() {
    let (_server, admin) = started();
    let terminal = Terminal::open(&admin, 100, 30);
    terminal.runs("export CONFMAN_PAGER=cat");
    terminal.runs(DIFF);
    let colored = terminal.colored_screen();
    assert!(
        colored.contains(RED) && colored.contains(GREEN),
        "{colored:?}"
    );
    for plain in [
        format!("NO_COLOR=1 {DIFF}"),
        format!("{DIFF} --color never"),
        format!("{DIFF} | cat"),
        format!("TERM=dumb {DIFF}"),
    ] {
        let seen = terminal.runs(&plain);
        assert!(seen.contains("+ 200"), "{plain}: {seen}");
        let colored = terminal.colored_screen();
        assert!(!colored.contains(GREEN), "{plain}: {colored:?}");
    }
    terminal.runs(&format!("{DIFF} --color always | cat"));
    assert!(terminal.colored_screen().contains(GREEN));
    // Errors are marked on a terminal too, on the other stream.
    let error = terminal.runs("confman get /team:none");
    assert!(error.contains("ended 3"), "{error}");
    assert!(terminal.colored_screen().contains("\x1b[31m"), "{error}");
}

#[test]
fn what_is_long_goes_through_a_pager_on_a_terminal_only() {
    let (_server, admin) = started();
    let lines: Vec<String> = (0..80).map(|at| format!("line {at}")).collect();
    admin.does(&["set", "/team:notes", &lines.join("\n"), "--publish"]);
    let terminal = Terminal::open(&admin, 80, 20);
    terminal.types("clear; confman history /team:notes; confman log /team; echo \"ended $?\"");
    let terminal_shows = terminal.sees("ended 0");
    assert!(
        terminal_shows.contains("ended 0"),
        "short texts are through at once"
    );
    let command = "confman show /team@published --color never";
    // The pager that was chosen gets the text, and is waited for.
    let seen = terminal.runs(&format!(
        "CONFMAN_PAGER='sed s/^/paged:/' {command} | head -3"
    ));
    assert!(!seen.contains("paged:"), "{seen}");
    let seen = terminal.runs(&format!("CONFMAN_PAGER='sed -n 1,3s/^/paged:/p' {command}"));
    assert!(seen.contains("paged:"), "{seen}");
    let seen = terminal.runs(&format!("CONFMAN_PAGER=cat {command} | tail -1"));
    assert!(seen.contains("ended 0"), "{seen}");
    // `less` shows the first screen of what does not fit, until somebody leaves it.
    admin.does(&["clone", "/team", "copy"]);
    terminal.types("clear; for i in $(seq 3); do confman set /team:k$i \"$(seq 60)\" --publish >/dev/null; done; PAGER=less confman diff /team@published~3 /team --text");
    terminal.sees(":");
    terminal.sees("+++ b/k1");
    terminal.presses("q");
    terminal.types("clear; echo le''ft");
    terminal.sees("left");
}

#[test]
fn questions_are_asked_of_people_alone() {
    let (_server, admin) = started();
    let terminal = Terminal::open(&admin, 100, 30);
    terminal.types("clear; confman rollback /team --to published~1; echo \"ended $?\"");
    let question = terminal.sees("[y/N]");
    assert!(
        question.contains("200"),
        "what would change is shown: {question}"
    );
    terminal.types("n");
    terminal.sees("ended 8");
    assert_eq!(admin.does(&["get", "/team:limits"]), "200");
    // Away with the question that was answered, so that the next one is waited for.
    terminal.runs("true");
    terminal.types("clear; confman rollback /team --to published~1; echo \"ended $?\"");
    terminal.sees("[y/N]");
    terminal.types("y");
    terminal.sees("ended 0");
    assert_eq!(admin.does(&["get", "/team:limits"]), "100");
    for unasked in [
        "confman rollback /team --to published~1 --no-input",
        "echo y | confman rollback /team --to published~1",
    ] {
        let seen = terminal.runs(unasked);
        assert!(seen.contains("ended 8"), "{seen}");
        assert!(!seen.contains("[y/N]"), "{seen}");
    }
    // A question can be left by Ctrl-C, and nothing was done.
    terminal.types("clear; confman rollback /team --to published~1; echo \"ended $?\"");
    terminal.sees("[y/N]");
    terminal.presses("C-c");
    terminal.types("");
    terminal.types("clear; confman get /team:limits");
    terminal.sees("100");
}

#[test]
fn conflicts_are_settled_one_after_the_other() {
    let (_server, admin) = started();
    admin.does(&["clone", "/team", "copy"]);
    admin.does(&["set", "/team:limits", "300", "--publish"]);
    let text = std::fs::read_to_string(admin.path("copy/entries.json")).unwrap();
    admin.write("copy/entries.json", text.replace("200", "250"));
    assert_eq!(admin.runs_in("copy", &["pull"]).code, 5);
    let terminal = Terminal::open(&admin, 100, 30);
    terminal.types("clear; cd copy; confman resolve; echo \"ended $?\"");
    let asked = terminal.sees("theirs/");
    assert!(asked.contains("250") && asked.contains("300"), "{asked}");
    terminal.types("o");
    terminal.sees("ended 0");
    let text = std::fs::read_to_string(admin.path("copy/entries.json")).unwrap();
    assert!(text.contains("250") && !text.contains("conflict"), "{text}");
}

#[test]
fn both_sides_stand_beside_each_other_where_there_is_room() {
    let (_server, admin) = started();
    let command = format!("CONFMAN_PAGER=cat {DIFF} --side-by-side");
    let wide = Terminal::open(&admin, 120, 20);
    assert!(wide.runs(&command).contains("│ 200"));
    drop(wide);
    let narrow = Terminal::open(&admin, 50, 20);
    let seen = narrow.runs(&command);
    assert!(seen.contains("+ 200") && !seen.contains('│'), "{seen}");
    // Help is broken into lines that fit.
    let help = narrow.runs("confman get -h | cat");
    assert!(help.contains("ended 0"), "{help}");
}

#[test]
fn values_of_others_cannot_steer_the_terminal() {
    let (_server, admin) = started();
    let hostile = "a\u{1b}[2J\u{1b}]0;title\u{7}b\u{202e}c";
    admin.does(&["set", "/team:hostile", hostile, "--publish"]);
    let terminal = Terminal::open(&admin, 100, 30);
    terminal.runs("export CONFMAN_PAGER=cat");
    for command in [
        "confman get /team:hostile",
        "confman ls /team",
        "confman search hostile",
        "confman show /team",
        "confman show /team:hostile",
        "confman history /team:hostile",
    ] {
        let seen = terminal.runs(&format!("echo before; {command}"));
        assert!(
            seen.contains("before"),
            "{command} wiped the screen: {seen}"
        );
        let is_escaped = seen.contains("\\u{1b}[2J") || seen.contains("\\u001b[2J");
        assert!(is_escaped, "{command}: {seen}");
    }
}

/// Sends a signal to the server.
fn signal(server: &Server, name: &str) {
    let pid = server.pid().to_string();
    let sent = Command::new("kill").args([name, &pid]).status();
    assert!(sent.is_ok_and(|status| status.success()), "{name}");
}

#[test]
fn progress_is_shown_to_people_and_leaves_nothing_behind() {
    let (server, admin) = started();
    for namespace in ["/team/shown", "/team/quiet", "/team/piped"] {
        admin.does(&["ns", "create", namespace]);
    }
    let history = "commit refs/heads/main\ncommitter A <a@example.com> 0 +0000\ndata 1\nx\n\
                   M 100644 inline a\ndata 1\nx\n\n";
    admin.write("history", history);
    let [quiet, piped, shown] = [80, 90, 100].map(|columns| Terminal::open(&admin, columns, 30));
    // A server that takes its time, so that there is something to show; who says nothing began before.
    signal(&server, "-STOP");
    quiet.types("clear; confman import /team/quiet --git history --quiet; echo ended''-1 $?");
    piped.types("clear; confman import /team/piped --git history 2> told; echo ended''-1 $?");
    shown.types("clear; confman import /team/shown --git history; echo ended''-1 $?");
    shown.sees("importing into /team/shown");
    let told = std::fs::read_to_string(admin.path("told")).unwrap();
    let seen = quiet.screen();
    signal(&server, "-CONT");
    assert!(!seen.contains("importing"), "{seen}");
    assert!(!told.contains("importing"), "{told}");
    for terminal in [&quiet, &piped, &shown] {
        let seen = terminal.sees("ended-1 0");
        assert!(!seen.contains("importing into"), "{seen}");
    }
}

#[test]
fn a_shell_completes_what_the_server_has() {
    let (_server, admin) = started();
    admin.does(&["ns", "create", "/team/payments"]);
    let terminal = Terminal::open(&admin, 100, 30);
    terminal.runs("eval \"$(confman completions bash)\"");
    terminal.types("clear");
    let completed = |typed: &str, whole: &str| {
        terminal.begins(typed);
        terminal.presses("Tab");
        terminal.sees(whole);
        terminal.presses("C-c");
        terminal.types("clear");
    };
    completed("confman get /team:li", "confman get /team:limits");
    completed("confman clone /team/p", "confman clone /team/payments");
    completed("confman roll", "confman rollback");
    // Where no server answers, nothing is offered, and soon.
    terminal.types("export CONFMAN_SERVER=http://127.0.0.1:1; clear");
    terminal.begins("confman get /team:li");
    terminal.presses("Tab");
    terminal.presses("C-c");
    terminal.types("clear; echo do''ne");
    terminal.sees("done");
}

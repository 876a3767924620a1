//! Opening a page in the browser of whoever started this.

use std::process::{Command, Stdio};

/// Opens a page, if there is a program to do it with. Whoever has none is shown the URL anyway. What is no
/// page (a file, or what the program would take for a flag) is not opened.
pub(crate) fn open(url: &str) {
    if !is_page(url) {
        return;
    }
    let chosen = std::env::var("BROWSER").ok().filter(|it| !it.is_empty());
    let program = chosen.unwrap_or_else(|| match cfg!(target_os = "macos") {
        true => "open".to_owned(),
        false => "xdg-open".to_owned(),
    });
    let started = Command::new(program)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    // The child goes on by itself, and that there is no such program is no reason to stop.
    drop(started);
}

fn is_page(url: &str) -> bool {
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    is_web && url.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_pages_of_the_web_are_opened() {
        for page in ["https://id.example/a?b=c&d=%20", "http://127.0.0.1:1/"] {
            assert!(super::is_page(page), "{page}");
        }
        for other in [
            "",
            "file:///etc/passwd",
            "--help",
            "javascript:1",
            "https://a b",
            "https://a\n",
        ] {
            assert!(!super::is_page(other), "{other}");
        }
    }
}

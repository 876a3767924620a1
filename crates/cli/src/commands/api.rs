use bytes::Bytes;
use confman_client::client::{RawAnswer, RawRequest};

use crate::context::Context;
use crate::error::{CliError, exit_of_problem};
use crate::exit::Exit;
use crate::input::Input;
use crate::report::Report;
use crate::text::Text;

/// Largest body that is sent.
const BODY_BYTES_MAX: usize = 256 << 20;

/// Send a request to the server, with your token
///
/// Examples:
///   confman api GET /v1/whoami
///   confman api GET "/v1/ns/teams/payments/-/config?at={2h ago}"
///   confman api PUT /v1/ns/teams/payments/-/entries/motd --data '{"value": "hello"}'
///   confman api POST /v1/ns/teams/payments/-/publish --input publish.json --include
///
/// For what has no command of its own: docs/API.md has every path. Prints the body of the
/// answer as it is, and ends as other commands do: with 3 for 404, 5 for 409, and so on.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// GET, HEAD, PUT, POST, PATCH or DELETE
    method: String,

    /// Path and query on the server; a space in it is sent as %20
    path: String,

    /// JSON to send
    #[arg(long, short, value_name = "JSON", conflicts_with = "input")]
    data: Option<String>,

    /// File with JSON to send; `-` reads it from stdin
    #[arg(long, value_name = "FILE")]
    input: Option<Input>,

    /// A header to send, as in `Accept: text/plain`; repeat for more
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE")]
    headers: Vec<String>,

    /// Also print status and headers, on stderr
    #[arg(long, short)]
    include: bool,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let body = match (self.data, self.input) {
            (Some(text), _) => Some(text.into_bytes()),
            (None, Some(input)) => Some(input.read_all(BODY_BYTES_MAX)?),
            (None, None) => None,
        };
        let request = RawRequest {
            method: self.method,
            path: escaped(&self.path),
            headers: self
                .headers
                .iter()
                .map(|line| header(line))
                .collect::<Result<_, _>>()?,
            body: body.map(|bytes| ("application/json", Bytes::from(bytes))),
        };
        let connection = cx.connect()?;
        let answer = connection.wait(connection.client.raw(&request))?;
        if self.include {
            cx.ui.say(&head(&answer));
        }
        let exit = match answer.status {
            200..400 => Exit::Ok,
            status => exit_of_problem(status, &code(&answer)),
        };
        Ok(Report::bytes(answer.body.to_vec()).exiting(exit))
    }
}

/// `Name: value`, as a header.
fn header(line: &str) -> Result<(String, String), CliError> {
    match line.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err(CliError::usage(format!("`{line}` is no header"))
            .next("write it as `Accept: text/plain`")),
    }
}

/// What a person writes and a request line cannot have.
fn escaped(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'{' | b'}' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'|' | 0..=b' ' | 0x7f.. => {
                text.push_str(&format!("%{byte:02X}"));
            }
            byte => text.push(char::from(byte)),
        }
    }
    text
}

/// The code of a problem, where the answer is one.
fn code(answer: &RawAnswer) -> String {
    serde_json::from_slice::<confman_api::problem::Problem>(&answer.body)
        .map(|problem| problem.code)
        .unwrap_or_default()
}

fn head(answer: &RawAnswer) -> Text {
    let mut text = Text::line(&format!("HTTP {}", answer.status));
    for (name, value) in &answer.headers {
        text.faint(&format!("{name}: ")).plain(value).end_line();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_sent_as_a_person_means_it() {
        let path = "/v1/ns/a/-/config?at={2h ago}&x=%7B/ü";
        assert_eq!(
            escaped(path),
            "/v1/ns/a/-/config?at=%7B2h%20ago%7D&x=%7B/%C3%BC"
        );
    }

    #[test]
    fn a_header_has_a_name_and_a_value() {
        let accept = ("Accept".to_owned(), "a:b".to_owned());
        assert_eq!(header("Accept:  a:b").unwrap(), accept);
        assert_eq!(header("Accept").unwrap_err().exit, Exit::Usage);
        assert_eq!(header(": x").unwrap_err().exit, Exit::Usage);
    }
}

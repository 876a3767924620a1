//! What a command found or did, before anybody decides how it is printed.

use serde::Serialize;

use crate::error::CliError;
use crate::exit::Exit;
use crate::text::Text;

/// One thing to print: for people as text, for programs as JSON.
pub(crate) trait Output {
    /// For people.
    fn text(&self) -> Text;
    /// For programs: one document.
    fn json(&self, pretty: bool) -> serde_json::Result<String>;
}

/// What a command found or did.
pub(crate) struct Report {
    /// What goes to stdout.
    pub(crate) body: Body,
    /// Whether it may be long enough for a pager.
    pub(crate) paged: bool,
    /// How the run ends if printing works.
    pub(crate) exit: Exit,
}

/// Documents to print, until one could not be had.
pub(crate) type Items = Box<dyn Iterator<Item = Result<Box<dyn Output>, CliError>>>;

/// What goes to stdout.
pub(crate) enum Body {
    /// Nothing.
    Nothing,
    /// One document.
    One(Box<dyn Output>),
    /// Several, each printed as soon as it is there; one JSON document a line.
    Stream(Items),
    /// As they happen: each is through before the next is waited for, whoever reads it.
    Live(Items),
    /// Bytes exactly as they are, for files and pipes.
    Bytes(Vec<u8>),
    /// A value: its bytes for files and pipes, escaped for a terminal.
    Value {
        /// The bytes.
        bytes: Vec<u8>,
        /// Whether they are text.
        text: bool,
        /// What `--json` prints.
        json: Box<dyn Output>,
    },
}

impl Report {
    fn of(body: Body) -> Self {
        Self {
            body,
            paged: false,
            exit: Exit::Ok,
        }
    }

    /// Nothing to print.
    pub(crate) fn nothing() -> Self {
        Self::of(Body::Nothing)
    }

    /// One document.
    pub(crate) fn one<T: Serialize + 'static>(
        value: T,
        render: impl Fn(&T) -> Text + 'static,
    ) -> Self {
        Self::of(Body::One(output(value, render)))
    }

    /// Several documents.
    pub(crate) fn stream(
        items: impl Iterator<Item = Result<Box<dyn Output>, CliError>> + 'static,
    ) -> Self {
        Self::of(Body::Stream(Box::new(items)))
    }

    /// Documents as they happen.
    pub(crate) fn live(
        items: impl Iterator<Item = Result<Box<dyn Output>, CliError>> + 'static,
    ) -> Self {
        Self::of(Body::Live(Box::new(items)))
    }

    /// Bytes exactly as they are.
    pub(crate) fn bytes(bytes: Vec<u8>) -> Self {
        Self::of(Body::Bytes(bytes))
    }

    /// A value.
    pub(crate) fn value(bytes: Vec<u8>, text: bool, json: Box<dyn Output>) -> Self {
        Self::of(Body::Value { bytes, text, json })
    }

    /// May be long: worth a pager on a terminal.
    pub(crate) fn paged(mut self) -> Self {
        self.paged = true;
        self
    }

    /// Ends the run this way.
    pub(crate) fn exiting(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }
}

/// Makes something to print of a value and a function that renders it.
pub(crate) fn output<T: Serialize + 'static>(
    value: T,
    render: impl Fn(&T) -> Text + 'static,
) -> Box<dyn Output> {
    Box::new(Rendered { value, render })
}

struct Rendered<T, R> {
    value: T,
    render: R,
}

impl<T: Serialize, R: Fn(&T) -> Text> Output for Rendered<T, R> {
    fn text(&self) -> Text {
        (self.render)(&self.value)
    }

    fn json(&self, pretty: bool) -> serde_json::Result<String> {
        if pretty {
            return serde_json::to_string_pretty(&self.value);
        }
        let mut line = serde_json::to_string(&self.value)?;
        // Values are in there as their authors wrote them, over several lines perhaps. Strings
        // cannot hold a bare line end, so each one is between tokens and a space does as well.
        if line.contains(['\n', '\r']) {
            line = line.replace(['\n', '\r'], " ");
        }
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_json_is_one_line_whatever_the_value() {
        let raw = serde_json::value::RawValue::from_string("{\n  \"a\": \"b\\n\"\r\n}".to_owned())
            .unwrap();
        let shown = output(raw, |_| Text::new());
        assert_eq!(shown.json(false).unwrap(), r#"{   "a": "b\n"  }"#);
    }
}

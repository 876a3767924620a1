//! The only place that prints.
//!
//! Data goes to stdout, everything else to stderr. Colour, pager, questions and progress exist only
//! where a person is looking.

use std::io::{self, BufRead as _, IsTerminal as _, Write};
use std::rc::Rc;

use anstream::{AutoStream, ColorChoice};

use crate::error::CliError;
use crate::exit::Exit;
use crate::interrupt;
use crate::jq::Filter;
use crate::pager::Pager;
use crate::progress::Progress;
use crate::report::{Body, Items, Output, Report};
use crate::text::{Role, Text, escape_lines};

/// Columns where nobody says how many there are.
const WIDTH_DEFAULT: usize = 160;

/// How to talk to whoever started this.
#[derive(Debug, Clone)]
pub(crate) struct Ui {
    /// Print JSON.
    pub(crate) json: bool,
    /// Say nothing but errors on stderr.
    pub(crate) quiet: bool,
    /// Say more.
    pub(crate) verbose: u8,
    /// Ask nothing.
    pub(crate) no_input: bool,
    color: ColorChoice,
    stdout_is_terminal: bool,
    stderr_is_terminal: bool,
    filter: Option<Rc<Filter>>,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum ColorWhen {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Ui {
    pub(crate) fn new(
        json: bool,
        quiet: bool,
        verbose: u8,
        no_input: bool,
        color: ColorWhen,
    ) -> Self {
        let color = match color {
            ColorWhen::Auto => ColorChoice::Auto,
            ColorWhen::Always => ColorChoice::Always,
            ColorWhen::Never => ColorChoice::Never,
        };
        Self {
            json,
            quiet,
            verbose,
            no_input,
            color,
            stdout_is_terminal: io::stdout().is_terminal(),
            stderr_is_terminal: io::stderr().is_terminal(),
            filter: None,
        }
    }

    /// Prints what a filter makes of the JSON.
    pub(crate) fn filtering(self, filter: Option<Filter>) -> Self {
        Self {
            filter: filter.map(Rc::new),
            ..self
        }
    }

    /// Whether a person reads stdout.
    pub(crate) fn is_terminal(&self) -> bool {
        self.stdout_is_terminal
    }

    /// What `--color` says, where it says something.
    pub(crate) fn color_chosen(&self) -> Option<&'static str> {
        match self.color {
            ColorChoice::Never => Some("never"),
            ColorChoice::Always | ColorChoice::AlwaysAnsi => Some("always"),
            ColorChoice::Auto => None,
        }
    }

    /// Columns of the terminal; many where stdout is none.
    pub(crate) fn width(&self) -> usize {
        #[cfg(unix)]
        if let Ok(size) = rustix::termios::tcgetwinsize(io::stdout())
            && size.ws_col > 0
        {
            return usize::from(size.ws_col);
        }
        WIDTH_DEFAULT
    }

    /// Prints a report and says how the run ends.
    pub(crate) fn print(&self, report: Report) -> Result<Exit, CliError> {
        let Report { body, paged, exit } = report;
        let pager = match paged && self.stdout_is_terminal && !self.json {
            true => Pager::start(),
            false => None,
        };
        let printed = match pager {
            Some(mut pager) => {
                let colored = self.stdout_has_color();
                interrupt::during(interrupt::Answer::Hold, || {
                    let printed = self.write(
                        &mut Sink {
                            out: pager.input(),
                            colored,
                        },
                        body,
                    );
                    pager.wait();
                    printed
                })
            }
            None => {
                let colored = self.stdout_has_color();
                let mut out = io::BufWriter::new(io::stdout().lock());
                let printed = self.write(
                    &mut Sink {
                        out: &mut out,
                        colored,
                    },
                    body,
                );
                printed.and_then(|()| out.flush().map_err(Failure::Write))
            }
        };
        match printed {
            Ok(()) => Ok(exit),
            Err(Failure::Command(error)) => Err(error),
            // Whoever read this has seen enough.
            Err(Failure::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(exit),
            Err(Failure::Write(error)) => Err(CliError::io("cannot write to stdout", &error)),
        }
    }

    fn write(&self, sink: &mut Sink<'_>, body: Body) -> Result<(), Failure> {
        match body {
            Body::Nothing => Ok(()),
            Body::One(document) => self.write_one(sink, document.as_ref(), self.stdout_is_terminal),
            // A person sees each as soon as it is there.
            Body::Stream(items) => self.write_each(sink, items, self.stdout_is_terminal),
            Body::Live(items) => self.write_each(sink, items, true),
            Body::Bytes(bytes) => match &self.filter {
                Some(filter) => filter_into(sink, filter, &bytes),
                None => sink.bytes(&bytes),
            },
            Body::Value { json, .. } if self.json => {
                self.write_one(sink, json.as_ref(), self.stdout_is_terminal)
            }
            Body::Value { bytes, text, .. } => self.write_value(sink, &bytes, text),
        }
    }

    fn write_each(&self, sink: &mut Sink<'_>, items: Items, at_once: bool) -> Result<(), Failure> {
        for item in items {
            interrupt::check().map_err(Failure::Command)?;
            self.write_one(sink, item.map_err(Failure::Command)?.as_ref(), false)?;
            if at_once {
                sink.out.flush().map_err(Failure::Write)?;
            }
        }
        Ok(())
    }

    fn write_one(
        &self,
        sink: &mut Sink<'_>,
        document: &dyn Output,
        pretty: bool,
    ) -> Result<(), Failure> {
        if !self.json {
            return sink.text(&document.text());
        }
        let json = document.json(pretty).map_err(|error| {
            Failure::Command(CliError::bug(format!("cannot write JSON: {error}")))
        })?;
        if let Some(filter) = &self.filter {
            return filter_into(sink, filter, json.as_bytes());
        }
        sink.bytes(json.as_bytes())?;
        sink.bytes(b"\n")
    }

    fn write_value(&self, sink: &mut Sink<'_>, bytes: &[u8], text: bool) -> Result<(), Failure> {
        if !self.stdout_is_terminal {
            return sink.bytes(bytes);
        }
        match std::str::from_utf8(bytes) {
            Ok(value) if text => {
                sink.bytes(escape_lines(value).as_bytes())?;
                match value.ends_with('\n') {
                    true => Ok(()),
                    false => sink.bytes(b"\n"),
                }
            }
            _ => Err(Failure::Command(
                CliError::usage("the value is binary and is not printed to a terminal")
                    .because(format!("it has {} bytes", bytes.len()))
                    .next("redirect it: … > FILE"),
            )),
        }
    }

    /// Says something beside the data; `--quiet` leaves it out.
    pub(crate) fn say(&self, text: &Text) {
        if !self.quiet {
            self.to_stderr(text);
        }
    }

    /// One line beside the data.
    pub(crate) fn note(&self, line: &str) {
        self.say(&Text::line(line));
    }

    /// Says what is allowed but worth knowing.
    pub(crate) fn warn(&self, line: &str) {
        let mut text = Text::new();
        text.push(Role::Warning, "warning: ").plain(line).end_line();
        self.say(&text);
    }

    /// Says what is being done, for whoever asked with `-v`.
    pub(crate) fn detail(&self, line: &str) {
        if self.verbose > 0 {
            let mut text = Text::new();
            text.faint(line).end_line();
            self.to_stderr(&text);
        }
    }

    /// Says what went wrong.
    pub(crate) fn error(&self, error: &CliError) {
        self.to_stderr(&error.to_text());
    }

    /// Asks a question that `yes` answers.
    pub(crate) fn confirm(&self, question: &str, yes: bool) -> Result<(), CliError> {
        if yes {
            return Ok(());
        }
        let refused = |why: &str| {
            CliError::new(Exit::Confirmation, format!("not done: {question}"))
                .because(why)
                .next("answer with --yes")
        };
        if self.no_input || !self.stderr_is_terminal || !io::stdin().is_terminal() {
            return Err(refused("nobody is there to ask"));
        }
        let mut prompt = Text::new();
        prompt.push(Role::Heading, question).plain(" [y/N] ");
        self.to_stderr(&prompt);
        let mut answer = String::new();
        interrupt::during(interrupt::Answer::Now, || {
            io::stdin().lock().read_line(&mut answer)
        })
        .map_err(|error| CliError::io("cannot read the answer", &error))?;
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(CliError::new(Exit::Confirmation, "nothing was changed")
                .because("the answer was no")),
        }
    }

    /// Shows something and asks for one of a few answers, each by its first letter.
    pub(crate) fn choose(
        &self,
        shown: &Text,
        question: &str,
        choices: &[(char, &str)],
    ) -> Result<char, CliError> {
        let words: Vec<&str> = choices.iter().map(|(_, word)| *word).collect();
        if self.no_input || !self.stderr_is_terminal || !io::stdin().is_terminal() {
            let options: Vec<String> = words.iter().map(|word| format!("--{word}")).collect();
            return Err(
                CliError::new(Exit::Confirmation, format!("{question} what?"))
                    .because("nobody is there to ask")
                    .next(format!("say it: {}", options.join(", "))),
            );
        }
        loop {
            self.to_stderr(shown);
            let mut prompt = Text::new();
            prompt
                .push(Role::Heading, question)
                .plain(&format!(" [{}] ", words.join("/")));
            self.to_stderr(&prompt);
            let mut answer = String::new();
            let read = interrupt::during(interrupt::Answer::Now, || {
                io::stdin().lock().read_line(&mut answer)
            })
            .map_err(|error| CliError::io("cannot read the answer", &error))?;
            let answer = answer.trim().to_ascii_lowercase();
            let meant = choices
                .iter()
                .find(|(letter, word)| answer == *word || answer == letter.to_string());
            match (meant, read) {
                (Some((letter, _)), _) => return Ok(*letter),
                (None, 0) => {
                    return Err(CliError::new(Exit::Confirmation, "nothing was changed")
                        .because("there was no answer"));
                }
                (None, _) => {}
            }
        }
    }

    /// A bar for something that may take a while.
    pub(crate) fn progress(&self, what: &str) -> Progress {
        match self.stderr_is_terminal && !self.quiet {
            true => Progress::on_terminal(what),
            false => Progress::hidden(),
        }
    }

    fn stdout_has_color(&self) -> bool {
        has_color(self.color, &io::stdout())
    }

    fn to_stderr(&self, text: &Text) {
        let rendered = match has_color(self.color, &io::stderr()) {
            true => text.to_ansi(),
            false => text.to_plain(),
        };
        // There is nowhere left to report that stderr is gone.
        let _ = io::stderr().lock().write_all(rendered.as_bytes());
    }
}

/// Prints what a filter makes of a document, a line each.
fn filter_into(sink: &mut Sink<'_>, filter: &Filter, json: &[u8]) -> Result<(), Failure> {
    for line in filter.apply(json).map_err(Failure::Command)? {
        sink.bytes(&line)?;
        sink.bytes(b"\n")?;
    }
    Ok(())
}

fn has_color<S: anstream::stream::RawStream>(choice: ColorChoice, stream: &S) -> bool {
    let choice = match choice {
        ColorChoice::Auto => AutoStream::choice(stream),
        choice => choice,
    };
    choice != ColorChoice::Never
}

/// Where data goes.
struct Sink<'a> {
    out: &'a mut dyn Write,
    colored: bool,
}

/// Why printing stopped.
enum Failure {
    Write(io::Error),
    Command(CliError),
}

impl Sink<'_> {
    fn text(&mut self, text: &Text) -> Result<(), Failure> {
        let rendered = if self.colored {
            text.to_ansi()
        } else {
            text.to_plain()
        };
        self.bytes(rendered.as_bytes())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.out.write_all(bytes).map_err(Failure::Write)
    }
}

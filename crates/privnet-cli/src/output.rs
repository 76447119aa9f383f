//! Standard output for results, standard error for everything else.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::args::{Color, Format};
use crate::failure::Failure;
use crate::render::{Paint, failure_text};

/// The first thing that kept a result from being written. Standard output is the process's, and so is this.
static UNWRITTEN: Mutex<Option<io::Error>> = Mutex::new(None);

/// Remembers that something of the result was not written. A reader that went away has what it wanted.
pub(crate) fn note_unwritten(error: io::Error) {
    if error.kind() != io::ErrorKind::BrokenPipe {
        UNWRITTEN.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// An error where a result could not be written: a script that finds half of it must not take it for the whole. It is told once.
pub(crate) fn written() -> Result<(), Failure> {
    let unwritten = UNWRITTEN.lock().unwrap_or_else(PoisonError::into_inner).take();
    unwritten.map_or(Ok(()), |error| Err(Failure::io("the result could not be written", &error)))
}

/// Whether the terminal knows no escape sequences.
pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|value| value == "dumb")
}

/// Where a command writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    format: Format,
    color: Color,
}

impl Output {
    pub(crate) fn new(format: Format, color: Color) -> Self {
        Self { format, color }
    }

    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// How text on standard output is painted.
    pub(crate) fn paint(self) -> Paint {
        self.paint_for(std::io::stdout().is_terminal())
    }

    fn paint_for(self, terminal: bool) -> Paint {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) || is_dumb();
        match self.color {
            Color::Always => Paint::Colour,
            Color::Never => Paint::Plain,
            Color::Auto if terminal && !plain => Paint::Colour,
            Color::Auto => Paint::Plain,
        }
    }

    /// How text on standard error is painted.
    pub(crate) fn paint_err(self) -> Paint {
        self.paint_for(std::io::stderr().is_terminal())
    }

    /// Writes a result: `text` for people, `json` for programs. What cannot be written is told by [`written`].
    pub(crate) fn result(self, text: impl FnOnce(Paint) -> String, json: impl FnOnce() -> Value) {
        let rendered = match self.format {
            Format::Text => text(self.paint()),
            Format::Json => format!("{:#}\n", json()),
        };
        self.raw(rendered.as_bytes());
    }

    /// Writes text that is a result in itself, such as a schema.
    pub(crate) fn raw(self, bytes: &[u8]) {
        let mut out = std::io::stdout().lock();
        if let Err(error) = out.write_all(bytes).and_then(|()| out.flush()) {
            note_unwritten(error);
        }
    }

    /// Writes a remark to standard error.
    pub(crate) fn remark(self, text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    /// Writes an error to standard error.
    pub(crate) fn failure(self, failure: &Failure) {
        let text = match self.format {
            Format::Text => failure_text(failure, self.paint_err()),
            Format::Json => format!("{}\n", failure.json()),
        };
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}

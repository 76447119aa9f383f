//! Standard output for results, standard error for everything else.

use std::io::{IsTerminal as _, Write as _};

use serde_json::Value;

use crate::args::{Color, Format};
use crate::failure::Failure;
use crate::render::{Paint, failure_text};

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
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
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

    /// Writes a result: `text` for people, `json` for programs. A reader that went away is no failure.
    pub(crate) fn result(self, text: impl FnOnce(Paint) -> String, json: impl FnOnce() -> Value) {
        let rendered = match self.format {
            Format::Text => text(self.paint()),
            Format::Json => format!("{:#}\n", json()),
        };
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(rendered.as_bytes());
        let _ = out.flush();
    }

    /// Writes text that is a result in itself, such as a schema.
    pub(crate) fn raw(self, bytes: &[u8]) {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(bytes);
        let _ = out.flush();
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

//! Errors: of files with their lines, and of everything else with causes and hints.

use std::fmt::Write as _;

use privnet::FileError;
use serde_json::{Value, json};

use super::{Paint, Style, count};
use crate::failure::Failure;

/// An error for people.
pub(crate) fn failure_text(failure: &Failure, paint: Paint) -> String {
    if let Some(errors) = &failure.shown {
        return file_errors_text(errors, paint);
    }
    let code = failure.code.as_ref().map(|code| format!("[{code}]")).unwrap_or_default();
    let mut out = format!("{} {}\n", paint.on(Style::Bad, format!("error{code}:")), failure.message);
    for cause in &failure.causes {
        let _ = writeln!(out, "  {cause}");
    }
    if let Some(id) = &failure.request_id {
        let _ = writeln!(out, "  {}", paint.on(Style::Dim, format!("request id {id}")));
    }
    for hint in &failure.hints {
        let _ = writeln!(out, "{} {hint}", paint.on(Style::Change, "hint:"));
    }
    out
}

/// An error of a file for programs.
pub(crate) fn file_error_json(error: &FileError) -> Value {
    json!({
        "code": error.code,
        "message": error.message,
        "line": error.line,
        "column": error.column,
        "hint": error.hint,
    })
}

/// All errors of files, each with its line.
pub(crate) fn file_errors_text(errors: &[FileError], paint: Paint) -> String {
    let mut out = String::new();
    for error in errors {
        let _ = writeln!(out, "{}", error.render(paint == Paint::Colour));
    }
    let _ = writeln!(out, "{}", paint.on(Style::Bad, count(errors.len(), "error")));
    out
}

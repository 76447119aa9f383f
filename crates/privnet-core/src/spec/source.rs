//! The text of a file, and the errors found in it so far.

use std::collections::HashSet;

use super::error::FileError;
use super::model::Place;

/// A part of the text, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// More errors than this in one file help nobody.
const MOST_ERRORS: usize = 1000;
/// A line is shown whole up to this many characters, else the part around the error.
const SHOWN: usize = 120;
/// How much of a long line is shown before the error.
const BEFORE: usize = 40;

/// Bytes between two places whose characters have been counted.
const STEP: usize = 1024;

/// The text of a file with the places of its lines. A program's JSON is one line, so nothing here walks a line.
pub(super) struct Source<'a> {
    name: &'a str,
    text: &'a str,
    /// Where each line begins, in bytes.
    lines: Vec<usize>,
    /// How many characters lie before each multiple of [`STEP`].
    counted: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(super) fn new(name: &'a str, text: &'a str) -> Self {
        let starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(starts).collect();
        let mut total = 0;
        let counted = std::iter::once(0)
            .chain(text.as_bytes().chunks(STEP).map(|chunk| {
                total += characters(chunk);
                total
            }))
            .collect();
        Self { name, text, lines, counted }
    }

    pub(super) fn name(&self) -> &'a str {
        self.name
    }

    /// The line (from 0) that a byte lies in, where it begins, and its text without its line break.
    fn line_at(&self, byte: usize) -> (usize, usize, &'a str) {
        let line = self.lines.partition_point(|start| *start <= byte).saturating_sub(1);
        let start = self.lines.get(line).copied().unwrap_or(0);
        let end = self.lines.get(line + 1).copied().unwrap_or(self.text.len());
        let text = self.text.get(start..end).unwrap_or("");
        (line, start, text.trim_end_matches(['\n', '\r']))
    }

    /// How many characters lie before a byte.
    fn before(&self, byte: usize) -> usize {
        let byte = byte.min(self.text.len());
        let counted = self.counted.get(byte / STEP).copied().unwrap_or(0);
        counted + self.text.as_bytes().get(byte / STEP * STEP..byte).map_or(0, characters)
    }

    /// The place of a byte.
    pub(super) fn place(&self, byte: usize) -> Place {
        let (line, start, _) = self.line_at(byte);
        let column = self.before(byte).saturating_sub(self.before(start));
        Place { line: count(line + 1), column: count(column + 1) }
    }

    fn error(&self, code: &'static str, span: Span, message: &str, hint: Option<String>) -> FileError {
        let (_, start, text) = self.line_at(span.start);
        let Place { line, column } = self.place(span.start);
        let from = span.start.clamp(start, start + text.len()) - start;
        let end = span.end.clamp(start + from, start + text.len());
        let covered = self.before(end).saturating_sub(self.before(start + from));
        let long = text.chars().nth(SHOWN).is_some();
        let (left, right) = text.split_at_checked(from).unwrap_or((text, ""));
        let skipped =
            if long { left.char_indices().rev().nth(BEFORE - 1).map_or(0, |(at, _)| at) } else { 0 };
        let offset = left.get(skipped..).map_or(0, |part| part.chars().count());
        let around = left.get(skipped..).unwrap_or("").chars().chain(right.chars());
        FileError {
            code,
            message: printable(message.chars()),
            file: self.name.to_owned(),
            line,
            column,
            width: count(covered.clamp(1, SHOWN.saturating_sub(offset).max(1))),
            source_line: printable(around.take(SHOWN)),
            offset: count(offset),
            hint,
        }
    }
}

/// Characters of UTF-8: all bytes but those that continue one.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}

/// Control characters could move a terminal's cursor.
fn printable(text: impl Iterator<Item = char>) -> String {
    text.map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Gathers errors.
pub(super) struct Errors<'a> {
    pub(super) source: Source<'a>,
    found: Vec<(Span, FileError)>,
    /// What was said where: a node that several aliases name would say the same thing each time.
    said: HashSet<(Span, &'static str, String)>,
    dropped: usize,
}

impl<'a> Errors<'a> {
    pub(super) fn new(source: Source<'a>) -> Self {
        Self { source, found: Vec::new(), said: HashSet::new(), dropped: 0 }
    }

    pub(super) fn add(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.push(code, span, message.into(), None);
    }

    pub(super) fn add_hint(
        &mut self,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(code, span, message.into(), Some(hint.into()));
    }

    pub(super) fn push(&mut self, code: &'static str, span: Span, message: String, hint: Option<String>) {
        if self.found.len() >= MOST_ERRORS {
            self.dropped += 1;
            return;
        }
        let said = (span, code, message);
        if self.said.contains(&said) {
            return;
        }
        let error = self.source.error(code, span, &said.2, hint);
        self.said.insert(said);
        self.found.push((span, error));
    }

    /// Says this in the place of what was found at the very same part of the text.
    pub(super) fn say_instead(
        &mut self,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.found.retain(|(found, _)| *found != span);
        self.add_hint(code, span, message, hint);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether something was found in this part of the text.
    pub(super) fn any_within(&self, span: Span) -> bool {
        self.found.iter().any(|(found, _)| (span.start..span.end).contains(&found.start))
    }

    /// The errors in the order of the file.
    pub(super) fn finish(mut self) -> Vec<FileError> {
        self.found.sort_by_key(|(span, _)| (span.start, span.end));
        let mut errors: Vec<FileError> = self.found.into_iter().map(|(_, error)| error).collect();
        if let (1.., Some(last)) = (self.dropped, errors.last().cloned()) {
            let message = format!("{} more errors are not shown", self.dropped);
            errors.push(FileError { code: "too-many-errors", message, hint: None, ..last });
        }
        errors
    }
}

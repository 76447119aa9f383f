//! The text of a file, and the errors found in it so far.

use super::error::FileError;
use super::model::Place;

/// A part of the text, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
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

/// The text of a file with the places of its lines.
pub(super) struct Source<'a> {
    name: &'a str,
    text: &'a str,
    /// Where each line begins, in bytes.
    lines: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(super) fn new(name: &'a str, text: &'a str) -> Self {
        let starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { name, text, lines: std::iter::once(0).chain(starts).collect() }
    }

    pub(super) fn name(&self) -> &'a str {
        self.name
    }

    /// The line (from 0) that a byte lies in, and the line's text without its line break.
    fn line_at(&self, byte: usize) -> (usize, usize, &'a str) {
        let line = self.lines.partition_point(|start| *start <= byte).saturating_sub(1);
        let start = self.lines.get(line).copied().unwrap_or(0);
        let rest = self.text.get(start..).unwrap_or("");
        let end = rest.find('\n').unwrap_or(rest.len());
        (line, start, rest[..end].trim_end_matches('\r'))
    }

    /// The place of a byte.
    pub(super) fn place(&self, byte: usize) -> Place {
        let (line, start, _) = self.line_at(byte);
        Place { line: count(line + 1), column: count(self.characters(start, byte) + 1) }
    }

    /// How many characters lie between two places.
    fn characters(&self, start: usize, end: usize) -> usize {
        self.text.get(start..end.min(self.text.len())).map_or(0, |part| part.chars().count())
    }

    fn error(&self, code: &'static str, span: Span, message: String, hint: Option<String>) -> FileError {
        let (line, start, text) = self.line_at(span.start);
        let column = self.characters(start, span.start);
        let covered = self.characters(span.start, span.end.min(start + text.len()));
        let skip = if text.chars().nth(SHOWN).is_some() { column.saturating_sub(BEFORE) } else { 0 };
        let shown: String =
            text.chars().skip(skip).take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let room = SHOWN.saturating_sub(column - skip);
        FileError {
            code,
            message: message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
            file: self.name.to_owned(),
            line: count(line + 1),
            column: count(column + 1),
            width: count(covered.clamp(1, room.max(1))),
            source_line: shown,
            offset: count(column - skip),
            hint,
        }
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Gathers errors.
pub(super) struct Errors<'a> {
    pub(super) source: Source<'a>,
    found: Vec<(Span, FileError)>,
    dropped: usize,
}

impl<'a> Errors<'a> {
    pub(super) fn new(source: Source<'a>) -> Self {
        Self { source, found: Vec::new(), dropped: 0 }
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
        let error = self.source.error(code, span, message, hint);
        // A node that several aliases name would say the same thing each time.
        let same = |(other, seen): &(Span, FileError)| {
            *other == span && seen.code == error.code && seen.message == error.message
        };
        if !self.found.iter().rev().take(64).any(same) {
            self.found.push((span, error));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The errors in the order of the file.
    pub(super) fn finish(mut self) -> Vec<FileError> {
        if self.dropped > 0 {
            let last = self.found.last().map_or(Span::default(), |(span, _)| *span);
            let message = format!("{} more errors are not shown", self.dropped);
            let error = self.source.error("too-many-errors", last, message, None);
            self.found.push((Span { start: usize::MAX, end: usize::MAX }, error));
        }
        self.found.sort_by_key(|(span, _)| (span.start, span.end));
        self.found.into_iter().map(|(_, error)| error).collect()
    }
}

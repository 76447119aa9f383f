//! Errors of a file: what, where, and what to do about it.

use std::fmt;

use serde::Serialize;

/// One error of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileError {
    /// A stable word for programs, such as `unknown-key`.
    pub code: &'static str,
    /// What is wrong, in one line.
    pub message: String,
    /// The file, as the caller named it.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// How many characters the error covers; at least 1.
    pub width: u32,
    /// The line itself; the part around the error if it is long. Control characters are replaced.
    pub source_line: String,
    /// Where in `source_line` the error begins, in characters from 0.
    pub offset: u32,
    /// What to do about it.
    pub hint: Option<String>,
}

impl FileError {
    /// The error with its line and a mark under the place; without a line break at its end.
    ///
    /// ```text
    /// error[unknown-key]: `prots` is no key of a service on AWS
    ///    --> aws.yaml:12:7
    ///    |
    /// 12 |       prots: []
    ///    |       ^^^^^
    ///    = hint: did you mean `ports`?
    /// ```
    pub fn render(&self, ansi: bool) -> String {
        let paint = |code: &str, text: &str| {
            if ansi { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
        };
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let bar = paint("34", "|");
        let head = paint("1;31", &format!("error[{}]", self.code));
        let mark = paint("1;31", &"^".repeat(self.width as usize));
        let indent = " ".repeat(self.offset as usize);
        let mut lines = vec![
            format!("{head}: {}", paint("1", &self.message)),
            format!("{margin} {} {}:{}:{}", paint("34", "-->"), self.file, self.line, self.column),
            format!("{margin} {bar}"),
            format!("{} {bar} {}", paint("34", &number), self.source_line).trim_end().to_owned(),
            format!("{margin} {bar} {indent}{mark}"),
        ];
        if let Some(hint) = &self.hint {
            lines.push(format!("{margin} {} hint: {hint}", paint("34", "=")));
        }
        lines.join("\n")
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

impl std::error::Error for FileError {}

/// All errors, rendered one after the other with an empty line between them.
pub fn render_all(errors: &[FileError], ansi: bool) -> String {
    let shown: Vec<String> = errors.iter().map(|error| error.render(ansi)).collect();
    shown.join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_stands_under_the_place() {
        let error = FileError {
            code: "unknown-key",
            message: "`prots` is no key of a service on AWS".to_owned(),
            file: "aws.yaml".to_owned(),
            line: 12,
            column: 7,
            width: 5,
            source_line: "      prots: []".to_owned(),
            offset: 6,
            hint: Some("did you mean `ports`?".to_owned()),
        };
        let expected = "\
error[unknown-key]: `prots` is no key of a service on AWS
   --> aws.yaml:12:7
   |
12 |       prots: []
   |       ^^^^^
   = hint: did you mean `ports`?";
        assert_eq!(error.render(false), expected);
        assert_eq!(error.to_string(), "aws.yaml:12:7: `prots` is no key of a service on AWS");
    }
}

//! Values that are written as text and hold a rule.

use std::fmt;

/// Why a text is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextProblem {
    /// What is wrong, as a clause: `has an underscore`.
    pub why: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl TextProblem {
    /// A problem without advice.
    pub fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), hint: None }
    }

    /// The same problem with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for TextProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for TextProblem {}

/// The rule of a text, as data: the decoder checks it and the JSON schema states it.
#[derive(Clone, Copy)]
pub struct TextRule {
    /// What the text is, with its article: `an AWS account id`.
    pub what: &'static str,
    /// A regular expression for editors. It may be wider than the check, never narrower.
    pub pattern: Option<&'static str>,
    /// A text that passes.
    pub example: &'static str,
    /// The check itself.
    pub check: fn(&str) -> Result<(), TextProblem>,
}

impl TextRule {
    /// Whether digits alone may pass: an id may be written without quotes, and is a number then.
    pub(super) fn takes_numbers(&self) -> bool {
        ["1", "4711", "123456789012", "12345678901234567890"].iter().any(|text| (self.check)(text).is_ok())
    }
}

impl fmt::Debug for TextRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextRule").field("what", &self.what).field("pattern", &self.pattern).finish()
    }
}

/// A value that is parsed from text.
pub trait Text: Sized {
    /// The rule, for the decoder's messages and the schema.
    const RULE: TextRule;

    /// Parses the text.
    ///
    /// # Errors
    /// Says in a clause why the text breaks the rule.
    fn parse_text(text: &str) -> Result<Self, TextProblem>;
}

/// `true` when every character passes and there is at least one.
pub(super) fn all(text: &str, pass: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(pass)
}

/// Lower-case ASCII letters and digits.
pub(super) fn lower_alnum(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

/// Lower-case hexadecimal digits.
pub(super) fn lower_hex(c: char) -> bool {
    c.is_ascii_digit() || ('a'..='f').contains(&c)
}

/// Declares a newtype over `String` whose values have passed `parse`: a function from the text as written to
/// the text as kept.
macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $pattern:expr, $example:literal, $parse:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl $crate::spec::Text for $name {
            const RULE: $crate::spec::TextRule = $crate::spec::TextRule {
                what: $what,
                pattern: $pattern,
                example: $example,
                check: |text| Self::parse_text(text).map(|_| ()),
            };

            fn parse_text(text: &str) -> Result<Self, $crate::spec::TextProblem> {
                let parse: fn(&str) -> Result<String, $crate::spec::TextProblem> = $parse;
                parse(text).map(Self)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::spec::TextProblem;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                <Self as $crate::spec::Text>::parse_text(text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

/// Gives a structured type with a `fn parse(&str) -> Result<Self, TextProblem>` and a `Display` the traits
/// that the text newtypes have.
macro_rules! structured_text {
    ($name:ident, $what:literal, $pattern:expr, $example:literal) => {
        impl $crate::spec::Text for $name {
            const RULE: $crate::spec::TextRule = $crate::spec::TextRule {
                what: $what,
                pattern: $pattern,
                example: $example,
                check: |text| Self::parse(text).map(|_| ()),
            };

            fn parse_text(text: &str) -> Result<Self, $crate::spec::TextProblem> {
                Self::parse(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::spec::TextProblem;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

pub(super) use {structured_text, text_type};

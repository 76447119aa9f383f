//! The format's structure as data. One table drives the decoder's structural check and the JSON schema.

use super::source::{Errors, Span};
use super::text::TextRule;
use super::tree::{Entry, NodeId, Tree, Value};

/// What a value may be.
#[derive(Debug)]
pub(super) enum Shape {
    /// A text with a rule.
    Text(&'static TextRule),
    /// A text with a rule, or the wildcard `*`.
    TextOrAnyone(&'static TextRule),
    /// A whole number.
    Whole { least: u64, most: u64 },
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list without repeated texts.
    List { of: &'static Shape, least: usize, most: usize },
    /// A map with known keys.
    Map(&'static MapShape),
    /// A map with exactly one of its keys.
    OneOf(&'static MapShape),
    /// A map with keys of the user's own.
    Dict { key: &'static TextRule, of: &'static Shape },
    /// One text, or a list of them.
    TextOrList(&'static Shape, &'static Shape),
}

/// A map with known keys.
#[derive(Debug)]
pub(super) struct MapShape {
    /// What the map is, with its article: `a port`.
    pub(super) what: &'static str,
    /// Its keys.
    pub(super) keys: &'static [Key],
    /// Of these keys there must be exactly one. Empty: no such rule.
    pub(super) exactly_one: &'static [&'static str],
    /// Where keys that do not belong here do belong.
    pub(super) elsewhere: &'static [(&'static MapShape, &'static str)],
}

impl MapShape {
    /// An unknown key stands there that probably means this one; it has been reported, the absence need not be.
    pub(super) fn is_misspelt(&self, entries: &[Entry], key: &str) -> bool {
        entries.iter().any(|entry| {
            let unknown = !self.keys.iter().any(|known| known.name == entry.key);
            unknown && entry.key.len() <= 64 && is_close(&entry.key, key)
        })
    }
}

/// A key of a map.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) shape: &'static Shape,
    /// It must be there, whatever else is.
    pub(super) required: bool,
    /// The default as the file would say it, for editors.
    pub(super) default: Option<&'static str>,
    /// For editors.
    pub(super) doc: &'static str,
}

impl Key {
    pub(super) const fn new(name: &'static str, shape: &'static Shape, doc: &'static str) -> Self {
        Self { name, shape, required: false, default: None, doc }
    }

    pub(super) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub(super) const fn default(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }
}

/// Checks a node against a shape and reports everything that is wrong with it.
///
/// `what` names the value in messages, `at` is the place of its key, where missing keys are reported.
pub(super) fn check(tree: &Tree, id: NodeId, shape: &Shape, what: &str, at: Span, errors: &mut Errors<'_>) {
    let node = tree.node(id);
    let span = node.span;
    match (shape, &node.value) {
        (_, Value::Broken) => {}
        (Shape::Text(rule), Value::Scalar { text, plain }) => {
            check_text(text, *plain, rule, what, span, errors);
        }
        (Shape::TextOrAnyone(rule), Value::Scalar { text, plain }) => {
            if text != "*" {
                check_text(text, *plain, rule, what, span, errors);
            }
        }
        (Shape::Whole { least, most }, Value::Scalar { text, plain }) => {
            check_whole(text, *plain, (*least, *most), what, span, errors);
        }
        (Shape::Flag, Value::Scalar { text, plain }) => check_flag(text, *plain, what, span, errors),
        (Shape::Word(words), Value::Scalar { text, .. }) => check_word(text, words, what, span, errors),
        (Shape::List { of, least, most }, Value::List(items)) => {
            check_list(tree, items, of, (*least, *most), what, at, errors);
        }
        (Shape::Map(map) | Shape::OneOf(map), Value::Map(entries)) => {
            check_map(tree, entries, shape, map, at, errors);
        }
        (Shape::Dict { key, of }, Value::Map(entries)) => {
            for entry in entries {
                check_text(&entry.key, false, key, "the key", entry.span, errors);
                check(tree, entry.node, of, &format!("`{}`", entry.key), entry.span, errors);
            }
        }
        (Shape::TextOrList(_, list), Value::List(_)) => check(tree, id, list, what, at, errors),
        (Shape::TextOrList(text, _), Value::Scalar { .. }) => check(tree, id, text, what, at, errors),
        (shape, value) => wrong_type(shape, value, what, span, errors),
    }
}

fn check_map(
    tree: &Tree,
    entries: &[Entry],
    shape: &Shape,
    map: &'static MapShape,
    at: Span,
    errors: &mut Errors<'_>,
) {
    for entry in entries {
        match map.keys.iter().find(|key| key.name == entry.key) {
            Some(key) => check(tree, entry.node, key.shape, &format!("`{}`", key.name), entry.span, errors),
            None => unknown_key(entry, map, errors),
        }
    }
    for key in map.keys.iter().filter(|key| key.required) {
        if !entries.iter().any(|entry| entry.key == key.name) && !map.is_misspelt(entries, key.name) {
            errors.add("missing-key", at, format!("{} needs `{}`", map.what, key.name));
        }
    }
    let alternatives: Vec<&str> = match shape {
        Shape::OneOf(_) => map.keys.iter().map(|key| key.name).collect(),
        _ => map.exactly_one.to_vec(),
    };
    if alternatives.is_empty() {
        return;
    }
    let given: Vec<&Entry> = entries.iter().filter(|e| alternatives.contains(&e.key.as_str())).collect();
    let list = or_list(&alternatives);
    match given.as_slice() {
        [_] => {}
        // An unknown key has been reported; it is the one that was meant.
        [] if matches!(shape, Shape::OneOf(_)) && !entries.is_empty() => {}
        [] => errors.add("needs-one", at, format!("{} needs exactly one of {list}", map.what)),
        [_, second, ..] => {
            let message = format!("{} has exactly one of {list}; this is one too many", map.what);
            errors.add("more-than-one", second.span, message);
        }
    }
}

fn unknown_key(entry: &Entry, map: &MapShape, errors: &mut Errors<'_>) {
    let message = format!("`{}` is no key of {}", entry.key, map.what);
    let names: Vec<&str> = map.keys.iter().map(|key| key.name).collect();
    let elsewhere =
        map.elsewhere.iter().find(|(other, _)| other.keys.iter().any(|key| key.name == entry.key));
    if entry.key == "<<" {
        let hint = "merge keys are not part of YAML 1.2; use `defaults`, or an anchor for a whole value";
        errors.add_hint("unknown-key", entry.span, message, hint);
    } else if let Some((_, hint)) = elsewhere {
        // One letter may be a slip, and need be none: nobody but the writer knows which.
        let is_slip = |word: &&str| strsim::damerau_levenshtein(&entry.key, word) == 1;
        let hint = match names.iter().find(|word| entry.key.len() <= 64 && is_slip(word)) {
            Some(word) => format!("did you mean `{word}`? As it is, {hint}"),
            None => (*hint).to_owned(),
        };
        errors.add_hint("unknown-key", entry.span, message, hint);
    } else {
        errors.add_hint("unknown-key", entry.span, message, suggest(&entry.key, &names, "the keys are"));
    }
}

fn check_list(
    tree: &Tree,
    items: &[NodeId],
    of: &Shape,
    (least, most): (usize, usize),
    what: &str,
    at: Span,
    errors: &mut Errors<'_>,
) {
    if items.len() < least {
        errors.add("too-few", at, format!("{what} needs at least {}", amount(least)));
    } else if items.len() > most {
        let span = items.get(most).map_or(at, |id| tree.node(*id).span);
        errors.add("too-many", span, format!("{what} takes at most {}", amount(most)));
    }
    let mut seen = std::collections::HashSet::new();
    for id in items {
        let span = tree.node(*id).span;
        check(tree, *id, of, &format!("an entry of {what}"), span, errors);
        if let Some(text) = tree.text(*id)
            && !seen.insert(text.to_ascii_lowercase())
        {
            errors.add("repeated", span, format!("{what} has `{text}` twice"));
        }
    }
}

fn amount(number: usize) -> String {
    if number == 1 { "one entry".to_owned() } else { format!("{number} entries") }
}

/// A plain scalar that YAML reads as nothing.
fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn check_text(text: &str, plain: bool, rule: &TextRule, what: &str, span: Span, errors: &mut Errors<'_>) {
    if plain && is_null(text) {
        errors.add("wrong-type", span, format!("{what} is empty; {} belongs here", rule.what));
        return;
    }
    if plain && matches!(text, "true" | "false" | "True" | "False" | "TRUE" | "FALSE") {
        let message = format!("{what} is a flag; {} belongs here", rule.what);
        errors.add_hint("wrong-type", span, message, format!("if the text is meant, write `\"{text}\"`"));
        return;
    }
    if let Err(problem) = (rule.check)(text) {
        let message = format!("{what}: `{}` is not {}: it {}", shorten(text), rule.what, problem.why);
        errors.push("invalid-value", span, message, problem.hint);
    } else if plain && is_number(text) && !rule.takes_numbers() {
        // An editor that goes by the schema sees a number, too.
        let message = format!("{what} is a number; {} belongs here", rule.what);
        errors.add_hint("wrong-type", span, message, format!("if the text is meant, write `\"{text}\"`"));
    }
}

/// A plain scalar that YAML reads as a number (YAML 1.2, 10.3.2).
fn is_number(text: &str) -> bool {
    let digits = |prefix: &str, radix: u32| {
        text.strip_prefix(prefix).is_some_and(|rest| super::text::all(rest, |c| c.is_digit(radix)))
    };
    let decimal = text.contains(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c))
        && text.parse::<f64>().is_ok();
    decimal || digits("0o", 8) || digits("0x", 16)
}

fn check_whole(
    text: &str,
    plain: bool,
    (least, most): (u64, u64),
    what: &str,
    span: Span,
    errors: &mut Errors<'_>,
) {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits {
        errors.add("wrong-type", span, format!("{what} must be a whole number"));
    } else if !plain {
        let message = format!("{what} must be a whole number, and this is a text");
        errors.add_hint("wrong-type", span, message, "write it without quotes");
    } else if text.len() > 1 && text.starts_with('0') {
        errors.add("wrong-type", span, format!("{what} is a number with a leading zero"));
    } else if !text.parse::<u64>().is_ok_and(|number| (least..=most).contains(&number)) {
        let message = if least == most {
            format!("{what} must be {least}")
        } else if most >= u64::from(u32::MAX) {
            format!("{what} must be at least {least}")
        } else {
            format!("{what} must be {least} to {most}")
        };
        errors.add("out-of-range", span, message);
    }
}

fn check_flag(text: &str, plain: bool, what: &str, span: Span, errors: &mut Errors<'_>) {
    if plain && matches!(text, "true" | "false") {
        return;
    }
    let message = format!("{what} must be `true` or `false`");
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" => errors.add_hint("wrong-type", span, message, "write `true`"),
        "false" | "no" | "off" | "n" => errors.add_hint("wrong-type", span, message, "write `false`"),
        _ => errors.add("wrong-type", span, message),
    }
}

fn check_word(text: &str, words: &[&str], what: &str, span: Span, errors: &mut Errors<'_>) {
    if !words.contains(&text) {
        let message = format!("{what} cannot be `{}`", shorten(text));
        errors.add_hint("unknown-word", span, message, suggest(text, words, "it may be"));
    }
}

fn wrong_type(shape: &Shape, value: &Value, what: &str, span: Span, errors: &mut Errors<'_>) {
    let wanted = match shape {
        Shape::Text(rule) | Shape::TextOrAnyone(rule) => rule.what,
        Shape::Whole { .. } => "a whole number",
        Shape::Flag => "`true` or `false`",
        Shape::Word(_) => "a word",
        Shape::List { .. } => "a list",
        Shape::Map(_) | Shape::OneOf(_) | Shape::Dict { .. } => "a map",
        Shape::TextOrList(..) => "a text or a list",
    };
    let given = match value {
        Value::Scalar { text, plain: true } if is_null(text) => "nothing",
        Value::Scalar { .. } => "a single value",
        Value::List(_) => "a list",
        Value::Map(_) | Value::Broken => "a map",
    };
    let message = format!("{what} must be {wanted}, and this is {given}");
    let hint = match (shape, value) {
        (Shape::Map(_) | Shape::Dict { .. }, Value::Scalar { text, plain: true }) if is_null(text) => {
            Some("for an empty map write `{}`".to_owned())
        }
        (Shape::List { .. }, Value::Scalar { text, .. }) if !is_null(text) => {
            Some(format!("write `[{}]`", shorten(text)))
        }
        (Shape::OneOf(map), _) => {
            let names: Vec<&str> = map.keys.iter().map(|key| key.name).collect();
            Some(format!("{} has exactly one of {}", map.what, or_list(&names)))
        }
        _ => None,
    };
    errors.push("wrong-type", span, message, hint);
}

/// A hint that names the closest of some words, or all of them.
pub(super) fn suggest(given: &str, known: &[&str], otherwise: &str) -> String {
    let distance = |word: &&str| strsim::damerau_levenshtein(given, word);
    // Longer than any word here: nothing can be close, and the distance would be slow.
    let close = if given.len() > 64 { None } else { known.iter().copied().min_by_key(distance) };
    match close.filter(|word| is_close(given, word)) {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("{otherwise}: {}", comma_list(known)),
    }
}

fn is_close(given: &str, word: &str) -> bool {
    strsim::damerau_levenshtein(given, word) <= 1 + word.len().max(given.len()) / 4
}

fn comma_list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

fn or_list(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [most @ .., last] => format!("{} or `{last}`", comma_list(most)),
    }
}

/// A text short enough for a message.
pub(super) fn shorten(text: &str) -> String {
    match text.char_indices().nth(160) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

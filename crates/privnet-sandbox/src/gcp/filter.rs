//! The `filter` parameter of lists.
//!
//! From its description in the discovery document: a field, a comparison (`=`, `!=`, `>`, `<`, `<=`, `>=`, or `:` for
//! "has"), and a value; `labels.owner:*` for "is set"; several in parentheses are joined by AND unless AND or OR stands
//! between them; `NOT` or `-` negates; or else `eq` and `ne` with a regular expression for the whole value.

use serde_json::Value;

use super::body::Object;
use super::error::ApiError;
use super::pattern::Pattern;

#[derive(Debug)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Test { field: Vec<String>, test: Test },
}

#[derive(Debug)]
enum Test {
    Equal(String),
    NotEqual(String),
    Has(String),
    Order { text: String, less: bool, equal: bool },
    Regular(Pattern),
    NotRegular(Pattern),
}

/// A parsed filter.
#[derive(Debug)]
pub(crate) struct Filter(Node);

impl Filter {
    /// Parses a filter.
    pub(crate) fn parse(text: &str) -> Result<Self, ApiError> {
        let wrong = || ApiError::field("filter", text, "Invalid list filter expression.");
        let tokens = tokens(text).ok_or_else(wrong)?;
        let mut parser = Parser { tokens: &tokens, at: 0 };
        let node = parser.any().ok_or_else(wrong)?;
        if parser.at == tokens.len() { Ok(Self(node)) } else { Err(wrong()) }
    }

    /// Whether an item passes.
    pub(crate) fn passes(&self, item: &Object) -> bool {
        passes(&self.0, &Value::Object(item.clone()))
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Open,
    Close,
    Minus,
    Sign(&'static str),
    Word(String),
    Quoted(String),
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    const SIGNS: [&str; 7] = ["!=", ">=", "<=", "=", ">", "<", ":"];
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let used = if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            found.push(Token::Sign(sign));
            sign.len()
        } else {
            match first {
                '(' | ')' => {
                    found.push(if first == '(' { Token::Open } else { Token::Close });
                    1
                }
                '"' | '\'' => {
                    let (inner, used) = quoted(rest, first)?;
                    found.push(Token::Quoted(inner));
                    used
                }
                '-' if !matches!(found.last(), Some(Token::Sign(_))) => {
                    found.push(Token::Minus);
                    1
                }
                _ => {
                    let end = rest
                        .find(|c: char| c.is_whitespace() || "()=!<>:\"".contains(c))
                        .unwrap_or(rest.len());
                    // A value (after a sign) may hold colons and slashes, as URLs and times do.
                    let end = match found.last() {
                        Some(Token::Sign(_)) => {
                            rest.find(|c: char| c.is_whitespace() || "()".contains(c)).unwrap_or(rest.len())
                        }
                        _ => end,
                    };
                    if end == 0 {
                        return None;
                    }
                    found.push(Token::Word(rest[..end].to_owned()));
                    end
                }
            }
        };
        rest = rest[used..].trim_start();
    }
    Some(found)
}

fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut out = String::new();
    let mut escaped = false;
    for (index, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => {
                // Only a quote or a backslash is unescaped: the rest belongs to a regular expression.
                if letter != quote && letter != '\\' {
                    out.push('\\');
                }
                out.push(letter);
                escaped = false;
            }
            '\\' => escaped = true,
            letter if letter == quote => return Some((out, index + letter.len_utf8())),
            letter => out.push(letter),
        }
    }
    None
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(text)) if text == word);
        self.at += usize::from(found);
        found
    }

    fn any(&mut self) -> Option<Node> {
        let mut nodes = vec![self.all()?];
        while self.word("OR") {
            nodes.push(self.all()?);
        }
        Some(if nodes.len() == 1 { nodes.remove(0) } else { Node::Any(nodes) })
    }

    fn all(&mut self) -> Option<Node> {
        let mut nodes = vec![self.one()?];
        loop {
            let explicit = self.word("AND");
            let ends = matches!(self.peek(), None | Some(Token::Close))
                || matches!(self.peek(), Some(Token::Word(text)) if text == "OR");
            if ends {
                return (!explicit)
                    .then(|| if nodes.len() == 1 { nodes.remove(0) } else { Node::All(nodes) });
            }
            nodes.push(self.one()?);
        }
    }

    fn one(&mut self) -> Option<Node> {
        match self.peek()? {
            Token::Minus => {
                self.at += 1;
                Some(Node::Not(Box::new(self.one()?)))
            }
            Token::Word(word) if word == "NOT" => {
                self.at += 1;
                Some(Node::Not(Box::new(self.one()?)))
            }
            Token::Open => {
                self.at += 1;
                let node = self.any()?;
                (self.peek() == Some(&Token::Close)).then(|| self.at += 1)?;
                Some(node)
            }
            Token::Word(field) => {
                let field = field.split('.').map(str::to_owned).collect();
                self.at += 1;
                Some(Node::Test { field, test: self.test()? })
            }
            _ => None,
        }
    }

    fn test(&mut self) -> Option<Test> {
        let sign = self.peek()?.clone();
        let value = match self.tokens.get(self.at + 1)? {
            Token::Word(text) | Token::Quoted(text) => text.clone(),
            _ => return None,
        };
        let test = match sign {
            Token::Sign("=") => Test::Equal(value),
            Token::Sign("!=") => Test::NotEqual(value),
            Token::Sign(":") => Test::Has(value),
            Token::Sign(sign) => {
                Test::Order { text: value, less: sign.starts_with('<'), equal: sign.len() == 2 }
            }
            Token::Word(word) if word == "eq" => Test::Regular(Pattern::parse(&value)?),
            Token::Word(word) if word == "ne" => Test::NotRegular(Pattern::parse(&value)?),
            _ => return None,
        };
        self.at += 2;
        Some(test)
    }
}

fn passes(node: &Node, item: &Value) -> bool {
    match node {
        Node::All(nodes) => nodes.iter().all(|node| passes(node, item)),
        Node::Any(nodes) => nodes.iter().any(|node| passes(node, item)),
        Node::Not(node) => !passes(node, item),
        Node::Test { field, test } => {
            let found = values(item, field);
            match test {
                Test::Equal(text) => found.iter().any(|value| equal(value, text)),
                Test::NotEqual(text) => !found.iter().any(|value| equal(value, text)),
                Test::Has(text) if text == "*" => !found.is_empty(),
                Test::Has(text) => found.iter().any(|value| has(value, text)),
                Test::Order { text, less, equal } => {
                    found.iter().any(|value| ordered(value, text, *less, *equal))
                }
                Test::Regular(pattern) => found.iter().any(|value| pattern.matches(value)),
                Test::NotRegular(pattern) => !found.iter().any(|value| pattern.matches(value)),
            }
        }
    }
}

/// The texts that a field has; of an array, all of its items'.
fn values(item: &Value, field: &[String]) -> Vec<String> {
    match (field, item) {
        (_, Value::Array(items)) => items.iter().flat_map(|item| values(item, field)).collect(),
        ([], Value::String(text)) => vec![text.clone()],
        ([], Value::Null) => Vec::new(),
        ([], other) => vec![other.to_string()],
        ([name, rest @ ..], Value::Object(members)) => {
            members.get(name).map(|member| values(member, rest)).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

fn equal(value: &str, text: &str) -> bool {
    match text.split_once('*') {
        Some((start, end)) => {
            value.len() >= start.len() + end.len() && value.starts_with(start) && value.ends_with(end)
        }
        None => value == text,
    }
}

fn has(value: &str, text: &str) -> bool {
    value.to_lowercase().contains(&text.trim_matches('*').to_lowercase())
}

fn ordered(value: &str, text: &str, less: bool, equal: bool) -> bool {
    let order = match (value.parse::<f64>(), text.parse::<f64>()) {
        (Ok(one), Ok(two)) => one.partial_cmp(&two),
        _ => Some(value.cmp(text)),
    };
    match order {
        Some(std::cmp::Ordering::Less) => less,
        Some(std::cmp::Ordering::Greater) => !less,
        _ => equal,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::body::object;
    use super::*;

    fn check(filter: &str) -> bool {
        let item = object(&json!({
            "name": "pn-orders-a", "size": 3, "labels": { "owner": "data" }, "disabled": false,
            "network": "https://www.googleapis.com/compute/v1/projects/p/global/networks/n",
            "ports": ["5432", "5433"], "allowed": [{ "IPProtocol": "tcp" }],
        }));
        Filter::parse(filter).unwrap().passes(&item)
    }

    #[test]
    fn compares_as_documented() {
        for yes in [
            "name = pn-orders-a",
            "name=\"pn-orders-a\"",
            "name eq 'pn-.*'",
            "name ne other",
            "name != other",
            "name:orders",
            "name=pn-*",
            "size > 2",
            "size <= 3",
            "labels.owner:*",
            "labels.owner = data",
            "disabled = false",
            "ports = 5433",
            "allowed.IPProtocol = tcp",
            "(name = pn-orders-a) (size = 3)",
            "(name = x) OR (size = 3)",
            "name = pn-orders-a AND NOT size = 4",
            "-labels.missing:*",
            "network = https://www.googleapis.com/compute/v1/projects/p/global/networks/n",
            "(name eq \"(pn-orders-a|b)\")",
        ] {
            assert!(check(yes), "{yes}");
        }
        for no in
            ["name = orders", "size > 3", "labels.missing:*", "(name = x) AND (size = 3)", "name eq orders"]
        {
            assert!(!check(no), "{no}");
        }
    }

    #[test]
    fn refuses_what_is_no_filter() {
        for text in ["name", "name =", "(name = x", "= x", "name ~ x", "name eq \"(\"", "name = x AND"] {
            assert_eq!(Filter::parse(text).unwrap_err().status, 400, "{text}");
        }
    }
}

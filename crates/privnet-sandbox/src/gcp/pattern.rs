//! The regular expressions of list filters (`name eq "pn-.*"`): a small subset of RE2, matched against the whole text.
//!
//! Literals, `.`, `[a-z]`, groups, `|`, `*`, `+`, `?` and escapes. Matching is by sets of positions, so that no
//! expression takes more than text times expression.

use std::collections::BTreeSet;

#[derive(Debug, PartialEq)]
enum Node {
    Any,
    Letter(char),
    Class { negated: bool, ranges: Vec<(char, char)> },
    Group(Vec<Vec<Node>>),
    Repeat { node: Box<Node>, from: usize, many: bool },
}

/// A parsed expression.
#[derive(Debug, PartialEq)]
pub(crate) struct Pattern(Node);

impl Pattern {
    /// Parses an expression; `None` when it is not one, or not of the subset.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let letters: Vec<char> = text.chars().collect();
        let mut at = 0;
        let node = alternatives(&letters, &mut at)?;
        (at == letters.len()).then_some(Self(node))
    }

    /// Whether the whole text matches.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let letters: Vec<char> = text.chars().collect();
        ends(&self.0, &letters, 0).contains(&letters.len())
    }
}

fn alternatives(text: &[char], at: &mut usize) -> Option<Node> {
    let mut branches = vec![Vec::new()];
    while let Some(letter) = text.get(*at).copied() {
        match letter {
            ')' => break,
            '|' => {
                *at += 1;
                branches.push(Vec::new());
                continue;
            }
            _ => {}
        }
        let node = repeated(text, at)?;
        branches.last_mut()?.push(node);
    }
    Some(Node::Group(branches))
}

fn repeated(text: &[char], at: &mut usize) -> Option<Node> {
    let mut node = single(text, at)?;
    while let Some(sign) = text.get(*at) {
        let (from, many) = match sign {
            '*' => (0, true),
            '+' => (1, true),
            '?' => (0, false),
            _ => break,
        };
        *at += 1;
        node = Node::Repeat { node: Box::new(node), from, many };
    }
    Some(node)
}

fn single(text: &[char], at: &mut usize) -> Option<Node> {
    let letter = *text.get(*at)?;
    *at += 1;
    match letter {
        '.' => Some(Node::Any),
        '(' => {
            if text.get(*at..*at + 2) == Some(&['?', ':']) {
                *at += 2;
            }
            let node = alternatives(text, at)?;
            (text.get(*at) == Some(&')')).then(|| *at += 1)?;
            Some(node)
        }
        '[' => class(text, at),
        '\\' => {
            let escaped = *text.get(*at)?;
            *at += 1;
            match escaped {
                'd' => Some(Node::Class { negated: false, ranges: vec![('0', '9')] }),
                'w' => Some(Node::Class {
                    negated: false,
                    ranges: vec![('0', '9'), ('a', 'z'), ('A', 'Z'), ('_', '_')],
                }),
                other => Some(Node::Letter(other)),
            }
        }
        '*' | '+' | '?' | ')' => None,
        // The whole text is matched anyway.
        '^' | '$' => Some(Node::Group(vec![Vec::new()])),
        other => Some(Node::Letter(other)),
    }
}

fn class(text: &[char], at: &mut usize) -> Option<Node> {
    let negated = text.get(*at) == Some(&'^');
    *at += usize::from(negated);
    let mut ranges = Vec::new();
    loop {
        let first = *text.get(*at)?;
        *at += 1;
        match (first, text.get(*at), text.get(*at + 1)) {
            (']', ..) if !ranges.is_empty() => return Some(Node::Class { negated, ranges }),
            (_, Some('-'), Some(last)) if *last != ']' => {
                ranges.push((first, *last));
                *at += 2;
            }
            _ => ranges.push((first, first)),
        }
    }
}

/// Where a match of `node` that begins at `from` can end.
fn ends(node: &Node, text: &[char], from: usize) -> BTreeSet<usize> {
    let one = |fits: bool| if fits { BTreeSet::from([from + 1]) } else { BTreeSet::new() };
    match node {
        Node::Any => one(from < text.len()),
        Node::Letter(letter) => one(text.get(from) == Some(letter)),
        Node::Class { negated, ranges } => one(text.get(from).is_some_and(|letter| {
            ranges.iter().any(|(first, last)| (first..=last).contains(&letter)) != *negated
        })),
        Node::Group(branches) => branches.iter().flat_map(|branch| sequence(branch, text, from)).collect(),
        Node::Repeat { node, from: least, many } => {
            let mut reached = if *least == 0 { BTreeSet::from([from]) } else { BTreeSet::new() };
            let mut front = BTreeSet::from([from]);
            while !front.is_empty() {
                let next: BTreeSet<usize> = front.iter().flat_map(|at| ends(node, text, *at)).collect();
                front = next.difference(&reached).copied().collect();
                reached.extend(next);
                if !many {
                    break;
                }
            }
            reached
        }
    }
}

fn sequence(nodes: &[Node], text: &[char], from: usize) -> BTreeSet<usize> {
    nodes.iter().fold(BTreeSet::from([from]), |front, node| {
        front.iter().flat_map(|at| ends(node, text, *at)).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_whole_texts() {
        for (pattern, yes, no) in [
            ("pn-.*", "pn-orders-a", "xpn-orders"),
            ("(a|bc)+", "abca", "abd"),
            ("[a-c]+-[^x]?", "abc-y", "abc-x"),
            ("db\\.example", "db.example", "dbxexample"),
            ("^x\\d+$", "x12", "x"),
            ("(?:a|)b", "b", "c"),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            assert!(parsed.matches(yes), "{pattern} {yes}");
            assert!(!parsed.matches(no), "{pattern} {no}");
        }
        assert!(
            Pattern::parse("(a").is_none() && Pattern::parse("*").is_none() && Pattern::parse("[a").is_none()
        );
    }

    #[test]
    fn a_wicked_expression_ends() {
        assert!(!Pattern::parse("(a*)*(a*)*b").unwrap().matches(&"a".repeat(200)));
    }
}

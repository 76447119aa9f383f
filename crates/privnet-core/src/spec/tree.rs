//! The file as a tree of scalars, lists and maps, each with its place in the text.
//!
//! The tree is an arena: an alias is the same node in a second place, so anchors cost nothing. What a bomb of
//! aliases would cost is the walk over the tree, so the nodes that aliases repeat are counted and bounded.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle, Tag, options};

use super::source::{Errors, Span};

/// Nodes that aliases may repeat. A thousand services that share a hundred nodes use a tenth of it.
const MOST_REPEATED: usize = 1_000_000;
/// Maps and lists inside each other; the format itself needs eight.
const DEEPEST: usize = 64;

/// A node's place in the arena.
pub(super) type NodeId = usize;

/// A node with its place in the text.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) value: Value,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum Value {
    /// A text. `plain` means without quotes, so that it may also be a number, a flag or nothing.
    Scalar { text: String, plain: bool },
    /// A list.
    List(Vec<NodeId>),
    /// A map in the order of the file; its keys are unique.
    Map(Vec<Entry>),
    /// Something that was reported already.
    Broken,
}

/// A key and its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) span: Span,
    pub(super) node: NodeId,
}

/// The tree of a file.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    root: NodeId,
}

impl Tree {
    /// Reads the text. Gives `None` when there is no tree to go on with; the errors say why.
    pub(super) fn read(text: &str, errors: &mut Errors<'_>) -> Option<Self> {
        let mut builder = Builder::default();
        let options = options! { emit_comments: false, emit_unresolved_aliases: true };
        for event in Parser::new_from_str_with_options(text, options) {
            match event {
                Ok((event, span)) => {
                    if !builder.take(event, span, errors) {
                        return None;
                    }
                }
                Err(error) => {
                    let at = error.marker().byte_offset().unwrap_or(0);
                    errors.add("syntax", Span { start: at, end: at + 1 }, error.info());
                    return None;
                }
            }
        }
        let Some(root) = builder.root else {
            errors.add_hint(
                "empty-file",
                Span::default(),
                "the file declares nothing",
                "begin with `version: 1`",
            );
            return None;
        };
        Some(Self { nodes: builder.nodes, root })
    }

    pub(super) fn root(&self) -> NodeId {
        self.root
    }

    /// The node. An id of another tree gives the root.
    pub(super) fn node(&self, id: NodeId) -> &Node {
        self.nodes.get(id).unwrap_or(&self.nodes[self.root])
    }

    /// The entries of a map; none for anything else.
    pub(super) fn entries(&self, id: NodeId) -> &[Entry] {
        match &self.node(id).value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none for anything else.
    pub(super) fn items(&self, id: NodeId) -> &[NodeId] {
        match &self.node(id).value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The entry of a map.
    pub(super) fn entry(&self, id: NodeId, key: &str) -> Option<&Entry> {
        self.entries(id).iter().find(|entry| entry.key == key)
    }

    /// The value of a map's entry.
    pub(super) fn get(&self, id: NodeId, key: &str) -> Option<NodeId> {
        self.entry(id, key).map(|entry| entry.node)
    }

    /// The text of a scalar.
    pub(super) fn text(&self, id: NodeId) -> Option<&str> {
        match &self.node(id).value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }
}

/// A list or map whose end has not been read.
struct Open {
    node: NodeId,
    anchor: usize,
    /// For maps: the key that waits for its value. `None` in a map means that a key comes next.
    key: Option<(String, Span)>,
    /// For maps: the keys so far, with their places.
    keys: HashMap<String, Span>,
    is_map: bool,
    size: usize,
}

#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    open: Vec<Open>,
    /// Finished anchors: the node, and how many nodes it stands for.
    anchors: HashMap<usize, (NodeId, usize)>,
    repeated: usize,
    documents: usize,
    root: Option<NodeId>,
}

impl Builder {
    /// Takes one event; `false` ends the reading.
    fn take(&mut self, event: Event<'_>, marks: granit_parser::Span, errors: &mut Errors<'_>) -> bool {
        let span = bytes_of(&marks);
        let tag_span = marks.tag_span().as_ref().map_or(span, bytes_of);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    let message = "a second document begins here; a file holds one";
                    errors.add_hint("several-documents", span, message, "put it into a file of its own");
                    return false;
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let value = match check_tag(tag.as_deref(), tag_span, errors) {
                    Some(as_text) => {
                        let plain = style == ScalarStyle::Plain && !as_text;
                        Value::Scalar { text: text.into_owned(), plain }
                    }
                    None => Value::Broken,
                };
                let node = self.add(value, span);
                self.anchors.insert(anchor, (node, 1));
                self.place(node, 1, errors);
            }
            Event::SequenceStart(_, anchor, tag) => {
                check_tag(tag.as_deref(), tag_span, errors);
                return self.begin(Value::List(Vec::new()), anchor, span, errors);
            }
            Event::MappingStart(_, anchor, tag) => {
                check_tag(tag.as_deref(), tag_span, errors);
                return self.begin(Value::Map(Vec::new()), anchor, span, errors);
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span, errors),
            Event::Alias(anchor) => return self.alias(anchor, span, errors),
            Event::UnresolvedAlias(name) => {
                errors.add("unknown-anchor", span, format!("no anchor `&{name}` comes before this"));
                let node = self.add(Value::Broken, span);
                self.place(node, 1, errors);
            }
            _ => {}
        }
        true
    }

    fn add(&mut self, value: Value, span: Span) -> NodeId {
        self.nodes.push(Node { span, value });
        self.nodes.len() - 1
    }

    fn begin(&mut self, value: Value, anchor: usize, span: Span, errors: &mut Errors<'_>) -> bool {
        if self.open.len() >= DEEPEST {
            errors.add("too-deep", span, format!("more than {DEEPEST} lists and maps inside each other"));
            return false;
        }
        let is_map = matches!(value, Value::Map(_));
        let node = self.add(value, span);
        self.open.push(Open { node, anchor, key: None, keys: HashMap::new(), is_map, size: 1 });
        true
    }

    fn end(&mut self, span: Span, errors: &mut Errors<'_>) {
        let Some(open) = self.open.pop() else { return };
        if let Some(node) = self.nodes.get_mut(open.node) {
            node.span.end = span.end.max(node.span.end);
        }
        self.anchors.insert(open.anchor, (open.node, open.size));
        self.place(open.node, open.size, errors);
    }

    fn alias(&mut self, anchor: usize, span: Span, errors: &mut Errors<'_>) -> bool {
        let Some(&(target, size)) = self.anchors.get(&anchor) else {
            errors.add("recursive-alias", span, "the alias lies inside what it names");
            let node = self.add(Value::Broken, span);
            self.place(node, 1, errors);
            return true;
        };
        self.repeated = self.repeated.saturating_add(size);
        if self.repeated > MOST_REPEATED {
            let message = format!("the aliases repeat more than {MOST_REPEATED} values");
            errors.add("too-many-aliases", span, message);
            return false;
        }
        self.place(target, size, errors);
        true
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, node: NodeId, size: usize, errors: &mut Errors<'_>) {
        let wants_key = self.open.last().is_some_and(|open| open.is_map && open.key.is_none());
        let as_key = wants_key.then(|| self.key(node, errors));
        let Some(open) = self.open.last_mut() else {
            self.root = self.root.or(Some(node));
            return;
        };
        open.size = open.size.saturating_add(size);
        let within = open.node;
        if !open.is_map {
            if let Some(Value::List(items)) = self.nodes.get_mut(within).map(|node| &mut node.value) {
                items.push(node);
            }
            return;
        }
        let Some((key, span)) = open.key.take() else {
            open.key = as_key;
            return;
        };
        if let Some(first) = open.keys.get(&key) {
            let line = errors.source.place(first.start).line;
            let message = format!("`{key}` is given twice; the first time in line {line}");
            errors.add("duplicate-key", span, message);
            return;
        }
        open.keys.insert(key.clone(), span);
        if let Some(Value::Map(entries)) = self.nodes.get_mut(within).map(|node| &mut node.value) {
            entries.push(Entry { key, span, node });
        }
    }

    /// A node as a key. What is no text has been reported and gets a key that nothing has.
    fn key(&self, node: NodeId, errors: &mut Errors<'_>) -> (String, Span) {
        let Some(node) = self.nodes.get(node) else { return (String::new(), Span::default()) };
        match &node.value {
            Value::Scalar { text, .. } => (text.clone(), node.span),
            Value::Broken => (String::new(), node.span),
            _ => {
                errors.add("key-not-text", node.span, "a key must be a text");
                (String::new(), node.span)
            }
        }
    }
}

fn bytes_of(marks: &granit_parser::Span) -> Span {
    let range = marks.byte_range().unwrap_or(0..0);
    Span { start: range.start, end: range.end }
}

/// Reports a tag that is not YAML's own, and gives `None` then; else `true` for `!!str`, which makes any scalar
/// a text.
fn check_tag(tag: Option<&Tag>, span: Span, errors: &mut Errors<'_>) -> Option<bool> {
    let Some(tag) = tag else { return Some(false) };
    match tag.core_suffix() {
        Some("str") => Some(true),
        Some("int" | "bool" | "null" | "float" | "seq" | "map") => Some(false),
        _ => {
            errors.add_hint(
                "custom-tag",
                span,
                format!("the tag `{}` is not allowed", tag.original()),
                "write the value without a tag",
            );
            None
        }
    }
}

//! Reading values out of a tree that has been checked.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::super::consumer::Who;
use super::super::net::{Resolver, Seconds};
use super::super::shape::MapShape;
use super::super::source::{Errors, Span};
use super::super::text::Text;
use super::super::tree::{NodeId, Tree, Value};

/// The tree, and where errors go.
pub(super) struct Reader<'r, 'a> {
    pub(super) tree: &'r Tree,
    pub(super) errors: &'r mut Errors<'a>,
}

/// A map of the tree: where it is, and what fills the keys that it lacks.
#[derive(Clone, Copy)]
pub(super) struct Block {
    pub(super) node: NodeId,
    pub(super) defaults: Option<NodeId>,
    /// Where what is missing is reported: the block's key, or its first line.
    pub(super) at: Span,
    pub(super) shape: &'static MapShape,
}

impl Block {
    pub(super) fn new(node: NodeId, at: Span, shape: &'static MapShape) -> Self {
        Self { node, defaults: None, at, shape }
    }
}

impl Reader<'_, '_> {
    /// The value of a key, from the block or its defaults.
    pub(super) fn get(&self, block: Block, key: &str) -> Option<NodeId> {
        self.tree.get(block.node, key).or_else(|| self.tree.get(block.defaults?, key))
    }

    /// The value of a key that must be there; reports its absence.
    pub(super) fn need(&mut self, block: Block, key: &'static str) -> Option<NodeId> {
        let found = self.get(block, key);
        let broken = matches!(self.tree.node(block.node).value, Value::Broken);
        if found.is_none() && !broken && !block.shape.is_misspelt(self.tree.entries(block.node), key) {
            let message = format!("{} needs `{key}`", block.shape.what);
            self.errors.add("missing-key", block.at, message);
        }
        found
    }

    /// Where a value is, or the block if there is none.
    pub(super) fn span(&self, block: Block, key: &str) -> Span {
        self.get(block, key).map_or(block.at, |id| self.tree.node(id).span)
    }

    /// Where a key is, or the block if there is none. A default's key is somewhere else; the block is meant.
    pub(super) fn key_span(&self, block: Block, key: &str) -> Span {
        self.tree.entry(block.node, key).map_or(block.at, |entry| entry.span)
    }

    pub(super) fn parse<T: Text>(&self, id: NodeId) -> Option<T> {
        T::parse_text(self.tree.text(id)?).ok()
    }

    pub(super) fn text<T: Text>(&self, block: Block, key: &str) -> Option<T> {
        self.parse(self.get(block, key)?)
    }

    pub(super) fn need_text<T: Text>(&mut self, block: Block, key: &'static str) -> Option<T> {
        let id = self.need(block, key)?;
        self.parse(id)
    }

    /// A word or other plain text, as written.
    pub(super) fn word(&self, block: Block, key: &str) -> Option<&str> {
        self.tree.text(self.get(block, key)?)
    }

    pub(super) fn flag(&self, block: Block, key: &str, default: bool) -> bool {
        match self.word(block, key) {
            Some("true") => true,
            Some("false") => false,
            _ => default,
        }
    }

    pub(super) fn number(&self, block: Block, key: &str) -> Option<u32> {
        self.word(block, key)?.parse().ok()
    }

    /// A duration within bounds, which are reported.
    pub(super) fn seconds(&mut self, block: Block, key: &str, default: u32, bounds: (u32, u32)) -> Seconds {
        let Some(given) = self.text::<Seconds>(block, key) else { return Seconds(default) };
        let (least, most) = bounds;
        if !(least..=most).contains(&given.get()) {
            let span = self.span(block, key);
            self.errors.add("out-of-range", span, format!("`{key}` must be {least}s to {most}s"));
        }
        given
    }

    /// The items of a list, with their places; malformed ones are left out.
    pub(super) fn items<T: Text>(&self, block: Block, key: &str) -> Vec<(T, Span)> {
        let list = self.get(block, key).map_or(&[][..], |id| self.tree.items(id));
        list.iter().filter_map(|id| Some((self.parse(*id)?, self.tree.node(*id).span))).collect()
    }

    pub(super) fn list<T: Text>(&self, block: Block, key: &str) -> Vec<T> {
        self.items(block, key).into_iter().map(|(item, _)| item).collect()
    }

    pub(super) fn set<T: Text + Ord>(&self, block: Block, key: &str) -> BTreeSet<T> {
        self.list(block, key).into_iter().collect()
    }

    /// A set, or `None` where the key is absent.
    pub(super) fn optional_set<T: Text + Ord>(&self, block: Block, key: &str) -> Option<BTreeSet<T>> {
        self.get(block, key).map(|_| self.set(block, key))
    }

    /// A list that may hold the wildcard; `None` where the key is absent.
    pub(super) fn who<T: Text + Ord>(&mut self, block: Block, key: &str) -> Option<BTreeSet<Who<T>>> {
        let list = self.tree.items(self.get(block, key)?);
        let mut found = BTreeSet::new();
        for id in list {
            match self.tree.text(*id) {
                Some("*") => {
                    if list.len() > 1 {
                        let message = format!("`*` in `{key}` makes the other entries meaningless");
                        self.errors.add("wildcard-with-others", self.tree.node(*id).span, message);
                    }
                    found.insert(Who::Anyone);
                }
                _ => found.extend(self.parse(*id).map(Who::Is)),
            }
        }
        Some(found)
    }

    pub(super) fn resolver(&self, block: Block, key: &str) -> Resolver {
        let Some(id) = self.get(block, key) else { return Resolver::System };
        let address = |id: NodeId| self.tree.text(id).and_then(|text| text.parse::<IpAddr>().ok());
        let servers: Vec<IpAddr> = match self.tree.text(id) {
            Some(_) => address(id).into_iter().collect(),
            None => self.tree.items(id).iter().filter_map(|id| address(*id)).collect(),
        };
        if servers.is_empty() { Resolver::System } else { Resolver::Servers(servers) }
    }

    /// A map inside a block. Defaults do not reach into it.
    pub(super) fn block(&self, block: Block, key: &str, shape: &'static MapShape) -> Option<Block> {
        let at = self.key_span(block, key);
        self.get(block, key).map(|node| Block::new(node, at, shape))
    }
}

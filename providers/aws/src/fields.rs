//! Typed access to the untyped fields of plans.

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::{Error, ErrorKind, Value};

/// The fields of one resource. A field that is missing or of another type is a fault of ours, reported and not hidden.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    kind: &'static str,
    values: &'a BTreeMap<String, Value>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(kind: &'static str, values: &'a BTreeMap<String, Value>) -> Self {
        Self { kind, values }
    }

    fn get(&self, name: &str) -> &'a Value {
        self.values.get(name).unwrap_or(&Value::Null)
    }

    fn wrong(&self, name: &str, wanted: &str) -> Error {
        let message = format!("the field `{name}` is {}, not {wanted}", self.get(name));
        Error::new(ErrorKind::Other, "plan", self.kind, message)
    }

    /// A text that must be there.
    pub(crate) fn text(&self, name: &str) -> Result<String, Error> {
        self.get(name).as_text().map(str::to_owned).ok_or_else(|| self.wrong(name, "text"))
    }

    /// A text that may be absent.
    pub(crate) fn text_if_any(&self, name: &str) -> Result<Option<String>, Error> {
        if self.get(name).is_null() { Ok(None) } else { self.text(name).map(Some) }
    }

    /// A switch.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Error> {
        self.get(name).as_bool().ok_or_else(|| self.wrong(name, "a switch"))
    }

    /// A switch that may be absent.
    pub(crate) fn flag_if_any(&self, name: &str) -> Result<Option<bool>, Error> {
        if self.get(name).is_null() { Ok(None) } else { self.flag(name).map(Some) }
    }

    /// A whole number.
    pub(crate) fn number(&self, name: &str) -> Result<i64, Error> {
        self.get(name).as_int().ok_or_else(|| self.wrong(name, "a number"))
    }

    /// A set of texts; absent is empty.
    pub(crate) fn texts(&self, name: &str) -> Result<BTreeSet<String>, Error> {
        let value = self.get(name);
        if value.is_null() {
            return Ok(BTreeSet::new());
        }
        let members = value.as_list().ok_or_else(|| self.wrong(name, "a list of texts"))?;
        let texts: Option<_> = members.iter().map(|member| member.as_text().map(str::to_owned)).collect();
        texts.ok_or_else(|| self.wrong(name, "a list of texts"))
    }

    /// A map of texts; absent is empty.
    pub(crate) fn text_map(&self, name: &str) -> Result<BTreeMap<String, String>, Error> {
        text_map(self.get(name)).ok_or_else(|| self.wrong(name, "a map of texts"))
    }
}

/// A map of texts, where the value is one; nothing is an empty one.
pub(crate) fn text_map(value: &Value) -> Option<BTreeMap<String, String>> {
    match value {
        Value::Null => Some(BTreeMap::new()),
        Value::Map(entries) => {
            entries.iter().map(|(key, value)| Some((key.clone(), value.as_text()?.to_owned()))).collect()
        }
        _ => None,
    }
}

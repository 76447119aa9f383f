//! Field values: the untyped form that plans, diffs and saved plans use.
//!
//! Inside a provider a kind is a typed struct; it becomes [`Value`]s only at the boundary to the core.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::resource::Address;

/// The value of one field. What a value holds is shared by its clones: a plan of many thousand actions says of each the fields that were
/// lowered from the file, and holds them once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Value {
    /// Nothing: the field is not set.
    #[default]
    Null,
    /// A switch.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Text, ids among it (ids are never numbers).
    Text(Arc<str>),
    /// Several values; whether their order matters is the field's [`Shape`](crate::kind::Shape).
    List(Arc<[Value]>),
    /// Named values.
    Map(Arc<BTreeMap<String, Value>>),
    /// Another resource's output, known once that resource exists.
    Output(Arc<OutputRef>),
}

/// A reference to what a resource yields once it exists: its ARN, id or address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutputRef {
    /// The resource.
    pub address: Address,
    /// The output's name within that resource; it has no dot.
    pub output: Cow<'static, str>,
}

impl fmt::Display for OutputRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.address, self.output)
    }
}

/// The single key of the JSON object that stands for a value known only after apply.
pub const KNOWN_AFTER: &str = "known_after";

impl Value {
    /// Text from anything that holds it.
    pub fn text(text: impl AsRef<str>) -> Self {
        Self::Text(text.as_ref().into())
    }

    /// A reference to `output` of the resource at `address`.
    pub fn output(address: &Address, output: impl Into<Cow<'static, str>>) -> Self {
        Self::Output(Arc::new(OutputRef { address: address.clone(), output: output.into() }))
    }

    /// A list.
    pub fn list(members: impl IntoIterator<Item = Self>) -> Self {
        Self::List(members.into_iter().collect())
    }

    /// A list of texts.
    pub fn texts<I, S>(texts: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<str>,
    {
        Self::list(texts.into_iter().map(Self::text))
    }

    /// A map.
    #[must_use]
    pub fn map(entries: BTreeMap<String, Self>) -> Self {
        Self::Map(Arc::new(entries))
    }

    /// A map of texts, such as tags.
    pub fn text_map<'a, I>(entries: I) -> Self
    where
        I: IntoIterator<Item = (&'a String, &'a String)>,
    {
        Self::map(entries.into_iter().map(|(k, v)| (k.clone(), Self::text(v))).collect())
    }

    /// The text, where this is text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, where this is one.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The switch, where this is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(on) => Some(*on),
            _ => None,
        }
    }

    /// The members, where this is a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(members) => Some(members),
            _ => None,
        }
    }

    /// The entries, where this is a map.
    #[must_use]
    pub fn as_map(&self) -> Option<&BTreeMap<String, Value>> {
        match self {
            Self::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// Whether this is nothing.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Calls `see` for each reference in this value, nested ones included.
    pub fn each_output<'a>(&'a self, see: &mut dyn FnMut(&'a OutputRef)) {
        match self {
            Self::Output(reference) => see(reference),
            Self::List(members) => members.iter().for_each(|member| member.each_output(see)),
            Self::Map(entries) => entries.values().for_each(|entry| entry.each_output(see)),
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Text(_) => {}
        }
    }

    /// Calls `see` for each text in this value, nested ones included.
    pub fn each_text<'a>(&'a self, see: &mut dyn FnMut(&'a str)) {
        match self {
            Self::Text(text) => see(text),
            Self::List(members) => members.iter().for_each(|member| member.each_text(see)),
            Self::Map(entries) => entries.values().for_each(|entry| entry.each_text(see)),
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Output(_) => {}
        }
    }

    /// This value with each reference that `look` knows replaced by what it refers to; others stay.
    #[must_use]
    pub fn resolved(&self, look: &dyn Fn(&OutputRef) -> Option<Value>) -> Self {
        let mut refers = false;
        self.each_output(&mut |_| refers = true);
        match self {
            Self::Output(reference) => look(reference).unwrap_or_else(|| self.clone()),
            Self::List(members) if refers => Self::list(members.iter().map(|member| member.resolved(look))),
            Self::Map(entries) if refers => {
                Self::map(entries.iter().map(|(key, entry)| (key.clone(), entry.resolved(look))).collect())
            }
            _ => self.clone(),
        }
    }
}

impl From<bool> for Value {
    fn from(on: bool) -> Self {
        Self::Bool(on)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// How a person reads a value: texts bare, lists in brackets, what is not known yet by its source.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("none"),
            Self::Bool(on) => write!(f, "{on}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Text(text) if text.is_empty() => f.write_str("\"\""),
            Self::Text(text) => f.write_str(text),
            Self::List(members) => {
                f.write_str("[")?;
                for (index, member) in members.iter().enumerate() {
                    write!(f, "{}{member}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Self::Map(entries) => {
                f.write_str("{")?;
                for (index, (key, entry)) in entries.iter().enumerate() {
                    write!(f, "{}{key}: {entry}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("}")
            }
            Self::Output(reference) => write!(f, "({} once it is known)", reference),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(on) => serializer.serialize_bool(*on),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(members) => serializer.collect_seq(members.iter()),
            Self::Map(entries) => serializer.collect_map(entries.iter()),
            Self::Output(reference) => serializer.collect_map([(KNOWN_AFTER, reference.to_string())]),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(serde_json::Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl Value {
    /// The value that this JSON stands for.
    ///
    /// # Errors
    /// A fraction, a number beyond 64 bits, or a reference that cannot be read.
    pub fn from_json(json: serde_json::Value) -> Result<Self, String> {
        Ok(match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(on) => Self::Bool(on),
            serde_json::Value::Number(number) => {
                Self::Int(number.as_i64().ok_or_else(|| format!("{number} is not a whole 64-bit number"))?)
            }
            serde_json::Value::String(text) => Self::text(text),
            serde_json::Value::Array(members) => {
                Self::List(members.into_iter().map(Self::from_json).collect::<Result<_, _>>()?)
            }
            serde_json::Value::Object(entries) => {
                if let (1, Some(serde_json::Value::String(reference))) =
                    (entries.len(), entries.get(KNOWN_AFTER))
                {
                    return reference.parse().map(|reference| Self::Output(Arc::new(reference)));
                }
                let entries = entries.into_iter().map(|(key, entry)| Ok((key, Self::from_json(entry)?)));
                Self::map(entries.collect::<Result<_, String>>()?)
            }
        })
    }
}

impl std::str::FromStr for OutputRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, output) =
            text.rsplit_once('.').ok_or_else(|| format!("`{text}` is not `address.output`"))?;
        Ok(Self { address: address.parse()?, output: output.to_owned().into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_writes() {
        let address: Address = "orders/listener/10.0.0.1".parse().unwrap();
        let value = Value::map(BTreeMap::from([
            ("a".to_owned(), Value::output(&address, "arn")),
            ("b".to_owned(), Value::list([Value::Int(-3), Value::Null, Value::Bool(true)])),
            ("c".to_owned(), Value::text("0123")),
        ]));
        let json = serde_json::to_string(&value).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value);
        assert!(json.contains(r#"{"known_after":"orders/listener/10.0.0.1.arn"}"#), "{json}");
    }

    #[test]
    fn resolves_nested_references_and_keeps_unknown_ones() {
        let known: Address = "s/k/known".parse().unwrap();
        let unknown: Address = "s/k/unknown".parse().unwrap();
        let value = Value::list([Value::output(&known, "id"), Value::output(&unknown, "id")]);
        let resolved = value.resolved(&|r| (r.address == known).then(|| Value::text("x")));
        assert_eq!(resolved, Value::list([Value::text("x"), Value::output(&unknown, "id")]));
    }
}

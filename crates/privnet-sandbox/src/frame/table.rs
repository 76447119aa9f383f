//! A map of objects that is cheap to copy and to write: what changed is copied and rendered again, the rest is shared.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::de::DeserializeOwned;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// Objects by id, in the order of their ids.
///
/// A world of tables is copied for each transaction that changes it, and written after it. Both cost what the changed
/// objects cost: rows are shared between copies, and each keeps its JSON.
pub struct Table<T> {
    rows: Arc<BTreeMap<String, Arc<Row<T>>>>,
}

struct Row<T> {
    value: T,
    text: OnceLock<Box<RawValue>>,
}

impl<T> Row<T> {
    fn new(value: T) -> Arc<Self> {
        Arc::new(Self { value, text: OnceLock::new() })
    }
}

impl<T: Clone> Clone for Row<T> {
    /// A row is copied in order to be changed, so its JSON is not copied.
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), text: OnceLock::new() }
    }
}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self { rows: self.rows.clone() }
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { rows: Arc::default() }
    }
}

impl<T: fmt::Debug> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<T> Table<T> {
    /// The object of that id.
    pub fn get(&self, id: &str) -> Option<&T> {
        self.rows.get(id).map(|row| &row.value)
    }

    /// Whether there is one.
    pub fn contains_key(&self, id: &str) -> bool {
        self.rows.contains_key(id)
    }

    /// Ids and objects.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &T)> {
        self.rows.iter().map(|(id, row)| (id, &row.value))
    }

    /// The ids.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.rows.keys()
    }

    /// The objects.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.rows.values().map(|row| &row.value)
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Puts an object in, over what had its id.
    pub fn insert(&mut self, id: String, value: T) {
        Arc::make_mut(&mut self.rows).insert(id, Row::new(value));
    }

    /// Takes an object out; whether it was there.
    pub fn remove(&mut self, id: &str) -> bool {
        self.contains_key(id) && Arc::make_mut(&mut self.rows).remove(id).is_some()
    }

    /// Keeps the objects that fit.
    pub fn retain(&mut self, mut keep: impl FnMut(&String, &T) -> bool) {
        let gone: Vec<String> =
            self.iter().filter(|(id, value)| !keep(id, value)).map(|(id, _)| id.clone()).collect();
        for id in &gone {
            self.remove(id);
        }
    }
}

impl<T: Clone> Table<T> {
    /// The object of that id, to change it.
    pub fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        if !self.contains_key(id) {
            return None;
        }
        let row = Arc::make_mut(Arc::make_mut(&mut self.rows).get_mut(id)?);
        row.text.take();
        Some(&mut row.value)
    }

    /// The object of that id, made if it is not there, to change it.
    pub fn entry(&mut self, id: &str) -> &mut T
    where
        T: Default,
    {
        let rows = Arc::make_mut(&mut self.rows);
        let row = Arc::make_mut(rows.entry(id.to_owned()).or_insert_with(|| Row::new(T::default())));
        row.text.take();
        &mut row.value
    }

    /// Changes the objects that fit.
    pub fn update(&mut self, fits: impl Fn(&T) -> bool, change: impl Fn(&mut T)) {
        let ids: Vec<String> =
            self.iter().filter(|(_, value)| fits(value)).map(|(id, _)| id.clone()).collect();
        for id in ids {
            if let Some(value) = self.get_mut(&id) {
                change(value);
            }
        }
    }
}

impl<T: Serialize> Serialize for Table<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.rows.len()))?;
        for (id, row) in self.rows.iter() {
            let text = match row.text.get() {
                Some(text) => text,
                None => {
                    let text =
                        serde_json::value::to_raw_value(&row.value).map_err(serde::ser::Error::custom)?;
                    row.text.get_or_init(|| text)
                }
            };
            map.serialize_entry(id, text)?;
        }
        map.end()
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rows = BTreeMap::<String, T>::deserialize(deserializer)?;
        Ok(rows.into_iter().collect())
    }
}

impl<T> FromIterator<(String, T)> for Table<T> {
    fn from_iter<I: IntoIterator<Item = (String, T)>>(rows: I) -> Self {
        Self { rows: Arc::new(rows.into_iter().map(|(id, value)| (id, Row::new(value))).collect()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_not_changed_with_its_original_and_the_json_is_never_stale() {
        let mut table: Table<Vec<u8>> =
            [("a".to_owned(), vec![1]), ("b".to_owned(), vec![2])].into_iter().collect();
        assert_eq!(serde_json::to_string(&table).unwrap(), r#"{"a":[1],"b":[2]}"#);
        let before = table.clone();
        table.get_mut("a").unwrap().push(9);
        table.insert("c".into(), vec![3]);
        table.entry("d").push(4);
        table.update(|row| row == &[3], |row| row.push(5));
        assert!(table.remove("b"));
        assert!(!table.remove("b"));
        assert_eq!(serde_json::to_string(&table).unwrap(), r#"{"a":[1,9],"c":[3,5],"d":[4]}"#);
        assert_eq!(serde_json::to_string(&before).unwrap(), r#"{"a":[1],"b":[2]}"#);
        table.retain(|id, _| id == "d");
        let back: Table<Vec<u8>> = serde_json::from_str(&serde_json::to_string(&table).unwrap()).unwrap();
        assert_eq!(back.iter().collect::<Vec<_>>(), [(&"d".to_owned(), &vec![4])]);
    }
}

//! Reading and changing ARM's JSON: property names match without case, as ARM's own do
//! (a body with `frontendIpConfigurations` is answered with `frontendIPConfigurations`).

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

/// The value at a path of property names, such as `properties.provisioningState`.
pub(crate) fn at<'a>(json: &'a Json, path: &str) -> Option<&'a Json> {
    path.split('.').try_fold(json, |json, name| {
        let object = json.as_object()?;
        object
            .get(name)
            .or_else(|| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
    })
}

/// The text at a path; nothing where there is none, or an empty one.
pub(crate) fn text<'a>(json: &'a Json, path: &str) -> Option<&'a str> {
    at(json, path)?.as_str().filter(|text| !text.is_empty())
}

/// The members of the list at a path; none where there is no list.
pub(crate) fn items<'a>(json: &'a Json, path: &str) -> &'a [Json] {
    at(json, path).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// The texts of the list at a path.
pub(crate) fn texts(json: &Json, path: &str) -> Vec<String> {
    items(json, path).iter().filter_map(Json::as_str).map(str::to_owned).collect()
}

/// The texts of the object at a path.
pub(crate) fn text_map(json: &Json, path: &str) -> BTreeMap<String, String> {
    let object = at(json, path).and_then(Json::as_object);
    let entries = object.into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// Sets the value at a path, under the spelling that is there already; makes objects on the way.
pub(crate) fn set(json: &mut Json, path: &str, value: Json) {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    if !json.is_object() {
        *json = Json::Object(Map::new());
    }
    let Some(object) = json.as_object_mut() else { return };
    let key =
        object.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned().unwrap_or_else(|| name.to_owned());
    match rest {
        None => {
            object.insert(key, value);
        }
        Some(rest) => set(object.entry(key).or_insert(Json::Null), rest, value),
    }
}

/// The texts of `map` as a JSON object.
pub(crate) fn merge_text_map(map: &BTreeMap<String, String>) -> Json {
    Json::Object(map.iter().map(|(key, value)| (key.clone(), Json::String(value.clone()))).collect())
}

/// Whether two resource ids are the same: ids match without case.
pub(crate) fn same_id(a: &str, b: &str) -> bool {
    a.trim_end_matches('/').eq_ignore_ascii_case(b.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_and_writes_whatever_the_case() {
        let mut json = json!({"Properties": {"frontendIPConfigurations": [{"id": "x"}], "empty": ""}});
        assert_eq!(items(&json, "properties.frontendIpConfigurations").len(), 1);
        assert_eq!(text(&json, "properties.empty"), None);
        set(&mut json, "properties.FRONTENDIPCONFIGURATIONS", json!([]));
        set(&mut json, "properties.deep.er", json!(1));
        assert_eq!(
            json,
            json!({"Properties": {"frontendIPConfigurations": [], "empty": "", "deep": {"er": 1}}})
        );
    }
}

//! EC2's filters: all must match, one of the values of each; `*` and `?` are wildcards.
//!
//! Source: EC2 user guide, "Filter resources": 200 filters at most, values match with case, `\` quotes a wildcard.

use serde::Deserialize;

use super::call::{Call, Tx};
use super::error::ApiError;

/// One filter of a request.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Filter {
    name: String,
    #[serde(default)]
    values: Vec<String>,
}

/// The filters of a request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Filters {
    list: Vec<Filter>,
}

impl Filters {
    /// Refuses filters that the call does not have. `tags` says whether its objects carry tags.
    pub(crate) fn check(&self, known: &[&str], tags: bool) -> Result<(), ApiError> {
        if self.list.len() > 200 {
            return Err(ApiError::new("FilterLimitExceeded", "The maximum number of filters is 200"));
        }
        for filter in &self.list {
            let is_tag = tags && (filter.name.starts_with("tag:") || filter.name == "tag-key");
            if !is_tag && !known.contains(&filter.name.as_str()) {
                let why = format!("The filter '{}' is invalid", filter.name);
                return Err(ApiError::new("InvalidParameterValue", why));
            }
            if filter.values.is_empty() {
                let why = format!("The filter '{}' has no values", filter.name);
                return Err(ApiError::new("InvalidParameterValue", why));
            }
        }
        Ok(())
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether an object matches: `field` gives the values that it has for a filter's name, tags are read with the lag.
    pub(crate) fn matches(
        &self,
        tx: &Tx,
        call: &Call,
        resource: &str,
        field: impl Fn(&str) -> Vec<String>,
    ) -> bool {
        self.list.iter().all(|filter| {
            let held: Vec<String> = if let Some(key) = filter.name.strip_prefix("tag:") {
                let seen = tx.tags.seen(resource, call.now, call.lag);
                seen.get(key).map(|value| (*value).to_owned()).into_iter().collect()
            } else if filter.name == "tag-key" {
                tx.tags.seen(resource, call.now, call.lag).into_keys().map(str::to_owned).collect()
            } else {
                field(&filter.name)
            };
            filter.values.iter().any(|pattern| held.iter().any(|value| glob(pattern, value)))
        })
    }
}

/// Whether a value matches a pattern.
fn glob(pattern: &str, value: &str) -> bool {
    let (pattern, value): (Vec<char>, Vec<char>) = (pattern.chars().collect(), value.chars().collect());
    // `reached[j]`: the pattern so far matches the first j characters.
    let mut reached = vec![false; value.len() + 1];
    reached[0] = true;
    let mut quoted = false;
    for c in pattern {
        if c == '\\' && !quoted {
            quoted = true;
            continue;
        }
        if c == '*' && !quoted {
            let mut any = false;
            for slot in &mut reached {
                any |= *slot;
                *slot = any;
            }
        } else {
            for j in (0..value.len()).rev() {
                reached[j + 1] = reached[j] && ((c == '?' && !quoted) || value[j] == c);
            }
            reached[0] = false;
        }
        quoted = false;
    }
    reached[value.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, value, matches) in [
            ("a*c", "abbc", true),
            ("a*c", "abb", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            (r"a\*", "a*", true),
            (r"a\*", "ab", false),
            ("Abc", "abc", false),
            ("*b*", "abc", true),
        ] {
            assert_eq!(glob(pattern, value), matches, "{pattern} {value}");
        }
    }

    #[test]
    fn an_unknown_filter_is_refused() {
        let filters: Filters =
            serde_json::from_value(serde_json::json!([{"Name": "colour", "Values": ["red"]}])).unwrap();
        assert_eq!(filters.check(&["vpc-id"], true).unwrap_err().code, "InvalidParameterValue");
        assert!(filters.check(&["colour"], true).is_ok());
    }
}

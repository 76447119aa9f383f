//! The format as a JSON Schema, for editors. It is made from the tables that the decoder checks with.

use serde_json::{Map, Value, json};

use super::grammar::FILE;
use super::shape::{Key, MapShape, Shape};
use super::text::TextRule;

/// The JSON Schema (draft 2020-12) of the file format.
///
/// It states the structure: keys, types, words, bounds, forms of texts. The rules between values (which keys go
/// together, which ranges overlap) are the decoder's alone, so a file that the schema refuses is refused by
/// [`super::decode`] too, and not the other way round.
pub fn schema() -> Value {
    let mut root = map_schema(&FILE);
    if let Some(root) = root.as_object_mut() {
        root.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        root.insert("title".to_owned(), json!("privnet file, version 1"));
    }
    root
}

fn shape_schema(shape: &Shape) -> Value {
    match shape {
        Shape::Text(rule) => text_schema(rule),
        Shape::TextOrAnyone(rule) => json!({ "anyOf": [{ "const": "*" }, text_schema(rule)] }),
        Shape::Whole { least, most } => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Word(words) => json!({ "enum": words }),
        Shape::List { of, least, most } => {
            let mut list = json!({ "type": "array", "items": shape_schema(of), "uniqueItems": true });
            if *least > 0 {
                list["minItems"] = json!(least);
            }
            if *most < usize::MAX {
                list["maxItems"] = json!(most);
            }
            list
        }
        Shape::Map(map) => map_schema(map),
        Shape::OneOf(map) => {
            let mut one = map_schema(map);
            one["minProperties"] = json!(1);
            one["maxProperties"] = json!(1);
            one
        }
        Shape::Dict { key, of } => {
            let mut names = Map::new();
            names.extend(key.pattern.map(|pattern| ("pattern".to_owned(), json!(pattern))));
            json!({ "type": "object", "propertyNames": names, "additionalProperties": shape_schema(of) })
        }
        Shape::TextOrList(text, list) => json!({ "anyOf": [shape_schema(text), shape_schema(list)] }),
    }
}

fn map_schema(map: &MapShape) -> Value {
    let properties: Map<String, Value> =
        map.keys.iter().map(|key| (key.name.to_owned(), key_schema(key))).collect();
    let required: Vec<&str> = map.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if !map.exactly_one.is_empty() {
        let alternatives: Vec<Value> =
            map.exactly_one.iter().map(|name| json!({ "required": [name] })).collect();
        schema["oneOf"] = json!(alternatives);
    }
    schema
}

fn key_schema(key: &Key) -> Value {
    let mut schema = shape_schema(key.shape);
    schema["description"] = json!(key.doc);
    if let Some(default) = key.default {
        // A word such as `manual` is no JSON, and is the text itself.
        schema["default"] = serde_json::from_str(default).unwrap_or_else(|_| json!(default));
    }
    schema
}

/// An id may be written without quotes, and an editor then sees a number.
fn text_schema(rule: &TextRule) -> Value {
    let mut schema = if rule.takes_numbers() {
        json!({ "type": ["string", "number"] })
    } else {
        json!({ "type": "string" })
    };
    if let Some(pattern) = rule.pattern {
        schema["pattern"] = json!(pattern);
    }
    schema["examples"] = json!([rule.example]);
    schema
}

#[cfg(test)]
mod tests {
    use super::super::shape::check;
    use super::super::source::{Errors, Source, Span};
    use super::super::tree::Tree;
    use super::*;

    /// Every rule of the tables, with where it stands.
    fn rules(shape: &'static Shape, path: &str, found: &mut Vec<(String, &'static TextRule)>) {
        match shape {
            Shape::Text(rule) | Shape::TextOrAnyone(rule) => found.push((path.to_owned(), rule)),
            Shape::List { of, .. } => rules(of, path, found),
            Shape::Map(map) | Shape::OneOf(map) => {
                for key in map.keys {
                    rules(key.shape, &format!("{path}.{}", key.name), found);
                }
            }
            Shape::Dict { key, of } => {
                found.push((format!("{path}.*"), key));
                rules(of, path, found);
            }
            Shape::TextOrList(text, list) => {
                rules(text, path, found);
                rules(list, path, found);
            }
            Shape::Whole { .. } | Shape::Flag | Shape::Word(_) => {}
        }
    }

    static ROOT: Shape = Shape::Map(&FILE);

    #[test]
    fn examples_pass_their_own_check_and_pattern() {
        let mut found = Vec::new();
        rules(&ROOT, "", &mut found);
        assert!(found.len() > 60, "{}", found.len());
        for (path, rule) in found {
            assert!((rule.check)(rule.example).is_ok(), "{path}: {}", rule.example);
            let pattern = regex_lite::Regex::new(rule.pattern.unwrap()).unwrap();
            assert!(pattern.is_match(rule.example), "{path}: {}", rule.example);
        }
    }

    /// What the check lets through the pattern lets through: an editor must not refuse what the decoder takes.
    #[test]
    fn patterns_are_never_narrower_than_checks() {
        let mut found = Vec::new();
        rules(&ROOT, "", &mut found);
        let mut texts: Vec<String> = found.iter().map(|(_, rule)| rule.example.to_owned()).collect();
        texts.extend(
            [
                "a", "A", "1", "_a", "a_", "a.", "*.a.b", "ab-", "é", "a b", "rg (1)", "10.0.0.1", "::1", "fd00::1",
                "fd00::/8", "10.0.0.0/29", "1h", "0s", "system", "auto", "/", "/a", "eu-isoe-west-1", "us-gov-west-1a",
                "vpce-svc-01234567", "com.amazonaws.vpce.us-east-1.vpce-svc-0123456789abcdef0", "a.example:acme-1",
                "arn:{partition}:iam::123456789012:role/x-{region}", "arn:aws-us-gov:iam::123456789012:user/a.b@c",
                "arn:aws:iam::123456789012:server-certificate/x", "projects/p/global/images/x",
                "https://www.googleapis.com/compute/v1/projects/acme-data/regions/us-east4/forwardingRules/r",
                "https://www.googleapis.com/compute/v1/projects/acme-data/zones/us-east4-a/instances/r",
                "regions/us-east4/instanceGroups/g", "regions/us-east4/forwardingRules/r", "4711", "0",
                "/SUBSCRIPTIONS/AAAAAAAA-bbbb-cccc-dddd-eeeeeeeeeeee/resourcegroups/rg/providers/microsoft.sql/servers/x",
            ]
            .map(str::to_owned),
        );
        let mut passed = 0;
        for (path, rule) in &found {
            let pattern = regex_lite::Regex::new(rule.pattern.unwrap()).unwrap();
            for text in texts.iter().filter(|text| (rule.check)(text).is_ok()) {
                assert!(pattern.is_match(text), "{path}: the check takes {text:?}, the pattern does not");
                passed += 1;
            }
        }
        assert!(passed > 300, "{passed}");
    }

    /// Checks the defaults under a shape as if they stood in a file, and counts them.
    fn defaults(shape: &'static Shape, path: &str) -> usize {
        match shape {
            Shape::Map(map) | Shape::OneOf(map) => map.keys.iter().map(|key| of_key(key, path)).sum(),
            Shape::List { of, .. } | Shape::Dict { of, .. } => defaults(of, path),
            _ => 0,
        }
    }

    fn of_key(key: &'static Key, path: &str) -> usize {
        let path = format!("{path}.{}", key.name);
        if let Some(default) = key.default {
            let mut errors = Errors::new(Source::new("", default));
            let tree = Tree::read(default, &mut errors).unwrap();
            check(&tree, tree.root(), key.shape, key.name, Span::default(), &mut errors);
            assert!(errors.is_empty(), "{path}: {:?}", errors.finish());
        }
        usize::from(key.default.is_some()) + defaults(key.shape, &path)
    }

    #[test]
    fn defaults_are_what_the_decoder_takes() {
        assert!(defaults(&ROOT, "") > 40);
    }
}

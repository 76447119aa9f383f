//! Turns a form into the members of a request, by the published shape, and refuses what the shape does not have.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::error::ApiError;
use super::model::{Api, Shape, Shapes};

/// The form as a tree: `Filter.1.Name=x` is `Filter` → `1` → `Name` → `x`.
#[derive(Debug, Default)]
struct Node {
    value: Option<String>,
    children: BTreeMap<String, Node>,
}

/// No published parameter's name has more parts.
const DEEPEST: usize = 32;

/// Decodes the parameters of one call (`Action` and `Version` are left out by the caller).
pub(crate) fn decode(api: Api, action: &str, form: &[(String, String)]) -> Result<Value, ApiError> {
    let model = api.model();
    let mut root = Node::default();
    for (key, value) in form {
        if key.split('.').count() > DEEPEST {
            return Err(ApiError::new("MalformedQueryString", "A parameter's name has too many parts"));
        }
        let node =
            key.split('.').fold(&mut root, |node, part| node.children.entry(part.to_owned()).or_default());
        node.value = Some(value.clone());
    }
    let decoder = Decoder { api, shapes: &model.requests };
    match model.operations.get(action).and_then(|operation| operation.input.as_deref()) {
        Some(shape) => decoder.structure(shape, &root, ""),
        None => decoder.nothing(&root),
    }
}

struct Decoder<'a> {
    api: Api,
    shapes: &'a Shapes,
}

impl Decoder<'_> {
    fn nothing(&self, root: &Node) -> Result<Value, ApiError> {
        match root.children.keys().next() {
            Some(key) => Err(self.unknown(key)),
            None => Ok(Value::Object(Map::new())),
        }
    }

    fn value(&self, name: &str, node: &Node, path: &str) -> Result<Value, ApiError> {
        let text = || node.value.as_deref().unwrap_or_default();
        if !matches!(self.shapes.get(name), Some(Shape::Structure { .. } | Shape::List { .. }))
            && let Some(key) = node.children.keys().next()
        {
            return Err(self.unknown(&format!("{path}.{key}")));
        }
        match self.shapes.get(name) {
            Some(Shape::Structure { .. }) => self.structure(name, node, path),
            Some(Shape::List { of, member, flattened }) => self.list(of, member, *flattened, node, path),
            Some(Shape::Boolean) => match text().to_ascii_lowercase().as_str() {
                "true" | "1" => Ok(Value::Bool(true)),
                "false" | "0" => Ok(Value::Bool(false)),
                _ => Err(self.invalid(path, text(), "a boolean")),
            },
            Some(Shape::Integer { min, max }) => self.integer(path, text(), *min, *max),
            Some(Shape::String { values, max }) => self.text(path, text(), values, *max),
            Some(Shape::Timestamp) => Ok(Value::from(text())),
            None => Err(self.unknown(path)),
        }
    }

    fn structure(&self, name: &str, node: &Node, path: &str) -> Result<Value, ApiError> {
        let Some(Shape::Structure { members, required }) = self.shapes.get(name) else {
            return Err(self.unknown(path));
        };
        let mut out = Map::new();
        for (key, child) in &node.children {
            let here = join(path, key);
            let found = members.iter().find(|(_, (wire, _))| wire == key);
            let (member, (_, shape)) = found.ok_or_else(|| self.unknown(&here))?;
            out.insert(member.clone(), self.value(shape, child, &here)?);
        }
        for member in required {
            if !out.contains_key(member) {
                let wire = members.get(member).map_or(member, |(wire, _)| wire);
                return Err(self.missing(&join(path, wire)));
            }
        }
        Ok(Value::Object(out))
    }

    fn list(
        &self,
        of: &str,
        member: &str,
        flattened: bool,
        node: &Node,
        path: &str,
    ) -> Result<Value, ApiError> {
        // EC2 flattens every list; the others only those that say so.
        let inner = if self.api == Api::Ec2 || flattened {
            node
        } else {
            match node.children.get(member) {
                Some(inner) if node.children.len() == 1 => inner,
                // An empty list is sent as an empty value.
                None if node.children.is_empty() => return Ok(Value::Array(Vec::new())),
                _ => return Err(self.unknown(path)),
            }
        };
        let mut items = Vec::new();
        for (index, child) in &inner.children {
            let number: u32 = index.parse().map_err(|_| self.unknown(&join(path, index)))?;
            items.push((number, self.value(of, child, &join(path, index))?));
        }
        items.sort_by_key(|(number, _)| *number);
        Ok(Value::Array(items.into_iter().map(|(_, item)| item).collect()))
    }

    fn integer(&self, path: &str, text: &str, min: Option<f64>, max: Option<f64>) -> Result<Value, ApiError> {
        let number: i64 = text.parse().map_err(|_| self.invalid(path, text, "an integer"))?;
        if let Some(min) = min.filter(|min| (number as f64) < *min) {
            return Err(self.invalid(path, text, &format!("a value of at least {min}")));
        }
        if let Some(max) = max.filter(|max| (number as f64) > *max) {
            return Err(self.invalid(path, text, &format!("a value of at most {max}")));
        }
        Ok(Value::from(number))
    }

    fn text(&self, path: &str, text: &str, values: &[String], max: Option<f64>) -> Result<Value, ApiError> {
        // Published enumerations and the wire differ in case (`PendingAcceptance`), so they are compared without it.
        if !values.is_empty() && !values.iter().any(|value| value.eq_ignore_ascii_case(text)) {
            return Err(self.invalid(path, text, &format!("one of [{}]", values.join(", "))));
        }
        if let Some(max) = max.filter(|max| text.chars().count() as f64 > *max) {
            return Err(self.invalid(path, text, &format!("at most {max} characters")));
        }
        Ok(Value::from(text))
    }

    fn unknown(&self, path: &str) -> ApiError {
        match self.api {
            Api::Ec2 => ApiError::new("UnknownParameter", format!("The parameter {path} is not recognized")),
            _ => ApiError::new("MalformedInput", format!("Unexpected parameter '{path}'")),
        }
    }

    fn missing(&self, path: &str) -> ApiError {
        match self.api {
            Api::Ec2 => {
                ApiError::new("MissingParameter", format!("The request must contain the parameter {path}"))
            }
            _ => ApiError::new(
                "ValidationError",
                format!(
                    "1 validation error detected: Value null at '{}' failed to satisfy constraint: Member must not be null",
                    lower_first(path)
                ),
            ),
        }
    }

    fn invalid(&self, path: &str, value: &str, expected: &str) -> ApiError {
        match self.api {
            Api::Ec2 => ApiError::bad_value(path, value, &format!("Expected {expected}.")),
            _ => ApiError::new(
                "ValidationError",
                format!(
                    "1 validation error detected: Value '{value}' at '{}' failed to satisfy constraint: Member must be {expected}",
                    lower_first(path)
                ),
            ),
        }
    }
}

fn join(path: &str, part: &str) -> String {
    if path.is_empty() { part.to_owned() } else { format!("{path}.{part}") }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_ascii_lowercase().to_string() + chars.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn form(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn lists_of_both_dialects() {
        let ec2 = form(&[("Filter.1.Name", "tag:a"), ("Filter.1.Value.2", "y"), ("Filter.1.Value.1", "x")]);
        let decoded = decode(Api::Ec2, "DescribeVpcs", &ec2).unwrap();
        assert_eq!(decoded, json!({"Filters": [{"Name": "tag:a", "Values": ["x", "y"]}]}));
        let elb =
            form(&[("ResourceArns.member.1", "a"), ("Tags.member.1.Key", "k"), ("Tags.member.1.Value", "v")]);
        let decoded = decode(Api::Elb, "AddTags", &elb).unwrap();
        assert_eq!(decoded, json!({"ResourceArns": ["a"], "Tags": [{"Key": "k", "Value": "v"}]}));
        let empty = form(&[("LoadBalancerArn", "a"), ("SecurityGroups", "")]);
        assert_eq!(decode(Api::Elb, "SetSecurityGroups", &empty).unwrap()["SecurityGroups"], json!([]));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let code = |api, action, pairs: &[(&str, &str)]| decode(api, action, &form(pairs)).unwrap_err().code;
        assert_eq!(code(Api::Ec2, "DescribeVpcs", &[("Colour", "red")]), "UnknownParameter");
        assert_eq!(code(Api::Ec2, "DescribeVpcs", &[("MaxResults", "x")]), "InvalidParameterValue");
        assert_eq!(code(Api::Ec2, "DescribeVpcs", &[("MaxResults", "1")]), "InvalidParameterValue");
        assert_eq!(code(Api::Ec2, "CreateSecurityGroup", &[("GroupName", "x")]), "MissingParameter");
        assert_eq!(code(Api::Elb, "CreateLoadBalancer", &[]), "ValidationError");
        assert_eq!(
            code(Api::Elb, "CreateListener", &[("LoadBalancerArn", "a"), ("Protocol", "X")]),
            "ValidationError"
        );
        assert_eq!(code(Api::Sts, "GetCallerIdentity", &[("X", "y")]), "MalformedInput");
        let deep = "A.".repeat(100_000);
        assert_eq!(code(Api::Ec2, "DescribeVpcs", &[(&deep, "x")]), "MalformedQueryString");
    }
}

//! Turns an answer's members into XML, by the published shape.

use std::borrow::Cow;

use serde_json::Value;

use super::model::{Api, Shape, Shapes};

/// Why an answer could not be written: a mistake of the sandbox, never of the caller.
#[derive(Debug, thiserror::Error)]
#[error("{action}: {what} is not in the published shape")]
pub(crate) struct NotInShape {
    action: String,
    what: String,
}

/// The whole document of a successful answer.
pub(crate) fn document(
    api: Api,
    action: &str,
    reply: &Value,
    request_id: &str,
) -> Result<String, NotInShape> {
    let model = api.model();
    let output = model.operations.get(action).and_then(|operation| operation.output.as_deref());
    let mut out = String::with_capacity(4096);
    let namespace = model.namespace.trim_end_matches('/');
    out.push_str(&format!("<{action}Response xmlns=\"{namespace}/\">"));
    if api == Api::Ec2 {
        out.push_str(&format!("<requestId>{request_id}</requestId>"));
        match output {
            Some(shape) => structure(&model.answers, shape, reply, action, &mut out)?,
            // Calls without an output shape answer a bare `return`.
            None => out.push_str("<return>true</return>"),
        }
    } else {
        if let Some(shape) = output {
            out.push_str(&format!("<{action}Result>"));
            structure(&model.answers, shape, reply, action, &mut out)?;
            out.push_str(&format!("</{action}Result>"));
        }
        out.push_str(&format!("<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"));
    }
    out.push_str(&format!("</{action}Response>"));
    Ok(out)
}

fn structure(
    shapes: &Shapes,
    name: &str,
    value: &Value,
    action: &str,
    out: &mut String,
) -> Result<(), NotInShape> {
    let wrong = |what: String| NotInShape { action: action.to_owned(), what };
    let (Some(Shape::Structure { members, .. }), Some(fields)) = (shapes.get(name), value.as_object()) else {
        return Err(wrong(format!("{name} = {value}")));
    };
    for (key, field) in fields {
        let (wire, shape) = members.get(key).ok_or_else(|| wrong(format!("{name}.{key}")))?;
        element(shapes, wire, shape, field, action, out)?;
    }
    Ok(())
}

fn element(
    shapes: &Shapes,
    wire: &str,
    name: &str,
    value: &Value,
    action: &str,
    out: &mut String,
) -> Result<(), NotInShape> {
    if value.is_null() {
        return Ok(());
    }
    match (shapes.get(name), value) {
        (Some(Shape::List { of, member, flattened }), Value::Array(list)) => {
            if !flattened {
                open(wire, out);
            }
            for item in list {
                element(shapes, if *flattened { wire } else { member }, of, item, action, out)?;
            }
            if !flattened {
                close(wire, out);
            }
        }
        (Some(Shape::Structure { .. }), Value::Object(_)) => {
            open(wire, out);
            structure(shapes, name, value, action, out)?;
            close(wire, out);
        }
        (Some(Shape::String { .. } | Shape::Timestamp), Value::String(text)) => {
            leaf(wire, &escape(text), out);
        }
        (Some(Shape::Integer { .. }), Value::Number(number)) => leaf(wire, &number.to_string(), out),
        (Some(Shape::Boolean), Value::Bool(flag)) => leaf(wire, if *flag { "true" } else { "false" }, out),
        _ => {
            return Err(NotInShape { action: action.to_owned(), what: format!("{wire} ({name}) = {value}") });
        }
    }
    Ok(())
}

fn open(wire: &str, out: &mut String) {
    out.push('<');
    out.push_str(wire);
    out.push('>');
}

fn close(wire: &str, out: &mut String) {
    out.push_str("</");
    out.push_str(wire);
    out.push('>');
}

fn leaf(wire: &str, content: &str, out: &mut String) {
    open(wire, out);
    out.push_str(content);
    close(wire, out);
}

/// Text as XML character data.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    let special = |b: &u8| matches!(b, b'&' | b'<' | b'>' | b'"') || b.is_ascii_control();
    if !text.as_bytes().iter().any(special) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML 1.0 has no way to write the other control characters.
            c if c.is_control() && !matches!(c, '\n' | '\t' | '\r') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_two_dialects() {
        let vpcs = json!({"Vpcs": [{"VpcId": "vpc-1", "IsDefault": false, "Tags": []}], "NextToken": null});
        assert_eq!(
            document(Api::Ec2, "DescribeVpcs", &vpcs, "r").unwrap(),
            "<DescribeVpcsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId>\
             <vpcSet><item><isDefault>false</isDefault><tagSet></tagSet><vpcId>vpc-1</vpcId></item></vpcSet>\
             </DescribeVpcsResponse>"
        );
        let tags = json!({"TagDescriptions": [{"ResourceArn": "a", "Tags": [{"Key": "<k>", "Value": "v"}]}]});
        let text = document(Api::Elb, "DescribeTags", &tags, "r").unwrap();
        assert!(text.contains("<TagDescriptions><member><ResourceArn>a</ResourceArn>"), "{text}");
        assert!(text.contains("<Key>&lt;k&gt;</Key>"), "{text}");
        assert!(text.contains("<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>"), "{text}");
    }

    #[test]
    fn what_is_not_published_is_not_answered() {
        assert!(document(Api::Ec2, "DescribeVpcs", &json!({"Vpcs": [{"Colour": "red"}]}), "r").is_err());
        assert!(document(Api::Ec2, "DescribeVpcs", &json!({"Vpcs": [{"IsDefault": "no"}]}), "r").is_err());
    }
}

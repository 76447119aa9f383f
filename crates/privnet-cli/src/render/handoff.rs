//! What to send to the vendor.

use std::fmt::Write as _;

use privnet_core::handoff::Handoff;
use serde_json::Value;

use super::{Paint, Style};

/// All hand-overs as lines for a ticket.
pub(crate) fn handoff_text(handoffs: &[Handoff], paint: Paint) -> String {
    let mut out = String::new();
    for (index, handoff) in handoffs.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let _ = writeln!(
            out,
            "{}  {}",
            paint.on(Style::Bold, &handoff.name),
            paint.on(Style::Dim, handoff.cloud)
        );
        let simple = || handoff.fields.iter().filter(|(_, value)| !is_structure(value));
        let width = simple().map(|(field, _)| field.len()).max().unwrap_or(0);
        for (field, value) in simple() {
            let _ = writeln!(out, "  {:<width$}  {}", field.replace('_', " "), plain(value));
        }
        for missing in &handoff.missing {
            let _ = writeln!(out, "  {} {missing}", paint.on(Style::Change, "not yet:"));
        }
        for note in &handoff.notes {
            let _ = writeln!(out, "  {} {note}", paint.on(Style::Dim, "note:"));
        }
    }
    out
}

/// Objects are for programs: the text leaves them out.
fn is_structure(value: &Value) -> bool {
    match value {
        Value::Object(_) | Value::Null => true,
        Value::Array(members) => members.iter().any(is_structure),
        _ => false,
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(members) => members.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

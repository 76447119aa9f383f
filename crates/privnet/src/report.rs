//! The JSON of what was done: the plan's, each action with its outcome.

use privnet_core::Plan;
use privnet_core::execute::{Outcome, Report};
use serde_json::{Map, Value, json};

/// An error as JSON output shows it. `causes` are the messages of the chain.
#[must_use]
pub fn error_json(error: &privnet_core::Error) -> Value {
    json!({
        "kind": error.kind().as_str(),
        "code": error.code(),
        "message": error.to_string(),
        "causes": privnet_core::error::causes(error),
        "hints": error.hints(),
        "request_id": error.request_id(),
    })
}

/// The plan's JSON with the outcome of each action, the number of calls and the seconds that it took.
#[must_use]
pub fn executed_json(plan: &Plan, report: &Report) -> Value {
    let mut json = serde_json::to_value(plan).unwrap_or(Value::Null);
    if let Some(actions) = json.get_mut("actions").and_then(Value::as_array_mut) {
        for (action, outcome) in actions.iter_mut().zip(&report.outcomes) {
            if let Value::Object(action) = action {
                add_outcome(action, outcome);
            }
        }
    }
    if let Value::Object(json) = &mut json {
        json.insert("calls".to_owned(), json!(report.calls));
        json.insert("seconds".to_owned(), json!((report.elapsed.as_secs_f64() * 1000.0).round() / 1000.0));
    }
    json
}

fn add_outcome(action: &mut Map<String, Value>, outcome: &Outcome) {
    let word = match outcome {
        Outcome::Done { note } => {
            if let Some(note) = note {
                action.insert("note".to_owned(), json!(note));
            }
            "done"
        }
        Outcome::Failed(error) => {
            action.insert("error".to_owned(), error_json(error));
            "failed"
        }
        Outcome::Skipped { why } => {
            action.insert("why_skipped".to_owned(), json!(why));
            "skipped"
        }
    };
    action.insert("outcome".to_owned(), json!(word));
}

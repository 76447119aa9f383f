//! `privnet handoff`: what to send to the vendor.

use privnet::fivetran_tf;
use privnet_core::handoff::Handoff;
use serde_json::{Value, json};

use super::{Shell, joined};
use crate::args::{HandoffForm, Which};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::handoff_text;

pub(crate) async fn run(shell: &Shell, which: &Which, form: HandoffForm) -> Result<Exit, Failure> {
    let (mut exit, mut objects, mut text) = (Exit::Done, Vec::new(), String::new());
    for file in shell.open(which, 16)? {
        let (handoffs, unreachable) = {
            let _line = shell.progress.during("looking at the cloud");
            file.session.handoff().await
        };
        shell.not_interrupted()?;
        if shell.unreachable(&unreachable) {
            exit = exit.worse(Exit::Failed);
        }
        // What could be said of it is printed all the same.
        if handoffs.iter().any(|handoff| handoff.is_unseen) {
            exit = exit.worse(Exit::Failed);
        }
        match form {
            HandoffForm::Text => {
                text.push_str(&handoff_text(&handoffs, shell.output.paint()));
                objects.push(json!({"services": handoffs.iter().map(complete).collect::<Vec<_>>()}));
            }
            HandoffForm::FivetranTf => {
                let rendered = fivetran_tf::render(&handoffs);
                for left_out in &rendered.left_out {
                    shell.output.remark(&format!("left out: {left_out}"));
                    exit = exit.worse(Exit::Failed);
                }
                objects.push(json!({"terraform": rendered.text, "left_out": rendered.left_out}));
                text.push_str(&rendered.text);
            }
        }
    }
    shell.output.result(|_| text, || joined(objects));
    Ok(exit)
}

/// A hand-over with its lists also where they are empty, so that programs need not ask whether they are there.
fn complete(handoff: &Handoff) -> Value {
    let mut value = serde_json::to_value(handoff).unwrap_or_else(|_| json!({}));
    if let Value::Object(members) = &mut value {
        for list in ["missing", "notes"] {
            members.entry(list).or_insert_with(|| json!([]));
        }
    }
    value
}

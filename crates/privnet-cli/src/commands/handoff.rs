//! `privnet handoff`: what to send to the vendor.

use privnet::fivetran_tf::{self, OfFile};
use privnet_core::handoff::Handoff;
use serde_json::{Value, json};

use super::{Shell, joined};
use crate::args::{HandoffForm, Which};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::handoff_text;

pub(crate) async fn run(shell: &Shell, which: &Which, form: HandoffForm) -> Result<Exit, Failure> {
    let (mut exit, mut files) = (Exit::Done, Vec::new());
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
        files.push((file.session.spec().deployment.to_string(), handoffs));
    }
    match form {
        HandoffForm::Text => {
            let text = |paint| files.iter().map(|(_, handoffs)| handoff_text(handoffs, paint)).collect();
            let object =
                |handoffs: &[Handoff]| json!({"services": handoffs.iter().map(complete).collect::<Vec<_>>()});
            shell
                .output
                .result(text, || joined(files.iter().map(|(_, handoffs)| object(handoffs)).collect()));
        }
        HandoffForm::FivetranTf => {
            let files: Vec<OfFile<'_>> =
                files.iter().map(|(deployment, handoffs)| OfFile { deployment, handoffs }).collect();
            let rendered = fivetran_tf::render(&files);
            for left_out in &rendered.left_out {
                shell.output.remark(&format!("left out: {left_out}"));
                exit = exit.worse(Exit::Failed);
            }
            for remark in &rendered.remarks {
                shell.output.remark(remark);
            }
            let object = json!({
                "terraform": rendered.text,
                "left_out": rendered.left_out,
                "remarks": rendered.remarks,
            });
            shell.output.result(|_| rendered.text, || object);
        }
    }
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

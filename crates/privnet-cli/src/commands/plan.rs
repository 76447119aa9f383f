//! `privnet plan`: shows what apply would do.

use std::path::Path;

use privnet::{PlanOptions, SavedPlan};
use serde_json::json;

use super::{Shell, joined};
use crate::args::Which;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Word, plan_text};

pub(crate) async fn run(
    shell: &Shell,
    which: &Which,
    out: Option<&Path>,
    detailed_exitcode: bool,
    options: PlanOptions,
) -> Result<Exit, Failure> {
    let opened = shell.open(which, 16)?;
    if out.is_some() && opened.len() != 1 {
        return Err(Failure::usage("--out saves the plan of one file").hint("name one file"));
    }
    let (mut exit, mut objects, mut texts) = (Exit::Done, Vec::new(), String::new());
    for file in opened {
        let planned = {
            let _line = shell.progress.during("looking at the cloud");
            file.session.plan(options).await
        };
        shell.not_interrupted()?;
        if let Some(path) = out {
            let saved = SavedPlan {
                plan: planned.plan.clone(),
                file: file.source.name.clone(),
                text: file.source.text.clone(),
                services: which.services.clone(),
                prune: options.prune,
                sever_connections: options.sever_connections,
            };
            save(path, &saved)?;
            if !shell.global.quiet && !shell.output.is_json() {
                let path = path.display();
                shell.output.remark(&format!(
                    "saved: `privnet apply --plan {path}` carries out this plan and no other"
                ));
            }
        }
        let title = format!("{} ({})", planned.desired.deployment, file.source.name);
        texts.push_str(&plan_text(
            &title,
            &planned.plan,
            shell.global.verbose > 0,
            Word::Here,
            shell.output.paint(),
        ));
        objects.push(serde_json::to_value(&planned.plan).unwrap_or_else(|_| json!({})));
        exit = exit.worse(exit_of(&planned, detailed_exitcode));
        shell.unreachable(&planned.unreachable);
    }
    shell.output.result(|_| texts, || joined(objects));
    Ok(exit)
}

fn exit_of(planned: &privnet::Planned, detailed: bool) -> Exit {
    if !planned.unreachable.is_empty() {
        Exit::Failed
    } else if detailed && !planned.plan.refusals.is_empty() {
        Exit::Refused
    } else if detailed && !planned.plan.is_empty() {
        Exit::Changes
    } else {
        Exit::Done
    }
}

fn save(path: &Path, saved: &SavedPlan) -> Result<(), Failure> {
    let json =
        serde_json::to_vec_pretty(saved).map_err(|cause| Failure::io("cannot write the plan", &cause))?;
    std::fs::write(path, json)
        .map_err(|cause| Failure::io(format!("cannot write {}", path.display()), &cause))
}

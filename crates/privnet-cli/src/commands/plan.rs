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
    if let Some(path) = out {
        loses_nothing(path)?;
    }
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

/// An error where a plan at this path would take the place of something else than an earlier plan: a deployment's file is what everything
/// is made from, and may be the only copy.
fn loses_nothing(path: &Path) -> Result<(), Failure> {
    let shown = path.display();
    if path == Path::new("-") {
        return Err(Failure::usage(
            "--out takes a file's name, and `-` is none: a saved plan is for `apply --plan FILE`",
        )
        .hint("to look at a plan as JSON on standard output: privnet plan --output json"));
    }
    // What cannot be looked at is told when it is written; pipes and devices keep nothing that could be lost.
    let Ok(there) = std::fs::metadata(path) else { return Ok(()) };
    if there.is_dir() {
        return Err(Failure::usage(format!("--out takes a file's name, and {shown} is a directory"))
            .hint(format!("name a file in it: --out {}", path.join("plan.json").display())));
    }
    if !there.is_file() {
        return Ok(());
    }
    let refused = |why: &str| {
        Failure::usage(format!("--out would overwrite {shown}, {why}"))
            .hint("give --out a name that is free or that of an earlier saved plan")
    };
    let bytes =
        std::fs::read(path).map_err(|cause| refused("and it cannot be told what that is").because(&cause))?;
    // A file that is made for the plan beforehand is empty.
    if bytes.is_empty() || serde_json::from_slice::<SavedPlan>(&bytes).is_ok() {
        return Ok(());
    }
    Err(refused("which is not a plan that `privnet plan --out` wrote"))
}

fn save(path: &Path, saved: &SavedPlan) -> Result<(), Failure> {
    let json =
        serde_json::to_vec_pretty(saved).map_err(|cause| Failure::io("cannot write the plan", &cause))?;
    std::fs::write(path, json)
        .map_err(|cause| Failure::io(format!("cannot write {}", path.display()), &cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_earlier_plan_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let refused = |path: &Path| {
            let failure = loses_nothing(path).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{failure:?}");
            failure.message
        };
        std::fs::write(at("own.yaml"), "version: 1\ndeployment: d\n").unwrap();
        std::fs::write(at("own.json"), "{\"version\": 1, \"deployment\": \"d\"}").unwrap();
        for name in ["own.yaml", "own.json", "./own.yaml"] {
            assert!(refused(&at(name)).contains("not a plan that"), "{name}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(at("own.yaml"), at("link.json")).unwrap();
            assert!(refused(&at("link.json")).contains("link.json"));
        }
        assert!(refused(dir.path()).contains("is a directory"));
        assert!(refused(Path::new("-")).contains("`-`"));

        let saved = SavedPlan {
            plan: privnet_core::Plan::default(),
            file: "own.yaml".to_owned(),
            text: String::new(),
            services: Vec::new(),
            prune: false,
            sever_connections: false,
        };
        save(&at("plan.json"), &saved).unwrap();
        std::fs::write(at("empty"), "").unwrap();
        for name in ["plan.json", "empty", "new.json", "no/such/folder/plan.json"] {
            assert!(loses_nothing(&at(name)).is_ok(), "{name}");
        }
    }
}

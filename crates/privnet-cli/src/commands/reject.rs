//! `privnet reject`: turns a pending connection away, or cuts a live one.

use std::collections::BTreeSet;

use privnet::{Executed, Plan, Planned, Session, executed_json};

use super::{Shell, joined};
use crate::args::Which;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::written;
use crate::render::{count, executed_text, plan_text};
use crate::world::confirm;

/// Whoever is asked sees in the question that it is about more than that one connection.
fn question(connection: &str, plan: &Plan) -> String {
    let along = plan.actions.iter().filter_map(|action| action.connection.as_deref());
    let along: BTreeSet<&String> = along.flat_map(|decided| &decided.along).collect();
    match along.len() {
        0 => format!("Reject {connection}?"),
        others => format!("Reject {connection}, and cut {} with it?", count(others, "other connection")),
    }
}

pub(crate) async fn run(
    shell: &Shell,
    which: &Which,
    connection: &str,
    sever: bool,
    yes: bool,
) -> Result<Exit, Failure> {
    let (mut exit, mut objects, mut text, mut found) = (Exit::Done, Vec::new(), String::new(), false);
    let mut stopped = None;
    for file in shell.open(which, 16)? {
        let planned = {
            let _line = shell.progress.during("looking at the connections");
            file.session.plan_rejection(connection, sever).await
        };
        if let Err(failure) = shell.not_interrupted() {
            stopped = Some(failure);
            break;
        }
        let Some(planned) = planned else { continue };
        let title = format!("{} ({})", planned.desired.deployment, file.source.name);
        if !shell.output.is_json() {
            shell.output.raw(plan_text(&title, &planned.plan, false, shell.output.paint()).as_bytes());
            written()?;
        }
        shell.unreachable(&planned.unreachable);
        if !planned.plan.is_empty()
            && let Err(failure) =
                confirm(&question(connection, &planned.plan), yes, &shell.world.cancel).await
        {
            stopped = Some(failure);
            break;
        }
        let planned = if planned.plan.is_empty() || yes {
            planned
        } else {
            match as_of_now(shell, &file.session, connection, sever, planned).await {
                Ok(planned) => planned,
                Err(failure) => {
                    stopped = Some(failure);
                    break;
                }
            }
        };
        found = true;
        let Executed { planned, report } = file.session.execute(planned).await;
        exit = exit.worse(shell.exit_of(&planned, Some(&report)));
        text.push_str(&executed_text(&planned.plan, &report, shell.output.paint()));
        objects.push(executed_json(&planned.plan, &report));
    }
    if !found {
        if let Some(failure) = stopped {
            return Err(failure);
        }
        return Err(Failure::failed("not-found", format!("no service has a connection `{connection}`"))
            .hint("`privnet status` lists the connections of each service"));
    }
    // What was done in the files before is said, also where the command ends in a later one.
    shell.output.result(|_| text, || joined(objects));
    stopped.map_or(Ok(exit), |failure| Err(failure.or_worse(exit)))
}

/// The plan as it is now: one that waited when a person was asked may be in by the answer, or cut others along.
async fn as_of_now(
    shell: &Shell,
    session: &Session,
    connection: &str,
    sever: bool,
    shown: Planned,
) -> Result<Planned, Failure> {
    let now = {
        let _line = shell.progress.during("looking at the connections once more");
        session.plan_rejection(connection, sever).await
    };
    shell.not_interrupted()?;
    if now.as_ref().is_some_and(|now| shown.unreachable.is_empty() && shell.unreachable(&now.unreachable)) {
        return Err(Failure::failed(
            "unobserved",
            "the connections cannot be looked at any more: nothing was done",
        ));
    }
    now.filter(|now| shown.plan.does_what(&now.plan)).ok_or_else(|| {
        Failure::refused("who is connected, or waits, has changed since this was shown: nothing was done")
            .hint("look at it again: run the same command once more")
    })
}

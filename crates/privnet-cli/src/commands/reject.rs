//! `privnet reject`: turns a pending connection away, or cuts a live one.

use std::collections::BTreeSet;

use privnet::{Executed, Plan, Planned, executed_json};

use super::as_shown::{as_shown, changed};
use super::{Opened, Shell, joined};
use crate::args::Which;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::written;
use crate::render::{GoesOn, count, executed_text, rejection_text, unread_text};
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

/// What one file came to.
enum Came {
    /// None of its services has the connection.
    ToNothing,
    /// Some of its services could not be looked at, and the others do not have it.
    Unseen {
        exit: Exit,
        why: Vec<String>,
    },
    To(Box<Executed>),
}

pub(crate) async fn run(
    shell: &Shell,
    which: &Which,
    connection: &str,
    sever: bool,
    yes: bool,
) -> Result<Exit, Failure> {
    let (mut exit, mut objects, mut text) = (Exit::Done, Vec::new(), String::new());
    let (mut stopped, mut unseen) = (None, None);
    for file in shell.open(which, 16)? {
        match one(shell, &file, connection, sever, yes).await {
            Ok(Came::ToNothing) => {}
            Ok(Came::Unseen { exit: one, why }) => {
                exit = exit.worse(one);
                unseen.get_or_insert_with(Vec::new).extend(why);
            }
            Ok(Came::To(executed)) => {
                let Executed { planned, report } = *executed;
                exit = exit.worse(shell.exit_of(&planned, Some(&report)));
                text.push_str(&executed_text(&planned.plan, &report, GoesOn::Again, shell.output.paint()));
                objects.push(executed_json(&planned.plan, &report));
            }
            Err(failure) => {
                stopped = Some(failure);
                break;
            }
        }
    }
    if objects.is_empty() {
        return Err(stopped.unwrap_or_else(|| not_found(connection, unseen)));
    }
    // What was done in the files before is said, also where the command ends in a later one.
    shell.output.result(|_| text, || joined(objects));
    stopped.map_or(Ok(exit), |failure| Err(failure.or_worse(exit)))
}

fn not_found(connection: &str, unseen: Option<Vec<String>>) -> Failure {
    match unseen {
        None => Failure::failed("not-found", format!("no service has a connection `{connection}`"))
            .hint("`privnet status` lists the connections of each service"),
        Some(why) => {
            let nothing = format!("no service that could be looked at has a connection `{connection}`");
            Failure { causes: why, ..Failure::failed("unobserved", nothing) }
        }
    }
}

async fn one(
    shell: &Shell,
    file: &Opened,
    connection: &str,
    sever: bool,
    yes: bool,
) -> Result<Came, Failure> {
    let planned = {
        let _line = shell.progress.during("looking at the connections");
        file.session.plan_rejection(connection, sever).await
    };
    shell.not_interrupted()?;
    let Some(planned) = planned else { return Ok(Came::ToNothing) };
    shell.unreachable(&planned.unreachable);
    if planned.plan == Plan::default() {
        let exit = shell.exit_of(&planned, None);
        let why = planned.unread().iter().map(unread_text).collect();
        return Ok(Came::Unseen { exit, why });
    }
    let title = format!("{} ({})", planned.desired.deployment, file.source.name);
    if !shell.output.is_json() {
        shell.output.raw(rejection_text(&title, &planned.plan, shell.output.paint()).as_bytes());
        written()?;
    }
    if planned.plan.is_empty() {
        return Ok(Came::To(Box::new(file.session.execute(planned).await)));
    }
    confirm(&question(connection, &planned.plan), yes, &shell.world.cancel).await?;
    let planned = if yes { planned } else { as_of_now(shell, file, connection, sever, planned).await? };
    Ok(Came::To(Box::new(file.session.execute(planned).await)))
}

/// The plan as it is now: one that waited when a person was asked may be in by the answer, or cut others along.
async fn as_of_now(
    shell: &Shell,
    file: &Opened,
    connection: &str,
    sever: bool,
    shown: Planned,
) -> Result<Planned, Failure> {
    let now = {
        let _line = shell.progress.during("looking at the connections once more");
        file.session.plan_rejection(connection, sever).await
    };
    shell.not_interrupted()?;
    // One that is gone is nobody's any more.
    let now = now.ok_or_else(|| changed(&file.source.name))?;
    as_shown(shell, &file.source.name, &shown, &now)?;
    Ok(now)
}

//! `privnet accept-pending`: lets in the vendor's connection and nobody else's.

use std::time::Duration;

use privnet::{Ask, Decided, Plan, Planned, Session, Told, WaitedFor, told};
use serde_json::json;

use super::{Shell, joined};
use crate::args::Which;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Paint, count, decision_json, decisions_text, executed_text, warnings_text};
use crate::world::{can_ask, confirm};

/// How the command was asked to go about it.
pub(crate) struct Manner {
    pub(crate) dry_run: bool,
    pub(crate) yes: bool,
    /// Until everybody is connected, at most this long.
    pub(crate) watch: Option<Duration>,
}

/// What one file came to.
struct Ended {
    decisions: Vec<Told>,
    exit: Exit,
    text: String,
    /// Whether the connection that was asked for may be one of its services'.
    may_have_it: bool,
}

pub(crate) async fn run(shell: &Shell, which: &Which, ask: &Ask, manner: Manner) -> Result<Exit, Failure> {
    let mut ended = Vec::new();
    let mut stopped = None;
    for file in shell.open(which, 16)? {
        let one = match manner.watch {
            Some(timeout) => watch(shell, &file.session, ask, timeout, manner.yes).await,
            None => once(shell, &file.session, ask, &manner).await,
        };
        match one {
            Ok(one) => ended.push(one),
            // What was decided in the files before is said all the same.
            Err(failure) => {
                stopped = Some(match ended.is_empty() {
                    true => failure,
                    false => failure.hint(format!(
                        "it ended at {}; what was done in the files before is said above",
                        file.source.name
                    )),
                });
                break;
            }
        }
    }
    if stopped.is_none() && !ended.iter().any(|file| file.may_have_it) {
        let id = ask.connection.as_deref().unwrap_or_default();
        return Err(Failure::failed("not-found", format!("no pending connection request is `{id}`"))
            .hint("`privnet status` lists the connections of each service"));
    }
    let exit = ended.iter().map(|file| file.exit).fold(Exit::Done, Exit::worse);
    let json = |file: &Ended| file.decisions.iter().map(decision_json).collect::<Vec<_>>();
    let objects = ended.iter().map(|file| json!({"decisions": json(file)})).collect();
    let text: String = ended.iter().map(|file| file.text.as_str()).collect();
    if !ended.is_empty() {
        shell.output.result(|_| text, || joined(objects));
    }
    stopped.map_or(Ok(exit), Err)
}

async fn once(shell: &Shell, session: &Session, ask: &Ask, manner: &Manner) -> Result<Ended, Failure> {
    let decided = {
        let _line = shell.progress.during("looking at the connections");
        session.accept_pending(ask, true).await
    };
    shell.not_interrupted()?;
    let is_it = |id: &str| {
        // By either name, as it is decided on.
        let named = |name: &str| name.eq_ignore_ascii_case(id);
        decided.decisions.iter().any(|decision| named(&decision.connection) || named(&decision.handle))
            || !decided.executed.unreachable.is_empty()
    };
    let may_have_it = ask.connection.as_deref().is_none_or(is_it);
    shell.unreachable(&decided.executed.unreachable);
    let paint = shell.output.paint();
    let warnings = warnings_text(&decided.executed.plan, paint);
    if manner.dry_run || decided.executed.plan.is_empty() {
        let exit = shell.exit_of(&decided.executed, None);
        let decisions = told(decided.decisions, &Plan::default(), None);
        let text = decisions_text(&decisions, paint) + &warnings + &unread(&decided.executed);
        return Ok(Ended { decisions, exit, text, may_have_it });
    }
    if !manner.yes {
        let considered = told(decided.decisions.clone(), &Plan::default(), None);
        let text = decisions_text(&considered, paint) + &warnings;
        // Whoever is asked sees what about; a program's standard error is for errors.
        if !shell.output.is_json() {
            shell.output.raw(text.as_bytes());
        } else if can_ask() {
            shell.output.remark(&text);
        }
    }
    let question = format!("Carry out {}?", count(decided.executed.plan.actions.len(), "decision"));
    confirm(&question, manner.yes, &shell.world.cancel).await?;
    let executed = session.execute(decided.executed).await;
    let exit = shell.exit_of(&executed.planned, Some(&executed.report));
    let decisions = told(decided.decisions, &executed.planned.plan, Some(&executed.report));
    let mut text = decisions_text(&decisions, paint);
    if manner.yes {
        // Nobody was asked, who would have been told before.
        text.push_str(&warnings);
    }
    if !executed.report.all_done() {
        text.push_str(&executed_text(&executed.planned.plan, &executed.report, paint));
    }
    text.push_str(&unread(&executed.planned));
    Ok(Ended { decisions, exit, text, may_have_it })
}

async fn watch(
    shell: &Shell,
    session: &Session,
    ask: &Ask,
    timeout: Duration,
    yes: bool,
) -> Result<Ended, Failure> {
    let services = session.services().count();
    let question = format!("Let in the consumers of {} as they ask?", count(services, "service"));
    confirm(&question, yes, &shell.world.cancel).await?;
    let paint = shell.output.paint();
    let mut all: Vec<Told> = Vec::new();
    let mut text = String::new();
    let waited = {
        let _line = shell.progress.during("waiting for connection requests; Ctrl-C ends it");
        let see = |decided: &Decided| note(decided, &mut all, &mut text, paint);
        session.accept_until_connected(ask, timeout, see).await
    };
    let last = &waited.last;
    shell.unreachable(&last.executed.unreachable);
    if let Some(report) = last.report.as_ref().filter(|report| !report.all_done()) {
        text.push_str(&executed_text(&last.executed.plan, report, paint));
    }
    let (exit, end) = match waited.end {
        WaitedFor::Connected => (Exit::Done, "Every consumer is connected.".to_owned()),
        WaitedFor::Ambiguous => (Exit::Refused, "Somebody must choose: use --connection ID.".to_owned()),
        WaitedFor::TimedOut => {
            (Exit::Failed, format!("Timed out after {timeout:?}: not every consumer is connected."))
        }
        WaitedFor::Failed => (Exit::Failed, "Stopped by a failure.".to_owned()),
        WaitedFor::Cancelled => (Exit::Interrupted, "Interrupted.".to_owned()),
    };
    text.push_str(&unread(&last.executed));
    text.push_str(&end);
    text.push('\n');
    Ok(Ended { decisions: all, exit, text, may_have_it: true })
}

/// Keeps each decision once: one that was carried out, or a new reason for leaving a request.
fn note(decided: &Decided, all: &mut Vec<Told>, text: &mut String, paint: Paint) {
    let known = all.len();
    for told in told(decided.decisions.clone(), &decided.executed.plan, decided.report.as_ref()) {
        if !all.contains(&told) {
            text.push_str(&decisions_text(std::slice::from_ref(&told), paint));
            all.push(told);
        }
    }
    if all.len() > known {
        text.push_str(&warnings_text(&decided.executed.plan, paint));
    }
}

/// Services whose connections could not be read: nobody is let in there, and that is said.
fn unread(planned: &Planned) -> String {
    let mut text = String::new();
    for (service, seen) in &planned.world.services {
        if let privnet_core::world::Connections::Unreadable { why } = &seen.connections {
            text.push_str(&format!(
                "{service}: its connections cannot be read ({why}); nothing was decided there\n"
            ));
        }
    }
    text
}

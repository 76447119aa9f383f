//! `privnet accept-pending`: lets in the vendor's connection and nobody else's.

mod errors;

use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use privnet::{Ask, Crowd, Decided, Planned, Session, Told, Verdict, told};
use serde_json::json;

use super::as_shown::as_shown;
use super::{Opened, Shell, joined};
use crate::args::Which;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::written;
use crate::render::{
    Paint, count, crowd_json, decision_json, decisions_text, nothing_pending_text, unread_json, unread_text,
    warnings_text,
};
use crate::world::{can_ask, confirm};
use errors::{carried_out_text, errors, failures, how_it_ended, refusals, who_is_named_and_left};

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
    /// The services whose connections could not be read.
    unread: Vec<(String, String)>,
    /// The consumers that have more connections than they may.
    crowds: Vec<Crowd>,
    exit: Exit,
    text: String,
    /// What went wrong: for standard error, behind the result.
    failures: Vec<Failure>,
    /// What a safety rule refuses: for standard error, too.
    refusals: Vec<Failure>,
    /// Whether the connection that was asked for may be one of its services'.
    may_have_it: bool,
    /// Whether it is.
    has_it: bool,
    /// Whether somebody may ask where nobody could look.
    missed: bool,
}

pub(crate) async fn run(shell: &Shell, which: &Which, ask: &Ask, manner: Manner) -> Result<Exit, Failure> {
    let files = shell.open(which, 16)?;
    let (ended, stopped) = match manner.watch {
        Some(timeout) => (watch(shell, &files, ask, timeout, manner.yes).await?, None),
        None => one_by_one(shell, &files, ask, &manner).await,
    };
    if stopped.is_none() && !ended.iter().any(|file| file.may_have_it) {
        let id = ask.connection.as_deref().unwrap_or_default();
        return Err(Failure::failed("not-found", format!("no pending connection request is `{id}`"))
            .hint("`privnet status` lists the connections of each service"));
    }
    // Who was asked for by name, and is there, is not elsewhere: what could not be read is then nothing that was missed.
    let missed = !ended.iter().any(|file| file.has_it) && ended.iter().any(|file| file.missed);
    let begun = if missed { Exit::Failed } else { Exit::Done };
    // How a wait for somebody ended says that itself.
    let left = if manner.watch.is_none() { who_is_named_and_left(&ended, ask) } else { None };
    let begun = begun.worse(left.as_ref().map_or(Exit::Done, |failure| failure.exit));
    let exit = ended.iter().map(|file| file.exit).fold(begun, Exit::worse);
    let json = |file: &Ended| {
        let decisions: Vec<_> = file.decisions.iter().map(decision_json).collect();
        let unread: Vec<_> = file.unread.iter().map(unread_json).collect();
        let crowds: Vec<_> = file.crowds.iter().map(crowd_json).collect();
        json!({"decisions": decisions, "unread": unread, "crowds": crowds})
    };
    let objects = ended.iter().map(json).collect();
    let text = |file: &Ended| match missed {
        true => file.text.clone(),
        false => file.text.clone() + &unread_lines(&file.unread),
    };
    let text: String = ended.iter().map(text).collect();
    if !ended.is_empty() {
        shell.output.result(|_| text, || joined(objects));
    }
    for failure in errors(&ended, missed, left.as_ref()) {
        shell.output.failure(&failure);
    }
    stopped.map_or(Ok(exit), |failure| Err(failure.or_worse(exit)))
}

/// What the files came to, and what stopped before the last one.
async fn one_by_one(
    shell: &Shell,
    files: &[Opened],
    ask: &Ask,
    manner: &Manner,
) -> (Vec<Ended>, Option<Failure>) {
    let mut ended = Vec::new();
    let mut stopped = None;
    for file in files {
        match once(shell, file, ask, manner).await {
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
    (ended, stopped)
}

async fn once(shell: &Shell, file: &Opened, ask: &Ask, manner: &Manner) -> Result<Ended, Failure> {
    let decided = {
        let _line = shell.progress.during("looking at the connections");
        file.session.accept_pending(ask, true).await
    };
    shell.not_interrupted()?;
    let is_it = |id: &str| decided.decisions.iter().any(|decision| decision.is_named(id));
    let unread = unread(&file.session, &decided.executed);
    let all_seen = unread.is_empty() && decided.executed.unreachable.is_empty();
    let has_it = ask.connection.as_deref().is_some_and(is_it);
    let may_have_it = ask.connection.is_none() || has_it || !all_seen;
    let missed = !unread.is_empty();
    shell.unreachable(&decided.executed.unreachable);
    let paint = shell.output.paint();
    let warnings = warnings_text(&decided.executed.plan.warnings, paint);
    if manner.dry_run || decided.executed.plan.is_empty() {
        let exit = shell.exit_of(&decided.executed, None);
        let decisions = told(decided.decisions, &decided.executed.plan, None);
        let mut text = decisions_text(&decisions, paint) + &warnings;
        if decisions.is_empty() {
            text.push_str(nothing_pending_text(all_seen, decided.executed.was_looked_at()));
        }
        let (crowds, failures, refusals) = (Vec::new(), Vec::new(), refusals(&decided.executed.plan));
        return Ok(Ended {
            decisions,
            unread,
            crowds,
            exit,
            text,
            failures,
            refusals,
            may_have_it,
            has_it,
            missed,
        });
    }
    if !manner.yes {
        let considered = told(decided.decisions.clone(), &decided.executed.plan, None);
        let text = decisions_text(&considered, paint) + &warnings;
        // Whoever is asked sees what about; a program's standard error is for errors.
        if !shell.output.is_json() {
            shell.output.raw(text.as_bytes());
            // Nothing is done that could not be shown.
            written()?;
        } else if can_ask() {
            shell.output.remark(&text);
        }
    }
    let question = format!("Carry out {}?", count(decided.executed.plan.actions.len(), "decision"));
    confirm(&question, manner.yes, &shell.world.cancel).await?;
    let decided = if manner.yes { decided } else { as_of_now(shell, file, ask, decided).await? };
    let Decided { decisions, executed, report, crowds } = file.session.carry_out(decided).await;
    let crowded = if crowds.is_empty() { Exit::Done } else { Exit::Failed };
    let exit = shell.exit_of(&executed, report.as_ref()).worse(crowded);
    let decisions = told(decisions, &executed.plan, report.as_ref());
    let mut text = carried_out_text(&decisions, &executed.plan, report.as_ref(), paint);
    if manner.yes {
        // Nobody was asked, who would have been told before.
        text.push_str(&warnings);
    }
    let failures = failures(&executed.plan, report.as_ref(), &crowds);
    let refusals = refusals(&executed.plan);
    Ok(Ended { decisions, unread, crowds, exit, text, failures, refusals, may_have_it, has_it, missed })
}

/// The decisions as they are now: while a person looked at them, another may have been let in, or have gone.
async fn as_of_now(shell: &Shell, file: &Opened, ask: &Ask, shown: Decided) -> Result<Decided, Failure> {
    let now = {
        let _line = shell.progress.during("looking at the connections once more");
        file.session.accept_pending(ask, true).await
    };
    shell.not_interrupted()?;
    as_shown(shell, &file.source.name, &shown.executed, &now.executed)?;
    Ok(now)
}

/// Waits for the consumers of all files side by side: one file's vendor may take days. Where one connection is named, the
/// file that has it ends the command, whatever came of it.
async fn watch(
    shell: &Shell,
    files: &[Opened],
    ask: &Ask,
    timeout: Duration,
    yes: bool,
) -> Result<Vec<Ended>, Failure> {
    let services = files.iter().map(|file| file.session.services().count()).sum();
    let question = format!("Let in the consumers of {} as they ask?", count(services, "service"));
    confirm(&question, yes, &shell.world.cancel).await?;
    let what = ask.connection.as_deref().unwrap_or("connection requests");
    let _line = shell.progress.during(&format!("waiting for {what}; Ctrl-C ends it"));
    // Each file has an end of its own.
    let several = files.len() > 1;
    let mut waits: FuturesUnordered<_> = files
        .iter()
        .enumerate()
        .map(|(place, file)| async move {
            let name = several.then_some(file.source.name.as_str());
            (place, watch_one(shell, &file.session, name, ask, timeout).await)
        })
        .collect();
    let mut ended = Vec::new();
    while let Some((place, one)) = waits.next().await {
        let has_it = one.decisions.iter().any(|told| told.decision.verdict != Verdict::Left);
        // Who must choose, or see to something, is kept waiting by nobody who only looks for it.
        if ask.connection.is_some() && (has_it || matches!(one.exit, Exit::Done | Exit::Refused)) {
            // The others had nothing to do but to look for it.
            return Ok(vec![one]);
        }
        ended.push((place, one));
    }
    ended.sort_by_key(|(place, _)| *place);
    Ok(ended.into_iter().map(|(_, one)| one).collect())
}

/// Waits for the consumers of one file, which is named where there are several.
async fn watch_one(
    shell: &Shell,
    session: &Session,
    name: Option<&str>,
    ask: &Ask,
    timeout: Duration,
) -> Ended {
    let paint = shell.output.paint();
    let mut all: Vec<Told> = Vec::new();
    let mut text = String::new();
    let mut was_seen = false;
    let see = |decided: &Decided| {
        was_seen |= ask.connection.as_deref().is_some_and(|id| is_there(decided, id));
        note(decided, &mut all, &mut text, paint);
    };
    let waited = session.accept_until_connected(ask, timeout, see).await;
    let last = &waited.last;
    shell.unreachable(&last.executed.unreachable);
    let mut failures = failures(&last.executed.plan, last.report.as_ref(), &last.crowds);
    let unread = unread(session, &last.executed);
    let named = |end: String| match name {
        Some(name) => format!("{name}: {end}"),
        None => end,
    };
    let exit = match how_it_ended(waited.end, ask, timeout, was_seen) {
        Ok(end) => {
            text.push_str(&named(end));
            text.push('\n');
            Exit::Done
        }
        Err(failure) => {
            let exit = failure.exit;
            failures.push(Failure { message: named(failure.message), ..failure });
            exit
        }
    };
    // Whom it waited for was connected, or is told by how it ended.
    let crowds = waited.last.crowds;
    Ended {
        decisions: all,
        unread,
        crowds,
        exit,
        text,
        failures,
        refusals: Vec::new(),
        may_have_it: true,
        has_it: false,
        missed: false,
    }
}

/// Whether a look showed the connection that is named, in whatever state.
fn is_there(decided: &Decided, id: &str) -> bool {
    let mut seen = decided.executed.world.services.values().flat_map(|seen| seen.connections.known());
    seen.any(|connection| connection.is_named(id)) || decided.decisions.iter().any(|one| one.is_named(id))
}

/// Keeps each decision once: one that was carried out, or a new reason for leaving a request.
fn note(decided: &Decided, all: &mut Vec<Told>, text: &mut String, paint: Paint) {
    let known = all.len();
    for told in told(decided.decisions.clone(), &decided.executed.plan, decided.report.as_ref()) {
        if !all.contains(&told) {
            let (plan, report) = (&decided.executed.plan, decided.report.as_ref());
            text.push_str(&carried_out_text(std::slice::from_ref(&told), plan, report, paint));
            all.push(told);
        }
    }
    if all.len() > known {
        text.push_str(&warnings_text(&decided.executed.plan.warnings, paint));
    }
}

fn unread_lines(unread: &[(String, String)]) -> String {
    unread.iter().map(|one| unread_text(one) + "\n").collect()
}

/// The services that somebody would be let in to, and whose connections could not be read. Nobody is let in to what is to go.
fn unread(session: &Session, planned: &Planned) -> Vec<(String, String)> {
    let goes = |name: &str| session.services().any(|service| service.remove && service.name.as_str() == name);
    planned.unread().into_iter().filter(|(service, _)| !goes(service)).collect()
}

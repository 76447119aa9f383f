//! Plans, and what became of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use privnet::{Outcome, Plan, Report};
use privnet_core::plan::{Action, FieldChange, Left, Op, Refusal, Summary};

use super::{Paint, Style, count, who};

/// A plan for people. `detail` lists the fields of what is made, too.
pub(crate) fn plan_text(title: &str, plan: &Plan, detail: bool, word: Word, paint: Paint) -> String {
    let waiting = waiting(plan).map(|waiting| format!(" {waiting}")).unwrap_or_default();
    format!("{}{waiting}\n", without_end(title, plan, detail, word, paint))
}

/// How the word that lifts a refusal is said to whoever sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// By the same command.
    Here,
    /// By `apply`: this command takes no such word.
    ByApply,
    /// By another plan: what is saved is carried out as it is.
    ByAnotherPlan,
}

impl Word {
    fn of(self, flag: &str) -> String {
        match self {
            Self::Here => flag.to_owned(),
            Self::ByApply => format!("`privnet apply {flag}`"),
            Self::ByAnotherPlan => format!("`privnet plan --out FILE {flag}`, then apply that"),
        }
    }
}

/// The plan of a rejection, which is about that one connection and holds nothing else up.
pub(crate) fn rejection_text(title: &str, plan: &Plan, paint: Paint) -> String {
    without_end(title, plan, false, Word::Here, paint) + "\n"
}

fn without_end(title: &str, plan: &Plan, detail: bool, word: Word, paint: Paint) -> String {
    let mut out = format!("{}\n", paint.on(Style::Bold, title));
    actions(&mut out, plan, detail, paint);
    if !plan.is_empty() {
        additions(&mut out, plan, paint);
    }
    remarks(&mut out, plan, word, paint);
    let _ = write!(out, "\n{}", summary_line(&plan.summary, plan, paint));
    out
}

/// How whoever sees that something was not done goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GoesOn {
    /// By the same command, which plans again.
    Again,
    /// Not by the same command: what it is to do is not what is left to do, and the command says so itself.
    Anew,
}

/// What became of a plan, for people.
pub(crate) fn executed_text(plan: &Plan, report: &Report, goes_on: GoesOn, paint: Paint) -> String {
    let (mut done, mut noted, mut failed, mut skipped) = (0, String::new(), String::new(), Vec::new());
    for (action, outcome) in plan.actions.iter().zip(&report.outcomes) {
        match outcome {
            Outcome::Done { note } => {
                done += 1;
                note_text(&mut noted, action, note.as_deref(), paint);
            }
            Outcome::Failed(_) => undone(&mut failed, action, outcome, paint),
            Outcome::Skipped { why } => skipped.push((action, why.as_str())),
        }
    }
    // What failed stands where people look first: at the end.
    let mut out = noted + &skipped_text(&skipped, paint) + &failed;
    let total = plan.actions.len();
    let style = if done == total { Style::Good } else { Style::Bad };
    let seconds = report.elapsed.as_secs_f64();
    let tally = if total == 0 && !plan.refusals.is_empty() {
        "nothing was done".to_owned()
    } else if total == 0 {
        "nothing to do".to_owned()
    } else {
        format!("{done} of {} done", count(total, "action"))
    };
    let _ = writeln!(
        out,
        "{} in {seconds:.1} s, {}",
        paint.on(style, tally),
        count(to_usize(report.calls), "call")
    );
    if done < total && goes_on == GoesOn::Again {
        let settled = if failed.is_empty() || report.cancelled { "" } else { "once that is settled, " };
        let hint = paint.on(Style::Change, "hint:");
        let _ = writeln!(out, "{hint} {settled}run the command again: it goes on from here");
    }
    out
}

/// So many of the actions that were skipped for the same reason are named.
const NAMED: usize = 5;

/// What was not begun, once for each reason.
fn skipped_text(skipped: &[(&Action, &str)], paint: Paint) -> String {
    let mut out = String::new();
    for (why, actions) in grouped(skipped.iter().map(|(action, why)| (*why, action.id.as_str()))) {
        let word = paint.on(Style::Change, "skipped");
        if let [action] = actions[..] {
            let _ = writeln!(out, "{word} {action}: {why}");
            continue;
        }
        let _ = writeln!(out, "{word} {}: {why}", count(actions.len(), "action"));
        for action in actions.iter().take(NAMED) {
            let _ = writeln!(out, "  {action}");
        }
        if let more @ 1.. = actions.len().saturating_sub(NAMED) {
            let _ = writeln!(out, "  and {more} more");
        }
    }
    out
}

/// What has the same key together, in the order of the first of each.
fn grouped<'a, K: Ord + Copy>(all: impl Iterator<Item = (K, &'a str)>) -> Vec<(K, Vec<&'a str>)> {
    let mut groups: Vec<(K, Vec<&str>)> = Vec::new();
    let mut places: BTreeMap<K, usize> = BTreeMap::new();
    for (key, one) in all {
        let place = *places.entry(key).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, group)) => group.push(one),
            None => groups.push((key, vec![one])),
        }
    }
    groups
}

/// What is to be known of an action that was done, where there is something. Of a decision that is what the cloud calls it.
pub(super) fn note_text(out: &mut String, action: &Action, note: Option<&str>, paint: Paint) {
    let note = note.filter(|_| !matches!(action.op, Op::Accept | Op::Reject));
    if let Some(note) = note {
        let _ = writeln!(out, "{} {}: {note}", paint.on(Style::Change, "note"), action.id);
    }
}

/// An action that failed or was skipped; nothing for one that was done.
pub(super) fn undone(out: &mut String, action: &Action, outcome: &Outcome, paint: Paint) {
    match outcome {
        Outcome::Done { .. } => {}
        Outcome::Failed(error) => error_text(out, &action.id, error, paint),
        Outcome::Skipped { why } => {
            let _ = writeln!(out, "{} {}: {why}", paint.on(Style::Change, "skipped"), action.id);
        }
    }
}

/// A cloud's error about something, with its causes and hints.
pub(super) fn error_text(out: &mut String, what: &str, error: &privnet_core::Error, paint: Paint) {
    let _ = writeln!(out, "{} {what}: {error}", paint.on(Style::Bad, "failed"));
    for cause in privnet_core::error::causes(error) {
        let _ = writeln!(out, "  because {cause}");
    }
    if let Some(id) = error.request_id() {
        let _ = writeln!(out, "  {}", paint.on(Style::Dim, format!("request id {id}")));
    }
    for hint in error.hints() {
        let _ = writeln!(out, "  {} {hint}", paint.on(Style::Change, "hint:"));
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn actions(out: &mut String, plan: &Plan, detail: bool, paint: Paint) {
    let mut services: BTreeMap<&str, Vec<&Action>> = BTreeMap::new();
    for action in &plan.actions {
        services.entry(&action.address.service).or_default().push(action);
    }
    for (service, actions) in services {
        let scope = actions.first().map(|action| action.scope.to_string()).unwrap_or_default();
        let _ = writeln!(out, "\n{}  {}", paint.on(Style::Bold, service), paint.on(Style::Dim, scope));
        for action in actions {
            let what = format!("{}/{}", action.address.kind, action.address.name);
            one_action(out, action, &what, detail, paint);
        }
    }
}

/// An action on a resource that is called `what`, with what it changes.
pub(super) fn one_action(out: &mut String, action: &Action, what: &str, detail: bool, paint: Paint) {
    let (sign, style) = match action.op {
        Op::Create => ("+", Style::Good),
        Op::Update => ("~", Style::Change),
        Op::Delete => ("-", Style::Bad),
        Op::Accept => ("✓", Style::Good),
        Op::Reject => ("✗", Style::Bad),
    };
    let what = match &action.connection {
        Some(connection) => format!("{} {}", connection.id, who(&connection.who, &connection.id)),
        None => what.to_owned(),
    };
    let reason = paint.on(Style::Dim, format!("({})", action.reason));
    let _ =
        writeln!(out, "  {} {what}  {reason}", paint.on(style, format!("{sign} {:<6}", action.op.as_str())));
    for change in &action.changes {
        let FieldChange { field, from, to } = change;
        // What takes the place of another has all its fields, and what was there of those that differ.
        if action.op == Op::Update || !from.is_null() {
            let _ = writeln!(out, "             {field}: {from} → {to}");
        } else if detail && !to.is_null() {
            let _ = writeln!(out, "             {field}: {to}");
        }
    }
}

fn additions(out: &mut String, plan: &Plan, paint: Paint) {
    if plan.adds_to_yours.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}", paint.on(Style::Bold, "Adds to yours"));
    for addition in &plan.adds_to_yours {
        let _ = writeln!(out, "  {} → {}", addition.address, addition.to);
    }
}

fn remarks(out: &mut String, plan: &Plan, word: Word, paint: Paint) {
    for left in &plan.left {
        out.push('\n');
        left_behind(out, left, paint);
    }
    for refusal in &plan.refusals {
        out.push('\n');
        refused(out, refusal, paint);
        if let Some(flag) = helpful_flag(plan, refusal) {
            let hint = paint.on(Style::Change, "hint:");
            let _ = writeln!(out, "  {hint} to do it all the same: {}", word.of(flag));
        }
    }
    if !plan.warnings.is_empty() {
        out.push('\n');
        warnings(out, plan, paint);
    }
    if !plan.waits.is_empty() {
        out.push('\n');
        waits(out, plan, paint);
    }
}

/// The word that lifts a refusal, where that leads to anything: nothing is done to a service that is also refused for what no word lifts.
pub(super) fn helpful_flag<'a>(plan: &Plan, refusal: &'a Refusal) -> Option<&'a str> {
    let hopeless = |other: &Refusal| other.flag.is_none() && other.address.service == refusal.address.service;
    refusal.flag.as_deref().filter(|_| !plan.refusals.iter().any(hopeless))
}

/// A service that the file no longer lists.
pub(super) fn left_behind(out: &mut String, left: &Left, paint: Paint) {
    let tally = count(left.resources.len(), "resource");
    let _ = writeln!(out, "{} {} ({tally}): {}", paint.on(Style::Change, "left"), left.service, left.why);
}

/// What a safety rule refuses, without the flag that lifts it.
pub(super) fn refused(out: &mut String, refusal: &Refusal, paint: Paint) {
    let rule = paint.on(Style::Dim, format!("[{}]", refusal.rule.as_str()));
    let _ = writeln!(out, "{} {} {rule}", paint.on(Style::Bad, "refused"), refusal.address);
    let _ = writeln!(out, "  {}", refusal.why);
}

/// What a user should know of a plan of decisions, whose actions are shown otherwise.
pub(crate) fn warnings_text(warnings: &[String], paint: Paint) -> String {
    let line = |warning: &String| format!("{} {warning}\n", paint.on(Style::Change, "warning"));
    warnings.iter().map(line).collect()
}

/// What a user should know.
pub(super) fn warnings(out: &mut String, plan: &Plan, paint: Paint) {
    out.push_str(&warnings_text(&plan.warnings, paint));
}

/// What is waited for: once for all services that wait for the same.
pub(super) fn waits(out: &mut String, plan: &Plan, paint: Paint) {
    let all = plan.waits.iter().map(|wait| ((wait.on.as_str(), wait.why.as_str()), wait.service.as_str()));
    for ((on, why), services) in grouped(all) {
        let word = paint.on(Style::Change, "waits");
        let _ = writeln!(out, "{word} {} for {on}: {why}", services.join(", "));
    }
}

/// What else a refused service needs is not planned: the counts do not have it.
fn waiting(plan: &Plan) -> Option<String> {
    let of_services = plan.refusals.iter().filter(|refusal| refusal.address.kind != "deployment");
    let names: BTreeSet<&str> = of_services.map(|refusal| refusal.address.service.as_str()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    (!names.is_empty())
        .then(|| format!("Whatever else {} needs waits until that is settled.", names.join(" or ")))
}

fn summary_line(summary: &Summary, plan: &Plan, paint: Paint) -> String {
    let parts: Vec<String> = [
        (summary.create, "to create", Style::Good),
        (summary.update, "to update", Style::Change),
        (summary.delete, "to delete", Style::Bad),
        (summary.accept, "to accept", Style::Good),
        (summary.reject, "to reject", Style::Bad),
    ]
    .into_iter()
    .filter(|(number, ..)| *number > 0)
    .map(|(number, what, style)| paint.on(style, format!("{number} {what}")))
    .collect();
    if !plan.refusals.is_empty() {
        let refused = format!("{} refused", plan.refusals.len());
        return match parts[..] {
            [] => format!("Nothing will be done: {refused}."),
            _ => format!("Plan: {}, {} unchanged, {refused}.", parts.join(", "), summary.unchanged),
        };
    }
    if parts.is_empty() && summary.unchanged == 0 {
        return "Nothing to do.".to_owned();
    }
    if parts.is_empty() {
        return format!("No changes: {} as the file says.", count(summary.unchanged, "resource"));
    }
    format!("Plan: {}, {} unchanged.", parts.join(", "), summary.unchanged)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use privnet::{Address, Error, ErrorKind, Rule, Scope, Wait};

    use super::*;

    fn action(name: &str) -> Action {
        let address = Address::new("orders", "listener", name);
        Action {
            id: format!("create {address}"),
            address,
            op: Op::Create,
            reason: "it is not there".to_owned(),
            changes: Vec::new(),
            after: Vec::new(),
            generation: None,
            scope: Scope("aws/1/us-east-1".to_owned()),
            live_id: None,
            connection: None,
            locks: Vec::new(),
        }
    }

    fn said(outcomes: Vec<Outcome>) -> String {
        said_of(outcomes, GoesOn::Again)
    }

    fn said_of(outcomes: Vec<Outcome>, goes_on: GoesOn) -> String {
        let actions = (0..outcomes.len()).map(|number| action(&number.to_string())).collect();
        let plan = Plan { actions, ..Plan::default() };
        let report = Report { outcomes, calls: 1, elapsed: Duration::from_secs(1), cancelled: false };
        executed_text(&plan, &report, goes_on, Paint::Plain)
    }

    #[test]
    fn what_was_skipped_is_told_once_for_each_reason_and_failures_last() {
        let skipped = |why: &str| Outcome::Skipped { why: why.to_owned() };
        let mut outcomes: Vec<Outcome> = (0..7).map(|_| skipped("interrupted before it began")).collect();
        outcomes.insert(1, Outcome::Failed(Error::new(ErrorKind::Denied, "create", "it", "not allowed")));
        outcomes.push(skipped("it comes after it"));
        outcomes.push(Outcome::Done { note: None });
        let said = said(outcomes);
        let head = "skipped 7 actions: interrupted before it began
  create orders/listener/0
  create orders/listener/2
  create orders/listener/3
  create orders/listener/4
  create orders/listener/5
  and 2 more
skipped create orders/listener/8: it comes after it
failed create orders/listener/1: ";
        assert!(said.starts_with(head), "{said}");
        let end = "1 of 10 actions done in 1.0 s, 1 call
hint: once that is settled, run the command again: it goes on from here\n";
        assert!(said.ends_with(end), "{said}");
    }

    #[test]
    fn nothing_is_hinted_at_where_all_is_done() {
        assert_eq!(said(vec![Outcome::Done { note: None }]), "1 of 1 action done in 1.0 s, 1 call\n");
        assert_eq!(
            said(vec![Outcome::Done { note: Some("it was there already".to_owned()) }]),
            "note create orders/listener/0: it was there already\n1 of 1 action done in 1.0 s, 1 call\n"
        );
        let interrupted = said(vec![Outcome::Skipped { why: "interrupted before it began".to_owned() }]);
        assert!(
            interrupted.ends_with("\nhint: run the command again: it goes on from here\n"),
            "{interrupted}"
        );
    }

    /// What is left of a saved plan is not that plan any more.
    #[test]
    fn the_same_command_is_hinted_at_only_where_it_goes_on() {
        let failed = || Outcome::Failed(Error::new(ErrorKind::Denied, "create", "it", "not allowed"));
        let anew = said_of(vec![failed()], GoesOn::Anew);
        assert!(anew.ends_with("\n0 of 1 action done in 1.0 s, 1 call\n"), "{anew}");
        assert_eq!(said(vec![failed()]).strip_prefix(&anew).unwrap().matches("hint:").count(), 1);
    }

    /// A word that is said in vain is not asked for.
    #[test]
    fn a_word_is_hinted_at_only_where_it_helps() {
        let refusal = |service: &str, rule, flag: Option<&str>| Refusal {
            address: Address::new(service, "listener", "5432"),
            rule,
            why: "so it is".to_owned(),
            flag: flag.map(str::to_owned),
        };
        let refusals = vec![
            refusal("orders", Rule::WouldSever, Some("--sever-connections")),
            refusal("orders", Rule::NotOurs, None),
            refusal("billing", Rule::WouldSever, Some("--sever-connections")),
        ];
        let plan = Plan { refusals, ..Plan::default() };
        let said = plan_text("d", &plan, false, Word::Here, Paint::Plain);
        assert_eq!(said.matches("hint:").count(), 1, "{said}");
        let (_, billing) = said.split_once("refused billing/").unwrap();
        assert!(billing.contains("hint: to do it all the same: --sever-connections"), "{said}");
    }

    #[test]
    fn what_many_services_wait_for_is_said_once() {
        let wait = |service: &str, on: &str| Wait {
            on: on.to_owned(),
            why: "its request".to_owned(),
            service: service.to_owned(),
        };
        let waits = vec![wait("a", "fivetran"), wait("b", "acme"), wait("c", "fivetran")];
        let said = plan_text("d", &Plan { waits, ..Plan::default() }, false, Word::Here, Paint::Plain);
        assert!(
            said.contains("\nwaits a, c for fivetran: its request\nwaits b for acme: its request\n"),
            "{said}"
        );
    }
}

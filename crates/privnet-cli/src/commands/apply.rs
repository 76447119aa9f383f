//! `privnet apply`, `privnet sync-targets` and `privnet destroy`: plan, show, ask, carry out, report.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use privnet::{Executed, PlanOptions, Planned, SavedPlan, Session, executed_json};
use privnet_core::Address;
use privnet_core::plan::Op;
use privnet_core::spec::{Acceptance, Service};
use serde_json::json;

use super::as_shown::as_shown;
use super::{Opened, Shell, joined};
use crate::args::Which;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::written;
use crate::render::{GoesOn, Word, count, executed_text, plan_text};
use crate::world::{can_ask, confirm};

/// What a plan is carried out for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Aim {
    /// The cloud agrees with the file.
    Apply,
    /// What a saved plan says is done, and nothing else.
    Saved,
    /// Load balancers follow names that moved.
    Follow,
    /// Nothing of the deployment is left.
    Destroy,
}

impl Aim {
    fn word(self) -> Word {
        match self {
            Self::Apply | Self::Destroy => Word::Here,
            Self::Saved => Word::ByAnotherPlan,
            Self::Follow => Word::ByApply,
        }
    }

    fn goes_on(self) -> GoesOn {
        match self {
            Self::Apply | Self::Follow | Self::Destroy => GoesOn::Again,
            Self::Saved => GoesOn::Anew,
        }
    }
}

/// How a file is planned.
#[derive(Clone, Copy)]
enum Way {
    /// Whole.
    Plan(PlanOptions),
    /// Nothing but which targets load balancers have.
    Targets,
}

impl Way {
    fn word(self) -> Word {
        match self {
            Self::Plan(_) => Word::Here,
            Self::Targets => Word::ByApply,
        }
    }
}

/// A file's plan, to be carried out.
struct Ready {
    name: String,
    session: Session,
    way: Way,
    planned: Planned,
}

impl Ready {
    async fn look(shell: &Shell, name: String, session: Session, way: Way) -> Result<Self, Failure> {
        let planned = observe(shell, &session, way).await?;
        Ok(Self { name, session, way, planned })
    }

    /// The plan as it is now. Somebody may have come in since it was made, whom it would cut. What a person looked at is done as it was
    /// shown, or not at all.
    async fn as_of_now(&mut self, shell: &Shell, shown: bool) -> Result<(), Failure> {
        let same = {
            let _line = shell.progress.during("looking at the connections once more");
            self.session.meets_the_same(&self.planned).await
        };
        shell.not_interrupted()?;
        if same {
            return Ok(());
        }
        let now = observe(shell, &self.session, self.way).await?;
        if shown {
            as_shown(shell, &self.name, &self.planned, &now)?;
        } else if !self.planned.plan.does_what(&now.plan) {
            // Nobody was asked, but what is done and refused now is said as it was for the first plan.
            shell.unreachable(&now.unreachable);
            if !shell.output.is_json() {
                let title = format!("{} ({}), planned again", now.desired.deployment, self.name);
                let text = plan_text(
                    &title,
                    &now.plan,
                    shell.global.verbose > 0,
                    self.way.word(),
                    shell.output.paint(),
                );
                shell.output.raw(text.as_bytes());
                written()?;
            }
        }
        self.planned = now;
        Ok(())
    }
}

pub(crate) async fn run(
    shell: &Shell,
    which: &Which,
    options: PlanOptions,
    yes: bool,
    parallelism: usize,
) -> Result<Exit, Failure> {
    let mut ready = Vec::new();
    for Opened { source, session } in shell.open(which, parallelism)? {
        ready.push(Ready::look(shell, source.name, session, Way::Plan(options)).await?);
    }
    carry_out(shell, ready, yes, Aim::Apply).await
}

pub(crate) async fn sync_targets(shell: &Shell, which: &Which, yes: bool) -> Result<Exit, Failure> {
    let mut ready = Vec::new();
    for Opened { source, session } in shell.open(which, 16)? {
        ready.push(Ready::look(shell, source.name, session, Way::Targets).await?);
    }
    carry_out(shell, ready, yes, Aim::Follow).await
}

pub(crate) async fn destroy(
    shell: &Shell,
    which: &Which,
    sever_connections: bool,
    yes: bool,
) -> Result<Exit, Failure> {
    let opened = shell.open(which, 16)?;
    if which.files.is_empty() && opened.len() > 1 {
        let names: Vec<_> = opened.iter().map(|file| file.source.name.as_str()).collect();
        return Err(Failure::usage(
            "there is more than one deployment here, and destroy takes none by itself",
        )
        .hint(format!("name the file: privnet destroy {}", names.join(" | "))));
    }
    let options = PlanOptions { destroy: true, sever_connections, prune: false };
    let mut ready = Vec::new();
    for Opened { source, session } in opened {
        ready.push(Ready::look(shell, source.name, session, Way::Plan(options)).await?);
    }
    carry_out(shell, ready, yes, Aim::Destroy).await
}

pub(crate) async fn saved(
    shell: &Shell,
    path: &Path,
    yes: bool,
    parallelism: usize,
) -> Result<Exit, Failure> {
    let name = path.display().to_string();
    let bytes =
        std::fs::read(path).map_err(|cause| Failure::file(format!("cannot read {name}")).because(&cause))?;
    let saved: SavedPlan = serde_json::from_slice(&bytes).map_err(|cause| {
        Failure::file(format!("{name} is not a plan that `privnet plan --out` wrote")).because(&cause)
    })?;
    let source = crate::files::Source { name: saved.file.clone(), text: saved.text.clone() };
    let specs = crate::files::decode_or_fail(std::slice::from_ref(&source))?;
    let Some(spec) = specs.into_iter().next() else {
        return Err(Failure::file(format!("{name} has no file in it")));
    };
    let session = shell.session(spec, &saved.services, parallelism)?;
    let ready = Ready::look(shell, source.name, session, Way::Plan(saved.options())).await?;
    if !saved.is_still(&ready.planned.plan) {
        return Err(Failure::refused(format!(
            "{name} is not what would be done now: the cloud or the plan has changed"
        ))
        .hint("make and look at a new one: privnet plan --out FILE"));
    }
    if saved.sever_connections && !ready.planned.plan.is_empty() {
        // Whoever carries it out may not be who said so, and it was not said on this command line.
        shell.errors.remark(&format!(
            "{name} says `--sever-connections`: live consumers are cut where it needs that"
        ));
    }
    let exit = carry_out(shell, vec![ready], yes, Aim::Saved).await?;
    if exit != Exit::Done && !shell.output.is_json() {
        shell.errors.remark(
            "hint: once something of it was done, a saved plan is not what would be done any more: make and look at a new one: privnet plan \
             --out FILE",
        );
    }
    Ok(exit)
}

async fn observe(shell: &Shell, session: &Session, way: Way) -> Result<Planned, Failure> {
    let planned = match way {
        Way::Plan(options) => {
            let _line = shell.progress.during("looking at the cloud");
            session.plan(options).await
        }
        Way::Targets => {
            let _line = shell.progress.during("looking at names and targets");
            session.plan_targets().await
        }
    };
    shell.not_interrupted()?;
    Ok(planned)
}

async fn carry_out(shell: &Shell, ready: Vec<Ready>, yes: bool, aim: Aim) -> Result<Exit, Failure> {
    let mut shown = String::new();
    for file in &ready {
        let title = format!("{} ({})", file.planned.desired.deployment, file.name);
        shown.push_str(&plan_text(
            &title,
            &file.planned.plan,
            shell.global.verbose > 0,
            aim.word(),
            shell.output.paint(),
        ));
        if aim == Aim::Destroy {
            shown.push_str(&scopes(&file.planned));
        }
        shell.unreachable(&file.planned.unreachable);
    }
    if !shell.output.is_json() {
        shell.output.raw(shown.as_bytes());
        // Nothing is done that could not be shown.
        written()?;
    }
    let total: usize = ready.iter().map(|file| file.planned.plan.actions.len()).sum();
    if total > 0 && !shell.world.cancel.is_cancelled() {
        let what = if aim == Aim::Destroy { "Destroy this" } else { "Do this" };
        // Whoever is asked sees what about; a program's standard error is for errors.
        if shell.output.is_json() && !yes && can_ask() {
            shell.output.remark(&shown);
        }
        confirm(&format!("{what}: {}?", count(total, "action")), yes, &shell.world.cancel).await?;
    }
    let (mut exit, mut objects, mut texts) = (Exit::Done, Vec::new(), String::new());
    let mut stopped = None;
    // What was planned just now needs no second look; other files take their time, and so do people.
    let looks = ready.len() > 1 || !yes;
    for mut file in ready {
        if looks
            && !file.planned.plan.is_empty()
            && let Err(failure) = file.as_of_now(shell, !yes).await
        {
            stopped = Some(failure);
            break;
        }
        let searched: Vec<String> = file.planned.world.searched.iter().map(ToString::to_string).collect();
        let Executed { planned, report } = {
            let _count = shell.progress.counting(file.planned.plan.actions.len());
            file.session.execute(file.planned).await
        };
        exit = exit.worse(shell.exit_of(&planned, Some(&report)));
        texts.push_str(&executed_text(&planned.plan, &report, aim.goes_on(), shell.output.paint()));
        texts.push_str(&next_step(&file.session, &planned, &report, aim));
        let mut object = executed_json(&planned.plan, &report);
        if let (Aim::Destroy, serde_json::Value::Object(object)) = (aim, &mut object) {
            object.insert("searched".to_owned(), json!(searched));
        }
        objects.push(object);
    }
    // What was done in the files before is said, also where the command ends in a later one.
    if stopped.is_none() || !objects.is_empty() {
        shell.output.result(|_| texts, || joined(objects));
    }
    stopped.map_or(Ok(exit), |failure| Err(failure.or_worse(exit)))
}

fn scopes(planned: &Planned) -> String {
    if planned.world.searched.is_empty() {
        return "Searched: nothing\n".to_owned();
    }
    let mut text = String::from("Searched:\n");
    for scope in &planned.world.searched {
        let _ = writeln!(text, "  {scope}");
    }
    text
}

/// What a person would do next: hand over what is new, or what a consumer has yet to ask for.
fn next_step(session: &Session, planned: &Planned, report: &privnet::Report, aim: Aim) -> String {
    let plan = &planned.plan;
    let consumers: BTreeSet<&str> = planned
        .desired
        .services
        .values()
        .flat_map(|intent| &intent.policy.consumers)
        .map(|consumer| consumer.name.as_str())
        .collect();
    let asks = |on: &str| on.split(", ").any(|name| consumers.contains(name));
    // What only a part was made for is what the vendor has already.
    let is_exposed = |address: &Address| {
        planned.desired.services.get(&address.service).is_some_and(|intent| intent.exposed == *address)
    };
    let made = plan.actions.iter().filter(|action| action.op == Op::Create && is_exposed(&action.address));
    let awaited = plan.waits.iter().filter(|wait| !plan.actions.is_empty() && asks(&wait.on));
    let new: BTreeSet<&str> = made
        .map(|action| action.address.service.as_str())
        .chain(awaited.map(|wait| wait.service.as_str()))
        .collect();
    if !matches!(aim, Aim::Apply | Aim::Saved)
        || !report.all_done()
        || new.is_empty()
        || !plan.refusals.is_empty()
    {
        return String::new();
    }
    let is_decided =
        |service: &Service| service.acceptance == Acceptance::Manual && new.contains(service.name.as_str());
    // Nobody waits for a decision where the cloud lets in every endpoint of a consumer by itself.
    let deciding = session.services().any(is_decided);
    let deciding = if deciding { "; `privnet accept-pending --watch` lets its request in" } else { "" };
    format!("Next: `privnet handoff` prints what the vendor needs{deciding}.\n")
}

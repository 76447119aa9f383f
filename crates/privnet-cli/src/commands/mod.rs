//! The commands: each a thin shell over the library's session.

mod accept;
mod apply;
mod as_shown;
mod forwarder;
mod handoff;
mod plan;
mod reject;
mod sandbox;
mod shell;
mod status;
mod validate;
mod watch;

use std::time::Duration;

use privnet::{Events, Planned, Session, Spec, Unreachable};

use crate::args::{Args, Command, Global, RenderCommand, Which};
use crate::errors::Errors;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files::{self, Source};
use crate::output::Output;
use crate::progress::Progress;
use crate::world::World;

/// So long an ended command waits for whoever reads what it said.
const PATIENCE: Duration = Duration::from_secs(3);

/// Runs the command.
pub(crate) fn run(args: Args, output: &Output) -> Result<Exit, Failure> {
    let (global, output) = (args.global, *output);
    match args.command {
        Command::Validate { which } => validate::run(&which, output),
        Command::Render { command: RenderCommand::Forwarder { which } } => forwarder::run(&which, output),
        Command::Schema => Ok(shell::schema(output)),
        Command::Completions { shell } => Ok(shell::completions(shell, output)),
        Command::Man => shell::man(output),
        command => {
            let errors = match command {
                Command::Watch { .. } => Errors::queued(),
                _ => Errors::Straight,
            };
            errors.log(&global, output);
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .map_err(|cause| Failure::io("cannot start", &cause))?;
            let done = runtime.block_on(Box::pin(run_connected(command, global, output, errors.clone())));
            errors.end(PATIENCE);
            done
        }
    }
}

async fn run_connected(
    command: Command,
    global: Global,
    output: Output,
    errors: Errors,
) -> Result<Exit, Failure> {
    if let Command::Sandbox { command } = command {
        return sandbox::run(command, &global, output).await;
    }
    let world = World::open(&global, errors.clone()).await?;
    let progress = Progress::new(&global, output, errors.clone());
    let shell = Shell { command: command.name(), global, output, errors, world, progress };
    let done = match command {
        Command::Plan { which, out, detailed_exitcode, prune, sever_connections } => {
            plan::run(&shell, &which, out.as_deref(), detailed_exitcode, options(prune, sever_connections))
                .await
        }
        Command::Apply { plan: Some(saved), yes, parallelism, .. } => {
            apply::saved(&shell, &saved, yes, parallelism.into()).await
        }
        Command::Apply { which, plan: None, yes, prune, sever_connections, parallelism } => {
            apply::run(&shell, &which, options(prune, sever_connections), yes, parallelism.into()).await
        }
        Command::Destroy { which, yes, sever_connections } => {
            apply::destroy(&shell, &which, sever_connections, yes).await
        }
        Command::SyncTargets { which, yes } => apply::sync_targets(&shell, &which, yes).await,
        Command::Status { which } => status::run(&shell, &which).await,
        Command::AcceptPending { which, dry_run, yes, watch, timeout, connection, reject_others } => {
            let ask = privnet::Ask { again: connection.is_some(), connection, reject_others };
            accept::run(
                &shell,
                &which,
                &ask,
                accept::Manner { dry_run, yes, watch: watch.then_some(timeout) },
            )
            .await
        }
        Command::Reject { which, connection, yes, sever_connections } => {
            reject::run(&shell, &which, &connection, sever_connections, yes).await
        }
        Command::Watch { which, interval, observe, listen } => {
            watch::run(&shell, &which, watch::Manner { interval, observe, listen }).await
        }
        Command::Handoff { which, form } => handoff::run(&shell, &which, form).await,
        Command::Validate { .. }
        | Command::Render { .. }
        | Command::Schema
        | Command::Completions { .. }
        | Command::Man
        | Command::Sandbox { .. } => Ok(Exit::Done),
    };
    shell.world.close().await;
    done
}

fn options(prune: bool, sever_connections: bool) -> privnet::PlanOptions {
    privnet::PlanOptions { prune, sever_connections, destroy: false }
}

/// What every connected command has at hand.
pub(crate) struct Shell {
    /// The command's name.
    pub(crate) command: &'static str,
    pub(crate) global: Global,
    pub(crate) output: Output,
    pub(crate) errors: Errors,
    pub(crate) world: World,
    pub(crate) progress: Progress,
}

/// A file and the session for it.
pub(crate) struct Opened {
    pub(crate) source: Source,
    pub(crate) session: Session,
}

impl Shell {
    /// A session for each file.
    pub(crate) fn open(&self, which: &Which, parallelism: usize) -> Result<Vec<Opened>, Failure> {
        let tell = |text: &str| self.errors.remark(text);
        let sources = files::read(&files::find(which, self.command, std::path::Path::new("."), tell)?)?;
        let specs = files::decode_or_fail(&sources)?;
        files::check_services(which, &specs)?;
        sources
            .into_iter()
            .zip(specs)
            .map(|(source, spec)| {
                Ok(Opened { source, session: self.session(spec, &which.services, parallelism)? })
            })
            .collect()
    }

    pub(crate) fn session(
        &self,
        spec: Spec,
        services: &[String],
        parallelism: usize,
    ) -> Result<Session, Failure> {
        let events: Events = self.progress.events();
        self.world.session(spec, services, parallelism, events)
    }

    /// An error where the user stopped the command: what it looked at was not looked at to the end.
    pub(crate) fn not_interrupted(&self) -> Result<(), Failure> {
        if self.world.cancel.is_cancelled() {
            return Err(Failure::interrupted("stopped while looking at the cloud: nothing more was done"));
        }
        Ok(())
    }

    /// Tells of clouds that could not be observed; whether there were any.
    pub(crate) fn unreachable(&self, unreachable: &[Unreachable]) -> bool {
        // What the user stopped is told as that.
        for down in unreachable.iter().filter(|down| down.error.kind() != privnet_core::ErrorKind::Cancelled)
        {
            self.output.failure(&cloud_failure(down));
        }
        !unreachable.is_empty()
    }

    /// How a command ends that was to carry out this plan.
    pub(crate) fn exit_of(&self, planned: &Planned, report: Option<&privnet::Report>) -> Exit {
        let failed = !planned.unreachable.is_empty() || report.is_some_and(|report| !report.all_done());
        if self.world.cancel.is_cancelled() {
            Exit::Interrupted
        } else if failed {
            Exit::Failed
        } else if planned.plan.refusals.is_empty() {
            Exit::Done
        } else {
            Exit::Refused
        }
    }
}

fn cloud_failure(down: &Unreachable) -> Failure {
    let error = &down.error;
    let mut failure =
        Failure::failed(error.kind().as_str(), format!("{} could not be observed: {error}", down.cloud));
    failure.code = error.code().map(str::to_owned);
    failure.causes = privnet_core::error::causes(error);
    failure.hints = error.hints().to_vec();
    failure
}

/// Several files' JSON objects become one: lists are joined, numbers added. One file's object stays as it is.
pub(crate) fn joined(objects: Vec<serde_json::Value>) -> serde_json::Value {
    use serde_json::Value;
    let mut objects = objects.into_iter();
    let mut all = objects.next().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    for next in objects {
        if let (Value::Object(all), Value::Object(next)) = (&mut all, next) {
            for (key, value) in next {
                match (all.get_mut(&key), value) {
                    (Some(Value::Array(all)), Value::Array(more)) => all.extend(more),
                    (Some(Value::Object(all)), Value::Object(more)) => {
                        for (key, value) in more {
                            let sum =
                                all.get(&key).and_then(Value::as_u64).zip(value.as_u64()).map(|(a, b)| a + b);
                            all.insert(key, sum.map_or(value, Into::into));
                        }
                    }
                    (Some(Value::Number(old)), Value::Number(more)) if key != "format" => {
                        let sum = match (old.as_u64(), more.as_u64()) {
                            (Some(a), Some(b)) => Value::from(a + b),
                            _ => Value::from(old.as_f64().unwrap_or(0.0) + more.as_f64().unwrap_or(0.0)),
                        };
                        all.insert(key, sum);
                    }
                    (Some(_), _) => {}
                    (None, value) => {
                        all.insert(key, value);
                    }
                }
            }
        }
    }
    all
}

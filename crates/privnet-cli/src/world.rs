//! What a command needs of the process: clouds, interruption, audit log, the local cloud's folder.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use etcetera::BaseStrategy as _;
use privnet::{AuditFile, Clouds, Events, Limiter, SandboxEndpoints, Session, SessionBuilder, Spec};
use privnet_sandbox::{Options, Running, Sandbox};
use tokio_util::sync::CancellationToken;

use crate::args::Global;
use crate::errors::Errors;
use crate::failure::Failure;

/// The user's folder for what privnet keeps: `privnet` in the state directory.
pub(crate) fn state_dir() -> Result<PathBuf, Failure> {
    let strategy = etcetera::choose_base_strategy().map_err(|cause| {
        Failure::io("the user's home directory cannot be found", &cause)
            .hint("set HOME, or give --audit-log FILE and --dir DIR")
    })?;
    Ok(strategy.state_dir().unwrap_or_else(|| strategy.data_dir()).join("privnet"))
}

/// The local cloud's folder.
pub(crate) fn sandbox_dir(global: &Global) -> Result<PathBuf, Failure> {
    if let Some(dir) = &global.dir {
        return Ok(dir.clone());
    }
    match std::env::var_os("PRIVNET_SANDBOX_DIR").filter(|dir| !dir.is_empty()) {
        Some(dir) => Ok(PathBuf::from(dir)),
        None => Ok(state_dir()?.join("sandbox")),
    }
}

/// The clouds of this command, and the local one as long as it is needed.
pub(crate) struct World {
    clouds: Clouds,
    sandbox: Option<Running>,
    audit: PathBuf,
    /// All files of a process keep to the request rates together.
    limiter: Arc<Limiter>,
    /// Cancelled by Ctrl-C and by SIGTERM.
    pub(crate) cancel: CancellationToken,
    stopped_by: Arc<OnceLock<Signal>>,
}

/// What asked the process to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    /// Ctrl-C: the user, in the middle of something.
    Interrupt,
    /// SIGTERM: a supervisor, or a user with `kill`.
    Terminate,
}

impl World {
    /// Gets ready what the command line asks for.
    pub(crate) async fn open(global: &Global, errors: Errors) -> Result<Self, Failure> {
        let audit = match &global.audit_log {
            Some(path) => path.clone(),
            None if global.sandbox => sandbox_dir(global)?.join("audit.jsonl"),
            None => state_dir()?.join("audit.jsonl"),
        };
        let cancel = CancellationToken::new();
        let stopped_by = Arc::new(OnceLock::new());
        let errors = (!global.quiet).then_some(errors);
        listen_for_interruption(cancel.clone(), Arc::clone(&stopped_by), errors);
        let (clouds, sandbox) = if global.sandbox {
            let dir = sandbox_dir(global)?;
            let mut options = Options::new(&dir);
            options.record =
                std::env::var_os("PRIVNET_SANDBOX_RECORD").filter(|file| !file.is_empty()).map(PathBuf::from);
            let running = Sandbox::serve(&options).await?;
            (Clouds::Sandbox(endpoints(&running)), Some(running))
        } else {
            (Clouds::Real, None)
        };
        let limiter = Arc::new(Limiter::new(clouds.pace()));
        Ok(Self { clouds, sandbox, audit, limiter, cancel, stopped_by })
    }

    /// A session for a file of this command.
    pub(crate) fn session(
        &self,
        spec: Spec,
        services: &[String],
        parallelism: usize,
        events: Events,
    ) -> Result<Session, Failure> {
        Ok(self.builders(services.to_vec(), parallelism, events)(spec).build()?)
    }

    /// Makes sessions for files, also for ones that change later.
    pub(crate) fn builders(
        &self,
        services: Vec<String>,
        parallelism: usize,
        events: Events,
    ) -> impl Fn(Spec) -> SessionBuilder + Send + Sync + 'static {
        let (clouds, audit, cancel) = (self.clouds.clone(), AuditFile::new(&self.audit), self.cancel.clone());
        let limiter = Arc::clone(&self.limiter);
        move |spec| {
            SessionBuilder::new(spec, clouds.clone(), Arc::new(audit.clone()))
                .events(events.clone())
                .cancel(cancel.clone())
                .limiter(Arc::clone(&limiter))
                .parallelism(parallelism)
                .services(services.iter().cloned())
        }
    }

    /// How much faster than real time the clouds' time passes.
    pub(crate) fn pace(&self) -> f64 {
        self.clouds.pace()
    }

    /// Whether it was SIGTERM that asked the process to stop.
    pub(crate) fn is_terminated(&self) -> bool {
        self.stopped_by.get() == Some(&Signal::Terminate)
    }

    /// Lets the local cloud answer what it has begun, and stops it.
    pub(crate) async fn close(self) {
        if let Some(sandbox) = self.sandbox {
            sandbox.shutdown().await;
        }
    }
}

/// What a session needs to know of a sandbox that is served.
pub(crate) fn endpoints(running: &Running) -> SandboxEndpoints {
    let url = |cloud| running.url(cloud).unwrap_or_default().to_owned();
    SandboxEndpoints {
        aws: url("aws"),
        azure: url("azure"),
        gcp: url("gcp"),
        dns: running.dns(),
        speed: running.clock().speed(),
    }
}

/// The first Ctrl-C lets begun work end; the second ends the process at once.
fn listen_for_interruption(
    cancel: CancellationToken,
    stopped_by: Arc<OnceLock<Signal>>,
    errors: Option<Errors>,
) {
    tokio::spawn(async move {
        let Ok(signal) = interrupted().await else { return };
        let text = match signal {
            Signal::Interrupt => {
                "\ninterrupted: what has begun is being finished; press Ctrl-C again to stop at once"
            }
            Signal::Terminate => "terminated: what has begun is being finished",
        };
        if let Some(errors) = errors {
            errors.remark(text);
        }
        let _ = stopped_by.set(signal);
        cancel.cancel();
        if interrupted().await.is_ok() {
            std::process::exit(130);
        }
    });
}

#[cfg(unix)]
async fn interrupted() -> std::io::Result<Signal> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        done = tokio::signal::ctrl_c() => done.map(|()| Signal::Interrupt),
        _ = terminate.recv() => Ok(Signal::Terminate),
    }
}

#[cfg(not(unix))]
async fn interrupted() -> std::io::Result<Signal> {
    tokio::signal::ctrl_c().await.map(|()| Signal::Interrupt)
}

/// Whether somebody could be asked.
pub(crate) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks the user, unless `yes`. Without a terminal and without `--yes` nothing is done; Ctrl-C is an answer.
pub(crate) async fn confirm(question: &str, yes: bool, cancel: &CancellationToken) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !can_ask() {
        return Err(Failure::usage("there is no terminal to ask on, and --yes was not given")
            .hint("look at what would be done, then run the command with --yes"));
    }
    let mut err = std::io::stderr().lock();
    let _ = write!(err, "{question} [y/N] ");
    let _ = err.flush();
    drop(err);
    let answer = tokio::select! {
        answer = line() => answer,
        () = cancel.cancelled() => return Err(Failure::interrupted("nothing was done")),
    };
    if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        Ok(())
    } else {
        Err(Failure::failed("declined", "nothing was done"))
    }
}

/// A line of standard input. It is read by a thread that nothing waits for: a user who does not answer holds up no exit.
async fn line() -> String {
    let (send, receive) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut answer = String::new();
        let _ = std::io::stdin().read_line(&mut answer);
        let _ = send.send(answer);
    });
    receive.await.unwrap_or_default()
}

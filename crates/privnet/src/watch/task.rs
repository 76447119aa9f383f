//! The task of one deployment: waits for its clock, for its file, and for the end.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use futures::FutureExt as _;
use privnet_core::spec::Spec;
use rand::RngExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Clock, Deployment, FileChange, Kept, Open, Reading, Round, RoundOutcome, See, Step, WatchEvent,
    WatchOptions, round,
};

pub(super) struct Task {
    pub(super) options: WatchOptions,
    pub(super) open: Arc<Open>,
    pub(super) see: Arc<See>,
    pub(super) deployment: Deployment,
    pub(super) clock: Clock,
    pub(super) started: Instant,
}

impl Task {
    pub(super) async fn run(mut self, cancel: CancellationToken) {
        let mut reread = self.started + self.options.reread;
        loop {
            let due = self.started + self.clock.due();
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                () = tokio::time::sleep_until(reread), if self.deployment.path.is_some() => {
                    self.look_at_the_file().await;
                    reread = Instant::now() + self.options.reread;
                }
                () = tokio::time::sleep_until(due) => self.look_at_the_cloud().await,
            }
        }
    }

    async fn look_at_the_cloud(&mut self) {
        let session = &self.deployment.session;
        let (name, file) = (session.spec().deployment.to_string(), self.deployment.file.name());
        (self.see)(&WatchEvent::Began { deployment: name.clone() });
        let began = self.started.elapsed();
        // A fault of ours in one deployment ends neither the others nor this one: it is told, and tried again later.
        let round = Box::pin(round::round(session, file, self.options.observe));
        let round = AssertUnwindSafe(round).catch_unwind().await;
        let mut round = round.unwrap_or_else(|panic| {
            let fault = Some(format!("privnet itself failed, please report it: {}", panic_text(&*panic)));
            Round { fault, ..Round::blank(&name, file, self.options.observe) }
        });
        let now = self.started.elapsed();
        self.clock.ended(began, now, round.ended(), rand::rng().random_range(0.0..1.0));
        round.next = self.clock.due().saturating_sub(now);
        log(&round);
        (self.see)(&WatchEvent::Ended(Box::new(round)));
    }

    async fn look_at_the_file(&mut self) {
        let Some(path) = &self.deployment.path else { return };
        let Some(step) = self.deployment.file.look(read(path).await) else { return };
        let change = match step {
            Step::Back => FileChange::Back,
            Step::Keep(kept) => FileChange::Kept(kept),
            Step::Take(spec) => self.take(*spec),
        };
        let (deployment, file) =
            (self.deployment.session.spec().deployment.to_string(), self.deployment.file.name().to_owned());
        match &change {
            FileChange::Added => {}
            FileChange::Taken => tracing::info!(deployment, file, "the file changed and is taken"),
            FileChange::Back => tracing::info!(deployment, file, "the file is again the one that is used"),
            FileChange::Kept(kept) => {
                tracing::warn!(deployment, file, %kept, "the file changed and the one of before is kept");
            }
        }
        (self.see)(&WatchEvent::File { deployment, file, change });
    }

    fn take(&mut self, spec: Spec) -> FileChange {
        match (self.open)(spec) {
            Ok(session) => {
                self.deployment.session = session;
                self.deployment.file.taken();
                self.clock.wake(self.started.elapsed());
                FileChange::Taken
            }
            Err(error) => FileChange::Kept(Kept::Unusable(error.to_string())),
        }
    }
}

/// What is no regular file is not read: a named pipe that nobody writes to would hold up the deployment for ever.
pub(super) async fn read(path: &Path) -> Reading {
    let unread = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Reading::Gone,
        _ => Reading::Unreadable(error.to_string()),
    };
    match tokio::fs::metadata(path).await {
        Ok(there) if !there.is_file() => return Reading::Unreadable("it is no regular file".to_owned()),
        Ok(_) => {}
        Err(error) => return unread(error),
    }
    match tokio::fs::read(path).await {
        Ok(bytes) => match String::from_utf8(bytes) {
            // A text of two bytes for each letter decodes as one with these.
            Ok(text) if text.contains('\0') => {
                Reading::Unreadable("it is not UTF-8 text: save it as that".to_owned())
            }
            Ok(text) => Reading::Text(text),
            Err(error) => Reading::Unreadable(error.to_string()),
        },
        Err(error) => unread(error),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no reason is known")
}

fn log(round: &Round) {
    let (deployment, outcome) = (round.deployment.as_str(), round.outcome().as_str());
    let (actions, pending, calls) = (round.plan.actions.len(), round.pending(), round.calls);
    let (seconds, next) = (round.took.as_secs_f64(), round.next.as_secs_f64());
    if round.outcome() == RoundOutcome::Failed {
        tracing::warn!(deployment, outcome, actions, pending, calls, seconds, next, "a round is over");
    } else {
        tracing::info!(deployment, outcome, actions, pending, calls, seconds, next, "a round is over");
    }
}

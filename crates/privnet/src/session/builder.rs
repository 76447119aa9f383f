//! What a session is made from besides its file.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use privnet_core::audit::AuditLog;
use privnet_core::execute::{Context, Events, Executor, Limiter, Settings};
use privnet_core::spec::Spec;
use privnet_core::{KindTable, Provider};
use tokio_util::sync::CancellationToken;

use super::Session;
use crate::clouds::{Clouds, CloudsError};

/// Everything that a session needs to know besides the file.
pub struct SessionBuilder {
    spec: Spec,
    clouds: Clouds,
    audit: Arc<dyn AuditLog>,
    events: Events,
    cancel: CancellationToken,
    settings: Settings,
    limiter: Option<Arc<Limiter>>,
    parallelism: usize,
    only: BTreeSet<String>,
    providers: Option<Vec<Arc<dyn Provider>>>,
}

impl SessionBuilder {
    /// A session for this file, writing decisions to `audit`.
    pub fn new(spec: Spec, clouds: Clouds, audit: Arc<dyn AuditLog>) -> Self {
        let settings = Settings { pace: clouds.pace(), ..Settings::default() };
        Self {
            spec,
            clouds,
            audit,
            events: Events::none(),
            cancel: CancellationToken::new(),
            settings,
            limiter: None,
            parallelism: 16,
            only: BTreeSet::new(),
            providers: None,
        }
    }

    /// Tells this of progress.
    #[must_use]
    pub fn events(mut self, events: Events) -> Self {
        self.events = events;
        self
    }

    /// Stops when this is cancelled: nothing new is begun, and what was begun is reported. A look at the cloud ends at once, with each
    /// cloud among the unreachable ones.
    #[must_use]
    pub fn cancel(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Keeps to the request rates together with all other sessions that get this: clouds count by account, region and API, not by
    /// file. A session that is not told has rates of its own. Its pace must be the clouds' ([`Clouds::pace`]).
    #[must_use]
    pub fn limiter(mut self, limiter: Arc<Limiter>) -> Self {
        self.limiter = Some(limiter);
        self
    }

    /// At most this many actions at once; 16 unless told.
    #[must_use]
    pub fn parallelism(mut self, parallelism: usize) -> Self {
        self.parallelism = parallelism;
        self
    }

    /// Waits at most so long for what becomes healthy by itself, such as new forwarders, and fails then; what was begun goes on when the
    /// session is used again. For a [watch](crate::watch), which has requests to decide meanwhile. As long as it takes unless told.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.settings.patience = Some(patience);
        self
    }

    /// Only these services, by name; all unless told.
    #[must_use]
    pub fn services(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.only = names.into_iter().collect();
        self
    }

    /// These providers instead of those of the clouds: for tests and for clouds of one's own.
    #[must_use]
    pub fn providers(mut self, providers: Vec<Arc<dyn Provider>>) -> Self {
        self.providers = Some(providers);
        self
    }

    /// The session.
    ///
    /// # Errors
    /// [`CloudsError`] where the file uses a cloud that this build does not have, or an endpoint that is not safe.
    pub fn build(self) -> Result<Session, CloudsError> {
        let providers = match self.providers {
            Some(providers) => providers,
            None => self.clouds.providers(&self.spec)?,
        };
        let kinds = KindTable::new(providers.iter().map(|provider| provider.handles()));
        let cancel = self.cancel.clone();
        let limiter = self.limiter.unwrap_or_else(|| Arc::new(Limiter::new(self.settings.pace)));
        let context = Context::sharing(limiter, self.settings, self.events, self.cancel);
        let executor = Executor::new(providers.clone(), context.clone(), self.audit, self.parallelism);
        Ok(Session { spec: self.spec, providers, kinds, context, cancel, executor, only: self.only })
    }
}

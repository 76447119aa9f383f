//! One place at AWS within one run: its clients, its rates, and errors converted.

use std::future::Future;
use std::time::{Duration, Instant};

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use privnet_core::execute::{Call, Context, Replay};
use privnet_core::{Error, ErrorKind};
use tracing::Instrument as _;

use crate::buckets::Operation;
use crate::clients::Reach;
use crate::error;

/// How long something new may be unknown to another part of AWS.
const KNOWN_WITHIN: Duration = Duration::from_secs(30);
/// How often it is asked for at least, however long one answer takes: a throttled call may use up all of that time.
const KNOWN_BY: u32 = 4;

/// An account and region, and the run that works on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cloud<'a> {
    /// The clients.
    pub(crate) reach: &'a Reach,
    /// The run.
    pub(crate) context: &'a Context,
}

impl Cloud<'_> {
    /// Sends a read.
    pub(crate) async fn read<T, E, F, Fut>(
        &self,
        operation: Operation,
        subject: &str,
        send: F,
    ) -> Result<T, Error>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, SdkError<E, Response>>>,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.call(operation, subject, Replay::Safe, send).await
    }

    /// Sends a creating call that refers to what was made a moment ago. Another part of AWS may not know that yet
    /// (<https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html>), so its absence is believed only after a
    /// while.
    pub(crate) async fn create<T, E, F, Fut>(
        &self,
        operation: Operation,
        subject: &str,
        mut send: F,
    ) -> Result<T, Error>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, SdkError<E, Response>>>,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let started = Instant::now();
        let patience = self.context.paced(KNOWN_WITHIN);
        let mut asked = 0;
        loop {
            asked += 1;
            match self.call(operation, subject, Replay::Safe, &mut send).await {
                Err(error)
                    if error.kind() == ErrorKind::NotFound
                        && (started.elapsed() < patience || asked < KNOWN_BY)
                        && !self.context.is_cancelled() =>
                {
                    self.context.progress(format!("not known everywhere yet: {}", error.message()));
                    tokio::time::sleep(self.context.paced(self.context.settings().poll)).await;
                }
                other => return other,
            }
        }
    }

    /// Sends a request under the operation's rate. `subject` is what it is about, for people.
    pub(crate) async fn call<T, E, F, Fut>(
        &self,
        operation: Operation,
        subject: &str,
        replay: Replay,
        mut send: F,
    ) -> Result<T, Error>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, SdkError<E, Response>>>,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let bucket = operation.bucket(&self.reach.scope.0);
        let call = Call { bucket: &bucket, replay };
        let span = tracing::debug_span!("aws", operation = operation.name, subject);
        self.context
            .call(call, || {
                // On the heap: the SDK's futures are large.
                let sent = Box::pin(send());
                async move { sent.await.map_err(|error| error::convert(operation, subject, error)) }
            })
            .instrument(span)
            .await
    }
}

//! Deletions: not there is success, and what was in use a moment ago is waited for.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use azure_core::http::Method;
use privnet_core::execute::{Context, Poll, Until, still_used};
use privnet_core::{Error, ErrorKind};

use super::send::{Only, Out, asked};
use super::write::LIMIT;
use super::{Arm, Target};
use crate::arm::error::{self, is_gone};
use crate::arm::json;

/// How long something may still seem to be in use after its last user has gone.
const IN_USE_LAG: Duration = Duration::from_secs(180);

/// How often it is tried at least, however long one answer takes: on a slow machine a few answers may use up all of that time.
const IN_USE_TRIES: u32 = 4;

impl Arm {
    /// Deletes a resource and waits until it is gone. Not there is success.
    ///
    /// # Errors
    /// What ARM answered.
    pub(crate) async fn delete(&self, context: &Context, target: &Target) -> Result<(), Error> {
        let until = Until { operation: "DELETE", subject: &target.path, what: "gone", limit: LIMIT };
        let started = tokio::time::Instant::now();
        let lag = context.paced(IN_USE_LAG);
        let tried = AtomicU32::new(0);
        let tried = &tried;
        let attempt = || async move {
            let patient = tried.fetch_add(1, Ordering::Relaxed) + 1 < IN_USE_TRIES || started.elapsed() < lag;
            match self.delete_once(context, target).await {
                Ok(()) => Ok(Poll::Ready(())),
                Err(error) if is_gone(&error) => Ok(Poll::Ready(())),
                Err(error) if error::comes_later(&error) || (error.kind() == ErrorKind::InUse && patient) => {
                    Ok(self.later(context, &error).await)
                }
                Err(error) if error.kind() == ErrorKind::InUse => {
                    let hint = still_used(user_in(error.message()));
                    Err(error.with_hint(hint))
                }
                Err(error) => Err(error),
            }
        };
        context.until(until, attempt).await
    }

    async fn delete_once(&self, context: &Context, target: &Target) -> Result<(), Error> {
        let asked = asked("DELETE", target);
        let url = self.url(target)?;
        let out = Out { method: Method::Delete, url: &url, body: None, only: Only::Always };
        let answer = self.send(context, &out, &asked, target).await?;
        self.finish(context, answer, target, &asked).await?;
        let until = Until { operation: "DELETE", subject: &target.path, what: "gone", limit: LIMIT };
        let ask = || async move {
            Ok(match self.find(context, target).await? {
                None => Poll::Ready(()),
                Some(found) => Poll::Pending(
                    json::text(&found, "properties.provisioningState").unwrap_or("still there").to_owned(),
                ),
            })
        };
        context.until(until, ask).await
    }
}

/// What uses something, by id, where Azure's words say that: `Subnet … is in use by /subscriptions/… and cannot be deleted`.
fn user_in(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("in use by ")?;
    let user = rest.split_whitespace().next()?.trim_end_matches(['.', ',']);
    user.starts_with('/').then_some(user)
}

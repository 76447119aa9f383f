//! Long operations, in each of the ways in which ARM tells of them
//! (<https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations>):
//! `Azure-AsyncOperation`, `Location` alone, and the resource's own `provisioningState`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use privnet_core::Error;
use privnet_core::execute::{Context, Poll, Until};

use super::client::Answer;
use super::error::{Asked, is_gone, of_operation};
use super::{Arm, Json, Target, json};

/// The longest that one operation may take.
const LIMIT: Duration = Duration::from_secs(45 * 60);
/// How often an operation that was just begun may be unknown.
const UNKNOWN: u32 = 5;

impl Arm {
    /// Waits for what an answer began, and gives the result: the body of the answer that ended it.
    ///
    /// # Errors
    /// The code and message of an operation that failed, or what a poll was answered.
    pub(super) async fn finish(
        &self,
        context: &Context,
        answer: Answer,
        target: &Target,
        asked: &Asked,
    ) -> Result<Json, Error> {
        if let Some(url) = answer.operation.clone() {
            self.rest(context, answer.retry_after).await;
            let ended = self.by_operation(context, &url, target, asked).await?;
            // An action's result is where `Location` points to, if the operation does not carry it.
            return match (&answer.location, asked.operation.starts_with("POST")) {
                (Some(location), true) if json::at(&ended, "properties.output").is_none() => {
                    self.by_location(context, location, target, asked).await
                }
                _ => Ok(ended),
            };
        }
        match (&answer.location, answer.status) {
            (Some(location), 202) => {
                self.rest(context, answer.retry_after).await;
                self.by_location(context, location, target, asked).await
            }
            // What has no operation shows its state in the resource itself, which the caller reads.
            _ => Ok(answer.body),
        }
    }

    async fn by_operation(
        &self,
        context: &Context,
        url: &str,
        target: &Target,
        asked: &Asked,
    ) -> Result<Json, Error> {
        let until =
            Until { operation: &asked.operation, subject: &asked.subject, what: "done", limit: LIMIT };
        let unknown = AtomicU32::new(0);
        let (unknown, ask) = (&unknown, asked);
        let poll = || async move {
            let answer = match self.poll(context, url, ask, target).await {
                Ok(answer) => answer,
                Err(error) if is_gone(&error) && unknown.fetch_add(1, Ordering::Relaxed) < UNKNOWN => {
                    return Ok(Poll::Pending("not known yet".to_owned()));
                }
                Err(error) => return Err(error),
            };
            match json::text(&answer.body, "status") {
                // An operation without a status is over: 204, or the resource itself.
                None if answer.status != 202 => Ok(Poll::Ready(answer.body)),
                Some(status) if status.eq_ignore_ascii_case("succeeded") => Ok(Poll::Ready(answer.body)),
                Some(status) if is_failure(status) => {
                    Err(of_operation(ask, status, &answer.body, answer.request_id))
                }
                // Any other word, known or not, is on its way.
                status => {
                    let status = status.unwrap_or("accepted").to_owned();
                    self.rest(context, answer.retry_after).await;
                    Ok(Poll::Pending(status))
                }
            }
        };
        context.until(until, poll).await
    }

    async fn by_location(
        &self,
        context: &Context,
        url: &str,
        target: &Target,
        asked: &Asked,
    ) -> Result<Json, Error> {
        let until =
            Until { operation: &asked.operation, subject: &asked.subject, what: "done", limit: LIMIT };
        let unknown = AtomicU32::new(0);
        let unknown = &unknown;
        let poll = || async move {
            let answer = match self.poll(context, url, asked, target).await {
                Ok(answer) => answer,
                // The result of a deletion may be that there is nothing any more.
                Err(error) if is_gone(&error) && asked.operation.starts_with("DELETE") => {
                    return Ok(Poll::Ready(Json::Null));
                }
                Err(error) if is_gone(&error) && unknown.fetch_add(1, Ordering::Relaxed) < UNKNOWN => {
                    return Ok(Poll::Pending("not known yet".to_owned()));
                }
                Err(error) => return Err(error),
            };
            if answer.status == 202 {
                self.rest(context, answer.retry_after).await;
                return Ok(Poll::Pending("accepted".to_owned()));
            }
            match json::text(&answer.body, "status")
                .or(json::text(&answer.body, "properties.provisioningState"))
            {
                Some(status) if is_failure(status) => {
                    Err(of_operation(asked, status, &answer.body, answer.request_id))
                }
                _ => Ok(Poll::Ready(answer.body)),
            }
        };
        context.until(until, poll).await
    }
}

fn is_failure(status: &str) -> bool {
    ["failed", "canceled", "cancelled"].iter().any(|failure| failure.eq_ignore_ascii_case(status))
}

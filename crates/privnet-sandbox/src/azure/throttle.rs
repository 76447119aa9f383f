//! ARM's request rates: token buckets for each subscription (Microsoft, "Understand how Azure Resource Manager throttles requests":
//! reads 250 and 25 a second, writes and deletes 200 and 10 a second).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::error::ArmError;
use crate::frame::{Answer, Exchange};

/// The buckets of a running sandbox; they are full when it starts.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    levels: Mutex<HashMap<String, (f64, Timestamp)>>,
}

fn class(method: &str) -> (&'static str, f64, f64) {
    match method {
        "GET" | "HEAD" => ("reads", 250.0, 25.0),
        "DELETE" => ("deletes", 200.0, 10.0),
        _ => ("writes", 200.0, 10.0),
    }
}

impl Throttle {
    /// Takes one request; the number left, or 429 with the seconds to wait.
    pub(crate) fn take(
        &self,
        subscription: &str,
        exchange: &Exchange,
        now: Timestamp,
    ) -> Result<u64, ArmError> {
        let (word, size, refill) = class(&exchange.method);
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        let (level, since) = levels.entry(format!("{subscription}/{word}")).or_insert((size, now));
        let elapsed = now.duration_since(*since).as_secs_f64().max(0.0);
        *level = (*level + elapsed * refill).min(size);
        *since = now;
        if *level < 1.0 {
            return Err(throttled(word, ((1.0 - *level) / refill).ceil().max(1.0) as u64));
        }
        *level -= 1.0;
        Ok(*level as u64)
    }
}

/// The answer to a caller that was too fast.
pub(crate) fn throttled(word: &str, seconds: u64) -> ArmError {
    let mut error = ArmError::new(
        429,
        "SubscriptionRequestsThrottled",
        format!(
            "Number of '{word}' requests for subscription exceeded the limit. Please try again after '{seconds}' seconds."
        ),
    );
    error.retry_after = Some(seconds);
    error
}

/// Adds what is left to an answer, under the recorded names.
pub(crate) fn remaining(answer: Answer, exchange: &Exchange, left: u64) -> Answer {
    let (word, _, _) = class(&exchange.method);
    let answer =
        answer.with_header(format!("x-ms-ratelimit-remaining-subscription-global-{word}"), left.to_string());
    if word == "reads" {
        answer
    } else {
        answer.with_header(format!("x-ms-ratelimit-remaining-subscription-{word}"), left.to_string())
    }
}

//! Request rates: a token bucket for each account, region and API, which learns from throttling.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A cloud's documented limit on requests of one class.
#[derive(Clone, Debug, PartialEq)]
pub struct Bucket {
    /// Whose and which, such as `aws/123456789012/us-east-1/ec2/describe`.
    pub key: String,
    /// How many requests may be sent at once.
    pub size: f64,
    /// How many are added each second.
    pub per_second: f64,
}

/// The state of all buckets of a process: sessions that share it do not together send more than one may.
#[derive(Debug)]
pub struct Limiter {
    /// How much faster than the documented clock time passes here; 1 but on a sandbox that was sped up.
    pace: f64,
    buckets: Mutex<BTreeMap<String, Level>>,
}

#[derive(Debug)]
struct Level {
    tokens: f64,
    rate: f64,
    at: Instant,
}

/// The slowest that throttling makes a bucket, as a part of the documented rate.
const FLOOR: f64 = 0.05;

impl Limiter {
    /// A limiter whose documented rates are multiplied by `pace`.
    #[must_use]
    pub fn new(pace: f64) -> Self {
        Self { pace: if pace.is_finite() && pace > 0.0 { pace } else { 1.0 }, buckets: Mutex::default() }
    }

    /// Waits until a request may be sent.
    pub async fn acquire(&self, bucket: &Bucket) {
        let wait = self.reserve(bucket, Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Takes a token, on credit if need be, and says how long to wait for it.
    fn reserve(&self, bucket: &Bucket, now: Instant) -> Duration {
        let documented = bucket.per_second * self.pace;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let level = buckets.entry(bucket.key.clone()).or_insert_with(|| Level {
            tokens: bucket.size,
            rate: documented,
            at: now,
        });
        level.refill(bucket.size, now);
        level.tokens -= 1.0;
        if level.tokens >= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(-level.tokens / level.rate) }
    }

    /// A request was throttled: half the rate, and nothing at once.
    pub fn throttled(&self, bucket: &Bucket) {
        let documented = bucket.per_second * self.pace;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(level) = buckets.get_mut(&bucket.key) {
            level.rate = (level.rate / 2.0).max(documented * FLOOR);
            level.tokens = level.tokens.min(0.0);
        }
    }

    /// A request went through: a little faster again, up to the documented rate.
    pub fn went_through(&self, bucket: &Bucket) {
        let documented = bucket.per_second * self.pace;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(level) = buckets.get_mut(&bucket.key) {
            level.rate = (level.rate * 1.05).min(documented);
        }
    }

    #[cfg(test)]
    fn rate(&self, bucket: &Bucket) -> f64 {
        self.buckets.lock().unwrap()[&bucket.key].rate
    }
}

impl Level {
    fn refill(&mut self, size: f64, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate).min(size);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket() -> Bucket {
        Bucket { key: "k".to_owned(), size: 2.0, per_second: 10.0 }
    }

    #[test]
    fn lets_the_burst_through_and_then_paces() {
        let limiter = Limiter::new(1.0);
        let now = Instant::now();
        let waits: Vec<_> = (0..4).map(|_| limiter.reserve(&bucket(), now)).collect();
        assert_eq!(waits[..2], [Duration::ZERO; 2]);
        assert_eq!(waits[2], Duration::from_millis(100));
        assert_eq!(waits[3], Duration::from_millis(200));
    }

    #[test]
    fn learns_from_throttling_and_recovers() {
        let limiter = Limiter::new(1.0);
        limiter.reserve(&bucket(), Instant::now());
        for _ in 0..20 {
            limiter.throttled(&bucket());
        }
        assert!((limiter.rate(&bucket()) - 0.5).abs() < 1e-9, "never slower than a twentieth");
        for _ in 0..200 {
            limiter.went_through(&bucket());
        }
        assert!((limiter.rate(&bucket()) - 10.0).abs() < 1e-9, "never faster than documented");
    }
}

//! Token buckets, as the clouds document their request rates.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

/// A documented rate: how many requests at once, and how many come back each second (of sandbox time).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// How many requests the full bucket holds.
    pub size: f64,
    /// How many requests come back each second.
    pub refill: f64,
}

impl Bucket {
    /// A bucket of `size` requests that refills at `refill` a second.
    pub const fn new(size: f64, refill: f64) -> Self {
        Self { size, refill }
    }
}

/// The buckets of a running sandbox, by key (account, region and API, say). They are full at the start of a process.
#[derive(Debug, Default)]
pub struct Buckets {
    levels: Mutex<HashMap<String, (f64, Timestamp)>>,
}

impl Buckets {
    /// Takes one request out of the key's bucket; `false` when it is empty.
    pub fn take(&self, key: &str, bucket: Bucket, now: Timestamp) -> bool {
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        let (level, since) = levels.entry(key.to_owned()).or_insert((bucket.size, now));
        let elapsed = now.duration_since(*since).as_secs_f64().max(0.0);
        *level = (*level + elapsed * bucket.refill).min(bucket.size);
        *since = now;
        if *level < 1.0 {
            return false;
        }
        *level -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_refills() {
        let buckets = Buckets::default();
        let rate = Bucket::new(2.0, 1.0);
        let start = Timestamp::UNIX_EPOCH;
        let taken: Vec<_> = (0..3).map(|_| buckets.take("k", rate, start)).collect();
        assert_eq!(taken, [true, true, false]);
        assert!(buckets.take("other", rate, start), "keys do not share a bucket");
        let later = start + jiff::SignedDuration::from_secs(1);
        assert!(buckets.take("k", rate, later));
        assert!(!buckets.take("k", rate, later));
    }
}

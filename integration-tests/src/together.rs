//! Eight applies of one file at once: one of each afterwards, and none that reports a success which is none.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "test machinery")]

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Barrier;

use crate::census::Census;
use crate::ground::both;
use crate::proxy::Proxy;
use crate::stage::Stage;

/// How many applies there are.
const TOGETHER: usize = 8;

/// What is applied, where, and how it shows that two met.
pub struct Together<'a> {
    /// `aws`, `azure` or `gcp`.
    pub cloud: &'a str,
    /// The census script of that cloud.
    pub census: &'a str,
    /// The command, for the cloud at a URL, with the arguments of a line.
    pub command: &'a (dyn Fn(&str, &str) -> Command + Sync),
    /// How often each sort of conflict stands in a record.
    pub conflicts: fn(&str) -> BTreeMap<String, usize>,
}

impl Together<'_> {
    /// Eight processes of the command apply at the same time.
    ///
    /// # Panics
    /// When they do not collide, when one reports a success that is none, or when there is not one of each in the end.
    pub async fn end_with_one_of_each(&self) {
        let folder = tempfile::tempdir().unwrap();
        let mut census = Census::start(self.census).unwrap();
        let alone = Stage::open(None).await.unwrap();
        let url = alone.url(self.cloud);
        self.must(&url, "apply --yes");
        let expected = census.take(&url).unwrap();

        let record = folder.path().join("record.jsonl");
        let stage = Stage::open_with(None, |options| {
            options.record = Some(record.clone());
            options.latency = Duration::from_millis(20);
        })
        .await
        .unwrap();
        let url = stage.url(self.cloud);
        // None writes before all have looked: nobody finds anything there, and everybody makes it.
        let barrier = Arc::new(Barrier::new(TOGETHER));
        let mut proxies = Vec::new();
        for _ in 0..TOGETHER {
            proxies.push(Proxy::start_behind(&url, Arc::clone(&barrier)).await.unwrap());
        }
        let ends = tokio::task::block_in_place(|| self.at_once(&url, &proxies));
        let conflicts = (self.conflicts)(&std::fs::read_to_string(&record).unwrap());
        let succeeded = ends.iter().filter(|(success, _)| *success).count();
        let met: usize = conflicts.values().sum();
        crate::tell!(
            "{TOGETHER} applies at once: {succeeded} succeeded, {} reported a failure, {met} conflicts",
            TOGETHER - succeeded
        );
        println!("conflicts: {conflicts:#?}");
        assert!(succeeded > 0, "{}", ends[0].1);
        assert!(met >= TOGETHER, "they did not collide: {conflicts:#?}");
        assert_eq!(census.take(&url).unwrap(), expected, "one of each");

        self.must(&url, "apply --yes");
        self.must(&url, "plan --detailed-exitcode");
        assert_eq!(census.take(&url).unwrap(), expected, "one of each, still");
    }

    fn at_once(&self, url: &str, proxies: &[Proxy]) -> Vec<(bool, String)> {
        let begin = |proxy: &Proxy| {
            let mut apply = (self.command)(&proxy.url(), "apply --yes --output json");
            apply.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let applies: Vec<_> = proxies.iter().map(begin).collect();
        std::thread::scope(|scope| {
            let wait = |apply: std::process::Child| {
                scope.spawn(move || {
                    let output = apply.wait_with_output().unwrap();
                    if output.status.success() {
                        // A success is one only if all is there at this moment.
                        let plan = (self.command)(url, "plan --detailed-exitcode").output().unwrap();
                        assert_eq!(plan.status.code(), Some(0), "a false success: {}", both(&plan));
                    }
                    (output.status.success(), both(&output))
                })
            };
            let waiting: Vec<_> = applies.into_iter().map(wait).collect();
            waiting.into_iter().map(|one| one.join().unwrap()).collect()
        })
    }

    fn must(&self, url: &str, line: &str) {
        let output = tokio::task::block_in_place(|| (self.command)(url, line).output()).unwrap();
        assert_eq!(output.status.code(), Some(0), "{line}: {}", both(&output));
    }
}

/// The exchanges of a record, each with its answer as JSON where it is that.
pub fn exchanges(record: &str) -> impl Iterator<Item = Value> {
    record.lines().map(|line| {
        let mut exchange: Value = serde_json::from_str(line).unwrap();
        if let Value::String(text) = &exchange["response"]
            && let Ok(answer) = serde_json::from_str::<Value>(text)
        {
            exchange["response"] = answer;
        }
        exchange
    })
}

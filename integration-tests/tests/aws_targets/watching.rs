//! A watch follows a failover by itself, within two intervals.

use std::sync::Arc;
use std::time::{Duration, Instant};

use privnet::watch::{Watch, WatchEvent, WatchOptions};
use privnet::{AuditFile, Clouds, SandboxEndpoints, SessionBuilder};
use privnet_integration_tests::command::privnet;
use privnet_integration_tests::stage::Fail;
use privnet_sandbox::dns::Behaviour;
use tokio_util::sync::CancellationToken;

use crate::followed::{Followed, Onlooker};
use crate::said::{assert_always_served, assert_no_session_reset, first};
use crate::{NAME, NEW, OLD, PATIENCE, file, text};

/// A watch does the same by itself, within two intervals of the cloud's time, by default and longer. Where the cloud itself needs longer
/// to find the new target healthy than a short interval has room for, that time comes on top, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_follows_a_failover_within_two_intervals() -> Result<(), Fail> {
    // All run side by side. What this machine takes for its own part counts as the cloud's time, so time is not too fast where there is
    // little room.
    let all = [(45, 2.5), (60, 2.0), (120, 5.0), (240, 8.0), (1800, 60.0)];
    let all = all.map(|(interval, pace)| tokio::spawn(failover_under_a_watch(interval, pace)));
    for one in all {
        let (interval, took, checked) = one.await??;
        privnet_integration_tests::tell!(
            "interval {interval} s: followed after {took:.0} s ({checked:.0} s of checks)"
        );
        let room = if interval >= 60.0 { 0.0 } else { checked };
        assert!(
            took <= 2.0 * interval + room,
            "interval {interval} s: followed after {took} s ({checked} s of checks)"
        );
    }
    Ok(())
}

/// The interval, how long the failover took to be followed, and how long of that the cloud checked the new target; in the cloud's seconds.
async fn failover_under_a_watch(seconds: u32, pace: f64) -> Result<(f64, f64, f64), Fail> {
    let interval = Duration::from_secs(seconds.into());
    let followed = Followed::at(pace, &[OLD], Behaviour::All).await?;
    let clouds = Clouds::Sandbox(SandboxEndpoints {
        aws: followed.stage.url("aws"),
        azure: followed.stage.url("azure"),
        gcp: followed.stage.url("gcp"),
        dns: followed.stage.running().dns(),
        speed: pace,
    });
    let audit = followed.stage.folder().join("audit.jsonl");
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let open = move |spec| {
        let audit = Arc::new(AuditFile::new(&audit));
        SessionBuilder::new(spec, clouds.clone(), audit).cancel(stop.clone()).build()
    };
    let (send, mut rounds) = tokio::sync::mpsc::unbounded_channel();
    let see = move |event: &WatchEvent| {
        if let WatchEvent::Ended(round) = event {
            let _ = send.send(round.next);
        }
    };
    let mut watch = Watch::new(WatchOptions { interval, pace, ..WatchOptions::default() }, open, see);
    watch.add("test.yaml", None, text(""), file()?, &[])?;
    let watching = tokio::spawn(watch.run(cancel.clone()));
    // The move comes right after a look that nothing follows from: the longest way to the next one.
    while rounds.recv().await.ok_or("no round")? < interval.div_f64(2.0 * pace) {}
    let (start, onlooker) = (followed.record()?.len(), Onlooker::of(&followed)?);
    let moved = followed.stage.running().clock().now();
    let dns = privnet(followed.stage.folder())
        .args(["sandbox", "dns", NAME, NEW])
        .env("PRIVNET_SANDBOX_DIR", followed.stage.folder())
        .output()?;
    assert!(dns.status.success(), "{}", String::from_utf8_lossy(&dns.stderr));
    let started = Instant::now();
    while !followed.record()?[start..].iter().any(|said| said.changes("DeregisterTargets", OLD)) {
        // It may take two intervals, which is up to a real minute.
        assert!(started.elapsed() < 2 * PATIENCE, "interval {seconds} s: it was never followed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    rounds.recv().await.ok_or("no round")?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    cancel.cancel();
    watching.await?;
    onlooker.leave().await?;

    let record = &followed.record()?[start..];
    assert_always_served(record);
    let registered = first(record, "registered", |said| said.changes("RegisterTargets", NEW));
    let healthy = first(record, "healthy", |said| said.shows(NEW, "healthy"));
    let deregistered = first(record, "deregistered", |said| said.changes("DeregisterTargets", OLD));
    assert!(registered < healthy && healthy < deregistered, "{registered} {healthy} {deregistered}");
    // Its sessions have their time: it drains and is not cut, and nothing else was written.
    assert_no_session_reset(&followed.record()?, start);
    let written: Vec<_> =
        record.iter().filter(|said| said.writes()).map(|said| said.action.as_str()).collect();
    assert_eq!(written, ["RegisterTargets", "DeregisterTargets"]);
    let since = |at: usize, from| record[at].time.duration_since(from).as_secs_f64();
    Ok((interval.as_secs_f64(), since(deregistered, moved), since(healthy, record[registered].time)))
}

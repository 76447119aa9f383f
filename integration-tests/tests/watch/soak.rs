//! The command itself for many rounds, on all three clouds, scraped all the time: no larger at the end than it was.
//!
//! Random faults are `tests/watch_soak.rs`'s matter. Here the process holds the local cloud too, which only makes it harder.
//! `PRIVNET_SOAK_ROUNDS` is how many rounds; 60 unless told.

use super::process::{Folder, get};

/// The end may be this much larger than a tenth of the run.
const GROWTH: f64 = 1.1;
/// Every so many rounds somebody edits the file.
const EDITS: usize = 20;

/// One file for three clouds, whose resources get this tag.
fn text(tag: &str) -> String {
    let text = include_str!("../../../examples/three-clouds.yaml");
    assert!(text.contains("\"4711\""), "the example has no such tag any more");
    text.replace("\"4711\"", &format!("\"{tag}\""))
}

#[test]
fn the_command_is_no_larger_after_many_rounds_on_three_clouds() {
    let rounds: usize =
        std::env::var("PRIVNET_SOAK_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let folder = Folder::new(2_000.0);
    folder.write("all.yaml", &text("0"));
    let mut watch = folder.watch("all.yaml --interval 20s --listen 127.0.0.1:0");
    let started = watch.until("started", |line| line["event"] == "started");
    let address = started["listen"].as_str().unwrap().to_owned();
    watch.round("data-platform", "is made on all three clouds", |round| round["outcome"] == "agrees");
    let (mut tenth, mut mended) = (0.0_f64, 0);
    for round in 0..rounds {
        if round % EDITS == EDITS / 2 {
            folder.write("all.yaml", "version: 2\n");
            watch.file("kept");
            folder.write("all.yaml", &text(&round.to_string()));
            watch.file("taken");
        }
        let seen = watch.round("data-platform", "goes on", |_| true);
        mended += usize::from(seen["outcome"] == "mended");
        assert_ne!(seen["outcome"], "failed", "{seen:#}");
        let (status, _, metrics) = get(&address, "/metrics");
        assert!(
            status == 200 && metrics.contains("privnet_calls_total{deployment=\"data-platform\"}"),
            "{metrics}"
        );
        assert_eq!(get(&address, "/readyz").0, 200);
        if round <= rounds / 10 {
            tenth = tenth.max(watch.memory());
        }
    }
    folder.write("all.yaml", &text("last"));
    watch.file("taken");
    watch.round("data-platform", "comes to rest", |round| round["outcome"] == "agrees");
    let end = watch.memory();
    assert_eq!(watch.stop("-TERM").0, Some(0));
    folder.demand("--sandbox plan all.yaml --detailed-exitcode");
    privnet_integration_tests::tell!(
        "{rounds} rounds, {mended} of them mended; memory: {tenth:.0} KiB at most in the first tenth, {end:.0} KiB at the end ({:.3})",
        end / tenth
    );
    assert!(mended >= rounds / EDITS, "{mended} rounds mended something");
    assert!(end <= tenth * GROWTH, "it grew: {tenth} KiB, then {end} KiB");
}

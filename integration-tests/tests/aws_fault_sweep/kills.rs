//! The process itself is killed by the system, at each request of its work.

use privnet_integration_tests::kills::{AWS, At, sweep};

use super::{Work, default_file};

fn work(work: Work, what: &'static str) -> privnet_integration_tests::kills::Work {
    privnet_integration_tests::kills::Work {
        what,
        cloud: AWS,
        before: (work != Work::Apply).then(|| default_file(Work::Apply.port())),
        file: default_file(work.port()),
        destroy: work == Work::Destroy,
        at: At::Each,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apply_may_be_killed() {
    sweep(work(Work::Apply, "an apply")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replacement_may_be_killed() {
    sweep(work(Work::Replace, "a replacement")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destroy_may_be_killed() {
    sweep(work(Work::Destroy, "a destroy")).await;
}

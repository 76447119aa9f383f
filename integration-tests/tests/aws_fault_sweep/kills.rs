//! The process itself is killed by the system, at each request of its work.

use privnet_integration_tests::kills::{AWS, At, Life};

use super::{Work, default_file};

fn life() -> Life {
    let file = |work: Work| default_file(work.port());
    Life { cloud: AWS, file: file(Work::Apply), edited: file(Work::Replace), at: At::Each }
}

privnet_integration_tests::kills!(life());

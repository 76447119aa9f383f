//! What the tests across crates share: a stage with a local cloud, moto, a proxy that injects faults, a census by a third-party client.

pub mod aws_chain;
pub mod aws_records;
pub mod azure_bench;
pub mod azure_source;
pub mod census;
pub mod command;
pub mod counted;
pub mod drift;
pub mod fresh;
pub mod gcp;
pub mod gcp_bench;
pub mod gcp_source;
pub mod gcp_twin;
pub mod ground;
pub mod killed;
pub mod kills;
pub mod moto;
pub mod own_named;
pub mod plan_bench;
pub mod proxy;
pub mod query;
pub mod records;
pub mod rounds;
pub mod severing;
pub mod stage;
pub mod sweep;
pub mod together;
pub mod town;

/// Says a line that the test runner would keep to itself of a test that passes: how much was tried, and what was left out.
#[macro_export]
macro_rules! tell {
    ($($words:tt)*) => { $crate::tell_line(&format!($($words)*)) };
}

/// What [`tell!`] says, on standard error itself: the runner catches only what the printing macros write.
pub fn tell_line(line: &str) {
    use std::io::Write as _;
    // Nobody listens: nothing to be done about it.
    let _ = writeln!(std::io::stderr(), "{line}");
}

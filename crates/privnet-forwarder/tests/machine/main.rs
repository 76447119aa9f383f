//! What is rendered, on machines made of network namespaces: a consumer, a forwarder, two database hosts; real servers, real
//! clients, real packets.
//!
//! This needs root, network namespaces and the packages that `integration-tests/forwarder/setup.sh` installs. Without them the tests fail;
//! `PRIVNET_SKIP_NETNS=1` lets them pass unproven, and each says so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where something is not as it should be"
)]

mod databases;
mod health;
mod install;
mod lab;
mod moves;
mod packets;
mod process;

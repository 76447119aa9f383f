//! From a tree to the types: what the tables cannot say.
//!
//! The structural check has reported every value that is malformed. What is built here reads such values as
//! absent, reports nothing twice, and adds the rules that hold between values.

mod aws;
mod azure;
mod consumers;
mod file;
mod gcp;
mod gcp_backend;
mod ports;
mod read;
mod service;

pub(super) use file::file;

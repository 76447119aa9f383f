//! Google Compute Engine's REST API, version 1: what Private Service Connect takes, from networks to service
//! attachments, with consumers that raise endpoints.
//!
//! | module | is |
//! |---|---|
//! | `api`, `check` | the API as its discovery document describes it; requests are checked against it |
//! | `call` | a request, understood |
//! | `world`, `default_world` | the state, and what it begins with |
//! | `settle` | what happens as time passes: operations end, consumers arrive |
//! | `kinds` | what each kind of resource does |
//! | `connection`, `consumer` | which endpoints an attachment lets in, and who raises them |
//! | `list`, `filter`, `pattern` | lists: filters, order, pages |
//! | `view`, `references` | what a resource shows, and who needs it |
//! | `batch`, `token`, `metadata` | several requests in one; tokens, whose they are, and a machine's metadata server |
//! | `operation`, `hold`, `error` | long-running operations, waiting for them, refusals |
//!
//! The default world and what is not modelled: `README.md` in this folder.

mod api;
mod batch;
mod body;
mod call;
mod check;
mod connection;
mod consumer;
mod default_world;
mod error;
mod filter;
mod hold;
mod kinds;
mod link;
mod list;
mod metadata;
mod operation;
mod pattern;
mod references;
mod server;
mod settle;
#[cfg(test)]
mod tests;
mod token;
mod view;
mod world;

pub use server::Gcp;

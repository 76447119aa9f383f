//! A small client of Azure Resource Manager: what privnet needs of it, over the official pipeline and credentials.
//!
//! The pipeline's own retries are off; rates, retries and polls go through the core's [`Context`](privnet_core::execute::Context).

mod client;
mod error;
mod json;
mod looked;
mod operation;
mod transport;
mod versions;

pub(crate) use client::{Arm, Target, Write};
pub(crate) use error::{concerns_everything, in_words, is_foreign, is_gone, is_group_gone, is_no_json};
pub(crate) use json::{at, items, merge_text_map, same_id, set, text, text_map, texts};

/// JSON as ARM sends it.
pub(crate) type Json = serde_json::Value;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
pub(crate) use transport::redirect;

//! Azure Resource Manager: networks, load balancers, scale sets, private link services, and the connections of services that
//! Azure hosts. `README.md` beside this file lists the default world and what is not modelled.
//!
//! | module | is |
//! |---|---|
//! | `server` | the cloud: authorization, throttling, one transaction a request |
//! | `login` | tokens and metadata |
//! | `id`, `models`, `error`, `request` | ARM's grammar: paths, request bodies, errors, links and pages |
//! | `world`, `operation`, `cascade` | the state, long operations and what follows from them |
//! | `kind`, `write`, `read`, `actions`, `groups` | the rules that all types share |
//! | `network`, `compute`, `hosted`, `connections`, `addresses` | the types |
//! | `default_world`, `consumers` | what is there, and who asks for connections |

mod actions;
mod addresses;
mod cascade;
mod compute;
mod connections;
mod consumers;
mod default_world;
mod error;
mod groups;
mod hosted;
mod id;
mod kind;
mod login;
mod models;
mod network;
mod operation;
mod read;
mod request;
mod server;
mod throttle;
mod world;
mod write;

pub use server::AzureServer;

#[cfg(test)]
mod tests;

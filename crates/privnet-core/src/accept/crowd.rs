//! More connections than a consumer may have: what two decisions at the same moment can come to.
//!
//! No cloud lets in one connection on the condition that no other one is in, so two people, or a person and a `watch`, that let in different
//! connections at the same moment both find room. What is read afterwards shows it to the later of them at least.

use std::fmt;

use super::{Connection, Decision, ServicePolicy, Verdict, Why};

/// A consumer that has more connections than it may, after one was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crowd {
    /// The service.
    pub service: String,
    /// The consumer's name in the file.
    pub consumer: String,
    /// `max_connections`.
    pub max: u32,
    /// The connections that are in, by their ids.
    pub connections: Vec<String>,
}

impl fmt::Display for Crowd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, consumer, max, connections } = self;
        write!(
            f,
            "{service}: {consumer} has {} connections where max_connections is {max}: another one was let in at the same moment. Connected \
             are {}; ask the vendor which is yours, and turn the other away: privnet reject --connection ID --sever-connections",
            connections.len(),
            connections.join(", ")
        )
    }
}

/// The consumers of one service that have more connections than they may, among those for whom `decisions` found room.
#[must_use]
pub fn crowds(policy: &ServicePolicy, connections: &[Connection], decisions: &[Decision]) -> Vec<Crowd> {
    let let_in = |name: &str| {
        decisions.iter().any(|decision| {
            decision.service == policy.service
                && decision.verdict == Verdict::Accepted
                && decision.why != Why::Finished
                && decision.consumer.as_deref() == Some(name)
        })
    };
    let crowd = policy.consumers.iter().filter(|consumer| let_in(&consumer.name)).map(|consumer| {
        let own = |connection: &&Connection| {
            connection.state.may_be_live()
                && policy.consumer_of(connection).is_some_and(|own| own.name == consumer.name)
        };
        Crowd {
            service: policy.service.clone(),
            consumer: consumer.name.clone(),
            max: consumer.max_connections,
            connections: connections.iter().filter(own).map(|connection| connection.id.clone()).collect(),
        }
    });
    crowd.filter(|crowd| crowd.connections.len() > crowd.max as usize).collect()
}

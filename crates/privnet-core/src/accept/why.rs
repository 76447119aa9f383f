//! Why a connection is let in, left or turned away.

use std::fmt;

/// Why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The consumer, with room for it.
    Allowed,
    /// Named with `--connection`, matches the consumer, and there is room for it.
    Chosen,
    /// The same of one that had been turned away.
    ChosenAgain,
    /// It is in already, and keeps its place: what its decision, cut short, left behind is put back.
    Finished,
    /// No consumer of the service has this identity.
    Stranger,
    /// The consumer matches, but it is not among the endpoints that `only` names.
    NotInOnly,
    /// More requests match than there is room.
    Ambiguous {
        /// How many wait.
        pending: usize,
        /// For how many there is room.
        room: usize,
    },
    /// More requests are of the endpoint that `--connection` names than there is room.
    Twins {
        /// The names by which they can be told apart.
        names: Vec<String>,
        /// For how many there is room.
        room: usize,
    },
    /// It may be meant for another service that would not let it in, and the cloud does not tell.
    ForWhich {
        /// The other services.
        others: Vec<String>,
    },
    /// The consumer has as many connections as it may.
    Full {
        /// `max_connections`.
        max: u32,
        /// Of these connections, by id, those that could be other consumers' of the file, and whose: they have the same identity.
        shared: Vec<(String, Vec<String>)>,
    },
    /// The connection does not wait for anything.
    NotPending,
    /// `--connection` names another.
    NotAsked,
    /// `--reject-others`.
    RejectOthers,
    /// The cloud would let in others together with it, whom nobody lets in now.
    Accompanied {
        /// Those, by id.
        others: Vec<String>,
        /// What to do about it.
        instead: String,
    },
    /// Something is in the way of any such decision, whoever asks.
    Refused {
        /// What, and what to do about it.
        why: String,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed => f.write_str("it is the consumer, and there is room for it"),
            Self::Chosen => {
                f.write_str("chosen with --connection; it is the consumer, and there is room for it")
            }
            Self::ChosenAgain => f.write_str(
                "it had been turned away; chosen with --connection, it is the consumer, and there is room for it",
            ),
            Self::Finished => f.write_str(
                "it was let in already; what that decision, cut short, left behind is put back as it was",
            ),
            Self::Stranger => f.write_str("no consumer of this service has this identity"),
            Self::NotInOnly => {
                f.write_str("the consumer matches, but this endpoint is not in its `only` list")
            }
            Self::Ambiguous { pending, room } => write!(
                f,
                "{pending} requests match and there is room for {room}: ask the vendor which is yours, then use --connection ID"
            ),
            Self::Twins { names, room } => write!(
                f,
                "{} requests are of this endpoint and there is room for {room}: name one by its connection name, with --connection NAME: {}",
                names.len(),
                names.join(", ")
            ),
            Self::ForWhich { others } => write!(
                f,
                "the cloud does not tell whether it is meant for this service or for {}, where it is not allowed: ask the vendor, then use \
                 --connection ID, or name its endpoint in this service's `only`",
                others.join(", ")
            ),
            Self::Full { max, shared } => {
                write!(f, "the consumer has its {max} connection(s) (max_connections)")?;
                if shared.is_empty() {
                    return Ok(());
                }
                let said =
                    shared.iter().map(|(id, others)| format!("{id} counts for {} too", others.join(" and ")));
                write!(
                    f,
                    ": {}, by the same identity; name this consumer's endpoints in its `only`, or raise its max_connections",
                    said.collect::<Vec<_>>().join(", ")
                )
            }
            Self::NotPending => f.write_str("it does not wait for a decision"),
            Self::NotAsked => f.write_str("--connection names another"),
            Self::RejectOthers => {
                f.write_str("no consumer of this service has this identity (--reject-others)")
            }
            Self::Accompanied { others, instead } => {
                let are = if others.len() == 1 { "is" } else { "are" };
                let others = others.join(", ");
                write!(
                    f,
                    "the cloud would let in {others} as well, or instead of it, which {are} not to be let in now: {instead}"
                )
            }
            Self::Refused { why } => f.write_str(why),
        }
    }
}
